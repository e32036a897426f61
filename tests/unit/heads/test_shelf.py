"""The shelf: names that move at once, and heads in memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from candelabra import errors
from candelabra.engine.row import Inputs
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore
from candelabra.metrics import Metrics
from candelabra.registry import Registry
from candelabra.types import HeadRef, Method, OwnedName, Slot, TaskKind, VersionDraft, VersionInfo

NAME = OwnedName("acme", "tickets")
MINE = "minilm:1"


@dataclass(eq=False)
class Light:
    """A head of which the shelf needs only these."""

    data: bytes
    backbone: str = MINE
    labels: tuple[str, ...] = ("a", "b")

    @property
    def nbytes(self) -> int:
        return len(self.data)


class House:
    """A registry, a store and a shelf, and a loader that can be watched."""

    def __init__(self, folder: Path, max_bytes: int = 10_000) -> None:
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite3")
        self.store = HeadStore(folder)
        self.metrics = Metrics()
        self.loads: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.shelf = Shelf(self.registry, self.store, self.load, MINE, max_bytes, self.metrics)

    def load(self, data: bytes) -> Head:
        self.loads.append(data)
        assert self.gate.wait(10)
        if data.startswith(b"broken"):
            raise ValueError("not a head")
        backbone = "other:2" if data.startswith(b"other") else MINE
        return cast(Head, Light(data, backbone))

    def draft(self, data: bytes, head: OwnedName = NAME, **changes: Any) -> VersionDraft:
        made = VersionDraft(
            head=head,
            digest=self.store.put(data),
            backbone=MINE,
            domain="general",
            task="classification",
            kind=TaskKind.SINGLE_LABEL,
            method="dense",
            labels=("a", "b"),
            bytes=len(data),
        )
        return replace(made, **changes)

    def add(self, data: bytes, alias: str | None = "live", head: OwnedName = NAME, **changes: Any) -> VersionInfo:
        return self.registry.heads.add(self.draft(data, head, **changes), alias)

    def number(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"candelabra_{metric}", labels) or 0.0

    def close(self) -> None:
        self.shelf.close()
        self.registry.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def resolve(house: House, text: str) -> int:
    return house.shelf.resolve(HeadRef.parse(text)).version


# Names


def test_refreshing_shows_what_others_committed(house: House) -> None:
    house.add(b"one")
    house.add(b"two", alias="canary")
    assert house.shelf.refresh()
    assert not house.shelf.refresh()
    assert [resolve(house, name) for name in ("acme/tickets", "acme/tickets@canary", "acme/tickets@2")] == [1, 2, 2]
    assert house.number("heads_registered") == 2
    house.registry.heads.set_alias(HeadRef(NAME, 2), "live")
    assert resolve(house, "acme/tickets") == 1
    house.shelf.refresh()
    assert resolve(house, "acme/tickets") == 2
    house.registry.heads.delete(NAME)
    house.shelf.refresh()
    with pytest.raises(errors.HeadNotFound):
        resolve(house, "acme/tickets")
    assert house.number("heads_registered") == 0


def test_own_commits_show_at_once(house: House) -> None:
    house.shelf.refresh()
    house.shelf.publish(house.add(b"one"), "live", None)
    assert resolve(house, "acme/tickets") == 1
    house.shelf.publish(house.add(b"two", alias=None), None, None)
    assert [resolve(house, "acme/tickets"), resolve(house, "acme/tickets@2")] == [1, 2]
    house.shelf.apply(house.registry.heads.set_alias(HeadRef(NAME, 2), "live"))
    assert resolve(house, "acme/tickets") == 2
    house.shelf.remove(house.registry.heads.delete(NAME, 1))
    with pytest.raises(errors.VersionNotFound):
        resolve(house, "acme/tickets@1")
    assert house.number("heads_registered") == 1
    house.shelf.remove(house.registry.heads.delete(NAME))
    with pytest.raises(errors.HeadNotFound):
        resolve(house, "acme/tickets@2")
    assert house.number("heads_registered") == 0


def test_the_order_of_arrival_does_not_matter(house: House) -> None:
    first = house.add(b"one")
    house.shelf.refresh()
    second = house.add(b"two")
    back = house.registry.heads.roll_back(NAME, "live")
    gone = house.registry.heads.delete(NAME, 2)
    house.shelf.remove(gone)
    house.shelf.apply(back)
    house.shelf.publish(second, "live", None)
    assert resolve(house, "acme/tickets") == first.version
    with pytest.raises(errors.VersionNotFound):
        resolve(house, "acme/tickets@2")
    house.shelf.refresh()
    assert resolve(house, "acme/tickets") == first.version


def test_an_older_look_at_the_registry_does_not_undo_a_commit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(b"one")
    house.shelf.refresh()
    second = house.add(b"two", alias=None)
    old = house.registry.heads.changes(1)
    monkeypatch.setattr(house.registry.heads, "changes", lambda since: old)
    house.shelf.apply(house.registry.heads.set_alias(HeadRef(NAME, 1), "canary"))
    house.shelf.publish(second, None, None)
    third = house.add(b"three")
    house.shelf.publish(third, "live", None)
    house.shelf.refresh()  # brings what was true before the third version
    assert resolve(house, "acme/tickets") == 3
    monkeypatch.undo()
    house.shelf.refresh()
    assert [resolve(house, f"acme/tickets@{name}") for name in ("live", "canary", "2")] == [3, 1, 2]


def test_a_registry_restored_from_a_backup_is_read_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(b"one")
    before = house.registry.heads.changes(-1)
    house.add(b"two")
    house.add(b"else", head=OwnedName("zeta", "h"))
    house.shelf.refresh()
    monkeypatch.setattr(house.registry, "revision", lambda: before.revision)
    monkeypatch.setattr(house.registry.heads, "changes", lambda since: before)
    house.shelf.refresh()
    assert resolve(house, "acme/tickets") == 1
    with pytest.raises(errors.HeadNotFound):
        resolve(house, "zeta/h")
    assert house.number("heads_registered") == 1


def test_errors_say_what_there_is_to_its_own_tenant(house: House) -> None:
    house.add(b"one", alias="canary")
    house.add(b"two", head=OwnedName("zeta", "secret"))
    house.shelf.refresh()
    with pytest.raises(errors.HeadNotFound, match="acme/tickets") as unknown:
        resolve(house, "acme/unknown")
    assert "secret" not in unknown.value.message
    with pytest.raises(errors.HeadNotFound, match="no heads at all"):
        resolve(house, "nobody/tickets")
    with pytest.raises(errors.AliasNotFound, match="canary"):
        resolve(house, "acme/tickets")
    with pytest.raises(errors.VersionNotFound, match="newest versions are 1"):
        resolve(house, "acme/tickets@7")


def test_resolving_is_quick(house: House) -> None:
    house.add(b"one")
    house.shelf.refresh()
    ref = HeadRef.parse("acme/tickets")
    best = min(_seconds(lambda: house.shelf.resolve(ref), 1000) for _ in range(5))
    assert best / 1000 < 20e-6


def _seconds(work: Any, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - started


# Heads


async def test_a_head_is_loaded_when_it_is_needed(house: House) -> None:
    version = house.add(b"one")
    assert house.shelf.get_nowait(version) is None
    head = await house.shelf.get(version)
    assert house.shelf.get_nowait(version) is head
    assert await house.shelf.get(version) is head
    assert house.loads == [b"one"]
    assert house.number("heads_resident") == 1
    assert house.number("heads_resident_bytes") == 3
    assert house.number("head_loads_total", outcome="ok") == 1
    assert house.number("head_load_seconds_count") == 1


async def test_a_published_head_needs_no_loading(house: House) -> None:
    head = cast(Head, Light(b"one"))
    version = house.add(b"one")
    house.shelf.publish(version, "live", head)
    assert await house.shelf.get(house.shelf.resolve(HeadRef(NAME))) is head
    assert house.loads == []


async def test_many_who_wait_for_one_head_load_it_once(house: House) -> None:
    version, other = house.add(b"one"), house.add(b"two")
    house.gate.clear()
    waiting = [asyncio.create_task(house.shelf.get(version)) for _ in range(50)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()  # the one that began the load
    other_head = asyncio.create_task(house.shelf.get(other))
    await asyncio.sleep(0.05)
    assert sorted(house.loads) == [b"one", b"two"]  # the second did not wait for the first
    house.gate.set()
    heads = await asyncio.gather(*waiting[1:])
    assert len(set(map(id, heads))) == 1
    assert await other_head is not heads[0]
    assert waiting[0].cancelled()


async def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    house = House(tmp_path, max_bytes=10)
    one, two, three = (house.add(data) for data in (b"1111", b"2222", b"3333"))
    held = await house.shelf.get(one)
    await house.shelf.get(two)
    assert house.shelf.get_nowait(one) is held  # used: now two is the oldest
    await house.shelf.get(three)
    assert [house.shelf.get_nowait(version) is not None for version in (one, two, three)] == [True, False, True]
    assert house.number("head_evictions_total") == 1
    assert house.number("heads_resident_bytes") == 8
    large = house.add(b"larger than all the room")
    assert (await house.shelf.get(large)).nbytes == 24
    assert house.shelf.get_nowait(large) is not None
    assert house.shelf.get_nowait(one) is None
    assert cast(Light, held).data == b"1111"  # whoever holds it keeps it
    house.close()


async def test_another_backbone_is_refused(house: House) -> None:
    version = house.add(b"one", backbone="other:2")
    with pytest.raises(errors.WrongBackbone) as refused:
        await house.shelf.get(version)
    assert "other:2" in refused.value.message
    assert MINE in refused.value.message
    house.shelf.publish(version, "live", cast(Head, Light(b"one", "other:2")))
    assert house.shelf.get_nowait(version) is None
    assert house.loads == []


@pytest.mark.parametrize("data", [b"broken file", b"other backbone inside"])
async def test_a_file_that_is_not_this_head_is_refused(house: House, data: bytes) -> None:
    version, good = house.add(data), house.add(b"one")
    for _ in range(2):
        with pytest.raises(errors.CorruptHead, match="acme/tickets@1"):
            await house.shelf.get(version)
    assert house.number("head_loads_total", outcome="error") == 2
    assert await house.shelf.get(good)
    labels = house.add(b"two", labels=("a", "c"))
    with pytest.raises(errors.CorruptHead):
        await house.shelf.get(labels)


async def test_a_damaged_file_is_refused_and_others_are_served(house: House) -> None:
    version, good = house.add(b"one"), house.add(b"two")
    house.store.delete(version.digest)
    with pytest.raises(errors.CorruptHead) as refused:
        await house.shelf.get(version)
    assert refused.value.metadata["head"] == "acme/tickets@1"
    assert await house.shelf.get(good)


async def test_a_load_that_fails_when_all_have_left_is_silent(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.gate.clear()
    waiting = asyncio.create_task(house.shelf.get(house.add(b"broken")))
    await asyncio.sleep(0.02)
    waiting.cancel()
    house.gate.set()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.05)
    gc.collect()
    assert caplog.records == []


async def test_a_deleted_head_leaves_memory_but_not_its_users(house: House) -> None:
    version = house.add(b"one", alias=None)
    twin = house.add(b"one", alias=None)
    house.shelf.refresh()
    head = await house.shelf.get(version)
    house.shelf.remove(house.registry.heads.delete(NAME, 1))
    assert house.shelf.get_nowait(twin) is head  # the same content is still in use
    house.shelf.remove(house.registry.heads.delete(NAME, 2))
    assert house.shelf.get_nowait(version) is None
    assert house.number("heads_resident_bytes") == 0
    assert cast(Light, head).data == b"one"


async def test_warming_loads_live_versions_and_evicts_nobody(tmp_path: Path) -> None:
    house = House(tmp_path, max_bytes=12)
    house.add(b"broken", head=OwnedName("acme", "broken"), bytes=1)
    house.add(b"xxxx", head=OwnedName("acme", "far"), backbone="other:2")
    for i in range(5):
        house.add(b"old" + bytes([i]), head=OwnedName("acme", f"h{i}"))
        house.add(b"new" + bytes([i]), head=OwnedName("acme", f"h{i}"))
    house.shelf.refresh()
    assert await house.shelf.warm(2) == 2
    assert await house.shelf.warm(100) == 1
    assert house.number("head_evictions_total") == 0
    assert {data[:3] for data in house.loads} == {b"new", b"bro"}
    house.close()


async def test_readers_never_see_half_a_swap(house: House) -> None:
    """Versions are promoted, rolled back and deleted, here and elsewhere, while a reader asks all the time."""
    house.shelf.publish(house.add(b"first"), "live", None)
    stop = threading.Event()
    failures: list[BaseException] = []
    seen: set[int] = set()

    def read() -> None:
        ref = HeadRef(NAME)
        while not stop.is_set():
            try:
                seen.add(house.shelf.resolve(ref).version)
                time.sleep(0.0002)  # lets the writers have a turn
            except BaseException as error:
                failures.append(error)

    def poll() -> None:
        while not stop.is_set():
            try:
                house.shelf.refresh()
                time.sleep(0.001)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for work in (read, read, poll)]
    for thread in threads:
        thread.start()
    heads = house.registry.heads
    for i in range(25):
        version = house.add(b"v%d" % i)
        if i % 2:
            house.shelf.publish(version, "live", None)
        info = heads.roll_back(NAME, "live")
        if i % 3:
            house.shelf.apply(info)
        gone = heads.delete(NAME, version.version)
        house.shelf.refresh()
        house.shelf.remove(gone)
        house.shelf.publish(house.add(b"w%d" % i), "live", None)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(seen) > 2
    assert resolve(house, "acme/tickets") == heads.get(NAME).aliases["live"]


async def test_a_real_head_goes_from_file_to_memory(tmp_path: Path) -> None:
    made = Head(
        body=Dense((Slot(1, "mean"),), ((np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32)),)),
        labels=("a", "b"),
        task_kind=TaskKind.SINGLE_LABEL,
        backbone=MINE,
        domain="general",
        task="classification",
        method=Method.CLOSED_FORM,
    )
    house = House(tmp_path)
    shelf = Shelf(house.registry, house.store, Head.from_bytes, MINE, 10_000, house.metrics)
    version = house.add(made.to_bytes())
    head = await shelf.get(version)
    features = Inputs(np.array([[3.0, 4.0]], dtype=np.float32))
    assert np.array_equal(head.scores(features), made.scores(features))
    assert house.number("heads_resident_bytes") == made.nbytes
    shelf.close()
    house.close()
