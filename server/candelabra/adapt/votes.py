"""Votes of labelling functions made soft labels: by majority, or weighed by how often each function seems right.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", with one
accuracy a function instead of a confusion matrix (few votes do not tell more) and shrunk towards a common prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.errors import InvalidArgument

Votes = Sequence[Sequence[tuple[str, str]]]
"""Of each row, pairs (function, label). A function that says nothing of a row abstains."""

ROUNDS = 50
STILL = 1e-6
PRIOR = (7.0, 3.0)
"""Right and wrong votes that every function begins with: better than chance until it shows otherwise."""
SHARE = 1.0
"""Rows that every label begins with."""


@dataclass(frozen=True, eq=False)
class Softened:
    """`weights` float32 [n, labels] that sum to 1, or to 0 where nothing voted; accuracy of each function."""

    weights: np.ndarray
    accuracy: dict[str, float]


def soften(votes: Votes, labels: Sequence[str]) -> np.ndarray:
    """Weights float32 [n, labels] for training: by accuracy where several functions voted, else as they voted."""
    return dawid_skene(votes, labels).weights


def majority(votes: Votes, labels: Sequence[str]) -> Softened:
    """Each vote counts the same. A function's accuracy is how often the others' majority, as far as it says, agrees."""
    table = Table.of(votes, labels)
    counts = table.counts()
    weights = _normalized(counts)
    at = table.rows
    others = counts[at].copy()
    others[np.arange(len(at)), table.labels] -= 1
    top = others.max(axis=1, initial=0.0)
    heard = top > 0
    agreed = others[np.arange(len(at)), table.labels] >= np.maximum(top, 1e-12)
    right = np.bincount(table.functions, weights=agreed * heard, minlength=len(table.names))
    asked = np.bincount(table.functions, weights=heard.astype(float), minlength=len(table.names))
    accuracy = (right + PRIOR[0] * 0.1) / (asked + sum(PRIOR) * 0.1)
    return Softened(weights, dict(zip(table.names, accuracy.tolist(), strict=True)))


def dawid_skene(votes: Votes, labels: Sequence[str]) -> Softened:
    """EM: rows from accuracies, accuracies from rows. A wrong vote is taken to fall on any other label alike.

    Costs votes x labels a round; a thousand rows of five functions take some milliseconds. With one label or one
    function there is nothing to weigh, and the votes stand as they are.
    """
    table = Table.of(votes, labels)
    weights = _normalized(table.counts())
    count = len(labels)
    if len(table.names) < 2 or count < 2:
        return Softened(weights, dict.fromkeys(table.names, PRIOR[0] / sum(PRIOR)))
    accuracy = np.full(len(table.names), PRIOR[0] / sum(PRIOR))
    for _ in range(ROUNDS):
        right = np.bincount(table.functions, weights=weights[table.rows, table.labels], minlength=len(table.names))
        asked = np.bincount(table.functions, minlength=len(table.names))
        now = (right + PRIOR[0]) / (asked + sum(PRIOR))
        share = np.log((weights.sum(axis=0) + SHARE) / (weights.sum() + SHARE * count))
        odds = np.log(now) - np.log((1 - now) / (count - 1))
        belief = np.zeros((len(votes), count))
        np.add.at(belief, (table.rows, table.labels), odds[table.functions])
        belief += share
        belief = np.exp(belief - belief.max(axis=1, keepdims=True))
        weights = _normalized(belief * table.heard()[:, None])
        moved = float(np.abs(now - accuracy).max())
        accuracy = now
        if moved < STILL:
            break
    return Softened(weights, dict(zip(table.names, accuracy.tolist(), strict=True)))


@dataclass(frozen=True, eq=False)
class Table:
    """One entry a vote; a function that votes twice for one label of a row is heard once."""

    rows: np.ndarray
    functions: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    shape: tuple[int, int]

    @classmethod
    def of(cls, votes: Votes, labels: Sequence[str]) -> Table:
        place = {label: at for at, label in enumerate(labels)}
        names = tuple(sorted({function for row in votes for function, _ in row}))
        number = {name: at for at, name in enumerate(names)}
        found: list[tuple[int, int, int]] = []
        for row, cast in enumerate(votes):
            for function, label in sorted(set(cast)):
                if label not in place:
                    raise InvalidArgument(
                        f"The labelling function {function[:80]!r} votes for {label[:80]!r}, which is no label here.",
                        field=f"examples[{row}].votes",
                    )
                found.append((row, number[function], place[label]))
        entries = np.array(found, np.int64).reshape(-1, 3)
        return cls(entries[:, 0], entries[:, 1], entries[:, 2], names, (len(votes), len(labels)))

    def counts(self) -> np.ndarray:
        """Votes for each label [n, labels]."""
        counts = np.zeros(self.shape)
        np.add.at(counts, (self.rows, self.labels), 1.0)
        return counts

    def heard(self) -> np.ndarray:
        """Mask of the rows that anything voted on."""
        mask = np.zeros(self.shape[0], bool)
        mask[self.rows] = True
        return mask


def _normalized(weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return shares.astype(np.float32)
