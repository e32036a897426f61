"""Linear-chain conditional random field over BIO tags: best path, and probabilities of spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OUTSIDE = 0
FORBIDDEN = -1e4
CLIP = 60.0
"""Scores this far below the best of their row count as that far: e**-60 is nothing, and float64 cannot underflow."""


def tag_count(types: int) -> int:
    """O, then B and I of each type: tag 1 + 2k begins type k and tag 2 + 2k goes on with it."""
    return 1 + 2 * types


def forbidden(types: int) -> tuple[np.ndarray, np.ndarray]:
    """What BIO rules out: moves bool [tags, tags], from row to column, and first tags bool [tags]."""
    tags = np.arange(tag_count(types))
    inside = (tags > 0) & (tags % 2 == 0)
    same = (tags[:, None] == tags) | (tags[:, None] == tags - 1)
    return inside[None, :] & ~same, inside


@dataclass(frozen=True, eq=False)
class Crf:
    """Scores of moves between tags [tags, tags], and of the first [tags] and last tag [tags]; float64.

    Lafferty, McCallum, Pereira 2001. What BIO forbids scores -10,000 whatever the weights say.
    """

    moves: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, moves: np.ndarray, first: np.ndarray, last: np.ndarray) -> Crf:
        bad_moves, bad_first = forbidden((len(first) - 1) // 2)
        return cls(
            np.where(bad_moves, FORBIDDEN, moves.astype(np.float64)),
            np.where(bad_first, FORBIDDEN, first.astype(np.float64)),
            last.astype(np.float64),
        )

    def viterbi(self, emissions: np.ndarray) -> np.ndarray:
        """The best tags, int64 [words], of emissions [words, tags] in O(words * tags**2)."""
        words = len(emissions)
        if words == 0:
            return np.zeros(0, np.int64)
        arriving = np.ascontiguousarray(self.moves.T)
        every = np.arange(len(arriving))
        best = self.first + emissions[0]
        back = np.zeros((words, len(best)), np.int64)
        for at in range(1, words):
            reach = arriving + best
            back[at] = reach.argmax(axis=1)
            best = reach[every, back[at]] + emissions[at]
        path = np.zeros(words, np.int64)
        path[-1] = (best + self.last).argmax()
        for at in range(words - 1, 0, -1):
            path[at - 1] = back[at, path[at]]
        return path

    def lattice(self, emissions: np.ndarray, temperature: float = 1.0) -> Lattice:
        """Forward and backward sums of emissions [words, tags], everything divided by the temperature."""
        return Lattice(self, np.asarray(emissions, np.float64), temperature)


class Lattice:
    """Every path through one sequence with its probability; rows are scaled, so that nothing under- or overflows."""

    def __init__(self, crf: Crf, emissions: np.ndarray, temperature: float) -> None:
        self._emit = _weights(emissions, temperature)
        self._move = _weights(crf.moves.ravel(), temperature).reshape(crf.moves.shape)
        last = _weights(crf.last, temperature)
        words = len(emissions)
        self._forward = np.empty_like(self._emit)
        self._backward = np.empty_like(self._emit)
        self._scale = np.ones(words)
        row = _weights(crf.first, temperature) * self._emit[0]
        for at in range(words):
            if at:
                row = (self._forward[at - 1] @ self._move) * self._emit[at]
            self._scale[at] = row.sum()
            self._forward[at] = row / self._scale[at]
        self._backward[-1] = last / (self._forward[-1] @ last)
        for at in range(words - 1, 0, -1):
            self._backward[at - 1] = self._move @ (self._emit[at] * self._backward[at]) / self._scale[at]

    def tags(self) -> np.ndarray:
        """Probability of each tag at each word [words, tags]."""
        tags: np.ndarray = self._forward * self._backward
        return tags

    def span(self, begin: int, end: int, kind: int) -> float:
        """Probability that exactly the words begin .. end-1 are one entity of that type."""
        first, inside = 1 + 2 * kind, 2 + 2 * kind
        chance, tag = self._forward[begin, first], first
        for at in range(begin + 1, end):
            chance *= self._move[tag, inside] * self._emit[at, inside] / self._scale[at]
            tag = inside
        if end == len(self._emit):
            return float(min(1.0, chance * self._backward[-1, tag]))
        after = self._move[tag] * self._emit[end] * self._backward[end] / self._scale[end]
        return float(min(1.0, chance * (after.sum() - after[inside])))


def spans(tags: np.ndarray) -> list[tuple[int, int, int]]:
    """First word, word behind the last, and type, of each entity in a legal tag sequence."""
    found: list[tuple[int, int, int]] = []
    for at, tag in enumerate(tags.tolist()):
        if tag == OUTSIDE:
            continue
        if tag % 2 == 1:
            found.append((at, at + 1, (tag - 1) // 2))
        else:
            begin, _, kind = found[-1]
            found[-1] = (begin, at + 1, kind)
    return found


def _weights(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Scores as factors, the greatest of each row 1, forbidden ones 0."""
    top = scores.max(axis=-1, keepdims=True)
    factors: np.ndarray = np.exp(np.maximum((scores - top) / temperature, -CLIP))
    factors[scores <= FORBIDDEN] = 0.0
    return factors
