"""Real processes that die, files that rot, and a server that is told to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sentences import topics

from bench import crash
from candelabra.testing.server import Server
from candelabra_client import CandelabraError, Client, DataLoss, Unavailable

Start = Callable[..., Server]


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [int(child) for child in found]


def test_a_killed_trainer_fails_its_job_with_a_reason_and_nothing_else(start: Start) -> None:
    server = start()
    assert server.process is not None
    with Client(server.address) as client:
        client.adapt("victim/calm", topics(), wait=True, timeout=120)
        many = [(f"{text} Take {number}.", label) for number in range(40) for text, label in topics()]
        handle = client.adapt("victim/head", many, method="dense", options={"max_epochs": 5000, "patience": 5000})
        while handle.refresh().progress.phase != "train":
            time.sleep(0.02)
        (trainer,) = children(server.process.pid)
        os.kill(trainer, signal.SIGKILL)
        failed = handle.wait(60)
        assert failed.state == "failed"
        assert failed.error is not None
        assert failed.error.reason == "TRAINER_CRASHED"
        assert "SIGKILL" in failed.error.message
        assert client.predict("Rain.", "victim/calm")[0].label == "weather"
        assert client.adapt("victim/head", topics(), wait=True, timeout=120).job.state == "succeeded"


def test_a_trainer_does_not_outlive_a_killed_server(start: Start) -> None:
    server = start()
    assert server.process is not None
    end = time.monotonic() + 30
    while not (trainers := children(server.process.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    (trainer,) = trainers
    server.kill()
    while Path(f"/proc/{trainer}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{trainer}").exists()


def test_a_job_goes_on_after_its_server_was_killed(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        many = [(f"{text} Take {number}.", label) for number in range(20) for text, label in topics()]
        handle = client.adapt("resumed/head", many)
        while handle.refresh().state == "queued":
            time.sleep(0.02)
        server.kill()
        server.start()
        job = handle.wait(120)
    assert (job.state, job.head_version) == ("succeeded", "resumed/head@1")
    assert job.attempt >= 2


def test_a_rotten_file_is_data_loss_for_its_head_only(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        for name, rows in (("rot/bad", topics()), ("rot/good", topics(("weather", "cooking")))):
            client.adapt(name, rows, wait=True, timeout=120)
        digest = client.heads.version("rot/bad").digest.removeprefix("sha256:")
        server.stop()
        (file,) = server.data.rglob(f"{digest}*.safetensors")
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.chmod(0o644)
        file.write_bytes(data)
        server.start()
        with pytest.raises(DataLoss) as caught:
            client.predict("Rain.", "rot/bad", timeout=10)
        assert caught.value.reason == "CORRUPT_HEAD"
        assert client.predict("Rain.", "rot/good")[0].label == "weather"


def test_sigterm_finishes_what_was_accepted_and_refuses_what_is_new(start: Start) -> None:
    server = start(feature_cache_bytes=0)
    with Client(server.address) as client:
        client.adapt("drain/head", topics(), wait=True, timeout=120)
    assert server.process is not None
    outcomes: list[str] = []
    sent = threading.Barrier(9)

    def call(number: int) -> None:
        texts = [f"{text} {number}" for text, _ in topics()]
        with Client(server.address) as mine:
            mine.predict("Rain.", "drain/head")
            sent.wait()
            try:
                outcomes.append(str(len(mine.predict(texts, "drain/head", timeout=30))))
            except CandelabraError as error:
                outcomes.append(error.reason or error.code)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    sent.wait()
    time.sleep(0.15)  # all are in the queue: 288 texts take longer than that
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    with Client(server.address) as late, pytest.raises(Unavailable):
        late.predict("Too late.", "drain/head", timeout=0.5)
    for caller in callers:
        caller.join()
    assert outcomes == ["36"] * 8
    assert server.stop() == 0


def test_a_job_under_way_at_sigterm_goes_on_after_the_next_start(start: Start) -> None:
    server = start()
    with Client(server.address) as client:
        many = [(f"{text} Take {number}.", label) for number in range(40) for text, label in topics()]
        handle = client.adapt("drain/job", many)
        while handle.refresh().state == "queued":
            time.sleep(0.02)
        assert server.stop() == 0
        server.start()
        assert handle.wait(120).state == "succeeded"


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    report = crash.run(kills=4, data=tmp_path)
    assert report.splitlines()[2].rstrip(" |").endswith(" 0"), report
