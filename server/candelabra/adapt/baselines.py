"""What a head must not be worse than: the majority answer, and TF-IDF with a linear model, on unseen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from candelabra.adapt.words import FOLDS, Words, fold_of
from candelabra.types import TaskKind

FITS = 160
WORK = 300_000
"""Of the five folds as many are scored as FITS single fits and WORK = rows x labels allow, and at least one."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Probabilities [rows, labels] of the rows that were scored, each by a model that had not seen it; for regression
    the numbers [rows, 1]."""

    rows: np.ndarray
    probabilities: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Compact enough to lie with a dataset: int32 rows, float16 probabilities, float32 numbers."""
        narrow = np.float32 if self.probabilities.shape[1] == 1 else np.float16
        return {"rows": self.rows.astype(np.int32), "probabilities": self.probabilities.astype(narrow)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Baseline:
        """The reverse of `to_arrays`; raises KeyError or ValueError for what it did not make."""
        rows, probabilities = arrays["rows"], arrays["probabilities"]
        if rows.ndim != 1 or probabilities.ndim != 2 or len(rows) != len(probabilities):
            raise ValueError(f"A baseline of {rows.shape} rows with {probabilities.shape} probabilities is none.")
        return cls(rows.astype(np.int64), probabilities.astype(np.float64))


def majority(targets: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The most frequent answer, as 0/1 rows: for multi-label, each label where more than half carry it."""
    decided = np.zeros_like(truth)
    if targets.ndim == 2:
        decided[:] = truth.mean(axis=0) > 0.5
    else:
        decided[:, int(truth.sum(axis=0).argmax())] = 1
    return decided


def tfidf(texts: Sequence[str], targets: np.ndarray, labels: int, seed: int) -> Baseline:
    """Out-of-fold. The vocabulary and its weights are learned without labels, once, from all texts.

    Logistic regression for labels, ridge for float targets. On one core 0.7 s for 616 short texts of 77 labels (two
    folds are scored), 5.5 s for 9,000 of them (one fold).
    """
    words = Words.of(texts, targets, labels, kind_of(targets))
    fold = fold_of(targets, min(FOLDS, len(texts)), seed)
    count = max(1, min(int(fold.max()) + 1, FITS // labels, WORK // (len(texts) * labels)))
    rows, logits, _ = words.out_of_fold(fold, range(count))
    return Baseline(rows, probabilities_of(logits, words))


def held_out(texts: Sequence[str], targets: np.ndarray, unseen: Sequence[str], labels: int) -> np.ndarray:
    """Probabilities, or numbers, of unseen texts by one model of all rows."""
    words = Words.of(texts, targets, labels, kind_of(targets))
    weight, bias = words.solve(np.arange(len(texts)))
    return probabilities_of(words.terms.matrix(unseen) @ weight + bias, words)


def kind_of(targets: np.ndarray) -> TaskKind:
    if targets.dtype.kind == "f" and targets.ndim == 1:
        return TaskKind.REGRESSION
    return TaskKind.MULTI_LABEL if targets.ndim == 2 else TaskKind.SINGLE_LABEL


def probabilities_of(logits: np.ndarray, words: Words) -> np.ndarray:
    """One label against the rest, made to sum to 1 where one label is right."""
    if words.kind is TaskKind.REGRESSION:
        return logits
    if words.binary:
        second = expit(logits[:, 1] - logits[:, 0])
        return np.stack([1 - second, second], axis=1)
    result: np.ndarray = expit(logits)
    if words.kind is TaskKind.SINGLE_LABEL:
        result /= np.maximum(result.sum(axis=1, keepdims=True), 1e-12)
    return result
