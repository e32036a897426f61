"""Heads that name pieces of a text: fit, compare with every rival, and let the gate judge. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from candelabra.adapt import entity_rivals, gate, scores, tagging
from candelabra.adapt.clock import Clock
from candelabra.adapt.comparison import Reliability
from candelabra.adapt.entity_rivals import Scored
from candelabra.adapt.evidence import Evidence
from candelabra.adapt.inputs import usual
from candelabra.adapt.methods import seq_crf
from candelabra.adapt.methods.fitted import Tell
from candelabra.adapt.methods.seq_crf import FittedTagger, Found, decoded
from candelabra.adapt.methods.token_lines import emissions
from candelabra.adapt.tagging import TRUE
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.guards import Guards
from candelabra.heads.head import Calibration, Head
from candelabra.types import Method, Progress, TaskKind

METRIC = "entity_f1"


@dataclass(frozen=True, eq=False)
class Unseen:
    """Rows of a set, and the spans that networks which had not seen them find there."""

    scored: Scored
    found: list[Found]
    fold: np.ndarray | None
    evaluation: str

    @classmethod
    def of(
        cls, data: TrainingSet, rows: np.ndarray, found: list[Found], fold: np.ndarray | None, evaluation: str
    ) -> Unseen:
        true = [data.spans[row] for row in rows.tolist()]
        counted = tagging.counts(true, [[span for span, _ in one] for one in found], data.labels)
        return cls(Scored(data, rows, counted), found, fold, evaluation)

    def reliability(self) -> tuple[np.ndarray, np.ndarray]:
        """Probability [spans, 1] of each found span, and whether it is right [spans, 1]."""
        pairs = [
            (probability, span in true)
            for one, true in zip(self.found, self.scored.true, strict=True)
            for span, probability in one
        ]
        table = np.array(pairs, np.float64).reshape(-1, 2)
        return table[:, :1], table[:, 1:]


def train(
    data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec, incumbent: Incumbent | None, tell: Tell
) -> Candidate:
    """The next version of a head, whether or not the gate accepts it: the report says."""
    check(data, validation, spec)
    clock = Clock()
    fitted = seq_crf.fit(data, spec, tell)
    head = _head(fitted, data, spec)
    unseen = Unseen.of(data, fitted.rows, fitted.found, fitted.fold, fitted.evaluation)
    if validation is not None:
        unseen = _on(replace(validation, labels=data.labels), fitted)
    clock.lap("train")
    tell(Progress("baselines"))
    scored = unseen.scored
    compared = [
        entity_rivals.nothing(scored, spec.metric, spec.seed),
        entity_rivals.lookup(scored, data, unseen.fold, spec.metric, spec.seed),
    ]
    clock.lap("baselines")
    tell(Progress("gate"))
    before = None
    if incumbent is not None:
        compared.append(entity_rivals.against(incumbent, scored, spec.metric, spec.seed))
        before = None if incumbent.evidence is None or incumbent.evidence.error < 0 else incumbent.evidence.error
    sure, right = unseen.reliability()
    error = scores.calibration_error(sure, right)
    noise = scores.calibration_noise(sure, multi=True)
    verdict = gate.judge(
        spec.gate, compared, reliability=Reliability(error, len(sure), noise, before), force=spec.force
    )
    own = entity_rivals.interval(scored.counts, spec.seed)
    clock.lap("gate")
    report: dict[str, object] = {
        "metric": spec.metric,
        "scores": [own.as_score(METRIC), *_shares(scored.counts)],
        "labels": tagging.type_reports(scored.counts, data.labels),
        "confusion": None,
        "baselines": verdict.baselines,
        "gate": verdict.report,
        "chosen": {**fitted.chosen, "method": Method.SEQ_CRF.value},
        "evaluation": unseen.evaluation,
        "calibration_error": error,
        "scored_rows": len(scored.at),
        "coverage": None,
        "seconds": clock.seconds,
    }
    head = replace(head, report={"metric": spec.metric, "value": own.value, "accepted": verdict.accepted})
    evidence = Evidence(
        data.labels,
        scored.data.rows[scored.at],
        scored.counts.reshape(len(scored.at), -1),
        np.unique(data.rows),
        error,
        float((scored.counts == scored.counts[..., TRUE:]).all(axis=(1, 2)).mean()),
    )
    return Candidate(head, report, evidence)


def check(data: TrainingSet, validation: TrainingSet | None, spec: TrainSpec) -> None:
    """Raises for what cannot be learned from."""
    if spec.method not in (Method.AUTO, Method.SEQ_CRF):
        raise InvalidArgument(f"The method {spec.method.value!r} does not find named entities.", field="method")
    if spec.metric != METRIC:
        raise InvalidArgument(f"The metric {spec.metric!r} is unknown for entities: use {METRIC}.", field="metric")
    for part in (data, validation):
        if part is None:
            continue
        if part.states is None:
            raise InvalidArgument(
                "Named entities are learned from token states, and none were encoded.", field="states"
            )
        if not part.texts:
            raise NoExamples("There is no example to learn from or to score.")
    if len(data.texts) < 2 or not any(data.spans):
        raise TooFewLabels("No entity is marked in the examples, or there is only one example: mark some spans.")


def _head(fitted: FittedTagger, data: TrainingSet, spec: TrainSpec) -> Head:
    outside = usual(data, spec.seed)
    return Head(
        body=fitted.body,
        labels=data.labels,
        task_kind=TaskKind.ENTITIES,
        backbone=spec.backbone,
        domain=spec.domain,
        task=spec.task,
        method=Method.SEQ_CRF,
        long_text=spec.long_text,
        reading=spec.reading,
        calibration=Calibration(fitted.temperature),
        guards=Guards(None, outside) if outside is not None else None,
        lineage=spec.lineage,
    )


def _on(validation: TrainingSet, fitted: FittedTagger) -> Unseen:
    """All rows of a validation set, by the head itself."""
    states, body = validation.states, fitted.body
    if states is None or not set(body.layers) <= set(states.layers):
        raise InvalidArgument("The validation texts were encoded with other layers.", field="validation")
    rows = np.arange(len(validation.texts))
    emitted = emissions(body, validation.texts, states, rows.tolist())
    found = [
        decoded(body, validation, states, row, one, fitted.temperature)
        for row, one in zip(rows.tolist(), emitted, strict=True)
    ]
    return Unseen.of(validation, rows, found, None, "validation")


def _shares(counts: np.ndarray) -> list[dict[str, object]]:
    """Precision and recall over all types, with Wilson's intervals."""
    hit, found, true = counts.sum(axis=(0, 1)).tolist()
    return [
        {"metric": name, "value": hit / whole if whole else 0.0, "low": low, "high": high}
        for name, whole in (("entity_precision", found), ("entity_recall", true))
        for low, high in [scores.wilson(hit, whole)]
    ]
