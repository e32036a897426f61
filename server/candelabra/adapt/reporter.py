"""A job's progress on its way to the registry: at most a few writes a second, no phase left out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from candelabra.types import Progress

LOG = logging.getLogger("candelabra.adapt")
WRITE_SECONDS = 0.25


class Reporter:
    """`say` never waits. `close` returns once everything that was said is written."""

    def __init__(self, write: Callable[[Progress], object], told: Callable[[], None]) -> None:
        self._write = write
        self._told = told
        self._waiting: list[Progress] = []
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self.phase = ""
        self.seconds: dict[str, float] = {}
        self._phase_began = time.perf_counter()

    def say(self, progress: Progress) -> None:
        """Within a phase the latest counts; the first of a phase is always written."""
        if progress.phase != self.phase:
            self._end_phase()
            self.phase = progress.phase
        elif self._waiting and self._waiting[-1].phase == progress.phase:
            self._waiting.pop()
        self._waiting.append(progress)
        self._wake.set()

    async def close(self) -> None:
        self._end_phase()
        self.phase = ""
        self._closed.set()
        self._wake.set()
        await self._task

    def _end_phase(self) -> None:
        now = time.perf_counter()
        if self.phase:
            self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self._phase_began
        self._phase_began = now

    async def _run(self) -> None:
        while not (self._closed.is_set() and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            for progress in waiting:
                try:
                    await asyncio.to_thread(self._write, progress)
                except Exception:
                    LOG.exception("could not write the progress of a job")
            if waiting:
                self._told()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), WRITE_SECONDS)
