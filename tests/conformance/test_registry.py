"""What a registry must do, run on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import create_engine, text
from sqlalchemy.types import TypeEngine

from candelabra import errors
from candelabra.registry import Beat, Registry, jobrows
from candelabra.registry.schema import metadata
from candelabra.types import (
    Example,
    Failure,
    HeadRef,
    JobSpec,
    JobState,
    Method,
    OwnedName,
    Page,
    Progress,
    TaskKind,
    VersionDraft,
)

T = TypeVar("T")
HEAD = OwnedName("acme", "tickets")
ROWS = OwnedName("acme", "rows")
THREADS = 6


def draft(head: OwnedName = HEAD, digest: str = "a", **changes: object) -> VersionDraft:
    made = VersionDraft(
        head=head,
        digest=f"sha256:{digest * 64}",
        backbone="minilm:1",
        domain="general",
        task="classification",
        kind=TaskKind.SINGLE_LABEL,
        method="closed_form",
        labels=("café ☕", "tea"),
        bytes=1234,
        report={"accuracy": 0.5, "quote": "naïve 😀"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def examples(number: int, start: int = 0) -> list[Example]:
    return [
        Example(f"The kettle number {i} whistles.", ("tea" if i % 2 else "coffee",))
        for i in range(start, start + number)
    ]


def spec(tenant: str = "acme", job: str = "1", **changes: object) -> JobSpec:
    made = JobSpec(
        head=OwnedName(tenant, "tickets"),
        domain="general",
        task="classification",
        method=Method.DENSE,
        dataset=OwnedName(tenant, f"job-{job}"),
        dataset_rows=2,
        options={"hidden": 16},
        seed=2**64 - 1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def start(registry: Registry, job: str = "1", tenant: str = "acme", **changes: object) -> str:
    _, new = registry.jobs.create(job, spec(tenant, job, **changes), "digest", examples(2), None, 1000)
    assert new
    return job


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Runs the same work in threads that begin at one moment."""
    gate = threading.Barrier(threads)

    def one(index: int) -> T:
        gate.wait()
        return work(index)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def every_page(read: Callable[[str], Page[T]]) -> list[T]:
    token, found = "", list[T]()
    while True:
        page = read(token)
        found += page.items
        if not (token := page.next_token):
            return found


# Opening


def test_the_migrations_make_the_schema(registry: Registry, url: str) -> None:
    def differs(context: Any, _found: Any, _wanted: Any, found: TypeEngine[Any], wanted: TypeEngine[Any]) -> bool:
        return found.compile(context.dialect) != wanted.compile(context.dialect)

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": differs})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_opening_again_keeps_everything(url: str) -> None:
    with Registry.open(url) as first:
        made = first.heads.add(draft(), "live")
    with Registry.open(url) as second:
        assert second.heads.version(HeadRef(HEAD)) == made


def test_servers_may_start_at_once(url: str) -> None:
    opened = together(lambda _: Registry.open(url), threads=4)
    opened[0].heads.add(draft())
    assert [registry.revision() for registry in opened] == [1, 1, 1, 1]
    for registry in opened:
        registry.close()


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    Registry.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(errors.Precondition, match="9999"):
        Registry.open(url)


# Heads


def test_a_version_is_read_as_it_was_written(registry: Registry) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    wanted = draft(accepted=False, dataset="acme/rows", dataset_rows=7, job="acme/jobs/1")
    made = registry.heads.add(wanted)
    assert registry.heads.version(HeadRef(HEAD, 1)) == made
    for field in VersionDraft.__slots__:
        assert getattr(made, field) == getattr(wanted, field), field
    assert before < made.created < before + timedelta(minutes=2)
    assert made.created.tzinfo is UTC


def test_versions_count_up_and_aliases_point(registry: Registry) -> None:
    assert [registry.heads.add(draft(), "live").version for _ in range(3)] == [1, 2, 3]
    registry.heads.set_alias(HeadRef(HEAD, 1), "canary")
    info = registry.heads.set_alias(HeadRef(HEAD, "canary"), "stable")
    assert (info.aliases, info.latest, info.count) == ({"live": 3, "canary": 1, "stable": 1}, 3, 3)
    assert registry.heads.get(HEAD) == info
    assert registry.heads.version(HeadRef(HEAD, "canary")).version == 1


