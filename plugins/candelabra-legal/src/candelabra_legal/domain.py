"""The legal domain: clauses read whole however long they are, and terms that may be unfair to a consumer."""

from __future__ import annotations

from collections.abc import Sequence

from candelabra.plugin import Decision, Domain, LabelScore, LongText, Task, TaskKind

from .references import normalise

CLAUSE_TYPE = Task(
    "clause_type",
    long_text=LongText.WINDOWS,
    description="What a contract clause is about; the types are those of the examples.",
)
UNFAIR_TERMS = Task(
    "unfair_terms",
    TaskKind.MULTI_LABEL,
    labels=(
        "limitation_of_liability",
        "unilateral_termination",
        "unilateral_change",
        "contract_by_using",
        "content_removal",
        "choice_of_law",
        "jurisdiction",
        "arbitration",
        "privacy_included",
    ),
    metric="micro_f1",
    long_text=LongText.WINDOWS,
    description="In which ways a term of service may be unfair; the value `unfair` is its most probable way.",
)
CLASSIFICATION = Task(
    "classification",
    long_text=LongText.WINDOWS,
    description="One label a text, read to its end; the labels are those of the examples.",
)
MULTI_LABEL = Task(
    "multi_label",
    TaskKind.MULTI_LABEL,
    metric="micro_f1",
    long_text=LongText.WINDOWS,
    description="Any number of labels a text, read to its end; the labels are those of the examples.",
)


class LegalDomain(Domain):
    api_version = 1
    name = "legal"
    description = "Contracts, terms of service and opinions, read to their last word."
    tasks = (CLAUSE_TYPE, UNFAIR_TERMS, CLASSIFICATION, MULTI_LABEL)

    def prepare(self, text: str, task: Task) -> str:
        return normalise(text)

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        if task.name != UNFAIR_TERMS.name:
            return Decision(tuple(chosen), {})
        return Decision(tuple(chosen), {"unfair": max((score.probability for score in scores), default=0.0)})
