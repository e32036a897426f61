"""Which rows a request is made of: each text read once for every way in which some head wants it read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from candelabra.answers import Asked
from candelabra.engine.feature_cache import cache_key
from candelabra.engine.row import Row
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.heads.head import Head
from candelabra.plugin import Domain
from candelabra.types import Input, LongText, Reading, Slot, TaskKind

QUICK_CHARACTERS, QUICK_ANSWERS = 512, 32
"""A request within both is read at once: a hop to another thread and back would take longer than the reading."""

OF_TOKENS = (TaskKind.ENTITIES, TaskKind.ANSWER)


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
    late: Any = None
    """Scores of a head that reads two rows, once they are there."""

    @property
    def scores(self) -> Any:
        return self.row.scores[self.at] if self.second is None else self.late


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


def is_quick(inputs: Sequence[Input], asked: Sequence[Asked]) -> bool:
    """Nothing but a few short texts to tokenize: no plugin's code, which may take any time."""
    if len(inputs) * len(asked) > QUICK_ANSWERS or any(type(one.domain).prepare is not Domain.prepare for one in asked):
        return False
    return sum(len(one.text) + len(one.text_pair) + len(one.question) for one in inputs) <= QUICK_CHARACTERS


def plan(
    inputs: Sequence[Input], asked: Sequence[Asked], tokenizer: Tokenizer, outside: bool = False, watched: int = -1
) -> Plan:
    """Prepares and tokenizes every input once for each way of reading it.

    `outside`: every head says how strange each input is; `watched` is one input of which it is said in any case.
    """
    made = Plan(asked[0].version.head.tenant, [[] for _ in inputs])
    read: dict[How, list[Read]] = {}

    def get(one: Asked, how: How) -> list[Read]:
        if how not in read:
            read[how] = _read(inputs, one, how, tokenizer, made.tenant)
        return read[how]

    for one in asked:
        how = _how(one)
        if how.reading is Reading.SEPARATE:
            first, second = (how._replace(reading=Reading.TEXT, second=at) for at in (False, True))
            for places, a, b in zip(made.places, get(one, first), get(one, second), strict=True):
                places.append(made.separate(a, b, one.head))
        else:
            for places, a in zip(made.places, get(one, how), strict=True):
                places.append(made.scored(a, one.head))
        every = outside or one.task.abstain_outside
        if (every or watched >= 0) and (slots := one.guard):
            # What is usual was learned from the joint sequences, whatever the head itself reads of a pair.
            joint = how._replace(reading=Reading.JOINT) if how.reading is Reading.SEPARATE else how
            for at in range(len(inputs)) if every else (watched,):
                guard = made.places[at][-1].guard = made.row(get(one, joint)[at])
                _want(guard, slots)
    return made


def _read(inputs: Sequence[Input], one: Asked, how: How, tokenizer: Tokenizer, tenant: str) -> list[Read]:
    """Each input as the head's domain wants it read."""
    pairs = how.second or how.reading is Reading.JOINT
    firsts = [] if how.second else [given.text for given in inputs]
    seconds = [given.text_pair for given in inputs] if pairs else []
    if how.domain:
        firsts = [one.domain.prepare(text, one.task) for text in firsts]
        seconds = [one.domain.prepare(text, one.task) for text in seconds]
    if how.reading is Reading.QUESTION:
        tokens = tokenizer.split_questions([given.question for given in inputs], firsts)
    elif how.reading is Reading.JOINT:
        tokens = tokenizer.split_pairs(firsts, seconds, how.long_text)
        firsts = [f"{first}\n{second}" for first, second in zip(firsts, seconds, strict=True)]
    else:
        firsts = seconds if how.second else firsts
        tokens = tokenizer.split(firsts, how.long_text, how.offsets)
    return [Read(cache_key(tenant, each.windows), each, text) for each, text in zip(tokens, firsts, strict=True)]


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


def vectors(row: Row, slots: Sequence[Slot]) -> np.ndarray:
    """Vectors of some slots side by side."""
    assert row.features is not None
    return np.asarray(row.features[[row.slots.index(slot) for slot in slots]]).reshape(-1)
