"""A whole server on a tiny encoder: how it starts, refuses to start, and stops; and its data folder."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.exc import OperationalError

from candelabra import app, errors
from candelabra.app import App, Loaded, every, owner_of, serve, take, write_ports
from candelabra.discovery import Found
from candelabra.general import GeneralDomain
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import Example, JobSpec, JobState, Method, OwnedName
from candelabra.v1 import (
    adaptation_pb2,
    adaptation_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), port=0, metrics_port=-1, port_file=str(tmp_path / "ports"))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A start without a backbone; clear it to keep the server starting."""
    opened = threading.Event()
    opened.set()

    def load(settings: Settings) -> Loaded:
        assert opened.wait(10)
        domains = {"general": Found(GeneralDomain(), "candelabra", "1")}
        return Loaded(Registry.open(settings.database), domains, TinyEncoder(), tiny_tokenizer(), settings.data)

    monkeypatch.setattr(app, "load", load)
    return opened


def ports(settings: Settings) -> dict[str, int]:
    found: dict[str, int] = json.loads(Path(settings.port_file).read_text())
    return found


@pytest.fixture
async def running(settings: Settings, gate: threading.Event) -> AsyncIterator[App]:
    made = App(settings)
    await made.start()
    yield made
    await made.stop()


async def health(port: int) -> int:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        return int(answer.status)


async def embed(port: int) -> inference_pb2.EmbedResponse:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = inference_pb2.EmbedRequest(inputs=[inference_pb2.Input(text="a word")])
        answer: inference_pb2.EmbedResponse = await inference_pb2_grpc.InferenceStub(channel).Embed(request, timeout=5)
        return answer


async def test_it_listens_while_it_loads_and_answers_afterwards(settings: Settings, gate: threading.Event) -> None:
    gate.clear()
    made = App(settings)
    starting = asyncio.create_task(made.start())
    while not made.port:  # noqa: ASYNC110 - nobody would set an event
        await asyncio.sleep(0.005)
    assert await health(made.port) == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await embed(made.port)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    gate.set()
    await asyncio.wait_for(starting, 10)
    assert await health(made.port) == health_pb2.HealthCheckResponse.SERVING
    assert len((await embed(made.port)).embeddings) == 1
    assert ports(settings) == {"port": made.port, "metrics_port": 0}
    assert await made.stop() is True
    with pytest.raises(grpc.aio.AioRpcError):
        await health(made.port)


async def test_a_data_folder_is_one_servers_and_free_again_after_it(settings: Settings, gate: threading.Event) -> None:
    first = App(settings)
    await first.start()
    with pytest.raises(errors.InvalidArgument, match="Another server is using the data folder"):
        await App(settings).start()
    assert await health(first.port) == health_pb2.HealthCheckResponse.SERVING
    await first.stop()
    again = App(settings)
    await again.start()
    assert again.owner == first.owner != ""
    await again.stop()


