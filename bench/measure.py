"""Load on a server and what comes of it: latencies, percentiles, a table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Latencies:
    """Seconds of each call, and how long they took together."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    failed: int = 0

    def percentile(self, percent: float) -> float:
        """In milliseconds."""
        return float(np.percentile(self.seconds, percent)) * 1000 if self.seconds else float("nan")

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall if self.wall else 0.0


async def closed_loop(
    call: Callable[[int], Awaitable[object]], clients: int, *, seconds: float = 0, calls: int = 0
) -> Latencies:
    """`clients` callers, each with one call under way, for a time or a number of calls; `call` gets its number."""
    result = Latencies()
    began = time.perf_counter()
    end = began + seconds if seconds else float("inf")
    numbers = iter(range(calls) if calls else range(10**9))

    async def caller() -> None:
        for number in numbers:
            start = time.perf_counter()
            if start > end:
                return
            await call(number)
            result.seconds.append(time.perf_counter() - start)

    await asyncio.gather(*(caller() for _ in range(clients)))
    result.wall = time.perf_counter() - began
    return result


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
