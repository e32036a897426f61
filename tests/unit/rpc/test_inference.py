"""Streams of Predict: answers in the order of the requests, errors in their place, an end when the server drains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import numpy as np
import pytest

from candelabra import errors
from candelabra.engine.tokenizer import Tokens
from candelabra.metrics import Metrics
from candelabra.predict import Answers, Details, Predict, Timings, Vectors
from candelabra.rpc.inference import STREAM_WINDOW, Inference
from candelabra.testing import TinyEncoder
from candelabra.types import Input, LongText, Slot
from candelabra.v1 import common_pb2, inference_pb2
from candelabra.v1.inference_pb2 import PredictRequest as Request
from candelabra.v1.inference_pb2 import PredictResponse as Response

TIMINGS = Timings(0, 0, 0, 0, 0)


class Slow:
    """A Predict that takes as long as the text says, or fails as it says."""

    def __init__(self) -> None:
        self.backbone = TinyEncoder().info
        self.running = self.most = 0
        self.cancelled = 0
        self.deadlines: list[float] = []
        self.embedded: tuple[Any, ...] = ()

    async def __call__(
        self, inputs: Sequence[Input], heads: Sequence[str], top_k: int, deadline: float, details: Details
    ) -> Answers:
        texts = [one.text for one in inputs]
        self.details = details
        self.deadlines.append(deadline)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if texts[0] == "refuse":
                raise errors.HeadNotFound("No such head.")
            if texts[0] == "break":
                raise ZeroDivisionError("a secret")
            await asyncio.sleep(float(texts[0]))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return Answers([], [[] for _ in inputs], TIMINGS)

    async def embed(self, *args: Any) -> Vectors:
        self.embedded = args
        return Vectors(np.ones((1, 16), np.float32), [Tokens((np.array([1]),), True, 1)], TIMINGS)


class Context:
    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds

    def time_remaining(self) -> float | None:
        return self.seconds


class House:
    def __init__(self) -> None:
        self.slow = Slow()
        self.draining = asyncio.Event()
        self.service = Inference(cast(Predict, self.slow), Metrics(), self.draining, default_deadline=60.0)

    def stream(self, *texts: str, hold: asyncio.Event | None = None) -> AsyncIterator[Response]:
        async def requests() -> AsyncIterator[Request]:
            for index, text in enumerate(texts):
                yield Request(id=str(index), inputs=[inference_pb2.Input(text=text)])
            if hold:
                await hold.wait()

        return self.service.PredictStream(requests(), Context())


@pytest.fixture
async def house() -> House:
    return House()


async def test_answers_keep_the_order_although_the_last_is_ready_first(house: House) -> None:
    began = time.perf_counter()
    answers = [answer.id async for answer in house.stream("0.2", "0.1", "0.2", "0")]
    assert answers == ["0", "1", "2", "3"]
    assert house.slow.most > 1
    assert time.perf_counter() - began < 0.45  # one after the other they would take 0.5


async def test_a_request_that_fails_has_its_error_in_its_place(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answers = [answer async for answer in house.stream("0.05", "refuse", "break", "0")]
    assert [answer.error.reason for answer in answers] == ["", "HEAD_NOT_FOUND", "INTERNAL", ""]
    assert [answer.id for answer in answers] == ["0", "1", "2", "3"]
    assert "secret" not in answers[2].error.message
    assert "a secret" in caplog.text


async def test_no_more_than_a_window_is_worked_on_at_once(house: House) -> None:
    answers = [answer async for answer in house.stream(*["0.01"] * (3 * STREAM_WINDOW))]
    assert len(answers) == 3 * STREAM_WINDOW
    assert 1 < house.slow.most <= STREAM_WINDOW + 2  # one is being awaited, one waits to be put in


async def test_draining_answers_what_came_and_then_ends_the_stream(house: House) -> None:
    answers = house.stream("0.05", hold=asyncio.Event())
    assert (await anext(answers)).id == "0"
    house.draining.set()
    with pytest.raises(errors.Draining):
        await asyncio.wait_for(anext(answers), 5)


async def test_a_caller_that_leaves_stops_its_requests(house: House) -> None:
    answers = house.stream("0", "30", "30", hold=asyncio.Event())
    await anext(answers)
    waiting = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0.02)
    assert house.slow.cancelled == 2
    assert house.slow.running == 0


async def test_a_call_without_deadline_gets_the_default(house: House) -> None:
    request = Request(inputs=[inference_pb2.Input(text="0")])
    for context, seconds in ((Context(), 60.0), (Context(2.0), 2.0)):
        await house.service.Predict(request, context)
        assert abs(house.slow.deadlines[-1] - time.monotonic() - seconds) < 0.5


async def test_embed_reads_its_defaults_from_the_backbone(house: House) -> None:
    inputs = [inference_pb2.Input(text="x")]
    await house.service.Embed(inference_pb2.EmbedRequest(inputs=inputs), Context())
    assert house.slow.embedded[1:5] == (Slot(2, "mean"), LongText.TRUNCATE, "", False)
    asked = inference_pb2.EmbedRequest(
        inputs=inputs, layer=0, pooling="cls", tenant="acme", normalize=True, long_text=common_pb2.WINDOWS
    )
    answer = await house.service.Embed(asked, Context())
    assert house.slow.embedded[1:5] == (Slot(0, "cls"), LongText.WINDOWS, "acme", True)
    assert answer.embeddings[0].truncated
    with pytest.raises(errors.InvalidArgument, match="pooling"):
        await house.service.Embed(inference_pb2.EmbedRequest(inputs=inputs, pooling="max"), Context())
    with pytest.raises(errors.InvalidName):
        await house.service.Embed(inference_pb2.EmbedRequest(inputs=inputs, tenant="A B"), Context())
