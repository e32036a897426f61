"""LOGREG: logistic regression on length-normalised pooled features, by L-BFGS in coordinates where it is easy.

The model is that of scikit-learn's LogisticRegression (softmax, or one label against the rest for multi-label tasks)
with two differences that make it quick. Few rows in many dimensions are first rotated into as many coordinates as
there are rows. And the steps are taken in coordinates in which the loss curves about alike in all directions
(Cholesky factor of the scatter plus the penalty), so that 10 to 20 passes are enough where plain ones need a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.slots import layer_sets, parse_layers
from candelabra.adapt.split import folds
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense, normalized
from candelabra.types import Progress, Slot, TaskKind

PENALTIES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Of the squared weights beside the mean loss, for features whose mean squared length is 1."""
START = PENALTIES.index(3e-5)
SETS, SETS_OF_MANY = 4, 2
"""Layer sets tried: last, two and three depths, last four. Only the first two from MANY = rows x labels on."""
MANY = 20_000
FEW = 32
"""Rows a label up to which the labels' own names, as rows, are tried."""
FOLDS = 5
SCREENED = 2
"""Folds by which layer sets are told apart."""
FOLD_ROWS = 2000
"""Up to so many rows all folds choose; beyond it one fold does."""
SCORED = 100_000
"""Rows x labels up to which every row is scored by what was chosen."""
SMALL = 200_000_000
"""Features x labels up to which one thread computes."""
STEPS = 60
TOLERANCE = 1e-3


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for what cannot be done."""
    unknown = set(options) - {"layers", "penalty", "self_training"}
    if unknown:
        raise InvalidArgument(f"LOGREG has no option {min(unknown)!r}.", field="logreg")
    if kind not in (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL):
        raise InvalidArgument("LOGREG gives labels: use CLOSED_FORM or HYBRID for numbers.", field="method")
    penalty = options.get("penalty")
    if penalty is not None and (isinstance(penalty, bool) or not _positive(penalty)):
        raise InvalidArgument(f"The penalty {penalty!r} is not a number above 0.", field="penalty")
    parse_layers(options.get("layers"), slots)


def _positive(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and number > 0


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Layers and penalty by the loss on held-out folds, then one fit of all rows.

    n rows, d features, L labels: about 20 x 4ndL operations a fit, and 3 to 30 fits.
    """
    check(spec.options, data.slots, spec.task_kind)
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    wanted = wanted_shares(data, multi)
    count = min(FOLDS, len(wanted))
    fold = folds(data.targets, count, spec.seed)
    scored = range(count if len(wanted) <= FOLD_ROWS else 1)
    # Thousands of small products: handing each to several threads costs more than it saves, up to 20 times as much
    # where the cores are busy.
    small = data.features.size * wanted.shape[1] <= SMALL
    with threadpool_limits(1 if small else None, user_api="blas"):
        return _fitted(data, spec, tell, wanted, fold, scored)


def _fitted(
    data: TrainingSet, spec: TrainSpec, tell: Tell, wanted: np.ndarray, fold: np.ndarray, scored: range
) -> Fitted:
    multi, count = spec.task_kind is TaskKind.MULTI_LABEL, min(FOLDS, len(wanted))
    layers = parse_layers(spec.options.get("layers"), data.slots)
    search = Search(data, wanted, multi, fold, scored, tell)
    tried = SETS if wanted.size <= MANY else SETS_OF_MANY
    best = search.run(layer_sets(data.slots, layers)[:tried], spec.options.get("penalty"))
    if len(scored) < count and wanted.size <= SCORED:
        scored = range(count)
        best = search.choice(best.slots, best.coordinates, best.penalty, best.named, scored)
    solved = best.coordinates.solve(search.rows_but(-1, best.named), search.wanted, best.penalty, multi)
    weight, bias = best.coordinates.features_space(*solved)
    body = Dense(best.slots, ((weight, bias),))
    return Fitted(
        body=body,
        rows=np.concatenate([np.flatnonzero(fold == one) for one in scored]),
        logits=best.logits,
        chosen={
            "layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in best.slots),
            "penalty": f"{best.penalty:.3g}",
            "label_names": "as rows" if best.named else "unread",
            "held_out_loss": f"{best.loss:.4f}",
        },
        evaluation=f"{count}-fold" if len(scored) > 1 else f"held-out 1/{count}",
    )


