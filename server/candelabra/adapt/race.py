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
    """The simplest within one standard error of the best on the rows that all were scored on, and mean losses.

    The error is that of the paired difference: what one row costs varies far more than what it costs one method more
    than another. Without a shared row the simplest wins. `few`: the best wins, for a standard error of two dozen rows
    would let nothing but the simplest pass.
    """
    ordered = sorted(entrants, key=lambda one: SIMPLICITY.index(one.method))
    shared = ordered[0].rows
    for one in ordered[1:]:
        shared = np.intersect1d(shared, one.rows)
    if len(shared) == 0:
        return ordered[0], {one.method: math.nan for one in ordered}
    on = {one.method: _on(one, shared) for one in ordered}
    means = {method: float(values.mean()) for method, values in on.items()}
    best = min(ordered, key=lambda one: means[one.method])
    for one in [] if few else ordered:
        gap = on[one.method] - on[best.method]
        if one is best or gap.mean() <= gap.std() / math.sqrt(len(shared)):
            return one, means
    return best, means


def affordable_wide(rows: int, width: int, left: float) -> bool:
    """Whether a closed form over all `width` features is likely to end within the seconds left."""
    return WIDE_SECONDS * width**2 * (rows + width) <= left


def affordable(method: Method, tokens: int, left: float) -> bool:
    """Whether a method that reads tokens is likely to end within the seconds left."""
    begin, by_token = SECONDS[method]
    return begin + by_token * tokens <= left


def gap(one: Entrant, other: Entrant) -> np.ndarray:
    """How much more `one` loses than `other` on each row that both were scored on."""
    shared = np.intersect1d(one.rows, other.rows)
    return _on(one, shared) - _on(other, shared)


def words(entrants: Sequence[Entrant], means: dict[Method, float]) -> str:
    """The race for the report: method, mean loss, seconds."""
    return "; ".join(f"{one.method.value} {means[one.method]:.4f} in {one.seconds:.1f} s" for one in entrants)


def _on(one: Entrant, shared: np.ndarray) -> np.ndarray:
    order = np.argsort(one.rows)
    found: np.ndarray = one.losses[order[np.searchsorted(one.rows, shared, sorter=order)]]
    return found
