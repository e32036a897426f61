"""Heads in memory: the least recently used make room, and the newest always stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from candelabra.heads.head import Head
from candelabra.heads.resident import Resident
from candelabra.metrics import Metrics


@dataclass(eq=False)
class Light:
    nbytes: int


def light(nbytes: int) -> Head:
    return cast(Head, Light(nbytes))


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"candelabra_{name}")


def test_the_least_recently_used_makes_room() -> None:
    metrics = Metrics()
    shelf = Resident(100, metrics)
    for digest in "abc":
        shelf.put(digest, light(30))
    assert shelf.get("a") is not None  # a is fresh again, b is the oldest
    shelf.put("d", light(30))
    assert [shelf.get(digest) is not None for digest in "abcd"] == [True, False, True, True]
    assert (len(shelf), shelf.nbytes) == (3, 90)
    assert (value(metrics, "heads_resident"), value(metrics, "heads_resident_bytes")) == (3, 90)
    assert value(metrics, "head_evictions_total") == 1


def test_a_head_larger_than_the_limit_stays_alone() -> None:
    shelf = Resident(100, Metrics())
    shelf.put("a", light(30))
    shelf.put("b", light(500))
    assert (shelf.get("a"), shelf.nbytes) == (None, 500)
    assert shelf.get("b") is not None
    shelf.put("c", light(10))
    assert (shelf.get("b"), shelf.nbytes) == (None, 10)


def test_the_same_digest_counts_once_and_keeps_the_first() -> None:
    shelf = Resident(100, Metrics())
    first = light(40)
    shelf.put("a", first)
    shelf.put("a", light(40))
    assert (shelf.get("a"), shelf.nbytes) == (first, 40)


def test_dropping_gives_the_room_back() -> None:
    metrics = Metrics()
    shelf = Resident(100, metrics)
    shelf.put("a", light(60))
    assert not shelf.has_room(41)
    shelf.drop(["a", "never there"])
    assert (shelf.nbytes, len(shelf), shelf.has_room(100), shelf.has_room(101)) == (0, 0, True, False)
    assert value(metrics, "heads_resident_bytes") == 0
