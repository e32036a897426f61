"""The tables of docs/quality.md, and the same numbers as JSON, out of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.goals import goals
from bench.ledger import FEW, FEW_METHODS, METHODS, SEEDS, SETFIT, SHOTS, Ledger, Result, entry
from bench.measure import table
from bench.suite import CASES, Case

NOT_RUN = "not run"
NONE = "–"
FEW_COMPARED = (*FEW_METHODS, SETFIT)
GATE = {"succeeded": "passed", "rejected": "refused"}


def goals_table(ledger: Ledger) -> str:
    """Every goal with the distance to it."""
    rows = [
        (goal.what, goal.wanted, goal.found or NOT_RUN, goal.verdict, f"{goal.measured} of {goal.of}")
        for goal in goals(ledger)
    ]
    return table(("goal", "wanted", "found", "verdict", "measured"), rows)


def auto_table(ledger: Ledger) -> str:
    """AUTO on whole train splits, beside everything it is compared with."""
    headings = (
        "dataset", "metric", "majority", "floor", "probe", "AUTO", "95 %", "full fine-tune", "gap closed", "Adapt, s",
        "ECE", "ECE by chance", "90 % sets cover", "gate",
    )  # fmt: skip
    rows = []
    for case in CASES:
        test, interval, *others = _measured(ledger, case, "auto")
        majority = _number(ledger.majorities.get(case.name, NOT_RUN))
        probe, best = _known(ledger.probe(case)), _known(ledger.best(case))
        metric = case.metric.replace("_f1", " F1")
        rows.append((case.name, metric, majority, f"{case.floor:.3f}", probe, _bold(test), interval, best, *others))
    return table(headings, rows)


def methods_table(ledger: Ledger) -> str:
    """Every method that was run on whole train splits."""
    headings = (
        "dataset",
        "method",
        "test",
        "95 %",
        "gap closed",
        "Adapt, s",
        "ECE",
        "by chance",
        "90 % sets cover",
        "gate",
    )
    pairs = [(case, method) for case in CASES for method in METHODS[case.group]]
    rows = [(case.name, title(method), *_measured(ledger, case, method)) for case, method in pairs]
    return table(headings, rows)


def few_table(ledger: Ledger) -> str:
    """Mean and standard deviation over seeds, a column for each method."""
    names = [title(method) for method in FEW_COMPARED]
    headings = ("dataset", "examples a label", *names, "AUTO, s", "SetFit, s")
    rows = []
    for case in few_cases():
        for shots in SHOTS:
            cells = [_spread(ledger.few(case, method, shots)) for method in FEW_COMPARED]
            times = [_median(ledger.few(case, method, shots)) for method in ("auto", SETFIT)]
            rows.append((case.name, shots, *cells, *times))
    return table(headings, rows)


def title(method: str) -> str:
    return "SetFit" if method == SETFIT else method.upper()


def few_cases() -> list[Case]:
    """In the order of FEW."""
    return sorted((case for case in CASES if case.name in FEW), key=lambda case: FEW.index(case.name))


def remarks(ledger: Ledger) -> str:
    """A list of what the gate refused and of what failed, with the reasons."""
    lines = []
    for name, one in sorted(ledger.found.items()):
        if "error" in one:
            lines.append(f"- `{name}` failed: {one['error']}")
        elif one.get("state", "succeeded") != "succeeded":
            lines.append(f"- `{name}` {_gate(one)}: {one['gate']}")
    return "\n".join(lines)


def numbers(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """The same as data: goal/WHAT, full/DATASET/METHOD and few/DATASET/METHOD/SHOTS with their values."""
    full = {
        f"full/{case.name}/{method}": _full(ledger, case, method) for case in CASES for method in METHODS[case.group]
    }
    few = {
        f"few/{case.name}/{method}/{shots}": {
            name: [one[name] for one in ledger.few(case, method, shots)] for name in ("test", "seconds")
        }
        for case in few_cases()
        for method in FEW_COMPARED
        for shots in SHOTS
    }
    return {**{f"goal/{goal.what}": asdict(goal) for goal in goals(ledger)}, **full, **few}


def _full(ledger: Ledger, case: Case, method: str) -> dict[str, Any]:
    one = ledger.full(case, method) or {}
    kept = ("test", "low", "high", "seconds", "ece", "coverage", "set_size", "calibration_rows", "state")
    return {
        "metric": case.metric,
        "majority": ledger.majorities.get(case.name),
        "floor": case.floor,
        "probe": ledger.probe(case),
        "full_fine_tune": ledger.best(case),
        "gap_closed": ledger.closed(case, method),
        **{name: one.get(name) for name in kept},
    }


def _measured(ledger: Ledger, case: Case, method: str) -> Sequence[str]:
    """Test, interval, gap closed, seconds, ECE, the same by chance, coverage and gate of one method."""
    one = ledger.full(case, method)
    if one is None:
        failed = "error" in ledger.found.get(entry(case, method), {})
        return ("failed" if failed else NOT_RUN, *[NONE] * 7)
    gap = ledger.closed(case, method)
    lacks = NOT_RUN if ledger.probe(case) is None or ledger.best(case) is None else "no gap"
    return (
        _number(one["test"]),
        f"{one['low']:.3f} to {one['high']:.3f}",
        lacks if gap is None else f"{gap:.2f}",
        f"{one['seconds']:.0f}",
        _number(one.get("ece")),
        _number(by_chance(one)),
        _number(one.get("coverage")),
        _gate(one),
    )


def by_chance(one: Result) -> float | None:
    """The calibration error that is to be expected of perfectly calibrated probabilities on so few test rows."""
    if "reliability" not in one:
        return None
    counts, sure, _ = np.array(one["reliability"]).T
    means = sure / np.maximum(counts, 1)
    # A bin's share of right answers has a normal error, whose absolute value is sqrt(2 / pi) of its deviation.
    return float(np.sqrt(2 / np.pi * counts * means * (1 - means)).sum() / counts.sum())


def _median(found: Sequence[Result]) -> str:
    return f"{np.median([one['seconds'] for one in found]):.0f}" if found else NOT_RUN


def _gate(one: Result) -> str:
    state = str(one["state"])
    return GATE.get(state, state)


def _spread(found: Sequence[Result]) -> str:
    if not found:
        return NOT_RUN
    scores = [one["test"] for one in found]
    spread = f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else ""
    seeds = "" if len(scores) == len(SEEDS) else f" ({len(scores)} of {len(SEEDS)} seeds)"
    return f"{np.mean(scores):.3f}{spread}{seeds}"


def _number(value: float | str | None) -> str:
    """A dash where there is no such number."""
    return NONE if value is None else value if isinstance(value, str) else f"{value:.3f}"


def _known(value: float | None) -> str:
    return NOT_RUN if value is None else f"{value:.3f}"


def _bold(text: str) -> str:
    return text if text in (NOT_RUN, "failed") else f"**{text}**"
