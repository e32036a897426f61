"""The medical domain: a missed adverse event costs more than a false alarm, and no text is ever quoted."""

from __future__ import annotations

from candelabra.plugin import MULTI_LABEL, Domain, LongText, Task

from .shorthand import spell_out

ADVERSE_EVENT = Task(
    "adverse_event",
    labels=("no_adverse_event", "adverse_event"),
    # F2 weighs recall four times as much as precision; the floor moves the threshold, not the probabilities.
    metric="f2[adverse_event]",
    recall_floor=0.9,
    description="Does the text say that a drug did harm? Finds at least 90 % of those among its own examples.",
)
CLASSIFICATION = Task(
    "classification",
    long_text=LongText.WINDOWS,
    description="One label a text, abstracts and letters read to their end; the labels are those of the examples.",
)


class MedicalDomain(Domain):
    api_version = 1
    name = "medical"
    description = "Clinical notes, case reports and abstracts. Texts are never repeated in errors or logs."
    tasks = (ADVERSE_EVENT, CLASSIFICATION, MULTI_LABEL)
    quote_texts = False

    def prepare(self, text: str, task: Task) -> str:
        return spell_out(text)
