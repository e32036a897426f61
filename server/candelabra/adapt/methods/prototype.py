"""PROTOTYPE: one vector a label, between its name's own vector and the mean of its rows; the nearest by angle wins.

w_c = (kappa e(label text) + sum of rows) / (kappa + n_c), compared by whitened cosine (Snell et al. 2017 for means;
the shrunk within-label covariance as in Bateni et al. 2020). With no row at all the labels' names are the head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from candelabra.adapt import race
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.logreg import wanted_shares
from candelabra.adapt.slots import compact_slots, layer_sets, parse_layers
from candelabra.adapt.split import folds
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense, frozen, normalized
from candelabra.types import Progress, Slot, TaskKind

KAPPAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
SHRINKAGE = (1.0, 0.5, 0.1)
"""Towards a covariance alike in all directions, from entirely so on."""
FOLDS = 5
FOLD_ROWS = 4000
"""Up to so many rows every row is scored; beyond it one fold is."""
SHARPNESS = 12.0
"""What the cosines of a head without rows are multiplied by: there is nothing to calibrate it on."""
TINY = 1e-9


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for what cannot be done."""
    unknown = set(options) - {"layers", "kappa", "self_training"}
    if unknown:
        raise InvalidArgument(f"PROTOTYPE has no option {min(unknown)!r}.", field="prototype")
    if kind not in (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL):
        raise InvalidArgument("PROTOTYPE gives labels: use CLOSED_FORM or HYBRID for numbers.", field="method")
    kappa = options.get("kappa")
    number = isinstance(kappa, int | float) and not isinstance(kappa, bool)
    if kappa is not None and not (number and 0 <= float(str(kappa)) < math.inf):
        raise InvalidArgument(f"The kappa {kappa!r} is not a number from 0 on.", field="kappa")
    parse_layers(options.get("layers"), slots)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Layers, kappa and shrinkage by the loss of held-out folds. d features, L labels: 30 x d³/3 + n d² operations."""
    check(spec.options, data.slots, spec.task_kind)
    layers = parse_layers(spec.options.get("layers"), data.slots)
    sets = layer_sets(data.slots, layers)[:2]
    kappa = spec.options.get("kappa")
    kappas = KAPPAS if kappa is None else (float(str(kappa)),)
    if data.label_features is None:
        kappas = (0.0,)
    if len(data.targets) == 0:
        return _without_rows(data, sets[0] if layers else compact_slots(data.slots)[-1:])
    wanted = wanted_shares(data, spec.task_kind is TaskKind.MULTI_LABEL).astype(np.float64)
    count = min(FOLDS, len(wanted))
    fold = folds(data.targets, count, spec.seed)
    scored = range(count if len(wanted) <= FOLD_ROWS else 1) if count > 1 else range(0)
    rows = np.concatenate([np.flatnonzero(fold == one) for one in scored]) if count > 1 else np.zeros(0, np.int64)
    best: tuple[float, Setting, np.ndarray] | None = None
    for slots in sets:
        space = Space.of(data, slots, wanted)
        made: dict[Setting, list[np.ndarray]] = {}
        for one in scored:
            for setting, weight, bias in space.heads(fold != one, kappas):
                made.setdefault(setting, []).append(space.rows[fold == one] @ weight + bias)
        for setting, parts in made.items():
            logits = np.concatenate(parts)
            loss = float(race.losses(logits, data.targets[rows], spec.task_kind).mean())
            if best is None or loss < best[0]:
                best = (loss, setting, logits)
        tell(Progress("train", loss=None if best is None else best[0]))
    if best is None:
        setting = Setting(sets[0], kappas[len(kappas) // 2], 1.0)
        best = (math.nan, setting, np.zeros((0, len(data.labels))))
    loss, setting, logits = best
    space = Space.of(data, setting.slots, wanted)
    _, weight, bias = next(space.heads(np.ones(len(wanted), bool), (setting.kappa,), (setting.shrinkage,)))
    return Fitted(
        body=Dense(setting.slots, ((frozen(weight), frozen(bias)),)),
        rows=rows,
        logits=logits,
        chosen={
            "layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in setting.slots),
            "kappa": f"{setting.kappa:g}",
            "shrinkage": f"{setting.shrinkage:g}",
            "held_out_loss": f"{loss:.4f}",
        },
        evaluation=f"{count}-fold" if len(scored) == count else f"held-out {len(scored)}/{count}",
    )


@dataclass(frozen=True, slots=True)
class Setting:
    slots: tuple[Slot, ...]
    kappa: float
    shrinkage: float


@dataclass(frozen=True, eq=False)
class Space:
    """Rows and names [labels, d] of some slots at length 1, and what the rows give to each label."""

    slots: tuple[Slot, ...]
    rows: np.ndarray
    names: np.ndarray | None
    wanted: np.ndarray

    @classmethod
    def of(cls, data: TrainingSet, slots: tuple[Slot, ...], wanted: np.ndarray) -> Space:
        columns = data.columns(slots)
        assert columns is not None, "the slots are those that were encoded"
        return cls(slots, normalized(columns, len(slots)).astype(np.float64), _names(data, slots), wanted)

    def heads(
        self, learn: np.ndarray, kappas: Sequence[float], shrinkage: Sequence[float] = SHRINKAGE
    ) -> Iterator[tuple[Setting, np.ndarray, np.ndarray]]:
        """A linear head of the rows in a mask, for each setting."""
        x, share = self.rows[learn], self.wanted[learn]
        mean, counts = x.mean(axis=0), share.sum(axis=0)
        x = x - mean
        sums = share.T @ x
        own = sums / np.maximum(counts, TINY)[:, None]
        # What a row's labels do not explain of it. Soft and several labels share the row.
        rest = x - (share / np.maximum(share.sum(axis=1, keepdims=True), TINY)) @ own
        scatter = rest.T @ rest
        level = float(np.trace(scatter)) / len(scatter)
        if level <= TINY:
            scatter, level, shrinkage = np.zeros_like(scatter), 1.0, (1.0,)
        names = np.zeros_like(own) if self.names is None else self.names - self.names.mean(axis=0)
        for shrunk in shrinkage:
            covariance = (1 - shrunk) * scatter / level
            covariance.flat[:: len(covariance) + 1] += shrunk
            factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
            for kappa in kappas:
                middle = (kappa * names + sums) / np.maximum(kappa + counts, TINY)[:, None]
                yield Setting(self.slots, kappa, shrunk), *_towards(middle, cho_solve(factor, middle.T), mean)


def _towards(middle: np.ndarray, weight: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosine of a row and each middle, but for the row's length: one linear function of the row."""
    length = np.sqrt(np.maximum(np.einsum("ld,dl->l", middle, weight), TINY))
    weight = weight / length
    return weight, -mean @ weight


