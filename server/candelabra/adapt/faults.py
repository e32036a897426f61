"""What can be wrong with one example: a reason for machines and a sentence for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from candelabra.adapt import answering
from candelabra.errors import InvalidArgument
from candelabra.plugin import Domain, Task
from candelabra.types import Example, TaskKind

ROWS_TOLD = 20
LABELLED = (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one example cannot be learned from. `message` quotes no text."""

    reason: str
    message: str
    label: str = ""


@dataclass(slots=True)
class Problem:
    """All rows with one reason: how many, the first few of them, and what is wrong with the first."""

    reason: str
    message: str
    count: int = 0
    rows: list[int] = field(default_factory=list)
    label: str = ""


class Problems:
    """What was found wrong so far, by reason."""

    def __init__(self) -> None:
        self.found: dict[str, Problem] = {}

    def add(self, row: int, fault: Fault) -> None:
        one = self.found.setdefault(fault.reason, Problem(fault.reason, fault.message, label=fault.label))
        one.count += 1
        if len(one.rows) < ROWS_TOLD:
            one.rows.append(row)

    @property
    def dropped(self) -> dict[str, int]:
        return {reason: one.count for reason, one in self.found.items()}


def fault_of(example: Example, domain: Domain, task: Task, row: int) -> Fault | None:
    """The first thing wrong with an example, on its own."""
    where = f"examples[{row}]"
    if not example.text.strip():
        return Fault("empty_text", f"{where} has no visible character in its text.")
    if task.pair and not example.text_pair.strip():
        return Fault("missing_pair", f"{where} has no second text, and the task {task.name!r} is about two texts.")
    found = {
        TaskKind.SINGLE_LABEL: _labels,
        TaskKind.MULTI_LABEL: _labels,
        TaskKind.REGRESSION: _target,
        TaskKind.ENTITIES: _spans,
        TaskKind.ANSWER: _answers,
    }[task.kind](example, task, where)
    return found or _unknown_label(example, domain, task, where) or _refused(example, domain, task, where)


def tag_fault(row: int, error: InvalidArgument) -> Fault:
    return Fault("tags_do_not_fit", error.message.replace("examples[0]", f"examples[{row}]"))


def labels_of(example: Example) -> Sequence[str]:
    """Every label that an example speaks of."""
    if not (example.soft or example.votes or example.spans):
        return example.labels
    spans = (span.label for span in example.spans if span.label)
    return (*example.labels, *example.soft, *(label for _, label in example.votes), *spans)


def _labels(example: Example, task: Task, where: str) -> Fault | None:
    if task.kind is TaskKind.SINGLE_LABEL and len(example.labels) > 1:
        return Fault(
            "wrong_label_count",
            f"{where} has {len(example.labels)} labels, and the task {task.name!r} needs one: mend it, or use a "
            "multi-label task.",
        )
    weights = list(example.soft.values())
    if weights and (not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0):
        return Fault("bad_weights", f"{where} has a soft label that is negative or no number, or none above 0.")
    return None


def _target(example: Example, task: Task, where: str) -> Fault | None:
    if example.target is None:
        return Fault("unlabelled", f"{where} has no target, and the task {task.name!r} learns numbers.")
    if not math.isfinite(example.target):
        return Fault("target_not_finite", f"{where} has a target that is not a finite number.")
    return None


def _spans(example: Example, task: Task, where: str) -> Fault | None:
    for span in example.spans:
        if not 0 <= span.start < span.end <= len(example.text):
            return Fault(
                "span_outside_text",
                f"{where} has a span {span.start}..{span.end} outside its {len(example.text)} characters, or empty: "
                "offsets count code points, and the end is the first behind.",
            )
        if not span.label.strip():
            return Fault("span_without_label", f"{where} has a span {span.start}..{span.end} without a type.")
        if not example.text[span.start : span.end].strip():
            return Fault("span_blank", f"{where} has a span {span.start}..{span.end} of white space only.")
    for one, other in pairwise(sorted(example.spans)):
        if other.start < one.end:
            return Fault(
                "spans_overlap",
                f"{where} has overlapping spans {one.start}..{one.end} and {other.start}..{other.end}.",
            )
    return None


def _answers(example: Example, task: Task, where: str) -> Fault | None:
    found = answering.fault(example)
    return Fault(found.value, f"{where}: {answering.REASONS[found]}") if found else None


def _unknown_label(example: Example, domain: Domain, task: Task, where: str) -> Fault | None:
    if not task.labels or task.kind is TaskKind.ANSWER or not (unknown := set(labels_of(example)) - set(task.labels)):
        return None
    return Fault(
        "label_not_in_domain",
        f"{where} has the label {min(unknown)!r}, which the task {task.name!r} of the domain {domain.name!r} does "
        f"not know; it knows {', '.join(task.labels)}.",
        min(unknown),
    )


def _refused(example: Example, domain: Domain, task: Task, where: str) -> Fault | None:
    try:
        domain.check(example, task)
    except ValueError as error:
        why = str(error)
        words = [part.strip() for part in (example.text, example.text_pair, example.question) if part.strip()]
        if not domain.quote_texts and any(part in why for part in words):
            why = "its reason repeats the text and is withheld."
        return Fault("refused_by_domain", f"{where} is refused by the domain {domain.name!r}: {why}")
    return None
