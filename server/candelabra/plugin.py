"""The one module that a domain plugin imports: what a domain gives, and what it may rely on.

A plugin is a distribution with an entry point in the group `candelabra.domains`:

    [project.entry-points."candelabra.domains"]
    finance = "candelabra_finance:FinanceDomain"

The entry point's name must equal the class's `name`. `candelabra.testing.check_domain` runs the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from candelabra.types import Example, LabelScore, LongText, TaskKind

__all__ = [
    "API_VERSION",
    "Decision",
    "Domain",
    "Example",
    "GateRules",
    "LabelScore",
    "LongText",
    "Task",
    "TaskKind",
]

API_VERSION = 1
"""Raised when a change breaks plugins; a domain built for another number is refused at start."""

GROUP = "candelabra.domains"


@dataclass(frozen=True, slots=True)
class GateRules:
    """Thresholds of the gate; a caller may override each of them for one Adapt.

    `margin`: how far the paired interval's upper end may lie below zero against a rival. `recall_level`: the level
    of the one-sided test that no label's recall fell, after Holm. `max_calibration_error`: an error above it is
    refused unless the incumbent's is no smaller; 0 asks nothing. `coverage`: the share of scored rows that their
    prediction sets must cover, within the binomial band at this level; 0 asks nothing.
    """

    margin: float = 0.0
    recall_level: float = 0.05
    max_calibration_error: float = 0.1
    coverage: float = 0.9


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of decision that a domain knows.

    `labels` empty means open: the labels are those of the examples. `metric` is what the report leads with
    and the gate compares: for labels "accuracy", "macro_f1", "micro_f1", "f1[LABEL]", "f2[LABEL]" or
    "recall[LABEL]"; for numbers "pearson", "spearman" or "r2"; for entities "entity_f1"; for answers "token_f1".
    `recall_floor`, if not 0, asks training for the decision threshold of the metric's LABEL at which at least
    that share of its texts is found (binary and multi-label tasks).

    `pair` tasks are about two texts. `ordered` labels go from lowest to highest, and answers carry a signed
    `score`. An answer abstains where its best probability is below `abstain_below`, or where `abstain_outside` is
    set and the text is unlike those that the head was trained on. `gate` holds the thresholds of the domain.
    """

    name: str
    kind: TaskKind = TaskKind.SINGLE_LABEL
    labels: tuple[str, ...] = ()
    metric: str = "accuracy"
    long_text: LongText = LongText.TRUNCATE
    recall_floor: float = 0.0
    description: str = ""
    pair: bool = False
    ordered: bool = False
    abstain_below: float = 0.0
    abstain_outside: bool = False
    gate: GateRules = GateRules()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the caller gets for a text: the labels decided on, and numbers of the domain's own."""

    labels: tuple[LabelScore, ...]
    values: Mapping[str, float]


CLASSIFICATION = Task("classification", description="One label a text; the labels are those of the examples.")
MULTI_LABEL = Task(
    "multi_label",
    TaskKind.MULTI_LABEL,
    metric="micro_f1",
    description="Any number of labels a text; the labels are those of the examples.",
)
PAIR = Task("pair_classification", pair=True, description="One label for two texts together.")
REGRESSION = Task("regression", TaskKind.REGRESSION, metric="pearson", description="A number for a text.")
PAIR_REGRESSION = Task(
    "pair_regression", TaskKind.REGRESSION, metric="spearman", pair=True, description="A number for two texts together."
)
ENTITIES = Task(
    "entities", TaskKind.ENTITIES, metric="entity_f1", description="Named pieces of a text; types are the examples'."
)
QUESTION_ANSWERING = Task(
    "question_answering", TaskKind.ANSWER, metric="token_f1", description="The piece of a text that answers a question."
)
EVERY_TASK = (CLASSIFICATION, MULTI_LABEL, PAIR, REGRESSION, PAIR_REGRESSION, ENTITIES, QUESTION_ANSWERING)


class Domain:
    """What a field of work brings: tasks, text preparation, checks and decoding. Override what differs.

    A domain is made once, without arguments, and is used from several threads: keep it without state.
    """

    api_version: ClassVar[int] = API_VERSION
    name: ClassVar[str]
    description: ClassVar[str] = ""
    tasks: ClassVar[Sequence[Task]] = (CLASSIFICATION, MULTI_LABEL)
    quote_texts: ClassVar[bool] = True
    """False: no error message or log line may repeat any part of a text of this domain."""

    def prepare(self, text: str, task: Task) -> str:
        """The text that the encoder reads. Pure, and never empty for a text with a visible character.

        Change only what you must: texts that stay the same share one forward pass with other domains' heads.
        """
        return text

    def check(self, example: Example, task: Task) -> None:
        """Raises ValueError, with one sentence for people, if the example makes no sense in this domain."""

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        """From probabilities to an answer.

        `scores` holds every label in the head's order; `chosen` is what the head's own thresholds decide.
        """
        return Decision(tuple(chosen), {})
