"""How unlike its training texts an input is: a Gaussian over pooled vectors of one or two layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import check_slots, normalized
from candelabra.types import Slot

DISTANCES = 512
DIRECTIONS = 32
REFERENCE_ROWS = 4096
FEWEST_ROWS = 16
ROWS_A_DIRECTION = 10
"""With fewer rows a direction, training rows lie much nearer than others do, and every new text looks strange."""
FOLDS = 5
SPARE = 32
"""Directions that are looked at beside those that are kept."""
BEYOND = 0.99

TENSORS: Mapping[str, Any] = {
    "mean": np.float16,
    "basis": np.float16,
    "variances": np.float32,
    "distances": np.float32,
}


@dataclass(frozen=True, eq=False)
class Outside:
    """A Gaussian with few directions of its own (probabilistic PCA) over the training texts' vectors of each slot.

    `mean` [slots, d], `basis` [slots, d, r], `variances` [slots, r + 1] (the last: every other direction's), float16
    but the variances; `distances` float32, sorted, of training rows, each from a fit that had not seen it. A distance
    is the root of the sum of squared Mahalanobis distances over the slots. Costs 2 slots d r operations a row.
    """

    slots: tuple[Slot, ...]
    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray
    distances: np.ndarray

    @classmethod
    def fit(cls, slots: Sequence[Slot], features: np.ndarray, seed: int = 0) -> Outside | None:
        """Of features [n, slots * d] or [n, slots, d]; None for rows too few to say what is usual.

        Costs rows d² operations and FOLDS + 1 times 4 d² (DIRECTIONS + SPARE) more, a slot.
        """
        rows = len(features)
        if rows < FEWEST_ROWS:
            return None
        order = np.random.default_rng(seed).permutation(rows)[:REFERENCE_ROWS]
        x = _by_slot(np.asarray(features)[order], len(slots)).astype(np.float64)
        fold = np.arange(len(x)) % FOLDS
        parts = [_Sums.of(x[fold == one]) for one in range(FOLDS)]
        everything = _Sums.of(x[:0])
        for part in parts:
            everything = everything.plus(part)
        distances = np.zeros(len(x), np.float32)
        for one, part in enumerate(parts):
            distances[fold == one] = everything.plus(part, -1).gaussians().measure(x[fold == one])
        distances.sort()
        whole = everything.gaussians()
        return cls(
            tuple(slots),
            whole.mean.astype(np.float16),
            whole.basis.astype(np.float16),
            whole.variances.astype(np.float32),
            distances[ranks(len(distances), DISTANCES) - 1].astype(np.float32),
        )

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distances float32 [n] of features [n, slots * d] or [n, slots, d] of the slots."""
        return _Gaussians(self.mean, self.basis, self.variances).measure(_by_slot(features, len(self.slots)))

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Float32 [n] in 0..1: the share of training texts that lie nearer than each text does."""
        nearer = np.searchsorted(self.distances, self.measure(features))
        share: np.ndarray = (nearer / len(self.distances)).astype(np.float32)
        return share

    def tensors(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in TENSORS}

    def check(self) -> None:
        """Raises CorruptHead for what could not be measured truthfully."""
        check_slots(self.slots)
        slots, width, kept = self.basis.shape if self.basis.ndim == 3 else (0, 0, 0)
        fits = self.mean.shape == (slots, width) and self.variances.shape == (slots, kept + 1) and width > 0
        sound = (self.variances > 0).all() and self.distances.ndim == 1 and (np.diff(self.distances) >= 0).all()
        if slots != len(self.slots) or not fits or not sound or not 0 < len(self.distances) <= DISTANCES:
            raise CorruptHead("The head's picture of its training texts is damaged.")


@dataclass(frozen=True, eq=False)
class _Gaussians:
    """One a slot, as Outside has them."""

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray

    def measure(self, x: np.ndarray) -> np.ndarray:
        """Distances float32 [n] of x [n, slots, d]."""
        squared = np.zeros(len(x), x.dtype)
        # The squares are added as they are: in each slot they are about d for a usual row, so both count alike.
        for at, (mean, basis, variances) in enumerate(zip(self.mean, self.basis, self.variances, strict=True)):
            centred = x[:, at] - mean.astype(x.dtype)
            along = centred @ basis.astype(x.dtype)
            rest = np.maximum((centred * centred).sum(axis=1) - (along * along).sum(axis=1), 0)
            squared += (along * along / variances[:-1].astype(x.dtype)).sum(axis=1) + rest / variances[-1]
        distances: np.ndarray = np.sqrt(squared).astype(np.float32)
        return distances


def ranks(rows: int, limit: int) -> np.ndarray:
    """The ranks, 1 to `rows`, of the order statistics that are kept: all, or `limit` of them, evenly spread."""
    if rows <= limit:
        return np.arange(1, rows + 1)
    kept: np.ndarray = np.ceil(np.linspace(1, rows, limit)).astype(np.int64)
    return kept


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of rows: `total` [slots, d] and `gram` [slots, d, d], float64."""

    rows: int
    total: np.ndarray
    gram: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> _Sums:
        return cls(len(x), x.sum(axis=0), np.stack([x[:, at].T @ x[:, at] for at in range(x.shape[1])]))

    def plus(self, other: _Sums, sign: int = 1) -> _Sums:
        return _Sums(self.rows + sign * other.rows, self.total + sign * other.total, self.gram + sign * other.gram)

    def gaussians(self) -> _Gaussians:
        found = [_gaussian(self.rows, total, gram) for total, gram in zip(self.total, self.gram, strict=True)]
        means, bases, variances = zip(*found, strict=True)
        return _Gaussians(np.stack(means), np.stack(bases), np.stack(variances))


def _gaussian(rows: int, total: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, basis and variances of the most likely probabilistic PCA (Tipping and Bishop 1999) of some rows' sums."""
    width = len(total)
    mean = total / rows
    scatter = (gram - rows * np.outer(mean, mean)) / max(rows - 1, 1)
    kept = max(1, min(DIRECTIONS, rows // ROWS_A_DIRECTION, width - 1))
    values, vectors = _leading(scatter, kept)
    rest = max((float(np.trace(scatter)) - float(values.sum())) / (width - kept), 1e-12)
    return mean, vectors, np.append(np.maximum(values, rest), rest)


def _leading(scatter: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """About the largest eigenvalues [kept] and their vectors [d, kept], by a randomized range finder of one pass
    (Halko, Martinsson and Tropp 2011): in less than half the time of exact ones.

    Nor are exact ones better here. Measured with the 6 x 384 backbone and 2,000 rows, texts of other domains are told
    apart with a mean AUROC of .990 (validation), against .989 by exact directions, which are fitted closer to the rows.
    """
    matrix = scatter.astype(np.float32)
    width = len(matrix)
    start = np.random.default_rng(0).standard_normal((width, min(kept + SPARE, width)), np.float32)
    basis = np.linalg.qr(matrix @ start)[0]
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    return values[-kept:], basis @ vectors[:, -kept:]


def _by_slot(features: np.ndarray, slots: int) -> np.ndarray:
    """Float32 [n, slots, d], each vector of length 1."""
    x = np.asarray(features, np.float32).reshape(len(features), slots, -1)
    return normalized(x, slots)
