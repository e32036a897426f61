"""What a head must not be worse than: the majority answer, and TF-IDF with logistic regression, on unseen rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from candelabra.adapt.split import folds

FOLDS = 5
FITS = 160
WORK = 300_000
"""Of the five folds as many are scored as FITS single fits and WORK = rows x labels allow, and at least one."""
WORD_FEATURES = 30_000
CHARACTER_FEATURES = 30_000
SHORT_TEXT = 200
STRENGTH = 10.0
STEPS = 100
TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Baseline:
    """Probabilities of the rows that were scored, each by a model that had not seen it."""

    rows: np.ndarray
    probabilities: np.ndarray


def majority(targets: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The most frequent answer, as 0/1 rows: for multi-label, each label where more than half carry it."""
    decided = np.zeros_like(truth)
    if targets.ndim == 2:
        decided[:] = truth.mean(axis=0) > 0.5
    else:
        decided[:, int(truth.sum(axis=0).argmax())] = 1
    return decided


def tfidf(texts: Sequence[str], targets: np.ndarray, labels: int, seed: int) -> Baseline:
    """Out-of-fold probabilities. The vocabulary and its weights are learned without labels, once, from all texts."""
    matrix = vectorize(texts)
    fold = folds(targets, min(FOLDS, len(texts)), seed)
    scored = range(max(1, min(int(fold.max()) + 1, FITS // labels, WORK // (len(texts) * labels))))
    parts = [np.flatnonzero(fold == one) for one in scored]
    probabilities = [
        _predict(matrix[np.flatnonzero(fold != one)], targets[fold != one], matrix[part], labels)
        for one, part in zip(scored, parts, strict=True)
    ]
    return Baseline(np.concatenate(parts), np.concatenate(probabilities))


def held_out(texts: Sequence[str], targets: np.ndarray, unseen: Sequence[str], labels: int) -> np.ndarray:
    """Probabilities of unseen texts by one model of all rows."""
    matrix = vectorize([*texts, *unseen])
    return _predict(matrix[: len(texts)], targets, matrix[len(texts) :], labels)


def vectorize(texts: Sequence[str]) -> csr_matrix:
    """Words and pairs of words; characters too where texts are short and words therefore few."""
    parts = [_tfidf(texts, WORD_FEATURES, analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")]
    if np.median([len(text) for text in texts]) <= SHORT_TEXT:
        parts.append(_tfidf(texts, CHARACTER_FEATURES, analyzer="char_wb", ngram_range=(3, 5)))
    return csr_matrix(hstack(parts, format="csr"))


def _tfidf(texts: Sequence[str], limit: int, **options: object) -> csr_matrix:
    for rare in (2, 1):
        try:
            vectorizer = TfidfVectorizer(
                max_features=limit, min_df=rare, sublinear_tf=True, dtype=np.float32, **options
            )
            return csr_matrix(vectorizer.fit_transform(texts))
        except ValueError:
            continue  # No term is frequent enough, or there are no words at all.
    return csr_matrix((len(texts), 1), dtype=np.float32)


def _predict(seen: csr_matrix, targets: np.ndarray, unseen: csr_matrix, labels: int) -> np.ndarray:
    """One label against the rest: with liblinear's dual solver that is several times quicker than one joint fit."""
    truth = targets if targets.ndim == 2 else targets[:, None] == np.arange(labels)
    if targets.ndim == 1 and labels == 2:
        second = _binary(seen, truth[:, 1], unseen)
        return np.stack([1 - second, second], axis=1)
    result = np.stack([_binary(seen, truth[:, at], unseen) for at in range(labels)], axis=1)
    if targets.ndim == 1:
        result /= np.maximum(result.sum(axis=1, keepdims=True), 1e-12)
    return result


def _binary(seen: csr_matrix, targets: np.ndarray, unseen: csr_matrix) -> np.ndarray:
    if targets.min() == targets.max():
        return np.full(unseen.shape[0], float(targets[0]))
    model = LogisticRegression(C=STRENGTH, solver="liblinear", dual=True, max_iter=STEPS, tol=TOLERANCE, random_state=0)
    with warnings.catch_warnings():
        # Stopped early is good enough for a baseline, and bounds its time.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probability: np.ndarray = model.fit(seen, targets).predict_proba(unseen)[:, 1]
    return probability
