"""Rows of answers as training reads them: windows, what is true in each, how rare their tokens are, who is held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candelabra.adapt.answering import aligned
from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.errors import Internal
from candelabra.heads.bodies.span import Rarity
from candelabra.types import Span

LONGEST = (8, 160)
RARE = 0.5


def held_out(texts: Sequence[str], rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """About that share of the rows, such that no text is on both sides; none where all have one text."""
    names = np.array([texts[row] for row in rows], object)
    distinct, group, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(distinct) < 2:
        return np.zeros(0, np.int64)
    order = np.random.default_rng(seed).permutation(len(distinct))
    taken = np.searchsorted(np.cumsum(sizes[order]), share * len(rows)) + 1
    picked = order[: min(taken, len(distinct) - 1)]
    return np.asarray(rows[np.isin(group, picked)])


class Material:
    """Rows as training reads them: windows, and the answers' first and last tokens in each."""

    def __init__(
        self, states: TokenStates, texts: Sequence[str], windows: list[list[Window]], spans: Sequence[tuple[Span, ...]]
    ) -> None:
        self.states, self.texts, self.windows = states, texts, windows
        self.truth = [
            [aligned(answers, np.asarray(one.offsets), np.asarray(one.words)) for one in row]
            for row, answers in zip(windows, spans, strict=True)
        ]
        # A row whose answer no window shows whole would be taught as having none.
        self.usable = np.array([not answers or any(row) for row, answers in zip(self.truth, spans, strict=True)], bool)

    @classmethod
    def of(cls, data: TrainingSet) -> Material:
        if data.states is None:
            raise Internal("Training of answers was given no token states. This is a bug.")
        windows = [windows_of(data.states, row) for row in range(len(data.texts))]
        return cls(data.states, data.texts, windows, data.spans)

    def values(self, row: int) -> list[np.ndarray]:
        return [self.states.values[begin:end] for begin, end, _ in self.states.of(row)]

    def inputs(self, rows: Sequence[int], layers: Sequence[int] = ()) -> Inputs:
        """The rows as a body that reads `layers` (none: all that there are) sees them when it serves."""
        at = [self.states.layers.index(layer) for layer in layers or self.states.layers]
        return Inputs(
            features=np.zeros((len(rows), 0), np.float32),
            states=[[one[:, at].astype(np.float32) for one in self.values(row)] for row in rows],
            texts=[self.texts[row] for row in rows],
            windows=[self.windows[row] for row in rows],
        )

    def tokens(self, row: int) -> int:
        return max(map(len, self.windows[row]))

    def longest(self, rows: np.ndarray) -> int:
        """Tokens that all but a hundredth of the answers keep within."""
        sizes = [last - first + 1 for row in rows for window in self.truth[row] for first, last in window]
        return int(np.clip(np.quantile(sizes, 0.99) if sizes else 0, *LONGEST))

    def rarity(self, rows: np.ndarray) -> Rarity:
        """Inverse document frequencies, each text counted once; what begins and ends every window is worth nothing."""
        seen: dict[int, int] = {}
        documents = {self.texts[row]: row for row in rows}
        for row in documents.values():
            for token in set(np.concatenate([one.ids for one in self.windows[row]]).tolist()):
                seen[token] = seen.get(token, 0) + 1
        ids = np.array(sorted(seen), np.int64)
        count = np.array([seen[token] for token in ids.tolist()], np.float64)
        most = np.log((len(documents) + 1) / RARE)
        values = np.clip(np.log((len(documents) + RARE) / (count + RARE)) / most, 0, 1)
        return Rarity(ids.astype(np.float32), values.astype(np.float32))


def windows_of(states: TokenStates, row: int) -> list[Window]:
    ids = getattr(states, "ids", None)
    if ids is None:
        raise Internal("The token states were kept without the tokens' ids. This is a bug.")
    return [
        Window(ids[begin:end], second, states.offsets[begin:end], states.words[begin:end])
        for begin, end, second in states.of(row)
    ]
