"""Splits keep every label learnable, whatever its number of rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from candelabra.adapt.split import folds, hold_out, near_copies, representatives


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 9))
def test_a_held_out_part_leaves_each_label_a_row(labels: list[int], seed: int) -> None:
    targets = np.array(labels)
    mask = hold_out(targets, max(1, len(targets) // 5), seed)
    assert mask.any()
    assert not mask.all()
    assert set(targets[~mask]) == set(targets) or (np.bincount(targets[mask])[targets[mask]] == 1).all()


@given(st.integers(2, 6), st.integers(2, 80), st.integers(0, 9))
def test_folds_are_even_and_stratified(count: int, rows: int, seed: int) -> None:
    targets = np.arange(rows) % 3
    fold = folds(targets, count, seed)
    sizes = np.bincount(fold, minlength=count)
    assert sizes.max() - sizes.min() <= 1
    for label in range(3):
        each = np.bincount(fold[targets == label], minlength=count)
        assert each.max() - each.min() <= 1


def test_multi_label_rows_are_spread_by_their_rarest_label() -> None:
    targets = np.zeros((100, 3), np.uint8)
    targets[:, 0] = 1
    targets[:10, 2] = 1
    assert np.bincount(folds(targets, 5, 0)[:10], minlength=5).tolist() == [2] * 5


def test_copies_are_found_by_digest_and_by_vector() -> None:
    random = np.random.default_rng(0)
    bases = random.normal(size=(40, 64)) + 5.0  # all texts of a domain point much the same way
    features = np.repeat(bases, 5, axis=0) + 0.05 * random.normal(size=(200, 64))
    digests = np.arange(200, dtype=np.uint64)
    groups = near_copies(features, digests)
    assert (groups.reshape(40, 5) == groups.reshape(40, 5)[:, :1]).all()
    assert len(np.unique(groups)) == 40
    few = representatives(groups)
    assert few is not None
    assert few.tolist() == list(range(0, 200, 5))
    same = near_copies(random.normal(size=(10, 64)), np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 9], np.uint64))
    assert len(np.unique(same)) == 9
    assert same[0] == same[1]


def test_different_texts_are_not_copies() -> None:
    groups = near_copies(np.random.default_rng(0).normal(size=(300, 64)) + 5.0, np.arange(300, dtype=np.uint64))
    assert len(np.unique(groups)) == 300
    assert representatives(groups) is None
