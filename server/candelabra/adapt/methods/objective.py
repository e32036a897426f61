"""What gradient training of a row's outputs aims at: the loss of each kind of task, and a closed-form start for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve
from torch.nn import functional

from candelabra.adapt.methods.fitted import Tell
from candelabra.adapt.split import folds, hold_out
from candelabra.adapt.training import TrainingSet
from candelabra.types import Progress, TaskKind

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0)
"""Ridge penalties tried, as a share of the features' mean variance times the rows."""
SHARPNESS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)


@dataclass(frozen=True, eq=False)
class Objective:
    """`wanted` float32 [n, outputs]: shares of the labels that sum to 1, 0/1 for multi-label tasks, or the target
    standardised. `targets` as they were given, for what only they tell (strata)."""

    kind: TaskKind
    wanted: torch.Tensor
    targets: np.ndarray
    middle: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, data: TrainingSet, kind: TaskKind) -> Objective:
        if kind is TaskKind.REGRESSION:
            middle, spread = float(data.targets.mean()), float(data.targets.std()) or 1.0
            wanted = ((data.targets - middle) / spread)[:, None]
            return cls(kind, torch.from_numpy(wanted.astype(np.float32)), data.targets, middle, spread)
        if data.weights is not None:
            shares = np.asarray(data.weights, np.float64)
            if kind is not TaskKind.MULTI_LABEL:
                shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        elif kind is TaskKind.MULTI_LABEL:
            shares = data.targets
        else:
            shares = np.eye(len(data.labels))[data.targets]
        return cls(kind, torch.from_numpy(shares.astype(np.float32)), data.targets)

    @property
    def outputs(self) -> int:
        return int(self.wanted.shape[1])

    @property
    def strata(self) -> np.ndarray:
        """Targets as the splits take them: numbers in fifths."""
        if self.kind is not TaskKind.REGRESSION:
            return self.targets
        edges = np.unique(np.quantile(self.targets, [0.2, 0.4, 0.6, 0.8]))
        return np.searchsorted(edges, self.targets)

    def loss(self, logits: torch.Tensor, rows: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        wanted = self.wanted[rows]
        if self.kind is TaskKind.REGRESSION:
            return functional.mse_loss(logits, wanted)
        if self.kind is TaskKind.MULTI_LABEL:
            return functional.binary_cross_entropy_with_logits(logits, wanted) * self.outputs
        return functional.cross_entropy(logits, wanted, label_smoothing=smoothing)

    def score(self, logits: torch.Tensor, rows: torch.Tensor) -> float:
        """What a person follows: accuracy, micro F1, or correlation."""
        made, wanted = logits.numpy(), self.wanted[rows].numpy()
        if self.kind is TaskKind.REGRESSION:
            both = made.std() > 0 and wanted.std() > 0
            return float(np.corrcoef(made[:, 0], wanted[:, 0])[0, 1]) if both else 0.0
        if self.kind is TaskKind.MULTI_LABEL:
            found, true = made > 0, wanted > 0.5
            return float(2 * (found & true).sum() / max(found.sum() + true.sum(), 1))
        return float((made.argmax(axis=1) == wanted.argmax(axis=1)).mean())

    def unscaled(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The last linear function [inputs, outputs] in units of the target."""
        return weight * self.spread, bias * self.spread + self.middle


@dataclass(frozen=True, eq=False)
class Start:
    """A linear head: `weight` [d, outputs] and `bias`, and the penalty and factor that it was made with."""

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    sharpness: float


def ridge_start(
    features: np.ndarray,
    objective: Objective,
    rows: np.ndarray,
    seed: int,
    penalties: Sequence[float] = PENALTIES,
) -> Start:
    """A linear head by ridge regression, made into logits by one factor: a start for gradient training (LP-FT, arXiv
    2202.10054). Penalty and factor are those with the least loss on a tenth. n d min(n, d) operations a penalty."""
    learn, held = _parted(objective, rows, seed)
    sharpness = (1.0,) if objective.kind is TaskKind.REGRESSION else SHARPNESS
    found: tuple[float, float, float] = (np.inf, penalties[-1], sharpness[0])
    at = torch.from_numpy(held)
    for penalty, weight, centre, level in _solutions(features, objective, learn, penalties):
        plain = (features[held] - centre) @ weight
        for sharp in sharpness:
            logits = (plain * sharp + _bias(objective, level, sharp)).astype(np.float32)
            found = min(found, (float(objective.loss(torch.from_numpy(logits), at)), penalty, sharp))
    return _start(features, objective, rows, found[1], found[2])


def out_of_fold(
    features: np.ndarray, objective: Objective, rows: np.ndarray, start: Start, seed: int, count: int = 5
) -> np.ndarray:
    """Logits [len(rows), outputs] of heads like `start` for each of the rows, by one that had not seen it."""
    found = np.zeros((len(rows), objective.outputs), np.float32)
    fold = folds(objective.strata[rows], min(count, len(rows)), seed)
    for one in np.unique(fold):
        inside, out = rows[fold != one], fold == one
        if len(inside):  # of a single row nothing is known
            head = _start(features, objective, inside, start.penalty, start.sharpness)
            found[out] = features[rows[out]] @ head.weight + head.bias
    return found


def _start(features: np.ndarray, objective: Objective, rows: np.ndarray, penalty: float, sharp: float) -> Start:
    _, weight, centre, level = next(iter(_solutions(features, objective, rows, (penalty,))))
    weight = weight * sharp
    bias = _bias(objective, level, sharp) - centre @ weight
    return Start(weight.astype(np.float32), bias.astype(np.float32), penalty, sharp)


def _solutions(
    features: np.ndarray, objective: Objective, rows: np.ndarray, penalties: Sequence[float]
) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Penalty, weight [d, outputs], and the means of features and truth, from one scatter or kernel."""
    x, y = features[rows].astype(np.float32), objective.wanted.numpy()[rows]
    centre, level = x.mean(axis=0), y.mean(axis=0)
    x, y = x - centre, y - level
    dual = len(x) < x.shape[1]
    gram = x @ x.T if dual else x.T @ x
    right = y if dual else x.T @ y
    unit = max(float(np.einsum("nd,nd->", x, x)) / x.shape[1], 1e-12)
    for penalty in penalties:
        matrix = gram.copy()
        matrix[np.diag_indices_from(matrix)] += penalty * unit
        solved = solve(matrix, right, assume_a="pos", overwrite_a=True, check_finite=False)
        yield penalty, x.T @ solved if dual else solved, centre, level


def _parted(objective: Objective, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows to learn from, and a tenth of them to choose by; a single row is both."""
    if len(rows) < 2:
        return rows, rows
    held = hold_out(objective.strata[rows], max(1, round(len(rows) * 0.1)), seed)
    return rows[~held], rows[held]


def _bias(objective: Objective, level: np.ndarray, sharp: float) -> np.ndarray:
    """Logits where the features say nothing: the ridge's own level, and 0.5 of it is undecided for multi-label."""
    if objective.kind is TaskKind.REGRESSION:
        return level
    return sharp * (level - 0.5 if objective.kind is TaskKind.MULTI_LABEL else level)


def batches(lengths: Sequence[int] | np.ndarray, size: int, random: np.random.Generator | None) -> list[np.ndarray]:
    """Indices of items of like length together; in a new order each time where `random` is given."""
    size_of = np.asarray(lengths, float)
    if random is None:
        order = np.argsort(size_of, kind="stable")
        return [order[start : start + size] for start in range(0, len(order), size)]
    # A quarter of noise mixes who shares a batch, and costs little padding.
    order = np.argsort(size_of * random.uniform(0.85, 1.15, len(size_of)) + random.uniform(0, 4, len(size_of)))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [parts[at] for at in random.permutation(len(parts))]


class Track:
    """Tells of each epoch, and how long it may take at most."""

    def __init__(self, tell: Tell, epochs: float) -> None:
        self.tell, self.total, self.step = tell, round(2 * epochs), 0
        self.begun = time.perf_counter()

    def epoch(self, loss: float, metrics: Mapping[str, float]) -> None:
        self.step += 1
        self.total = max(self.total, self.step)
        left = (time.perf_counter() - self.begun) / self.step * (self.total - self.step)
        self.tell(Progress("train", self.step, self.total, loss, metrics, left))

    def again(self, epochs: int) -> None:
        """So many epochs are still to come."""
        self.total = self.step + epochs
