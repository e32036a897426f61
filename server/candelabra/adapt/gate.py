"""Whether a candidate may be promoted: pure, from decisions of the same rows side by side.

"Measurably worse" means: the 95 % interval of the paired difference lies wholly below zero. Asking for more, that
the interval's lower end stays above a small margin, would refuse equally good heads at random wherever there are
too few rows to tell. Against the majority answer more is asked for: the interval must lie above zero, because a
head that cannot be told from a constant has learned nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binom

from candelabra.adapt import scores
from candelabra.adapt.scores import Interval

MAJORITY, TFIDF, INCUMBENT, RECALL = "majority", "tfidf_logistic_regression", "incumbent", "recall"
FEW_ROWS = 50
FEW_LEVEL = 0.80
"""With fewer scored rows a 95 % interval would refuse nearly everything: 80 % (one chance in ten) is asked for."""
CLASS_ROWS = 20
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Pair:
    """The same rows decided by the candidate and by a rival, as 0/1 rows over `labels`."""

    name: str
    labels: tuple[str, ...]
    truth: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    accepted: bool
    forced: bool
    reason: str
    checks: list[dict[str, object]] = field(default_factory=list)
    baselines: list[dict[str, object]] = field(default_factory=list)

    @property
    def report(self) -> dict[str, object]:
        """As the Report's gate."""
        return {"accepted": self.accepted, "reason": self.reason, "checks": self.checks, "forced": self.forced}


def judge(metric: str, pairs: Sequence[Pair], force: bool, seed: int) -> Verdict:
    """Accepts only if every check passes. `force` changes nothing but the record that it was asked for."""
    checks: list[dict[str, object]] = []
    baselines: list[dict[str, object]] = []
    for pair in pairs:
        found = _metric_of(metric, pair.labels)
        if len(pair.truth) == 0:
            checks.append(_check(pair.name, True, pair.note or "No row could be compared."))
            continue
        few = pair.name == MAJORITY and len(pair.truth) < FEW_ROWS
        level = FEW_LEVEL if few else scores.LEVEL
        gap = scores.difference(found, pair.truth, pair.ours, pair.theirs, pair.labels, seed, level)
        theirs = scores.score(found, pair.truth, pair.theirs, pair.labels, seed)
        baselines.append({"name": pair.name, "score": theirs.as_score(found), "difference": gap.as_score(found)})
        passed = gap.low > 0 if pair.name == MAJORITY else gap.high >= 0
        checks.append(_check(pair.name, passed, _words(pair, found, theirs, gap, passed, level)))
        if pair.name == INCUMBENT:
            checks.append(_recalls(pair))
    failed = [check for check in checks if not check["passed"]]
    accepted = not failed
    if accepted:
        reason = "Measurably better than the majority answer and not measurably worse than any rival."
    else:
        reason = " ".join(str(check["detail"]) for check in failed)
    return Verdict(accepted, force and not accepted, reason, checks, baselines)


def _metric_of(metric: str, labels: tuple[str, ...]) -> str:
    """The task's metric, or accuracy where the label it names is not among those compared."""
    about = scores.metric_label(metric)
    return metric if about is None or about in labels else "accuracy"


def _words(pair: Pair, metric: str, theirs: Interval, gap: Interval, passed: bool, level: float) -> str:
    verdict = {
        (True, True): "measurably better than",
        (True, False): "not measurably better than",
        (False, True): "not measurably worse than",
        (False, False): "measurably worse than",
    }[(pair.name == MAJORITY, passed)]
    rival = {
        MAJORITY: "always giving the most frequent answer",
        TFIDF: "TF-IDF with logistic regression",
        INCUMBENT: "the version it would replace",
    }[pair.name]
    return (
        f"{metric} {theirs.value + gap.value:.3f} is {verdict} {rival} ({theirs.value:.3f}): difference "
        f"{gap.value:+.3f}, {level:.0%} interval {gap.low:+.3f} to {gap.high:+.3f} on {len(pair.truth)} rows"
        f"{'; ' + pair.note if pair.note else ''}."
    )


def _recalls(pair: Pair) -> dict[str, object]:
    """No label's recall may fall: exact McNemar test a label, one-sided, corrected after Holm."""
    tested: list[tuple[float, str, int, int]] = []
    for at, label in enumerate(pair.labels):
        mine = pair.truth[:, at].astype(bool)
        if mine.sum() < CLASS_ROWS:
            continue
        lost = int((pair.theirs[mine, at] > pair.ours[mine, at]).sum())
        won = int((pair.theirs[mine, at] < pair.ours[mine, at]).sum())
        tested.append((float(binom.sf(lost - 1, lost + won, 0.5)) if lost + won else 1.0, label, lost, won))
    for rank, (chance, label, lost, won) in enumerate(sorted(tested)):
        if chance > ALPHA / (len(tested) - rank):
            break
        if rank == 0:
            detail = (
                f"The recall of {label!r} falls: {lost} of its rows are lost and {won} won against the version "
                f"it would replace (p = {chance:.2g}, Holm over {len(tested)} labels)."
            )
            return _check(RECALL, False, detail)
    return _check(RECALL, True, f"No recall of {len(tested)} labels with {CLASS_ROWS} or more rows falls measurably.")


def _check(name: str, passed: bool, detail: str) -> dict[str, object]:
    return {"name": name, "passed": bool(passed), "detail": detail}
