"""How badly labels fit what a head says of them: what prediction sets rest on, and whether they cover as asked."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.comparison import Coverage
from candelabra.adapt.training import TrainSpec
from candelabra.heads.guards import Conformal, Kind

COVERAGE = 0.9


def of_rows(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The score of each row, as guards.Conformal has it."""
    if targets.ndim == 2:
        carrying = targets.any(axis=1)
        least = np.where(targets[carrying] > 0, probabilities[carrying], 1.0).min(axis=1, initial=1.0)
        return np.asarray(1.0 - least)
    return np.asarray(1.0 - probabilities[np.arange(len(targets)), targets])


def covered(kind: Kind, own: np.ndarray, other: np.ndarray | None, spec: TrainSpec) -> Coverage:
    """How many of the rows with scores `own` lie in sets or intervals made from other rows.

    `other` are the scores that the head's sets are made from, where those are of other rows; else each half of the rows
    is looked at with sets made from the other half.
    """
    asked = spec.gate.coverage or COVERAGE
    if other is not None:
        return Coverage(asked, _within(own, Conformal.of(kind, other).quantile(asked)), len(own))
    half = np.random.default_rng(spec.seed).permutation(len(own)) % 2 == 0
    inside = sum(_within(own[one], Conformal.of(kind, own[~one]).quantile(asked)) for one in (half, ~half))
    return Coverage(asked, inside, len(own))


def _within(scores: np.ndarray, limit: float) -> int:
    """Compared as the head does, in float32."""
    return int((np.asarray(scores, np.float32) <= np.float32(limit)).sum())
