"""Sums on the grid are exact: they know which rows are in, and neither their order nor their history."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candelabra.adapt import statistics
from candelabra.adapt.statistics import STEP, Statistics, fixed, floating, on_grid
from candelabra.errors import InvalidArgument


def rows(n: int = 200, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, width))
    return fixed(x / np.linalg.norm(x, axis=1, keepdims=True)), on_grid(random.random((n, 3)))


X, Y = rows()


def test_the_grid_is_finer_than_what_an_encoder_tells_apart() -> None:
    x = np.linspace(-1, 0.9999, 1001).astype(np.float32)[:, None]
    assert np.abs(floating(fixed(x)) - x).max() <= STEP / 2 + 1e-7
    assert floating(fixed(np.array([[2.0, -2.0]]))).tolist() == [[1.0 - STEP, -1.0]]
    assert np.array_equal(fixed(floating(fixed(x))), fixed(x))


@given(st.lists(st.sets(st.integers(0, 199), min_size=1, max_size=40), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_history_gives_the_sums_of_the_rows_that_are_left(moves: list[set[int]]) -> None:
    here = np.zeros(200, bool)
    sums = Statistics.empty(6, 3)
    for move in moves:
        at = np.array(sorted(move, key=lambda row: (row * 7) % 13))
        sums.remove(X[at[here[at]]], Y[at[here[at]]])
        sums.add(X[at[~here[at]]], Y[at[~here[at]]])
        here[at] = ~here[at]
    scratch = Statistics.of(X[here][::-1], Y[here][::-1])
    for name in ("rows", "total", "gram", "cross", "counts"):
        np.testing.assert_array_equal(getattr(sums, name), getattr(scratch, name))
    assert sums.digest == scratch.digest


def test_sums_are_what_they_say() -> None:
    sums, x = Statistics.of(X, Y), floating(X)
    np.testing.assert_allclose(np.tril(sums.gram), np.tril(x.T @ x), rtol=1e-13)
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(np.tril(sums.scatter), np.tril(centred.T @ centred), atol=1e-12)
    np.testing.assert_allclose(sums.centred_cross, centred.T @ Y, atol=1e-12)
    some = np.array([1, 4, 5])
    np.testing.assert_array_equal(np.tril(sums.take(some).gram), np.tril(Statistics.of(X[:, some], Y).gram))


def test_one_row_changes_the_digest() -> None:
    sums = Statistics.of(X, Y)
    before = sums.digest
    sums.remove(X[:1], Y[:1])
    assert sums.digest != before
    sums.add(X[:1], Y[:1])
    assert sums.digest == before


def test_what_would_not_be_exact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = Statistics.of(X, Y)
    with pytest.raises(InvalidArgument, match="cannot be taken"):
        sums.remove(np.vstack([X, X]), np.vstack([Y, Y]))
    monkeypatch.setattr(statistics, "EXACT_ROWS", 200)
    with pytest.raises(InvalidArgument, match="no longer be exact"):
        sums.add(X[:1], Y[:1])
