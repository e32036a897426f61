"""Pure training: features, labels, spec and seed in; a head, its report and its evidence out. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from candelabra.adapt.evidence import Evidence, evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.types import Progress, TaskKind

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


def train(
    data: TrainingSet,
    validation: TrainingSet | None,
    spec: TrainSpec,
    incumbent: Incumbent | None = None,
    progress: Tell = lambda _: None,
) -> Candidate:
    """The next version of a head, whether or not the gate accepts it: the report says."""
    if spec.task_kind is TaskKind.ENTITIES:
        from candelabra.adapt import entities  # torch is needed, and waited for, only here

        return entities.train(data, validation, spec, incumbent, progress)
    if spec.task_kind is TaskKind.ANSWER:
        from candelabra.adapt import answers

        return answers.train(data, validation, spec, incumbent, progress)
    if spec.task_kind is TaskKind.REGRESSION:
        from candelabra.adapt import regress

        return regress.train(data, validation, spec, incumbent, progress)
    from candelabra.adapt import classify

    return classify.train(data, validation, spec, incumbent, progress)
