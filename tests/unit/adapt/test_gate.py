"""The gate refuses what is measurably worse and lets equals through."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.gate import INCUMBENT, MAJORITY, TFIDF, Pair, judge
from candelabra.adapt.scores import one_hot

LABELS = ("a", "b")


def pair(name: str, ours: float, theirs: float, n: int = 400, seed: int = 0) -> Pair:
    """Two deciders that are independently right with the given chances."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n)
    decided = [np.where(random.random(n) < right, truth, 1 - truth) for right in (ours, theirs)]
    return Pair(name, LABELS, one_hot(truth, 2), one_hot(decided[0], 2), one_hot(decided[1], 2))


def accepted(*pairs: Pair) -> bool:
    return judge("accuracy", pairs, False, 0).accepted


def test_better_and_equal_pass_and_measurably_worse_does_not() -> None:
    assert accepted(pair(TFIDF, 0.9, 0.8), pair(INCUMBENT, 0.9, 0.9))
    assert not accepted(pair(TFIDF, 0.7, 0.8))
    assert not accepted(pair(INCUMBENT, 0.8, 0.9))


def test_equals_are_seldom_refused_whatever_the_number_of_rows() -> None:
    for n in (40, 1000):
        refused = sum(not accepted(pair(TFIDF, 0.85, 0.85, n, seed)) for seed in range(100))
        assert refused <= 8


def test_a_head_that_guesses_is_seldom_accepted_over_the_majority() -> None:
    for n, limit in ((30, 20), (500, 7)):
        passed = sum(accepted(pair(MAJORITY, 0.5, 0.5, n, seed)) for seed in range(100))
        assert passed <= limit


def test_a_tie_with_the_majority_is_refused() -> None:
    one = pair(MAJORITY, 0.9, 0.9)
    assert not accepted(Pair(MAJORITY, LABELS, one.truth, one.theirs, one.theirs))


def test_a_label_whose_recall_falls_is_refused_although_the_whole_does_not() -> None:
    truth = np.repeat([0, 1], [2000, 40])
    theirs, ours = truth.copy(), truth.copy()
    theirs[:60] = 1
    ours[2000:2030] = 0
    verdict = judge(
        "accuracy", [Pair(INCUMBENT, LABELS, one_hot(truth, 2), one_hot(ours, 2), one_hot(theirs, 2))], False, 0
    )
    passed = {check["name"]: check["passed"] for check in verdict.checks}
    assert passed == {"incumbent": True, "recall": False}
    assert "'b'" in verdict.reason
    assert "30 of its rows are lost" in verdict.reason


def test_reasons_carry_the_numbers() -> None:
    verdict = judge("accuracy", [pair(TFIDF, 0.7, 0.8)], True, 0)
    assert verdict.forced
    assert not verdict.accepted
    assert "measurably worse than TF-IDF" in verdict.reason
    assert "400 rows" in verdict.reason
    assert verdict.baselines[0]["name"] == TFIDF


def test_no_common_row_is_said_and_not_held_against_it() -> None:
    empty = np.zeros((0, 2), np.uint8)
    verdict = judge("accuracy", [Pair(INCUMBENT, LABELS, empty, empty, empty)], False, 0)
    assert verdict.accepted
    assert "No row" in str(verdict.checks[0]["detail"])
