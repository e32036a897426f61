"""How good decisions are: every metric from per-label counts, with intervals; calibration error; confusion.

A decision is a row of 0/1 over the labels. Rows with the same truth and decisions are counted together, so that
a bootstrap draws a few hundred group sizes from a multinomial instead of ten thousand rows one by one: it is the
same distribution at a hundredth of the cost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from sklearn.metrics import confusion_matrix

from candelabra.errors import InvalidArgument

DRAWS = 1000
LEVEL = 0.95
BINS = 15
PLAIN = ("accuracy", "micro_f1", "macro_f1")
OF_LABEL = re.compile(r"(f1|f2|recall)\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_score(self, metric: str) -> dict[str, object]:
        return {"metric": metric, "value": self.value, "low": self.low, "high": self.high}


def check_metric(metric: str, labels: Sequence[str]) -> None:
    """Raises InvalidArgument for a metric that this module does not know or whose label is not there."""
    match = OF_LABEL.fullmatch(metric)
    if metric not in PLAIN and match is None:
        raise InvalidArgument(
            f"The metric {metric!r} is unknown: use {', '.join(PLAIN)}, f1[LABEL], f2[LABEL] or recall[LABEL].",
            field="metric",
        )
    if match is not None and match[2] not in labels:
        raise InvalidArgument(f"The metric {metric!r} names a label that no example carries.", field="metric")


def metric_label(metric: str) -> str | None:
    """The label that a metric is about, if it is about one."""
    match = OF_LABEL.fullmatch(metric)
    return match[2] if match else None


def one_hot(targets: np.ndarray, labels: int) -> np.ndarray:
    """Targets as 0/1 rows: int [n] of single-label tasks or already [n, labels]."""
    if targets.ndim == 2:
        return targets.astype(np.uint8, copy=False)
    rows = np.zeros((len(targets), labels), np.uint8)
    rows[np.arange(len(targets)), targets] = 1
    return rows


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, predicted and true rows of each label; leading dimensions are bootstrap draws."""

    hit: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    exact: np.ndarray
    rows: np.ndarray

    def value(self, metric: str, labels: Sequence[str]) -> np.ndarray:
        """The metric of each draw. Nothing to find and nothing predicted is 0, as scikit-learn has it."""
        if metric == "accuracy":
            return _ratio(self.exact, self.rows)
        if metric == "micro_f1":
            return _ratio(2 * self.hit.sum(-1), self.predicted.sum(-1) + self.true.sum(-1))
        if metric == "macro_f1":
            seen = (self.predicted + self.true) > 0
            return _ratio(np.where(seen, _ratio(2 * self.hit, self.predicted + self.true), 0).sum(-1), seen.sum(-1))
        match = OF_LABEL.fullmatch(metric)
        if match is None:
            raise InvalidArgument(f"The metric {metric!r} is unknown.", field="metric")
        at = list(labels).index(match[2])
        hit, predicted, true = self.hit[..., at], self.predicted[..., at], self.true[..., at]
        if match[1] == "recall":
            return _ratio(hit, true)
        beta = 1 if match[1] == "f1" else 4
        return _ratio((1 + beta) * hit, beta * true + predicted)


def count(truth: np.ndarray, decided: np.ndarray, weights: np.ndarray | None = None) -> Counts:
    """Counts over rows, or over weighted groups of rows for each of `weights` [draws, rows]."""
    exact = (truth == decided).all(axis=1).astype(float)
    if weights is None:
        weights = np.ones(len(truth))
    return Counts(
        hit=weights @ (truth & decided).astype(float),
        predicted=weights @ decided.astype(float),
        true=weights @ truth.astype(float),
        exact=weights @ exact,
        rows=weights.sum(-1),
    )


def value(metric: str, truth: np.ndarray, decided: np.ndarray, labels: Sequence[str]) -> float:
    return float(count(truth, decided).value(metric, labels))


