"""A candidate with labels beside the majority answer, the bag of words, and the version that it would replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import baselines, calibration, gate, scores
from candelabra.adapt.comparison import MAJORITY, TFIDF, Comparison, Recall
from candelabra.adapt.inputs import inputs_of
from candelabra.adapt.kept import Kept
from candelabra.adapt.training import Incumbent, TrainingSet, TrainSpec
from candelabra.heads.head import Head, decide_single
from candelabra.types import TaskKind


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows to judge by: which set they are of, and the candidate's probabilities for them."""

    data: TrainingSet
    at: np.ndarray
    probabilities: np.ndarray
    evaluation: str

    @property
    def targets(self) -> np.ndarray:
        targets: np.ndarray = self.data.targets[self.at]
        return targets

    @property
    def truth(self) -> np.ndarray:
        return scores.one_hot(self.targets, len(self.data.labels))


@dataclass(frozen=True, eq=False)
class Shared:
    """Both versions' decisions, as 0/1 rows over the labels that both know, on the rows where both are fair."""

    labels: tuple[str, ...]
    rows: np.ndarray
    truth: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    fresh: np.ndarray
    """Of these rows, those that the incumbent had never met."""
    note: str = ""

    def comparison(self, name: str, metric: str, seed: int) -> Comparison:
        if len(self.truth) == 0:
            return Comparison.nothing(name, metric, self.note)
        return compared(name, metric, self.labels, self.truth, self.ours, self.theirs, seed, self.note, recall=True)


def decided(head: Head, probabilities: np.ndarray) -> np.ndarray:
    """The head's decisions as 0/1 rows."""
    if head.task_kind is TaskKind.MULTI_LABEL:
        return (probabilities >= np.array(head.thresholds)).astype(np.uint8)
    return scores.one_hot(decide_single(probabilities, head.positive, head.threshold), len(head.labels))


def compared(
    name: str,
    metric: str,
    labels: tuple[str, ...],
    truth: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    seed: int,
    note: str = "",
    *,
    recall: bool = False,
) -> Comparison:
    """Decisions of both on the same rows, all as 0/1 rows over `labels`."""
    must_win = name == MAJORITY
    about = scores.metric_label(metric)
    metric = metric if about is None or about in labels else "accuracy"
    level = gate.FEW_LEVEL if must_win and len(truth) < gate.FEW_ROWS else scores.LEVEL
    gap = scores.difference(metric, truth, ours, theirs, labels, seed, level)
    rival = scores.score(metric, truth, theirs, labels, seed)
    return Comparison(
        name,
        metric,
        rival.value + gap.value,
        rival,
        gap,
        len(truth),
        note,
        recalls(labels, truth, ours, theirs) if recall else (),
        must_win,
        level,
    )


