"""CLOSED_FORM: solver, layer set and penalty chosen by exact leave-one-out, then one solve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from candelabra.adapt import calibration
from candelabra.adapt.problem import Lda, Problem, Ridge
from candelabra.adapt.split import hold_out
from candelabra.adapt.statistics import Statistics
from candelabra.errors import InvalidArgument
from candelabra.types import BackboneInfo, Progress, Slot

GRID = tuple(10.0 ** (step / 2) for step in range(-8, 5))
"""Penalties, relative to the mean eigenvalue of the features' scatter."""
START = GRID.index(1e-2)
WIDTH = 3840
"""Features that the default slots have at most: the cost of a fit grows with the cube of it."""
SELECT_ROWS = {"single": 2048, "multi": 4096}
"""Rows whose exact leave-one-out chooses. They are a sample; each is still left out of a fit on all others."""

Tell = Callable[[Progress], None]


def default_slots(info: BackboneInfo) -> tuple[Slot, ...]:
    """The slots worth encoding for an Adapt: means of all layers and CLS of the last three, within WIDTH features.

    Where the backbone is too wide or deep for all, the means go first: the last layer, then evenly spread ones.
    """
    room = max(2, WIDTH // info.dimension)
    if info.layers + 1 + 3 <= room:
        layers = list(range(info.layers + 1))
        classes = [info.layers - 2, info.layers - 1, info.layers]
    else:
        count = min(room, info.layers + 1)
        layers = sorted({round(layer) for layer in np.linspace(info.layers / count, info.layers, count)})
        classes = []
    return (
        *(Slot(layer, "mean") for layer in layers),
        *(Slot(layer, "cls") for layer in classes if layer > 0),
    )


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller fixed; None and empty mean: choose."""

    solver: str | None = None
    layers: tuple[int, ...] = ()
    ridge: float | None = None

    @classmethod
    def parse(cls, options: Mapping[str, object], slots: Sequence[Slot], multi: bool) -> Options:
        """Raises InvalidArgument for what cannot be done."""
        unknown = set(options) - {"solver", "layers", "ridge"}
        if unknown:
            raise InvalidArgument(f"CLOSED_FORM has no option {min(unknown)!r}.", field="closed_form")
        solver = options.get("solver") or None
        if solver not in (None, "ridge", "lda"):
            raise InvalidArgument(f"The solver {solver!r} is unknown: use 'ridge' or 'lda'.", field="solver")
        if solver == "lda" and multi:
            raise InvalidArgument("LDA needs exactly one label a text: use 'ridge' here.", field="solver")
        ridge = options.get("ridge")
        if ridge is not None and not (isinstance(ridge, int | float) and math.isfinite(ridge) and ridge > 0):
            raise InvalidArgument(f"The ridge {ridge!r} is not a number above 0.", field="ridge")
        layers = parse_layers(options.get("layers"), slots)
        return cls(None if solver is None else str(solver), layers, None if ridge is None else float(ridge))


def parse_layers(layers: object, slots: Sequence[Slot]) -> tuple[int, ...]:
    """The layers asked for, all of which must be among the slots."""
    if layers is None:
        return ()
    if not isinstance(layers, Iterable):
        raise InvalidArgument(f"The layers {layers!r} are not a list of numbers.", field="layers")
    known = {slot.layer for slot in slots}
    chosen: list[int] = []
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int) or layer not in known:
            raise InvalidArgument(f"Layer {layer!r} was not encoded: choose among {sorted(known)}.", field="layers")
        chosen.append(layer)
    return tuple(sorted(set(chosen)))


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights on length-normalised features of `slots`, and what leave-one-out said of every row."""

    weight: np.ndarray
    bias: np.ndarray
    slots: tuple[Slot, ...]
    logits: np.ndarray
    chosen: dict[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver, or both with their logits added by weight: a sum of linear heads is one linear head."""

    parts: tuple[tuple[str, float, float], ...]
    """(solver, penalty, weight)"""
    slots: tuple[Slot, ...]
    loss: float
    step: int = START


def layer_sets(slots: Sequence[Slot], layers: Sequence[int]) -> list[tuple[Slot, ...]]:
    """The sets to choose among, small ones first: last, last four, all means, everything."""
    if layers:
        return [tuple(slot for slot in slots if slot.layer in layers)]
    means = sorted(slot for slot in slots if slot.pooling == "mean")
    sets = [tuple(means[-1:]), tuple(means[-4:]), tuple(means), tuple(slots)]
    return [one for at, one in enumerate(sets) if one and one not in sets[:at]]


def fit(
    features: np.ndarray,
    slots: tuple[Slot, ...],
    targets: np.ndarray,
    truth: np.ndarray,
    options: Options,
    seed: int,
    tell: Tell,
) -> Fitted:
    """Of length-normalised features [n, slots * dimension], fp64."""
    search = Search(features, slots, targets, truth, options, seed, tell)
    best = search.run()
    problem = search.problem(best.slots)
    everyone = np.arange(len(features))
    labels = truth.shape[1]
    logits, bias = np.zeros((len(features), labels)), np.zeros(labels)
    weight = np.zeros((len(best.slots) * search.dimension, labels))
    for solver, penalty, share in best.parts:
        model = _model(solver, problem, penalty)
        logits = logits + share * model.leave_one_out(everyone)
        one_weight, one_bias = model.weights()
        weight, bias = weight + share * one_weight, bias + share * one_bias
    chosen = {
        "solver": "+".join(solver for solver, _, _ in best.parts),
        "layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in best.slots),
        "ridge": ", ".join(f"{penalty:.3g}" for _, penalty, _ in best.parts),
        "leave_one_out_loss": f"{best.loss:.4f}",
    }
    return Fitted(weight, bias, best.slots, logits, chosen)


def _model(solver: str, problem: Problem, penalty: float, within: np.ndarray | None = None) -> Lda | Ridge:
    return Lda.fit(problem, penalty, within) if solver == "lda" else Ridge.fit(problem, penalty)


class Search:
    """Climbs along the penalties for each layer set; the gram of all features is computed once."""

    def __init__(
        self,
        features: np.ndarray,
        slots: tuple[Slot, ...],
        targets: np.ndarray,
        truth: np.ndarray,
        options: Options,
        seed: int,
        tell: Tell,
    ) -> None:
        self.features, self.slots, self.targets, self.truth = features, slots, targets, truth
        self.options, self.tell = options, tell
        self.multi = targets.ndim == 2
        self.dimension = features.shape[1] // len(slots)
        self.rows = self._rows(seed)
        self.tried = 0
        self._statistics: Statistics | None = None
        self._problem: tuple[tuple[Slot, ...], Problem] | None = None
        self._sample: tuple[tuple[str, tuple[Slot, ...]], Problem, np.ndarray | None] | None = None
        self._losses: dict[tuple[str, tuple[Slot, ...], int], float] = {}

    def run(self) -> Choice:
        solvers = [self.options.solver] if self.options.solver else ["ridge"] if self.multi else ["lda", "ridge"]
        counts = self.truth.sum(axis=0)
        if not self.multi and counts.max() < 2:
            # One row a label: there is no scatter within labels to learn a covariance from.
            solvers = ["ridge"]
        sets = layer_sets(self.slots, self.options.layers)
        choices: list[Choice] = []
        start = START
        for one in sets[:2]:
            choices.append(self._climb(solvers[0], one, start))
            start = choices[-1].step
        if sets[2:]:
            # The wide sets cost most: which of them is better shows at one penalty, and only that one climbs.
            wide = min(sets[2:], key=lambda one: self._at(solvers[0], one, start))
            choices.append(self._climb(solvers[0], wide, start))
        best = min(choices, key=lambda choice: choice.loss)
        for other in solvers[1:]:
            # The best layers hardly depend on the solver, so the second one is tried on the winner's only.
            choices.append(self._climb(other, best.slots, best.step))
            choices.append(self._blend(best, choices[-1]))
        return min(choices, key=lambda choice: choice.loss)

    def _blend(self, one: Choice, other: Choice) -> Choice:
        """Both with equal say: each divided by its own temperature, then added."""
        problem, targets = self.problem(one.slots).sample(self.rows), self.targets[self.rows]
        parts, total = [], np.zeros((len(self.rows), self.truth.shape[1]))
        for solver, penalty, _ in (*one.parts, *other.parts):
            logits = _model(solver, problem, penalty).leave_one_out(np.arange(len(self.rows)))
            weight = 0.5 / calibration.temperature(logits, targets)
            total += weight * logits
            parts.append((solver, penalty, weight))
        return Choice(tuple(parts), one.slots, self._calibrated_loss(total, targets))

    def problem(self, chosen: tuple[Slot, ...]) -> Problem:
        if self._problem is None or self._problem[0] != chosen:
            at = [self.slots.index(slot) for slot in chosen]
            columns = (np.array(at)[:, None] * self.dimension + np.arange(self.dimension)).ravel()
            features = self.features[:, columns]
            if 2 * len(features) <= len(columns):
                made = Problem.dual(features, self.truth, len(chosen))
            else:
                made = Problem.primal(features, self.truth, self._statistics_of(features, columns), len(chosen))
            self._problem = (chosen, made)
        return self._problem[1]

    def _statistics_of(self, features: np.ndarray, columns: np.ndarray) -> Statistics:
        if 2 * len(features) <= self.features.shape[1]:
            # The wide sets will take the dual: a gram of all features would be made for nothing.
            return Statistics.of(features, self.truth)
        if self._statistics is None:
            self._statistics = Statistics.of(self.features, self.truth)
        return self._statistics.take(columns)

    def _climb(self, solver: str, slots: tuple[Slot, ...], start: int) -> Choice:
        """The penalty from which both neighbours are worse; the loss has one valley in it."""
        at = start
        if self.options.ridge is None:
            for direction in (-1, 1):
                while 0 <= at + direction < len(GRID) and (
                    self._at(solver, slots, at + direction) < self._at(solver, slots, at)
                ):
                    at += direction
        return Choice(((solver, self._penalty(at), 1.0),), slots, self._at(solver, slots, at), at)

    def _penalty(self, step: int) -> float:
        return GRID[step] if self.options.ridge is None else self.options.ridge

    def _at(self, solver: str, slots: tuple[Slot, ...], step: int) -> float:
        """The loss, computed once."""
        key = (solver, slots, step)
        if key not in self._losses:
            problem, within = self._sampled(solver, slots)
            self._losses[key] = self._loss(solver, problem, self._penalty(step), within)
        return self._losses[key]

    def _sampled(self, solver: str, slots: tuple[Slot, ...]) -> tuple[Problem, np.ndarray | None]:
        """The problem to choose by, and its scatter within labels; only the last one asked for is kept."""
        if self._sample is None or self._sample[0] != (solver, slots):
            problem = self.problem(slots).sample(self.rows)
            self._sample = ((solver, slots), problem, Lda.within(problem) if solver == "lda" else None)
        return self._sample[1], self._sample[2]

    def _loss(self, solver: str, problem: Problem, penalty: float, within: np.ndarray | None) -> float:
        """Negative log likelihood of the left-out rows after calibration."""
        try:
            logits = _model(solver, problem, penalty, within).leave_one_out(np.arange(len(self.rows)))
        except LinAlgError:
            return math.inf
        loss = self._calibrated_loss(logits, self.targets[self.rows])
        self.tried += 1
        self.tell(Progress("train", step=self.tried, loss=loss, metrics={"penalty": penalty}))
        return loss

    def _calibrated_loss(self, logits: np.ndarray, targets: np.ndarray) -> float:
        if not np.isfinite(logits).all():
            return math.inf
        if self.multi:
            scale, bias = calibration.platt(logits, targets)
            return calibration.negative_log_likelihood(logits * scale + bias, targets)
        return calibration.negative_log_likelihood(logits / calibration.temperature(logits, targets), targets)

    def _rows(self, seed: int) -> np.ndarray:
        """A stratified sample of the rows that leave-one-out can say something about."""
        limit = SELECT_ROWS["multi" if self.multi else "single"]
        mask = np.ones(len(self.targets), bool)
        if not self.multi:
            repeated = self.truth.sum(axis=0)[self.targets] > 1
            mask = repeated if repeated.any() else mask
        if mask.sum() > limit:
            mask &= hold_out(self.targets, limit, seed)
        return np.flatnonzero(mask)
