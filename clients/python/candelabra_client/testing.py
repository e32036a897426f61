"""A server for tests of programs that use this client: in this process, in memory, with failures on order.

    with FakeServer() as server, Client(server.address) as client:
        server.refuse("Predict", grpc.StatusCode.UNAVAILABLE, "QUEUE_FULL")
        client.predict("some text", "acme/news")

Its heads know nothing: the label is "long" for texts of more than 20 characters and "short" for others.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from candelabra_client.errors import DETAILS, PUSHBACK
from candelabra_client.fake_services import Adaptation, Datasets, Domains, Heads, Inference
from candelabra_client.fake_store import Refusal, Store
from candelabra_client.v1 import (
    adaptation_pb2_grpc,
    datasets_pb2_grpc,
    domains_pb2_grpc,
    heads_pb2_grpc,
    inference_pb2_grpc,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A failure that one coming call meets instead of an answer."""

    code: grpc.StatusCode
    reason: str
    message: str
    pushback_ms: int | None
    retry_delay: float | None


class FakeServer:
    """`calls` counts the calls by method name, `store` is what the server knows."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.store = Store()
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._planned: defaultdict[str, deque[Planned]] = defaultdict(deque)
        self._server = grpc.server(ThreadPoolExecutor(8), interceptors=[_Failing(self)])
        inference_pb2_grpc.add_InferenceServicer_to_server(Inference(self.store), self._server)
        adaptation_pb2_grpc.add_AdaptationServicer_to_server(Adaptation(self.store), self._server)
        heads_pb2_grpc.add_HeadsServicer_to_server(Heads(self.store), self._server)
        datasets_pb2_grpc.add_DatasetsServicer_to_server(Datasets(self.store), self._server)
        domains_pb2_grpc.add_DomainsServicer_to_server(Domains(), self._server)
        self.address = f"{address.rpartition(':')[0]}:{self._server.add_insecure_port(address)}"

    def __enter__(self) -> FakeServer:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()

    def refuse(
        self,
        method: str,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "",
        *,
        times: int = 1,
        pushback_ms: int | None = None,
        retry_delay: float | None = None,
    ) -> None:
        """The next `times` calls of this method end with this error."""
        self._planned[method] += [Planned(code, reason, message, pushback_ms, retry_delay)] * times

    def meet(self, method: str, context: grpc.ServicerContext) -> None:
        """Counts the call and ends it if that was ordered."""
        self.calls[method] += 1
        if self._planned[method]:
            planned = self._planned[method].popleft()
            delay = planned.retry_delay
            end(context, planned.code, planned.reason, planned.message, {}, planned.pushback_ms, delay)


def end(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    reason: str,
    message: str,
    metadata: dict[str, str],
    pushback_ms: int | None = None,
    retry_delay: float | None = None,
) -> None:
    """Ends a call as the real server does: a google.rpc.Status with its details."""
    status = status_pb2.Status(code=code.value[0], message=message)
    details: list[Any] = []
    if reason:
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="candelabra", metadata=metadata))
    if retry_delay is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(retry_delay * 1000))
        details.append(retry)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailing: list[tuple[str, str | bytes]] = [(DETAILS, status.SerializeToString())] if details else []
    if pushback_ms is not None:
        trailing.append((PUSHBACK, str(pushback_ms)))
    context.set_trailing_metadata(trailing)
    context.abort(code, message)


class _Failing(grpc.ServerInterceptor):
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None:
            return None
        method = details.method.rpartition("/")[2]
        way_in, way_out = ("stream" if streams else "unary" for streams in _directions(handler))
        kind = f"{way_in}_{way_out}"
        wrap = self._stream if handler.response_streaming else self._unary
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(wrap(method, getattr(handler, kind)), handler.request_deserializer, handler.response_serializer)

    def _unary(self, method: str, behavior: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self._server.meet(method, context)
            try:
                return behavior(request, context)
            except Refusal as refusal:
                return end(context, refusal.code, refusal.reason, refusal.message, refusal.metadata)

        return answer

    def _stream(self, method: str, behavior: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self._server.meet(method, context)
            try:
                yield from behavior(request, context)
            except Refusal as refusal:
                end(context, refusal.code, refusal.reason, refusal.message, refusal.metadata)

        return answer


def _directions(handler: Any) -> tuple[bool, bool]:
    return handler.request_streaming, handler.response_streaming