def test_what_is_not_there_is_named(registry: Registry) -> None:
    with pytest.raises(errors.HeadNotFound):
        registry.heads.get(HEAD)
    registry.heads.add(draft(), "live")
    with pytest.raises(errors.VersionNotFound, match="tickets@2"):
        registry.heads.version(HeadRef(HEAD, 2))
    with pytest.raises(errors.AliasNotFound, match="live"):
        registry.heads.version(HeadRef(HEAD, "canary"))
    with pytest.raises(errors.VersionNotFound):
        registry.heads.set_alias(HeadRef(HEAD, 2), "live")
    with pytest.raises(errors.AliasNotFound):
        registry.heads.delete_alias(HEAD, "canary")
    with pytest.raises(errors.AliasNotFound):
        registry.heads.roll_back(HEAD, "canary")


def test_a_head_keeps_its_domain_and_task(registry: Registry) -> None:
    registry.heads.add(draft())
    with pytest.raises(errors.HeadMismatch):
        registry.heads.add(draft(domain="legal"))
    with pytest.raises(errors.HeadMismatch):
        registry.heads.add(draft(task="other"))
    assert registry.heads.get(HEAD).count == 1
    assert registry.revision() == 1


def test_an_alias_moves_only_from_where_it_is_expected(registry: Registry) -> None:
    for _ in range(2):
        registry.heads.add(draft())
    registry.heads.set_alias(HeadRef(HEAD, 1), "live", expected=0)
    for wrong in (0, 2):
        with pytest.raises(errors.AliasMoved):
            registry.heads.set_alias(HeadRef(HEAD, 2), "live", expected=wrong)
    assert registry.heads.set_alias(HeadRef(HEAD, 2), "live", expected=1).aliases == {"live": 2}


def test_rolling_back_goes_down_and_passes_over_what_was_deleted(registry: Registry) -> None:
    for _ in range(4):
        registry.heads.add(draft(), "live")
    registry.heads.delete(HEAD, 3)
    assert registry.heads.roll_back(HEAD, "live").aliases == {"live": 2}
    assert registry.heads.roll_back(HEAD, "live").aliases == {"live": 1}
    with pytest.raises(errors.NoEarlierVersion):
        registry.heads.roll_back(HEAD, "live")
    assert registry.heads.get(HEAD).aliases == {"live": 1}


def test_an_alias_made_anew_has_no_past(registry: Registry) -> None:
    for _ in range(2):
        registry.heads.add(draft(), "live")
    assert registry.heads.delete_alias(HEAD, "live").aliases == {}
    registry.heads.set_alias(HeadRef(HEAD, 2), "live")
    with pytest.raises(errors.NoEarlierVersion):
        registry.heads.roll_back(HEAD, "live")


def test_a_version_in_use_is_not_deleted(registry: Registry) -> None:
    registry.heads.add(draft(), "live")
    registry.heads.add(draft(digest="b"))
    with pytest.raises(errors.HeadInUse, match="live"):
        registry.heads.delete(HEAD, 1)
    assert [gone.name for gone in registry.heads.delete(HEAD, 2)] == ["acme/tickets@2"]
    assert registry.heads.digests() == {draft().digest}
    assert registry.heads.get(HEAD).latest == 1


def test_version_numbers_never_come_again(registry: Registry) -> None:
    for _ in range(3):
        registry.heads.add(draft(), "live")
    assert [gone.version for gone in registry.heads.delete(HEAD)] == [1, 2, 3]
    with pytest.raises(errors.HeadNotFound):
        registry.heads.get(HEAD)
    assert registry.heads.list().items == ()
    assert registry.heads.digests() == set()
    anew = registry.heads.add(draft(domain="legal"), "live")
    assert (anew.version, anew.domain) == (4, "legal")
    with pytest.raises(errors.NoEarlierVersion):
        registry.heads.roll_back(HEAD, "live")


