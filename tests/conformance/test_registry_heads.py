"""What a registry must do with heads and aliases, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from records import HEAD, THREADS, draft, every_page, together

from candelabra import errors
from candelabra.registry import Registry
from candelabra.types import HeadRef, OwnedName, VersionDraft


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
