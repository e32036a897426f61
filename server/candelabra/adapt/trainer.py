"""Pure training: features, labels, spec and seed in; a head, its report and its evidence out. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from candelabra.adapt import baselines, calibration, closed_form, gate, scores
from candelabra.adapt.evidence import Evidence, evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.gate import Pair
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.head import Calibration, Head, decide_single, normalized, sigmoid, softmax
from candelabra.types import Method, Progress, Slot, TaskKind

__all__ = [
    "Candidate",
    "Evidence",
    "Incumbent",
    "TrainSpec",
    "TrainingSet",
    "evidence_from_bytes",
    "evidence_to_bytes",
    "train",
]

Tell = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class Learned:
    """What a method gives: layers on normalised features, and logits of rows that it had not seen."""

    layers: list[tuple[np.ndarray, np.ndarray]]
    activation: str
    slots: tuple[Slot, ...]
    rows: np.ndarray
    logits: np.ndarray
    chosen: dict[str, str]
    evaluation: str


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


def train(
    data: TrainingSet,
    validation: TrainingSet | None,
    spec: TrainSpec,
    incumbent: Incumbent | None = None,
    progress: Tell = lambda _: None,
) -> Candidate:
    """The next version of a head, whether or not the gate accepts it: the report says."""
    _check(data, validation, spec)
    clock = Clock()
    learned = _learn(data, spec, progress)
    head, probabilities = _calibrated(learned, data, spec)
    scored = Scored(data, learned.rows, probabilities, learned.evaluation)
    if validation is not None:
        seen = head.scores(_columns(validation, head.slots))
        scored = Scored(validation, np.arange(len(validation.targets)), seen, "validation")
    clock.lap("train")
    progress(Progress("baselines"))
    pairs = _baseline_pairs(data, scored, head, spec)
    clock.lap("baselines")
    progress(Progress("gate"))
    if incumbent is not None:
        pairs.append(_incumbent_pair(incumbent, scored, head))
    verdict = gate.judge(spec.metric, pairs, spec.force, spec.seed)
    decided = _decided(head, scored.probabilities)
    report = _report(scored, decided, head, verdict, learned.chosen, spec)
    clock.lap("gate")
    report["seconds"] = clock.seconds
    own = scores.value(spec.metric, scored.truth, decided, data.labels)
    head = replace(head, report={"metric": spec.metric, "value": own, "accepted": verdict.accepted})
    decisions = decided if spec.task_kind is TaskKind.MULTI_LABEL else decided.argmax(axis=1).astype(np.int32)
    evidence = Evidence(data.labels, scored.data.rows[scored.at], decisions, np.unique(data.rows))
    return Candidate(head, report, evidence)


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase], self._last = now - self._last, now


def _check(data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec) -> None:
    for part in (data, validation):
        if part is None:
            continue
        if len(part.targets) == 0:
            raise NoExamples("There is no example to learn from or to score.")
        if not np.isfinite(part.features).all():
            raise InvalidArgument("The encoder gave a feature that is not a finite number.", field="features")
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    if (data.targets.ndim == 2) != multi:
        raise InvalidArgument("The targets do not fit the kind of the task.", field="targets")
    if multi:
        if not data.targets.any():
            raise TooFewLabels("No example carries a label: give some that do.")
        if data.targets.all():
            raise TooFewLabels("Every example carries every label: give some that do not.")
    elif len(data.targets) and (len(data.labels) < 2 or data.targets.min() == data.targets.max()):
        raise TooFewLabels("All examples carry the same label: give examples of at least two.")
    scores.check_metric(spec.metric, data.labels)


def _learn(data: TrainingSet, spec: TrainSpec, progress: Tell) -> Learned:
    features = normalized(data.features.reshape(len(data.features), -1).astype(np.float64), len(data.slots))
    if spec.method is Method.DENSE:
        from candelabra.adapt import dense  # torch is needed, and waited for, only here

        made = dense.fit(features, data.slots, data.targets, len(data.labels), spec.options, spec.seed, progress)
        return Learned(made.layers, made.activation, made.slots, made.rows, made.logits, made.chosen, made.evaluation)
    options = closed_form.Options.parse(spec.options, data.slots, spec.task_kind is TaskKind.MULTI_LABEL)
    truth = scores.one_hot(data.targets, len(data.labels)).astype(np.float64)
    fitted = closed_form.fit(features, data.slots, data.targets, truth, options, spec.seed, progress)
    everyone = np.arange(len(data.targets))
    return Learned(
        [(fitted.weight, fitted.bias)],
        "none",
        fitted.slots,
        everyone,
        fitted.logits,
        fitted.chosen,
        "leave-one-out",
    )


def _calibrated(learned: Learned, data: TrainingSet, spec: TrainSpec) -> tuple[Head, np.ndarray]:
    """The head with calibration folded into its last layer, and calibrated probabilities of the unseen rows."""
    targets = data.targets[learned.rows]
    truth = scores.one_hot(targets, len(data.labels))
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    about = scores.metric_label(spec.metric) if spec.recall_floor > 0 else None
    at = -1 if about is None else data.labels.index(about)
    thresholds: tuple[float, ...] = ()
    threshold = 0.5
    if multi:
        scale, bias = calibration.platt(learned.logits, targets)
        made = Calibration(1.0, tuple(map(float, scale)), tuple(map(float, bias)))
        probabilities = sigmoid(learned.logits * scale + bias)
        own = calibration.label_thresholds(probabilities, truth)
        if at >= 0:
            floor = calibration.recall_threshold(probabilities[:, at], truth[:, at], spec.recall_floor)
            own[at] = min(own[at], floor)
        thresholds = tuple(map(float, own))
        at = -1
    else:
        # A label's only row, once left out, can only be missed: it says nothing about how sure to be.
        fair = truth.sum(axis=0)[targets] > 1
        fair = fair if fair.any() else np.ones(len(targets), bool)
        made = Calibration(calibration.temperature(learned.logits[fair], targets[fair]))
        scale, bias = np.array(1 / made.temperature), np.array(0.0)
        probabilities = softmax(learned.logits * scale)
        if at >= 0:
            floor = calibration.recall_threshold(probabilities[:, at], truth[:, at], spec.recall_floor)
            threshold = min(threshold, floor)
    *inner, (weight, shift) = learned.layers
    head = Head(
        layers=(*inner, (weight * scale, shift * scale + bias)),
        slots=learned.slots,
        labels=data.labels,
        task_kind=spec.task_kind,
        backbone=spec.backbone,
        domain=spec.domain,
        task=spec.task,
        method=spec.method,
        long_text=spec.long_text,
        activation=learned.activation,  # type: ignore[arg-type]
        calibration=made,
        thresholds=thresholds,
        positive=at,
        threshold=threshold,
        lineage=spec.lineage,
    )
    return head, probabilities


def _columns(data: TrainingSet, slots: Sequence[Slot]) -> np.ndarray:
    columns = data.columns(slots)
    if columns is None:
        raise InvalidArgument("The validation texts were encoded with other layers.", field="validation")
    return columns


def _decided(head: Head, probabilities: np.ndarray) -> np.ndarray:
    """The head's decisions as 0/1 rows."""
    if head.task_kind is TaskKind.MULTI_LABEL:
        return (probabilities >= np.array(head.thresholds)).astype(np.uint8)
    best = decide_single(probabilities, head.positive, head.threshold)
    return scores.one_hot(best, len(head.labels))


