"""A stream of predictions that goes on while the head behind it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from candelabra_client import Answers, Client
from demo.server import Failed

IN_FLIGHT = 16
EACH = 300
"""Answers to see of a version before going on."""
PATIENCE = 120.0
TOLERANCE = 1e-3


class Stream:
    """Asks one head about texts in turn, in a thread, and keeps which version answered when."""

    def __init__(self, client: Client, head: str, texts: Sequence[str]) -> None:
        self._client = client
        self._head = head
        self._texts = texts
        self._room = threading.Semaphore(IN_FLIGHT)
        self._changed = threading.Condition()
        self._ending = False
        self._error: BaseException | None = None
        self._said: dict[tuple[int, int], dict[str, float]] = {}
        self._thread = threading.Thread(target=self._run, name="predictions")
        self.runs: list[tuple[int, int]] = []
        """(version, answers in a row), in the order in which they came."""
        self.digests: dict[int, str] = {}

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join(PATIENCE)

    def wait_for(self, version: int) -> None:
        """Returns when the stream's last `EACH` answers came from this version."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while not (self.runs and self.runs[-1][0] == version and self.runs[-1][1] >= EACH):
                if self._error is not None:
                    raise Failed(f"the stream of predictions broke: {self._error}") from self._error
                if time.monotonic() > end:
                    raise Failed(f"no {EACH} answers of version {version} came within {PATIENCE:.0f} s.")
                self._changed.wait(1)

    def check(self, expected: Sequence[int]) -> None:
        """Every version took over once, and no answer was lost or mixed."""
        if self._error is not None:
            raise Failed(f"the stream of predictions broke: {self._error}") from self._error
        if [version for version, _ in self.runs] != list(expected):
            raise Failed(f"the versions answered in the order {self.runs}, expected {list(expected)}.")

    def _run(self) -> None:
        try:
            for count, answers in enumerate(self._client.predict_stream(self._requests(), [self._head])):
                self._note(count % len(self._texts), answers)
        except BaseException as error:
            self._error = error
        with self._changed:
            self._changed.notify_all()

    def _requests(self) -> Iterator[str]:
        at = 0
        while not self._ending:
            # Bounded, so that a swap is seen within a few answers.
            if self._room.acquire(timeout=1):
                yield self._texts[at % len(self._texts)]
                at += 1

    def _note(self, text: int, answers: Answers) -> None:
        self._room.release()
        prediction = answers[0][0]
        version = int(prediction.head.rpartition("@")[2])
        with self._changed:
            self._same(version, text, dict(prediction.scores), prediction.digest)
            if self.runs and self.runs[-1][0] == version:
                self.runs[-1] = (version, self.runs[-1][1] + 1)
            else:
                self.runs.append((version, 1))
            self._changed.notify_all()

    def _same(self, version: int, text: int, scores: dict[str, float], digest: str) -> None:
        """One version has one digest, and gives one text one answer."""
        if self.digests.setdefault(version, digest) != digest:
            raise Failed(f"version {version} answered with two digests.")
        before = self._said.setdefault((version, text), scores)
        if any(abs(before[label] - scores[label]) > TOLERANCE for label in before):
            raise Failed(f"version {version} gave one text two answers: {before} and {scores}.")
