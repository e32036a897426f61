"""Forgetting as a use case on a real registry: what retires when, which jobs begin, and what a restart takes up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from candelabra.adapt.care import Forgetting
from candelabra.adapt.keeper import Keeper
from candelabra.adapt.service import Ask, Jobs
from candelabra.discovery import Found
from candelabra.engine.feature_cache import FeatureCache
from candelabra.general import GeneralDomain
from candelabra.heads.store import HeadStore
from candelabra.limits import Limits
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.testing import TinyEncoder
from candelabra.types import Example, HeadRef, JobInfo, JobState, Method, OwnedName, TaskKind, VersionDraft, VersionInfo

HEAD, ROWS = OwnedName("acme", "lamps"), OwnedName("acme", "rows")
EXAMPLES = [
    Example(f"The lamp of room {i} is {'on' if i % 2 else 'off'}.", ("on" if i % 2 else "off",), id=f"row-{i}")
    for i in range(20)
]


class Silent:
    """Reads nothing: statistics and the cache have tests of their own."""

    async def tokenize(self, what: Any) -> Sequence[Any]:
        return []


class House:
    def __init__(self, folder: Path) -> None:
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite3")
        self.limits, self.info = Limits(Settings()), TinyEncoder().info
        domains = {"general": Found(GeneralDomain(), "candelabra", "1")}
        self.jobs = Jobs(self.registry, domains, self.limits, self.info, asyncio.Event())
        self.store = HeadStore(folder)
        self.keeper = Keeper(self.registry, folder / "kept")
        self.gone: list[str] = []
        self.folder = folder
        self.registry.datasets.append(ROWS, EXAMPLES)

    def forgetting(self) -> Forgetting:
        return Forgetting(
            registry=self.registry,
            jobs=self.jobs,
            keeper=self.keeper,
            store=self.store,
            refresh=lambda: None,
            encoder=Silent(),  # type: ignore[arg-type]
            cache=FeatureCache(0),
            backbone=self.info,
            limits=self.limits,
            folder=self.folder / "certificates",
            retired=self.gone.append,
        )

    def publish(self, alias: str | None = "live") -> VersionInfo:
        """Takes the next job and ends it with a version."""
        job = self.registry.jobs.claim("worker", 60)
        assert job is not None
        digest = self.store.put(job.id.encode())
        draft = VersionDraft(
            job.spec.head, digest, self.info.fingerprint, job.spec.domain, job.spec.task, TaskKind.ENTITIES,
            "closed_form", ("on", "off"), 1, True, str(job.spec.dataset), job.spec.dataset_rows, job.name,
        )  # fmt: skip
        version, _ = self.registry.jobs.publish(job.id, "worker", draft, alias, JobState.SUCCEEDED, None)
        return version

    def refuse(self) -> None:
        job = self.registry.jobs.claim("worker", 60)
        assert job is not None
        self.registry.jobs.finish(job.id, "worker", JobState.REJECTED)

    async def train(self, alias: str | None = "live") -> VersionInfo:
        await self.jobs.start(Ask(head=HEAD, dataset=ROWS, method=Method.CLOSED_FORM, seed=7))
        return self.publish(alias)

    def queued(self) -> list[JobInfo]:
        return list(self.registry.jobs.list(states=[JobState.QUEUED]).items)

    def retired(self, number: int) -> str:
        return self.registry.heads.version(HeadRef(HEAD, number)).retired


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_idle_versions_go_at_once_with_their_files_and_served_ones_after_their_refit(house: House) -> None:
    idle, served = await house.train(None), await house.train()
    forgetting = house.forgetting()
    done = await forgetting(ROWS, ["row-3"], [], "", False)
    assert house.gone == [idle.name]
    assert not (await asyncio.to_thread(house.store._path, idle.digest, ".safetensors")).exists()
    (job,) = house.queued()
    assert list(done.jobs) == [job.name]
    assert (job.spec.method, job.spec.seed, job.spec.force, job.spec.alias) == (Method.CLOSED_FORM, 7, False, "live")
    await forgetting.settle()
    assert not house.retired(served.version)
    house.publish()
    await forgetting.settle()
    assert "forgotten" in house.retired(served.version)
    assert house.gone == [idle.name, served.name]


async def test_a_refused_refit_leaves_the_old_version_until_its_alias_moves(house: House) -> None:
    served = await house.train()
    forgetting = house.forgetting()
    await forgetting(ROWS, ["row-3"], [], "", False)
    house.refuse()
    await forgetting.settle()
    assert not house.retired(served.version)
    assert not house.queued()
    house.registry.heads.delete_alias(HEAD, "live")
    await forgetting.settle()
    assert house.retired(served.version)


async def test_a_restart_takes_up_what_was_open_and_starts_no_second_job(house: House) -> None:
    served = await house.train()
    await house.forgetting()(ROWS, ["row-3"], [], "", False)
    anew = house.forgetting()
    await anew.resume()
    assert len(house.queued()) == 1
    house.publish()
    await anew.settle()
    assert house.retired(served.version)


async def test_a_crash_right_after_the_rows_were_gone_is_made_good(house: House) -> None:
    served = await house.train()
    house.registry.datasets.forget(ROWS, ["row-3"])
    await house.forgetting().resume()
    assert [job.spec.head for job in house.queued()] == [served.head]


async def test_what_trainings_left_goes_before_a_refit_begins(house: House) -> None:
    """Also in the other datasets that lost a row, and where the request comes again after a crash."""
    await house.train()
    other = OwnedName("acme", "others")
    house.registry.datasets.append(other, EXAMPLES[:4])
    for again in range(2):
        for name in (ROWS, other):
            loan = house.keeper.lend(name, house.folder / f"{name.name}-{again}")
            (loan.at / "sums").write_text("of a forgotten row")
            house.keeper.take_back(loan)
        await house.forgetting()(ROWS, [], [EXAMPLES[3].text], "once", True)
        assert not [path for path in house.keeper.folder.rglob("*") if path.is_file()]


async def test_a_request_that_comes_again_is_answered_the_same(house: House) -> None:
    await house.train()
    first = await house.forgetting()(ROWS, ["row-3"], [], "once", False)
    house.publish()
    again = await house.forgetting()(ROWS, ["row-3"], [], "once", False)
    assert again == replace(first, dataset=again.dataset)
    assert not house.queued()


async def test_what_cannot_be_trained_again_does_not_keep_rows_from_being_forgotten(house: House) -> None:
    served = await house.train()
    done = await house.forgetting()(ROWS, [item.id for item in EXAMPLES], [], "", False)
    assert (done.forgotten, done.dataset.rows, list(done.jobs)) == (20, 0, [])
    assert not house.retired(served.version)


async def test_versions_made_after_are_not_touched(house: House) -> None:
    forgetting = house.forgetting()
    await forgetting(ROWS, ["row-3"], [], "", False)
    await house.train()
    await forgetting.resume()
    assert not house.queued()
    assert not house.gone
