"""The doors: closed while starting, open, closed again while draining; and what becomes of what goes wrong inside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from candelabra import errors
from candelabra.metrics import Metrics
from candelabra.rpc.doors import Doors
from candelabra.rpc.health import Health
from candelabra.rpc.layers import AccessLog, Counted, Layer, RequestId
from candelabra.rpc.status import STATUS_DETAILS
from candelabra.v1 import inference_pb2_grpc
from candelabra.v1.inference_pb2 import PredictRequest as Request
from candelabra.v1.inference_pb2 import PredictResponse as Response

METHOD = "/candelabra.v1.Inference/Predict"


class Servicer(inference_pb2_grpc.InferenceServicer):
    """Does what the test wants."""

    def __init__(self) -> None:
        self.act: Callable[[Any, Any], Awaitable[Any]] = self.echo
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def echo(self, request: Any, context: Any) -> Response:
        return Response(id=request.id)

    async def wait(self, request: Any, context: Any) -> Response:
        self.begun.set()
        await self.go_on.wait()
        return Response(id=request.id)

    async def Predict(self, request: Any, context: Any) -> Response:
        answer: Response = await self.act(request, context)
        return answer

    async def PredictStream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Response]:
        async for request in requests:
            yield await self.act(request, context)


class House:
    """A server with doors, and how callers reach it."""

    def __init__(self, max_message_bytes: int, max_calls: int) -> None:
        self.metrics = Metrics()
        layers: list[Layer] = [RequestId(), AccessLog(), Counted(self.metrics)]
        self.doors = Doors(layers, max_message_bytes, max_calls)
        self.health = Health()
        self.servicer = Servicer()

    async def start(self) -> None:
        self.doors.add(health_pb2_grpc.add_HealthServicer_to_server, self.health, always=True)
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((self.doors,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = inference_pb2_grpc.InferenceStub(self.channel)

    def build(self) -> None:
        self.doors.add(inference_pb2_grpc.add_InferenceServicer_to_server, self.servicer)

    def open(self) -> None:
        self.build()
        self.doors.open()

    async def close(self) -> None:
        await self.channel.close()
        await self.server.stop(None)

    def calls(self, code: StatusCode, method: str = "Inference/Predict") -> float:
        labels = {"method": method, "code": code.name}
        return self.metrics.registry.get_sample_value("candelabra_calls_total", labels) or 0.0

    def in_flight(self, method: str = "Inference/Predict") -> float:
        return self.metrics.registry.get_sample_value("candelabra_calls_in_flight", {"method": method}) or 0.0

    async def counted(self, code: StatusCode, method: str = "Inference/Predict") -> None:
        """Returns once the server has counted a call with that code."""
        await until(lambda: self.calls(code, method) > 0)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House(max_message_bytes=1000, max_calls=2)
    await made.start()
    yield made
    await made.close()


async def until(come: Callable[[], bool]) -> None:
    for _ in range(1000):
        if come():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def refused(call: Awaitable[Any]) -> tuple[StatusCode, str, str]:
    """Code, reason and message of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, 10)
    error = caught.value
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())[STATUS_DETAILS])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    await asyncio.sleep(0.05)  # the status goes out before the layers are left: they run in this loop, too
    return error.code(), info.reason, error.details()


