"""Features of a training set, through the very lane that serves Predict, which always goes first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from candelabra.engine.feature_cache import cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Row
from candelabra.engine.tokenizer import Tokenizer, Tokens
from candelabra.errors import QueueFull
from candelabra.types import LongText, Progress, Slot

TOKENIZE_AT_ONCE = 512
ROWS_AT_ONCE = 64  # handed to the lane together
GROUPS_AHEAD = 2  # wait in the lane while one is encoded, so that it never idles
RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Lengths:
    """What the tokenizer saw: tokens of each text, and how many were cut or read in windows."""

    counts: np.ndarray
    truncated: int
    windowed: int


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
        tokens = await self._tokenize(texts, long_text)
        counts = np.array([one.count for one in tokens])
        order = np.argsort(counts, kind="stable")  # neighbours of equal length: next to no padding
        clock = _Clock(counts, progress)
        running: deque[asyncio.Task[None]] = deque()
        try:
            for start in range(0, len(order), ROWS_AT_ONCE):
                group = order[start : start + ROWS_AT_ONCE]
                running.append(asyncio.create_task(self._encode(group, tokens, slots, tenant, into, clock)))
                while len(running) > GROUPS_AHEAD:
                    await running.popleft()
            while running:
                await running.popleft()
        finally:
            for task in running:
                task.cancel()
        return Lengths(counts, sum(one.truncated for one in tokens), sum(len(one.windows) > 1 for one in tokens))

    async def _tokenize(self, texts: Sequence[str], long_text: LongText) -> list[Tokens]:
        loop = asyncio.get_running_loop()
        tokens: list[Tokens] = []
        for start in range(0, len(texts), TOKENIZE_AT_ONCE):
            part = texts[start : start + TOKENIZE_AT_ONCE]
            tokens += await loop.run_in_executor(self.threads, self.tokenizer.split, part, long_text)
        return tokens

    async def _encode(
        self,
        group: np.ndarray,
        tokens: Sequence[Tokens],
        slots: tuple[Slot, ...],
        tenant: str,
        into: np.ndarray,
        clock: _Clock,
    ) -> None:
        def rows() -> list[Row]:
            return [
                Row(windows=one.windows, slots=slots, cache_key=cache_key(tenant, one.windows))
                for one in (tokens[index] for index in group)
            ]

        while True:
            try:
                made = rows()
                await self.lane.submit(made, tenant=tenant, background=True)
                break
            except QueueFull:  # Predict traffic has filled it: this work can wait
                await asyncio.sleep(RETRY_SECONDS)
        for index, row in zip(group, made, strict=True):
            into[index] = row.features
        clock.add(group)


class _Clock:
    """Rows done, and the time left by the tokens still to come."""

    def __init__(self, counts: np.ndarray, progress: Callable[[Progress], None]) -> None:
        self.counts = counts
        self.total = int(counts.sum())
        self.rows = 0
        self.tokens = 0
        self.began = time.perf_counter()
        self.progress = progress
        progress(Progress("encode", 0, len(counts)))

    def add(self, group: np.ndarray) -> None:
        self.rows += len(group)
        self.tokens += int(self.counts[group].sum())
        left = (time.perf_counter() - self.began) * (self.total - self.tokens) / max(self.tokens, 1)
        self.progress(Progress("encode", self.rows, len(self.counts), seconds_left=left))
