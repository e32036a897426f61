"""Adapt over the wire: jobs, their events and reports, request ids, cancelling."""

from __future__ import annotations

import time
import uuid

import pytest
from sentences import topics

from candelabra.testing.server import Server
from candelabra_client import AlreadyExists, Client


@pytest.mark.parametrize("method", ["closed_form", "dense"])
def test_a_job_ends_with_a_promoted_version_and_its_report(client: Client, method: str) -> None:
    name = f"adapt/{method.replace('_', '-')}"
    job = client.adapt(name, topics(), method=method, wait=True, timeout=180).job
    assert (job.state, job.head_version, job.method) == ("succeeded", f"{name}@1", method)
    report = job.report
    assert report.data.examples == 36
    assert report.data.label_counts == {"cooking": 12, "football": 12, "weather": 12}
    accuracy = next(score for score in report.scores if score.metric == "accuracy")
    assert 0.8 <= accuracy.value <= 1
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert {one.label for one in report.labels} == {"cooking", "football", "weather"}
    assert sum(report.confusion.counts) == report.scored_rows
    assert {one.name for one in report.baselines} >= {"majority", "tfidf_logistic_regression"}
    assert report.gate.accepted
    assert report.gate.checks
    assert report.chosen
    assert report.seconds["encode"] > 0
    head = client.heads.get(name)
    assert head.aliases == {"live": 1}
    version = client.heads.version(name)
    assert version.digest == job.head_digest
    assert version.lineage.job == job.name


def test_events_tell_the_story_once_and_in_order(client: Client) -> None:
    handle = client.adapt("adapt/watched", topics(), method="dense")
    events = list(handle.watch())
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    phases = [event.progress.phase for event in events]
    assert phases.index("encode") < phases.index("train")
    assert any(event.progress.loss is not None for event in events)
    assert events[-1].state == "succeeded"
    assert events[-1].job is not None
    assert events[-1].job.head_version == "adapt/watched@1"
    again = list(client.jobs.watch(handle.job.name, after=events[2].sequence))
    assert [event.sequence for event in again] == [event.sequence for event in events[3:]]


def test_the_same_request_id_is_the_same_job(client: Client) -> None:
    request_id = str(uuid.uuid4())
    first = client.adapt("adapt/once", topics(), request_id=request_id, wait=True, timeout=120).job
    second = client.adapt("adapt/once", topics(), request_id=request_id, wait=True, timeout=120).job
    assert first.name == second.name
    assert client.heads.get("adapt/once").latest_version == 1
    with pytest.raises(AlreadyExists) as caught:
        client.adapt("adapt/once", topics(("weather", "cooking")), request_id=request_id)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_dataset_grows_and_the_next_version_knows_more(client: Client) -> None:
    rows = topics()
    client.datasets.append("adapt/rows", rows[:24])
    first = client.adapt("adapt/grown", dataset="adapt/rows", wait=True, timeout=120).job
    assert client.datasets.append("adapt/rows", rows[24:]).dataset.rows == 36
    second = client.adapt("adapt/grown", dataset="adapt/rows", wait=True, timeout=120).job
    assert (first.dataset_rows, second.dataset_rows) == (24, 36)
    assert client.predict("The captain scored.", "adapt/grown@1")[0].label != "football"
    assert client.predict("The captain scored.", "adapt/grown")[0].label == "football"


def test_a_worse_head_is_kept_and_not_promoted(client: Client) -> None:
    good = topics()
    client.adapt("adapt/gated", good, wait=True, timeout=120)
    labels = [label for _, label in good]
    shuffled = [(text, labels[(index * 7 + 5) % len(labels)]) for index, (text, _) in enumerate(good)]
    job = client.adapt("adapt/gated", shuffled, wait=True, timeout=120).job
    assert job.state == "rejected"
    assert job.error is not None
    assert job.error.reason == "GATE_REFUSED"
    assert not job.report.gate.accepted
    assert job.report.gate.reason
    assert client.heads.get("adapt/gated").aliases == {"live": 1}
    assert not client.heads.version("adapt/gated@2").accepted
    forced = client.adapt("adapt/gated", shuffled, force=True, wait=True, timeout=120).job
    assert forced.state == "succeeded"
    assert forced.report.gate.forced
    assert client.heads.get("adapt/gated").aliases == {"live": 3}


def test_no_promote_and_another_alias(client: Client) -> None:
    client.adapt("adapt/aliases", topics(), promote=False, wait=True, timeout=120)
    assert client.heads.get("adapt/aliases").aliases == {}
    client.adapt("adapt/aliases", topics(), alias="canary", wait=True, timeout=120)
    assert client.heads.get("adapt/aliases").aliases == {"canary": 2}
    assert client.predict("Rain.", "adapt/aliases@canary").heads[0].name == "adapt/aliases@2"


def test_validation_examples_are_what_is_scored(client: Client) -> None:
    rows = topics()
    job = client.adapt("adapt/validated", rows[::2], validation=rows[1::2], wait=True, timeout=120).job
    assert job.report.scored_rows == 18


def test_a_running_job_is_cancelled_and_leaves_nothing(client: Client) -> None:
    many = [(f"{text} Take {number}.", label) for number in range(60) for text, label in topics()]
    handle = client.adapt("adapt/cancelled", many)
    while handle.refresh().state == "queued":
        time.sleep(0.02)
    handle.cancel()
    job = handle.wait(60)
    assert job.state == "cancelled"
    assert "adapt/cancelled" not in [head.name for head in client.heads.list("adapt")]
    assert client.adapt("adapt/after", topics(), wait=True, timeout=120).job.state == "succeeded"


def test_jobs_are_listed_newest_first_and_by_state(client: Client, server: Server) -> None:
    for number in range(3):
        client.adapt(f"listed/head-{number}", topics(), wait=True, timeout=120)
    assert [job.head for job in client.jobs.list("listed")] == [f"listed/head-{number}" for number in (2, 1, 0)]
    assert client.jobs.list("listed", states=["failed"]) == []
    assert len(client.jobs.list("listed", head="listed/head-1")) == 1
