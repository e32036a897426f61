"""Heads that answer questions: fit, calibrate on unseen rows, compare with every rival, let the gate judge. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.optimize import minimize_scalar

from candelabra.adapt import answer_rivals, gate, scores
from candelabra.adapt.answer_rivals import Question, Scored, decision, interval
from candelabra.adapt.answering import exact_match, token_f1
from candelabra.adapt.clock import Clock
from candelabra.adapt.comparison import Reliability
from candelabra.adapt.evidence import Evidence
from candelabra.adapt.methods import span
from candelabra.adapt.methods.fitted import Tell
from candelabra.adapt.methods.span_material import Material
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.heads.bodies.span import SpanFinder
from candelabra.heads.bodies.span_choice import Spans, spans
from candelabra.heads.head import Calibration, Head
from candelabra.types import Method, Progress, Reading, TaskKind

LABEL = "answer"
METRICS = ("token_f1", "exact_match")
COLDEST, HOTTEST = 0.05, 20.0
Logits = Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class Unseen:
    """Rows of a set, and what a model that had not seen them makes of their tokens."""

    data: TrainingSet
    material: Material
    rows: np.ndarray
    logits: Sequence[Logits]
    evaluation: str


def train(
    data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec, incumbent: Incumbent | None, tell: Tell
) -> Candidate:
    """The next version of a head, whether or not the gate accepts it: the report says."""
    check(data, validation, spec)
    clock = Clock()
    fitted = span.fit(data, spec, tell)
    body = cast(SpanFinder, fitted.body)
    unseen = Unseen(data, Material.of(data), fitted.rows, list(fitted.logits), fitted.evaluation)
    head = _head(body, temperature(unseen, body.longest), spec)
    if validation is not None:
        unseen = _on(validation, head)
    clock.lap("train")
    tell(Progress("baselines"))
    scored = _scored(unseen, body, head.calibration.temperature)
    compared = answer_rivals.simple(scored, spec)
    clock.lap("baselines")
    tell(Progress("gate"))
    before = None
    if incumbent is not None:
        compared.append(answer_rivals.against(incumbent, scored, unseen.material, spec))
        before = None if incumbent.evidence is None or incumbent.evidence.error < 0 else incumbent.evidence.error
    sure = scored.probabilities[:, None]
    error = scores.calibration_error(sure, scored.right[:, None])
    noise = scores.calibration_noise(sure, multi=True)
    verdict = gate.judge(
        spec.gate, compared, reliability=Reliability(error, len(unseen.rows), noise, before), force=spec.force
    )
    values = {"token_f1": scored.f1, "exact_match": scored.exact}
    intervals = {name: interval(values[name], scored.groups, spec.seed) for name in METRICS}
    clock.lap("gate")
    report: dict[str, object] = {
        "metric": spec.metric,
        "scores": [intervals[name].as_score(name) for name in METRICS],
        "labels": [],
        "confusion": None,
        "baselines": verdict.baselines,
        "gate": verdict.report,
        "chosen": fitted.chosen,
        "evaluation": unseen.evaluation,
        "calibration_error": error,
        "scored_rows": len(unseen.rows),
        "seconds": clock.seconds,
    }
    own = intervals[spec.metric].value
    head = replace(head, report={"metric": spec.metric, "value": own, "accepted": verdict.accepted})
    decisions = np.array([decision(question.given) for question in scored.questions], np.int64).reshape(-1, 2)
    rows, seen = unseen.data.rows[unseen.rows], np.unique(data.rows)
    return Candidate(head, report, Evidence((LABEL,), rows, decisions, seen, error, float(scored.exact.mean())))


def check(data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec) -> None:
    """Raises for what cannot be learned from, and for a metric that is not one of answers."""
    if spec.metric not in METRICS:
        raise InvalidArgument(
            f"The metric {spec.metric!r} is unknown: answers have {', '.join(METRICS)}.", field="metric"
        )
    for part in (data, validation):
        if part is None:
            continue
        if len(part.texts) == 0:
            raise NoExamples("There is no question to learn from or to score.")
        if not len(part.texts) == len(part.questions) == len(part.spans):
            raise InvalidArgument("Texts, questions and answers are not equally many.", field="examples")
    if not any(data.spans):
        raise NoExamples("No example has an answer: give some that do.")


def temperature(unseen: Unseen, longest: int) -> float:
    """The temperature at which the true answers of unseen rows are least surprising.

    The loss is the negative log of the probability of all true spans of a row together; minimised within bounds.
    """
    rows: list[tuple[Spans, np.ndarray]] = []
    for row, logits in zip(unseen.rows, unseen.logits, strict=True):
        found = spans(logits, unseen.material.windows[row], longest)
        right = _right(found, unseen.material, int(row))
        if len(right) or not unseen.data.spans[row]:
            rows.append((found, right))
    if not rows:
        return 1.0

    def loss(log_temperature: float) -> float:
        heat = float(np.exp(log_temperature))
        return sum(_surprise(found, right, heat) for found, right in rows) / len(rows)

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.01}).x))


def _surprise(found: Spans, right: np.ndarray, heat: float) -> float:
    scored = found.scores[right] if len(right) else np.array([found.none])
    return found.log_total(heat) - float(np.logaddexp.reduce(scored / heat))


def _right(found: Spans, material: Material, row: int) -> np.ndarray:
    """Which of the candidate spans are true answers."""
    true = set()
    for window, answers in zip(material.windows[row], material.truth[row], strict=True):
        offsets = np.asarray(window.offsets)
        true |= {(int(offsets[first, 0]), int(offsets[last, 1])) for first, last in answers}
    hits = [np.flatnonzero((found.starts == start) & (found.ends == end)) for start, end in sorted(true)]
    return np.concatenate(hits) if hits else np.zeros(0, np.int64)


def _head(body: SpanFinder, heat: float, spec: TrainSpec) -> Head:
    return Head(
        body=body,
        labels=(LABEL,),
        task_kind=TaskKind.ANSWER,
        backbone=spec.backbone,
        domain=spec.domain,
        task=spec.task,
        method=Method.SPAN,
        long_text=spec.long_text,
        reading=Reading.QUESTION,
        calibration=Calibration(heat),
        lineage=spec.lineage,
    )


def _on(validation: TrainingSet, head: Head) -> Unseen:
    """The head on another set."""
    material = Material.of(validation)
    rows = np.arange(len(validation.texts))
    logits = [cast(Logits, head.body.logits(material.inputs([row], head.layers))[0]) for row in rows.tolist()]
    return Unseen(validation, material, rows, logits, "validation")


def _scored(unseen: Unseen, body: SpanFinder, heat: float) -> Scored:
    """What is given for each row, and how right it is."""
    questions, sure = [], []
    for row, logits in zip(unseen.rows.tolist(), unseen.logits, strict=True):
        text = unseen.data.texts[row]
        given, probability = answer_rivals.given(body, logits, unseen.material.windows[row], text, heat)
        truths = tuple(text[one.start : one.end] for one in unseen.data.spans[row])
        questions.append(Question(text, unseen.data.questions[row], truths, given))
        sure.append(probability)
    texts = [question.text for question in questions]
    _, groups = np.unique(np.array(texts, object), return_inverse=True)
    exact = np.array([exact_match(one.words, one.truths) for one in questions])
    return Scored(
        questions=questions,
        rows=unseen.data.rows[unseen.rows],
        at=unseen.rows,
        groups=groups,
        f1=np.array([token_f1(one.words, one.truths) for one in questions]),
        exact=exact,
        right=exact.astype(np.uint8),
        probabilities=np.array(sure),
    )
