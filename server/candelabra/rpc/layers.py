"""What happens around every call: its id, its log line, its metrics. Sync, quick, in a visible order."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Protocol

from grpc import StatusCode

from candelabra import log
from candelabra.metrics import Metrics

REQUEST_ID = "x-request-id"
ACCESS = logging.getLogger("candelabra.access")

# Codes that say something about this server and not about the caller.
OURS = frozenset({StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.DATA_LOSS})


@dataclass(slots=True)
class Call:
    """One RPC from its first to its last moment."""

    method: str  # "Inference/Predict"
    context: Any
    streams: bool = False
    always: bool = False  # answered while starting and draining, too
    started: float = field(default_factory=time.perf_counter)
    code: StatusCode = StatusCode.OK
    reason: str = ""
    request_id: str = ""


class Layer(Protocol):
    """`enter` may raise an Error, which ends the call; `leave` sees the final code."""

    def enter(self, call: Call) -> None: ...

    def leave(self, call: Call) -> None: ...


class RequestId:
    """Takes the caller's x-request-id or makes one; the log and the trailing metadata carry it."""

    def enter(self, call: Call) -> None:
        for key, value in call.context.invocation_metadata() or ():
            if key == REQUEST_ID:
                call.request_id = str(value)[:128]
        call.request_id = call.request_id or uuid.uuid4().hex
        log.request_id.set(call.request_id)
        call.context.set_trailing_metadata(((REQUEST_ID, call.request_id),))

    def leave(self, call: Call) -> None:
        log.request_id.set("")


class AccessLog:
    """One line a call: debug where all went well, warning where this server is to blame."""

    def enter(self, call: Call) -> None: ...

    def leave(self, call: Call) -> None:
        level = logging.DEBUG if call.code is StatusCode.OK else logging.INFO
        if call.code in OURS:
            level = logging.WARNING
        if not ACCESS.isEnabledFor(level):
            return
        extra = {"code": call.code.name, "seconds": round(time.perf_counter() - call.started, 6)}
        if call.reason:
            extra["reason"] = call.reason
        ACCESS.log(level, call.method, extra=extra)


class Counted:
    """The call in the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def enter(self, call: Call) -> None:
        self.metrics.calls_in_flight.labels(call.method).inc()

    def leave(self, call: Call) -> None:
        self.metrics.calls_in_flight.labels(call.method).dec()
        self.metrics.calls.labels(call.method, call.code.name).inc()
        if call.reason:
            self.metrics.call_errors.labels(call.method, call.reason).inc()
        if not call.streams:
            self.metrics.call_seconds.labels(call.method).observe(time.perf_counter() - call.started)
