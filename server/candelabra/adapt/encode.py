"""Features of a training set, through the very lane that serves Predict, which always goes first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from candelabra.adapt.training import TokenStates
from candelabra.engine.feature_cache import cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Row
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.errors import QueueFull
from candelabra.types import LongText, Progress, Reading, Slot

TOKENIZE_AT_ONCE = 512
ROWS_AT_ONCE = 64  # handed to the lane together
GROUPS_AHEAD = 2  # wait in the lane while one is encoded, so that it never idles
RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Texts:
    """What is to be read, and how. `seconds` are second texts (JOINT) or questions (QUESTION).

    `offsets`: answers are made of tokens, so that each must know where it stands. Long texts then lie in windows.
    """

    texts: Sequence[str]
    reading: Reading = Reading.TEXT
    long_text: LongText = LongText.TRUNCATE
    seconds: Sequence[str] = ()
    offsets: bool = False

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Lengths:
    """What the tokenizer saw: tokens of each text, and how many were cut or read in windows."""

    counts: np.ndarray
    truncated: int
    windowed: int

    @classmethod
    def of(cls, tokens: Sequence[Tokens]) -> Lengths:
        counts = np.array([one.count for one in tokens], np.int64)
        return cls(counts, sum(one.truncated for one in tokens), sum(len(one.windows) > 1 for one in tokens))


@dataclass(frozen=True, slots=True)
class Part:
    """Tokenized texts and where their features go: `into`, float32 [texts, slots, dimension], and `states`.

    `cached` is False where nobody will ask for these texts again soon, so that the feature cache is left to others.
    """

    tokens: Sequence[Tokens]
    slots: tuple[Slot, ...]
    into: np.ndarray
    states: TokenStates | None = None
    cached: bool = True


@dataclass(slots=True)
class FeatureEncoder:
    """Encodes many texts in the background."""

    lane: Lane
    tokenizer: Tokenizer
    threads: Executor

    async def encode(
        self,
        texts: Sequence[str],
        long_text: LongText,
        slots: tuple[Slot, ...],
        tenant: str,
        into: np.ndarray,
        progress: Callable[[Progress], None],
    ) -> Lengths:
        """Fills `into`, float32 [texts, slots, dimension], and says how far it is."""
        tokens = await self.tokenize(Texts(texts, long_text=long_text))
        await self.run([Part(tokens, slots, into)], tenant, progress)
        return Lengths.of(tokens)

    async def tokenize(self, what: Texts) -> list[Tokens]:
        """All texts, in portions, on the threads."""
        loop = asyncio.get_running_loop()
        tokens: list[Tokens] = []
        for start in range(0, len(what), TOKENIZE_AT_ONCE):
            tokens += await loop.run_in_executor(self.threads, self._split, what, start, start + TOKENIZE_AT_ONCE)
        return tokens

    async def run(self, parts: Sequence[Part], tenant: str, progress: Callable[[Progress], None]) -> None:
        """Fills the arrays of all parts, with one progress over them. A text of several parts is encoded once for
        each, or once at all where the feature cache holds it."""
        clock = _Clock(sum(len(part.tokens) for part in parts), sum(_tokens_of(part) for part in parts), progress)
        running: deque[asyncio.Task[None]] = deque()
        loop, left = asyncio.get_running_loop(), []
        for part in parts:
            left.append(await loop.run_in_executor(self.threads, self._unknown, part, tenant))
            clock.skip(part, left[-1])
        try:
            for part, group in _groups(parts, left):
                running.append(asyncio.create_task(self._encode(part, group, tenant, clock)))
                while len(running) > GROUPS_AHEAD:
                    await running.popleft()
            while running:
                await running.popleft()
        finally:
            for task in running:
                task.cancel()

    def _split(self, what: Texts, start: int, end: int) -> list[Tokens]:
        texts, seconds = what.texts[start:end], what.seconds[start:end]
        if what.reading is Reading.QUESTION:
            return self.tokenizer.split_questions(seconds, texts)
        if what.reading is Reading.JOINT:
            return self.tokenizer.split_pairs(texts, seconds, what.long_text)
        return self.tokenizer.split(texts, LongText.WINDOWS if what.offsets else what.long_text, what.offsets)

    def _unknown(self, part: Part, tenant: str) -> np.ndarray:
        """Puts the features of texts in the cache where they belong, past the lane; gives the places of the others."""
        if part.states or not part.cached:
            return np.arange(len(part.tokens))
        unknown = []
        for start in range(0, len(part.tokens), ROWS_AT_ONCE):  # in turns: Predict reads the cache too
            end = start + ROWS_AT_ONCE
            keys = [cache_key(tenant, one.windows) for one in part.tokens[start:end]]
            unknown.append(start + self.lane.cache.fill(keys, part.slots, part.into[start:end]))
        return np.concatenate(unknown) if unknown else np.zeros(0, np.int64)

    async def _encode(self, part: Part, group: np.ndarray, tenant: str, clock: _Clock) -> None:
        layers = part.states.layers if part.states else ()
        while True:
            try:
                made = [_row(part.tokens[index], part.slots, layers, tenant, part.cached) for index in group]
                await self.lane.submit(made, tenant=tenant, background=True)
                break
            except QueueFull:  # Predict traffic has filled it: this work can wait
                await asyncio.sleep(RETRY_SECONDS)
        if part.states:  # megabytes: Predict's event loop must not wait for them
            await asyncio.get_running_loop().run_in_executor(self.threads, _put, part, group, made)
        else:
            _put(part, group, made)
        clock.add(len(group), sum(row.tokens for row in made))


def open_states(folder: Path, tokens: Sequence[Tokens], layers: tuple[int, ...], dimension: int) -> TokenStates:
    """Token states of tokenized texts, in files of `folder`: `values` float16 [tokens, layers, dimension], empty yet
    and writable, and the rest filled. A value of float16 is good to 1 part in 2,000, and half the disk of float32."""
    windows = [(row, window) for row, one in enumerate(tokens) for window in one.windows]
    ends = np.cumsum([0, *(len(window.ids) for _, window in windows)])
    table = np.array(
        [(row, ends[k], ends[k + 1], window.second) for k, (row, window) in enumerate(windows)], np.int64
    ).reshape(-1, 4)
    offsets, words = np.full((ends[-1], 2), -1, np.int32), np.full(ends[-1], -1, np.int32)
    for k, (_, window) in enumerate(windows):
        if window.offsets is not None and window.words is not None:
            offsets[ends[k] : ends[k + 1]], words[ends[k] : ends[k + 1]] = window.offsets, window.words
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.concatenate([window.ids for _, window in windows]) if windows else np.zeros(0, np.int32)
    for name, array in (("windows", table), ("offsets", offsets), ("words", words), ("ids", ids)):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    np.save(folder / "layers.npy", np.array(layers, np.int64), allow_pickle=False)
    shape = (int(ends[-1]), len(layers), dimension)
    values = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float16, shape=shape)
    return TokenStates(values, layers, table, offsets, words, ids)


def load_states(folder: Path) -> TokenStates:
    """What `open_states` began; `values` stay on disk, read-only."""
    table, offsets, words, ids, layers = (
        np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("windows", "offsets", "words", "ids", "layers")
    )
    values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
    return TokenStates(values, tuple(layers.tolist()), table, offsets, words, ids)


def _row(one: Tokens, slots: tuple[Slot, ...], layers: tuple[int, ...], tenant: str, cached: bool) -> Row:
    key = cache_key(tenant, one.windows) if cached else None
    return Row(windows=one.windows, slots=slots, layers=layers, cache_key=key)


def _put(part: Part, group: np.ndarray, rows: Sequence[Row]) -> None:
    limit = np.finfo(np.float16).max
    for index, row in zip(group, rows, strict=True):
        if part.slots:
            part.into[index] = row.features
        if part.states:
            for (begin, end, _), one in zip(part.states.of(index), row.states, strict=True):
                part.states.values[begin:end] = np.clip(one, -limit, limit)


def _tokens_of(part: Part) -> int:
    return sum(one.count for one in part.tokens)


def _groups(parts: Sequence[Part], left: Sequence[np.ndarray]) -> Iterator[tuple[Part, np.ndarray]]:
    """Neighbours of equal length: next to no padding."""
    for part, rows in zip(parts, left, strict=True):
        order = rows[np.argsort([part.tokens[row].count for row in rows], kind="stable")]
        for start in range(0, len(order), ROWS_AT_ONCE):
            yield part, order[start : start + ROWS_AT_ONCE]


class _Clock:
    """Rows done, and the time left by the tokens still to come."""

    def __init__(self, rows: int, tokens: int, progress: Callable[[Progress], None]) -> None:
        self.all_rows, self.all_tokens = rows, tokens
        self.rows = self.tokens = 0
        self.began = time.perf_counter()
        self.progress = progress
        progress(Progress("encode", 0, rows))

    def skip(self, part: Part, left: np.ndarray) -> None:
        """What needs no encoder takes no time worth telling."""
        rows = len(part.tokens) - len(left)
        tokens = _tokens_of(part) - sum(part.tokens[row].count for row in left)
        self.rows, self.all_tokens = self.rows + rows, self.all_tokens - tokens
        if rows:
            self.progress(Progress("encode", self.rows, self.all_rows))

    def add(self, rows: int, tokens: int) -> None:
        self.rows += rows
        self.tokens += tokens
        left = (time.perf_counter() - self.began) * (self.all_tokens - self.tokens) / max(self.tokens, 1)
        self.progress(Progress("encode", self.rows, self.all_rows, seconds_left=left))
