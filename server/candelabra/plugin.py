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
    "LabelScore",
    "LongText",
    "Task",
    "TaskKind",
]

API_VERSION = 1
"""Raised when a change breaks plugins; a domain built for another number is refused at start."""

GROUP = "candelabra.domains"


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of decision that a domain knows.

    `labels` empty means open: the labels are those of the examples. `metric` is what the report leads with
    and the gate compares: "accuracy", "macro_f1", "micro_f1", "f1[LABEL]", "f2[LABEL]" or "recall[LABEL]".
    `recall_floor`, if not 0, asks training for the decision threshold of the metric's LABEL at which at least
    that share of its texts is found (binary and multi-label tasks).
    """

    name: str
    kind: TaskKind = TaskKind.SINGLE_LABEL
    labels: tuple[str, ...] = ()
    metric: str = "accuracy"
    long_text: LongText = LongText.TRUNCATE
    recall_floor: float = 0.0
    description: str = ""


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