def test_lists_are_complete_in_pages(registry: Registry) -> None:
    names = [OwnedName(tenant, f"head-{i}") for tenant in ("acme", "zeta") for i in range(5)]
    for name in names:
        registry.heads.add(draft(name), "live")
    for _ in range(6):
        registry.heads.add(draft(names[0]))
    found = every_page(lambda token: registry.heads.list(None, 3, token))
    assert [info.head for info in found] == names
    assert (found[0].count, found[0].latest, found[1].count) == (7, 7, 1)
    assert [info.head for info in every_page(lambda token: registry.heads.list("zeta", 2, token))] == names[5:]
    versions = every_page(lambda token: registry.heads.versions(names[0], 2, token))
    assert [version.version for version in versions] == [7, 6, 5, 4, 3, 2, 1]
    assert versions[0].report == {}


@pytest.mark.parametrize("token", ["?", "AAAA", "WyJoZWFkcyJd", "WyJoZWFkcyIsMSwyXQ", "é", "[" * 5000, "bnVsbA", "W10"])
def test_a_made_up_page_token_is_refused(registry: Registry, token: str) -> None:
    reads: Sequence[Callable[[], object]] = (
        lambda: registry.heads.list(None, 1, token),
        lambda: registry.heads.versions(HEAD, 1, token),
        lambda: registry.datasets.list(None, 1, token),
        lambda: registry.jobs.list(page_token=token),
    )
    for read in reads:
        with pytest.raises(errors.InvalidPageToken):
            read()


def test_every_change_of_heads_is_seen_by_others(url: str) -> None:
    with Registry.open(url) as ours, Registry.open(url) as others:
        steps: Sequence[Callable[[], object]] = (
            lambda: others.heads.add(draft()),
            lambda: others.heads.add(draft(OwnedName("zeta", "h")), "live"),
            lambda: others.heads.set_alias(HeadRef(HEAD, 1), "live"),
            lambda: others.heads.add(draft(), "live"),
            lambda: others.heads.roll_back(HEAD, "live"),
            lambda: others.heads.delete(HEAD, 2),
            lambda: others.heads.delete_alias(HEAD, "live"),
            lambda: others.heads.delete(HEAD),
            lambda: others.heads.add(draft(), "live"),
        )
        mirror: dict[OwnedName, object] = {}
        seen = ours.revision()
        for step in steps:
            step()
            assert ours.revision() > seen
            changes = ours.heads.changes(seen)
            seen = changes.revision
            assert len(changes.heads) + len(changes.gone) == 1
            mirror |= {info.head: (info, versions) for info, versions in changes.heads}
            for name in changes.gone:
                del mirror[name]
            revision, everything = ours.heads.snapshot()
            assert revision == seen
            assert mirror == {info.head: (info, versions) for info, versions in everything}
        assert sorted(map(str, mirror)) == ["acme/tickets", "zeta/h"]


def test_alias_moves_at_once_lose_nothing(registry: Registry) -> None:
    for _ in range(THREADS):
        registry.heads.add(draft())
    registry.heads.set_alias(HeadRef(HEAD, 1), "live")

    def increment(_: int) -> None:
        for _ in range(3):
            while True:
                now = registry.heads.get(HEAD).aliases.get("count", 0)
                try:
                    registry.heads.set_alias(HeadRef(HEAD, now % THREADS + 1), "count", expected=now)
                    break
                except errors.AliasMoved:
                    continue

    together(increment, threads=3)
    # 9 moves, each exactly one further than the one before.
    assert registry.heads.get(HEAD).aliases["count"] == (3 * 3 - 1) % THREADS + 1
    assert registry.revision() == THREADS + 1 + 9


def test_versions_made_at_once_have_different_numbers(registry: Registry, url: str) -> None:
    """By several servers, that share nothing but the database."""

    def work(index: int) -> list[int]:
        with Registry.open(url) as server:
            return [server.heads.add(draft(), f"alias-{index}").version for _ in range(5)]

    made = together(work)
    assert sorted(number for numbers in made for number in numbers) == list(range(1, 5 * THREADS + 1))
    assert registry.heads.get(HEAD).aliases == {f"alias-{i}": numbers[-1] for i, numbers in enumerate(made)}


