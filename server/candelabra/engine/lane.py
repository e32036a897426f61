"""The one thread that touches the encoder: choose a batch, encode it once, run every head, answer.

A lone request waits for nobody: the thread takes what is there as soon as it is free. Work for Adapt goes in the
background: only while no Predict waits, in small passes while Predict calls arrive, and aside between two layers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from candelabra.engine import batch
from candelabra.engine.batcher import Queue, Waiting
from candelabra.engine.encoder import Encoder
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.row import Row, Spent
from candelabra.errors import DeadlinePassed, Draining, EngineFailed, Error, QueueFull
from candelabra.metrics import Metrics
from candelabra.settings import Settings

log = logging.getLogger(__name__)

RECENT = 1.0  # seconds after a Predict in which another is expected
TENANT_SHARE = 0.5
BACKGROUND_PATIENCE = 1.0  # seconds after which background work gets a small batch although Predict calls wait


@dataclass(eq=False, slots=True)
class Call:
    """One submit: its rows may be spread over several batches."""

    rows: Sequence[Row]
    tenant: str
    deadline: float | None
    background: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Spent]
    submitted: float
    remaining: int
    queued_rows: int = 0
    queued_tokens: int = 0
    left: bool = False
    encode: float = 0.0
    head: float = 0.0
    error: Error | None = None


class Lane:
    """`submit` from any event loop; `start` once, `stop` once."""

    def __init__(
        self,
        encoder: Encoder,
        metrics: Metrics,
        cache: FeatureCache,
        *,
        batch_tokens: int = 4096,
        padding_percent: int = 10,
        background_tokens: int = 1024,
        background_tokens_busy: int = 128,
        queue_tokens: int = 262_144,
    ) -> None:
        self.encoder = encoder
        self.cache = cache
        self.batch_tokens = batch_tokens
        self.padding_percent = padding_percent
        self.background_tokens = background_tokens
        self.background_tokens_busy = background_tokens_busy
        self.queue_tokens = queue_tokens
        self._metrics = metrics
        self._wake = threading.Condition()
        self._serving: Queue[Call] = Queue()
        self._background: Queue[Call] = Queue()
        self._waiting = {False: Load(), True: Load()}
        self._last_serving = self._last_background = float("-inf")
        self._rate = 1000.0  # tokens a second, as seen lately; for retry_after
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)

    @classmethod
    def of(cls, encoder: Encoder, settings: Settings, metrics: Metrics, cache: FeatureCache) -> Lane:
        return cls(
            encoder,
            metrics,
            cache,
            batch_tokens=settings.batch_tokens,
            padding_percent=settings.batch_padding_percent,
            background_tokens=settings.background_tokens,
            background_tokens_busy=settings.background_tokens_busy,
            queue_tokens=settings.queue_tokens,
        )

    def start(self) -> None:
        self._thread.start()

    async def stop(self, drain: bool = True) -> None:
        """Takes no more; answers what waits, or refuses it where `drain` is False; ends the thread."""
        with self._wake:
            self._stopping = True
            gone = [] if drain else [*self._serving.empty(), *self._background.empty()]
            self._wake.notify()
        for call in {row.caller for row in gone}:
            call.error = Draining("The server is stopping: ask another one.")
            self._withdraw(call)
            _settle([call])
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def submit(
        self, rows: Sequence[Row], *, tenant: str, deadline: float | None = None, background: bool = False
    ) -> Spent:
        """Fills the rows. `deadline` is a time.monotonic() value. Cancelling takes the rows out of the queue."""
        if not rows:
            return Spent()
        now = time.monotonic()
        if deadline is not None and deadline <= now:
            raise _too_late()
        loop = asyncio.get_running_loop()
        call = Call(rows, tenant, deadline, background, loop, loop.create_future(), now, len(rows))
        self._enter(call)
        timer = loop.call_later(deadline - now, _expire, call) if deadline is not None else None
        try:
            return await call.future
        finally:
            if timer:
                timer.cancel()
            if call.remaining:
                late = deadline is not None and deadline <= time.monotonic()
                self._withdraw(call, "deadline" if late else "cancelled")

    def _enter(self, call: Call) -> None:
        waiting = [Waiting(call, at, row.tokens) for at, row in enumerate(call.rows)]
        tokens = sum(row.tokens for row in waiting)
        with self._wake:
            if self._stopping:
                raise Draining("The server is stopping: ask another one.")
            load = self._waiting[call.background]
            if not load.has_room(call.tenant, tokens, self.queue_tokens):
                raise self._full(load.tokens)
            if call.background and not self._background:
                self._last_background = call.submitted
            (self._background if call.background else self._serving).add(waiting, call.submitted)
            load.add(call, len(waiting), tokens)
            self._show_queue(call.background)
            self._wake.notify()

    def _full(self, waiting: int) -> QueueFull:
        seconds = max(0.1, waiting / self._rate / 2)
        return QueueFull(
            f"{waiting} tokens wait for the encoder already: try again in {seconds:.1f} seconds.",
            retry_after=round(seconds, 3),
            limit="queue_tokens",
        )

    def _withdraw(self, call: Call, reason: str = "") -> None:
        """Nobody waits for this call any more: its rows stop counting now and are dropped when their turn comes."""
        with self._wake:
            call.left = True
            if call.queued_rows:
                if reason:
                    self._metrics.dropped_rows.labels(reason).inc(call.queued_rows)
                self._waiting[call.background].add(call, -call.queued_rows, -call.queued_tokens)
                self._show_queue(call.background)

    # Below: the lane's own thread.

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._serving or self._background or self._stopping):
                    self._wake.wait()
                if not (self._serving or self._background):
                    return
            self._turn()

    def _turn(self) -> None:
        """One batch: of Predict if any waits, unless Adapt has waited for too long."""
        now = time.monotonic()
        hungry = bool(self._background) and now - self._last_background > BACKGROUND_PATIENCE
        if self._serving and not hungry:
            self._serve()
            return
        busy = bool(self._serving) or now - self._last_serving < RECENT
        budget = self.background_tokens_busy if busy else self.background_tokens
        self._batch(self._choose(True, budget), True, min(budget, self.encoder.pass_tokens))
        self._last_background = time.monotonic()

    def _serve(self) -> None:
        """One batch of Predict, if any waits; also called in the middle of background work."""
        if self._serving:
            self._last_serving = time.monotonic()
            self._batch(self._choose(False, self.batch_tokens), False, self.batch_tokens)

    def _choose(self, background: bool, budget: int) -> list[Waiting[Call]]:
        with self._wake:
            queue = self._background if background else self._serving
            choice = queue.choose(budget, time.monotonic())
            for row in choice.chosen:
                self._waiting[background].add(row.caller, -1, -row.tokens)
            self._show_queue(background)
        late = {row.caller for row in choice.expired}
        for call in late:
            call.error = _too_late()
            self._withdraw(call, "deadline")
        _settle(late)
        return choice.chosen

    def _batch(self, chosen: list[Waiting[Call]], background: bool, pass_budget: int) -> None:
        if not chosen:
            return
        rows = [one.caller.rows[one.index] for one in chosen]
        calls = {one.caller: None for one in chosen}
        start = time.perf_counter()
        try:
            between = self._serve if background else None
            features, work = batch.encode(rows, self.encoder, self.cache, pass_budget, self.padding_percent, between)
            encoded = time.perf_counter()
            failures = batch.answer(rows, features)
        except Exception as error:
            log.exception("the encoder failed", extra={"rows": len(rows)})
            self._fail(calls, error)
            return
        done = time.perf_counter()
        for at, failure in failures.items():
            chosen[at].caller.error = chosen[at].caller.error or failure
        self._finish(chosen, calls, encoded - start, done - encoded)
        self._count(rows, work, background, encoded - start)

    def _finish(self, chosen: list[Waiting[Call]], calls: dict[Call, None], encode: float, head: float) -> None:
        for one in chosen:
            one.caller.remaining -= 1
        for call in calls:
            call.encode += encode
            call.head += head
        ended = [call for call in calls if call.remaining == 0 or call.error]
        for call in ended:
            self._withdraw(call)
        _settle(ended)

    def _fail(self, calls: dict[Call, None], error: Exception) -> None:
        for call in calls:
            call.error = EngineFailed(f"The encoder failed on this batch ({type(error).__name__}): try again.")
            self._withdraw(call)
        _settle(calls)

    def _count(self, rows: Sequence[Row], work: batch.Work, background: bool, seconds: float) -> None:
        kind = "adapt" if background else "predict"
        self._metrics.batch_rows.labels(kind).observe(len(rows))
        self._metrics.batch_tokens.labels(kind).observe(work.tokens)
        self._metrics.tokens.labels(kind).inc(work.tokens)
        self._metrics.padding.labels(kind).inc(work.padding)
        if work.tokens and seconds:
            self._rate += 0.2 * (work.tokens / seconds - self._rate)

    def _show_queue(self, background: bool) -> None:
        kind = "adapt" if background else "predict"
        load = self._waiting[background]
        self._metrics.queue_rows.labels(kind).set(load.rows)
        self._metrics.queue_tokens.labels(kind).set(load.tokens)


class Load:
    """What waits in a queue, whole and by tenant."""

    def __init__(self) -> None:
        self.rows = 0
        self.tokens = 0
        self._tenants: dict[str, int] = {}

    def has_room(self, tenant: str, tokens: int, limit: int) -> bool:
        """One tenant may fill half of the queue, so that it cannot shut the door on others. An empty one takes all."""
        mine = self._tenants.get(tenant, 0)
        share = limit * TENANT_SHARE
        return not self.tokens or (self.tokens + tokens <= limit and (not mine or mine + tokens <= share))

    def add(self, call: Call, rows: int, tokens: int) -> None:
        self.rows += rows
        self.tokens += tokens
        call.queued_rows += rows
        call.queued_tokens += tokens
        if mine := self._tenants.get(call.tenant, 0) + tokens:
            self._tenants[call.tenant] = mine
        else:
            self._tenants.pop(call.tenant, None)


def _settle(calls: Sequence[Call] | set[Call] | dict[Call, None]) -> None:
    """Wakes the waiting tasks: one crossing into each event loop, however many calls."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Call]] = {}
    for call in calls:
        by_loop.setdefault(call.loop, []).append(call)
    for loop, some in by_loop.items():
        try:
            loop.call_soon_threadsafe(_answer, some)
        except RuntimeError:  # that loop is closed: nobody waits there
            log.debug("an event loop closed before its answer came")


def _answer(calls: Sequence[Call]) -> None:
    now = time.monotonic()
    for call in calls:
        if call.future.done():
            continue
        if call.error:
            call.future.set_exception(call.error)
        else:
            waited = now - call.submitted - call.encode - call.head
            call.future.set_result(Spent(max(0.0, waited), call.encode, call.head))


def _expire(call: Call) -> None:
    if not call.future.done():
        call.future.set_exception(_too_late())


def _too_late() -> DeadlinePassed:
    return DeadlinePassed("The deadline passed before the encoder came to this request: give it more time.")
