"""CLOSED_FORM: ridge and LDA on a frozen encoder's pooled vectors, chosen by exact leave-one-out, then one solve.

Sources: Allen 1974 (leave-one-out of ridge), Hastie, Buja and Tibshirani 1995 (penalised LDA); formulas in `problem`.
The fast tier reads two slots, the last layer's mean and that at two thirds of the depth: n d² + d³ operations. `wide`
climbs over layer sets up to all slots, which takes seconds beyond some thousand rows. Measured with the 6 x 384
backbone, up to 2,500 rows, validation score of last mean alone / two slots / three slots / all ten:
financial_phrasebank .761 .782 .790 .794, sst2 .806 .819 .811 -, ade_corpus .833 .853 .849 .873, cuad_clauses .775
.804 .829 .825, banking77 .872 .885 .887 -, medical_abstracts .620 .628 .624 .617.
A seeded projection of all ten slots to 768 numbers was never better than the two slots.

Pairs are also read each text on its own, where that is within one standard error of the joint sequence: such a head
answers from two cached encodings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.problem import Problem
from candelabra.adapt.methods.search import (
    GRID,
    SPECTRUM,
    START,
    Choice,
    Search,
    Wanted,
    described,
    solve,
)
from candelabra.adapt.slots import compact_slots, layer_sets, parse_layers
from candelabra.adapt.statistics import Statistics, fixed, on_grid, unit_of
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense, normalized
from candelabra.heads.bodies.pair import Pair, Part, compared, widths
from candelabra.heads.body import Body
from candelabra.types import Progress, Slot, TaskKind

SELECT_ROWS = 1024
"""Rows whose exact leave-one-out chooses. They are a sample; each is still left out of a fit on all others."""
SCORED_ROWS = 4096
"""Rows whose exact leave-one-out is handed on, for calibration and the gate."""
NAMES = {"solver", "layers", "ridge", "wide"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller fixed; None and empty mean: choose."""

    solver: str | None = None
    layers: tuple[int, ...] = ()
    ridge: float | None = None
    wide: bool = False

    @classmethod
    def parse(cls, options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> Options:
        """Raises InvalidArgument for what cannot be done."""
        if kind not in (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION):
            raise InvalidArgument(f"CLOSED_FORM cannot learn {kind.value}: choose another method.", field="method")
        if unknown := set(options) - NAMES:
            raise InvalidArgument(f"CLOSED_FORM has no option {min(unknown)!r}.", field="closed_form")
        solver = options.get("solver") or None
        if solver not in (None, "ridge", "lda"):
            raise InvalidArgument(f"The solver {solver!r} is unknown: use 'ridge' or 'lda'.", field="solver")
        if solver == "lda" and kind is not TaskKind.SINGLE_LABEL:
            raise InvalidArgument("LDA needs exactly one label a text: use 'ridge' here.", field="solver")
        ridge = options.get("ridge")
        number = isinstance(ridge, int | float) and not isinstance(ridge, bool)
        if ridge is not None and not (number and math.isfinite(float(str(ridge))) and float(str(ridge)) > 0):
            raise InvalidArgument(f"The ridge {ridge!r} is not a number above 0.", field="ridge")
        wide = options.get("wide", False)
        if not isinstance(wide, bool):
            raise InvalidArgument(f"wide is {wide!r}: say true or false.", field="wide")
        layers = parse_layers(options.get("layers"), slots)
        return cls(None if solver is None else str(solver), layers, None if ridge is None else float(str(ridge)), wide)


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for options that this method does not know or cannot use."""
    Options.parse(options, slots, kind)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Linear in every case. Soft labels are ridge's targets; numbers come out in the targets' own unit."""
    asked = Options.parse(own_options(spec), data.slots, spec.task_kind)
    wanted = Wanted.of(data, spec.task_kind)
    if asked.solver == "lda" and wanted.solvers == ("ridge",):
        raise InvalidArgument("LDA needs hard labels, one of them on two rows: use 'ridge' here.", field="solver")
    run = Run(data, wanted, asked, tell)
    view, choice = run.best()
    rows = wanted.sample(data.rows, SCORED_ROWS)
    if len(data.rows) <= SCORED_ROWS:
        rows = np.arange(len(data.rows))
    linear = solve(run.search(view).problem, wanted, choice.parts, rows)
    return Fitted(
        body=view.body(linear.weight, linear.bias, data),
        rows=rows,
        logits=linear.outputs,
        chosen={
            **described(choice.parts),
            "layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in view.slots),
            "reading": "separate" if view.parts else spec.reading.value,
            "leave_one_out_loss": f"{choice.loss:.4f}",
        },
        evaluation="leave-one-out" if len(rows) == len(data.rows) else f"leave-one-out of {len(rows)} rows",
    )


def own_options(spec: TrainSpec) -> dict[str, object]:
    """Without those that are about the rows and not about a method."""
    return {name: value for name, value in spec.options.items() if name != "self_training"}


@dataclass(frozen=True)
class View:
    """Which features are read: slots of the (joint) text, or parts of two texts."""

    slots: tuple[Slot, ...]
    parts: tuple[Part, ...] = ()

    def features(self, data: TrainingSet) -> np.ndarray:
        """int16 [n, d] of one sequence, float32 of a comparison."""
        if self.parts:
            return compared(both(data), len(data.slots), self.parts)
        picked = data.columns(self.slots)
        assert picked is not None, "views are made of the slots that are there"
        return fixed(normalized(picked, len(self.slots)))

    def blocks(self, data: TrainingSet) -> list[int]:
        dimension = data.features.shape[2]
        if not self.parts:
            return [dimension] * len(self.slots)
        found = widths(self.parts, dimension)
        cosines = [width for width in found if width == 1]
        # The cosines come last and count as one block.
        return [*found[: len(found) - len(cosines)], *([len(cosines)] if cosines else [])]

    def body(self, weight: np.ndarray, bias: np.ndarray, data: TrainingSet) -> Body:
        if self.parts:
            return Pair(self.slots, data.features.shape[2], self.parts, weight, bias)
        return Dense(slots=self.slots, weights=((weight, bias),))


def both(data: TrainingSet) -> np.ndarray:
    """Slots of the first text, then those of the second [n, 2 * slots * dimension]."""
    assert data.first is not None
    assert data.second is not None
    return np.concatenate([data.first, data.second], axis=1).reshape(len(data.first), -1)


def views(slots: tuple[Slot, ...], asked: Options) -> list[View]:
    """Sets of slots to choose among, small ones first."""
    sets = layer_sets(slots, asked.layers) if asked.wide or asked.layers else [compact_slots(slots)]
    return [View(one) for one in sets]


def separate_view(slots: tuple[Slot, ...], asked: Options) -> View:
    """Difference and product at two depths, both texts at the end, and the cosine of every slot."""
    read = tuple(slot for slot in slots if slot.layer in asked.layers) if asked.layers else slots
    near = [read.index(slot) for slot in compact_slots(read)]
    parts: list[Part] = [(name, at) for at in near for name in ("difference", "product")]
    parts += [("first", near[-1]), ("second", near[-1])]
    return View(read, (*parts, *(("cosine", at) for at in range(len(read)))))


class Run:
    """The searches of one fit; the sums over all slots are made once."""

    def __init__(self, data: TrainingSet, wanted: Wanted, asked: Options, tell: Tell) -> None:
        self.data, self.wanted, self.asked, self.tell = data, wanted, asked, tell
        self.rows = wanted.sample(data.rows, SELECT_ROWS)
        self.solvers = (asked.solver,) if asked.solver else wanted.solvers
        self.tried = 0
        self._last: tuple[View, Search] | None = None
        self._all: tuple[np.ndarray, Statistics] | None = None

    def best(self) -> tuple[View, Choice]:
        """The layers hardly depend on the solver, so the second solver is tried on the winner's only."""
        view, choice = self._layers(views(self.data.slots, self.asked))
        choice = self.search(view).second(choice, self.solvers, self.asked.ridge)
        if self.data.first is None or self.data.second is None:
            return view, choice
        apart = separate_view(self.data.slots, self.asked)
        other = self.search(apart).run(self.solvers, self.asked.ridge)
        worse = other.losses - choice.losses
        error = float(worse.std()) / math.sqrt(max(len(worse), 1))
        return (apart, other) if float(worse.mean()) <= error else (view, choice)

    def _layers(self, choices: Sequence[View]) -> tuple[View, Choice]:
        penalty, start = self.asked.ridge, START
        if len(choices) == 1:
            return choices[0], self.search(choices[0]).climb(self.solvers[0], penalty)
        found: list[tuple[View, Choice]] = []
        costly: list[tuple[View, Choice]] = []
        for view in choices:
            search = self.search(view)
            if len(search.problem.matrix) <= SPECTRUM:
                found.append((view, search.climb(self.solvers[0], penalty, start)))
                start = found[-1][1].step
            else:
                # Which of the costly sets is better shows at one penalty, and only that one climbs.
                costly.append((view, search.climb(self.solvers[0], GRID[start] if penalty is None else penalty, start)))
        if costly:
            view = min(costly, key=lambda one: one[1].loss)[0]
            found.append((view, self.search(view).climb(self.solvers[0], penalty, start)))
        return min(found, key=lambda one: one[1].loss)

    def search(self, view: View) -> Search:
        """Of the last view asked for, kept; the others' matrices would not fit beside it."""
        if self._last is None or self._last[0] != view:
            features, blocks = view.features(self.data), view.blocks(self.data)
            statistics = None if len(features) < features.shape[1] else self._statistics(view, features)
            problem = Problem.of(features, self._truth(view), blocks, statistics)
            self._last = (view, Search(problem, self.wanted, self.rows, self._told))
        return self._last[1]

    def _truth(self, view: View) -> np.ndarray:
        truth = self.wanted.truth
        if view.parts:
            return truth
        return on_grid(truth, unit_of(truth) if self.wanted.kind is TaskKind.REGRESSION else 1.0)

    def _statistics(self, view: View, features: np.ndarray) -> Statistics:
        if view.parts or not self.asked.wide or len(features) < len(self.data.slots) * self.data.features.shape[2]:
            compact = not view.parts and view.slots == compact_slots(self.data.slots)
            of = self.data.kept.statistics if compact and self.data.kept else Statistics.of
            return of(features, self._truth(view))
        if self._all is None:
            everything = View(self.data.slots).features(self.data)
            self._all = (everything, Statistics.of(everything, self._truth(view)))
        at, dimension = [self.data.slots.index(slot) for slot in view.slots], self.data.features.shape[2]
        return self._all[1].take((np.array(at)[:, None] * dimension + np.arange(dimension)).ravel())

    def _told(self, penalty: float, loss: float) -> None:
        self.tried += 1
        self.tell(Progress("train", step=self.tried, loss=loss, metrics={"penalty": penalty}))
