"""Heads with labels: fit, calibrate on unseen rows, compare with every rival, and let the gate judge. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from candelabra.adapt import calibration, conformity, gate, rivals, scores, suspicion
from candelabra.adapt.clock import Clock
from candelabra.adapt.comparison import INCUMBENT, TFIDF, Check, Comparison, Reliability
from candelabra.adapt.evidence import Anchors, Evidence
from candelabra.adapt.inputs import inputs_of, usual
from candelabra.adapt.methods import every
from candelabra.adapt.methods.fitted import Fitted
from candelabra.adapt.rivals import Scored
from candelabra.adapt.split import near_copies, representatives
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.guards import Conformal, Guards, Kind
from candelabra.heads.head import Calibration, Head, sigmoid, softmax
from candelabra.types import Method, Progress, Slot, TaskKind

Tell = Callable[[Progress], None]


def train(
    data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec, incumbent: Incumbent | None, tell: Tell
) -> Candidate:
    """The next version, whether or not the gate accepts it: the report says."""
    check(data, validation, spec)
    clock = Clock()
    fitted, unseen = learn(data, spec, tell)
    head, scored = made(fitted, unseen, data, spec)
    reference = scored
    if validation is not None and len(validation.targets):
        scored = _on(validation, head)
    clock.lap("train")
    if len(scored.at) == 0:
        return _provisional(head, data, fitted, spec, incumbent, clock)
    tell(Progress("baselines"))
    compared: list[Comparison] = []
    if len(data.targets):
        compared = rivals.simple(data, scored, head, spec)
        if spec.method in (Method.AUTO, Method.HYBRID) and _beaten_by_words(compared, spec) and fitted.body.slots:
            fitted = _words_alone(data, spec, tell)
            head, reference = made(fitted, fitted, data, spec)
            scored = reference if validation is None else _on(validation, head)
            compared = rivals.simple(data, scored, head, spec)
    clock.lap("baselines")
    tell(Progress("gate"))
    checks: list[Check] = []
    before: float | None = None
    if incumbent is not None:
        shared = rivals.against(incumbent, scored, head)
        compared.append(shared.comparison(INCUMBENT, spec.metric, spec.seed))
        before = None if incumbent.evidence is None or incumbent.evidence.error < 0 else incumbent.evidence.error
        checks = [suspicion.labels_gone(data.labels, incumbent), suspicion.noise(shared, incumbent.evidence)]
        revisited = suspicion.revisit(incumbent, data, scored, head)
        if revisited is not None:
            comparison, loss = suspicion.anchored(revisited, spec)
            compared.append(comparison)
            checks.append(loss)
    fits = conformity.of_rows(scored.probabilities, scored.targets)
    other = None if reference is scored else conformity.of_rows(reference.probabilities, reference.targets)
    kind: Kind = "labels" if spec.task_kind is TaskKind.MULTI_LABEL else "label"
    coverage = conformity.covered(kind, fits, other, spec)
    error = scores.calibration_error(scored.probabilities, scored.targets)
    noise = scores.calibration_noise(scored.probabilities, spec.task_kind is TaskKind.MULTI_LABEL)
    verdict = gate.judge(
        spec.gate,
        compared,
        reliability=Reliability(error, len(scored.at), noise, before),
        coverage=coverage,
        checks=checks,
        force=spec.force,
    )
    made_decisions = rivals.decided(head, scored.probabilities)
    report = _report(scored, made_decisions, head, verdict, fitted.chosen, spec, error)
    report["coverage"] = coverage.covered / coverage.rows if coverage.rows else None
    clock.lap("gate")
    report["seconds"] = clock.seconds
    own = scores.value(spec.metric, scored.truth, made_decisions, data.labels)
    head = replace(head, report={"metric": spec.metric, "value": own, "accepted": verdict.accepted})
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    decisions = made_decisions if multi else made_decisions.argmax(axis=1).astype(np.int32)
    right = float((made_decisions == scored.truth).all(axis=1).mean())
    evidence = Evidence(
        data.labels,
        scored.data.rows[scored.at],
        decisions,
        np.unique(data.rows),
        error,
        right,
        Anchors.sample(scored.data, scored.at, scored.probabilities.astype(np.float16), spec.seed),
    )
    return Candidate(head, report, evidence)


def check(data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec) -> None:
    """Raises for what cannot be learned from. Without a labelled row at all the labels' own names must be there."""
    for part in (data, validation):
        if part is not None and not np.isfinite(part.features).all():
            raise InvalidArgument("The encoder gave a feature that is not a finite number.", field="features")
    if validation is not None and len(validation.targets) == 0:
        raise NoExamples("There is no example to score.")
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    if len(data.targets) == 0:
        if data.label_features is None:
            raise NoExamples("There is no example to learn from and no description of any label.")
        return
    if (data.targets.ndim == 2) != multi:
        raise InvalidArgument("The targets do not fit the kind of the task.", field="targets")
    if multi:
        if not data.targets.any():
            raise TooFewLabels("No example carries a label: give some that do.")
        if data.targets.all():
            raise TooFewLabels("Every example carries every label: give some that do not.")
    elif len(data.labels) < 2 or (data.targets.min() == data.targets.max() and data.label_features is None):
        raise TooFewLabels("All examples carry the same label: give examples of at least two.")
    scores.check_metric(spec.metric, data.labels)


