"""A candidate that gives numbers beside the mean, the bag of words, and the version that it would replace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import agreement, baselines, gate, scores
from candelabra.adapt.comparison import ANCHORS, INCUMBENT, MAJORITY, RIDGE, Check, Comparison
from candelabra.adapt.evidence import Anchors, text_digests
from candelabra.adapt.inputs import inputs_of, texts_of
from candelabra.adapt.kept import Kept
from candelabra.adapt.suspicion import LOSS_ROWS, LOSS_SHARE
from candelabra.adapt.training import Incumbent, TrainingSet, TrainSpec
from candelabra.heads.head import Head
from candelabra.types import TaskKind


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows `at` of a set, and the candidate's numbers float64 for them."""

    data: TrainingSet
    at: np.ndarray
    given: np.ndarray
    evaluation: str

    @property
    def truth(self) -> np.ndarray:
        truth: np.ndarray = np.asarray(self.data.targets[self.at], np.float64)
        return truth


def simple(data: TrainingSet, scored: Scored, spec: TrainSpec) -> list[Comparison]:
    """The mean, and TF-IDF with ridge regression on the rows that both were scored on."""
    truth = scored.truth
    mean = np.full(len(truth), float(np.mean(data.targets)))
    found = [compared(MAJORITY, spec, truth, scored.given, mean)]
    if scored.data is data:
        words = texts_of(data, np.arange(len(data.texts)))
        made = (data.kept or Kept()).baseline(words, data.targets, 1, spec.seed)
        _, mine, theirs = np.intersect1d(scored.at, made.rows, return_indices=True)
        numbers, note = made.probabilities[theirs, 0], made.note(len(data.targets))
    else:
        mine, note = np.arange(len(truth)), ""
        words = texts_of(data, np.arange(len(data.texts)))
        numbers = baselines.held_out(words, data.targets, texts_of(scored.data, scored.at), 1)[:, 0]
    if len(mine) < 2:
        return [*found, Comparison.nothing(RIDGE, spec.metric, "No row could be compared with words alone.")]
    return [*found, compared(RIDGE, spec, truth[mine], scored.given[mine], numbers, note)]


def against(incumbent: Incumbent, scored: Scored, spec: TrainSpec) -> Comparison:
    """Where the incumbent's numbers are fair: those that it gave before it learned from the row, or that it gives
    now for a row that it never saw."""
    known, theirs = _incumbent_given(incumbent, scored)
    if known.sum() < 2:
        return Comparison.nothing(
            INCUMBENT, spec.metric, "No row could be compared with the version that would be replaced."
        )
    return compared(INCUMBENT, spec, scored.truth[known], scored.given[known], theirs[known])


def compared(
    name: str, spec: TrainSpec, truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray, note: str = ""
) -> Comparison:
    """Numbers of both for the same rows."""
    must_win = name == MAJORITY
    level = gate.FEW_LEVEL if must_win and len(truth) < gate.FEW_ROWS else scores.LEVEL
    gap = agreement.difference(spec.metric, truth, ours, theirs, spec.seed, level)
    rival = agreement.score(spec.metric, truth, theirs, spec.seed)
    words = "always giving the mean" if must_win else ""
    own = rival.value + gap.value
    return Comparison(name, spec.metric, own, rival, gap, len(truth), note, must_win=must_win, level=level, rival=words)


def revisit(
    incumbent: Incumbent, data: TrainingSet, scored: Scored, head: Head, spec: TrainSpec
) -> tuple[Comparison, Check] | None:
    """Both versions on the incumbent's anchor rows, by the metric and by squared error.

    An anchor that the candidate was trained on counts by its unseen number; one that was trained on and not scored is
    left out. None where nothing is left.
    """
    anchors = None if incumbent.evidence is None else incumbent.evidence.anchors
    if anchors is None or incumbent.head.task_kind is not TaskKind.REGRESSION:
        return None
    given, fair = _given_anchors(anchors, data, scored, head)
    if fair.sum() < 2:
        return None
    truth = np.asarray(anchors.truth, np.float64)[fair]
    ours, theirs = given[fair], np.asarray(anchors.outputs, np.float64)[fair, 0]
    return compared(ANCHORS, spec, truth, ours, theirs), _loss(truth, ours, theirs)


def _loss(truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> Check:
    before = (theirs - truth) ** 2
    gap = (ours - truth) ** 2 - before
    rows, more, old = len(gap), float(gap.mean()), float(before.mean())
    error = float(gap.std(ddof=1)) / math.sqrt(rows)
    worse = rows >= LOSS_ROWS and more - LOSS_SHARE * old > 2 * error
    return Check(
        f"{ANCHORS}_loss",
        not worse,
        f"Squared error {old + more:.4g} on the {rows} rows kept beside the version it would replace, whose own was "
        f"{old:.4g}: difference {more:+.4g}, standard error {error:.4g}; "
        f"{'measurably' if worse else 'not measurably'} worse.",
    )


def _incumbent_given(incumbent: Incumbent, scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Rows on which the incumbent's number is fair, and its numbers."""
    head, evidence, digests = incumbent.head, incumbent.evidence, scored.data.rows[scored.at]
    given, known = np.zeros(len(digests)), np.zeros(len(digests), bool)
    if head.task_kind is not TaskKind.REGRESSION:
        return known, given
    unseen = np.ones(len(digests), bool)
    if evidence is not None:
        known, at = evidence.find(digests)
        unseen = ~np.isin(digests, evidence.trained) & ~known
        given[known] = evidence.decisions[at[known]]
    if unseen.any():
        inputs = inputs_of(scored.data, head.body, scored.at[unseen], head.reading)
        if inputs is not None:
            given[unseen] = np.asarray(head.scores(inputs), np.float64)[:, 0]
            known = known | unseen
    return known, given


def _given_anchors(anchors: Anchors, data: TrainingSet, scored: Scored, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """The candidate's numbers for the anchors, and which of them are fair."""
    wanted = text_digests(anchors.texts, anchors.pairs)
    seen = scored.data.digests[scored.at]
    place = {int(digest): at for at, digest in enumerate(seen)}
    stored = np.array([place.get(int(digest), -1) for digest in wanted])
    fair = stored >= 0
    given = np.zeros(len(wanted))
    given[fair] = scored.given[stored[fair]]
    new = ~np.isin(wanted, data.digests) & ~fair
    if new.any():
        rows = np.zeros(len(anchors.texts), np.uint64)
        kept = TrainingSet(anchors.texts, anchors.features, anchors.slots, (), anchors.truth, rows, anchors.pairs)
        inputs = inputs_of(kept, head.body, np.flatnonzero(new), head.reading)
        if inputs is not None:
            given[new] = np.asarray(head.scores(inputs), np.float64)[:, 0]
            fair |= new
    return given, fair
