"""One text of one request on its way through the engine, and what scores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from candelabra.types import Slot


class Scorer(Protocol):
    """A function from pooled features to scores: a head, as far as the engine knows."""

    @property
    def slots(self) -> tuple[Slot, ...]: ...

    def scores(self, features: np.ndarray) -> np.ndarray:
        """float32 [n, len(slots) * dimension], slots in this scorer's order -> floats [n, labels]."""
        ...


@dataclass(slots=True, eq=False)
class Row:
    """`windows` are token ids with special tokens, one array a window. The lane fills the two last fields.

    The strong reference to each scorer is what pins a head version for the life of a request.
    """

    windows: tuple[np.ndarray, ...]
    scorers: tuple[Scorer, ...] = ()
    slots: tuple[Slot, ...] = ()
    cache_key: bytes | None = None
    scores: list[np.ndarray] = field(default_factory=list)
    features: np.ndarray | None = None

    @property
    def tokens(self) -> int:
        return sum(len(window) for window in self.windows)

    def needs(self) -> set[Slot]:
        """Every slot that its answer is made of."""
        return set(self.slots).union(*(scorer.slots for scorer in self.scorers))


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one submit: encoding and heads of its batches, and all the rest, which is waiting."""

    queue: float = 0.0
    encode: float = 0.0
    head: float = 0.0


def all_slots(rows: Iterable[Row]) -> Sequence[Slot]:
    """What one pass must give for these rows, in a stable order."""
    return sorted(set().union(*(row.needs() for row in rows)))
