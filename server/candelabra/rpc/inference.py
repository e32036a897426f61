"""Inference: Predict, PredictStream, Embed, GetBackbone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Literal

from candelabra import errors
from candelabra.metrics import Metrics
from candelabra.predict import Answers, Details, Predict, Timings
from candelabra.rpc import answers, convert
from candelabra.rpc.examples import inputs
from candelabra.types import LongText, Slot, check_name
from candelabra.v1 import inference_pb2, inference_pb2_grpc

LOG = logging.getLogger("candelabra.rpc")
STREAM_WINDOW = 32  # requests of one stream that are worked on at the same time


class Inference(inference_pb2_grpc.InferenceServicer):
    def __init__(self, predict: Predict, metrics: Metrics, draining: asyncio.Event, default_deadline: float) -> None:
        self.predict = predict
        self.metrics = metrics
        self.draining = draining
        self.default_deadline = default_deadline

    async def Predict(self, request: inference_pb2.PredictRequest, context: Any) -> inference_pb2.PredictResponse:
        return await self._answer(request, self._deadline(context))

    async def PredictStream(
        self, requests: AsyncIterator[inference_pb2.PredictRequest], context: Any
    ) -> AsyncIterator[inference_pb2.PredictResponse]:
        pending: asyncio.Queue[asyncio.Task[inference_pb2.PredictResponse] | BaseException | None]
        pending = asyncio.Queue(STREAM_WINDOW)
        reader = asyncio.create_task(self._read(requests, pending, context))
        try:
            while (answer := await pending.get()) is not None:
                if isinstance(answer, BaseException):
                    raise answer
                yield await answer
        finally:
            reader.cancel()
            while not pending.empty():
                if isinstance(left := pending.get_nowait(), asyncio.Task):
                    left.cancel()

    async def Embed(self, request: inference_pb2.EmbedRequest, context: Any) -> inference_pb2.EmbedResponse:
        info = self.predict.backbone
        layer = request.layer if request.HasField("layer") else info.layers
        slot = Slot(layer, _pooling(request.pooling))
        tenant = check_name("tenant", request.tenant) if request.tenant else ""
        long_text = convert.LONG_TEXT_OF.get(request.long_text, LongText.TRUNCATE)
        vectors = await self.predict.embed(
            [one.text for one in request.inputs], slot, long_text, tenant, request.normalize, self._deadline(context)
        )
        self._observe(vectors.timings)
        self.metrics.truncated.inc(sum(tokens.truncated for tokens in vectors.tokens))
        return answers.embed_response(vectors, info.fingerprint)

    async def GetBackbone(self, request: inference_pb2.GetBackboneRequest, context: Any) -> inference_pb2.Backbone:
        return convert.backbone(self.predict.backbone)

    async def _answer(self, request: inference_pb2.PredictRequest, deadline: float) -> inference_pb2.PredictResponse:
        details = Details(request.details.coverage, request.details.outside)
        asked = inputs(request.inputs)
        given = await self.predict(asked, request.heads, request.top_k, deadline, details)
        self._count(given)
        fingerprint = self.predict.backbone.fingerprint
        return answers.predict_response(request.id, given, asked, fingerprint, details.coverage)

    async def _answer_in_stream(
        self, request: inference_pb2.PredictRequest, deadline: float
    ) -> inference_pb2.PredictResponse:
        try:
            return await self._answer(request, deadline)
        except errors.Error as error:
            return answers.stream_error(request.id, error)
        except Exception:
            LOG.exception("a request of a stream failed in an unforeseen way")
            return answers.stream_error(request.id, errors.Internal("Something went wrong inside the server."))

    async def _read(self, requests: AsyncIterator[inference_pb2.PredictRequest], pending: Any, context: Any) -> None:
        """Starts an answer for every request, in order, until the caller or the server is done."""
        drained = asyncio.create_task(self.draining.wait())
        source = aiter(requests)
        try:
            while True:
                coming = asyncio.ensure_future(anext(source))
                await asyncio.wait((coming, drained), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    await pending.put(errors.Draining("The server is shutting down: go on with another one."))
                    return
                request = coming.result()
                await pending.put(asyncio.create_task(self._answer_in_stream(request, self._deadline(context))))
        except StopAsyncIteration:
            await pending.put(None)
        except Exception as error:
            await pending.put(error)
        finally:
            drained.cancel()

    def _deadline(self, context: Any) -> float:
        left = context.time_remaining()
        return time.monotonic() + (self.default_deadline if left is None else left)

    def _observe(self, timings: Timings) -> None:
        stages = self.metrics.stage_seconds
        stages.labels("tokenize").observe(timings.tokenize)
        stages.labels("queue").observe(timings.queue)
        stages.labels("encode").observe(timings.encode)
        stages.labels("head").observe(timings.head)

    def _count(self, given: Answers) -> None:
        self._observe(given.timings)
        for domain, heads in Counter(version.domain for version in given.versions).items():
            self.metrics.predictions.labels(domain).inc(heads * len(given.rows))
        if truncated := sum(any(answer.tokens.truncated for answer in row) for row in given.rows):
            self.metrics.truncated.inc(truncated)


def _pooling(word: str) -> Literal["mean", "cls"]:
    if word in ("", "mean"):
        return "mean"
    if word == "cls":
        return "cls"
    raise errors.InvalidArgument(f"The pooling {word[:40]!r} is unknown: use mean or cls.", field="pooling")
