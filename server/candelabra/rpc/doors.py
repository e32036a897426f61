"""Every RPC comes in here: the doors are closed while starting, open, and closed again while draining.

One generic handler serves all services, so that the server can listen, and say NOT_SERVING, before the
encoder is loaded. Around each call run the layers, in their order; what a use case raises becomes a status.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode

from candelabra import errors
from candelabra.rpc.layers import REQUEST_ID, Call, Layer
from candelabra.rpc.status import to_status

LOG = logging.getLogger("candelabra.rpc")
OURS = "/candelabra.v1."


class State(Enum):
    STARTING = "starting"
    OPEN = "open"
    DRAINING = "draining"


class Doors(grpc.GenericRpcHandler):
    """The services, and whether they may be called now."""

    def __init__(self, layers: Sequence[Layer], max_message_bytes: int, max_calls: int) -> None:
        # The doors are innermost: a refused call is still logged and counted.
        self.layers = (*layers, self)
        self.max_message_bytes = max_message_bytes
        self.max_calls = max_calls
        self.state = State.STARTING
        self.in_flight = 0
        self.draining = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()
        self.handlers: dict[str, grpc.RpcMethodHandler] = {}
        self.services: list[str] = []

    # Being built

    def add(self, register: Callable[[Any, Any], None], servicer: object, *, always: bool = False) -> None:
        """`register` is the generated add_…Servicer_to_server; `always` keeps a service open in every state."""
        register(servicer, _Collector(self, always))

    def methods(self) -> list[str]:
        """Every RPC, as the metrics and the log name it: "Inference/Predict"."""
        return [_short(path) for path in self.handlers]

    def open(self) -> None:
        self.state = State.OPEN

    async def drain(self, seconds: float) -> bool:
        """Refuses new calls and waits for those under way. False: some had not ended in time."""
        self.state = State.DRAINING
        self.draining.set()
        try:
            await asyncio.wait_for(self.empty.wait(), seconds)
        except TimeoutError:
            LOG.warning("drain timed out", extra={"calls_left": self.in_flight})
            return False
        return True

    # grpc.GenericRpcHandler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        handler = self.handlers.get(method)
        if handler is None and self.state is State.STARTING and method.startswith(OURS):
            return grpc.unary_unary_rpc_method_handler(
                self._around_unary(lambda context: Call(_short(method), context), _readable, _not_built)
            )
        return handler

    # Layer

    def enter(self, call: Call) -> None:
        if not call.always:
            if self.state is State.STARTING:
                raise errors.Starting("The server is starting: try again in a moment.", retry_after=1)
            if self.state is State.DRAINING:
                raise errors.Draining("The server is shutting down: call another one.", retry_after=1)
            if self.in_flight >= self.max_calls:
                raise errors.QueueFull(
                    f"The server is answering {self.in_flight} calls, its limit: try again in a moment.",
                    limit="max_concurrent_calls",
                )
            self.empty.clear()
        self.in_flight += not call.always

    def leave(self, call: Call) -> None:
        self.in_flight -= not call.always
        if self.in_flight == 0:
            self.empty.set()

    # Wrapping

    def wrap(self, path: str, handler: grpc.RpcMethodHandler, always: bool) -> grpc.RpcMethodHandler:
        """The same handler with the layers around it and a deserializer that cannot raise."""
        in_stream, out_stream = handler.request_streaming, handler.response_streaming
        behaviour = (
            (handler.stream_stream if in_stream else handler.unary_stream)
            if out_stream
            else (handler.stream_unary if in_stream else handler.unary_unary)
        )

        def call(context: Any) -> Call:
            return Call(_short(path), context, in_stream or out_stream, always)

        def readable(request: Any) -> Any:
            return _readable_stream(request) if in_stream else _readable(request)

        around = self._around_stream if out_stream else self._around_unary
        read = self._reader(handler.request_deserializer)
        return _HANDLER[in_stream, out_stream](around(call, readable, behaviour), read, handler.response_serializer)

    def _around_unary(
        self, make: Callable[[Any], Call], readable: Callable[[Any], Any], behaviour: Callable[[Any, Any], Any]
    ) -> Callable[[Any, Any], Any]:
        async def unary(request: Any, context: Any) -> Any:
            call = make(context)
            entered: list[Layer] = []
            try:
                self._enter(call, entered)
                return await behaviour(readable(request), context)
            except BaseException as error:
                await self._end(call, error)
            finally:
                self._leave(call, entered)

        return unary

    def _around_stream(
        self, make: Callable[[Any], Call], readable: Callable[[Any], Any], behaviour: Callable[[Any, Any], Any]
    ) -> Callable[[Any, Any], Any]:
        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            call = make(context)
            entered: list[Layer] = []
            try:
                self._enter(call, entered)
                answers = behaviour(readable(request), context)
                if inspect.isawaitable(answers):  # a servicer that calls context.write itself
                    await answers
                    return
                async for response in answers:
                    yield response
            except BaseException as error:
                await self._end(call, error)
            finally:
                self._leave(call, entered)

        return stream

    def _enter(self, call: Call, entered: list[Layer]) -> None:
        for layer in self.layers:
            layer.enter(call)
            entered.append(layer)

    def _leave(self, call: Call, entered: list[Layer]) -> None:
        for layer in reversed(entered):
            layer.leave(call)

    async def _end(self, call: Call, error: BaseException) -> None:
        """Ends the call with the status of `error`; always raises."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            left = call.context.time_remaining()
            expired = left is not None and left <= 0
            call.code = StatusCode.DEADLINE_EXCEEDED if expired else StatusCode.CANCELLED
            raise error
        if isinstance(error, grpc.aio.AbortError):
            call.code = _code(call.context.code())
            raise error
        if not isinstance(error, Exception):
            raise error
        if not isinstance(error, errors.Error):
            LOG.exception("a call failed in an unforeseen way", extra={"method": call.method})
            error = errors.Internal(
                f"Something went wrong inside the server; its log tells more under request id {call.request_id}."
            )
        code, message, trailing = to_status(error)
        call.code, call.reason = code, error.reason
        await call.context.abort(code, message, (*trailing, (REQUEST_ID, call.request_id)))

    def _reader(self, deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """A deserializer that never raises: what is wrong is told by the call, with a reason."""

        def read(data: bytes) -> Any:
            if len(data) > self.max_message_bytes:
                return Unreadable(
                    errors.MessageTooLarge(
                        f"The message has {len(data)} bytes; the limit is {self.max_message_bytes}. Send it in parts, "
                        "or raise the setting max_message_bytes.",
                        limit="max_message_bytes",
                        maximum=self.max_message_bytes,
                        actual=len(data),
                    )
                )
            try:
                return deserialize(data)
            except DecodeError as error:
                return Unreadable(_why_unreadable(error))

        return read


_HANDLER = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Unreadable:
    """Stands in for a message that could not be read."""

    def __init__(self, error: errors.Error) -> None:
        self.error = error


class _Collector:
    """Takes the handlers that generated code registers; quacks like a grpc server."""

    def __init__(self, doors: Doors, always: bool) -> None:
        self.doors = doors
        self.always = always

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The registered ones are the same."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, grpc.RpcMethodHandler]) -> None:
        self.doors.services.append(service)
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self.doors.handlers[path] = self.doors.wrap(path, handler, self.always)


async def _not_built(request: Any, context: Any) -> None:
    raise errors.Internal("A door let a call in before there was anybody behind it. This is a bug.")


def _short(path: str) -> str:
    return path.removeprefix(OURS).removeprefix("/")


def _code(code: object) -> StatusCode:
    """A context's code as the enum: grpc.aio gives its number."""
    return next((one for one in StatusCode if one is code or one.value[0] == code), StatusCode.UNKNOWN)


def _readable(request: Any) -> Any:
    if isinstance(request, Unreadable):
        raise request.error
    return request


async def _readable_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _readable(request)


def _why_unreadable(error: DecodeError) -> errors.Error:
    if "UTF-8" in str(error):
        return errors.InvalidUtf8("A text in the message is not valid UTF-8: encode it as UTF-8.")
    return errors.MalformedMessage("The message is not what this RPC takes: generate the client from the protos.")
