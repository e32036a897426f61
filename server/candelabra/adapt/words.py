"""TF-IDF with logistic regression, or ridge for numbers: out-of-fold logits, and the lexical body of all rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from candelabra.adapt.split import folds
from candelabra.heads.bodies.lexical import Lexical
from candelabra.heads.bodies.terms import Terms, learn
from candelabra.types import TaskKind

FOLDS = 5
STRENGTH, STRENGTH_OF_MANY = 30.0, 10.0
"""Inverse penalty of one label against the rest. 10 to 100 are within a point of each other, and 10 is quicker."""
MANY = 200_000
"""Rows x labels."""
RIDGE = 1.5
STEPS = 100
TOLERANCE = 0.1
NEVER = 40.0
"""The logit of a label that every row of a fit has, or none."""
BYTES = 2_000_000
"""What a lexical body may weigh in its file, about: terms with the least say are left out beyond it."""


@dataclass(frozen=True, eq=False)
class Words:
    """Texts as terms, learned without labels, and what they are to tell.

    `truth` float [n, outputs]: 0/1 for labels, numbers for regression.
    """

    terms: Terms
    matrix: csr_matrix
    truth: np.ndarray
    kind: TaskKind

    @classmethod
    def of(cls, texts: Sequence[str], targets: np.ndarray, labels: int, kind: TaskKind) -> Words:
        terms, matrix = learn(texts)
        if kind is TaskKind.REGRESSION:
            truth = np.asarray(targets, float)[:, None]
        else:
            truth = targets if targets.ndim == 2 else targets[:, None] == np.arange(labels)
        return cls(terms, matrix.astype(np.float64), truth.astype(float), kind)

    @property
    def binary(self) -> bool:
        """Two labels of which one is right: one fit tells both."""
        return self.kind is TaskKind.SINGLE_LABEL and self.truth.shape[1] == 2

    def out_of_fold(self, fold: np.ndarray, scored: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the scored folds, their logits [rows, outputs] by models that had not seen them, and the weights
        [terms, outputs] of the last of these models."""
        weight = np.zeros(0)
        parts = [np.flatnonzero(fold == one) for one in scored]
        logits = []
        for one, part in zip(scored, parts, strict=True):
            weight, bias = self.solve(np.flatnonzero(fold != one))
            logits.append(self.matrix[part] @ weight + bias)
        return np.concatenate(parts), np.concatenate(logits), weight

    def body(self, hint: np.ndarray, limit: int = BYTES) -> Lexical:
        """Of all rows. Beyond the limit only the terms with the largest weights in `hint` [terms, outputs] are kept."""
        everyone = np.arange(self.matrix.shape[0])
        kept = strongest(self.terms, hint, limit)
        if len(kept) == len(self.terms):
            return Lexical(self.terms, *self.solve(everyone))
        fewer = replace(self, terms=self.terms.take(kept), matrix=self._taken(kept))
        return Lexical(fewer.terms, *fewer.solve(everyone))

    def _taken(self, kept: np.ndarray) -> csr_matrix:
        """The matrix of some terms: each part's rows are made of length 1 again, as serving does."""
        middle, parts = len(self.terms.words), []
        for part in (kept[kept < middle], kept[kept >= middle]):
            columns = csr_matrix(self.matrix[:, part])
            length = np.sqrt(columns.multiply(columns).sum(axis=1).A1)
            parts.append(diags(1 / np.where(length > 0, length, 1)) @ columns)
        return csr_matrix(hstack(parts, format="csr"))

    def solve(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight [terms, outputs] and bias [outputs] of some rows.

        One label against the rest: with liblinear's dual solver that is several times quicker than one joint fit.
        """
        seen, truth = self.matrix[rows], self.truth[rows]
        if not self.matrix.shape[1]:
            return np.zeros((0, truth.shape[1])), self._constant(truth)
        if self.kind is TaskKind.REGRESSION:
            ridge = Ridge(alpha=RIDGE, solver="sparse_cg", tol=1e-4).fit(seen, truth[:, 0])
            return ridge.coef_[:, None], np.array([float(ridge.intercept_)])
        if self.binary:
            weight, bias = _against_the_rest(seen, truth[:, 1], STRENGTH)
            # Half each way: the softmax of both is then the logistic function of the one.
            return np.stack([-weight, weight], axis=1) / 2, np.array([-bias, bias]) / 2
        strength = STRENGTH if truth.size <= MANY else STRENGTH_OF_MANY
        fits = [_against_the_rest(seen, column, strength) for column in truth.T]
        return np.stack([weight for weight, _ in fits], axis=1), np.array([bias for _, bias in fits])

    def _constant(self, truth: np.ndarray) -> np.ndarray:
        mean = truth.mean(axis=0)
        if self.kind is TaskKind.REGRESSION:
            return np.asarray(mean)
        share = np.clip(mean, 1e-4, 1 - 1e-4)
        odds = np.log(share / (1 - share))
        return np.asarray(odds / 2 if self.binary else odds)


def strongest(terms: Terms, weight: np.ndarray, limit: int) -> np.ndarray:
    """Columns of the terms with the largest weights that fit in `limit` bytes, ascending."""
    spelled = np.array([len(term.encode("utf-8", "surrogatepass")) + 1 for term in (*terms.words, *terms.characters)])
    order = np.argsort(-np.einsum("tl,tl->t", weight, weight), kind="stable")
    size = np.cumsum((spelled + 4 + 2 * weight.shape[1])[order])
    return np.sort(order[: int(np.searchsorted(size, limit, side="right"))])


def _against_the_rest(seen: csr_matrix, truth: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    if truth.min() == truth.max():
        return np.zeros(seen.shape[1]), NEVER * (2 * float(truth[0]) - 1)
    model = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=STEPS, tol=TOLERANCE, random_state=0)
    with warnings.catch_warnings():
        # Stopped early is good enough, and bounds its time.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(seen, truth)
    return model.coef_[0], float(model.intercept_[0])


def fold_of(targets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Stratified folds; numbers are dealt out by fifths."""
    if targets.ndim == 1 and targets.dtype.kind == "f":
        edges = np.unique(np.quantile(targets, [0.2, 0.4, 0.6, 0.8]))
        targets = np.searchsorted(edges, targets)
    return folds(targets, count, seed)
