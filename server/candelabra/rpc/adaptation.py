"""Adaptation: Adapt, GetJob, ListJobs, WatchJob, CancelJob, Advise."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from candelabra.adapt.advising import Advised, Advising, Wish
from candelabra.adapt.service import Ask, Jobs
from candelabra.rpc import care, convert
from candelabra.rpc.examples import examples
from candelabra.types import OwnedName, check_name
from candelabra.v1 import adaptation_pb2, adaptation_pb2_grpc

ANSWER_BEFORE_DEADLINE = 0.5  # seconds kept to send the job before the caller's deadline


class Adaptation(adaptation_pb2_grpc.AdaptationServicer):
    def __init__(self, jobs: Jobs, advising: Advising) -> None:
        self.jobs = jobs
        self.advising = advising

    async def Adapt(self, request: adaptation_pb2.AdaptRequest, context: Any) -> adaptation_pb2.AdaptJob:
        inline = request.WhichOneof("source") == "examples"
        ask = Ask(
            head=OwnedName.parse(request.head),
            domain=request.domain,
            task=request.task,
            method=convert.method(request.method),
            options=convert.options(request),
            examples=examples(request.examples.examples) if inline else None,
            dataset=OwnedName.parse(request.dataset, "dataset") if request.dataset else None,
            validation=examples(request.validation.examples) or None,
            alias=request.alias,
            promote=not request.no_promote,
            force=request.force,
            seed=request.seed,
            request_id=request.request_id,
            gate=convert.gate(request.gate),
            strict=request.strict,
            label_descriptions=dict(request.label_descriptions),
            budget_seconds=request.budget_seconds,
            self_training=request.self_training,
        )
        job = await self.jobs.start(ask)
        if request.wait:
            left = context.time_remaining()
            job = await self.jobs.wait(job, None if left is None else left - ANSWER_BEFORE_DEADLINE)
        return convert.job(job)

    async def GetJob(self, request: adaptation_pb2.GetJobRequest, context: Any) -> adaptation_pb2.AdaptJob:
        return convert.job(await self.jobs.get(request.name))

    async def ListJobs(self, request: adaptation_pb2.ListJobsRequest, context: Any) -> adaptation_pb2.ListJobsResponse:
        page = await self.jobs.list(
            check_name("tenant", request.tenant) if request.tenant else None,
            OwnedName.parse(request.head) if request.head else None,
            convert.states(request.states),
            request.page_size,
            request.page_token,
        )
        return adaptation_pb2.ListJobsResponse(
            jobs=[convert.job(job) for job in page.items], next_page_token=page.next_token
        )

    async def WatchJob(
        self, request: adaptation_pb2.WatchJobRequest, context: Any
    ) -> AsyncIterator[adaptation_pb2.JobEvent]:
        async for event, ended in self.jobs.watch(request.name, request.after):
            yield convert.job_event(event, ended)

    async def CancelJob(self, request: adaptation_pb2.CancelJobRequest, context: Any) -> adaptation_pb2.AdaptJob:
        return convert.job(await self.jobs.cancel(request.name))

    async def Advise(
        self, request: adaptation_pb2.AdviseRequest, context: Any
    ) -> AsyncIterator[adaptation_pb2.AdviseResponse]:
        inline = request.WhichOneof("source") == "examples"
        wish = Wish(
            examples=examples(request.examples.examples) if inline else None,
            dataset=OwnedName.parse(request.dataset, "dataset") if request.dataset else None,
            domain=request.domain,
            task=request.task,
            backbones=list(request.backbones),
            max_examples=request.max_examples,
        )
        # Closed here and now: a caller that leaves must not keep the process running until garbage is collected.
        async with contextlib.aclosing(self.advising(wish)) as told:
            async for one in told:
                if isinstance(one, Advised):
                    yield adaptation_pb2.AdviseResponse(advice=care.advice(one))
                else:
                    yield adaptation_pb2.AdviseResponse(progress=convert.progress(one))
