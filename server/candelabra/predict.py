"""Predict: which heads, which rows, one pass through the engine, answers in the caller's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from candelabra.discovery import Found
from candelabra.engine.feature_cache import cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Row
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.errors import InvalidArgument, UnknownDomain
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.limits import Limits
from candelabra.plugin import Decision, Domain, Task
from candelabra.types import BackboneInfo, HeadRef, LabelScore, LongText, Slot, VersionInfo


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one request by stage."""

    tokenize: float
    queue: float
    encode: float
    head: float
    total: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What one head says of one text. `scores` are the most probable labels first."""

    version: VersionInfo
    labels: Sequence[LabelScore]
    scores: Sequence[LabelScore]
    values: Mapping[str, float]
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Answers:
    """`rows[i][j]` is the answer of head j to text i."""

    versions: Sequence[VersionInfo]
    rows: Sequence[Sequence[Answer]]
    timings: Timings


@dataclass(frozen=True, slots=True)
class Vectors:
    """`values` is float32 [n, dimension]."""

    values: np.ndarray
    tokens: Sequence[Tokens]
    timings: Timings


@dataclass(frozen=True, slots=True)
class Asked:
    """A head as one request sees it: pinned to a version, with the domain that speaks for it."""

    version: VersionInfo
    head: Head
    domain: Domain
    task: Task

    @property
    def reading(self) -> tuple[str, str, LongText]:
        """Heads with the same reading see the same tokens for a text."""
        return self.version.domain, self.version.task, self.head.long_text


@dataclass(slots=True)
class Plan:
    """The rows of one request, and which row answers text i for head j, at which of its scorers."""

    rows: list[Row]
    places: list[list[tuple[Row, int, Tokens]]]


class Predict:
    """The use case. One instance serves all calls; every call pins its head versions when it starts."""

    def __init__(
        self,
        shelf: Shelf,
        lane: Lane,
        tokenizer: Tokenizer,
        backbone: BackboneInfo,
        domains: Mapping[str, Found],
        limits: Limits,
        threads: Executor,
    ) -> None:
        self.shelf = shelf
        self.lane = lane
        self.tokenizer = tokenizer
        self.backbone = backbone
        self.domains = domains
        self.limits = limits
        self.threads = threads

    async def __call__(
        self, texts: Sequence[str], heads: Sequence[str], top_k: int = 0, deadline: float | None = None
    ) -> Answers:
        """Answers every text with every head. `deadline` is a time.monotonic() value."""
        start = time.perf_counter()
        self.limits.inputs(texts)
        self.limits.heads(heads)
        if top_k < 0:
            raise InvalidArgument(f"top_k is {top_k}: use 0 for all labels, or a positive number.", field="top_k")
        asked = await self._pin([HeadRef.parse(name) for name in heads])
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        plan = await loop.run_in_executor(self.threads, self._plan, texts, asked)
        tokenized = time.perf_counter()
        spent = await self.lane.submit(plan.rows, tenant=asked[0].version.head.tenant, deadline=deadline)
        rows = [
            [self._answer(text, one, place, top_k) for one, place in zip(asked, places, strict=True)]
            for text, places in zip(texts, plan.places, strict=True)
        ]
        timings = Timings(tokenized - began, spent.queue, spent.encode, spent.head, time.perf_counter() - start)
        return Answers([one.version for one in asked], rows, timings)

    async def embed(
        self,
        texts: Sequence[str],
        slot: Slot,
        long_text: LongText,
        tenant: str,
        normalize: bool = False,
        deadline: float | None = None,
    ) -> Vectors:
        """The pooled vectors of one slot, scaled to length 1 where asked."""
        start = time.perf_counter()
        self.limits.inputs(texts)
        if not 0 <= slot.layer <= self.backbone.layers:
            raise InvalidArgument(
                f"The backbone {self.backbone.name} has layers 0 to {self.backbone.layers}, not {slot.layer}.",
                field="layer",
            )
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self.threads, self.tokenizer.split, texts, long_text)
        tokenized = time.perf_counter()
        rows = [Row(windows=one.windows, slots=(slot,), cache_key=cache_key(tenant, one.windows)) for one in tokens]
        spent = await self.lane.submit(rows, tenant=tenant, deadline=deadline)
        values = np.stack([row.features[0] for row in rows if row.features is not None])
        if normalize:
            values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        timings = Timings(tokenized - start, spent.queue, spent.encode, spent.head, time.perf_counter() - start)
        return Vectors(values, tokens, timings)

    async def _pin(self, refs: Sequence[HeadRef]) -> list[Asked]:
        versions = [self.shelf.resolve(ref) for ref in refs]
        heads = [self.shelf.get_nowait(version) for version in versions]
        if None in heads:
            heads = list(await asyncio.gather(*(self.shelf.get(version) for version in versions)))
        return [
            Asked(version, head, *self._speaker(version))
            for version, head in zip(versions, heads, strict=True)
            if head is not None
        ]

    def _speaker(self, version: VersionInfo) -> tuple[Domain, Task]:
        found = self.domains.get(version.domain)
        if found is None:
            raise UnknownDomain(
                f"The head {version.name} belongs to the domain {version.domain!r}, which is not installed here: "
                "install its plugin and start the server again.",
                domain=version.domain,
                head=version.name,
            )
        task = next((task for task in found.domain.tasks if task.name == version.task), None)
        return found.domain, task or Task(version.task, version.kind, version.labels)

    def _plan(self, texts: Sequence[str], asked: Sequence[Asked]) -> Plan:
        """Prepares and tokenizes every text once for each way of reading it; equal tokens become one row."""
        tenant = asked[0].version.head.tenant
        readings = {one.reading: one for one in asked}
        read = {reading: self._read(texts, one, tenant) for reading, one in readings.items()}
        rows: dict[bytes, Row] = {}
        places: list[list[tuple[Row, int, Tokens]]] = [[] for _ in texts]
        seen: dict[tuple[bytes, int], int] = {}
        for one in asked:
            for place, (key, tokens) in zip(places, read[one.reading], strict=True):
                row = rows.setdefault(key, Row(windows=tokens.windows, cache_key=key))
                at = seen.setdefault((key, id(one.head)), len(row.scorers))
                if at == len(row.scorers):
                    row.scorers += (one.head,)
                place.append((row, at, tokens))
        return Plan(list(rows.values()), places)

    def _read(self, texts: Sequence[str], one: Asked, tenant: str) -> list[tuple[bytes, Tokens]]:
        """Each text's tokens, as the head's domain wants it read, with what names them in the feature cache."""
        prepared = [one.domain.prepare(text, one.task) for text in texts]
        tokens = self.tokenizer.split(prepared, one.head.long_text)
        return [(cache_key(tenant, each.windows), each) for each in tokens]

    def _answer(self, text: str, one: Asked, place: tuple[Row, int, Tokens], top_k: int) -> Answer:
        row, at, tokens = place
        probabilities = row.scores[at]
        labels = one.head.labels
        numbers = probabilities.tolist()
        chosen = [LabelScore(labels[k], numbers[k]) for k in one.head.decide(probabilities)]
        if type(one.domain).decide is Domain.decide:
            decision = Decision(tuple(chosen), {})
        else:
            every = [LabelScore(label, number) for label, number in zip(labels, numbers, strict=True)]
            decision = one.domain.decide(text, every, chosen, one.task)
        if top_k == 1:
            order = [int(probabilities.argmax())]
        else:
            order = np.argsort(-probabilities, kind="stable")[: top_k or None].tolist()
        ranked = [LabelScore(labels[k], numbers[k]) for k in order]
        return Answer(one.version, decision.labels, ranked, decision.values, tokens)