def _baseline_pairs(data: TrainingSet, scored: Scored, head: Head, spec: TrainSpec) -> list[Pair]:
    ours, truth, labels = _decided(head, scored.probabilities), scored.truth, data.labels
    constant = baselines.majority(data.targets, scores.one_hot(data.targets, len(labels)))[:1]
    pairs = [Pair(gate.MAJORITY, labels, truth, ours, np.repeat(constant, len(truth), axis=0))]
    if scored.data is data:
        # The same rows for both: those that the candidate was scored on and the baseline too.
        made = baselines.tfidf(data.texts, data.targets, len(labels), spec.seed)
        _, mine, theirs = np.intersect1d(scored.at, made.rows, return_indices=True)
        probabilities = made.probabilities[theirs]
    else:
        mine = np.arange(len(truth))
        probabilities = baselines.held_out(data.texts, data.targets, scored.data.texts, len(labels))
    decided = _baseline_decided(probabilities, truth[mine], spec, labels)
    pairs.append(Pair(gate.TFIDF, labels, truth[mine], ours[mine], decided))
    return pairs


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


def _incumbent_pair(incumbent: Incumbent, scored: Scored, head: Head) -> Pair:
    """Both versions on the rows and labels that the incumbent knows.

    Rows whose true label is new are left out, and the candidate chooses among the shared labels: the question is
    whether the old work is still done as well. A decision of the incumbent for a label that is gone is a miss.
    """
    old, labels = incumbent.head.labels, scored.data.labels
    shared = tuple(label for label in labels if label in old)
    columns = [labels.index(label) for label in shared]
    known, theirs = _incumbent_decided(incumbent, scored)
    multi = head.task_kind is TaskKind.MULTI_LABEL
    truth = scored.truth[:, columns]
    if incumbent.head.task_kind is not head.task_kind or len(shared) < (1 if multi else 2):
        known[:] = False
    if not multi:
        known &= truth.any(axis=1)
    ours = _decided(head, scored.probabilities)[:, columns]
    if not multi and len(shared) < len(labels):
        masked = np.full_like(scored.probabilities, -1.0)
        masked[:, columns] = scored.probabilities[:, columns]
        ours = _decided(head, masked)[:, columns]
    theirs = theirs[:, [old.index(label) for label in shared]]
    note = ""
    if not known.any():
        note = "No row could be compared with the version that would be replaced"
    elif len(shared) < len(labels) or len(shared) < len(old):
        note = f"on the {len(shared)} labels that both know"
    return Pair(gate.INCUMBENT, shared, truth[known], ours[known], theirs[known], note)