class AliasMachine(RuleBasedStateMachine):
    """Aliases, roll-backs and deletions, against a model of a few lines."""

    registry: Registry
    numbers = count(1)

    @initialize()
    def begin(self) -> None:
        self.head = OwnedName("machine", f"h{next(self.numbers)}")
        self.made, self.alive = 0, set[int]()
        self.stacks: dict[str, list[int]] = {}
        self.add(None)

    names = st.sampled_from(["live", "canary"])

    @rule(alias=st.none() | names)
    def add(self, alias: str | None) -> None:
        self.made += 1
        assert self.registry.heads.add(draft(self.head), alias).version == self.made
        self.alive.add(self.made)
        if alias:
            self._push(alias, self.made)

    @rule(alias=names, number=st.integers(1, 8))
    def point(self, alias: str, number: int) -> None:
        ref = HeadRef(self.head, number)
        if number in self.alive:
            self.registry.heads.set_alias(ref, alias)
            self._push(alias, number)
        else:
            with pytest.raises(errors.NotFound):
                self.registry.heads.set_alias(ref, alias)

    @rule(alias=names)
    def roll_back(self, alias: str) -> None:
        stack = self.stacks.get(alias, [])
        rest = list(stack)
        while rest and (rest[-1] not in self.alive or rest[-1] == stack[-1]):
            rest.pop()
        if rest:
            self.registry.heads.roll_back(self.head, alias)
            self.stacks[alias] = rest
        else:
            with pytest.raises(errors.Error):
                self.registry.heads.roll_back(self.head, alias)

    @rule(alias=names)
    def delete_alias(self, alias: str) -> None:
        if self.stacks.pop(alias, None):
            self.registry.heads.delete_alias(self.head, alias)

    @rule(number=st.integers(1, 8))
    def delete(self, number: int) -> None:
        free = number in self.alive and all(stack[-1] != number for stack in self.stacks.values())
        if free:
            self.registry.heads.delete(self.head, number)
            self.alive.remove(number)
        else:
            with pytest.raises(errors.Error):
                self.registry.heads.delete(self.head, number)

    @rule()
    def delete_all(self) -> None:
        self.registry.heads.delete(self.head)
        self.alive, self.stacks = set(), {}
        self.add("live")

    @invariant()
    def agree(self) -> None:
        info = self.registry.heads.get(self.head)
        assert info.aliases == {alias: stack[-1] for alias, stack in self.stacks.items()}
        assert (info.count, info.latest) == (len(self.alive), max(self.alive, default=0))

    def _push(self, alias: str, number: int) -> None:
        stack = self.stacks.setdefault(alias, [])
        if not stack or stack[-1] != number:
            stack.append(number)


def test_aliases_behave_like_their_model(registry: Registry) -> None:
    made = type("Machine", (AliasMachine,), {"registry": registry})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


# Datasets


def test_examples_come_back_in_order(registry: Registry) -> None:
    odd = [Example("Ünïcödé 😀 \u202e \x01 'quoted' %s", ("ä", "b")), Example("none", ())]
    info, appended = registry.datasets.append(ROWS, odd, "", 10_000)
    assert (info.rows, appended, info.label_counts) == (2, 2, {"ä": 1, "b": 1})
    info, appended = registry.datasets.append(ROWS, iter(examples(2500)), "", 10_000)
    assert (info.rows, appended) == (2502, 2500)
    assert registry.datasets.examples(ROWS, 1500) == odd + examples(1498)
    assert registry.datasets.examples(ROWS, 10**9) == odd + examples(2500)
    assert registry.datasets.get(ROWS) == info


