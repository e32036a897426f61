"""The server's side of a training process: kept warm, watched, killed when it must be, started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from candelabra import errors
from candelabra.metrics import Metrics
from candelabra.types import Progress

LOG = logging.getLogger("candelabra.trainer")
LINE_LIMIT = 1024 * 1024
START_SECONDS = 120


class TrainerProcess:
    """One child. `train` runs one job in it; a job that is cancelled or crashes takes the child with it."""

    def __init__(self, threads: int, metrics: Metrics) -> None:
        self.threads = threads
        self.metrics = metrics
        self.child: asyncio.subprocess.Process | None = None
        self.started = 0

    async def start(self) -> None:
        """Returns once there is a child that has imported what it needs; raises TrainerCrashed where none comes up."""
        if self.child is not None and self.child.returncode is None:
            return
        self.started += 1
        if self.started > 1:
            self.metrics.trainer_restarts.inc()
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "candelabra.adapt.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **threads},
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C at the server is the server's to handle
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._first_word(self.child)
        except TimeoutError:
            await self.stop()
            raise errors.TrainerCrashed(f"The training process was not ready after {START_SECONDS} s.") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def train(self, folder: Path, seconds: float, progress: Callable[[Progress], None]) -> None:
        """Trains what lies in `folder`. Raises TrainingFailed; being cancelled kills the child."""
        await self.start()
        try:
            async with asyncio.timeout(seconds):
                await self._converse(folder, progress)
        except TimeoutError:
            await self.stop()
            raise errors.TrainerTimedOut(
                f"The training took more than {seconds:g} s, the setting job_timeout_seconds.", seconds=seconds
            ) from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the child now; `train` starts another when it is needed."""
        child, self.child = self.child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()

    async def _first_word(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        if not await child.stdout.readline():
            raise errors.TrainerCrashed(f"The training process ended {_how(await child.wait())} while it was starting.")

    async def _converse(self, folder: Path, progress: Callable[[Progress], None]) -> None:
        child = self.child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(ConnectionError):
            child.stdin.write(f"{folder}\n".encode())
            await child.stdin.drain()
        while line := await child.stdout.readline():
            message = json.loads(line)
            if "progress" in message:
                progress(Progress(**message["progress"]))
            elif "failed" in message:
                raise _failure(message["failed"])
            elif "done" in message:
                return
        raise errors.TrainerCrashed(f"The training process ended {_how(await child.wait())} before it was done.")


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (often the system is out of memory)" if name == "SIGKILL" else ""
    return f"by {name}{hint}"


def _failure(message: dict[str, object]) -> errors.Error:
    """What the child raised, as the same class here."""
    known = errors.every_reason()
    cls = known.get(str(message["reason"]), errors.TrainerError)
    metadata = message.get("metadata")
    return cls(str(message["message"]), **(metadata if isinstance(metadata, dict) else {}))
