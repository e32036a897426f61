"""Runs jobs: claim one, encode its examples behind the Predict traffic, train elsewhere, publish."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from candelabra import errors
from candelabra.adapt import assignment
from candelabra.adapt.assignment import Outcome
from candelabra.adapt.keeper import KINDS, Keeper, Loan
from candelabra.adapt.preparation import Preparation
from candelabra.adapt.process import TrainerProcess
from candelabra.adapt.reporter import Reporter
from candelabra.adapt.service import Jobs
from candelabra.adapt.work import Work
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore
from candelabra.metrics import Metrics
from candelabra.registry.registry import Registry
from candelabra.settings import Settings
from candelabra.types import (
    BackboneInfo,
    Failure,
    JobInfo,
    JobState,
    Progress,
    VersionDraft,
)

LOG = logging.getLogger("candelabra.adapt")
IDLE_SECONDS = 1.0
BEATS_A_LEASE = 10


@dataclass(slots=True)
class Worker:
    """One job at a time, in one training process. A server has as many workers as the setting `trainers`."""

    owner: str
    registry: Registry
    jobs: Jobs
    store: HeadStore
    shelf: Shelf
    preparation: Preparation
    keeper: Keeper
    backbone: BackboneInfo
    trainer: TrainerProcess
    settings: Settings
    metrics: Metrics

    async def run(self) -> None:
        """Until cancelled. A job under way stays with its owner, who puts it back in the queue."""
        try:
            while True:
                job = await self._claim()
                if job is None:
                    await self.jobs.asked.wait(IDLE_SECONDS)
                else:
                    await self._try(job)
        finally:
            await self.trainer.stop()

    async def _claim(self) -> JobInfo | None:
        """Takes a job only when the trainer is warm: a start that could not even begin to train would count as one."""
        try:
            await self.trainer.start()
            return await asyncio.to_thread(self.registry.jobs.claim, self.owner, self.settings.job_lease_seconds)
        except Exception:
            LOG.exception("could not take a job; trying again")
            await asyncio.sleep(IDLE_SECONDS)
            return None

    async def _try(self, job: JobInfo) -> None:
        """A worker outlives what goes wrong at the end of a job, such as a database that is away."""
        try:
            await self._run(job)
        except Exception:
            LOG.exception("could not end a job; it starts again when its lease has run out", extra={"job": job.name})

    async def _run(self, job: JobInfo) -> None:
        """One job from claim to end; whatever goes wrong in it ends with it."""
        LOG.info("job started", extra={"job": job.name, "head": str(job.spec.head), "attempt": job.attempt})
        began = time.perf_counter()
        doing = asyncio.create_task(self._do(job))
        beating = asyncio.create_task(self._beat(job))
        try:
            await asyncio.wait((doing, beating), return_when=asyncio.FIRST_COMPLETED)
        finally:
            doing.cancel()
            beating.cancel()
            await asyncio.gather(doing, beating, return_exceptions=True)
        await self._settle(job, doing)
        self.metrics.adapt_seconds.labels(job.spec.method.value).observe(time.perf_counter() - began)
        self.jobs.happened.beat()

    async def _beat(self, job: JobInfo) -> None:
        """Keeps the lease; returns when the job was cancelled or is not ours any more."""
        lease = self.settings.job_lease_seconds
        while True:
            await self.jobs.asked.wait(lease / BEATS_A_LEASE)
            try:
                beat = await asyncio.to_thread(self.registry.jobs.heartbeat, job.id, self.owner, lease)
            except Exception:
                LOG.exception("could not renew the lease of a job; trying again", extra={"job": job.name})
                continue
            if beat.cancel or not beat.owned:
                return

    async def _settle(self, job: JobInfo, doing: asyncio.Task[None]) -> None:
        """Writes the end of a job that did not publish."""
        extra = {"job": job.name}
        if doing.cancelled():
            state, failure = JobState.CANCELLED, Failure("CANCELLED", "The job was cancelled.")
        elif (error := doing.exception()) is None:
            return
        elif isinstance(error, errors.JobTakenOver):
            LOG.warning("another server has taken the job over", extra=extra)
            return
        elif isinstance(error, errors.Error):
            LOG.warning("job failed", extra={**extra, "reason": error.reason, "error": error.message})
            state, failure = JobState.FAILED, Failure(error.reason, error.message, error.metadata)
        else:
            LOG.error("job failed in an unforeseen way", exc_info=error, extra=extra)
            message = "Something went wrong inside the server; its log tells more."
            state, failure = JobState.FAILED, Failure("INTERNAL", message)
        try:
            now = await asyncio.to_thread(self.registry.jobs.get, job.spec.head.tenant, job.id)
            if not now.state.ended:
                await asyncio.to_thread(self.registry.jobs.finish, job.id, self.owner, state, failure, {})
        except errors.JobTakenOver:
            LOG.warning("another server has taken the job over", extra=extra)
        await asyncio.to_thread(shutil.rmtree, self._folder(job), True)

    async def _do(self, job: JobInfo) -> None:
        if job.attempt > self.settings.job_attempts:
            raise errors.JobAbandoned(
                f"The job was started {job.attempt - 1} times and never reached its end; it is given up. The server's "
                "log of those times tells why.",
                attempts=job.attempt - 1,
            )
        folder = self._folder(job)
        await asyncio.to_thread(shutil.rmtree, folder, True)
        folder.mkdir(parents=True)
        reporter = Reporter(lambda now: self.registry.jobs.progress(job.id, self.owner, now), self.jobs.happened.beat)
        try:
            work = Work(job, *self.jobs.task_of(job.spec.domain, job.spec.task), folder, reporter)
            loan = await asyncio.to_thread(self._lend, work)
            data = await self.preparation.run(work)
            outcome = await self._train(work)
        finally:
            await reporter.close()
        publishing = asyncio.create_task(self._publish(work, data, outcome, loan))
        try:
            await asyncio.shield(publishing)
        except asyncio.CancelledError:
            await publishing  # half a publication is none: let it end
            raise

    def _lend(self, work: Work) -> Loan | None:
        """What earlier trainings left; nothing for examples that came inside the job, which no other will read."""
        dataset = work.job.spec.dataset
        if work.task.kind not in KINDS or dataset.name == f"job-{work.job.id}":
            return None
        return self.keeper.lend(dataset, work.folder / assignment.KEPT)

    async def _train(self, work: Work) -> Outcome:
        work.reporter.say(Progress("train"))
        await self.trainer.train(work.folder, self.settings.job_timeout_seconds, work.reporter.say)
        return await asyncio.to_thread(assignment.load_outcome, work.folder)

    async def _publish(self, work: Work, data: dict[str, object], outcome: Outcome, loan: Loan | None) -> None:
        """Files first, then one transaction, then memory: a crash in between leaves an orphan file and no lie."""
        job, spec = work.job, work.job.spec
        began = time.perf_counter()
        head = await asyncio.to_thread(Head.from_bytes, outcome.head)
        digest = await asyncio.to_thread(self.store.put, outcome.head)
        await asyncio.to_thread(self.store.put_evidence, digest, outcome.evidence)
        gate = outcome.report["gate"]
        assert isinstance(gate, dict)
        accepted = bool(gate["accepted"] or gate["forced"])
        alias = spec.alias if accepted and spec.promote else None
        seconds = dict(work.reporter.seconds)
        seconds["total"] = sum(work.reporter.seconds.values()) + time.perf_counter() - began
        draft = VersionDraft(
            head=spec.head,
            digest=digest,
            backbone=self.backbone.fingerprint,
            domain=spec.domain,
            task=spec.task,
            kind=head.task_kind,
            method=spec.method.value,
            labels=head.labels,
            bytes=len(outcome.head),
            accepted=accepted,
            dataset=str(spec.dataset),
            dataset_rows=spec.dataset_rows,
            job=job.name,
            report={**outcome.report, "data": data, "seconds": seconds},
        )
        state = JobState.SUCCEEDED if accepted else JobState.REJECTED
        failure = None if accepted else Failure(errors.GateRefused.reason, str(gate["reason"]))
        version, _ = await asyncio.to_thread(
            self.registry.jobs.publish, job.id, self.owner, draft, alias, state, failure
        )
        self.shelf.publish(version, alias, head)
        if alias:
            self.metrics.alias_moves.inc()
        for phase, spent in work.reporter.seconds.items():
            self.metrics.adapt_phase_seconds.labels(phase).inc(spent)
        LOG.info("job ended", extra={"job": job.name, "state": state.value, "version": version.name})
        self.jobs.happened.beat()
        if loan is not None:
            await asyncio.to_thread(self.keeper.take_back, loan)
        await asyncio.to_thread(shutil.rmtree, work.folder, True)

    def _folder(self, job: JobInfo) -> Path:
        return self.settings.data / "work" / job.id
