"""Which of several methods is the head: the simplest that is not measurably worse than the best. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit, logsumexp

from candelabra.adapt import calibration
from candelabra.types import Method, TaskKind

SIMPLICITY = (
    Method.CLOSED_FORM,
    Method.PROTOTYPE,
    Method.LOGREG,
    Method.HYBRID,
    Method.DENSE,
    Method.LAYER_MIX,
    Method.TOP_K,
)
"""From the simplest on: one solve; means; one convex fit; a stack of two; a network; attention; the encoder itself."""

FEW = 32
"""Rows a label up to which means of labels, drawn to the labels' names, are worth a try, and the least loss wins."""
SECONDS = {
    Method.LAYER_MIX: (5.0, 2e-4),
    Method.TOP_K: (10.0, 1e-3),
}
"""Rough costs on one core: seconds to begin, and by tokens."""
WIDE_SECONDS = 1e-10
"""By features² x (rows + features): the sums and some factors of them."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """A method's loss on each of the `rows` that its scoring models had not seen, and what it took."""

    method: Method
    rows: np.ndarray
    losses: np.ndarray
    seconds: float


def losses(logits: np.ndarray, targets: np.ndarray, kind: TaskKind) -> np.ndarray:
    """The loss of each row [n]: log loss after the calibration that the head would get, or the squared error."""
    if kind is TaskKind.REGRESSION:
        return np.asarray((logits[:, 0] - targets) ** 2)
    if kind is TaskKind.MULTI_LABEL:
        scale, bias = calibration.platt(logits, targets)
        return np.asarray(-log_expit((2.0 * targets - 1.0) * (logits * scale + bias)).sum(axis=1))
    z = logits / calibration.temperature(logits, targets)
    return np.asarray(logsumexp(z, axis=1) - z[np.arange(len(z)), targets])


def winner(entrants: Sequence[Entrant], *, few: bool = False) -> tuple[Entrant, dict[Method, float]]:
    """The simplest within one standard error of the best, and mean losses: the best's, and how much more others lose.

    Two are compared on the rows that both were scored on, which are more than those that all were. The best is the one
    that loses least against its strongest rival. The error is that of the paired difference: what one row costs varies
    far more than what it costs one method more than another. Where no row is shared the simpler one is preferred.
    `few`: the best wins, for a standard error of two dozen rows would let nothing but the simplest pass.
    """
    ordered = sorted(entrants, key=lambda one: SIMPLICITY.index(one.method))
    best = min(ordered, key=lambda one: max(_mean(gap(one, other)) for other in ordered))
    means = {one.method: _mean(best.losses) + _mean(gap(one, best)) for one in ordered}
    for one in [] if few else ordered:
        worse = gap(one, best)
        if one is best or _mean(worse) <= standard_error(worse):
            return one, means
    return best, means


def gap(one: Entrant, other: Entrant) -> np.ndarray:
    """How much more `one` loses than `other` on each row that both were scored on."""
    shared = np.intersect1d(one.rows, other.rows)
    return _on(one, shared) - _on(other, shared)


def standard_error(values: np.ndarray) -> float:
    """Of their mean; 0 without any."""
    return float(values.std()) / math.sqrt(max(len(values), 1)) if len(values) else 0.0


def affordable_wide(rows: int, width: int, left: float) -> bool:
    """Whether a closed form over all `width` features is likely to end within the seconds left."""
    return WIDE_SECONDS * width**2 * (rows + width) <= left


def affordable(method: Method, tokens: int, left: float) -> bool:
    """Whether a method that reads tokens is likely to end within the seconds left."""
    begin, by_token = SECONDS[method]
    return begin + by_token * tokens <= left


def words(entrants: Sequence[Entrant], means: dict[Method, float]) -> str:
    """The race for the report: method, mean loss, seconds."""
    return "; ".join(f"{one.method.value} {means[one.method]:.4f} in {one.seconds:.1f} s" for one in entrants)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _on(one: Entrant, shared: np.ndarray) -> np.ndarray:
    order = np.argsort(one.rows)
    found: np.ndarray = one.losses[order[np.searchsorted(one.rows, shared, sorter=order)]]
    return found
