"""One sequence of one request on its way through the engine, and what scores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from candelabra.engine.window import Window
from candelabra.types import Slot

Scores = np.ndarray | tuple[np.ndarray, ...]
"""Of one row: floats [outputs], or for tokens one array [tokens, outputs] a window."""

Outputs = np.ndarray | Sequence[Scores]
"""Of n rows: an array [n, outputs], or one entry a row."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a scorer sees of n rows; it reads the parts that it asked for and finds the others empty.

    `features` is float32 [n, len(slots) * dimension], slots in the scorer's order; `states[row][window]` is float32
    [tokens, len(layers), dimension], and `windows` says where those tokens stand; `texts` are as the domain prepared
    them (a pair: text, line break, second text).
    """

    features: np.ndarray
    states: Sequence[Sequence[np.ndarray]] = ()
    texts: Sequence[str] = ()
    windows: Sequence[Sequence[Window]] = ()

    @property
    def rows(self) -> int:
        return len(self.features)


class Scorer(Protocol):
    """A function from features to scores: a head, as far as the engine knows."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Pooled vectors that it reads."""
        ...

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers whose token states it reads; empty for most."""
        ...

    def scores(self, inputs: Inputs) -> Outputs:
        """One entry a row. Rows do not touch each other."""
        ...


@dataclass(slots=True, eq=False)
class Row:
    """The windows of one sequence. The lane fills the last three fields.

    The strong reference to each scorer is what pins a head version for the life of a request. `slots` and `layers`
    are features that the caller itself wants back: `features` [slots, dimension] and `states`, one array [tokens,
    layers, dimension] a window.
    """

    windows: tuple[Window, ...]
    scorers: tuple[Scorer, ...] = ()
    slots: tuple[Slot, ...] = ()
    layers: tuple[int, ...] = ()
    text: str = ""
    cache_key: bytes | None = None
    scores: list[Scores] = field(default_factory=list)
    features: np.ndarray | None = None
    states: tuple[np.ndarray, ...] = ()

    @property
    def tokens(self) -> int:
        return sum(len(window) for window in self.windows)

    def needs(self) -> set[Slot]:
        """Every pooled vector that its answer is made of."""
        return set(self.slots).union(*(scorer.slots for scorer in self.scorers))

    def reads(self) -> set[int]:
        """Every layer whose token states its answer is made of. Such a row never comes whole from the cache."""
        return set(self.layers).union(*(scorer.layers for scorer in self.scorers))


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one submit: encoding and heads of its batches, and all the rest, which is waiting."""

    queue: float = 0.0
    encode: float = 0.0
    head: float = 0.0


def all_slots(rows: Iterable[Row]) -> Sequence[Slot]:
    """What one pass must give for these rows, in a stable order."""
    return sorted(set().union(*(row.needs() for row in rows)))
