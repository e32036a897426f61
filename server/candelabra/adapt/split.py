"""Which rows are held out: stratified, seeded, and possible even where a label has a single row."""

from __future__ import annotations

import numpy as np


def folds(targets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold, 0 to count-1, of each row. Rows of a label are dealt out in turn after a seeded shuffle.

    Multi-label rows are dealt by their rarest label, so that rare labels are spread over the folds.
    """
    strata = _strata(targets)
    random = np.random.default_rng(seed)
    order = random.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(len(strata), np.int64)
    fold[order] = np.arange(len(strata)) % count
    return fold


def hold_out(targets: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """About `rows` rows, as a mask, such that every label keeps a row outside it where it has two."""
    total = len(targets)
    rows = max(1, min(rows, total // 2))
    fold = folds(targets, max(2, round(total / rows)), seed)
    mask = fold == 0
    strata = _strata(targets)
    # A label whose every row was held out could not be learned: give its first row back.
    for label in np.setdiff1d(np.unique(strata[mask]), np.unique(strata[~mask])):
        mask[np.flatnonzero(strata == label)[0]] = False
    if not mask.any():
        mask[np.argmax(fold)] = True
    return np.asarray(mask)


def _strata(targets: np.ndarray) -> np.ndarray:
    if targets.ndim == 1:
        return np.asarray(targets, dtype=np.int64)
    often = targets.sum(axis=0)
    rarity = np.where(targets > 0, often[None, :], np.iinfo(np.int64).max)
    return np.asarray(np.where(targets.any(axis=1), rarity.argmin(axis=1), targets.shape[1]))
