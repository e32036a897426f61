"""Load on a server and what comes of it: latencies, percentiles, a table; the machine."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

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


def machine() -> str:
    """Processor, memory and versions in one line: "AMD EPYC, 2 CPUs, 24 GiB, Python 3.11.7, torch 2.13.0"."""
    listed = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", listed.read_text() if listed.exists() else "", flags=re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{named[1] if named else platform.machine()}, {os.cpu_count()} CPUs, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, torch {version('torch')}"
    )