def _names(data: TrainingSet, slots: tuple[Slot, ...]) -> np.ndarray | None:
    if data.label_features is None:
        return None
    picked = data.label_features[:, [data.slots.index(slot) for slot in slots]]
    return normalized(picked.reshape(len(picked), -1), len(slots)).astype(np.float64)


def _without_rows(data: TrainingSet, slots: tuple[Slot, ...]) -> Fitted:
    """Each label is its name. Without a text to take the middle of, the names' own middle is the origin."""
    names = _names(data, slots)
    if names is None:
        raise InvalidArgument("There is neither an example nor a label's text to learn from.", field="examples")
    mean = names.mean(axis=0)
    if data.unlabelled is not None and len(data.unlabelled):
        picked = data.unlabelled[:, [data.slots.index(slot) for slot in slots]]
        mean = normalized(picked.reshape(len(picked), -1), len(slots)).mean(axis=0).astype(np.float64)
    middle = names - names.mean(axis=0)
    weight, bias = _towards(middle, middle.T.copy(), mean)
    return Fitted(
        body=Dense(slots, ((frozen(SHARPNESS * weight), frozen(SHARPNESS * bias)),)),
        rows=np.zeros(0, np.int64),
        logits=np.zeros((0, len(data.labels))),
        chosen={"layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in slots), "kappa": "names alone"},
        evaluation="none: no row is labelled",
    )