def test_a_request_id_appends_once(registry: Registry) -> None:
    first = registry.datasets.append(ROWS, examples(3), "r1", 100)
    registry.datasets.append(ROWS, examples(4), "r2", 100)
    assert registry.datasets.append(ROWS, examples(3), "r1", 100) == first
    assert registry.datasets.get(ROWS).rows == 7
    with pytest.raises(errors.RequestIdReused):
        registry.datasets.append(ROWS, examples(5), "r1", 100)
    registry.datasets.append(ROWS, examples(1), "", 100)
    registry.datasets.append(ROWS, examples(1), "", 100)
    assert registry.datasets.get(ROWS).rows == 9
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.append(ROWS, examples(1), "r" * 5000, 100)


def test_a_dataset_over_its_limit_stays_as_it_was(registry: Registry) -> None:
    registry.datasets.append(ROWS, examples(3), "", 5)
    with pytest.raises(errors.LimitExceeded) as refused:
        registry.datasets.append(ROWS, examples(3), "r", 5)
    assert refused.value.metadata == {"limit": "max_dataset_rows", "maximum": "5", "actual": "6"}
    assert registry.datasets.examples(ROWS, 99) == examples(3)
    with pytest.raises(errors.LimitExceeded):
        registry.datasets.append(OwnedName("acme", "new"), examples(6), "", 5)
    with pytest.raises(errors.DatasetNotFound):
        registry.datasets.get(OwnedName("acme", "new"))


def test_a_source_that_fails_leaves_nothing(registry: Registry) -> None:
    def broken() -> Iterator[Example]:
        yield from examples(2)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        registry.datasets.append(ROWS, broken(), "r", 100)
    with pytest.raises(errors.DatasetNotFound):
        registry.datasets.get(ROWS)


@pytest.mark.parametrize("bad", ["a\0b", "half \ud83d"])
def test_what_cannot_be_stored_is_refused(registry: Registry, bad: str) -> None:
    writes: Sequence[Callable[[], object]] = (
        lambda: registry.datasets.append(ROWS, [Example(bad, ("x",))], "", 100),
        lambda: registry.datasets.append(ROWS, [Example("x", (bad,))], "", 100),
        lambda: registry.datasets.append(ROWS, examples(1), bad, 100),
        lambda: registry.heads.get(OwnedName("acme", bad)),
        lambda: registry.heads.add(draft(), bad),
        lambda: registry.jobs.get("acme", bad),
        lambda: registry.jobs.create("1", spec(request_id=bad), "d", examples(1), None, 9),
    )
    for write in writes:
        with pytest.raises(errors.InvalidText):
            write()
    assert registry.datasets.list().items == ()
    assert registry.jobs.list().items == ()
    assert registry.heads.list().items == ()


def test_datasets_are_listed_and_deleted(registry: Registry) -> None:
    names = [OwnedName(tenant, f"d{i}") for tenant in ("acme", "zeta") for i in range(4)]
    for name in names:
        registry.datasets.append(name, examples(1), "r", 10)
    start(registry)
    assert [info.name for info in every_page(lambda token: registry.datasets.list(None, 3, token))] == names
    assert [info.name for info in registry.datasets.list("zeta", 9).items] == names[4:]
    registry.datasets.delete(names[0])
    for gone in (lambda: registry.datasets.get(names[0]), lambda: registry.datasets.examples(names[0], 1)):
        with pytest.raises(errors.DatasetNotFound):
            gone()
    assert registry.datasets.append(names[0], examples(2), "r", 10)[0].rows == 2


def test_appends_at_once_lose_nothing(registry: Registry) -> None:
    def work(index: int) -> None:
        for i in range(4):
            registry.datasets.append(ROWS, examples(7, start=index * 1000 + i * 7), f"{index}/{i}", 10_000)

    together(work)
    found = registry.datasets.examples(ROWS, 10_000)
    wanted = [row for index in range(THREADS) for row in examples(28, start=index * 1000)]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert registry.datasets.get(ROWS).rows == len(wanted)
    assert sum(registry.datasets.get(ROWS).label_counts.values()) == len(wanted)


def test_one_request_id_from_many_sides_appends_once(registry: Registry) -> None:
    answers = together(lambda _: registry.datasets.append(ROWS, examples(5), "same", 100))
    assert all(answer == answers[0] for answer in answers)
    assert registry.datasets.get(ROWS).rows == 5


