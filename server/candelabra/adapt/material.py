"""Examples made ready for training: checked row by row, without duplicates, counted. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NoReturn

import numpy as np

from candelabra.adapt.faults import LABELLED, Fault, Problem, Problems, fault_of, labels_of, tag_fault
from candelabra.errors import (
    AllDuplicates,
    BadExamples,
    Error,
    InvalidArgument,
    LabelNotInDomain,
    NoExamples,
    TooFewLabels,
)
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.types import Example, Span, TaskKind

NO_LABELS = (TaskKind.REGRESSION, TaskKind.ANSWER)
Row = tuple[int, Example]
"""Where an example stood in what was given, and the example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a trainer gets, before its features.

    `texts` are prepared by the domain, but not where labels are offsets into them. `targets` is int64 [n]; uint8
    [n, labels] for multi-label tasks; float64 [n] for regression; empty for spans. `weights` float32 [n, labels] is
    there where a row has soft labels or votes. `rows` is uint64 [n]: a digest of each example, by which two trainings
    recognise the rows they share; `places` int64 [n]: where each row stood among the examples given. `unlabelled`
    texts are for self-training. `label_texts` says in words what each of `labels` means.
    `dropped` counts rows left out by reason, and `problems` names the first of each.
    """

    texts: Sequence[str]
    labels: tuple[str, ...]
    targets: np.ndarray
    rows: np.ndarray
    label_counts: dict[str, int]
    dropped: dict[str, int]
    places: np.ndarray
    pairs: Sequence[str] = ()
    questions: Sequence[str] = ()
    spans: Sequence[tuple[Span, ...]] = ()
    weights: np.ndarray | None = None
    unlabelled: Sequence[str] = ()
    unlabelled_pairs: Sequence[str] = ()
    label_texts: Sequence[str] = ()
    problems: Sequence[Problem] = ()


def prepare(
    examples: Sequence[Example],
    domain: Domain,
    task: Task,
    limits: Limits,
    labels: Sequence[str] = (),
    *,
    strict: bool = False,
    descriptions: Mapping[str, str] | None = None,
) -> Material:
    """Rows with a problem are left out and counted; `strict` refuses them all instead.

    Raises, with the reason, where no head could be trained. `labels` fixes the label space (for validation).
    `descriptions`, label to words, are enough to begin with where there is no example at all.
    """
    descriptions = descriptions or {}
    if not examples and len(descriptions) < 2:
        raise NoExamples("There are no examples: send some, or name a dataset that has rows.", field="examples")
    problems = Problems()
    sound = _sound(examples, domain, task, problems, frozenset(labels))
    known, unlabelled = _split(sound, task)
    kept = _once(known, task.kind, problems)
    if strict and any(reason != "duplicate" for reason in problems.found):
        _refuse(problems)
    space = tuple(labels) or label_space([item for _, item in kept], task, descriptions)
    limits.within("max_labels", len(space), "Labels of one head")
    weights = _weights(kept, space, task.kind) if task.kind in LABELLED else None
    goal = targets([item for _, item in kept], space, task.kind, weights)
    if not labels and len(descriptions) < 2:
        _check_learnable(examples, kept, space, goal, task, problems)
    offsets = task.kind in (TaskKind.ENTITIES, TaskKind.ANSWER)
    ready = (lambda text: text) if offsets else (lambda text: domain.prepare(text, task))
    return Material(
        texts=[ready(item.text) for _, item in kept],
        labels=space,
        targets=goal,
        rows=np.array([row_digest(item) for _, item in kept], dtype=np.uint64),
        label_counts=_counts(kept, space, goal, weights, task.kind),
        dropped=problems.dropped,
        places=np.array([place for place, _ in kept], dtype=np.int64),
        pairs=[ready(item.text_pair) for _, item in kept] if task.pair else (),
        questions=[item.question for _, item in kept] if task.kind is TaskKind.ANSWER else (),
        spans=[tuple(sorted(item.spans)) for _, item in kept] if offsets else (),
        weights=weights,
        unlabelled=[ready(item.text) for _, item in unlabelled],
        unlabelled_pairs=[ready(item.text_pair) for _, item in unlabelled] if task.pair else (),
        label_texts=[descriptions.get(label, "").strip() or label.replace("_", " ") for label in space],
        problems=tuple(problems.found.values()),
    )


def without_duplicates(
    examples: Sequence[Example], kind: TaskKind = TaskKind.SINGLE_LABEL
) -> tuple[list[Example], dict[str, int]]:
    """One example a text. Copies that disagree go by their majority, and are all left out on a tie."""
    problems = Problems()
    kept = _once(list(enumerate(examples)), kind, problems)
    return [item for _, item in kept], problems.dropped


def label_space(
    examples: Sequence[Example], task: Task, descriptions: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The labels that occur or are described: in the domain's order where it has one, else sorted."""
    if task.kind in NO_LABELS:
        return ()
    present = {label for example in examples for label in labels_of(example)}.union(descriptions or ())
    return tuple(label for label in task.labels if label in present) or tuple(sorted(present))


