"""Goals of the bench: what is found, by how much it is met or missed, and of how many datasets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledgers import complete, whole

from bench.goals import Goal, goals, kind
from bench.ledger import Ledger, entry
from bench.suite import CASES

BANKING = next(case for case in CASES if case.name == "banking77")


def by_name(ledger: Ledger) -> dict[str, Goal]:
    return {goal.what: goal for goal in goals(ledger)}


def test_everything_met() -> None:
    found = by_name(complete(0.95))
    assert len(found) == 8
    assert all(goal.verdict.startswith("met by") for goal in found.values())
    assert found["gap closed, entities, mean"].margin == pytest.approx(0.05)
    assert found["coverage of 90 % sets and intervals"].margin == pytest.approx(0.005)
    assert found["coverage of 90 % sets and intervals"].wanted == "90 ± 1.5 %"
    assert found["texts of other domains told apart, mean AUROC"].found == "0.995, least 0.950 (a against b)"
    assert [goal.of for goal in list(found.values())[:3]] == [7, 3, 5]


def test_nothing_measured() -> None:
    for goal in goals(Ledger()):
        assert (goal.found, goal.margin, goal.measured, goal.verdict) == ("", None, 0, "not run")


def test_a_gap_that_is_not_closed() -> None:
    found = by_name(complete(0.85))
    assert found["gap closed, classification, mean"].verdict == "met by 0.050"
    assert found["gap closed, entities, mean"].verdict == "**missed** by 0.050"


def test_one_dataset_below_the_floor() -> None:
    full = complete()
    low = {**full.found, entry(BANKING, "auto"): whole(BANKING, BANKING.floor - 0.03)}
    goal = by_name(replace(full, found=low))["never below the floor"]
    assert goal.found == "below on 1: banking77"
    assert goal.verdict == "**missed** by 0.030"


def test_calibration_counts_where_enough_rows_calibrated() -> None:
    full = complete()
    poor = {**whole(BANKING, 0.95), "ece": 0.05}
    name = "ECE with 1,000 or more calibration rows"
    many = by_name(replace(full, found={**full.found, entry(BANKING, "auto"): poor}))[name]
    assert many.found == "worst 0.050 (banking77)"
    assert (many.verdict, many.measured, many.of) == ("**missed** by 0.030", 7, 7)
    few = {**full.found, entry(BANKING, "auto"): {**poor, "calibration_rows": 999}}
    goal = by_name(replace(full, found=few))[name]
    assert (goal.verdict, goal.measured, goal.of) == ("met by 0.005", 6, 6)


def test_a_part_is_said_to_be_one() -> None:
    part = Ledger(found={entry(BANKING, "auto"): whole(BANKING, 0.95)})
    goal = by_name(part)["never below the floor"]
    assert (goal.verdict, goal.measured, goal.of) == ("so far met by 0.040", 1, 15)


def test_every_dataset_counts_for_one_gap() -> None:
    assert {case.group: kind(case) for case in CASES} == {
        "classification": "classification",
        "pairs": "answers and pairs",
        "entities": "entities",
        "answers": "answers and pairs",
    }
