"""Which backbone to use for a task, and by how much it matters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Trial:
    """What was measured of one backbone. `rows` float [n]: each example's own score, left out of training.

    A row's score is 1 or 0 for a right or wrong label; for numbers, less of the squared error. The same rows in the
    same order for every backbone, so that two can be compared row by row.
    """

    name: str
    rows: np.ndarray
    logme: float
    h_score: float
    seconds_per_thousand: float

    @property
    def score(self) -> float:
        return float(np.mean(self.rows))


@dataclass(frozen=True, slots=True)
class Ranked:
    """A backbone in the ranking. `behind` and its 95 % interval: how much lower it scores than the best."""

    name: str
    score: float
    logme: float
    h_score: float
    seconds_per_thousand: float
    behind: float
    behind_low: float
    behind_high: float


@dataclass(frozen=True, slots=True)
class Advice:
    backbones: Sequence[Ranked]
    recommended: str
    recommendation: str


def advise(trials: Sequence[Trial], metric: str = "leave-one-out accuracy", seed: int = 0) -> Advice:
    """The best score first. Of those that cannot be told from the best the cheapest is recommended."""
    if not trials:
        raise ValueError("There is nothing to choose among.")
    if len({len(trial.rows) for trial in trials}) > 1 or len(trials[0].rows) == 0:
        raise ValueError("The backbones must have been tried on the same rows.")
    order = sorted(trials, key=lambda trial: (-trial.score, trial.seconds_per_thousand, trial.name))
    best = order[0]
    ranked = [_ranked(trial, best, seed) for trial in order]
    as_good = [one for one in ranked if one.behind_low <= 0]
    chosen = min(as_good, key=lambda one: (one.seconds_per_thousand, one.behind))
    return Advice(tuple(ranked), chosen.name, _sentence(ranked, as_good, chosen, metric))


def _ranked(trial: Trial, best: Trial, seed: int) -> Ranked:
    low, high = paired_interval(best.rows - trial.rows, seed)
    return Ranked(
        trial.name,
        trial.score,
        trial.logme,
        trial.h_score,
        trial.seconds_per_thousand,
        best.score - trial.score,
        low,
        high,
    )


def paired_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of differences [n]."""
    if not differences.any():
        return 0.0, 0.0
    random, rows = np.random.default_rng(seed), len(differences)
    means = [differences[random.integers(rows, size=rows)].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _sentence(ranked: Sequence[Ranked], as_good: Sequence[Ranked], chosen: Ranked, metric: str) -> str:
    best = ranked[0]
    cost = f"{chosen.seconds_per_thousand:.3g} s for 1,000 texts"
    begin = f"Use {chosen.name} ({metric} {chosen.score:.3f}, {cost})"
    if len(ranked) == 1:
        return f"{begin}: it is the only backbone that was tried."
    if chosen is not best:
        return (
            f"{begin}: {best.name} scores {chosen.behind:.3f} higher, which may be chance (95 % interval "
            f"{chosen.behind_low:+.3f} to {chosen.behind_high:+.3f}), and takes "
            f"{best.seconds_per_thousand / max(chosen.seconds_per_thousand, 1e-9):.1f} times as long."
        )
    second = ranked[1]
    apart = f"{second.behind:.3f} (95 % interval {second.behind_low:+.3f} to {second.behind_high:+.3f})"
    if len(as_good) > 1:
        return f"{begin}: it leads {second.name} by {apart}, which may be chance, and none as good is cheaper."
    return f"{begin}: it leads the next, {second.name}, by {apart}, more than chance would."
