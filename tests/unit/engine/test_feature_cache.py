"""The feature cache: bounded, least recently used goes first, and tenants do not meet in it."""

from __future__ import annotations

import numpy as np

from candelabra.engine.feature_cache import OVERHEAD, FeatureCache, cache_key
from candelabra.engine.window import Window
from candelabra.metrics import Metrics
from candelabra.types import Slot

MEAN, CLS = Slot(1, "mean"), Slot(1, "cls")
VECTOR = np.ones(8, np.float32)
SIZE = OVERHEAD + VECTOR.nbytes + 100


def window(*ids: int, second: int = 0) -> Window:
    return Window(np.array(ids, np.int32), second)


def test_a_key_is_of_tenant_and_windows() -> None:
    keys = [
        cache_key("a", (window(1, 2),)),
        cache_key("b", (window(1, 2),)),
        cache_key("a", (window(1), window(2))),
        cache_key("a", (window(1, 3),)),
        cache_key("a1", (window(1, 2),)),
        cache_key("a", (window(1, 2, second=1),)),
        cache_key("a", ()),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key("a", (window(1, 2),)) == keys[0]
    assert cache_key("a", (Window(np.array([1, 2])),)) == keys[0]  # the width of the numbers plays no part


def test_all_slots_must_be_known_and_slots_add_up() -> None:
    cache = FeatureCache(10**6)
    cache.put(b"k", {MEAN: VECTOR})
    assert cache.get(b"k", [MEAN, CLS]) is None
    cache.put(b"k", {CLS: 2 * VECTOR})
    known = cache.get(b"k", [MEAN, CLS])
    assert known is not None
    assert known[CLS][0] == 2
    assert known[MEAN][0] == 1


def test_it_keeps_copies() -> None:
    cache = FeatureCache(10**6)
    array = VECTOR.copy()
    cache.put(b"k", {MEAN: array})
    array[:] = 9
    known = cache.get(b"k", [MEAN])
    assert known is not None
    assert known[MEAN][0] == 1


def test_the_least_recently_used_makes_room() -> None:
    cache = FeatureCache(3 * SIZE)
    for key in (b"1", b"2", b"3"):
        cache.put(key, {MEAN: VECTOR})
    cache.get(b"1", [MEAN])
    cache.put(b"4", {MEAN: VECTOR})
    assert cache.get(b"2", [MEAN]) is None
    assert cache.get(b"1", [MEAN]) is not None
    for number in range(100):
        cache.put(str(number).encode(), {MEAN: VECTOR, CLS: VECTOR})
        assert cache.bytes <= cache.capacity
    assert len(cache) > 0


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = FeatureCache(SIZE - 1)
    cache.put(b"k", {MEAN: VECTOR})
    assert (len(cache), cache.bytes) == (0, 0)


def test_what_is_known_fills_its_places_and_counts_as_used() -> None:
    metrics = Metrics()
    cache = FeatureCache(2 * (SIZE + VECTOR.nbytes + 100), metrics)
    cache.put(b"both", {CLS: 2 * VECTOR, MEAN: VECTOR})
    cache.put(b"one", {MEAN: 3 * VECTOR})
    into = np.zeros((4, 2, 8), np.float32)
    unknown = cache.fill([b"none", b"both", b"one", b"both"], [MEAN, CLS], into)
    assert unknown.tolist() == [0, 2]
    assert into[:, :, 0].tolist() == [[0, 0], [1, 2], [0, 0], [1, 2]]
    assert metrics.registry.get_sample_value("candelabra_feature_cache_hits_total") == 2
    cache.put(b"more", {MEAN: VECTOR, CLS: VECTOR})
    assert cache.get(b"both", [MEAN]) is not None
    assert cache.get(b"one", [MEAN]) is None


def test_zero_turns_it_off() -> None:
    cache = FeatureCache(0)
    cache.put(b"k", {MEAN: VECTOR})
    assert len(cache) == 0
