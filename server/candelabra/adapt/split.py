"""Which rows are held out: stratified, seeded, and possible even where a label has a single row."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

COPY = 0.97
"""Cosine of two centred vectors from which their texts count as one."""
TABLES, BITS, NEIGHBOURS = 6, 16, 8
LEAKED = 0.5
"""Fewer groups a row than this: the rows are copies of a few. Sets of short questions have 0.9 and more."""


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


def near_copies(features: np.ndarray, digests: np.ndarray, seed: int = 0) -> np.ndarray:
    """The group, from 0, of each row [n]: rows of one digest, or of nearly one vector, are copies of one another.

    Features are [n, d]. They are centred, because every text of a domain points much the same way, and compared only
    where random hyperplanes put both on the same side (Charikar 2002): about 200 n d operations, not n * n * d.
    """
    rows = len(features)
    _, same = np.unique(digests, return_inverse=True)
    x = np.asarray(features, np.float32)
    x = x - x.mean(axis=0)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    planes = np.random.default_rng(seed).normal(size=(x.shape[1], TABLES * BITS)).astype(np.float32)
    sides = (x @ planes > 0).reshape(rows, TABLES, BITS)
    keys = sides @ (1 << np.arange(BITS))
    edges = [np.stack([np.arange(rows), _first_of(same)[same]])]
    for table in range(TABLES):
        order = np.argsort(keys[:, table], kind="stable")
        sorted_keys = keys[order, table]
        # Copies of one text lie side by side in a bucket only by chance, so each row meets several neighbours.
        for step in range(1, NEIGHBOURS + 1):
            one, other = order[:-step], order[step:]
            alike = sorted_keys[:-step] == sorted_keys[step:]
            if not alike.any():
                break
            one, other = one[alike], other[alike]
            close = np.einsum("nd,nd->n", x[one], x[other]) > COPY
            edges.append(np.stack([one[close], other[close]]))
    first, second = np.concatenate(edges, axis=1)
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(rows, rows))
    return np.asarray(connected_components(graph, directed=False)[1])


def _first_of(groups: np.ndarray) -> np.ndarray:
    """The first row of each group, groups being numbered from 0."""
    return np.asarray(np.unique(groups, return_index=True)[1])


def representatives(groups: np.ndarray) -> np.ndarray | None:
    """One row of each group where most rows are copies, sorted; None where copies are too few to flatter scores."""
    first = _first_of(groups)
    return np.sort(first) if len(first) < LEAKED * len(groups) else None
