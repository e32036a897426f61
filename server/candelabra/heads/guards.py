"""What an answer can say of itself: which labels are credible, how far off a number is, how strange the text is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.linalg import eigh

from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import check_slots, expect_tensors, normalized, slots_of_json, slots_to_json
from candelabra.types import Slot

SCORES = 1024
DISTANCES = 512
DIRECTIONS = 32
REFERENCE_ROWS = 4096
FEWEST_ROWS = 16
BEYOND = 0.99

Kind = Literal["label", "labels", "number"]


@dataclass(frozen=True, eq=False)
class Conformal:
    """Split conformal prediction (Vovk; LAC: Sadinle, Lei and Wasserman 2019) from scores of unseen rows.

    A row's score is 1 - the probability of its label (`label`), the largest such of its labels (`labels`; rows
    without a label have none), or the distance of its number (`number`). `scores` float32, sorted, are all `rows` of
    them or SCORES of their order statistics, evenly spread.
    """

    kind: Kind
    scores: np.ndarray
    rows: int

    @classmethod
    def of(cls, kind: Kind, scores: np.ndarray) -> Conformal:
        ordered = np.sort(np.asarray(scores, np.float32))
        return cls(kind, ordered[_ranks(len(ordered)) - 1], len(ordered))

    def quantile(self, coverage: float) -> float:
        """The ceil((n + 1) coverage)-th smallest score; infinite where so few rows can promise nothing."""
        rank = max(1, math.ceil((self.rows + 1) * coverage - 1e-9))
        if rank > self.rows:
            return math.inf
        # Of a thinned list the next higher score: covering more than asked is no lie.
        return float(self.scores[np.searchsorted(_ranks(self.rows), rank)])


@dataclass(frozen=True, eq=False)
class Outside:
    """A Gaussian with few directions of its own (probabilistic PCA) over the training texts' vectors of `slot`.

    `mean` [d], `basis` [d, r], `variances` [r + 1] (the last: every other direction's), float16 but the variances;
    `distances` float32, sorted: Mahalanobis distances of training rows, each from a fit that had not seen it.
    Costs 2 d r operations a row.
    """

    slot: Slot
    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray
    distances: np.ndarray

    @classmethod
    def fit(cls, slot: Slot, features: np.ndarray, seed: int = 0) -> Outside | None:
        """Of features [n, d]; None for rows too few to say what is usual. Costs three eigen-decompositions of d."""
        rows = len(features)
        if rows < FEWEST_ROWS:
            return None
        order = np.random.default_rng(seed).permutation(rows)[:REFERENCE_ROWS]
        x = normalized(np.asarray(features, np.float32)[order], 1).astype(np.float64)
        half = len(x) // 2
        unseen = [_gaussian(x[:half]).measure(x[half:]), _gaussian(x[half:]).measure(x[:half])]
        distances = np.sort(np.concatenate(unseen))
        whole = _gaussian(x)
        return cls(
            slot,
            whole.mean.astype(np.float16),
            whole.basis.astype(np.float16),
            whole.variances.astype(np.float32),
            distances[_ranks(len(distances), DISTANCES) - 1].astype(np.float32),
        )

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distances float32 [n] of features [n, d] of the slot."""
        return _Gaussian(self.mean, self.basis, self.variances).measure(normalized(np.asarray(features, np.float32), 1))

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Float32 [n] in 0..1: the share of training texts that lie nearer than each text does."""
        nearer = np.searchsorted(self.distances, self.measure(features))
        share: np.ndarray = (nearer / len(self.distances)).astype(np.float32)
        return share


@dataclass(frozen=True, eq=False)
class Guards:
    """Both references of a head, each of which may be missing."""

    conformal: Conformal | None = None
    outside: Outside | None = None

    @property
    def slot(self) -> Slot | None:
        """The pooled vector that `outside_scores` reads."""
        return self.outside.slot if self.outside else None

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Bool [n, labels]: the labels that cannot be ruled out at this coverage; every one if there is no evidence.

        Of single-label rows the share `coverage` has its label in the set; a set may be empty, which says that no
        label is credible. Of multi-label rows that carry a label the share `coverage` has all of them in the set.
        """
        limit = math.inf if self.conformal is None else self.conformal.quantile(coverage)
        inside: np.ndarray = 1.0 - np.asarray(probabilities, np.float32) <= np.float32(limit)
        return inside

    def intervals(self, numbers: np.ndarray, coverage: float) -> np.ndarray:
        """Float64 [n, 2] around numbers [n]; infinite if there is no evidence."""
        width = math.inf if self.conformal is None else self.conformal.quantile(coverage)
        numbers = np.asarray(numbers, np.float64)
        return np.stack([numbers - width, numbers + width], axis=1)

    def outside_scores(self, features: np.ndarray) -> np.ndarray | None:
        """Float32 [n] in 0..1 of features [n, d] of `slot`; from BEYOND on a text is called outside."""
        return None if self.outside is None else self.outside.scores(features)

    def tensors(self) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        if self.conformal:
            tensors["conformal"] = self.conformal.scores
        if self.outside:
            tensors.update({f"outside.{name}": getattr(self.outside, name) for name in OUTSIDE})
        return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}

    def about(self) -> dict[str, object]:
        made, found = self.conformal, self.outside
        return {
            "conformal": {"kind": made.kind, "rows": made.rows} if made else None,
            "outside": slots_to_json((found.slot,)) if found else None,
        }

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Guards:
        """The reverse of `about` and `tensors`; raises CorruptHead for what could not be served truthfully."""
        wanted: dict[str, Any] = {"conformal": np.float32} if about["conformal"] else {}
        if about["outside"]:
            wanted.update({f"outside.{name}": dtype for name, dtype in OUTSIDE.items()})
        expect_tensors(tensors, wanted)
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise CorruptHead("The head's guards hold a number that is not finite.")
        conformal = outside = None
        if about["conformal"]:
            conformal = Conformal(about["conformal"]["kind"], tensors["conformal"], about["conformal"]["rows"])
            _check_conformal(conformal)
        if about["outside"]:
            (slot,) = slots_of_json(about["outside"])
            outside = Outside(slot, *(tensors[f"outside.{name}"] for name in OUTSIDE))
            _check_outside(outside)
        return cls(conformal, outside)