# Jobs


def test_a_job_is_read_as_it_was_written(registry: Registry) -> None:
    asked = spec(validation=OwnedName("acme", "job-1-validation"), request_id="r", promote=False, force=True)
    made, new = registry.jobs.create("1", asked, "d", examples(2), examples(3), 9)
    assert new
    assert (made.spec, made.state, made.attempt, made.progress) == (asked, JobState.QUEUED, 0, Progress("queued"))
    assert registry.jobs.get("acme", "1") == made
    assert registry.datasets.examples(asked.dataset, 9) == examples(2)
    assert registry.datasets.examples(OwnedName("acme", "job-1-validation"), 9) == examples(3)
    with pytest.raises(errors.JobNotFound):
        registry.jobs.get("zeta", "1")


def test_hidden_datasets_do_not_grow_and_are_kept_while_needed(registry: Registry) -> None:
    start(registry)
    hidden = OwnedName("acme", "job-1")
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.append(hidden, examples(1), "", 9)
    with pytest.raises(errors.DatasetInUse):
        registry.datasets.delete(hidden)
    registry.jobs.cancel("acme", "1")
    registry.datasets.delete(hidden)


def test_a_job_needs_its_dataset(registry: Registry) -> None:
    with pytest.raises(errors.DatasetNotFound):
        registry.jobs.create("1", spec(dataset=ROWS), "d", None, None, 9)
    registry.datasets.append(ROWS, examples(2), "", 9)
    registry.jobs.create("1", spec(dataset=ROWS), "d", None, None, 9)
    with pytest.raises(errors.DatasetInUse, match="jobs/1"):
        registry.datasets.delete(ROWS)


def test_a_request_id_makes_one_job(registry: Registry) -> None:
    def ask(job: str, digest: str = "d", tenant: str = "acme", request: str = "r") -> tuple[str, bool]:
        made, new = registry.jobs.create(job, spec(tenant, job, request_id=request), digest, examples(1), None, 9)
        return made.id, new

    assert ask("1") == ("1", True)
    assert ask("2") == ("1", False)
    with pytest.raises(errors.RequestIdReused, match="jobs/1"):
        ask("3", digest="other")
    assert ask("4", tenant="zeta") == ("4", True)
    assert ask("5", request="") == ("5", True)
    assert ask("6", request="") == ("6", True)
    assert len(registry.jobs.list().items) == 4


def test_one_request_id_from_many_sides_makes_one_job(registry: Registry) -> None:
    def ask(index: int) -> tuple[str, bool]:
        asked = spec(job=str(index), request_id="same")
        made, new = registry.jobs.create(str(index), asked, "d", examples(3), None, 9)
        return made.id, new

    answers = together(ask)
    assert len({job for job, _ in answers}) == 1
    assert [new for _, new in answers].count(True) == 1


def test_a_tenant_has_only_so_many_jobs(registry: Registry) -> None:
    def ask(index: int) -> bool:
        try:
            registry.jobs.create(str(index), spec(job=str(index)), "d", examples(1), None, 4)
        except errors.TooManyJobs:
            return False
        return True

    assert together(ask, threads=8).count(True) == 4
    start(registry, "z", tenant="zeta")
    first = registry.jobs.list("acme").items[0]
    registry.jobs.cancel("acme", first.id)
    assert ask(99)


def test_jobs_are_listed_newest_first(registry: Registry) -> None:
    for i in range(5):
        start(registry, str(i), tenant="acme" if i % 2 else "zeta")
    registry.jobs.cancel("acme", "1")
    assert [job.id for job in every_page(lambda token: registry.jobs.list(page_size=2, page_token=token))] == list(
        "43210"
    )
    assert [job.id for job in registry.jobs.list("acme").items] == ["3", "1"]
    assert [job.id for job in registry.jobs.list(states=[JobState.CANCELLED]).items] == ["1"]
    assert [job.id for job in registry.jobs.list(head=OwnedName("zeta", "tickets")).items] == ["4", "2", "0"]
    assert registry.jobs.list(head=OwnedName("zeta", "other")).items == ()
    assert registry.jobs.counts() == {
        **dict.fromkeys(JobState, 0),
        JobState.QUEUED: 4,
        JobState.CANCELLED: 1,
    }


