"""How far recent traffic is from what each head was trained on: a small sample a head version, and its report."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from candelabra.types import TaskKind

if TYPE_CHECKING:
    from candelabra.heads.head import Head
    from candelabra.metrics import Metrics

SAMPLE = 256
HEADS = 1000
SHOWN = 100
FEWEST = 30
"""Answers below which nothing is said of drift."""
P_VALUE = 0.001
STATISTIC = 0.15
"""A significant distance may still be small where many answers are looked at: drift needs both."""
SHIFT = 0.25
"""Population stability index from which a change of labels is commonly called major."""


@dataclass(frozen=True, slots=True)
class Drift:
    """`statistic` and `p_value` are of the two-sample Kolmogorov-Smirnov test; `label_shift` is the population
    stability index. Where nothing can be compared they are 0, 1 and 0."""

    rows: int
    statistic: float
    p_value: float
    label_shift: float
    drifted: bool


class _Sample:
    """The last SAMPLE answers of a head version, in rings that are overwritten from the beginning."""

    __slots__ = ("decided", "distances", "labels", "reference", "rows", "taken")

    def __init__(self, reference: np.ndarray | None, labels: int) -> None:
        self.reference = reference
        self.labels = labels
        self.distances = np.full(SAMPLE, np.nan, np.float32)
        self.decided = np.full(SAMPLE, -1, np.int32)
        self.taken = 0
        self.rows = 0


class DriftWatch:
    """Safe for threads. Remembers the HEADS versions that answered last, about 3 kB each; nothing of any text."""

    def __init__(self, metrics: Metrics | None = None, heads: int = HEADS) -> None:
        self._metrics = metrics
        self._limit = heads
        self._lock = threading.Lock()
        self._samples: OrderedDict[str, _Sample] = OrderedDict()

    def observe(self, version: str, head: Head, features: np.ndarray | None, probabilities: np.ndarray) -> None:
        """What a version (`tenant/name@3`) answered: features [n, slots * d] of its guard, probabilities [n, labels].

        Distances are measured for SAMPLE rows of a call at most; the others would be overwritten at once.
        """
        rows = len(probabilities)
        if rows == 0:
            return
        decided = _decided(head, np.asarray(probabilities)[-SAMPLE:])
        outside = head.guards.outside if head.guards else None
        distances = None if outside is None or features is None else outside.measure(np.asarray(features)[-SAMPLE:])
        kept = min(rows, SAMPLE)
        with self._lock:
            sample = self._samples.get(version)
            if sample is None:
                reference = None if outside is None else outside.distances
                sample = self._samples[version] = _Sample(reference, len(head.labels))
                if len(self._samples) > self._limit:
                    self._samples.popitem(last=False)
            self._samples.move_to_end(version)
            at = (sample.taken + np.arange(kept)) % SAMPLE
            sample.distances[at] = np.nan if distances is None else distances
            sample.decided[at] = decided
            sample.taken += kept
            sample.rows += rows

    def report(self, version: str, scored: np.ndarray | None = None) -> Drift:
        """Of a version that has not answered since this server began: no rows, no drift.

        `scored`: what it decided on unseen rows before, from `decided_counts`; without it labels are not compared.
        """
        with self._lock:
            sample = self._samples.get(version)
            if sample is None:
                return Drift(0, 0.0, 1.0, 0.0, False)
            rows = min(sample.taken, SAMPLE)
            distances, decided = sample.distances[:rows].copy(), sample.decided[:rows].copy()
            reference, labels = sample.reference, sample.labels
        return judge(distances, reference, decided, scored, labels)

    def forget(self, version: str) -> None:
        with self._lock:
            self._samples.pop(version, None)

    def busiest(self, count: int = SHOWN) -> Sequence[str]:
        """The versions that gave the most answers."""
        with self._lock:
            rows = {version: sample.rows for version, sample in self._samples.items()}
        return sorted(rows, key=lambda version: (-rows[version], version))[:count]

    def show(self) -> None:
        """Puts the statistic of the busiest versions into the metrics, and only theirs: to be called now and then."""
        if self._metrics is not None:
            self._metrics.show_drift({version: self.report(version).statistic for version in self.busiest()})


def judge(
    distances: np.ndarray,
    reference: np.ndarray | None,
    decided: np.ndarray,
    scored: np.ndarray | None,
    labels: int,
) -> Drift:
    """From distances [n] against those of training rows, and labels [n] (-1: none) against counts [labels]."""
    rows = len(distances)
    statistic, p_value, shift = 0.0, 1.0, 0.0
    known = distances[np.isfinite(distances)]
    if reference is not None and len(reference) and len(known) >= FEWEST:
        from scipy.stats import ks_2samp

        # The asymptotic form: exact p-values of hundreds of rows cost more and differ in no digit that counts.
        found = ks_2samp(known, reference, method="asymp")
        statistic, p_value = float(found.statistic), float(found.pvalue)
    there = decided[decided >= 0]
    if scored is not None and len(there) >= FEWEST and scored.sum() > 0:
        shift = stability_index(scored, np.bincount(there, minlength=labels)[:labels])
    strange = p_value < P_VALUE and statistic >= STATISTIC
    return Drift(rows, statistic, p_value, shift, bool(strange or shift >= _limit(labels, len(there), scored)))


def stability_index(expected: np.ndarray, found: np.ndarray) -> float:
    """Sum of (q - p) ln(q / p) over labels, from counts [labels]; half a row is added to each so that none is 0."""
    p = (expected + 0.5) / (expected.sum() + 0.5 * len(expected))
    q = (found + 0.5) / (found.sum() + 0.5 * len(found))
    return float(((q - p) * np.log(q / p)).sum())


def _limit(labels: int, rows: int, scored: np.ndarray | None) -> float:
    """SHIFT, or what chance alone gives one sample in a thousand, whichever is more.

    Without drift the index is about (1/n + 1/m) times a chi-square variable of labels - 1 degrees (Yurdakul 2018).
    """
    if scored is None or rows == 0 or labels < 2:
        return SHIFT
    from scipy.stats import chi2

    return max(SHIFT, float(chi2.ppf(1 - P_VALUE, labels - 1) * (1 / rows + 1 / max(float(scored.sum()), 1.0))))


def _decided(head: Head, probabilities: np.ndarray) -> np.ndarray:
    """The label of each row [n]; the most probable one of multi-label rows, and none where there are no labels."""
    if head.task_kind is TaskKind.MULTI_LABEL:
        return np.asarray(probabilities.argmax(axis=1), np.int32)
    if head.task_kind is not TaskKind.SINGLE_LABEL:
        return np.full(len(probabilities), -1, np.int32)
    return np.array([head.decide(row)[0] for row in probabilities], np.int32)


def decided_counts(report: Mapping[str, object], labels: Sequence[str]) -> np.ndarray | None:
    """What a version decided on rows that it had not seen, float64 [labels], from its report's confusion matrix."""
    confusion = report.get("confusion")
    if not isinstance(confusion, Mapping) or list(confusion.get("labels", ())) != list(labels):
        return None
    counts = np.asarray(confusion.get("counts", ()), np.float64)
    return counts.reshape(len(labels), len(labels)).sum(axis=0) if counts.size == len(labels) ** 2 else None