async def test_a_job_is_trained_and_its_head_serves(running: App) -> None:
    """All rooms together, on made-up features."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        request = adaptation_pb2.AdaptRequest(head="acme/topics", wait=True)
        for word, label in {"sun": "weather", "rain": "weather", "soup": "food", "bread": "food"}.items():
            for index in range(10):
                request.examples.examples.add(text=f"{word} number {index}", labels=[label])
        job = await adaptation_pb2_grpc.AdaptationStub(channel).Adapt(request, timeout=90)
        assert (adaptation_pb2.JobState.Name(job.state), job.error.message) == ("SUCCEEDED", "")
        asked = inference_pb2.PredictRequest(inputs=[inference_pb2.Input(text="bread number 3")], heads=["acme/topics"])
        answer = await inference_pb2_grpc.InferenceStub(channel).Predict(asked, timeout=5)
        assert answer.results[0].predictions[0].labels[0].label == "food"
        assert answer.heads[0].name == "acme/topics@1"


async def test_jobs_of_a_server_that_was_killed_are_taken_up_again(settings: Settings, gate: threading.Event) -> None:
    settings.data.mkdir()
    with Registry.open(settings.database) as registry:
        name = OwnedName("acme", "job-1")
        spec = JobSpec(OwnedName("acme", "x"), "general", "classification", Method.CLOSED_FORM, name, 1)
        registry.jobs.create("1", spec, "d", [Example("a", ("b",))], None, 9)
        registry.jobs.claim(f"{owner_of(settings.data)}.0", 3600)  # a lease that nobody gives up
        made = App(settings)
        await made.start()
        for _ in range(1000):
            job = registry.jobs.get("acme", "1")
            if job.state.ended:
                break
            await asyncio.sleep(0.01)
        await made.stop()
        assert (job.state, job.attempt) == (JobState.FAILED, 2)
        assert job.failure is not None
        assert job.failure.reason == "TOO_FEW_LABELS"


async def test_a_worker_outlives_a_database_that_was_away(
    settings: Settings, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = App(replace(settings, job_lease_seconds=0.3))
    await made.start()
    assert made.registry is not None
    finish, away = made.registry.jobs.finish, [True]

    def fail_once(*args: Any) -> Any:
        if away and away.pop():
            raise OperationalError("UPDATE job", {}, OSError("the database is away"))
        return finish(*args)

    monkeypatch.setattr(made.registry.jobs, "finish", fail_once)
    name = OwnedName("acme", "job-1")
    spec = JobSpec(OwnedName("acme", "x"), "general", "classification", Method.CLOSED_FORM, name, 1)
    made.registry.jobs.create("1", spec, "d", [Example("a", ("b",))], None, 9)
    for _ in range(1000):
        job = made.registry.jobs.get("acme", "1")
        if job.state.ended:
            break
        await asyncio.sleep(0.01)
    await made.stop()
    assert not away
    assert (job.state, job.attempt) == (JobState.FAILED, 2)


async def test_a_port_that_is_taken_is_told_with_what_to_do(settings: Settings, gate: threading.Event) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        made = App(replace(settings, port=port))
        with pytest.raises(errors.InvalidArgument, match="--port"):
            await made.start()
        made._lock.close()  # type: ignore[union-attr]


async def test_sigterm_drains_and_ends_with_zero(settings: Settings, gate: threading.Event) -> None:
    serving = asyncio.create_task(serve(settings))
    while not Path(settings.port_file).exists():  # noqa: ASYNC240
        assert not serving.done()
        await asyncio.sleep(0.01)
    for _ in range(1000):
        if await health(ports(settings)["port"]) == health_pb2.HealthCheckResponse.SERVING:
            break
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(serving, 20) == 0


def test_a_second_server_ends_at_once_with_a_sentence(settings: Settings) -> None:
    settings.data.mkdir()
    with take(settings.data):
        command = [sys.executable, "-m", "candelabra", "serve", "--data-dir", str(settings.data), "--port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"Another server is using the data folder {settings.data}: stop it" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    take(tmp_path).close()
    with take(tmp_path), pytest.raises(errors.InvalidArgument, match="--data-dir"):
        take(tmp_path)
    take(tmp_path).close()


def test_an_owner_is_the_same_after_every_restart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert owner_of(one) == owner_of(one) != owner_of(other)
    assert len(owner_of(one)) == 32


def test_ports_appear_whole(tmp_path: Path) -> None:
    write_ports(tmp_path / "ports", 1, 2)
    write_ports(tmp_path / "ports", 3, 4)
    assert json.loads((tmp_path / "ports").read_text()) == {"port": 3, "metrics_port": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["ports"]


async def test_a_regular_task_survives_its_failures(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def act() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the database is away")

    with caplog.at_level(logging.ERROR, "candelabra"):
        task = asyncio.create_task(every(0.001, act))
        while len(calls) < 3:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
    assert "the database is away" in caplog.text