async def test_while_starting_calls_are_refused_and_health_answers(house: House) -> None:
    # Before there is a servicer, and after it was built but not opened.
    for _ in range(2):
        code, reason, _ = await refused(house.stub.Predict(Request()))
        assert (code, reason) == (StatusCode.UNAVAILABLE, "STARTING")
        health = await health_pb2_grpc.HealthStub(house.channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
        house.build()
    house.doors.open()
    assert (await house.stub.Predict(Request(id="now"))).id == "now"


async def test_what_is_not_a_method_is_unimplemented(house: House) -> None:
    house.open()
    call = house.channel.unary_unary("/candelabra.v1.Inference/Guess")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is StatusCode.UNIMPLEMENTED
    assert "Inference/Predict" in house.doors.methods()
    assert house.doors.services == ["grpc.health.v1.Health", "candelabra.v1.Inference"]


async def test_draining_refuses_new_calls_and_waits_for_those_under_way(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    under_way = asyncio.ensure_future(house.stub.Predict(Request(id="early")))
    await asyncio.wait_for(house.servicer.begun.wait(), 5)
    drain = asyncio.create_task(house.doors.drain(10))
    await house.doors.draining.wait()
    code, reason, _ = await refused(house.stub.Predict(Request()))
    assert (code, reason) == (StatusCode.UNAVAILABLE, "DRAINING")
    await health_pb2_grpc.HealthStub(house.channel).Check(health_pb2.HealthCheckRequest())
    assert not drain.done()
    house.servicer.go_on.set()
    assert await asyncio.wait_for(drain, 5) is True
    assert (await under_way).id == "early"


async def test_draining_gives_up_after_its_time(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    under_way = asyncio.ensure_future(house.stub.Predict(Request()))
    await asyncio.wait_for(house.servicer.begun.wait(), 5)
    assert await house.doors.drain(0.02) is False
    house.servicer.go_on.set()
    await under_way


async def test_draining_an_empty_house_is_over_at_once(house: House) -> None:
    house.open()
    await house.stub.Predict(Request())
    assert await asyncio.wait_for(house.doors.drain(60), 1) is True


async def test_an_unforeseen_error_is_told_in_full_to_the_log_only(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Any, context: Any) -> Any:
        raise ZeroDivisionError("the secret of the house")

    house.open()
    house.servicer.act = fail
    with caplog.at_level(logging.INFO, "candelabra"):
        call = house.stub.Predict(Request(), metadata=(("x-request-id", "trace-1"),))
        code, reason, message = await refused(call)
    assert (code, reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in message
    assert "ZeroDivision" not in message
    assert "trace-1" in message
    assert "the secret of the house" in caplog.text
    assert any(one.levelno == logging.WARNING and one.name == "candelabra.access" for one in caplog.records)


async def test_an_error_of_ours_keeps_its_reason_and_is_counted(house: House) -> None:
    async def fail(request: Any, context: Any) -> Any:
        raise errors.HeadNotFound("There is no head a/b.", head="a/b")

    house.open()
    house.servicer.act = fail
    assert await refused(house.stub.Predict(Request())) == (
        StatusCode.NOT_FOUND,
        "HEAD_NOT_FOUND",
        "There is no head a/b.",
    )
    await house.counted(StatusCode.NOT_FOUND)
    labels = {"method": "Inference/Predict", "reason": "HEAD_NOT_FOUND"}
    assert house.metrics.registry.get_sample_value("candelabra_call_errors_total", labels) == 1
    assert house.in_flight() == 0
    assert house.doors.in_flight == 0


async def test_what_a_servicer_aborts_itself_is_counted_with_its_code(house: House) -> None:
    async def abort(request: Any, context: Any) -> Any:
        await context.abort(StatusCode.OUT_OF_RANGE, "by hand")

    house.open()
    house.servicer.act = abort
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.Predict(Request())
    assert caught.value.code() is StatusCode.OUT_OF_RANGE
    await house.counted(StatusCode.OUT_OF_RANGE)


async def test_a_call_that_its_caller_cancels_is_counted_so(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    call = house.stub.Predict(Request(), timeout=60)
    await asyncio.wait_for(house.servicer.begun.wait(), 5)
    call.cancel()
    await house.counted(StatusCode.CANCELLED)
    assert house.doors.in_flight == 0


async def test_a_call_whose_deadline_passes_is_counted_so(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.Predict(Request(), timeout=0.1)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    await house.counted(StatusCode.DEADLINE_EXCEEDED)
    assert house.calls(StatusCode.CANCELLED) == 0


async def test_more_calls_than_the_limit_are_refused_at_once(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    first = [asyncio.ensure_future(house.stub.Predict(Request(id=str(i)))) for i in range(2)]
    await until(lambda: house.doors.in_flight == 2)
    code, reason, _ = await refused(house.stub.Predict(Request()))
    assert (code, reason) == (StatusCode.UNAVAILABLE, "QUEUE_FULL")
    # Health is answered however full the house is.
    await health_pb2_grpc.HealthStub(house.channel).Check(health_pb2.HealthCheckRequest())
    house.servicer.go_on.set()
    assert [(await one).id for one in first] == ["0", "1"]
    house.servicer.act = house.servicer.echo
    assert (await house.stub.Predict(Request(id="later"))).id == "later"


@pytest.mark.parametrize(
    ("data", "reason", "code"),
    [
        (b"\xff\xff\xff", "MALFORMED_MESSAGE", StatusCode.INVALID_ARGUMENT),
        (Request(id="??").SerializeToString().replace(b"??", b"\xc3\x28"), "INVALID_UTF8", StatusCode.INVALID_ARGUMENT),
        (b"\x0a" + b"x" * 2000, "MESSAGE_TOO_LARGE", StatusCode.RESOURCE_EXHAUSTED),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_that_cannot_be_read_gets_a_reason(
    house: House, data: bytes, reason: str, code: StatusCode, stream: bool
) -> None:
    house.open()
    if stream:
        streaming = house.channel.stream_stream(f"{METHOD}Stream")

        async def first() -> Any:
            return await streaming(iter([data])).read()

        found = await refused(first())
    else:
        found = await refused(house.channel.unary_unary(METHOD)(data))
    assert found[:2] == (code, reason)


@pytest.mark.parametrize("fails", [False, True])
async def test_the_request_id_comes_back(house: House, fails: bool) -> None:
    async def fail(request: Any, context: Any) -> Any:
        raise errors.NoExamples("None.")

    house.open()
    if fails:
        house.servicer.act = fail
    for sent in ((("x-request-id", "mine"),), ()):
        call = house.stub.Predict(Request(), metadata=sent)
        assert (await call.code() is StatusCode.OK) is not fails
        trailing = await call.trailing_metadata()
        found = [value for key, value in trailing if key == "x-request-id"]
        assert len(found) == 1
        assert found == ["mine"] if sent else len(found[0]) == 32


async def test_a_stream_goes_through_the_same_doors(house: House) -> None:
    house.build()

    async def first() -> Any:
        return await house.stub.PredictStream(iter([Request(id="1")])).read()

    assert (await refused(first()))[1] == "STARTING"
    house.doors.open()
    answers = [answer.id async for answer in house.stub.PredictStream(iter([Request(id="1"), Request(id="2")]))]
    assert answers == ["1", "2"]
    await house.counted(StatusCode.OK, "Inference/PredictStream")
    timed = {"method": "Inference/PredictStream"}
    assert not house.metrics.registry.get_sample_value("candelabra_call_seconds_count", timed)  # streams are not timed
    assert house.doors.in_flight == 0


async def test_a_stream_that_fails_in_the_middle_keeps_what_was_answered(house: House) -> None:
    async def fail_at_two(request: Any, context: Any) -> Any:
        if request.id == "2":
            raise errors.DeadlinePassed("Too late.")
        return Response(id=request.id)

    house.open()
    house.servicer.act = fail_at_two
    call = house.stub.PredictStream(iter([Request(id="1"), Request(id="2"), Request(id="3")]))
    assert (await call.read()).id == "1"
    assert (await refused(call.read()))[:2] == (StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    await house.counted(StatusCode.DEADLINE_EXCEEDED, "Inference/PredictStream")


async def test_a_stream_that_its_caller_leaves_is_counted_as_cancelled(house: House) -> None:
    house.open()
    house.servicer.act = house.servicer.wait
    call = house.stub.PredictStream(iter([Request()]))
    reading = asyncio.ensure_future(call.read())
    await asyncio.wait_for(house.servicer.begun.wait(), 5)
    call.cancel()
    await asyncio.wait([reading])
    await house.counted(StatusCode.CANCELLED, "Inference/PredictStream")
    assert house.doors.in_flight == 0
