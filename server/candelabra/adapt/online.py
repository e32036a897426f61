"""The compact tier of a dataset, kept ready: rows come and go exactly, and a new head takes one Cholesky factor.

Everything that a head is made of is a function of the set of rows, not of its history: the sums are exact, and the
rows that are left out to choose and to calibrate go by their digests. After any appends and forgets a refit gives,
bit for bit, what it gives to rows that were put in from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from candelabra.adapt import calibration
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.problem import Problem
from candelabra.adapt.methods.search import Choice, Linear, Part, Search, Wanted, described, left_out_rows, solve
from candelabra.adapt.statistics import Statistics, fixed, on_grid, unit_of
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense, normalized
from candelabra.heads.guards import Conformal
from candelabra.heads.head import sigmoid, softmax
from candelabra.types import Progress, Slot, TaskKind

SELECT_ROWS = QUICK_ROWS = 1024
"""Rows that choose, and rows that calibrate a head made in a hurry."""
FULL_ROWS = 4096
ROOM = 1.25
ALLOWED = 1e-12


@dataclass(frozen=True)
class Space:
    """What the rows of one file mean. `soft`: truth is a share for each label."""

    backbone: str
    slots: tuple[Slot, ...]
    dimension: int
    kind: TaskKind
    labels: tuple[str, ...] = ()
    soft: bool = False

    @property
    def outputs(self) -> int:
        return 1 if self.kind is TaskKind.REGRESSION else len(self.labels)

    @property
    def width(self) -> int:
        return len(self.slots) * self.dimension


@dataclass(frozen=True, eq=False)
class Refit:
    """A head's parts. `temperature` is 1 where labels are calibrated one by one or outputs are numbers; `conformal`
    holds scores of left-out rows."""

    fitted: Fitted
    parts: tuple[Part, ...]
    temperature: float
    conformal: Conformal


@dataclass(frozen=True, slots=True)
class Audit:
    """Digests of the sums as kept and as made from scratch of the rows that are left, and by how much at most the
    weights of a head of either differ, relative to the largest weight."""

    kept: str
    scratch: str
    residual: float

    @property
    def exact(self) -> bool:
        """Equal digests mean equal sums to the last bit."""
        return self.kept == self.scratch and self.residual <= ALLOWED


class Online:
    """Rows int16 [n, d] by digest, their truth float64 on its grid [n, k], and their sums. Not for several threads."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.statistics = Statistics.empty(space.width, space.outputs)
        self.parts: tuple[Part, ...] = ()
        self._unit = 1.0
        self._rows = np.empty((0, space.width), np.int16)
        self._digests = np.empty(0, np.uint64)
        self._targets = np.empty((0, space.outputs))
        self._place: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._place)

    @property
    def digests(self) -> np.ndarray:
        return self._digests[: len(self)]

    @property
    def rows(self) -> np.ndarray:
        return self._rows[: len(self)]

    @property
    def targets(self) -> np.ndarray:
        """As they were given [n, k]: one-hot, 0/1, shares, or numbers."""
        return self._targets[: len(self)]

    def append(self, digests: np.ndarray, features: np.ndarray, targets: np.ndarray) -> int:
        """Rows with features [m, slots, dimension] of the space's slots; those that are here already are left out.

        `targets` are as in TrainingSet, or its weights. d² operations a row. Gives how many came.
        """
        wanted = self._checked(digests, features, targets)
        _, first = np.unique(digests, return_index=True)
        new = np.array([at for at in np.sort(first) if int(digests[at]) not in self._place], np.int64)
        if not len(new):
            return 0
        x = fixed(normalized(features[new].reshape(len(new), -1).astype(np.float32), len(self.space.slots)))
        self.put(digests[new], x, wanted[new])
        return len(new)

    def put(self, digests: np.ndarray, rows: np.ndarray, targets: np.ndarray, summed: bool = False) -> None:
        """New rows as they are kept; `summed` says that the statistics have them."""
        begin, end = len(self), len(self) + len(digests)
        self._reserve(end)
        self._digests[begin:end], self._rows[begin:end], self._targets[begin:end] = digests, rows, targets
        self._place.update({int(digest): begin + at for at, digest in enumerate(digests)})
        if summed:
            self._unit = self._right_unit()
        elif not self._rescale():
            self.statistics.add(rows, self._truth(targets))
        else:
            self.statistics = self.sums()

    def forget(self, digests: Sequence[int] | np.ndarray) -> int:
        """Rows with these digests leave; unknown ones are passed over. d² operations a row. Gives how many left."""
        known = [int(digest) for digest in dict.fromkeys(map(int, digests)) if int(digest) in self._place]
        if not known:
            return 0
        at = np.array([self._place[digest] for digest in known])
        rows, truth = self._rows[at], self._truth(self._targets[at])
        for digest in known:
            self._drop(digest)
        if self._rescale():
            self.statistics = self.sums()
        else:
            self.statistics.remove(rows, truth)
        return len(known)

    def sums(self) -> Statistics:
        """From scratch: n d² operations."""
        return Statistics.of(self.rows, self._truth(self.targets))

    def refit(self, tell: Tell = lambda _: None, search: bool = False) -> Refit:
        """A head of the rows. Without `search` the last choice of solver and penalty stays, if there was one.

        Leave-one-out, temperature and conformal scores are always new. d³/3 + d² rows operations; a search is about
        ten times that.
        """
        if not len(self):
            raise InvalidArgument("There is no row to learn from: append some.", field="rows")
        hurry = bool(self.parts) and not search
        rows = self._sample(QUICK_ROWS if hurry else FULL_ROWS)
        if not hurry:
            self.parts = self._search(rows[:SELECT_ROWS], tell).parts
        return self._made(self.statistics, self.parts, rows)

    def audit(self) -> Audit:
        """What a refit from scratch with the same choice gives, compared with ours: n d² operations."""
        if not self.parts:
            raise InvalidArgument("There is no head to audit yet: refit first.", field="rows")
        order = np.argsort(self.digests)
        fresh = Online(self.space)
        fresh.put(self.digests[order], self.rows[order], self.targets[order])
        none = np.empty(0, np.int64)
        ours, theirs = (
            self._linear(self.statistics, self.parts, none),
            fresh._linear(fresh.statistics, self.parts, none),
        )
        scale = max(float(np.abs(theirs.weight).max(initial=0.0)), 1e-300)
        residual = float(np.abs(ours.weight - theirs.weight).max(initial=0.0)) / scale
        return Audit(self.statistics.digest, fresh.statistics.digest, residual)

    def _search(self, rows: np.ndarray, tell: Tell) -> Choice:
        wanted = self._wanted(rows)
        search = Search(self._problem(self.statistics, rows), wanted, np.arange(len(rows)), partial(_told, tell))
        solvers = wanted.solvers if self._certain() else ("ridge",)
        return search.run(solvers)

    def _made(self, statistics: Statistics, parts: tuple[Part, ...], rows: np.ndarray) -> Refit:
        linear, wanted = self._linear(statistics, parts, rows), self._wanted(rows)
        body = Dense(self.space.slots, ((linear.weight, linear.bias),))
        few = f"leave-one-out of {len(rows)} rows" if len(rows) < len(self) else "leave-one-out"
        fitted = Fitted(body, rows, linear.outputs, dict(described(parts)), few)
        temperature, conformal = _calibrated(linear.outputs, wanted)
        return Refit(fitted, parts, temperature, conformal)

    def _linear(self, statistics: Statistics, parts: tuple[Part, ...], rows: np.ndarray) -> Linear:
        return solve(self._problem(statistics, rows), self._wanted(rows), parts, np.arange(len(rows)))

    def _problem(self, statistics: Statistics, rows: np.ndarray) -> Problem:
        # Never the dual: its kernel would depend on the order of rows.
        blocks = [self.space.dimension] * len(self.space.slots)
        return Problem.of(self._rows[rows], np.empty((len(rows), 0)), blocks, statistics, dual=False)

    def _wanted(self, rows: np.ndarray) -> Wanted:
        truth, kind = self._truth(self._targets[rows]), self.space.kind
        if kind is TaskKind.REGRESSION:
            return Wanted(kind, truth, truth[:, 0])
        if kind is TaskKind.MULTI_LABEL:
            return Wanted(kind, truth, (truth > 0.5).astype(np.uint8))
        return Wanted(kind, truth, truth.argmax(axis=1), self.space.soft)

    def _sample(self, limit: int) -> np.ndarray:
        everyone = np.arange(len(self))
        if len(self) <= limit:
            return np.asarray(everyone[np.argsort(self.digests)])
        wanted = self._wanted(everyone)
        return left_out_rows(self.digests, wanted.strata, wanted.learnable(), limit)

    def _certain(self) -> bool:
        return not self.space.soft and float(self.statistics.counts.max()) >= 2

    def _truth(self, targets: np.ndarray) -> np.ndarray:
        return on_grid(targets, self._unit)

    def _rescale(self) -> bool:
        """Whether the grid of numbers has to change: its unit is a function of the rows that are here."""
        unit = self._right_unit()
        changed, self._unit = unit != self._unit, unit
        return changed

    def _right_unit(self) -> float:
        return unit_of(self.targets) if self.space.kind is TaskKind.REGRESSION else 1.0

    def _drop(self, digest: int) -> None:
        """The last row takes the place of the one that goes, whose numbers are wiped."""
        at, last = self._place.pop(digest), len(self)
        if at != last:
            for array in (self._digests, self._rows, self._targets):
                array[at] = array[last]
            self._place[int(self._digests[at])] = at
        for array in (self._digests, self._rows, self._targets):
            array[last] = 0

    def _reserve(self, rows: int) -> None:
        if rows > len(self._digests):
            room, here = max(64, int(rows * ROOM)), len(self)
            for name in ("_digests", "_rows", "_targets"):
                old = getattr(self, name)
                wider = np.zeros((room, *old.shape[1:]), old.dtype)
                wider[:here] = old[:here]
                setattr(self, name, wider)

    def _checked(self, digests: np.ndarray, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Targets as they are kept [m, k]; raises InvalidArgument for what could not be learned from."""
        space = self.space
        shape = (len(digests), len(space.slots), space.dimension)
        if features.shape != shape or len(targets) != len(digests):
            raise InvalidArgument(
                f"Features {features.shape} and {len(targets)} targets do not fit {shape[0]} rows of {shape[1]} slots "
                f"with {shape[2]} numbers.",
                field="features",
            )
        if not (np.isfinite(features).all() and np.isfinite(targets).all()):
            raise InvalidArgument("A feature or target is not a finite number: leave that row out.", field="features")
        if space.kind is TaskKind.REGRESSION:
            return np.asarray(targets, np.float64).reshape(-1, 1)
        if targets.ndim == 1 and not space.soft and space.kind is TaskKind.SINGLE_LABEL:
            if len(targets) and not 0 <= targets.min() <= targets.max() < space.outputs:
                raise InvalidArgument(f"A label index is not within 0 to {space.outputs - 1}.", field="targets")
            return np.eye(space.outputs)[targets.astype(np.int64)]
        if targets.shape != (len(digests), space.outputs) or targets.min(initial=0) < 0:
            raise InvalidArgument(f"Targets must be {space.outputs} numbers from 0 to 1 a row.", field="targets")
        shares = targets.astype(np.float64)
        if space.kind is TaskKind.SINGLE_LABEL:
            shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        if shares.max(initial=0) > 1:
            raise InvalidArgument(f"Targets must be {space.outputs} numbers from 0 to 1 a row.", field="targets")
        return shares


def _calibrated(outputs: np.ndarray, wanted: Wanted) -> tuple[float, Conformal]:
    """Temperature, and the scores that prediction sets or intervals rest on."""
    if wanted.kind is TaskKind.REGRESSION:
        return 1.0, Conformal.of("number", np.abs(outputs[:, 0] - wanted.targets))
    if wanted.kind is TaskKind.MULTI_LABEL:
        scale, shift = calibration.platt(outputs, wanted.targets)
        missing = np.where(wanted.targets > 0, 1.0 - sigmoid(outputs * scale + shift), -1.0).max(axis=1)
        return 1.0, Conformal.of("labels", missing[missing >= 0])
    temperature = wanted.temperature(outputs, np.arange(len(outputs)))
    sure = softmax(outputs / temperature)[np.arange(len(outputs)), wanted.targets]
    return temperature, Conformal.of("label", 1.0 - sure)


def _told(tell: Tell, penalty: float, loss: float) -> None:
    tell(Progress("train", loss=loss, metrics={"penalty": penalty}))