def _incumbent_decided(incumbent: Incumbent, scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Which rows the incumbent has decided on fairly, and its decisions as 0/1 rows over its own labels."""
    head, evidence, digests = incumbent.head, incumbent.evidence, scored.data.rows[scored.at]
    decided = np.zeros((len(digests), len(head.labels)), np.uint8)
    known = np.zeros(len(digests), bool)
    unseen = np.ones(len(digests), bool)
    if evidence is not None:
        known, at = evidence.find(digests)
        unseen = ~np.isin(digests, evidence.trained) & ~known
        if known.any() and evidence.labels == head.labels:
            decided[known] = scores.one_hot(evidence.decisions[at[known]], len(head.labels))
    features = scored.data.columns(head.slots)
    if unseen.any() and features is not None and features.shape[1] == head.layers[0][0].shape[0]:
        decided[unseen] = _decided(head, head.scores(features[scored.at[unseen]]))
        known = known | unseen
    return known, decided


def _report(
    scored: Scored, decided: np.ndarray, head: Head, verdict: gate.Verdict, chosen: dict[str, str], spec: TrainSpec
) -> dict[str, object]:
    """As the proto's Report; the caller adds `data`."""
    labels, truth = head.labels, scored.truth
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    about = scores.metric_label(spec.metric)
    wanted = [spec.metric, "micro_f1" if multi else "accuracy", "macro_f1"]
    wanted += [f"recall[{about}]"] if about else []
    return {
        "metric": spec.metric,
        "scores": [
            scores.score(metric, truth, decided, labels, spec.seed).as_score(metric) for metric in dict.fromkeys(wanted)
        ],
        "labels": scores.label_reports(truth, decided, labels),
        "confusion": None if multi else scores.confusion(scored.targets, decided.argmax(axis=1), labels),
        "baselines": verdict.baselines,
        "gate": verdict.report,
        "chosen": chosen,
        "evaluation": scored.evaluation,
        "calibration_error": scores.calibration_error(scored.probabilities, scored.targets),
        "scored_rows": len(scored.at),
    }
