"""Which labels of a dataset are doubtful and which rows are copies: read, encoded, judged by heads unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from candelabra import errors
from candelabra.adapt import material
from candelabra.adapt.audit import Audit, Duplicate, audit
from candelabra.adapt.encode import FeatureEncoder, Part, Texts
from candelabra.adapt.material import Material
from candelabra.adapt.preparation import reading_of
from candelabra.adapt.service import Jobs
from candelabra.adapt.slots import compact_slots, default_slots
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.registry import Registry
from candelabra.types import BackboneInfo, Example, Method, OwnedName, Slot, TaskKind

AUDIT_ROWS = 50_000
AUDIT_LIMIT, MOST_SUSPECTS = 50, 10_000


@dataclass(slots=True)
class Auditing:
    """The use case. One audit at a time: each takes the processor for seconds."""

    registry: Registry
    jobs: Jobs
    encoder: FeatureEncoder
    backbone: BackboneInfo
    limits: Limits
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, name: OwnedName, domain: str, task: str, limit: int) -> Audit:
        """At most `limit` suspects and duplicates; 0 is AUDIT_LIMIT."""
        if not 0 <= limit <= MOST_SUSPECTS:
            raise errors.InvalidArgument(
                f"The limit is {limit}: use 1 to {MOST_SUSPECTS}, or 0 for {AUDIT_LIMIT}.", field="limit"
            )
        speaker, about = self.jobs.task_of(domain or "general", task or "classification")
        info = await asyncio.to_thread(self.registry.datasets.get, name)
        if info.rows > AUDIT_ROWS:
            raise errors.LimitExceeded(
                f"The dataset {name} has {info.rows} rows, and every pair is compared: audit at most {AUDIT_ROWS}.",
                limit="audit_rows",
                maximum=AUDIT_ROWS,
                actual=info.rows,
            )
        rows = await asyncio.to_thread(self.registry.datasets.numbered, name, info.next_position)
        async with self._turn:
            return await self._audit(name, rows, speaker, about, limit or AUDIT_LIMIT)

    async def _audit(
        self, name: OwnedName, rows: Sequence[tuple[int, Example]], domain: Domain, task: Task, limit: int
    ) -> Audit:
        examples = [item for _, item in rows]
        data = await asyncio.to_thread(material.prepare, examples, domain, task, self.limits)
        slots = compact_slots(default_slots(self.backbone))
        shape = (self.encoder, task, slots, self.backbone.dimension, name.tenant)
        copies = await asyncio.to_thread(_copies_too, rows, domain, task)
        alike = await features_of(shape[0], copies, *shape[1:])
        duplicates = await asyncio.to_thread(_duplicates, rows, copies, alike, limit)
        if task.kind is not TaskKind.SINGLE_LABEL or data.weights is not None:
            return Audit((), duplicates, 0.0, len(rows))
        features = await features_of(shape[0], data, *shape[1:])
        found = await asyncio.to_thread(_doubt, rows, data, features, slots, task, limit)
        return replace(found, duplicates=duplicates, examined=len(rows))


async def features_of(
    encoder: FeatureEncoder, data: Material, task: Task, slots: tuple[Slot, ...], dimension: int, tenant: str
) -> np.ndarray:
    """float32 [rows, slots, dimension], behind the Predict traffic; quick for texts in the feature cache."""
    reading = reading_of(task)
    what = Texts(
        data.texts,
        reading=reading,
        long_text=task.long_text,
        seconds=data.questions or data.pairs,
        offsets=task.kind in (TaskKind.ENTITIES, TaskKind.ANSWER),
    )
    tokens = await encoder.tokenize(what)
    into = np.zeros((len(tokens), len(slots), dimension), np.float32)
    if len(tokens):
        await encoder.run([Part(tokens, slots, into)], tenant, lambda _: None)
    return into


def leave_one_out(data: TrainingSet, spec: TrainSpec) -> np.ndarray:
    """Logits float64 [n, labels] of the closed-form head, each row by a fit on all others. n d^2 + d^3 operations."""
    from candelabra.adapt.methods import closed_form
    from candelabra.adapt.methods.search import Wanted, solve

    wanted = Wanted.of(data, spec.task_kind)
    run = closed_form.Run(data, wanted, closed_form.Options.parse({}, data.slots, spec.task_kind), lambda _: None)
    view, choice = run.best()
    return np.asarray(solve(run.search(view).problem, wanted, choice.parts, np.arange(len(data.rows))).outputs)


def _doubt(
    rows: Sequence[tuple[int, Example]],
    data: Material,
    features: np.ndarray,
    slots: tuple[Slot, ...],
    task: Task,
    limit: int,
) -> Audit:
    from candelabra.adapt import calibration
    from candelabra.heads.head import softmax

    training = TrainingSet(data.texts, features, slots, data.labels, data.targets, data.rows, pairs=data.pairs)
    spec = TrainSpec(
        task_kind=task.kind, method=Method.CLOSED_FORM, metric=task.metric, backbone="", domain="", task=task.name
    )
    logits = leave_one_out(training, spec)
    probabilities = softmax(logits / calibration.temperature(logits, data.targets))
    positions = [rows[place][0] for place in data.places]
    ids = [rows[place][1].id for place in data.places]
    return audit(
        data.texts, features[:, -1], probabilities, data.targets, data.labels, positions, ids, data.pairs, limit
    )


def _copies_too(rows: Sequence[tuple[int, Example]], domain: Domain, task: Task) -> Material:
    """All rows as texts, with the copies that a material leaves out."""
    offsets = task.kind in (TaskKind.ENTITIES, TaskKind.ANSWER)
    ready: Callable[[str], str] = (lambda text: text) if offsets else (lambda text: domain.prepare(text, task))
    items = [item for _, item in rows]
    return Material(
        texts=[ready(item.text) for item in items],
        labels=(),
        targets=np.zeros(0, np.int64),
        rows=np.zeros(0, np.uint64),
        label_counts={},
        dropped={},
        places=np.arange(len(items)),
        pairs=[ready(item.text_pair) for item in items] if task.pair else (),
        questions=[item.question for item in items] if task.kind is TaskKind.ANSWER else (),
    )


def _duplicates(
    rows: Sequence[tuple[int, Example]], data: Material, features: np.ndarray, limit: int
) -> Sequence[Duplicate]:
    seconds = data.pairs or data.questions
    truths: dict[object, int] = {}
    given = np.array([truths.setdefault(_truth(item), len(truths)) for _, item in rows], np.int64)
    probabilities = np.ones((len(rows), 1), np.float32)
    names = [item.id for _, item in rows]
    positions = [position for position, _ in rows]
    found = audit(
        data.texts, features[:, -1], probabilities, np.zeros(len(rows), np.int64), ("",), positions, names, seconds,
        len(rows),
    )  # fmt: skip
    at = {position: row for row, position in enumerate(positions)}
    told = [
        replace(one, conflicting=bool(given[at[one.position]] != given[at[one.of_position]]))
        for one in found.duplicates
    ]
    return tuple(sorted(told, key=lambda one: (not one.conflicting, -one.similarity))[:limit])


def _truth(item: Example) -> object:
    return item.labels, item.target, item.spans, item.tags, tuple(sorted(item.soft.items())), item.votes
