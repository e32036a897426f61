"""Forgetting over the wire: the rows, their features and the heads that had learned from them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from sentences import topics

from candelabra.testing.server import Server
from candelabra_client import Client, Example, FailedPrecondition, InvalidArgument, NotFound
from candelabra_client.care import Forgotten

ROWS = [Example(text, (label,), id=f"row-{at}") for at, (text, label) in enumerate(topics())]


def trained(client: Client, name: str, **options: object) -> str:
    """A dataset and a head of the same name, trained on it."""
    client.datasets.append(name, ROWS)
    job = client.adapt(name, dataset=name, method="closed_form", wait=True, timeout=180, **options).job
    assert job.state == "succeeded"
    return name


def settled(client: Client, version: str, seconds: float = 60) -> str:
    """Why the version was retired, waited for."""
    end = time.monotonic() + seconds
    while not (why := client.heads.version(version).retired) and time.monotonic() < end:
        time.sleep(0.2)
    return why


def ended(client: Client, done: Forgotten) -> list[str]:
    return [client.jobs.handle(name).wait(120).state for name in done.jobs]


def test_the_old_version_retires_when_its_refit_is_promoted(client: Client) -> None:
    name = trained(client, "forget/served")
    done = client.datasets.forget(name, ids=["row-3"], texts=[ROWS[20].text])
    assert (done.forgotten, done.dataset.rows) == (2, 34)
    proof = done.certificate
    assert proof is not None
    assert (proof.dataset, proof.rows_before, proof.rows_after) == (name, 36, 34)
    assert proof.affected_versions == (f"{name}@1",)
    assert proof.features_dropped >= 2
    assert proof.digest_before != proof.digest_after != ""
    assert proof.residual <= 1e-12
    assert "statistics" in proof.recomputed
    assert len(done.jobs) == 1
    client.predict("Snow fell.", name)  # never without a head
    assert ended(client, done) == ["succeeded"]
    assert "forgotten" in settled(client, f"{name}@1")
    assert client.heads.get(name).aliases == {"live": 2}
    assert client.heads.version(name).lineage.dataset == name
    for ask in (
        lambda: client.predict("Snow fell.", f"{name}@1"),
        lambda: client.heads.promote(f"{name}@1"),
        lambda: client.heads.export(f"{name}@1"),
    ):
        with pytest.raises(FailedPrecondition) as caught:
            ask()
        assert caught.value.reason == "VERSION_RETIRED"
    assert client.datasets.append(name, [ROWS[3], ROWS[20]]).dataset.rows == 36


def test_what_nobody_is_served_by_retires_at_once(client: Client) -> None:
    name = trained(client, "forget/idle", promote=False)
    done = client.datasets.forget(name, texts=[f"  {ROWS[0].text} "])
    assert done.jobs == ()
    assert "forgotten" in client.heads.version(f"{name}@1").retired


def test_the_same_request_forgets_once_and_answers_the_same(client: Client) -> None:
    name = trained(client, "forget/once")
    request_id = str(uuid.uuid4())
    first = client.datasets.forget(name, ids=["row-1"], request_id=request_id)
    ended(client, first)
    settled(client, f"{name}@1")
    second = client.datasets.forget(name, ids=["row-1"], request_id=request_id)
    assert second == first
    assert client.heads.get(name).latest_version == 2


def test_everywhere_reaches_examples_inside_a_job(client: Client) -> None:
    name = "forget/inline"
    client.adapt(name, ROWS, method="closed_form", wait=True, timeout=180)
    client.datasets.append("forget/any", ROWS[:3])
    done = client.datasets.forget("forget/any", texts=[ROWS[30].text], everywhere=True)
    assert done.forgotten >= 1
    assert f"{name}@1" in (done.certificate.affected_versions if done.certificate else ())
    assert set(ended(client, done)) == {"succeeded"}
    assert settled(client, f"{name}@1")


def until(what: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def test_what_trainings_left_beside_the_rows_goes_with_them(client: Client, server: Server) -> None:
    name = trained(client, "forget/kept")
    home = server.data / "kept" / name
    assert until(lambda: len(list(home.glob("*/*"))) > 0)
    (before,) = home.iterdir()
    client.datasets.append(name, [("The goalkeeper dropped the ball.", "football")])
    job = client.adapt(name, dataset=name, method="closed_form", force=True, wait=True, timeout=180).job
    assert any("words as learned from the first 36 of 37 rows" in check.detail for check in job.report.gate.checks)
    done = client.datasets.forget(name, ids=["row-3"])
    assert not before.exists()
    ended(client, done)
    job = client.jobs.get(done.jobs[0])
    assert not any("words as learned" in check.detail for check in job.report.gate.checks)
    assert until(lambda: len(list(home.glob("*/*"))) > 0)
    client.datasets.delete(name)
    assert not home.exists()


def test_nothing_named_and_nothing_there_are_told(client: Client) -> None:
    client.datasets.append("forget/told", ROWS[:2])
    with pytest.raises(InvalidArgument) as caught:
        client.datasets.forget("forget/told")
    assert caught.value.reason == "INVALID_ARGUMENT"
    with pytest.raises(NotFound) as missing:
        client.datasets.forget("forget/none", ids=["a"])
    assert missing.value.reason == "DATASET_NOT_FOUND"
    done = client.datasets.forget("forget/told", ids=["nobody"])
    assert (done.forgotten, done.jobs) == (0, ())


def test_a_server_that_was_killed_goes_on_when_it_is_back(start: Callable[..., Server]) -> None:
    server = start()
    with Client(server.address) as client:
        name = trained(client, "forget/killed")
        client.datasets.forget(name, ids=["row-9"])
    server.kill()
    server.start()
    with Client(server.address) as client:
        assert "forgotten" in settled(client, f"{name}@1")
        assert client.heads.get(name).aliases == {"live": 2}
        assert client.heads.get(name).latest_version == 2
