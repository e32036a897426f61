"""What a head says of one input: from its scores to a decision, with the parts that were asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from candelabra.engine.tokenizer import Tokens
from candelabra.errors import Error, HeadUnsound, InvalidArgument
from candelabra.heads.head import Head
from candelabra.heads.outside import BEYOND
from candelabra.plugin import Domain, Task
from candelabra.types import Input, LabelScore, Slot, Span, TaskKind, VersionInfo

log = logging.getLogger(__name__)

MOST_ANSWERS = 5
"""Answers to a question where the caller names no number."""


@dataclass(frozen=True, slots=True)
class Details:
    """Optional parts of answers. `coverage` 0 asks for no sets and intervals."""

    coverage: float = 0.0
    outside: bool = False

    def check(self) -> None:
        if not 0.0 <= self.coverage < 1.0:
            raise InvalidArgument(
                f"The coverage is {self.coverage}: use 0 for no prediction sets, or a share below 1 such as 0.9.",
                field="details.coverage",
            )


PLAIN = Details()


@dataclass(frozen=True, slots=True)
class Asked:
    """A head as one request sees it: pinned to a version, with the domain that speaks for it."""

    version: VersionInfo
    head: Head
    domain: Domain
    task: Task

    @property
    def guard(self) -> tuple[Slot, ...]:
        """The pooled vectors that tell how unlike the training texts an input is; none where nothing can."""
        return self.head.guards.slots if self.head.guards else ()


@dataclass(slots=True)  # not frozen: that would triple what it costs to make one, and each request makes many
class Answer:
    """What one head says of one input.

    Label tasks: `labels` are decided on, `scores` are the most probable first, `values` the domain's own numbers.
    Regression: `value`. Entities: `spans`, in the text's order. Answers: `answers`, the best first, and `no_answer`,
    the probability that there is none. Only where asked: `prediction_set` (labels) or `interval` (numbers) at that
    coverage; `outside`, the share of training texts that are nearer than this one. `abstained` says why nothing was
    decided on: "below_threshold" or "outside".
    """

    version: VersionInfo
    labels: Sequence[LabelScore]
    scores: Sequence[LabelScore]
    values: Mapping[str, float]
    tokens: Tokens
    spans: Sequence[tuple[Span, float]] = ()
    answers: Sequence[tuple[Span, float]] = ()
    no_answer: float | None = None
    value: float | None = None
    prediction_set: Sequence[str] | None = None
    interval: tuple[float, float] | None = None
    outside: float | None = None
    abstained: str = ""

    @property
    def is_outside(self) -> bool:
        return self.outside is not None and self.outside >= BEYOND


def answer(
    one: Asked,
    asked: Input,
    scores: Any,
    tokens: Tokens,
    vector: np.ndarray | None = None,
    details: Details = PLAIN,
    top_k: int = 0,
) -> Answer:
    """The one way from `scores`, of the engine or of a head, to an answer, whatever the task.

    `vector` [slots * dimension] is that of its guard, where the answer shall say or depends on how strange the text is.
    """
    outside = None if vector is None else _outside(one.head, vector)
    kind = one.head.task_kind
    if kind is TaskKind.ENTITIES:
        return _entities(one, asked, scores, tokens, outside)
    if kind is TaskKind.ANSWER:
        return _spans(one, asked, scores, tokens, outside, top_k)
    if kind is TaskKind.REGRESSION:
        return _number(one, scores, tokens, outside, details)
    return _labels(one, asked, scores, tokens, outside, details, top_k)


def _labels(
    one: Asked, asked: Input, probabilities: Any, tokens: Tokens, outside: float | None, details: Details, top_k: int
) -> Answer:
    head, task = one.head, one.task
    labels, numbers = head.labels, probabilities.tolist()
    chosen = [LabelScore(labels[k], numbers[k]) for k in head.decide(probabilities)]
    if type(one.domain).decide is Domain.decide:
        decided: Sequence[LabelScore] = chosen
        values: Mapping[str, float] = {}
    else:
        every = [LabelScore(label, number) for label, number in zip(labels, numbers, strict=True)]
        decision = one.domain.decide(asked.text, every, chosen, task)
        decided, values = decision.labels, decision.values
    if top_k == 1:
        order = [int(probabilities.argmax())]
    else:
        order = np.argsort(-probabilities, kind="stable")[: top_k or None].tolist()
    made = Answer(one.version, decided, [LabelScore(labels[k], numbers[k]) for k in order], values, tokens)
    if task.ordered and head.task_kind is TaskKind.SINGLE_LABEL:
        made.values = {"score": signed(numbers, labels, task.labels), **values}
    if details.coverage:
        made.prediction_set = _set(head, probabilities, details.coverage)
    made.outside = outside
    if task.abstain_below or task.abstain_outside:
        made.abstained = _abstained(task, max(numbers), outside)
        made.labels = () if made.abstained else decided
    return made


def signed(probabilities: Sequence[float], labels: Sequence[str], order: Sequence[str]) -> float:
    """The expected place on a scale from -1, the lowest label of `order`, to 1, the highest."""
    return sum(place * p for place, p in zip(_places(tuple(labels), tuple(order)), probabilities, strict=True))


@lru_cache(maxsize=1024)
def _places(labels: tuple[str, ...], order: tuple[str, ...]) -> tuple[float, ...]:
    scale = order if set(labels) <= set(order) else labels
    return tuple(2.0 * scale.index(label) / max(len(scale) - 1, 1) - 1.0 for label in labels)


def _number(one: Asked, scores: Any, tokens: Tokens, outside: float | None, details: Details) -> Answer:
    value, guards = float(scores[0]), one.head.guards
    why = _abstained(one.task, 1.0, outside)
    made = Answer(one.version, (), (), {}, tokens, value=value, outside=outside, abstained=why)
    if details.coverage and guards and guards.conformal:
        low, high = guards.intervals(np.array([value]), details.coverage)[0]
        made.interval = (float(low), float(high))
    return made


def _entities(one: Asked, asked: Input, scores: Any, tokens: Tokens, outside: float | None) -> Answer:
    spans = _decoded(one, "entities", scores, tokens.windows, asked.text)
    why = _abstained(one.task, 1.0, outside)
    return Answer(one.version, (), (), {}, tokens, spans=() if why else spans, outside=outside, abstained=why)


def _spans(one: Asked, asked: Input, scores: Any, tokens: Tokens, outside: float | None, top_k: int) -> Answer:
    answers, none = _decoded(one, "answers", scores, tokens.windows, asked.text, top_k or MOST_ANSWERS)
    why = _abstained(one.task, max([none, *(probability for _, probability in answers)]), outside)
    made = Answer(one.version, (), (), {}, tokens, no_answer=none, outside=outside, abstained=why)
    made.answers = () if why else answers
    return made


def _decoded(one: Asked, how: str, *args: Any) -> Any:
    """What the body makes of its outputs for tokens. Its failure is the head's, not the server's."""
    try:
        return getattr(one.head.body, how)(*args, temperature=one.head.calibration.temperature)
    except Error:
        raise
    except Exception as error:
        log.exception("a head could not read its own scores", extra={"head": one.version.name})
        raise HeadUnsound(
            f"The head {one.version.name} could not make an answer of its scores: train it again or roll back to an "
            "earlier version.",
            head=one.version.name,
        ) from error


def _outside(head: Head, vector: np.ndarray) -> float | None:
    scores = head.guards.outside_scores(vector[None]) if head.guards else None
    return None if scores is None else float(scores[0])


def _abstained(task: Task, best: float, outside: float | None) -> str:
    if task.abstain_outside and outside is not None and outside >= BEYOND:
        return "outside"
    return "below_threshold" if best < task.abstain_below else ""


def _set(head: Head, probabilities: np.ndarray, coverage: float) -> Sequence[str] | None:
    """The labels that cannot be ruled out, the most probable first; None where the head has nothing to tell by."""
    if head.guards is None or head.guards.conformal is None:
        return None
    inside = head.guards.prediction_sets(probabilities[None], coverage)[0]
    return [head.labels[k] for k in np.argsort(-probabilities, kind="stable") if inside[k]]
