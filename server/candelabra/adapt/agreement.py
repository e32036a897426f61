"""How well numbers agree with true numbers: correlation and explained variance, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candelabra.adapt.scores import DRAWS, LEVEL, Interval
from candelabra.errors import InvalidArgument

METRICS = ("pearson", "spearman", "r2")
ERROR = "mean_absolute_error"
CHUNK = 500_000
"""Draws x rows that are worked on at once: some ten arrays of that many float64 are in memory."""

Draws = np.ndarray
"""How often each row is drawn [draws, rows]; ones stand for the rows as they are."""


def check_metric(metric: str) -> None:
    """Raises InvalidArgument for a metric that is not one of numbers."""
    if metric not in METRICS:
        raise InvalidArgument(
            f"The metric {metric!r} is unknown for numbers: use {', '.join(METRICS)}.", field="metric"
        )


def value(metric: str, truth: np.ndarray, given: np.ndarray) -> float:
    """Of numbers [n]; a constant correlates with nothing, so its correlation is 0."""
    return float(_drawn(metric, truth, given, np.ones((1, len(truth))))[0])


def score(metric: str, truth: np.ndarray, given: np.ndarray, seed: int = 0) -> Interval:
    """The metric with the interval of a bootstrap over rows."""
    (drawn,) = _bootstrap(metric, truth, [given], seed)
    return _spread(value(metric, truth, given), drawn, LEVEL)


def difference(
    metric: str, truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray, seed: int = 0, level: float = LEVEL
) -> Interval:
    """Ours minus theirs on the same rows, with the interval of a paired bootstrap over rows."""
    mine, other = _bootstrap(metric, truth, [ours, theirs], seed)
    return _spread(value(metric, truth, ours) - value(metric, truth, theirs), mine - other, level)


def _bootstrap(metric: str, truth: np.ndarray, given: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """The metric of each of `given` in each of DRAWS draws; every one meets the same draws."""
    rows = len(truth)
    random = np.random.default_rng(seed)
    step = max(1, CHUNK // max(rows, 1))
    found: list[list[np.ndarray]] = [[] for _ in given]
    for first in range(0, DRAWS, step):
        weights = random.multinomial(rows, np.full(rows, 1 / rows), size=min(step, DRAWS - first)).astype(float)
        for one, numbers in zip(found, given, strict=True):
            one.append(_drawn(metric, truth, numbers, weights))
    return [np.concatenate(one) for one in found]


def _drawn(metric: str, truth: np.ndarray, given: np.ndarray, weights: Draws) -> np.ndarray:
    if metric == ERROR:
        error: np.ndarray = weights @ np.abs(given - truth) / weights.sum(axis=1)
        return error
    # Far from zero the sums of squares would cancel; no metric here depends on where zero is.
    truth, given = truth - truth.mean(), given - truth.mean()
    if metric == "r2":
        return _explained(truth, given, weights)
    if metric == "spearman":
        return _correlation(_ranks(truth, weights), _ranks(given, weights), weights)
    return _correlation(truth, given - given.mean(), weights)


def _explained(truth: np.ndarray, given: np.ndarray, weights: Draws) -> np.ndarray:
    rows = weights.sum(axis=1)
    missed = weights @ (given - truth) ** 2
    spread = weights @ truth**2 - (weights @ truth) ** 2 / rows
    some = spread > 1e-12 * np.maximum(weights @ truth**2, 1e-300)
    share: np.ndarray = 1 - np.divide(missed, spread, out=np.ones(len(rows)), where=some)
    return share


def _correlation(x: np.ndarray, y: np.ndarray, weights: Draws) -> np.ndarray:
    """Pearson's, of x and y [rows] or [draws, rows]."""
    rows = weights.sum(axis=1, keepdims=True)

    def deviation(z: np.ndarray) -> np.ndarray:
        centred: np.ndarray = z - (weights * z).sum(axis=1, keepdims=True) / rows
        return centred

    dx, dy = deviation(x), deviation(y)
    over = (weights * dx * dy).sum(axis=1)
    sizes = [(weights * d * d).sum(axis=1) for d in (dx, dy)]
    # A constant leaves only rounding behind.
    flat = [
        size <= 1e-20 * rows[:, 0] * np.square(z).max(initial=1e-300) for size, z in zip(sizes, (x, y), strict=True)
    ]
    under = np.sqrt(sizes[0] * sizes[1])
    found: np.ndarray = np.divide(over, under, out=np.zeros(len(rows)), where=~(flat[0] | flat[1]))
    return found


def _ranks(z: np.ndarray, weights: Draws) -> np.ndarray:
    """The middle rank of each value within each draw [draws, rows], exactly as if the draws were written out."""
    _, group = np.unique(z, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(counts, axis=1) - counts / 2
    ranks: np.ndarray = middle[:, group]
    return ranks


def _spread(at: float, drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(at, float(low), float(high))
