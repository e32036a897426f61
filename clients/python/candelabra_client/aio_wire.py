"""The asyncio driver of flows: performs each step on a grpc.aio channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import grpc
import grpc.aio

from candelabra_client.channel import Connection
from candelabra_client.errors import CandelabraError, from_call
from candelabra_client.flows import Emit, Flow, Next, Open, Send, Sleep, Step
from candelabra_client.results import JobEvent
from candelabra_client.rpcs import Rpc

T = TypeVar("T")


class AsyncWire:
    def __init__(self, connection: Connection) -> None:
        self._metadata = connection.call_metadata()
        self._channel = connection.open(grpc.aio)
        self._made: dict[str, Any] = {}

    async def close(self) -> None:
        await self._channel.close()

    def call(self, rpc: Rpc, request: Any, seconds: float | None) -> Any:
        """The call as grpc.aio gives it: awaitable, or a stream to read."""
        call = self._made.get(rpc.path)
        if call is None:
            make = getattr(self._channel, rpc.kind)
            call = self._made[rpc.path] = make(rpc.path, rpc.request.SerializeToString, rpc.response.FromString)
        return call(request, timeout=seconds, metadata=self._metadata)

    async def run(self, flow: Flow[T]) -> T:
        """What the flow returns."""
        try:
            step = next(flow)
            while True:
                result, error = await self._try(step)
                step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            flow.close()

    async def steps(self, flow: Flow[None]) -> AsyncGenerator[JobEvent, None]:
        """What the flow emits."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Emit):
                    yield step.event
                    step = flow.send(None)
                    continue
                result, error = await self._try(step)
                step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration:
            return
        finally:
            flow.close()

    async def _try(self, step: Step) -> tuple[Any, CandelabraError | None]:
        try:
            return await self._do(step), None
        except grpc.RpcError as error:
            return None, from_call(error)

    async def _do(self, step: Step) -> Any:
        match step:
            case Send(rpc, request, seconds):
                return await self.call(rpc, iter(request) if rpc.streams_in else request, seconds)
            case Open(rpc, request, seconds):
                return self.call(rpc, request, seconds)
            case Next(stream):
                message = await stream.read()
                return None if message is grpc.aio.EOF else message
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
        raise AssertionError(f"no driver for {step!r}: this is a bug")