def score(metric: str, truth: np.ndarray, decided: np.ndarray, labels: Sequence[str], seed: int = 0) -> Interval:
    """The metric with its interval: Wilson for proportions, bootstrap for F-scores."""
    at = value(metric, truth, decided, labels)
    if metric == "accuracy":
        return Interval(at, *wilson(at * len(truth), len(truth)))
    if metric.startswith("recall["):
        column = list(labels).index(str(metric_label(metric)))
        return Interval(at, *wilson(at * int(truth[:, column].sum()), int(truth[:, column].sum())))
    groups, weights = _draws((truth, decided), seed)
    return _spread(at, count(groups[0], groups[1], weights).value(metric, labels), LEVEL)


def difference(
    metric: str,
    truth: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    labels: Sequence[str],
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Ours minus theirs on the same rows, with the interval of a paired bootstrap."""
    at = value(metric, truth, ours, labels) - value(metric, truth, theirs, labels)
    if metric == "accuracy":
        # Only whether a row is right counts: draws are of four kinds of rows and not of thousands.
        right = [(truth == one).all(axis=1, keepdims=True) for one in (ours, theirs)]
        truth, ours, theirs = np.ones((len(truth), 1), bool), right[0], right[1]
    groups, weights = _draws((truth, ours, theirs), seed)
    drawn = count(groups[0], groups[1], weights).value(metric, labels)
    drawn = drawn - count(groups[0], groups[2], weights).value(metric, labels)
    return _spread(at, drawn, level)


def wilson(hits: float, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a proportion; the whole range where nothing was seen."""
    if rows == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = hits / rows, z * z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Expected calibration error in 15 equal-width bins: of the best label, or of every label of multi-label rows."""
    if targets.ndim == 2:
        sure, right = probabilities.ravel(), targets.ravel().astype(float)
    else:
        sure, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == targets).astype(float)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, weights=right - sure, minlength=BINS)
    return float(np.abs(gap).sum() / max(len(sure), 1))


def calibration_noise(probabilities: np.ndarray, multi: bool = False) -> float:
    """The calibration error that a perfectly calibrated head would show by chance on rows of these probabilities."""
    sure = probabilities.ravel() if multi else probabilities.max(axis=1)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    # A bin's sum of (right - sure) is nearly normal, and the mean of its size is all that is asked.
    spread = np.sqrt(np.bincount(bins, weights=sure * (1 - sure), minlength=BINS))
    return float(math.sqrt(2 / math.pi) * spread.sum() / max(len(sure), 1))


def label_reports(truth: np.ndarray, decided: np.ndarray, labels: Sequence[str]) -> list[dict[str, object]]:
    """Precision, recall, F1 and support of each label."""
    counts = count(truth, decided)
    precision, recall = _ratio(counts.hit, counts.predicted), _ratio(counts.hit, counts.true)
    f1 = _ratio(2 * counts.hit, counts.predicted + counts.true)
    reports: list[dict[str, object]] = []
    for at, label in enumerate(labels):
        low, high = wilson(float(counts.hit[at]), int(counts.true[at]))
        reports.append(
            {
                "label": label,
                "precision": float(precision[at]),
                "recall": float(recall[at]),
                "f1": float(f1[at]),
                "recall_low": low,
                "recall_high": high,
                "support": int(counts.true[at]),
            }
        )
    return reports


def confusion(targets: np.ndarray, decided: np.ndarray, labels: Sequence[str]) -> dict[str, object]:
    """The confusion matrix of single-label rows, row-major: truth down, decision across."""
    counts = confusion_matrix(targets, decided, labels=np.arange(len(labels)))
    return {"labels": list(labels), "counts": [int(cell) for cell in counts.ravel()]}


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(over, under, out=np.zeros(np.shape(over)), where=np.asarray(under) > 0)
    return ratio


def _draws(parts: Sequence[np.ndarray], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct rows of the parts taken together, and bootstrap draws of how often each occurs."""
    packed = np.packbits(np.concatenate(parts, axis=1).astype(bool), axis=1)
    keys = np.ascontiguousarray(packed).view([("", packed.dtype)] * packed.shape[1]).ravel()
    _, first, sizes = np.unique(keys, return_index=True, return_counts=True)
    random = np.random.default_rng(seed)
    weights = random.multinomial(int(sizes.sum()), sizes / sizes.sum(), size=DRAWS).astype(float)
    return [part[first] for part in parts], weights


def _spread(at: float, drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(at, float(low), float(high))
