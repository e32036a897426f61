"""What a call does, step by step, without doing it: retries, paging and reconnecting, once for both faces.

A flow is a generator. It yields steps; the driver (sync.py or aio.py) performs each and sends back its result or
throws its CandelabraError into the flow. What the flow returns is the result of the call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from candelabra_client.errors import Cancelled, CandelabraError, DeadlineExceeded, Unavailable
from candelabra_client.read import read
from candelabra_client.results import ENDED, JobEvent
from candelabra_client.retry import Retry
from candelabra_client.rpcs import ADVISE, EXPORT_HEAD, WATCH_JOB, Rpc
from candelabra_client.v1 import adaptation_pb2, heads_pb2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message (or a list of them) and give the one response."""

    rpc: Rpc
    request: Any
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream of responses and give it; it has `cancel()`."""

    rpc: Rpc
    request: Any
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Next:
    """Give the stream's next message, or None at its end."""

    stream: Any


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to the caller, who iterates."""

    event: JobEvent


Step = Send | Open | Next | Sleep | Emit
Flow = Generator[Step, Any, T]


class Clock:
    """What is left of a deadline."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def allows(self, seconds: float) -> bool:
        left = self.left()
        return left is None or seconds < left


def retried(rpc: Rpc, retry: Retry, timeout: float | None, once: Callable[[float | None], Flow[T]]) -> Flow[T]:
    """Runs `once` until it succeeds, the error is final, or attempts or time are spent."""
    clock = Clock(rpc.seconds if timeout is None else timeout)
    attempt = 1
    while True:
        try:
            return (yield from once(clock.left()))
        except CandelabraError as error:
            left = clock.left()
            pause = retry.after(error, attempt, rpc.repeatable, float("inf") if left is None else left)
            if pause is None:
                raise
        yield Sleep(pause)
        attempt += 1


def send(rpc: Rpc, request: Any, parse: Callable[[Any], T], retry: Retry, timeout: float | None) -> Flow[T]:
    """One call with one response. A list of messages is a client stream."""

    def once(left: float | None) -> Flow[T]:
        return parse((yield Send(rpc, request, left)))

    return retried(rpc, retry, timeout, once)


def pages(rpc: Rpc, request: Any, items: str, limit: int, retry: Retry, timeout: float | None) -> Flow[list[Any]]:
    """All items of a list, page by page; at most `limit` if that is not 0."""
    found: list[Any] = []
    while True:
        # A page as large as the server allows: 0 is its default, which may be small.
        request.page_size = min(limit - len(found), 1000) if limit else 1000
        response = yield from send(rpc, request, lambda page: page, retry, timeout)
        found += map(read, getattr(response, items))
        if not response.next_page_token or (limit and len(found) >= limit):
            return found[:limit] if limit else found
        request.page_token = response.next_page_token


def export(name: str, retry: Retry, timeout: float | None) -> Flow[bytes]:
    def once(left: float | None) -> Flow[bytes]:
        stream = yield Open(EXPORT_HEAD, heads_pb2.ExportHeadRequest(name=name), left)
        chunks: list[bytes] = []
        try:
            while (message := (yield Next(stream))) is not None:
                chunks.append(message.chunk)
        finally:
            stream.cancel()
        return b"".join(chunks)

    return retried(EXPORT_HEAD, retry, timeout, once)


def advise(request: Any, retry: Retry, timeout: float | None) -> Flow[Any]:
    """The advice at the end of the stream; what is told on the way is not handed on."""

    def once(left: float | None) -> Flow[Any]:
        stream = yield Open(ADVISE, request, left)
        try:
            while (message := (yield Next(stream))) is not None:
                if message.HasField("advice"):
                    return read(message.advice)
        finally:
            stream.cancel()
        raise Unavailable("The server ended the stream before its advice.")

    return retried(ADVISE, retry, timeout, once)


def watch(name: str, after: int, retry: Retry, timeout: float | None, patience: float) -> Flow[None]:
    """Emits the job's events until it has ended, connecting again where the last stream broke off.

    `patience` is how many seconds the server may be away before the error is the caller's.
    """
    clock = Clock(timeout)
    lost: Clock | None = None
    failures = 0
    while True:
        error: CandelabraError = Unavailable(f"The server closed the events of {name} before the job ended.")
        stream = None
        try:
            stream = yield Open(WATCH_JOB, adaptation_pb2.WatchJobRequest(name=name, after=after), clock.left())
            while (message := (yield Next(stream))) is not None:
                lost, failures = None, 0
                event: JobEvent = read(message)
                if event.sequence > after or event.job is not None:
                    after = max(after, event.sequence)
                    yield Emit(event)
                if event.state in ENDED:
                    return
        except CandelabraError as broken:
            error = broken
        finally:
            if stream is not None:
                stream.cancel()
        # CANCELLED comes from a server that stops: what this side cancels never gets here.
        if not isinstance(error, Unavailable | Cancelled | DeadlineExceeded):
            raise error
        failures += 1
        lost = lost or Clock(patience)
        pause = max(error.retry_after or 0.0, retry.pause(failures))
        if not clock.allows(pause):
            raise DeadlineExceeded(
                f"The job {name} has not ended within {clock.seconds} s. It goes on: wait or watch again, or cancel it."
            )
        if not lost.allows(pause):
            raise error
        yield Sleep(pause)
