"""Whether a candidate may be promoted: pure, from comparisons on the same rows.

"Measurably worse" means: the 95 % interval of the paired difference lies wholly below zero. Asking for more, that
the interval's lower end stays above a small margin, would refuse equally good heads at random wherever there are
too few rows to tell. Against the majority answer more is asked for: the interval must lie above zero, because a
head that cannot be told from a constant has learned nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scipy.stats import binom

from candelabra.adapt.comparison import (
    CALIBRATION,
    COVERAGE,
    INCUMBENT,
    RECALL,
    RIVALS,
    Check,
    Comparison,
    Coverage,
    Recall,
    Reliability,
)
from candelabra.plugin import GateRules

FEW_ROWS = 50
FEW_LEVEL = 0.80
"""With fewer scored rows a 95 % interval would refuse nearly everything: 80 % (one chance in ten) is asked for."""
CLASS_ROWS = 20
SLACK = 0.03
"""Share of a label's rows that another sample of good examples may cost it, for it moves the border between labels."""
CALIBRATION_ROWS = 200
COVERAGE_LEVEL = 1e-3
"""The band is for heads whose rows are not alike: an honest head leaves it once in a thousand."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`baselines`, `checks` and `report` are as the proto's Report has them."""

    accepted: bool
    forced: bool
    reason: str
    checks: list[dict[str, object]] = field(default_factory=list)
    baselines: list[dict[str, object]] = field(default_factory=list)

    @property
    def report(self) -> dict[str, object]:
        return {"accepted": self.accepted, "reason": self.reason, "checks": self.checks, "forced": self.forced}


def judge(
    rules: GateRules,
    comparisons: Sequence[Comparison],
    *,
    reliability: Reliability | None = None,
    coverage: Coverage | None = None,
    checks: Sequence[Check] = (),
    force: bool = False,
) -> Verdict:
    """Accepts only if every check passes. `force` changes nothing but the record that it was asked for.

    `checks` are those that a task adds of its own; they come first in the report.
    """
    made = list(checks)
    tested = sum(1 for one in comparisons if one.recalls)
    for one in comparisons:
        made.append(_rival(one, rules))
        if one.recalls or (one.name == INCUMBENT and one.rows):
            made.append(_recalls(one.recalls, rules.recall_level / max(tested, 1)))
    if reliability is not None:
        made.append(_calibration(reliability, rules))
    if coverage is not None and rules.coverage > 0:
        made.append(_coverage(coverage))
    accepted = all(check.passed for check in made)
    reason = " ".join(check.detail for check in made if not check.passed)
    if accepted:
        reason = "Measurably better than the best constant answer and not measurably worse than any rival."
    return Verdict(
        accepted,
        force and not accepted,
        reason,
        [check.as_report() for check in made],
        [
            {"name": one.name, "score": one.theirs.as_score(one.metric), "difference": one.gap.as_score(one.metric)}
            for one in comparisons
            if one.rows
        ],
    )


def _rival(one: Comparison, rules: GateRules) -> Check:
    if one.rows == 0:
        return Check(one.name, True, one.note or "No row could be compared.")
    passed = one.gap.low > 0 if one.must_win else one.gap.high >= -rules.margin
    rival = one.rival or RIVALS.get(one.name, one.name)
    verdict = {
        (True, True): "measurably better than",
        (True, False): "not measurably better than",
        (False, True): "not measurably worse than",
        (False, False): "measurably worse than",
    }[(one.must_win, passed)]
    return Check(
        one.name,
        passed,
        f"{one.metric} {one.ours:.3f} is {verdict} {rival} ({one.theirs.value:.3f}): "
        f"difference {one.gap.value:+.3f}, {one.level:.0%} interval {one.gap.low:+.3f} to {one.gap.high:+.3f} on "
        f"{one.rows} rows{'; ' + one.note if one.note else ''}.",
    )


def _recalls(recalls: Sequence[Recall], level: float) -> Check:
    """No label's recall may fall by more than SLACK: exact McNemar test a label, one-sided, corrected after Holm.

    Holm stops at the first test that does not reject, so the smallest chance alone decides whether any does.
    """
    tested = [(fall_chance(one), one) for one in recalls]
    if tested:
        chance, worst = min(tested, key=lambda pair: pair[0])
        if chance <= level / len(tested):
            return Check(
                RECALL,
                False,
                f"The recall of {worst.label!r} falls: {worst.lost} of its rows are lost and {worst.won} won against "
                f"the version it would replace (p = {chance:.2g}, Holm over {len(tested)} labels).",
            )
    return Check(RECALL, True, f"No recall of {len(tested)} labels with {CLASS_ROWS} or more rows falls measurably.")


def fall_chance(one: Recall) -> float:
    """The one-sided p of the exact McNemar test that a label's recall fell by more than SLACK."""
    changed = one.lost + one.won
    if not changed:
        return 1.0
    return float(binom.sf(one.lost - 1, changed, min(0.5 + SLACK * one.rows / changed / 2, 1.0)))


def _calibration(one: Reliability, rules: GateRules) -> Check:
    """Only what rows enough show, beyond what a perfect head would show by chance, is held against a head."""
    limit = rules.max_calibration_error
    words = f"Calibration error {one.error:.3f} on {one.rows} rows"
    if one.incumbent is not None:
        words += f" (the version it would replace: {one.incumbent:.3f})"
    if limit <= 0 or one.rows < CALIBRATION_ROWS:
        return Check(CALIBRATION, True, f"{words}; {'nothing is asked' if limit <= 0 else 'too few rows to judge it'}.")
    excess = one.error - one.noise
    no_worse = one.incumbent is not None and one.incumbent >= one.error - one.noise
    if excess <= limit or no_worse:
        return Check(CALIBRATION, True, f"{words} is within {limit:.3f} or no worse than before.")
    return Check(CALIBRATION, False, f"{words} is above {limit:.3f} by more than chance ({one.noise:.3f}).")


def _coverage(one: Coverage) -> Check:
    """The two-sided binomial band around the asked share; too wide sets are as untrue as too narrow ones."""
    if one.rows == 0:
        return Check(COVERAGE, True, "No row could be scored for the coverage of prediction sets.")
    low, high = binom.interval(1 - COVERAGE_LEVEL, one.rows, one.asked)
    passed = bool(low <= one.covered)
    share = one.covered / one.rows
    return Check(
        COVERAGE,
        passed,
        f"Prediction sets asked to cover {one.asked:.0%} cover {share:.1%} of {one.rows} rows, "
        f"{'within' if passed else 'below'} the band {low / one.rows:.1%} to {high / one.rows:.1%}.",
    )
