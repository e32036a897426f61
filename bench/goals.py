"""What is asked of AUTO's heads, and by how much it is met or missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bench.ledger import Ledger
from bench.suite import CASES, Case

GAPS = {"classification": 0.8, "entities": 0.9, "answers and pairs": 0.7}
CALIBRATION_ERROR = 0.02
CALIBRATION_ROWS = 1000
COVERAGE = 0.9
COVERAGE_SLACK = 0.015
OUTSIDE = 0.99


@dataclass(frozen=True, slots=True)
class Goal:
    """`margin` is positive where the goal is met, None where nothing was measured; `of` are all that could be."""

    what: str
    wanted: str
    found: str
    margin: float | None
    measured: int
    of: int

    @property
    def verdict(self) -> str:
        if self.margin is None:
            return "not run"
        distance = f"{abs(self.margin):.3f}"
        if self.margin < 0:
            return f"**missed** by {distance}"
        return f"met by {distance}" if self.measured == self.of else f"so far met by {distance}"


def goals(ledger: Ledger) -> list[Goal]:
    return [
        *(_gap(ledger, what, wanted) for what, wanted in GAPS.items()),
        _not_below(ledger, "floor", lambda case: case.floor),
        _not_below(ledger, "probe", ledger.probe),
        _calibration(ledger),
        _coverage(ledger),
        _outside(ledger),
    ]


def kind(case: Case) -> str:
    """The goal of GAPS that a dataset counts for."""
    return next(what for what in GAPS if case.group in what)


def _gap(ledger: Ledger, what: str, wanted: float) -> Goal:
    cases = [case for case in CASES if kind(case) == what]
    closed = [gap for case in cases if (gap := ledger.closed(case)) is not None]
    mean = float(np.mean(closed)) if closed else None
    return Goal(
        f"gap closed, {what}, mean",
        f"≥ {wanted}",
        "" if mean is None else f"{mean:.3f}",
        None if mean is None else mean - wanted,
        len(closed),
        len(cases),
    )


def _not_below(ledger: Ledger, name: str, other: Callable[[Case], float | None]) -> Goal:
    margins = {
        case.name: one["test"] - than
        for case in CASES
        if (one := ledger.full(case)) is not None and (than := other(case)) is not None
    }
    below = [one for one, margin in margins.items() if margin < 0]
    found = f"below on {len(below)}: {', '.join(below)}" if below else "below on none" if margins else ""
    return Goal(f"never below the {name}", "every dataset", found, _least(margins.values()), len(margins), len(CASES))


def _calibration(ledger: Ledger) -> Goal:
    errors = {
        case.name: one["ece"]
        for case in CASES
        if (one := ledger.full(case)) and "ece" in one and one.get("calibration_rows", 0) >= CALIBRATION_ROWS
    }
    of = sum(case.metric == "accuracy" and not _short(ledger, case) for case in CASES)
    return Goal(
        f"ECE with {CALIBRATION_ROWS:,} or more calibration rows",
        f"≤ {CALIBRATION_ERROR}",
        _worst(errors, lambda error: error),
        _least(CALIBRATION_ERROR - error for error in errors.values()),
        len(errors),
        of,
    )


def _short(ledger: Ledger, case: Case) -> bool:
    """Whether a head is known to have been calibrated on too few rows for its goal."""
    return (ledger.full(case) or {}).get("calibration_rows", CALIBRATION_ROWS) < CALIBRATION_ROWS


def _coverage(ledger: Ledger) -> Goal:
    covered = {case.name: one["coverage"] for case in CASES if (one := ledger.full(case)) and "coverage" in one}
    return Goal(
        "coverage of 90 % sets and intervals",
        f"{100 * COVERAGE:.0f} ± {100 * COVERAGE_SLACK:.1f} %",
        _worst(covered, lambda coverage: abs(coverage - COVERAGE)),
        _least(COVERAGE_SLACK - abs(coverage - COVERAGE) for coverage in covered.values()),
        len(covered),
        sum(case.group in ("classification", "pairs") for case in CASES),
    )


def _outside(ledger: Ledger) -> Goal:
    what, wanted = "texts of other domains told apart, mean AUROC", f"≥ {OUTSIDE}"
    found = ledger.strange()
    if found is None:
        return Goal(what, wanted, "", None, 0, 1)
    inside, other, least = found["worst"]
    words = f"{found['mean']:.3f}, least {least:.3f} ({inside} against {other})"
    return Goal(what, wanted, words, found["mean"] - OUTSIDE, 1, 1)


def _least(margins: Iterable[float]) -> float | None:
    return min(margins, default=None)


def _worst(found: dict[str, float], badness: Callable[[float], float]) -> str:
    """The value that is farthest from the goal, with its dataset."""
    if not found:
        return ""
    name = max(found, key=lambda one: badness(found[one]))
    return f"worst {found[name]:.3f} ({name})"
