"""What a server knows of heads, when the same change is heard twice and in any order."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from candelabra.errors import AliasNotFound, HeadNotFound, VersionNotFound, VersionRetired
from candelabra.heads.table import Table
from candelabra.registry.heads import Changes
from candelabra.types import HeadInfo, HeadRef, OwnedName, TaskKind, VersionInfo

NAME = OwnedName("acme", "tickets")
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def version(number: int, revision: int, name: OwnedName = NAME, digest: str = "") -> VersionInfo:
    return VersionInfo(
        head=name,
        version=number,
        digest=digest or f"sha256:{name}:{number}",
        backbone="tiny:1",
        domain="general",
        task="classification",
        kind=TaskKind.SINGLE_LABEL,
        method="dense",
        labels=("a", "b"),
        bytes=1,
        created=NOW,
        revision=revision,
    )


def info(revision: int, latest: int, aliases: dict[str, int], count: int = 0, name: OwnedName = NAME) -> HeadInfo:
    return HeadInfo(name, "general", "classification", aliases, latest, count or latest, NOW, revision)


def told(revision: int, *numbers: int, **aliases: int) -> Changes:
    """The registry's word on the head: these versions and aliases."""
    head = info(revision, max(numbers), aliases, len(numbers))
    return Changes(revision, [(head, [version(number, revision) for number in numbers])])


def live(table: Table, selector: int | str = "live") -> int:
    return table.resolve(HeadRef(NAME, selector)).version


def test_names_lead_to_versions() -> None:
    table = Table()
    assert table.follow(told(5, 1, 2, live=2, old=1)) == set()
    assert (table.revision, table.count) == (5, 2)
    assert [live(table, selector) for selector in ("live", "old", 1, 2)] == [2, 1, 1, 2]
    assert [one.version for one in table.with_alias("live")] == [2]
    assert list(table.with_alias("nobody")) == []


def test_what_is_not_there_is_told_with_what_is() -> None:
    table = Table()
    table.follow(told(5, 1, 2, live=2))
    with pytest.raises(HeadNotFound, match="acme/tickets"):
        table.resolve(HeadRef(OwnedName("acme", "other")))
    with pytest.raises(HeadNotFound, match="no heads at all"):
        table.resolve(HeadRef(OwnedName("zeta", "tickets")))
    with pytest.raises(AliasNotFound, match=r"aliases live and the versions 1, 2"):
        live(table, "canary")
    with pytest.raises(VersionNotFound, match="1, 2"):
        live(table, 3)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_changes_may_come_in_any_order(order: tuple[int, ...]) -> None:
    """Own commits at once, the registry's word a little later: the newest wins, whichever is heard last."""
    table = Table()
    steps = [
        lambda: table.publish(version(1, 1), "live"),
        lambda: table.publish(version(2, 2), "live"),
        lambda: table.apply(info(3, 2, {"live": 1})),
        lambda: table.follow(told(3, 1, 2, live=1)),
    ]
    for index in order:
        steps[index]()
    assert live(table) == 1
    assert table.count == 2


def test_old_news_changes_nothing() -> None:
    table = Table()
    table.follow(told(9, 1, 2, live=2))
    table.publish(version(1, 1), "live")
    table.apply(info(8, 2, {"live": 1}))
    assert table.remove([version(2, 7)]) == set()
    assert table.follow(told(4, 1, live=1)) == set()
    assert (live(table), table.count) == (2, 2)


def test_what_is_deleted_is_gone_with_its_aliases_and_its_digest() -> None:
    table = Table()
    table.follow(told(5, 1, 2, live=2, old=1))
    assert table.remove([version(1, 6)]) == {"sha256:acme/tickets:1"}
    with pytest.raises(AliasNotFound):
        live(table, "old")
    assert (live(table), table.count) == (2, 1)
    assert table.follow(Changes(7, [], [NAME])) == {"sha256:acme/tickets:2"}
    with pytest.raises(HeadNotFound):
        live(table)
    assert table.count == 0


def test_a_digest_that_another_version_needs_is_not_given_up() -> None:
    table = Table()
    same = [version(number, 5, digest="sha256:same") for number in (1, 2)]
    table.follow(Changes(5, [(info(5, 2, {"live": 2}), same)]))
    assert table.remove([replace(same[0], revision=6)]) == set()
    assert table.remove([replace(same[1], revision=7)]) == {"sha256:same"}


def test_a_restored_registry_is_believed_afresh() -> None:
    table = Table()
    table.follow(told(50, 1, 2, 3, live=3))
    assert table.follow(told(5, 1, live=1), afresh=True) == {"sha256:acme/tickets:2", "sha256:acme/tickets:3"}
    assert (live(table), table.count, table.revision) == (1, 1, 5)


def test_a_retired_version_is_refused_by_number_and_leaves_memory() -> None:
    table = Table()
    table.follow(Changes(2, [(info(2, 2, {"live": 2}), (version(1, 1), version(2, 2)))]))
    old = replace(version(1, 3), retired="2024-01-01T00:00:00Z rows were forgotten")
    gone = table.follow(Changes(3, [(info(3, 2, {"live": 2}), (old, version(2, 2)))]))
    assert gone == {version(1, 1).digest}
    with pytest.raises(VersionRetired):
        table.resolve(HeadRef(NAME, 1))
    assert table.resolve(HeadRef(NAME)).version == 2
