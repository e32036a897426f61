"""Predict: which heads, which rows, one pass through the engine, answers in the caller's order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from candelabra.answers import PLAIN, Answer, Asked, Details, answer
from candelabra.discovery import Found
from candelabra.engine import batch
from candelabra.engine.feature_cache import cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Inputs, Row, Scores
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.errors import Error, InvalidArgument, UnknownDomain
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.types import BackboneInfo, HeadRef, Input, LongText, Reading, Slot, TaskKind, VersionInfo

__all__ = ["Answer", "Answers", "Details", "Predict", "Timings", "Traffic", "Vectors"]

log = logging.getLogger(__name__)

Traffic = Callable[[VersionInfo, Head, np.ndarray, np.ndarray], None]
"""Watches what is asked: version, head, vector [dimension] of the guard's slot, probabilities (none for tokens)."""

WATCH_SECONDS = 0.1
"""At most one request in so long is shown to the watcher: it must cost nothing at any load."""

QUICK_CHARACTERS, QUICK_ANSWERS = 512, 32
"""A request within both is read at once: a hop to another thread and back would take longer than the reading."""

OF_TOKENS = (TaskKind.ENTITIES, TaskKind.ANSWER)


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


class How(NamedTuple):
    """Heads that read alike see the same tokens of an input. `domain` and `task` are empty where a text is read as
    it is; `second` means the second text."""

    domain: str
    task: str
    long_text: LongText
    reading: Reading
    offsets: bool = False
    second: bool = False


class Read(NamedTuple):
    """One input as some heads read it; `key` names its tokens in the feature cache."""

    key: bytes
    tokens: Tokens
    text: str


@dataclass(slots=True)
class Place:
    """Where one head's answer to one input comes from: from the row's scorer `at`, or, where there is a `second`
    text with a row of its own, from the features of both. `guard` is the row that tells how unlike others it is."""

    row: Row
    tokens: Tokens
    at: int = 0
    second: Row | None = None
    guard: Row | None = None
    text: str = ""


@dataclass(slots=True)
class Plan:
    """The rows of one request, and `places[i][j]` of head j's answer to input i."""

    tenant: str
    places: list[list[Place]]
    rows: dict[tuple[bytes, str], Row] = field(default_factory=dict)
    seen: dict[tuple[int, int], int] = field(default_factory=dict)

    def row(self, read: Read) -> Row:
        """Equal tokens of an equal text are one row, and know their offsets if anybody needs them."""
        name = read.key, read.text
        if (row := self.rows.get(name)) is None:
            row = self.rows[name] = Row(read.tokens.windows, text=read.text, cache_key=read.key)
        elif row.windows[0].offsets is None:
            row.windows = read.tokens.windows
        return row

    def scored(self, read: Read, head: Head) -> Place:
        row = self.row(read)
        at = self.seen.setdefault((id(row), id(head)), len(row.scorers))
        if at == len(row.scorers):
            row.scorers += (head,)
        return Place(row, read.tokens, at)

    def separate(self, first: Read, second: Read, head: Head) -> Place:
        rows = self.row(first), self.row(second)
        for row in rows:
            _want(row, head.slots)
        windows = (*first.tokens.windows, *second.tokens.windows)
        truncated = first.tokens.truncated or second.tokens.truncated
        tokens = Tokens(windows, truncated, first.tokens.count + second.tokens.count)
        return Place(rows[0], tokens, second=rows[1], text=f"{first.text}\n{second.text}")


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

    async def __call__(
        self,
        inputs: Sequence[Input],
        heads: Sequence[str],
        top_k: int = 0,
        deadline: float | None = None,
        details: Details = PLAIN,
    ) -> Answers:
        """Answers every input with every head. `deadline` is a time.monotonic() value."""
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
        if _quick(inputs, asked):
            plan = self._plan(inputs, asked, details, watched)
        else:
            plan = await loop.run_in_executor(self.threads, self._plan, inputs, asked, details, watched)
        tokenized = time.perf_counter()
        spent = await self.lane.submit(list(plan.rows.values()), tenant=plan.tenant, deadline=deadline)
        work = (inputs, asked, plan, details, top_k)
        if any(one.head.reading is Reading.SEPARATE or one.head.task_kind in OF_TOKENS for one in asked):
            rows = await loop.run_in_executor(self.threads, _answers, *work)
        else:
            rows = _answers(*work)
        if watched >= 0 and self.traffic:
            _show(self.traffic, asked, plan.places[watched])
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

    def _plan(self, inputs: Sequence[Input], asked: Sequence[Asked], details: Details, watched: int) -> Plan:
        """Prepares and tokenizes every text once for each way of reading it; equal tokens become one row."""
        plan = Plan(asked[0].version.head.tenant, [[] for _ in inputs])
        read: dict[How, list[Read]] = {}

        def get(one: Asked, how: How) -> list[Read]:
            if how not in read:
                read[how] = self._read(inputs, one, how, plan.tenant)
            return read[how]

        for one in asked:
            how = _how(one)
            if how.reading is Reading.SEPARATE:
                first, second = (how._replace(reading=Reading.TEXT, second=at) for at in (False, True))
                for places, a, b in zip(plan.places, get(one, first), get(one, second), strict=True):
                    places.append(plan.separate(a, b, one.head))
            else:
                for places, a in zip(plan.places, get(one, how), strict=True):
                    places.append(plan.scored(a, one.head))
            every = details.outside or one.task.abstain_outside
            if (every or watched >= 0) and (slot := one.guard):
                joint = how._replace(reading=Reading.JOINT) if how.reading is Reading.SEPARATE else how
                for at in range(len(inputs)) if every else (watched,):
                    place = plan.places[at][-1]
                    place.guard = plan.row(get(one, joint)[at])
                    _want(place.guard, (slot,))
        return plan

    def _read(self, inputs: Sequence[Input], one: Asked, how: How, tenant: str) -> list[Read]:
        """Each input as the head's domain wants it read."""
        firsts = [] if how.second else [given.text for given in inputs]
        seconds = [given.text_pair for given in inputs] if how.second or how.reading is Reading.JOINT else []
        if how.domain:
            firsts = [one.domain.prepare(text, one.task) for text in firsts]
            seconds = [one.domain.prepare(text, one.task) for text in seconds]
        if how.reading is Reading.QUESTION:
            tokens = self.tokenizer.split_questions([given.question for given in inputs], firsts)
        elif how.reading is Reading.JOINT:
            tokens = self.tokenizer.split_pairs(firsts, seconds, how.long_text)
            firsts = [f"{first}\n{second}" for first, second in zip(firsts, seconds, strict=True)]
        else:
            firsts = seconds if how.second else firsts
            tokens = self.tokenizer.split(firsts, how.long_text, how.offsets)
        return [Read(cache_key(tenant, each.windows), each, text) for each, text in zip(tokens, firsts, strict=True)]


