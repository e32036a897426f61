"""Adapt as callers see it: what is refused at once, what is queued, and how a job is watched to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from candelabra import errors
from candelabra.adapt import service
from candelabra.adapt.service import Ask, Jobs, digest, parse_job
from candelabra.discovery import Found
from candelabra.general import GeneralDomain
from candelabra.limits import Limits
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.testing import TinyEncoder
from candelabra.types import (
    Example,
    JobInfo,
    JobState,
    Method,
    OwnedName,
    Progress,
    TaskKind,
    VersionDraft,
)

HEAD, ROWS = OwnedName("acme", "tickets"), OwnedName("acme", "rows")
EXAMPLES = [
    Example(f"The lamp of room {i} is {'on' if i % 2 else 'off'}.", ("on" if i % 2 else "off",)) for i in range(20)
]
ASK = Ask(head=HEAD, examples=EXAMPLES)


class House:
    def __init__(self, folder: Path) -> None:
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite3")
        self.draining = asyncio.Event()
        domains = {"general": Found(GeneralDomain(), "candelabra", "1")}
        limits = Limits(Settings(max_queued_jobs=3, max_inline_examples=50))
        self.jobs = Jobs(self.registry, domains, limits, TinyEncoder().info, self.draining)

    def run(self, *phases: str, state: JobState = JobState.FAILED) -> None:
        """Takes the next job and ends it."""
        job = self.registry.jobs.claim("worker", 60)
        assert job is not None
        for phase in phases:
            self.registry.jobs.progress(job.id, "worker", Progress(phase))
        self.registry.jobs.finish(job.id, "worker", state)
        self.jobs.happened.beat()

    def nothing_is_queued(self) -> bool:
        return not self.registry.jobs.list().items and not self.registry.datasets.list().items


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.registry.close()


async def test_a_job_is_durable_when_it_is_accepted(house: House) -> None:
    job = await house.jobs.start(replace(ASK, validation=EXAMPLES[:4], seed=7, promote=False, options={}))
    assert (job.state, job.spec.dataset_rows, job.spec.alias, job.spec.seed) == (JobState.QUEUED, 20, "live", 7)
    assert (job.spec.domain, job.spec.task, job.spec.promote) == ("general", "classification", False)
    assert await house.jobs.get(job.name) == job
    assert house.registry.datasets.examples(job.spec.dataset, 99) == EXAMPLES
    assert job.spec.validation is not None
    assert house.registry.datasets.examples(job.spec.validation, 99) == EXAMPLES[:4]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"domain": "law"}, errors.UnknownDomain),
        ({"task": "guess"}, errors.UnknownTask),
        ({"options": {"no_such": 1}}, errors.InvalidArgument),
        ({"alias": "7"}, errors.InvalidName),
        ({"request_id": "r" * 129}, errors.InvalidName),
        ({"examples": None}, errors.NoExamples),
        ({"examples": []}, errors.NoExamples),
        ({"examples": EXAMPLES * 3}, errors.LimitExceeded),
        ({"examples": EXAMPLES[::2]}, errors.TooFewLabels),
        ({"examples": [Example(" ", ("on",))]}, errors.InvalidText),
        ({"validation": [Example(" ", ("on",))]}, errors.InvalidText),
        ({"examples": None, "dataset": OwnedName("zeta", "rows")}, errors.InvalidArgument),
        ({"examples": None, "dataset": ROWS}, errors.DatasetNotFound),
    ],
)
async def test_what_could_never_succeed_is_refused_at_once(
    house: House, changes: dict[str, Any], wrong: type[errors.Error]
) -> None:
    with pytest.raises(wrong):
        await house.jobs.start(replace(ASK, **changes))
    assert house.nothing_is_queued()


async def test_a_head_of_another_task_is_not_overwritten(house: House) -> None:
    draft = VersionDraft(
        HEAD, "sha256:" + "a" * 64, "b", "general", "multi_label", TaskKind.MULTI_LABEL, "m", ("a",), 1
    )
    house.registry.heads.add(draft)
    with pytest.raises(errors.HeadMismatch):
        await house.jobs.start(ASK)
    assert house.nothing_is_queued()


async def test_a_dataset_counts_with_the_rows_that_it_has_now(house: House) -> None:
    house.registry.datasets.append(ROWS, EXAMPLES, "", 99)
    job = await house.jobs.start(Ask(head=HEAD, dataset=ROWS))
    house.registry.datasets.append(ROWS, EXAMPLES, "", 99)
    assert (job.spec.dataset, (await house.jobs.get(job.name)).spec.dataset_rows) == (ROWS, 20)


async def test_a_request_id_makes_one_job_and_only_of_one_request(house: House) -> None:
    asked = replace(ASK, request_id="r")
    first = await house.jobs.start(asked)
    assert (await house.jobs.start(asked)).id == first.id
    with pytest.raises(errors.RequestIdReused):
        await house.jobs.start(replace(asked, force=True))


async def test_what_was_checked_is_handed_on_and_not_to_a_request_that_comes_again(house: House) -> None:
    ask = Ask(head=HEAD, examples=EXAMPLES, request_id="once")
    job = await house.jobs.start(ask)
    await house.jobs.start(ask)
    found = house.jobs.checked.take(job.id, 0)
    assert found is not None
    assert list(found.texts) == [item.text for item in EXAMPLES]
    assert not house.jobs.checked._held


async def test_the_limit_of_jobs_is_kept(house: House) -> None:
    for _ in range(3):
        await house.jobs.start(ASK)
    with pytest.raises(errors.TooManyJobs):
        await house.jobs.start(ASK)


def test_every_part_of_a_request_counts_in_its_digest() -> None:
    changes: dict[str, object] = {
        "head": OwnedName("acme", "other"),
        "domain": "law",
        "task": "guess",
        "method": Method.DENSE,
        "options": {"ridge": 1.0},
        "examples": [*EXAMPLES[:-1], Example(EXAMPLES[-1].text, ("off",))],
        "dataset": ROWS,
        "validation": EXAMPLES,
        "alias": "canary",
        "promote": False,
        "force": True,
        "seed": 1,
        "request_id": "r",
        "gate": {"margin": 0.1},
        "strict": True,
        "label_descriptions": {"a": "the first"},
        "budget_seconds": 5.0,
        "self_training": 1,
    }
    assert set(changes) == {one.name for one in fields(Ask)}
    digests = {digest(replace(ASK, **{name: value})) for name, value in changes.items()}  # type: ignore[arg-type]
    assert len(digests | {digest(ASK)}) == len(changes) + 1
    assert digest(replace(ASK, examples=list(EXAMPLES))) == digest(ASK)
    assert digest(replace(ASK, examples=[Example("half \ud83d", ("a",))])) != digest(ASK)


@pytest.mark.parametrize("name", ["", "acme", "acme/abc", "acme/heads/abc", "acme/jobs/", "/jobs/abc", "A B/jobs/abc"])
def test_a_name_that_names_no_job_is_told_so(name: str) -> None:
    with pytest.raises(errors.InvalidName):
        parse_job(name)


def test_job_names() -> None:
    assert parse_job("acme/jobs/00ff") == ("acme", "00ff")
    with pytest.raises(errors.JobNotFound):
        parse_job("acme/jobs/a/b")


async def test_a_job_of_another_tenant_is_not_there(house: House) -> None:
    job = await house.jobs.start(ASK)
    for act in (house.jobs.get, house.jobs.cancel):
        with pytest.raises(errors.JobNotFound):
            await act(f"zeta/jobs/{job.id}")


async def watched(house: House, name: str, after: int = 0) -> list[tuple[int, str, JobInfo | None]]:
    return [(event.sequence, event.progress.phase, job) async for event, job in house.jobs.watch(name, after)]


async def test_an_ended_job_is_watched_from_its_beginning(house: House) -> None:
    job = await house.jobs.start(ASK)
    house.run("encode", "train")
    seen = await asyncio.wait_for(watched(house, job.name), 5)
    assert [one[:2] for one in seen] == [(1, "queued"), (2, "queued"), (3, "encode"), (4, "train"), (5, "done")]
    assert [one[2] for one in seen[:-1]] == [None] * 4
    assert seen[-1][2] == await house.jobs.get(job.name)
    assert [one[0] for one in await watched(house, job.name, after=3)] == [4, 5]
    assert await watched(house, job.name, after=5) == []
    with pytest.raises(errors.InvalidArgument):
        await watched(house, job.name, after=-1)


async def test_a_watcher_is_woken_by_what_happens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_SECONDS", 60)
    job = await house.jobs.start(ASK)
    watching = asyncio.create_task(watched(house, job.name))
    await asyncio.sleep(0.05)
    assert not watching.done()
    await asyncio.to_thread(house.run, "encode")
    seen = await asyncio.wait_for(watching, 5)
    assert [one[0] for one in seen] == [1, 2, 3, 4]


async def test_a_job_that_ends_between_two_reads_is_told_as_it_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await house.jobs.start(ASK)
    read, late = house.registry.jobs.events, [True]

    def events(*args: Any) -> Any:
        if late and late.pop():  # the watcher has just seen the job running
            house.run("encode")
        return read(*args)

    monkeypatch.setattr(house.registry.jobs, "events", events)
    seen = await asyncio.wait_for(watched(house, job.name), 5)
    assert seen[-1][2] == await house.jobs.get(job.name)


async def test_many_events_are_told_in_parts_and_none_is_left_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVENTS_AT_ONCE", 2)
    job = await house.jobs.start(ASK)
    house.run("a", "b", "c")
    seen = await asyncio.wait_for(watched(house, job.name), 5)
    assert [one[0] for one in seen] == [1, 2, 3, 4, 5, 6]
    assert [one[2] is not None for one in seen] == [False] * 5 + [True]


async def test_draining_lets_watchers_and_waiters_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_SECONDS", 0.02)
    job = await house.jobs.start(ASK)
    tasks = [asyncio.create_task(watched(house, job.name)), asyncio.create_task(house.jobs.wait(job, None))]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    house.draining.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_waiting_ends_with_the_job_or_with_the_time(house: House) -> None:
    job = await house.jobs.start(ASK)
    assert (await house.jobs.wait(job, 0.02)).state is JobState.QUEUED
    waiting = asyncio.create_task(house.jobs.wait(job, 60))
    await asyncio.sleep(0.02)
    await house.jobs.cancel(job.name)
    assert (await asyncio.wait_for(waiting, 5)).state is JobState.CANCELLED


async def test_the_worker_hears_of_new_jobs_and_of_cancels(house: House) -> None:
    for act in (lambda: house.jobs.start(ASK), lambda: house.jobs.cancel(house.registry.jobs.list().items[0].name)):
        hearing = asyncio.create_task(house.jobs.asked.wait(60))
        await asyncio.sleep(0)
        await act()
        await asyncio.wait_for(hearing, 1)
