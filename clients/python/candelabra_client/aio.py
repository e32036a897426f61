"""The asyncio client."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc

from candelabra_client import answers, requests, rpcs
from candelabra_client.aio_rooms import (
    AsyncAdaptHandle,
    AsyncDatasets,
    AsyncDomains,
    AsyncHeads,
    AsyncJobs,
    OnAsyncProgress,
)
from candelabra_client.aio_wire import AsyncWire
from candelabra_client.calls import Calls
from candelabra_client.care import Advice
from candelabra_client.channel import DEFAULT_ADDRESS, Connection
from candelabra_client.errors import from_call
from candelabra_client.requests import Ask, Labelled, Text
from candelabra_client.results import Answers, Backbone, Embeddings
from candelabra_client.retry import Retry

T = TypeVar("T")


class AsyncClient:
    """A connection to one server; made once, in the event loop that uses it. Use `async with`, or await `close()`.

    `timeout` of a verb is in seconds and spans its retries; None takes the verb's default. Calls end with a
    subclass of `CandelabraError`.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Mapping[str, str] | None = None,
        retry: Retry | None = None,
        reconnect_seconds: float = 60.0,
    ) -> None:
        """`metadata` goes with every call; `reconnect_seconds` is how long a watcher looks for a lost server."""
        retry = retry or Retry()
        self._wire = AsyncWire(Connection(address, credentials, metadata or {}))
        self._calls = Calls(retry, reconnect_seconds)
        self.heads = AsyncHeads(self._wire, self._calls)
        self.datasets = AsyncDatasets(self._wire, self._calls)
        self.jobs = AsyncJobs(self._wire, self._calls)
        self.domains = AsyncDomains(self._wire, self._calls)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._wire.close()

    async def predict(
        self,
        texts: Text | Iterable[Text],
        heads: str | Iterable[str],
        *,
        top_k: int = 0,
        coverage: float = 0.0,
        outside: bool = False,
        timeout: float | None = None,
    ) -> Answers:
        """Every text answered by every head ("tenant/name", "tenant/name@3", "tenant/name@canary").

        `Input` stands for a text that comes with a second one or with a question. `coverage`, for example 0.9, asks
        for sets and intervals that hold the truth so often; `outside` for how unlike the training texts each text is.
        """
        return await self._wire.run(self._calls.predict(texts, heads, top_k, coverage, outside, timeout))

    async def predict_stream(
        self,
        items: Iterable[Text | Sequence[Text] | Ask] | AsyncIterable[Text | Sequence[Text] | Ask],
        heads: str | Sequence[str] = (),
        *,
        top_k: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[Answers]:
        """One `Answers` an item, in order, over one open stream. `heads` serves items that name none.

        An item that the server refuses comes back with `.error` set and does not end the stream.
        """
        asked: deque[Sequence[str]] = deque()
        broken: list[Exception] = []

        async def outgoing() -> AsyncIterator[Any]:
            try:
                async for item in _async(items):
                    request = requests.ask(item, heads, top_k)
                    asked.append(request.heads)
                    yield request
            except Exception as error:
                # Runs in a task of grpc, which would swallow it: kept for the caller, and the stream is ended.
                broken.append(error)

        stream = self._wire.call(rpcs.PREDICT_STREAM, outgoing(), timeout)
        try:
            async for response in stream:
                yield answers.answers(response, asked.popleft())
        except grpc.RpcError as error:
            raise from_call(error) from None
        finally:
            stream.cancel()
        if broken:
            raise broken[0]

    async def embed(
        self,
        texts: str | Iterable[str],
        *,
        pooling: str = "mean",
        layer: int | None = None,
        normalize: bool = False,
        long_text: str = "",
        tenant: str = "",
        timeout: float | None = None,
    ) -> Embeddings:
        """The vectors heads see. `pooling`: mean, cls; `layer`: None is the last; `long_text`: truncate, windows."""
        return await self._wire.run(self._calls.embed(texts, pooling, layer, normalize, long_text, tenant, timeout))

    async def adapt(
        self,
        head: str,
        examples: Iterable[Labelled] | None = None,
        *,
        dataset: str | None = None,
        validation: Iterable[Labelled] | None = None,
        domain: str = "",
        task: str = "",
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
        alias: str = "",
        promote: bool = True,
        force: bool = False,
        seed: int = 0,
        gate: Mapping[str, float] | None = None,
        strict: bool = False,
        label_descriptions: Mapping[str, str] | None = None,
        budget_seconds: float = 0.0,
        self_training: int = 0,
        request_id: str | None = None,
        wait: bool = False,
        on_progress: OnAsyncProgress | None = None,
        timeout: float | None = None,
    ) -> AsyncAdaptHandle:
        """Starts the training of the head's next version; it goes on when this process ends.

        Without a `method` the server races several within `budget_seconds`. `options` fixes hyper-parameters of the
        method: solver, layers, ridge, wide (closed_form); hidden, learning_rate, max_epochs, patience, layers (dense).
        `gate` overrides thresholds: margin, recall_level, max_calibration_error, coverage. `strict` refuses what has
        a bad example instead of leaving that out. `label_descriptions` alone are enough to start without examples.
        The same `request_id` gives the same job. With `wait` (or `on_progress`) it comes back when the job has ended
        or after `timeout` seconds.
        """
        waits = wait or on_progress is not None
        job = await self._wire.run(
            self._calls.adapt(
                head,
                request_id,
                None if waits else timeout,
                examples_=examples,
                dataset=dataset,
                validation=validation,
                domain=domain,
                task=task,
                method=method,
                options=options,
                alias=alias,
                no_promote=not promote,
                force=force,
                seed=seed,
                gate=gate,
                strict=strict,
                label_descriptions=label_descriptions,
                budget_seconds=budget_seconds,
                self_training=self_training,
            )
        )
        handle = AsyncAdaptHandle(self._wire, self._calls, job)
        if waits:
            await handle.wait(timeout, on_progress=on_progress)
        return handle

    async def advise(
        self,
        examples: Iterable[Labelled] | None = None,
        *,
        dataset: str | None = None,
        domain: str = "",
        task: str = "",
        backbones: Iterable[str] = (),
        max_examples: int = 0,
        timeout: float | None = None,
    ) -> Advice:
        """Which backbone of the server's machine suits these examples best, and by how much. Takes minutes."""
        return await self._wire.run(
            self._calls.advise(examples, dataset, domain, task, backbones, max_examples, timeout)
        )

    async def backbone(self, *, timeout: float | None = None) -> Backbone:
        return await self._wire.run(self._calls.backbone(timeout))

    async def health(self, service: str = "", *, timeout: float | None = None) -> str:
        """ "serving" or "not_serving"; of one service ("candelabra.v1.Inference") or of the whole server."""
        return await self._wire.run(self._calls.health(service, timeout))


async def _async(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
