"""The training process: takes folders on its standard input, trains, and tells its progress line by line.

It holds no network, no database and no part of the server. It ends when its standard input closes, so a
server that was killed leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from candelabra.types import Progress

NICENESS = 19  # serving goes first
TELL_SECONDS = 0.05


def main() -> int:
    """Reads one folder's name a line until the input ends."""
    # Whatever a library prints must not end up among the lines of the protocol.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    folders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(folders,), daemon=True).start()
    # Slow to import: done before the first job asks.
    import candelabra.adapt.classify
    import candelabra.adapt.methods.closed_form
    import candelabra.adapt.trainer  # noqa: F401

    say(out, {"ready": os.getpid()})
    while True:
        _train(Path(folders.get()), out)


def say(out: TextIO, message: dict[str, object]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _listen(folders: queue.Queue[str]) -> None:
    for line in sys.stdin:
        folders.put(line.rstrip("\n"))
    os._exit(0)


def _train(folder: Path, out: TextIO) -> None:
    from candelabra.adapt import assignment, trainer
    from candelabra.errors import Error

    try:
        job = assignment.load(folder)
        candidate = trainer.train(job.data, job.validation, job.spec, job.incumbent, _teller(out))
        assignment.save_candidate(folder, candidate)
        if job.data.kept is not None:
            job.data.kept.save(folder / assignment.KEPT)
    except Error as error:
        say(out, {"failed": {"reason": error.reason, "message": error.message, "metadata": error.metadata}})
    except Exception:
        sys.stderr.write(traceback.format_exc())
        say(out, {"failed": {"reason": "TRAINER_ERROR", "message": _last_line(), "metadata": {}}})
    else:
        say(out, {"done": True})


def _teller(out: TextIO) -> Callable[[Progress], None]:
    """The first of each phase, and then one in TELL_SECONDS: each wakes the server, which takes the processor."""
    phase, told = "", 0.0

    def tell(now: Progress) -> None:
        nonlocal phase, told
        moment = time.monotonic()
        if now.phase != phase or moment - told >= TELL_SECONDS:
            phase, told = now.phase, moment
            say(out, {"progress": asdict(now)})

    return tell


def _last_line() -> str:
    kind, error, _ = sys.exc_info()
    name = kind.__name__ if kind else "error"
    return f"The training stopped with {name}; the server's log has the details." if error else name


if __name__ == "__main__":
    sys.exit(main())
