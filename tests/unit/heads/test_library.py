"""Heads as their owners manage them: registry, store and shelf agree after every step, also after one that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candelabra import errors
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.heads.library import Library
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore, digest_of
from candelabra.limits import Limits
from candelabra.metrics import Metrics
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.types import HeadRef, Method, OwnedName, Slot, TaskKind

NAME = OwnedName("acme", "tickets")
MINE = "tiny:1"


def head(seed: int = 0, **changes: object) -> Head:
    random = np.random.default_rng(seed)
    made = Head(
        body=Dense((Slot(1, "mean"),), ((random.normal(size=(4, 2)).astype(np.float32), np.zeros(2, np.float32)),)),
        labels=("yes", "no"),
        task_kind=TaskKind.SINGLE_LABEL,
        backbone=MINE,
        domain="general",
        task="classification",
        method=Method.CLOSED_FORM,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class House:
    def __init__(self, folder: Path) -> None:
        self.metrics = Metrics()
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite3")
        self.store = HeadStore(folder)
        self.shelf = Shelf(self.registry, self.store, Head.from_bytes, MINE, 10**6, self.metrics)
        self.library = Library(self.registry, self.store, self.shelf, Limits(Settings()), self.metrics)

    def live(self) -> int:
        return self.shelf.resolve(HeadRef(NAME)).version


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.shelf.close()
    made.registry.close()


async def test_an_imported_head_serves_at_once_and_is_exported_as_it_came(house: House) -> None:
    data = head().to_bytes()
    version = await house.library.import_(NAME, "live", data)
    assert (version.version, version.digest, version.method) == (1, digest_of(data), "imported")
    assert (version.labels, version.bytes) == (("yes", "no"), len(data))
    # Without asking the registry: the shelf knows it, and has the head in memory.
    assert house.live() == 1
    assert house.shelf.get_nowait(version) is not None
    assert await house.library.export(HeadRef(NAME)) == data


async def test_what_cannot_be_imported_leaves_nothing(house: House) -> None:
    other = head(backbone="other:2").to_bytes()
    for data, wrong in (
        (b"", errors.InvalidArgument),
        (b"a text, and no head", errors.CorruptArchive),
        (head().to_bytes()[:-5], errors.CorruptArchive),
        (other, errors.WrongBackbone),
    ):
        with pytest.raises(wrong):
            await house.library.import_(NAME, "live", data)
    with pytest.raises(errors.HeadNotFound):
        await house.library.get(NAME)
    with pytest.raises(errors.CorruptHead):
        house.store.get(digest_of(other))


async def test_an_import_for_another_task_is_refused(house: House) -> None:
    await house.library.import_(NAME, "live", head().to_bytes())
    with pytest.raises(errors.HeadMismatch):
        await house.library.import_(NAME, "live", head(task="multi_label").to_bytes())
    assert house.live() == 1


async def test_aliases_move_in_the_registry_and_on_the_shelf_together(house: House) -> None:
    for seed in range(3):
        await house.library.import_(NAME, "live", head(seed).to_bytes())
    assert house.live() == 3
    info = await house.library.set_alias(HeadRef(NAME, 1), "live", expected=3)
    assert (info.aliases, house.live()) == ({"live": 1}, 1)
    info = await house.library.roll_back(NAME, "live")
    assert (info.aliases, house.live()) == ({"live": 3}, 3)
    with pytest.raises(errors.AliasMoved):
        await house.library.set_alias(HeadRef(NAME, 2), "live", expected=1)
    assert house.live() == 3
    await house.library.set_alias(HeadRef(NAME, "live"), "stable", expected=None)
    await house.library.delete_alias(NAME, "live")
    with pytest.raises(errors.AliasNotFound):
        house.live()
    assert house.shelf.resolve(HeadRef(NAME, "stable")).version == 3
    assert house.metrics.registry.get_sample_value("candelabra_alias_moves_total") == 4
    assert house.registry.heads.get(NAME).aliases == {"stable": 3}


async def test_no_alias_points_at_what_cannot_be_served(house: House) -> None:
    await house.library.import_(NAME, "live", head(0).to_bytes())
    lost = await house.library.import_(NAME, None, head(1).to_bytes())
    house.store.delete(lost.digest)
    fresh = Shelf(house.registry, house.store, Head.from_bytes, MINE, 10**6, Metrics())
    fresh.refresh()
    library = Library(house.registry, house.store, fresh, Limits(Settings()), Metrics())
    with pytest.raises(errors.CorruptHead):
        await library.set_alias(HeadRef(NAME, 2), "live", None)
    assert fresh.resolve(HeadRef(NAME)).version == 1
    assert house.registry.heads.get(NAME).aliases == {"live": 1}
    fresh.close()


async def test_deleted_heads_are_gone_for_new_requests(house: House) -> None:
    for seed in range(2):
        await house.library.import_(NAME, "live", head(seed).to_bytes())
    with pytest.raises(errors.HeadInUse):
        await house.library.delete(NAME, 2)
    assert house.live() == 2
    assert [gone.version for gone in await house.library.delete(NAME, 1)] == [1]
    with pytest.raises(errors.VersionNotFound):
        house.shelf.resolve(HeadRef(NAME, 1))
    await house.library.delete(NAME, None)
    with pytest.raises(errors.HeadNotFound):
        house.live()


async def test_reading_is_by_pages(house: House) -> None:
    for seed in range(3):
        await house.library.import_(NAME, "live", head(seed).to_bytes())
    page = await house.library.versions(NAME, 2, "")
    assert [one.version for one in page.items] == [3, 2]
    assert [one.version for one in (await house.library.versions(NAME, 2, page.next_token)).items] == [1]
    assert [one.head for one in (await house.library.list("acme", 0, "")).items] == [NAME]
    assert (await house.library.list("zeta", 0, "")).items == ()
    with pytest.raises(errors.InvalidArgument):
        await house.library.list(None, -1, "")