def learn(data: TrainingSet, spec: TrainSpec, tell: Tell) -> tuple[Fitted, Fitted]:
    """The method on all rows, and what it says of unseen ones.

    Where the rows are copies of a few, leaving one out leaves its copies in: then the scores come from a second fit
    on one row of each group, and calibration, gate and report rest on those.
    """
    fitted = every.fit(spec.method, data, spec, tell)
    if len(data.targets) < 4 or np.prod(data.features.shape) == 0:
        return fitted, fitted
    slot = last_mean(data.slots)
    groups = near_copies(data.features[:, data.slots.index(slot)], data.digests, spec.seed)
    few = representatives(groups)
    if few is None:
        return fitted, fitted
    part = taken(data, few)
    if spec.task_kind is TaskKind.SINGLE_LABEL and len(np.unique(part.targets)) < 2:
        return fitted, fitted
    method = Method(fitted.chosen["method"]) if "method" in fitted.chosen else spec.method
    again = every.fit(method, part, replace(spec, method=method), tell)
    words = f"{again.evaluation}, one row of each of {len(few)} groups of near copies"
    return fitted, replace(again, rows=few[again.rows], evaluation=words)


def taken(data: TrainingSet, rows: np.ndarray) -> TrainingSet:
    """Some rows of a set."""

    def of(part: np.ndarray | None) -> np.ndarray | None:
        return None if part is None else part[rows]

    return replace(
        data,
        texts=[data.texts[row] for row in rows],
        pairs=[data.pairs[row] for row in rows] if data.pairs else (),
        questions=[data.questions[row] for row in rows] if data.questions else (),
        features=data.features[rows],
        targets=data.targets[rows],
        rows=data.rows[rows],
        first=of(data.first),
        second=of(data.second),
        states=None,
        weights=of(data.weights),
    )


def last_mean(slots: tuple[Slot, ...]) -> Slot:
    """The mean of the deepest layer; the deepest slot where there is no mean."""
    return max(slots, key=lambda slot: (slot.pooling == "mean", slot.layer))


def made(fitted: Fitted, unseen: Fitted, data: TrainingSet, spec: TrainSpec) -> tuple[Head, Scored]:
    """The head, and calibrated probabilities of the unseen rows."""
    targets = data.targets[unseen.rows]
    calibrated, probabilities = calibrate(unseen.logits, targets, data, spec)
    thresholds, positive, threshold = limits(probabilities, targets, data, spec)
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    promised = Conformal.of("labels" if multi else "label", conformity.of_rows(probabilities, targets))
    head = Head(
        body=fitted.body,
        labels=data.labels,
        task_kind=spec.task_kind,
        backbone=spec.backbone,
        domain=spec.domain,
        task=spec.task,
        method=Method(fitted.chosen["method"]) if "method" in fitted.chosen else spec.method,
        long_text=spec.long_text,
        reading=getattr(fitted.body, "reading", spec.reading),
        calibration=calibrated,
        thresholds=thresholds,
        positive=positive,
        threshold=threshold,
        guards=Guards(promised, usual(data, spec.seed)),
        lineage=spec.lineage,
    )
    return head, Scored(data, unseen.rows, probabilities, unseen.evaluation)


