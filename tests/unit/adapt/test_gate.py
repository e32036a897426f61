"""The gate refuses what is measurably worse and lets equals through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.comparison import INCUMBENT, MAJORITY, TFIDF, Check, Comparison, Coverage, Recall, Reliability
from candelabra.adapt.gate import judge
from candelabra.adapt.rivals import compared
from candelabra.adapt.scores import Interval, one_hot
from candelabra.plugin import GateRules

LABELS = ("a", "b")
RULES = GateRules()


def pair(name: str, ours: float, theirs: float, n: int = 400, seed: int = 0, *, recall: bool = False) -> Comparison:
    """Two deciders that are independently right with the given chances."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n)
    decided = [one_hot(np.where(random.random(n) < right, truth, 1 - truth), 2) for right in (ours, theirs)]
    return compared(name, "accuracy", LABELS, one_hot(truth, 2), *decided, 0, recall=recall)


def accepted(*comparisons: Comparison) -> bool:
    return judge(RULES, comparisons).accepted


def passed(rules: GateRules = RULES, **told: object) -> bool:
    return judge(rules, [], **told).accepted  # type: ignore[arg-type]


def test_better_and_equal_pass_and_measurably_worse_does_not() -> None:
    assert accepted(pair(TFIDF, 0.9, 0.8), pair(INCUMBENT, 0.9, 0.9, recall=True))
    assert not accepted(pair(TFIDF, 0.7, 0.8))
    assert not accepted(pair(INCUMBENT, 0.8, 0.9))


def test_a_margin_lets_a_little_worse_through() -> None:
    little = Interval(-0.03, -0.05, -0.01)
    one = Comparison(TFIDF, "accuracy", 0.8, Interval(0.83, 0.8, 0.86), little, 900)
    assert not judge(RULES, [one]).accepted
    assert judge(GateRules(margin=0.02), [one]).accepted


def test_equals_are_seldom_refused_whatever_the_number_of_rows() -> None:
    for n in (40, 1000):
        refused = sum(not accepted(pair(TFIDF, 0.85, 0.85, n, seed)) for seed in range(100))
        assert refused <= 8


def test_a_head_that_guesses_is_seldom_accepted_over_the_majority() -> None:
    for n, limit in ((30, 20), (500, 7)):
        found = sum(accepted(pair(MAJORITY, 0.5, 0.5, n, seed)) for seed in range(100))
        assert found <= limit


def test_a_tie_with_the_majority_is_refused() -> None:
    tie = Comparison(MAJORITY, "accuracy", 0.9, Interval(0.9, 0.8, 1), Interval(0, 0, 0), 100, must_win=True)
    assert not accepted(tie)
    assert accepted(replace(tie, must_win=False))


def test_a_label_whose_recall_falls_is_refused_although_the_whole_does_not() -> None:
    truth = np.repeat([0, 1], [2000, 40])
    theirs, ours = truth.copy(), truth.copy()
    theirs[:60] = 1
    ours[2000:2030] = 0
    one = compared(
        INCUMBENT, "accuracy", LABELS, one_hot(truth, 2), one_hot(ours, 2), one_hot(theirs, 2), 0, recall=True
    )
    verdict = judge(RULES, [one])
    assert {check["name"]: check["passed"] for check in verdict.checks} == {"incumbent": True, "recall": False}
    assert "'b'" in verdict.reason
    assert "30 of its rows are lost" in verdict.reason


@pytest.mark.parametrize(
    ("lost", "won", "rows", "fine"), [(20, 2, 40, False), (20, 2, 1000, True), (20, 18, 40, True), (0, 0, 40, True)]
)
def test_a_fall_counts_beyond_chance_and_beyond_what_another_sample_costs(
    lost: int, won: int, rows: int, fine: bool
) -> None:
    even = Interval(0.0, -0.1, 0.1)
    one = Comparison(INCUMBENT, "accuracy", 0.9, even, even, 1000, recalls=(Recall("a", lost, won, rows),))
    assert judge(RULES, [one]).accepted is fine


def test_reasons_carry_the_numbers_and_force_is_only_a_record() -> None:
    verdict = judge(RULES, [pair(TFIDF, 0.7, 0.8)], force=True)
    assert (verdict.accepted, verdict.forced) == (False, True)
    assert "measurably worse than TF-IDF" in verdict.reason
    assert "400 rows" in verdict.reason
    assert verdict.baselines[0]["name"] == TFIDF
    assert not judge(RULES, [pair(TFIDF, 0.9, 0.8)], force=True).forced


def test_no_common_row_is_said_and_not_held_against_it() -> None:
    verdict = judge(RULES, [Comparison.nothing(INCUMBENT, "accuracy", "No row could be compared.")])
    assert verdict.accepted
    assert "No row" in str(verdict.checks[0]["detail"])
    assert verdict.baselines == []


@pytest.mark.parametrize(
    ("told", "fine"),
    [
        (Reliability(0.30, 1000, 0.02), False),
        (Reliability(0.30, 150, 0.02), True),
        (Reliability(0.05, 1000, 0.02), True),
        (Reliability(0.11, 1000, 0.02), True),
        (Reliability(0.30, 1000, 0.02, incumbent=0.35), True),
        (Reliability(0.30, 1000, 0.02, incumbent=0.05), False),
    ],
)
def test_calibration_is_judged_where_rows_are_enough_and_the_incumbent_is_better(told: Reliability, fine: bool) -> None:
    assert passed(reliability=told) is fine
    assert passed(GateRules(max_calibration_error=0), reliability=told)


def test_sets_that_cover_too_little_are_refused() -> None:
    assert passed(coverage=Coverage(0.9, 900, 1000))
    assert passed(coverage=Coverage(0.9, 880, 1000))
    assert not passed(coverage=Coverage(0.9, 800, 1000))
    assert passed(GateRules(coverage=0), coverage=Coverage(0.9, 800, 1000))


def test_a_task_may_add_checks_of_its_own() -> None:
    verdict = judge(RULES, [], checks=[Check("labels", False, "A label is gone.")])
    assert not verdict.accepted
    assert verdict.reason == "A label is gone."