def _quick(inputs: Sequence[Input], asked: Sequence[Asked]) -> bool:
    """Nothing but a few short texts to tokenize: no plugin's code, which may take any time."""
    if len(inputs) * len(asked) > QUICK_ANSWERS or any(type(one.domain).prepare is not Domain.prepare for one in asked):
        return False
    return sum(len(one.text) + len(one.text_pair) + len(one.question) for one in inputs) <= QUICK_CHARACTERS


def _how(one: Asked) -> How:
    """Answers made of tokens count the caller's own characters: their texts are read as they are."""
    head, of_tokens = one.head, one.head.task_kind in OF_TOKENS
    plain = of_tokens or type(one.domain).prepare is Domain.prepare
    return How(
        "" if plain else one.version.domain,
        "" if plain else one.version.task,
        LongText.WINDOWS if of_tokens else head.long_text,
        head.reading,
        of_tokens,
    )


def _want(row: Row, slots: Sequence[Slot]) -> None:
    for slot in slots:
        if slot not in row.slots:
            row.slots += (slot,)


def _answers(
    inputs: Sequence[Input], asked: Sequence[Asked], plan: Plan, details: Details, top_k: int
) -> list[list[Answer]]:
    late: dict[int, list[Scores]] = {}
    for j, one in enumerate(asked):
        if plan.places[0][j].second:
            late[j] = _separate(one, [places[j] for places in plan.places])
    rows = []
    for i, (given, places) in enumerate(zip(inputs, plan.places, strict=True)):
        row = []
        for j, (one, place) in enumerate(zip(asked, places, strict=True)):
            scores = late[j][i] if late and j in late else place.row.scores[place.at]
            vector = None
            if place.guard and one.guard and (details.outside or one.task.abstain_outside):
                vector = _vectors(place.guard, (one.guard,))
            row.append(answer(one, given, scores, place.tokens, vector, details, top_k))
        rows.append(row)
    return rows


def _vectors(row: Row, slots: Sequence[Slot]) -> np.ndarray:
    """Vectors of some slots side by side."""
    assert row.features is not None
    return np.asarray(row.features[[row.slots.index(slot) for slot in slots]]).reshape(-1)


def _separate(one: Asked, places: Sequence[Place]) -> list[Scores]:
    """Scores of a head that reads both texts on their own: first text's vectors, then the second's."""
    slots = one.head.slots
    features = [np.concatenate([_vectors(row, slots) for row in (p.row, p.second) if row]) for p in places]
    found = batch.score(one.head, Inputs(np.stack(features), texts=[place.text for place in places]))
    for scores in found:
        if isinstance(scores, Error):
            raise scores
    return [scores for scores in found if not isinstance(scores, Error)]


def _show(traffic: Traffic, asked: Sequence[Asked], places: Sequence[Place]) -> None:
    """A watcher that fails takes no answer with it."""
    for one, place in zip(asked, places, strict=True):
        if place.guard is None or one.guard is None:
            continue
        scores: Any = () if place.second else place.row.scores[place.at]
        try:
            probabilities = scores if isinstance(scores, np.ndarray) else np.zeros(0, np.float32)
            traffic(one.version, one.head, _vectors(place.guard, (one.guard,)), probabilities)
        except Exception:
            log.exception("the watcher of traffic failed", extra={"head": one.version.name})
