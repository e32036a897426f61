"""Heads that give a number: fit, compare with every rival on unseen rows, and let the gate judge. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from candelabra.adapt import agreement, classify, conformity, gate, number_rivals
from candelabra.adapt.clock import Clock
from candelabra.adapt.comparison import Check
from candelabra.adapt.evidence import Anchors, Evidence
from candelabra.adapt.inputs import inputs_of, usual
from candelabra.adapt.methods.fitted import Fitted
from candelabra.adapt.number_rivals import Scored
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.guards import Conformal, Guards
from candelabra.heads.head import Head
from candelabra.types import Method, Progress

Tell = Callable[[Progress], None]
VALUE = "value"
"""What the one output is called where the examples give it no name."""


def train(
    data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec, incumbent: Incumbent | None, tell: Tell
) -> Candidate:
    """The next version, whether or not the gate accepts it: the report says."""
    check(data, validation, spec)
    clock = Clock()
    fitted, unseen = classify.learn(data, spec, tell)
    head, own = _made(fitted, unseen, data, spec)
    scored = own if validation is None else _on(validation, head)
    clock.lap("train")
    tell(Progress("baselines"))
    compared = number_rivals.simple(data, scored, spec)
    clock.lap("baselines")
    tell(Progress("gate"))
    checks: list[Check] = []
    if incumbent is not None:
        compared.append(number_rivals.against(incumbent, scored, spec))
        revisited = number_rivals.revisit(incumbent, data, scored, head, spec)
        if revisited is not None:
            compared.append(revisited[0])
            checks.append(revisited[1])
    coverage = conformity.covered("number", _off(scored), None if own is scored else _off(own), spec)
    # Halves of one set are alike by design: only intervals that meet rows of another set can fail.
    judged = None if own is scored else coverage
    verdict = gate.judge(spec.gate, compared, coverage=judged, checks=checks, force=spec.force)
    names = dict.fromkeys((spec.metric, *agreement.METRICS, agreement.ERROR))
    found = {name: agreement.score(name, scored.truth, scored.given, spec.seed) for name in names}
    clock.lap("gate")
    report: dict[str, object] = {
        "metric": spec.metric,
        "scores": [found[name].as_score(name) for name in names],
        "labels": [],
        "confusion": None,
        "baselines": verdict.baselines,
        "gate": verdict.report,
        "chosen": fitted.chosen,
        "evaluation": scored.evaluation,
        "calibration_error": 0.0,
        "scored_rows": len(scored.at),
        "coverage": coverage.covered / coverage.rows if coverage.rows else None,
        "seconds": clock.seconds,
    }
    value = found[spec.metric].value
    head = replace(head, report={"metric": spec.metric, "value": value, "accepted": verdict.accepted})
    # Numbers may be too large for float16.
    anchors = Anchors.sample(scored.data, scored.at, scored.given[:, None].astype(np.float32), spec.seed)
    rows = scored.data.rows[scored.at]
    return Candidate(head, report, Evidence(head.labels, rows, scored.given, np.unique(data.rows), anchors=anchors))


def check(data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec) -> None:
    """Raises for what cannot be learned from."""
    for part in (data, validation):
        if part is None:
            continue
        if len(part.targets) == 0:
            raise NoExamples("There is no example to learn from or to score.")
        if part.targets.ndim != 1 or not np.isfinite(part.targets.astype(float)).all():
            raise InvalidArgument("A target is not a finite number.", field="targets")
        if not np.isfinite(part.features).all():
            raise InvalidArgument("The encoder gave a feature that is not a finite number.", field="features")
    if data.targets.min() == data.targets.max():
        raise TooFewLabels("All examples carry the same number: give examples of at least two.")
    agreement.check_metric(spec.metric)


def _made(fitted: Fitted, unseen: Fitted, data: TrainingSet, spec: TrainSpec) -> tuple[Head, Scored]:
    """The head, and its numbers of the unseen rows."""
    given = np.asarray(unseen.logits, np.float64).reshape(len(unseen.rows))
    scored = Scored(data, unseen.rows, given, unseen.evaluation)
    head = Head(
        body=fitted.body,
        labels=data.labels or (VALUE,),
        task_kind=spec.task_kind,
        backbone=spec.backbone,
        domain=spec.domain,
        task=spec.task,
        method=Method(fitted.chosen["method"]) if "method" in fitted.chosen else spec.method,
        long_text=spec.long_text,
        reading=getattr(fitted.body, "reading", spec.reading),
        guards=Guards(Conformal.of("number", _off(scored)), usual(data, spec.seed)),
        lineage=spec.lineage,
    )
    return head, scored


def _on(validation: TrainingSet, head: Head) -> Scored:
    rows = np.arange(len(validation.targets))
    inputs = inputs_of(validation, head.body, rows, head.reading)
    if inputs is None:
        raise InvalidArgument("The validation texts were encoded with other layers.", field="validation")
    return Scored(validation, rows, np.asarray(head.scores(inputs), np.float64)[:, 0], "validation")


def _off(scored: Scored) -> np.ndarray:
    return np.asarray(np.abs(scored.given - scored.truth))