def recalls(labels: tuple[str, ...], truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[Recall, ...]:
    """What was lost and won of each label with rows enough to test."""
    found = []
    for at, label in enumerate(labels):
        mine = truth[:, at].astype(bool)
        if mine.sum() >= gate.CLASS_ROWS:
            lost = int((theirs[mine, at] > ours[mine, at]).sum())
            won = int((theirs[mine, at] < ours[mine, at]).sum())
            found.append(Recall(label, lost, won, int(mine.sum())))
    return tuple(found)


def simple(data: TrainingSet, scored: Scored, head: Head, spec: TrainSpec) -> list[Comparison]:
    """The majority answer, and TF-IDF with logistic regression on the rows that both were scored on."""
    ours, truth, labels = decided(head, scored.probabilities), scored.truth, data.labels
    constant = baselines.majority(data.targets, scores.one_hot(data.targets, len(labels)))[:1]
    majority = np.repeat(constant, len(truth), axis=0)
    found = [compared(MAJORITY, spec.metric, labels, truth, ours, majority, spec.seed)]
    if scored.data is data:
        # The same rows for both: those that the candidate was scored on and the baseline too.
        made = (data.kept or Kept()).baseline(_words(data), data.targets, len(labels), spec.seed)
        _, mine, theirs = np.intersect1d(scored.at, made.rows, return_indices=True)
        probabilities, note = made.probabilities[theirs], made.note(len(data.targets))
    else:
        mine, note = np.arange(len(truth)), ""
        probabilities = baselines.held_out(_words(data), data.targets, _words(scored.data), len(labels))
    if len(mine) == 0:
        return [*found, Comparison.nothing(TFIDF, spec.metric, "No row could be compared with words alone.")]
    rival = _baseline_decided(probabilities, truth[mine], spec, labels)
    return [*found, compared(TFIDF, spec.metric, labels, truth[mine], ours[mine], rival, spec.seed, note)]


def _words(data: TrainingSet) -> Sequence[str]:
    if not data.pairs:
        return data.texts
    return [f"{one} {other}" for one, other in zip(data.texts, data.pairs, strict=True)]


def _baseline_decided(
    probabilities: np.ndarray, truth: np.ndarray, spec: TrainSpec, labels: tuple[str, ...]
) -> np.ndarray:
    """As scikit-learn decides; but with the same recall floor as the candidate where there is one."""
    about = scores.metric_label(spec.metric) if spec.recall_floor > 0 else None
    at = -1 if about is None else labels.index(about)
    limit = 0.5
    if at >= 0:
        limit = min(limit, calibration.recall_threshold(probabilities[:, at], truth[:, at], spec.recall_floor))
    if spec.task_kind is TaskKind.MULTI_LABEL:
        limits = np.full(len(labels), 0.5)
        if at >= 0:
            limits[at] = limit
        return (probabilities >= limits).astype(np.uint8)
    return scores.one_hot(decide_single(probabilities, at, limit), len(labels))


def against(incumbent: Incumbent, scored: Scored, head: Head) -> Shared:
    """Both versions on the rows and labels that the incumbent knows.

    Rows whose true label is new are left out, and the candidate chooses among the shared labels: the question is
    whether the old work is still done as well. A decision of the incumbent for a label that is gone is a miss.
    """
    old = incumbent.head.labels
    known, fresh, theirs = _incumbent_decided(incumbent, scored)
    shared, columns = shared_labels(scored.data.labels, old, head.task_kind)
    if incumbent.head.task_kind is not head.task_kind or not shared:
        known[:] = False
    truth = scored.truth[:, columns]
    if head.task_kind is not TaskKind.MULTI_LABEL:
        known &= truth.any(axis=1)
    ours = among(head, scored.probabilities, columns)
    theirs = theirs[:, [old.index(label) for label in shared]]
    note = ""
    if not known.any():
        note = "No row could be compared with the version that would be replaced."
    elif len(shared) < len(scored.data.labels) or len(shared) < len(old):
        note = f"on the {len(shared)} labels that both know"
    return Shared(shared, np.flatnonzero(known), truth[known], ours[known], theirs[known], fresh[known], note)


def shared_labels(ours: tuple[str, ...], theirs: tuple[str, ...], kind: TaskKind) -> tuple[tuple[str, ...], list[int]]:
    """The labels of both, in our order, and their places in ours; none where too few are left to choose among."""
    shared = tuple(label for label in ours if label in theirs)
    if len(shared) < (1 if kind is TaskKind.MULTI_LABEL else 2):
        shared = ()
    return shared, [ours.index(label) for label in shared]


def among(head: Head, probabilities: np.ndarray, columns: list[int]) -> np.ndarray:
    """The head's decisions over some of its labels, when it may choose among those only."""
    if head.task_kind is not TaskKind.MULTI_LABEL and 0 < len(columns) < len(head.labels):
        masked = np.full_like(probabilities, -1.0)
        masked[:, columns] = probabilities[:, columns]
        return decided(head, masked)[:, columns]
    return decided(head, probabilities)[:, columns]


def _incumbent_decided(incumbent: Incumbent, scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that the incumbent has decided on fairly, those of them it never met, its decisions as 0/1 rows."""
    head, evidence, digests = incumbent.head, incumbent.evidence, scored.data.rows[scored.at]
    made = np.zeros((len(digests), len(head.labels)), np.uint8)
    known = np.zeros(len(digests), bool)
    unseen = np.ones(len(digests), bool)
    if evidence is not None:
        known, at = evidence.find(digests)
        unseen = ~np.isin(digests, evidence.trained) & ~known
        if known.any() and evidence.labels == head.labels:
            made[known] = scores.one_hot(evidence.decisions[at[known]], len(head.labels))
    fresh = np.zeros(len(digests), bool)
    if unseen.any():
        inputs = inputs_of(scored.data, head.body, scored.at[unseen], head.reading)
        if inputs is not None:
            made[unseen] = decided(head, np.asarray(head.scores(inputs)))
            known, fresh = known | unseen, unseen
    return known, fresh, made
