"""The blocking driver of flows: performs each step on a grpc channel."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import grpc

from candelabra_client.channel import Connection
from candelabra_client.errors import CandelabraError, from_call
from candelabra_client.flows import Emit, Flow, Next, Open, Send, Sleep, Step
from candelabra_client.results import JobEvent
from candelabra_client.rpcs import Rpc

T = TypeVar("T")


class Wire:
    def __init__(self, connection: Connection) -> None:
        self._metadata = connection.call_metadata()
        self._channel = connection.open(grpc)
        self._made: dict[str, Any] = {}

    def close(self) -> None:
        self._channel.close()

    def call(self, rpc: Rpc, request: Any, seconds: float | None) -> Any:
        """The call as grpc gives it: a message, or an iterator of them."""
        call = self._made.get(rpc.path)
        if call is None:
            make = getattr(self._channel, rpc.kind)
            call = self._made[rpc.path] = make(rpc.path, rpc.request.SerializeToString, rpc.response.FromString)
        return call(request, timeout=seconds, metadata=self._metadata)

    def run(self, flow: Flow[T]) -> T:
        """What the flow returns."""
        try:
            step = next(flow)
            while True:
                result, error = self._try(step)
                step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            flow.close()

    def steps(self, flow: Flow[None]) -> Generator[JobEvent, None, None]:
        """What the flow emits."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Emit):
                    yield step.event
                    step = flow.send(None)
                    continue
                result, error = self._try(step)
                step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration:
            return
        finally:
            flow.close()

    def _try(self, step: Step) -> tuple[Any, CandelabraError | None]:
        try:
            return self._do(step), None
        except grpc.RpcError as error:
            return None, from_call(error)

    def _do(self, step: Step) -> Any:
        match step:
            case Send(rpc, request, seconds):
                return self.call(rpc, iter(request) if rpc.streams_in else request, seconds)
            case Open(rpc, request, seconds):
                return self.call(rpc, request, seconds)
            case Next(stream):
                return next(stream, None)
            case Sleep(seconds):
                return time.sleep(seconds)
        raise AssertionError(f"no driver for {step!r}: this is a bug")
