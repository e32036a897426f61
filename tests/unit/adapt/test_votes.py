"""Votes become weights: functions that are often wrong count less, abstaining costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt import votes
from candelabra.errors import InvalidArgument

LABELS = ("calm", "storm", "fog")


def cast(n: int, accuracies: dict[str, float], speaks: float = 0.8) -> tuple[list[list[tuple[str, str]]], np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, n)
    rows: list[list[tuple[str, str]]] = []
    for one in truth:
        row = []
        for name, accuracy in accuracies.items():
            if random.random() < speaks:
                wrong = (one + random.integers(1, 3)) % 3
                row.append((name, LABELS[one if random.random() < accuracy else wrong]))
        rows.append(row)
    return rows, truth


def test_accuracies_are_found_without_a_label() -> None:
    right = {"by sky": 0.9, "by sea": 0.75, "by gulls": 0.34, "by smoke": 0.36}
    rows, truth = cast(800, right)
    made = votes.dawid_skene(rows, LABELS)
    for name, accuracy in right.items():
        assert abs(made.accuracy[name] - accuracy) < 0.1
    heard = np.array([bool(row) for row in rows])
    plain = votes.majority(rows, LABELS)
    agree = [(one.weights.argmax(axis=1) == truth)[heard].mean() for one in (made, plain)]
    assert agree[0] > agree[1] + 0.02
    assert plain.accuracy["by sky"] > plain.accuracy["by gulls"]


def test_rows_sum_to_one_or_to_nothing() -> None:
    rows = [[("a", "calm"), ("b", "storm")], [], [("a", "fog")], [("b", "fog"), ("a", "fog")]]
    for made in (votes.soften(rows, LABELS), votes.majority(rows, LABELS).weights):
        assert made.dtype == np.float32
        np.testing.assert_allclose(made.sum(axis=1), [1, 0, 1, 1], atol=1e-6)
        assert made[3].argmax() == 2


def test_a_single_function_and_no_vote_at_all() -> None:
    alone = votes.soften([[("a", "storm")], []], LABELS)
    assert alone.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert votes.soften([], LABELS).shape == (0, 3)
    assert votes.soften([[], []], LABELS).tolist() == [[0] * 3] * 2
    assert votes.soften([[("a", "x"), ("b", "x")]], ("x",)).tolist() == [[1]]


def test_a_vote_cast_twice_counts_once() -> None:
    once = votes.soften([[("a", "calm"), ("b", "fog")]], LABELS)
    twice = votes.soften([[("a", "calm"), ("a", "calm"), ("b", "fog")]], LABELS)
    np.testing.assert_array_equal(once, twice)


def test_a_vote_for_no_label_is_told() -> None:
    with pytest.raises(InvalidArgument, match="'hail'"):
        votes.soften([[("a", "calm")], [("b", "hail")]], LABELS)
