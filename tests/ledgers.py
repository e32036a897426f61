"""Ledgers of made-up results."""

from __future__ import annotations

from typing import Any

from bench.ledger import FEW, FEW_METHODS, METHODS, SEEDS, SHOTS, Ledger, entry
from bench.suite import CASES, Case

BINS = [[0.0, 0.0, 0.0]] * 13 + [[60.0, 54.0, 54.0], [40.0, 39.0, 38.0]]
MATRIX = {"labels": ["no", "yes"], "confusion": [[40, 10], [5, 45]]}


def result(test: float, **more: Any) -> dict[str, Any]:
    return {
        "test": test,
        "low": test - 0.02,
        "high": test + 0.02,
        "seconds": 12.0,
        "state": "succeeded",
        "gate": "fine",
        "calibration_rows": 2000,
        "machine": "a machine",
        "date": "2026-01-02",
        **more,
    }


def whole(case: Case, test: float) -> dict[str, Any]:
    """What a head on a whole train split says of itself, by its task."""
    sets = {"coverage": 0.91} if case.group in ("classification", "pairs") else {}
    sure = {"ece": 0.015, "reliability": BINS, **MATRIX} if case.metric == "accuracy" else {}
    return result(test, **sets, **sure)


def complete(auto: float = 0.9) -> Ledger:
    """Everything measured: probes are as good as floors, fine-tuning is 0.1 better, heads close `auto` of that."""
    found: dict[str, Any] = {}
    for case in CASES:
        for method in METHODS[case.group]:
            found[entry(case, method)] = whole(case, case.floor + 0.1 * auto)
        if case.name in FEW:
            for shots in SHOTS:
                for method in FEW_METHODS:
                    for seed in SEEDS:
                        found[entry(case, method, shots, seed)] = result(0.5 + shots / 1000 + seed / 100)
    return Ledger(
        found,
        probes={case.name: {"test": case.floor} for case in CASES},
        tuned={case.dataset: {"test": case.floor + 0.1} for case in CASES},
        outside={"4+6": {"mean": 0.995, "worst": ["a", "b", 0.95]}, "6": {"mean": 0.9, "worst": ["a", "b", 0.8]}},
        majorities={case.name: 0.3 for case in CASES},
    )