def wanted_shares(data: TrainingSet, multi: bool) -> np.ndarray:
    """What each row gives to each label, float32 [n, labels]; rows of single-label tasks sum to 1."""
    if data.weights is not None:
        shares = np.asarray(data.weights, np.float32)
        return shares if multi else shares / np.maximum(shares.sum(axis=1, keepdims=True), np.float32(1e-12))
    if multi:
        return data.targets.astype(np.float32)
    return (data.targets[:, None] == np.arange(len(data.labels))).astype(np.float32)


def loss_of(logits: np.ndarray, wanted: np.ndarray, multi: bool) -> float:
    """Mean cross entropy over rows; summed over labels for multi-label rows."""
    if multi:
        return float((np.logaddexp(0, logits) - wanted * logits).sum(axis=1).mean())
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - (wanted * shifted).sum(axis=1)).mean())


@dataclass(frozen=True, eq=False)
class Coordinates:
    """All rows in isotropic coordinates: (features - mean) @ back = z, rows of mean squared length 1."""

    z: np.ndarray
    mean: np.ndarray
    back: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, slots: int, names: np.ndarray | None = None) -> Coordinates:
        """Names' features [labels, d] follow as rows of their own, moved so that their mean is the rows' mean."""
        mean = features.mean(axis=0)
        centred = features - mean
        if names is not None:
            centred = np.concatenate([centred, names - names.mean(axis=0)])
        spread = np.sqrt((centred[: len(features)].reshape(len(features), slots, -1) ** 2).sum(axis=2).mean(axis=0))
        scale = 1.0 / np.maximum(spread * math.sqrt(slots), 1e-6)
        centred *= np.repeat(scale, features.shape[1] // slots)[None, :]
        wide = np.repeat(scale, features.shape[1] // slots)
        if len(centred) >= features.shape[1]:
            return cls(centred, mean, wide)
        values, vectors = eigh(centred.astype(np.float64) @ centred.T.astype(np.float64), driver="evd")
        keep = values > max(values[-1], 1e-12) * 1e-7
        roots, vectors = np.sqrt(values[keep]), vectors[:, keep]
        back = wide[:, None] * (centred.T @ (vectors / roots))
        return cls((vectors * roots).astype(np.float32), mean, back.astype(np.float32))

    def solve(
        self,
        rows: np.ndarray,
        wanted: np.ndarray,
        penalty: float,
        multi: bool,
        start: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weight [r, labels] and bias [labels] of the rows' logistic regression, from `start` or from nothing."""
        x, y = self.z[rows], wanted[rows]
        level = np.clip(y.mean(axis=0), 1e-4, 1 - 1e-4)
        curve = float((level * (1 - level)).mean())
        scatter = x.T @ x
        scatter *= np.float32(curve / len(x))
        scatter.flat[:: len(scatter) + 1] += np.float32(2 * penalty)
        lower = cholesky(scatter, lower=True, overwrite_a=True, check_finite=False)
        weight, bias = start or (None, np.log(level / (1 - level)) if multi else np.log(level))
        at = np.zeros((x.shape[1] + 1, y.shape[1]), np.float32)
        at[-1] = bias * math.sqrt(curve)
        if weight is not None:
            at[:-1] = lower.T @ weight

        def step(flat: np.ndarray) -> tuple[float, np.ndarray]:
            inner = flat.reshape(at.shape).astype(np.float32)
            weight = solve_triangular(lower, inner[:-1], lower=True, trans=1, check_finite=False)
            logits = x @ weight + inner[-1] / np.float32(math.sqrt(curve))
            missed = (expit(logits) if multi else softmax(logits, axis=1)) - y
            missed /= np.float32(len(x))
            slope = np.empty_like(at)
            towards = x.T @ missed + np.float32(2 * penalty) * weight
            slope[:-1] = solve_triangular(lower, towards, lower=True, check_finite=False)
            slope[-1] = missed.sum(axis=0) / np.float32(math.sqrt(curve))
            loss = loss_of(logits, y, multi) + penalty * float((weight * weight).sum())
            return loss, slope.ravel().astype(np.float64)

        options = {"maxiter": STEPS, "maxcor": 10, "ftol": TOLERANCE * 0.1, "gtol": TOLERANCE * 0.1}
        found = minimize(step, at.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=options)
        inner = found.x.reshape(at.shape).astype(np.float32)
        weight = solve_triangular(lower, inner[:-1], lower=True, trans=1, check_finite=False)
        return weight, inner[-1] / np.float32(math.sqrt(curve))

    def features_space(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = self.back[:, None] * weight if self.back.ndim == 1 else self.back @ weight
        return wide, bias - self.mean @ wide


@dataclass(frozen=True, eq=False)
class Choice:
    slots: tuple[Slot, ...]
    penalty: float
    named: bool
    coordinates: Coordinates
    logits: np.ndarray
    loss: float


class Search:
    """Tries layer sets at one penalty, then climbs along the penalties on the best; every loss is of unseen rows."""

    def __init__(
        self, data: TrainingSet, wanted: np.ndarray, multi: bool, fold: np.ndarray, scored: range, tell: Tell
    ) -> None:
        self.data, self.multi, self.scored, self.tell = data, multi, scored, tell
        self.rows, self.tried = len(wanted), 0
        few = not multi and len(wanted) <= FEW * len(data.labels)
        self.names = data.label_features if few else None
        self.wanted, self.fold = wanted, fold
        if self.names is not None:
            self.wanted = np.concatenate([wanted, np.eye(len(data.labels), dtype=np.float32)])
            # Names are in no fold: they are learned from and never scored.
            self.fold = np.append(fold, np.full(len(data.labels), -2))

    def run(self, sets: list[tuple[Slot, ...]], fixed: object) -> Choice:
        penalty = float(fixed) if isinstance(fixed, int | float) else PENALTIES[START]
        best = min(
            (
                self.choice(slots, coordinates, penalty, named, self.scored[:SCREENED])
                for slots, coordinates in ((slots, self.coordinates(slots)) for slots in sets)
                for named in ((False, True) if self.names is not None else (False,))
            ),
            key=lambda one: one.loss,
        )
        best = self.choice(best.slots, best.coordinates, penalty, best.named, self.scored)
        if fixed is not None:
            return best
        for direction in (-1, 1):
            at = START + direction
            while 0 <= at < len(PENALTIES):
                other = self.choice(best.slots, best.coordinates, PENALTIES[at], best.named, self.scored)
                if other.loss >= best.loss:
                    break
                best, at = other, at + direction
        return best

    def coordinates(self, slots: tuple[Slot, ...]) -> Coordinates:
        columns = self.data.columns(slots)
        assert columns is not None
        names = None
        if self.names is not None:
            picked = self.names[:, [self.data.slots.index(slot) for slot in slots]]
            names = normalized(picked.reshape(len(picked), -1), len(slots))
        return Coordinates.of(normalized(columns, len(slots)), len(slots), names)

    def rows_but(self, out: int, named: bool) -> np.ndarray:
        """Rows to learn from: all folds but one, with the labels' names or without."""
        return np.flatnonzero((self.fold != out) & (named | (self.fold >= 0)))

    def choice(
        self, slots: tuple[Slot, ...], coordinates: Coordinates, penalty: float, named: bool, scored: range
    ) -> Choice:
        logits, truth = [], []
        for one in scored:
            out = np.flatnonzero(self.fold == one)
            weight, bias = coordinates.solve(self.rows_but(one, named), self.wanted, penalty, self.multi)
            logits.append(coordinates.z[out] @ weight + bias)
            truth.append(self.wanted[out])
        made = np.concatenate(logits)
        loss = sharpest_loss(made, np.concatenate(truth), self.multi)
        self.tried += 1
        self.tell(Progress("train", step=self.tried, loss=loss, metrics={"penalty": penalty}))
        return Choice(slots, penalty, named, coordinates, made, loss)


def sharpest_loss(logits: np.ndarray, wanted: np.ndarray, multi: bool) -> float:
    """The loss at its best temperature: the head is calibrated afterwards, so a shy model is no worse for it."""
    found = minimize_scalar(
        lambda log: loss_of(logits * math.exp(log), wanted, multi), bounds=(-3, 3), method="bounded"
    )
    return float(found.fun)
