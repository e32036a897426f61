"""Self-training on texts without labels: what a head is sure of becomes a soft label, and is kept if that helps.

After Scudder 1965 and Lee 2013 (pseudo-labels), on cached vectors. The loss is compared on rows of folds that neither
the first model nor its guesses had seen, so the comparison is honest and costs two fits a fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import softmax

from candelabra.adapt import calibration, race
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.split import folds
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.types import Progress, TaskKind

SURE = 0.9
ROUNDS = 3
FOLDS = 3
MOST = 4.0
"""Guessed rows of a label, as a multiple of the label's own rows (and at least eight)."""

Fit = Callable[[TrainingSet, TrainSpec, Tell], Fitted]


def fit(method: Fit, data: TrainingSet, spec: TrainSpec, tell: Tell, rounds: int = 1) -> Fitted:
    """`method` with 1 to 3 rounds of guessing, or without where that is no worse. For methods on pooled features of
    single-label tasks; anything else is fitted plainly.

    `chosen["self_training"]` tells what came of it, with both losses.
    """
    if not 0 <= rounds <= ROUNDS:
        raise InvalidArgument(f"{rounds} rounds of self-training: give 0 to {ROUNDS}.", field="self_training")
    plain = method(data, spec, tell)
    some = data.unlabelled is not None and len(data.unlabelled) > 0 and len(data.targets) >= 2 * FOLDS
    if not rounds or not some or spec.task_kind is not TaskKind.SINGLE_LABEL or not _pooled(plain):
        return plain if not rounds else _told(plain, "not possible here")
    fold = folds(data.targets, FOLDS, spec.seed)
    rows, before, after = [], [], []
    for one in range(FOLDS):
        out = np.flatnonzero(fold == one)
        known = take(data, np.flatnonzero(fold != one))
        first = method(known, spec, tell)
        second = _rounds(method, known, first, spec, tell, rounds)
        rows.append(out)
        before.append(_logits(first, data, data.features[out]))
        after.append(_logits(second, data, data.features[out]))
        tell(Progress("self-training", one + 1, FOLDS + 1))
    at = np.concatenate(rows)
    losses = [
        float(race.losses(np.concatenate(part), data.targets[at], spec.task_kind).mean()) for part in (before, after)
    ]
    told = f"{losses[0]:.4f} without, {losses[1]:.4f} with"
    if losses[1] >= losses[0]:
        return _told(plain, f"left out: {told}")
    final = _rounds(method, data, plain, spec, tell, rounds)
    made = replace(final, rows=at, logits=np.concatenate(after), evaluation=f"{FOLDS}-fold")
    return _told(made, f"{rounds} rounds: {told}")


def guesses(logits: np.ndarray, temperature: float, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are sure, and their probabilities [rows, labels]; no label gets many more than it has."""
    probabilities = softmax(logits / temperature, axis=1)
    best, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kept = []
    for label in range(probabilities.shape[1]):
        mine = np.flatnonzero((best == label) & (sure >= SURE))
        limit = int(max(8, MOST * counts[label])) if counts[label] else 8
        kept.append(mine[np.argsort(-sure[mine], kind="stable")][:limit])
    rows = np.sort(np.concatenate(kept))
    return rows, probabilities[rows]


def take(data: TrainingSet, rows: np.ndarray) -> TrainingSet:
    """Some rows of a set, with the same labels and unlabelled texts."""

    def of(part: np.ndarray | None) -> np.ndarray | None:
        return None if part is None else part[rows]

    return replace(
        data,
        texts=[data.texts[row] for row in rows],
        features=data.features[rows],
        targets=data.targets[rows],
        rows=data.rows[rows],
        pairs=[data.pairs[row] for row in rows] if data.pairs else (),
        first=of(data.first),
        second=of(data.second),
        weights=of(data.weights),
        states=None,
    )


def _rounds(method: Fit, data: TrainingSet, fitted: Fitted, spec: TrainSpec, tell: Tell, rounds: int) -> Fitted:
    assert data.unlabelled is not None, "the caller looked"
    counts = np.bincount(data.targets, minlength=len(data.labels))
    for _ in range(rounds):
        heat = calibration.temperature(fitted.logits, data.targets[fitted.rows]) if len(fitted.rows) else 1.0
        found, probabilities = guesses(_logits(fitted, data, data.unlabelled), heat, counts)
        if not len(found):
            break
        fitted = method(_with(data, found, probabilities), spec, tell)
        labelled = fitted.rows < len(data.targets)
        fitted = replace(fitted, rows=fitted.rows[labelled], logits=fitted.logits[labelled])
    return fitted


def _with(data: TrainingSet, found: np.ndarray, probabilities: np.ndarray) -> TrainingSet:
    """The set with guessed rows behind its own. Guessed ones are sure, so their best label is their target."""
    assert data.unlabelled is not None, "the caller looked"
    targets = probabilities.argmax(axis=1)
    weights = None
    if data.weights is not None:
        weights = np.concatenate([data.weights, np.eye(len(data.labels), dtype=np.float32)[targets]])
    highest = np.uint64(np.iinfo(np.uint64).max)
    return replace(
        data,
        texts=[*data.texts, *[""] * len(found)],
        features=np.concatenate([data.features, data.unlabelled[found]]),
        targets=np.concatenate([data.targets, targets]),
        rows=np.concatenate([data.rows, (highest - found.astype(np.uint64)).astype(data.rows.dtype)]),
        weights=weights,
        pairs=(),
        first=None,
        second=None,
        states=None,
        unlabelled=None,
    )


def _pooled(fitted: Fitted) -> bool:
    return fitted.body.kind == "dense"


def _logits(fitted: Fitted, data: TrainingSet, features: np.ndarray) -> np.ndarray:
    at = [data.slots.index(slot) for slot in fitted.body.slots]
    picked = np.asarray(features, np.float32)[:, at].reshape(len(features), -1)
    return np.asarray(fitted.body.logits(Inputs(picked, (), [""] * len(features))))


def _told(fitted: Fitted, what: str) -> Fitted:
    return replace(fitted, chosen={**fitted.chosen, "self_training": what})
