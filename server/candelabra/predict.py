"""Predict: which heads, which rows, one pass through the engine, answers in the caller's order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from candelabra.answers import PLAIN, Answer, Asked, Details, answer
from candelabra.discovery import Found
from candelabra.engine import batch
from candelabra.engine.feature_cache import cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Inputs, Row
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.errors import Error, InvalidArgument, UnknownDomain
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.limits import Limits
from candelabra.plan import OF_TOKENS, Place, Plan, is_quick, plan, vectors
from candelabra.plugin import Domain, Task
from candelabra.types import BackboneInfo, HeadRef, Input, LongText, Reading, Slot, VersionInfo

__all__ = ["Answer", "Answers", "Details", "Predict", "Timings", "Traffic", "Vectors"]

log = logging.getLogger(__name__)

Traffic = Callable[[VersionInfo, Head, np.ndarray, np.ndarray], None]
"""Watches what is asked: version, head, vector [slots * dimension] of its guard, probabilities (none for tokens)."""

WATCH_SECONDS = 0.1
"""At most one request in so long is shown to the watcher: it must cost nothing at any load."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one request by stage."""

    tokenize: float
    queue: float
    encode: float
    head: float
    total: float


@dataclass(frozen=True, slots=True)
class Answers:
    """`rows[i][j]` is the answer of head j to input i."""

    versions: Sequence[VersionInfo]
    rows: Sequence[Sequence[Answer]]
    timings: Timings


@dataclass(frozen=True, slots=True)
class Vectors:
    """`values` is float32 [n, dimension]."""

    values: np.ndarray
    tokens: Sequence[Tokens]
    timings: Timings


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
        traffic: Traffic | None = None,
    ) -> None:
        self.shelf = shelf
        self.lane = lane
        self.tokenizer = tokenizer
        self.backbone = backbone
        self.domains = domains
        self.limits = limits
        self.threads = threads
        self.traffic = traffic
        self._watched = float("-inf")
        self._under_way = 0

    async def __call__(
        self,
        inputs: Sequence[Input],
        heads: Sequence[str],
        top_k: int = 0,
        deadline: float | None = None,
        details: Details = PLAIN,
    ) -> Answers:
        """Answers every input with every head. `deadline` is a time.monotonic() value."""
        self._under_way += 1
        try:
            return await self._answer(inputs, heads, top_k, deadline, details)
        finally:
            self._under_way -= 1

    async def _answer(
        self, inputs: Sequence[Input], heads: Sequence[str], top_k: int, deadline: float | None, details: Details
    ) -> Answers:
        start = time.perf_counter()
        self.limits.inputs(inputs)
        self.limits.heads(heads)
        details.check()
        if top_k < 0:
            raise InvalidArgument(f"top_k is {top_k}: use 0 for all labels, or a positive number.", field="top_k")
        asked = await self._pin([HeadRef.parse(name) for name in heads])
        self._check(inputs, asked)
        watched = self._watch(start, len(inputs))
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        planning = (inputs, asked, self.tokenizer, details.outside, watched)
        # Alone, a request is quicker without another thread; in company, threads let more of them share a batch.
        quick = self._under_way == 1 and is_quick(inputs, asked)
        made = plan(*planning) if quick else await loop.run_in_executor(self.threads, plan, *planning)
        tokenized = time.perf_counter()
        spent = await self.lane.submit(list(made.rows.values()), tenant=made.tenant, deadline=deadline)
        work = (inputs, asked, made, details, top_k)
        if any(one.head.reading is Reading.SEPARATE or one.head.task_kind in OF_TOKENS for one in asked):
            rows = await loop.run_in_executor(self.threads, _answers, *work)
        else:
            rows = _answers(*work)
        if watched >= 0 and self.traffic:
            _show(self.traffic, asked, made.places[watched])
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

    def _check(self, inputs: Sequence[Input], asked: Sequence[Asked]) -> None:
        """Second texts and questions are there for the heads that read them."""
        for one in asked:
            reading = one.head.reading
            if reading is Reading.TEXT:
                continue
            part, what = ("question", "a question") if reading is Reading.QUESTION else ("text_pair", "a second text")
            for at, given in enumerate(inputs):
                where = f"inputs[{at}].{part}"
                if not getattr(given, part):
                    raise InvalidArgument(
                        f"The head {one.version.name} reads {what} beside the text, and {where} is empty: send it, or "
                        "ask another head.",
                        field=where,
                        head=one.version.name,
                    )

    def _watch(self, now: float, inputs: int) -> int:
        """The input that the watcher is shown, or -1."""
        if self.traffic is None or now - self._watched < WATCH_SECONDS:
            return -1
        self._watched = now
        return int(now * 1e6) % inputs


def _answers(
    inputs: Sequence[Input], asked: Sequence[Asked], made: Plan, details: Details, top_k: int
) -> list[list[Answer]]:
    for j, one in enumerate(asked):
        if made.places[0][j].second:
            _separate(one, [places[j] for places in made.places])
    rows = []
    for given, places in zip(inputs, made.places, strict=True):
        row = []
        for one, place in zip(asked, places, strict=True):
            vector = None
            if place.guard and one.guard and (details.outside or one.task.abstain_outside):
                vector = vectors(place.guard, one.guard)
            row.append(answer(one, given, place.scores, place.tokens, vector, details, top_k))
        rows.append(row)
    return rows


def _separate(one: Asked, places: Sequence[Place]) -> None:
    """Scores of a head that reads both texts on their own: first text's vectors, then the second's."""
    slots = one.head.slots
    features = [np.concatenate([vectors(row, slots) for row in (p.row, p.second) if row]) for p in places]
    inputs = Inputs(np.stack(features), texts=[place.text for place in places])
    for place, scores in zip(places, batch.score(one.head, inputs), strict=True):
        if isinstance(scores, Error):
            raise scores
        place.late = scores


def _show(traffic: Traffic, asked: Sequence[Asked], places: Sequence[Place]) -> None:
    """A watcher that fails takes no answer with it."""
    for one, place in zip(asked, places, strict=True):
        if place.guard is None or not one.guard:
            continue
        try:
            probabilities = place.scores if isinstance(place.scores, np.ndarray) else np.zeros(0, np.float32)
            traffic(one.version, one.head, vectors(place.guard, one.guard), probabilities)
        except Exception:
            log.exception("the watcher of traffic failed", extra={"head": one.version.name})
