"""Examples made ready for training: checked against the domain, without duplicates, counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from candelabra.errors import AllDuplicates, InvalidArgument, LabelNotInDomain, NoExamples, TooFewLabels
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.types import Example, TaskKind


@dataclass(frozen=True, slots=True)
class Material:
    """What a trainer gets, before its features.

    `texts` are prepared by the domain. `targets` is int64 [n], or uint8 [n, labels] for multi-label tasks.
    `rows` is uint64 [n]: a digest of each example, by which two trainings recognise the rows they share.
    """

    texts: Sequence[str]
    labels: tuple[str, ...]
    targets: np.ndarray
    rows: np.ndarray
    label_counts: dict[str, int]
    dropped: dict[str, int]


def prepare(
    examples: Sequence[Example], domain: Domain, task: Task, limits: Limits, labels: Sequence[str] = ()
) -> Material:
    """Raises, with the reason, where no head could be trained. `labels` fixes the label space (for validation)."""
    if not examples:
        raise NoExamples("There are no examples: send some, or name a dataset that has rows.", field="examples")
    for index, example in enumerate(examples):
        check(example, domain, task, index)
    kept, dropped = without_duplicates(examples)
    space = tuple(labels) or label_space(kept, task)
    limits.within("max_labels", len(space), "Labels of one head")
    if not labels:
        _check_learnable(examples, kept, space, task)
    kept = [example for example in kept if set(example.labels) <= set(space)]
    counts = Counter(label for example in kept for label in example.labels)
    return Material(
        texts=[domain.prepare(example.text, task) for example in kept],
        labels=space,
        targets=targets(kept, space, task.kind),
        rows=np.array([row_digest(example) for example in kept], dtype=np.uint64),
        label_counts={label: counts[label] for label in space},
        dropped=dropped,
    )


def check(example: Example, domain: Domain, task: Task, index: int) -> None:
    """One example against the task and the domain; messages quote no text."""
    where = f"examples[{index}]"
    if task.kind is TaskKind.SINGLE_LABEL and len(example.labels) != 1:
        raise InvalidArgument(
            f"{where} has {len(example.labels)} labels, and the task {task.name!r} needs exactly one: mend it, or use "
            "a multi-label task.",
            field=f"{where}.labels",
        )
    if task.labels and (unknown := set(example.labels) - set(task.labels)):
        raise LabelNotInDomain(
            f"{where} has the label {min(unknown)!r}, which the task {task.name!r} of the domain {domain.name!r} does "
            f"not know; it knows {', '.join(task.labels)}.",
            field=f"{where}.labels",
            label=min(unknown),
            domain=domain.name,
        )
    try:
        domain.check(example, task)
    except ValueError as error:
        why = str(error)
        if not domain.quote_texts and example.text.strip() in why:
            why = "its reason repeats the text and is withheld."
        raise InvalidArgument(f"{where} is refused by the domain {domain.name!r}: {why}", field=where) from None


def without_duplicates(examples: Sequence[Example]) -> tuple[list[Example], dict[str, int]]:
    """One example a text. Copies that disagree go by their majority, and are all left out on a tie."""
    by_text: dict[str, list[Example]] = {}
    for example in examples:
        by_text.setdefault(example.text.strip(), []).append(example)
    kept: list[Example] = []
    dropped: Counter[str] = Counter()
    for copies in by_text.values():
        votes = Counter(frozenset(example.labels) for example in copies).most_common()
        if len(votes) > 1 and votes[0][1] == votes[1][1]:
            dropped["conflicting_duplicate"] += len(copies)
            continue
        winner = next(example for example in copies if frozenset(example.labels) == votes[0][0])
        kept.append(winner)
        dropped["conflicting_duplicate"] += len(copies) - votes[0][1]
        dropped["duplicate"] += votes[0][1] - 1
    return kept, {reason: count for reason, count in dropped.items() if count}


def label_space(examples: Sequence[Example], task: Task) -> tuple[str, ...]:
    """The labels that occur: in the domain's order where it has one, else sorted."""
    present = {label for example in examples for label in example.labels}
    return tuple(label for label in task.labels if label in present) or tuple(sorted(present))


def targets(examples: Sequence[Example], labels: tuple[str, ...], kind: TaskKind) -> np.ndarray:
    place = {label: index for index, label in enumerate(labels)}
    if kind is TaskKind.SINGLE_LABEL:
        return np.array([place[example.labels[0]] for example in examples], dtype=np.int64)
    wanted = np.zeros((len(examples), len(labels)), dtype=np.uint8)
    for row, example in enumerate(examples):
        wanted[row, [place[label] for label in example.labels]] = 1
    return wanted


def row_digest(example: Example) -> int:
    """64 bits of the text and its labels."""
    content = "\0".join((example.text.strip(), *sorted(example.labels)))
    return int.from_bytes(blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _check_learnable(examples: Sequence[Example], kept: Sequence[Example], space: tuple[str, ...], task: Task) -> None:
    if len(examples) > 1 and len({example.text.strip() for example in examples}) == 1:
        raise AllDuplicates(f"All {len(examples)} examples have the same text: send different ones.", field="examples")
    if task.kind is TaskKind.SINGLE_LABEL and len(space) < 2:
        raise TooFewLabels(
            f"The {len(kept)} distinct examples carry {len(space)} label(s): a head needs at least two to tell apart.",
            field="examples",
            labels=len(space),
        )
    if task.kind is TaskKind.MULTI_LABEL:
        counts = Counter(label for example in kept for label in example.labels)
        if not any(0 < count < len(kept) for count in counts.values()):
            raise TooFewLabels(
                "No label is on some examples and absent from others: there is nothing to learn.", field="examples"
            )