def targets(
    examples: Sequence[Example], labels: tuple[str, ...], kind: TaskKind, weights: np.ndarray | None = None
) -> np.ndarray:
    place = {label: index for index, label in enumerate(labels)}
    if kind is TaskKind.REGRESSION:
        return np.array([example.target for example in examples], dtype=np.float64)
    if kind not in LABELLED:
        return np.zeros(0, dtype=np.int64)
    if weights is not None and kind is TaskKind.SINGLE_LABEL:
        return weights.argmax(axis=1).astype(np.int64)
    if weights is not None:
        return (weights >= 0.5).astype(np.uint8)
    if kind is TaskKind.SINGLE_LABEL:
        return np.array([place[example.labels[0]] for example in examples], dtype=np.int64)
    wanted = np.zeros((len(examples), len(labels)), dtype=np.uint8)
    for row, example in enumerate(examples):
        wanted[row, [place[label] for label in example.labels]] = 1
    return wanted


def row_digest(example: Example) -> int:
    """64 bits of the text and its labels."""
    parts = [example.text.strip(), *sorted(example.labels)]
    for name in ("text_pair", "question", "target", "spans", "soft", "votes"):
        if (value := getattr(example, name)) not in ("", None, (), {}):
            parts.append(f"{name}={sorted(value.items()) if isinstance(value, Mapping) else value}")
    content = "\0".join(parts)
    return int.from_bytes(blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _sound(
    examples: Sequence[Example], domain: Domain, task: Task, problems: Problems, space: frozenset[str]
) -> list[Row]:
    kept: list[Row] = []
    ids: dict[str, int] = {}
    for row, given in enumerate(examples):
        try:
            item = _without_tags(given) if task.kind is TaskKind.ENTITIES else given
        except InvalidArgument as error:
            problems.add(row, tag_fault(row, error))
            continue
        fault = fault_of(item, domain, task, row)
        if fault is None and item.id and ids.setdefault(item.id, row) != row:
            fault = Fault("duplicate_id", f"examples[{row}] has the id of examples[{ids[item.id]}].")
        if fault is None and space and task.kind not in NO_LABELS and not space.issuperset(labels_of(item)):
            fault = Fault("label_not_in_training", f"examples[{row}] has a label that no training example has.")
        if fault:
            problems.add(row, fault)
        else:
            kept.append((row, item))
    return kept


def _without_tags(item: Example) -> Example:
    if not item.tags:
        return item
    from candelabra.adapt.tagging import example_of_tags

    made = example_of_tags(item.text.split(), item.tags, 0)
    return replace(item, text=made.text, spans=made.spans, tags=())


def _split(rows: list[Row], task: Task) -> tuple[list[Row], list[Row]]:
    """Labelled ones, and those without any label; of a multi-label task no label is an answer too."""
    if task.kind is not TaskKind.SINGLE_LABEL:
        return rows, []
    known = [row for row in rows if labels_of(row[1])]
    return known, [row for row in rows if not labels_of(row[1])]


def _once(rows: list[Row], kind: TaskKind, problems: Problems) -> list[Row]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        item = row[1]
        groups.setdefault((item.text.strip(), item.text_pair.strip(), item.question.strip()), []).append(row)
    return [kept for copies in groups.values() if (kept := _one_of(copies, kind, problems))]


def _one_of(copies: list[Row], kind: TaskKind, problems: Problems) -> Row | None:
    """What copies of one text come to: numbers to their mean, answers to all of them, labels to their majority."""
    if len(copies) == 1:
        return copies[0]
    said = Counter(_said(item, kind) for _, item in copies)
    first = copies[0]
    again = Fault("duplicate", f"examples[{copies[1][0]}] has the text and the labels of another row.")
    against = Fault("conflicting_duplicate", f"examples[{first[0]}] has the text of another row and other labels.")
    if kind is TaskKind.REGRESSION:
        mean = sum(item.target or 0.0 for _, item in copies) / len(copies)
        for place, _ in copies[1:]:
            problems.add(place, again if len(said) == 1 else against)
        return first[0], replace(first[1], target=mean)
    if kind is TaskKind.ANSWER and all(item.spans for _, item in copies):
        for place, _ in copies[1:]:
            problems.add(place, again)
        spans = dict.fromkeys(span for _, item in copies for span in item.spans)
        return first[0], replace(first[1], spans=tuple(spans))
    (best, most), *others = said.most_common()
    if others and others[0][1] == most:
        for place, _ in copies:
            problems.add(place, against)
        return None
    winner = next(row for row in copies if _said(row[1], kind) == best)
    for row in copies:
        if row is not winner:
            problems.add(row[0], again if _said(row[1], kind) == best else against)
    return winner


def _said(item: Example, kind: TaskKind) -> object:
    if kind is TaskKind.REGRESSION:
        return item.target
    if kind in LABELLED:
        return frozenset(item.labels), tuple(sorted(item.soft.items())), tuple(sorted(item.votes))
    return frozenset(item.spans)


def _weights(kept: list[Row], space: tuple[str, ...], kind: TaskKind) -> np.ndarray | None:
    """Float32 [n, labels], or None where every row has plain labels."""
    items = [item for _, item in kept]
    if not any((item.soft or item.votes) and not item.labels for item in items):
        return None
    place = {label: index for index, label in enumerate(space)}
    made = np.zeros((len(items), len(space)), dtype=np.float32)
    for row, item in enumerate(items):
        for label, weight in item.soft.items() if not item.labels else ():
            made[row, place[label]] = weight
        made[row, [place[label] for label in item.labels]] = 1
        if kind is TaskKind.SINGLE_LABEL and made[row].any():
            made[row] /= made[row].sum()
    voted = [row for row, item in enumerate(items) if item.votes and not item.labels and not item.soft]
    if voted:
        from candelabra.adapt import votes

        made[voted] = votes.soften([items[row].votes for row in voted], space)
    return np.minimum(made, np.float32(1))


def _counts(
    kept: list[Row], space: tuple[str, ...], goal: np.ndarray, weights: np.ndarray | None, kind: TaskKind
) -> dict[str, int]:
    if weights is not None:
        often = np.bincount(goal, minlength=len(space)) if goal.ndim == 1 else goal.sum(axis=0)
        return {label: int(count) for label, count in zip(space, often, strict=True)}
    counts = Counter(label for _, item in kept for label in set(labels_of(item)))
    return {label: counts[label] for label in space}


def _refuse(problems: Problems) -> NoReturn:
    """With everything that was found, in words and for machines."""
    # Copies are no fault of their own: they are named only where nothing else is wrong.
    faulty = [one for one in problems.found.values() if one.reason != "duplicate"]
    found = sorted(faulty or problems.found.values(), key=lambda one: one.rows[0])
    told = [{"reason": one.reason, "count": one.count, "rows": one.rows, "message": one.message} for one in found]
    count = sum(one.count for one in found)
    message = " ".join(one.message for one in found[:3])
    if count > 1:
        message += f" In all {count} examples cannot be used ({', '.join(f'{o.reason}: {o.count}' for o in found)})."
    metadata = {"field": f"examples[{found[0].rows[0]}]", "problems": json.dumps(told), "rows": count}
    if len(found) == 1 and found[0].reason == "label_not_in_domain":
        raise LabelNotInDomain(message, **{**metadata, "label": found[0].label})
    raise BadExamples(message, **metadata)


def _check_learnable(
    examples: Sequence[Example],
    kept: Sequence[Row],
    space: tuple[str, ...],
    goal: np.ndarray,
    task: Task,
    problems: Problems,
) -> None:
    """Where nothing can be learned because rows were left out, they are what is told."""
    try:
        _check_enough(examples, kept, space, goal, task)
    except Error:
        if set(problems.found) - {"duplicate", "conflicting_duplicate"}:
            _refuse(problems)
        raise


def _check_enough(
    examples: Sequence[Example], kept: Sequence[Row], space: tuple[str, ...], goal: np.ndarray, task: Task
) -> None:
    if len(examples) > 1 and len({(item.text.strip(), item.text_pair, item.question) for item in examples}) == 1:
        raise AllDuplicates(f"All {len(examples)} examples have the same text: send different ones.", field="examples")
    if task.kind is TaskKind.SINGLE_LABEL and len(space) < 2:
        raise TooFewLabels(
            f"The {len(kept)} distinct examples carry {len(space)} label(s): a head needs at least two to tell apart.",
            field="examples",
            labels=len(space),
        )
    why = ""
    if task.kind is TaskKind.MULTI_LABEL and not ((goal.any(axis=0)) & (~goal.all(axis=0))).any():
        why = "No label is on some examples and absent from others"
    if task.kind is TaskKind.REGRESSION and len(set(goal.tolist())) < 2:
        why = "All targets are the same number"
    if task.kind in (TaskKind.ENTITIES, TaskKind.ANSWER) and not any(item.spans for _, item in kept):
        why = "No example has a span"
    if why:
        raise TooFewLabels(f"{why}: there is nothing to learn.", field="examples")
