"""What happens around every call: the order, the level of its log line, and that nothing is left behind."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from grpc import StatusCode

from candelabra import log
from candelabra.metrics import Metrics
from candelabra.rpc.layers import REQUEST_ID, AccessLog, Call, Counted, RequestId


class Context:
    def __init__(self, *metadata: tuple[str, str]) -> None:
        self.metadata = metadata or None
        self.trailing: tuple[tuple[str, str], ...] = ()

    def invocation_metadata(self) -> Any:
        return self.metadata

    def set_trailing_metadata(self, trailing: tuple[tuple[str, str], ...]) -> None:
        self.trailing = trailing


def test_a_request_id_is_taken_or_made_and_forgotten_afterwards() -> None:
    layer = RequestId()
    for context, wanted in ((Context(("other", "x"), (REQUEST_ID, "y" * 500)), "y" * 128), (Context(), None)):
        call = Call("Inference/Predict", context)
        layer.enter(call)
        assert call.request_id == wanted or (wanted is None and len(call.request_id) == 32)
        assert context.trailing == ((REQUEST_ID, call.request_id),)
        assert log.request_id.get() == call.request_id
        layer.leave(call)
        assert log.request_id.get() == ""


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (StatusCode.OK, logging.DEBUG),
        (StatusCode.NOT_FOUND, logging.INFO),
        (StatusCode.UNAVAILABLE, logging.INFO),
        (StatusCode.INTERNAL, logging.WARNING),
        (StatusCode.DATA_LOSS, logging.WARNING),
    ],
)
def test_the_log_is_loud_only_where_this_server_is_to_blame(
    caplog: pytest.LogCaptureFixture, code: StatusCode, level: int
) -> None:
    with caplog.at_level(logging.DEBUG, "candelabra.access"):
        AccessLog().leave(Call("Heads/GetHead", Context(), code=code, reason="WHY" if level > 10 else ""))
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, "Heads/GetHead")
    assert record.__dict__["code"] == code.name
    assert record.__dict__.get("reason") == ("WHY" if level > 10 else None)


def test_what_nobody_reads_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "candelabra.access"):
        AccessLog().leave(Call("Heads/GetHead", Context()))
    assert caplog.records == []


@pytest.mark.parametrize("streams", [False, True])
def test_a_call_is_counted_and_timed_unless_it_streams(streams: bool) -> None:
    metrics = Metrics()
    layer = Counted(metrics)
    call = Call("Inference/Predict", Context(), streams)

    def value(name: str, **more: str) -> float | None:
        return metrics.registry.get_sample_value(f"candelabra_{name}", {"method": call.method, **more})

    layer.enter(call)
    assert value("calls_in_flight") == 1
    call.code, call.reason = StatusCode.UNAVAILABLE, "QUEUE_FULL"
    layer.leave(call)
    assert value("calls_in_flight") == 0
    assert value("calls_total", code="UNAVAILABLE") == 1
    assert value("call_errors_total", reason="QUEUE_FULL") == 1
    assert (value("call_seconds_count") or 0) == (0 if streams else 1)