def calibrate(
    logits: np.ndarray, targets: np.ndarray, data: TrainingSet, spec: TrainSpec
) -> tuple[Calibration, np.ndarray]:
    """From logits of unseen rows: how they become probabilities, and those probabilities."""
    if len(targets) == 0:
        plain = np.ones(len(data.labels)) if spec.task_kind is TaskKind.MULTI_LABEL else np.ones(0)
        return Calibration(1.0, tuple(plain), tuple(0 * plain)), np.zeros((0, len(data.labels)))
    if spec.task_kind is TaskKind.MULTI_LABEL:
        scale, bias = calibration.platt(logits, targets)
        return Calibration(1.0, tuple(map(float, scale)), tuple(map(float, bias))), sigmoid(logits * scale + bias)
    # A label's only row, once left out, can only be missed: it says nothing about how sure to be.
    fair = scores.one_hot(targets, len(data.labels)).sum(axis=0)[targets] > 1
    fair = fair if fair.any() else np.ones(len(targets), bool)
    found = Calibration(calibration.temperature(logits[fair], targets[fair]))
    return found, softmax(logits / found.temperature)


def limits(
    probabilities: np.ndarray, targets: np.ndarray, data: TrainingSet, spec: TrainSpec
) -> tuple[tuple[float, ...], int, float]:
    """Thresholds of multi-label heads; the label that wins early and its threshold."""
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    if len(targets) == 0:
        return (0.5,) * len(data.labels) if multi else (), -1, 0.5
    truth = scores.one_hot(targets, len(data.labels))
    about = scores.metric_label(spec.metric) if spec.recall_floor > 0 else None
    at = -1 if about is None else data.labels.index(about)
    floor = 0.5
    if at >= 0:
        floor = calibration.recall_threshold(probabilities[:, at], truth[:, at], spec.recall_floor)
    if not multi:
        return (), at, min(0.5, floor)
    own = calibration.label_thresholds(probabilities, truth)
    if at >= 0:
        own[at] = min(own[at], floor)
    return tuple(map(float, own)), -1, 0.5


def _on(validation: TrainingSet, head: Head) -> Scored:
    rows = np.arange(len(validation.targets))
    inputs = inputs_of(validation, head.body, rows, head.reading)
    if inputs is None:
        raise InvalidArgument("The validation texts were encoded with other layers.", field="validation")
    return Scored(validation, rows, np.asarray(head.scores(inputs), np.float64), "validation")


def _beaten_by_words(compared: list[Comparison], spec: TrainSpec) -> bool:
    return any(one.name == TFIDF and one.rows > 0 and one.gap.high < -spec.gate.margin for one in compared)


def _words_alone(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """The bag of words as the head itself, where it is measurably better than all that the encoder gives."""
    from candelabra.adapt.methods import hybrid

    words = hybrid.fit_lexical(data, spec, tell)
    return replace(words, chosen={**words.chosen, "method": Method.HYBRID.value})


def _provisional(
    head: Head, data: TrainingSet, fitted: Fitted, spec: TrainSpec, incumbent: Incumbent | None, clock: Clock
) -> Candidate:
    """Without a labelled row nothing can be measured: such a head may start a line of versions, not continue one."""
    detail = "Made from the labels' own words without a labelled example: provisional, for nothing of it is measured."
    if incumbent is not None:
        detail += " It may not replace a version that is in use; append labelled examples."
    verdict = gate.judge(spec.gate, [], checks=[Check("measured", incumbent is None, detail)], force=spec.force)
    verdict = replace(verdict, reason=detail)
    report: dict[str, object] = {
        "metric": spec.metric,
        "scores": [],
        "labels": [],
        "confusion": None,
        "baselines": [],
        "gate": verdict.report,
        "chosen": fitted.chosen,
        "evaluation": "none",
        "calibration_error": 0.0,
        "scored_rows": 0,
        "coverage": None,
        "seconds": clock.seconds,
    }
    multi = spec.task_kind is TaskKind.MULTI_LABEL
    none = np.zeros((0, len(data.labels)), np.uint8) if multi else np.zeros(0, np.int32)
    head = replace(head, report={"metric": spec.metric, "provisional": True, "accepted": verdict.accepted})
    return Candidate(head, report, Evidence(data.labels, data.rows[:0], none, np.unique(data.rows)))


def _report(
    scored: Scored,
    decided: np.ndarray,
    head: Head,
    verdict: gate.Verdict,
    chosen: dict[str, str],
    spec: TrainSpec,
    error: float,
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
        "calibration_error": error,
        "scored_rows": len(scored.at),
    }