def test_claims_are_fair_between_tenants(registry: Registry) -> None:
    for i in range(3):
        start(registry, f"a{i}")
    start(registry, "z0", tenant="zeta")
    claimed = [registry.jobs.claim("worker", 60) for _ in range(5)]
    assert [job.id if job else None for job in claimed] == ["a0", "z0", "a1", "a2", None]
    assert claimed[0] is not None
    assert (claimed[0].state, claimed[0].attempt) == (JobState.RUNNING, 1)
    assert claimed[0].started is not None


def test_no_job_is_claimed_twice(registry: Registry, url: str) -> None:
    """By workers of several servers, that share nothing but the database."""
    for i in range(20):
        start(registry, str(i), tenant=f"t{i % 3}")

    def work(index: int) -> list[str]:
        with Registry.open(url) as server:
            return [job.id for _ in range(20) if (job := server.jobs.claim(f"worker-{index}", 60))]

    claimed = [job for jobs in together(work) for job in jobs]
    assert sorted(claimed, key=int) == [str(i) for i in range(20)]


def test_a_silent_worker_loses_its_job(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("first", 0)
    again = registry.jobs.claim("second", 60)
    assert again is not None
    assert again.attempt == 2
    assert registry.jobs.heartbeat("1", "first", 60) == Beat(owned=False)
    assert registry.jobs.heartbeat("1", "second", 60) == Beat(owned=True)
    writes: Sequence[Callable[[], object]] = (
        lambda: registry.jobs.progress("1", "first", Progress("train")),
        lambda: registry.jobs.finish("1", "first", JobState.FAILED, None, None),
        lambda: registry.jobs.publish("1", "first", draft(), "live", JobState.SUCCEEDED),
    )
    for write in writes:
        with pytest.raises(errors.JobTakenOver):
            write()
    assert registry.jobs.claim("third", 60) is None
    assert registry.heads.list().items == ()


def test_a_heartbeat_keeps_the_job_and_tells_of_a_cancel(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 0)
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=True, cancel=False)
    assert registry.jobs.claim("other", 60) is None
    assert registry.jobs.cancel("acme", "1").state is JobState.RUNNING
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=True, cancel=True)
    ended = registry.jobs.finish("1", "worker", JobState.CANCELLED, Failure("CANCELLED", "Asked to."), {})
    assert (ended.state, ended.cancel_requested, ended.ended is None) == (JobState.CANCELLED, True, False)
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=False)
    assert registry.jobs.cancel("acme", "1") == ended


def test_a_waiting_job_is_cancelled_at_once(registry: Registry) -> None:
    start(registry)
    ended = registry.jobs.cancel("acme", "1")
    assert ended.state is JobState.CANCELLED
    assert ended.failure is not None
    assert registry.jobs.claim("worker", 60) is None
    with pytest.raises(errors.JobNotFound):
        registry.jobs.cancel("zeta", "1")


def test_a_cancelled_job_whose_worker_died_ends(registry: Registry) -> None:
    start(registry, "1")
    registry.jobs.claim("dead", 0)
    registry.jobs.cancel("acme", "1")
    start(registry, "2")
    claimed = registry.jobs.claim("worker", 60)
    assert claimed is not None
    assert claimed.id == "2"
    assert registry.jobs.get("acme", "1").state is JobState.CANCELLED


def test_a_restarted_server_gives_its_jobs_back(registry: Registry) -> None:
    for job in ("1", "2", "3"):
        start(registry, job)
    registry.jobs.claim("ours", 60)
    registry.jobs.claim("ours", 60)
    registry.jobs.claim("theirs", 60)
    registry.jobs.cancel("acme", "2")
    assert registry.jobs.requeue("ours") == 1
    states = [registry.jobs.get("acme", job).state for job in ("1", "2", "3")]
    assert states == [JobState.QUEUED, JobState.CANCELLED, JobState.RUNNING]
    again = registry.jobs.claim("ours", 60)
    assert again is not None
    assert (again.id, again.attempt) == ("1", 2)