OUTSIDE: Mapping[str, Any] = {
    "mean": np.float16,
    "basis": np.float16,
    "variances": np.float32,
    "distances": np.float32,
}


def abstains(best: float, outside: float | None, below: float, when_outside: bool) -> bool:
    """Whether an answer is better withheld: its best probability, and its outside score if there is one."""
    return best < below or (when_outside and outside is not None and outside >= BEYOND)


@dataclass(frozen=True, eq=False)
class _Gaussian:
    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray

    def measure(self, x: np.ndarray) -> np.ndarray:
        centred = x - self.mean.astype(x.dtype)
        along = centred @ self.basis.astype(x.dtype)
        rest = np.maximum((centred * centred).sum(axis=1) - (along * along).sum(axis=1), 0)
        squared = (along * along / self.variances[:-1].astype(x.dtype)).sum(axis=1) + rest / self.variances[-1]
        distances: np.ndarray = np.sqrt(squared).astype(np.float32)
        return distances


def _gaussian(x: np.ndarray) -> _Gaussian:
    """The maximum-likelihood probabilistic PCA (Tipping and Bishop 1999) of rows [n, d]."""
    rows, width = x.shape
    mean = x.mean(axis=0)
    centred = x - mean
    scatter = centred.T @ centred / max(rows - 1, 1)
    kept = max(1, min(DIRECTIONS, rows // 4, width - 1))
    values, vectors = eigh(scatter, subset_by_index=[width - kept, width - 1])
    rest = max((float(np.trace(scatter)) - float(values.sum())) / (width - kept), 1e-12)
    return _Gaussian(mean, vectors, np.append(np.maximum(values, rest), rest))


def _ranks(rows: int, limit: int = SCORES) -> np.ndarray:
    """The ranks, 1 to `rows`, of the order statistics that are kept."""
    if rows <= limit:
        return np.arange(1, rows + 1)
    ranks: np.ndarray = np.ceil(np.linspace(1, rows, limit)).astype(np.int64)
    return ranks


def _check_conformal(found: Conformal) -> None:
    whole = isinstance(found.rows, int) and not isinstance(found.rows, bool) and found.rows >= 0
    fits = whole and found.scores.shape == (min(found.rows, SCORES),)
    if not fits or found.kind not in ("label", "labels", "number") or (np.diff(found.scores) < 0).any():
        raise CorruptHead("The head's prediction sets rest on damaged numbers.")


def _check_outside(found: Outside) -> None:
    check_slots((found.slot,))
    width, kept = found.basis.shape if found.basis.ndim == 2 else (0, 0)
    fits = found.mean.shape == (width,) and found.variances.shape == (kept + 1,) and width > 0
    sound = (found.variances > 0).all() and found.distances.ndim == 1 and (np.diff(found.distances) >= 0).all()
    if not fits or not sound or not 0 < len(found.distances) <= DISTANCES:
        raise CorruptHead("The head's picture of its training texts is damaged.")
