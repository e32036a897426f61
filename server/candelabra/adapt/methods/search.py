"""Which penalty, and ridge or LDA or both: by the loss of rows that were left out. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError
from scipy.special import log_expit, logsumexp

from candelabra.adapt import calibration
from candelabra.adapt.methods.problem import LEFT_OUT, WEIGHTS, Problem, Solved, Spectrum
from candelabra.adapt.training import TrainingSet
from candelabra.types import TaskKind

GRID = tuple(10.0 ** (step / 2) for step in range(-8, 7))
"""Penalties, relative to the mean eigenvalue of the features' scatter."""
START = GRID.index(10.0**-0.5)
SPECTRUM = 1200
"""Beyond this order an eigendecomposition costs more than the few Cholesky factors that a climb needs."""

GAIN = 0.002
"""A neighbouring penalty must be better by this share of the loss: on a plateau the climb stops."""
SPARED = 0.005
"""Share of the loss at which two penalties are worth their cost."""

Part = tuple[str, float, float]
"""Solver, penalty, and the weight of its outputs in the sum."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the outputs should be: `truth` float64 [n, k] is what least squares aims at, `targets` what a loss reads.

    `soft` says that the truth of a single-label task is a share for each label.
    """

    kind: TaskKind
    truth: np.ndarray
    targets: np.ndarray
    soft: bool = False

    @classmethod
    def of(cls, data: TrainingSet, kind: TaskKind) -> Wanted:
        if kind is TaskKind.REGRESSION:
            numbers = np.asarray(data.targets, np.float64)
            return cls(kind, numbers[:, None], numbers)
        if data.weights is not None:
            shares = np.asarray(data.weights, np.float64)
            if kind is TaskKind.MULTI_LABEL:
                return cls(kind, shares, data.targets)
            shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
            return cls(kind, shares, shares.argmax(axis=1), soft=True)
        if kind is TaskKind.MULTI_LABEL:
            return cls(kind, data.targets.astype(np.float64), data.targets)
        return cls(kind, np.eye(len(data.labels))[data.targets], data.targets)

    @property
    def solvers(self) -> tuple[str, ...]:
        """LDA needs labels that are one and certain, and one of them twice: else there is no scatter within."""
        if self.kind is not TaskKind.SINGLE_LABEL or self.soft or self.truth.sum(axis=0).max() < 2:
            return ("ridge",)
        return ("lda", "ridge")

    @property
    def strata(self) -> np.ndarray:
        """int64 [n]: what a sample should have its share of. Multi-label rows go by their rarest label."""
        if self.kind is TaskKind.REGRESSION:
            return np.searchsorted(np.unique(np.quantile(self.targets, [0.2, 0.4, 0.6, 0.8])), self.targets)
        if self.kind is TaskKind.MULTI_LABEL:
            often = np.where(self.targets > 0, self.targets.sum(axis=0), len(self.targets) + 1)
            return np.asarray(np.where(self.targets.any(axis=1), often.argmin(axis=1), self.targets.shape[1]))
        return np.asarray(self.targets, np.int64)

    def sample(self, digests: np.ndarray, limit: int) -> np.ndarray:
        """At most `limit` rows to leave out."""
        return left_out_rows(digests, self.strata, self.learnable(), limit)

    def learnable(self) -> np.ndarray:
        """Mask of the rows whose leaving out says something: their label has another row."""
        if self.kind is not TaskKind.SINGLE_LABEL or self.soft:
            return np.ones(len(self.truth), bool)
        repeated = self.truth.sum(axis=0)[self.targets] > 1
        return repeated if repeated.any() else np.ones(len(self.truth), bool)

    def losses(self, outputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of each row: squared error of numbers, else negative log likelihood after calibration."""
        if not np.isfinite(outputs).all():
            return np.full(len(rows), math.inf)
        if self.kind is TaskKind.REGRESSION:
            return np.asarray((outputs[:, 0] - self.targets[rows]) ** 2)
        if self.kind is TaskKind.MULTI_LABEL:
            truth = self.targets[rows]
            scale, shift = calibration.platt(outputs, truth)
            return np.asarray(-log_expit((2.0 * truth - 1.0) * (outputs * scale + shift)).sum(axis=1))
        z = outputs / self.temperature(outputs, rows)
        own = (z * self.truth[rows]).sum(axis=1) if self.soft else z[np.arange(len(rows)), self.targets[rows]]
        return np.asarray(logsumexp(z, axis=1) - own)

    def temperature(self, outputs: np.ndarray, rows: np.ndarray) -> float:
        return calibration.temperature(outputs, self.truth[rows] if self.soft else self.targets[rows])


@dataclass(frozen=True, eq=False)
class Choice:
    """Parts whose outputs are added: a sum of linear functions is one linear function."""

    parts: tuple[Part, ...]
    losses: np.ndarray
    step: int

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


class Search:
    """Climbs along the penalties; what one penalty costs is `Spectrum`'s or `Problem.solve`'s, and paid once."""

    def __init__(
        self, problem: Problem, wanted: Wanted, rows: np.ndarray, tried: Callable[[float, float], None]
    ) -> None:
        self.problem, self.wanted, self.rows, self.tried = problem, wanted, rows, tried
        self._spectrum: Spectrum | None = None
        self._solved: dict[float, Solved] = {}
        self._choices: dict[tuple[str, float], Choice] = {}

    def run(self, solvers: Sequence[str], penalty: float | None = None, start: int = START) -> Choice:
        """The best solver and penalty, or both solvers' sum."""
        return self.second(self.climb(solvers[0], penalty, start), solvers, penalty)

    def second(self, first: Choice, solvers: Sequence[str], penalty: float | None) -> Choice:
        """The other solver, started at the first one's penalty, and both together."""
        choices = [first]
        for other in solvers[1:]:
            choices.append(self.climb(other, penalty, first.step))
            apart, shared = (
                self._sum(first, choices[-1]),
                self._sum(first, self.at(other, first.parts[0][1], first.step)),
            )
            # Of one penalty a sum costs one factor instead of two, at every refit.
            choices.append(shared if shared.loss <= apart.loss * (1 + SPARED) else apart)
        return min(choices, key=lambda choice: choice.loss)

    def climb(self, solver: str, penalty: float | None = None, start: int = START) -> Choice:
        """The penalty from which both neighbours are worse; the loss has one valley in it."""
        if penalty is not None:
            return self.at(solver, penalty, start)
        best = self.at(solver, GRID[start], start)
        for direction in (-1, 1):
            while 0 <= best.step + direction < len(GRID):
                step = best.step + direction
                if not self.at(solver, GRID[step], step).loss < best.loss * (1 - GAIN):
                    break
                best = self.at(solver, GRID[step], step)
        return best

    def at(self, solver: str, penalty: float, step: int) -> Choice:
        key = (solver, penalty)
        if key not in self._choices:
            losses = self.wanted.losses(self._outputs(solver, penalty), self.rows)
            self._choices[key] = Choice(((solver, penalty, 1.0),), losses, step)
            self.tried(penalty, self._choices[key].loss)
        return self._choices[key]

    def _sum(self, one: Choice, other: Choice) -> Choice:
        """Both with equal say: each divided by its own temperature, then added."""
        parts: list[Part] = []
        total = np.zeros((len(self.rows), self.wanted.truth.shape[1]))
        for solver, penalty, _ in (*one.parts, *other.parts):
            outputs = self._outputs(solver, penalty)
            if not np.isfinite(outputs).all():
                return one
            weight = 0.5 / self.wanted.temperature(outputs, self.rows)
            total += weight * outputs
            parts.append((solver, penalty, weight))
        return Choice(tuple(parts), self.wanted.losses(total, self.rows), one.step)

    def _outputs(self, solver: str, penalty: float) -> np.ndarray:
        try:
            left = LEFT_OUT[solver](self._solve(penalty), self.wanted.truth[self.rows], self.problem)
            # fp32 is enough to compare losses, and exponentials take half the search.
            return left.astype(np.float32) if self.wanted.kind is TaskKind.SINGLE_LABEL else left
        except LinAlgError:
            return np.full((len(self.rows), self.wanted.truth.shape[1]), math.nan)

    def _solve(self, penalty: float) -> Solved:
        if penalty not in self._solved:
            if len(self.problem.matrix) > SPECTRUM:
                self._solved[penalty] = self.problem.solve(penalty, self.rows)[0]
            else:
                if self._spectrum is None:
                    self._spectrum = Spectrum.of(self.problem, self.rows)
                self._solved[penalty] = self._spectrum.solve(penalty)
        return self._solved[penalty]


@dataclass(frozen=True, eq=False)
class Linear:
    """`weight` [d, k] and `bias` [k] on features; `outputs` [m, k] of left-out rows."""

    weight: np.ndarray
    bias: np.ndarray
    outputs: np.ndarray


def solve(problem: Problem, wanted: Wanted, parts: Sequence[Part], rows: np.ndarray) -> Linear:
    """The chosen sum in fp64, and its outputs for `rows`, each left out of the fit."""
    width, count = len(problem.scale), wanted.truth.shape[1]
    weight, bias, outputs = np.zeros((width, count)), np.zeros(count), np.zeros((len(rows), count))
    solved: dict[float, tuple[Solved, np.ndarray]] = {}
    for solver, penalty, share in parts:
        if penalty not in solved:
            solved[penalty] = problem.solve(penalty, rows)
        one_weight, one_bias = WEIGHTS[solver](*solved[penalty], problem)
        weight, bias = weight + share * one_weight, bias + share * one_bias
        outputs = outputs + share * LEFT_OUT[solver](solved[penalty][0], wanted.truth[rows], problem)
    return Linear(weight, bias, outputs)


def left_out_rows(digests: np.ndarray, strata: np.ndarray, allowed: np.ndarray, limit: int) -> np.ndarray:
    """Indices of at most `limit` rows of the mask `allowed`, every stratum by its share, in any prefix of them too.

    They go by their digests, not by their places: the same rows give the same sample, in the same order.
    """
    at = np.flatnonzero(allowed)
    strata, keys = strata[at], digests[at]
    order = np.lexsort((keys, strata))
    begin, end = (np.searchsorted(strata[order], strata[order], side) for side in ("left", "right"))
    first = np.lexsort((keys[order], (np.arange(len(order)) - begin + 0.5) / (end - begin)))[:limit]
    return np.asarray(at[order[first]])


def described(parts: Sequence[Part]) -> Mapping[str, str]:
    return {
        "solver": "+".join(solver for solver, _, _ in parts),
        "ridge": ", ".join(f"{penalty:.3g}" for _, penalty, _ in parts),
    }