def test_events_tell_the_story(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    made = registry.jobs.progress("1", "worker", Progress("train", 3, 9, 0.5, {"accuracy": 0.8}, 1.5), "Third step.")
    assert registry.jobs.get("acme", "1").progress == made.progress
    failure = Failure("TRAINER_ERROR", "The trainer gave up.", {"phase": "train"})
    ended = registry.jobs.finish("1", "worker", JobState.FAILED, failure, {"seconds": {"train": 1.0}})
    assert (ended.failure, ended.report) == (failure, {"seconds": {"train": 1.0}})
    events = registry.jobs.events("1")
    assert [(event.sequence, event.state, event.progress.phase) for event in events] == [
        (1, JobState.QUEUED, "queued"),
        (2, JobState.RUNNING, "queued"),
        (3, JobState.RUNNING, "train"),
        (4, JobState.FAILED, "done"),
    ]
    assert events[2] == made
    assert events[3].message == failure.message
    assert list(registry.jobs.events("1", after=2, limit=1)) == [made]


def test_only_legal_moves(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.finish("1", "worker", JobState.RUNNING)
    done = registry.jobs.finish("1", "worker", JobState.FAILED)
    assert registry.jobs.finish("1", "worker", JobState.FAILED) == done
    for state in (JobState.SUCCEEDED, JobState.QUEUED, JobState.CANCELLED):
        with pytest.raises(errors.Internal, match="this is a bug"):
            registry.jobs.finish("1", "worker", state)
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.progress("1", "worker", Progress("train"))
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert registry.jobs.get("acme", "1") == done
    assert registry.heads.list().items == ()


def test_publishing_does_all_at_once_and_once(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    version, job = registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert (job.state, job.version, job.digest, job.report) == (JobState.SUCCEEDED, 1, draft().digest, draft().report)
    assert registry.heads.get(HEAD).aliases == {"live": 1}
    assert registry.jobs.publish("1", "worker", draft(digest="b"), "live", JobState.SUCCEEDED) == (version, job)
    assert registry.heads.get(HEAD).count == 1


def test_a_rejected_version_moves_no_alias(registry: Registry) -> None:
    registry.heads.add(draft(), "live")
    start(registry)
    registry.jobs.claim("worker", 60)
    failure = Failure("GATE_REFUSED", "Worse than version 1.")
    version, job = registry.jobs.publish("1", "worker", draft(accepted=False), None, JobState.REJECTED, failure)
    assert (version.version, version.accepted, job.state, job.failure) == (2, False, JobState.REJECTED, failure)
    assert registry.heads.get(HEAD).aliases == {"live": 1}


def test_a_crash_while_publishing_leaves_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(jobrows, "move", crash)  # after the version and the alias were written
        with pytest.raises(Crash):
            registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert registry.heads.list().items == ()
    assert registry.revision() == 0
    assert registry.jobs.get("acme", "1").state is JobState.RUNNING
    version, _ = registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert version.version == 1


def test_publishing_and_deleting_at_once_end_well(registry: Registry) -> None:
    """Many locks in many orders: nothing waits for ever, nothing is half done."""
    for i in range(THREADS):
        start(registry, str(i))
        registry.jobs.claim(f"worker-{i}", 60)

    def work(index: int) -> int:
        version, _ = registry.jobs.publish(str(index), f"worker-{index}", draft(), "live", JobState.SUCCEEDED)
        registry.datasets.delete(OwnedName("acme", f"job-{index}"))
        registry.jobs.cancel("acme", str(index))
        return version.version

    assert sorted(together(work)) == list(range(1, THREADS + 1))
    assert registry.heads.get(HEAD).count == THREADS
    assert registry.jobs.counts()[JobState.SUCCEEDED] == THREADS
