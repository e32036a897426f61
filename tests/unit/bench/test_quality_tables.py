"""Tables of the bench: nothing that is missing is hidden, and every number stands in its column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ledgers import complete, result

from bench import quality_tables
from bench.ledger import Ledger, entry
from bench.suite import CASES

BANKING = next(case for case in CASES if case.name == "banking77")


def rows(table: str) -> list[dict[str, str]]:
    """A Markdown table's lines by their headings."""
    heads, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return [dict(zip(heads, line, strict=True)) for line in lines]


def test_auto_stands_beside_everything_it_is_compared_with() -> None:
    found = rows(quality_tables.auto_table(complete(0.9)))
    assert [row["dataset"] for row in found] == [case.name for case in CASES]
    assert found[1] == {
        "dataset": "banking77",
        "metric": "accuracy",
        "majority": "0.300",
        "floor": "0.910",
        "probe": "0.910",
        "AUTO": "**1.000**",
        "95 %": "0.980 to 1.020",
        "full fine-tune": "1.010",
        "gap closed": "0.90",
        "Adapt, s": "12",
        "ECE": "0.015",
        "ECE by chance": "0.026",
        "90 % sets cover": "0.910",
        "gate": "passed",
    }
    squad = found[-1]
    assert (squad["metric"], squad["ECE"], squad["90 % sets cover"]) == ("token F1", "–", "–")


def test_the_calibration_error_of_perfect_probabilities_is_what_chance_tells() -> None:
    random = np.random.default_rng(0)
    sure = random.uniform(0.3, 1.0, 800)
    bins = np.minimum((sure * 15).astype(int), 14)
    counts, sums = np.bincount(bins, minlength=15), np.bincount(bins, sure, 15)
    errors = []
    for _ in range(300):
        right = np.bincount(bins, random.uniform(size=800) < sure, 15)
        errors.append(np.abs(right - sums).sum() / 800)
    told = quality_tables.by_chance({"reliability": np.stack([counts, sums, right], axis=1).tolist()})
    assert told == pytest.approx(np.mean(errors), rel=0.08)
    assert quality_tables.by_chance({}) is None


def test_what_was_not_measured_says_so() -> None:
    for row in rows(quality_tables.auto_table(Ledger())):
        assert (row["majority"], row["probe"], row["AUTO"], row["full fine-tune"]) == ("not run",) * 4
        assert float(row["floor"]) > 0
    assert {row["test"] for row in rows(quality_tables.methods_table(Ledger()))} == {"not run"}
    for row in rows(quality_tables.few_table(Ledger())):
        assert set(list(row.values())[2:]) == {"not run"}
    assert {row["verdict"] for row in rows(quality_tables.goals_table(Ledger()))} == {"not run"}


def test_a_gap_that_cannot_be_known_and_one_that_is_not_there() -> None:
    full = complete()
    lone = rows(quality_tables.auto_table(replace(full, tuned={})))[1]
    assert (lone["gap closed"], lone["full fine-tune"]) == ("not run", "not run")
    none = replace(full, tuned={**full.tuned, BANKING.dataset: {"test": BANKING.floor}})
    assert rows(quality_tables.auto_table(none))[1]["gap closed"] == "no gap"


def test_means_and_deviations_of_few_examples() -> None:
    found = rows(quality_tables.few_table(complete()))
    assert [(row["dataset"], row["examples a label"]) for row in found[:4]] == [
        ("financial_phrasebank", "8"),
        ("financial_phrasebank", "16"),
        ("financial_phrasebank", "64"),
        ("banking77", "8"),
    ]
    assert found[0]["AUTO"] == "0.518 ± 0.010"
    assert {row["SetFit"] for row in found} == {"not run"}


def test_missing_seeds_are_counted() -> None:
    part = Ledger({entry(BANKING, "auto", 8, seed): result(0.5 + seed / 10) for seed in (0, 1)})
    assert rows(quality_tables.few_table(part))[3]["AUTO"] == "0.550 ± 0.071 (2 of 3 seeds)"
    one = Ledger({entry(BANKING, "auto", 8, 0): result(0.5)})
    assert rows(quality_tables.few_table(one))[3]["AUTO"] == "0.500 (1 of 3 seeds)"


def test_refusals_and_failures_are_listed() -> None:
    found = {
        entry(BANKING, "auto"): result(0.5, state="rejected", gate="Worse than a constant."),
        entry(BANKING, "top_k"): {"error": "Boom: no"},
    }
    ledger = Ledger(found)
    assert quality_tables.remarks(ledger).splitlines() == [
        "- `banking77/auto/full/0` refused: Worse than a constant.",
        "- `banking77/top_k/full/0` failed: Boom: no",
    ]
    assert rows(quality_tables.auto_table(ledger))[1]["gate"] == "refused"
    methods = {(row["dataset"], row["method"]): row["test"] for row in rows(quality_tables.methods_table(ledger))}
    assert methods["banking77", "AUTO"] == "0.500"
    assert methods["banking77", "TOP_K"] == "failed"
    assert methods["sst2", "TOP_K"] == "not run"


def test_the_same_numbers_as_data() -> None:
    numbers = quality_tables.numbers(complete(0.9))
    goals = [row["measured"] for name, row in numbers.items() if name.startswith("goal/")]
    assert goals == [7, 3, 5, 15, 15, 7, 10, 1]
    row = numbers["full/banking77/auto"]
    assert (row["majority"], row["floor"], row["ece"], row["state"]) == (0.3, 0.91, 0.015, "succeeded")
    assert len(numbers["few/sst2/auto/16"]["test"]) == 3
    nothing = quality_tables.numbers(Ledger())
    assert (nothing["full/banking77/auto"]["test"], nothing["few/sst2/auto/16"]["test"]) == (None, [])
