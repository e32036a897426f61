"""The table of jobs, as callers see it: accept, show, cancel. What workers do is in queue.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from candelabra.errors import JobNotFound, RequestIdReused, TooManyJobs
from candelabra.registry import datasets, jobrows
from candelabra.registry.examplerows import Batch
from candelabra.registry.paging import page, read_token, size_of, write_token
from candelabra.registry.queue import Beat, JobQueue
from candelabra.registry.schema import event, job
from candelabra.registry.tenants import lock_tenant
from candelabra.types import Example, JobEvent, JobInfo, JobSpec, JobState, OwnedName, Page, Progress

__all__ = ["Beat", "JobTable"]


class JobTable(JobQueue):
    def create(
        self,
        job_id: str,
        spec: JobSpec,
        digest: str,
        examples: Sequence[Example] | None,
        validation: Sequence[Example] | None,
        max_queued: int,
    ) -> tuple[JobInfo, bool]:
        """Accepts a job, together with its inline examples as hidden datasets of the names that the spec gives.

        The second value is False where the tenant's request id has made the job before.
        """
        datasets.check_request_id(spec.request_id)
        inline = [
            (name, Batch.of(rows, ids_once=False))
            for name, rows in ((spec.dataset, examples), (spec.validation, validation))
            if name is not None and rows is not None
        ]
        who = spec.head.tenant
        with self._database.write() as conn:
            lock_tenant(conn, who)
            if before := _made_before(conn, who, spec.request_id, digest):
                return jobrows.to_job(before), False
            _check_room(conn, who, max_queued)
            now = self._database.now(conn)
            for name, batch in inline:
                datasets.hide_away(conn, name, batch, now)
            for needed in (spec.dataset, spec.validation):
                if needed is not None:
                    datasets.find(conn, needed, lock=True)  # so that it is not deleted meanwhile
            return _insert(conn, job_id, spec, digest, now), True

    def get(self, tenant: str, job_id: str) -> JobInfo:
        with self._database.read() as conn:
            return jobrows.to_job(_of_tenant(conn, tenant, job_id))

    def list(
        self,
        tenant: str | None = None,
        head: OwnedName | None = None,
        states: Sequence[JobState] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[JobInfo]:
        """The newest first. No states means all states."""
        size, start = size_of(page_size), read_token(page_token, "jobs", int)
        found = select(job).order_by(job.c.seq.desc()).limit(size + 1)
        if tenant:
            found = found.where(job.c.tenant == tenant)
        if head:
            found = found.where(job.c.tenant == head.tenant, job.c.head == head.name)
        if states:
            found = found.where(job.c.state.in_([state.value for state in states]))
        if start:
            found = found.where(job.c.seq < start[0])
        with self._database.read() as conn:
            rows = conn.execute(found).all()
        shown = page(rows, size, lambda row: write_token("jobs", row.seq))
        return Page(tuple(jobrows.to_job(row) for row in shown.items), shown.next_token)

    def events(self, job_id: str, after: int = 0, limit: int = 1000) -> Sequence[JobEvent]:
        """In their order, only those with a higher sequence than `after`."""
        with self._database.read() as conn:
            found = (
                select(event)
                .join(job, job.c.seq == event.c.job_seq)
                .where(job.c.id == job_id, event.c.sequence > after)
                .order_by(event.c.sequence)
                .limit(limit)
            )
            return [jobrows.to_event(row) for row in conn.execute(found)]

    def cancel(self, tenant: str, job_id: str) -> JobInfo:
        """A waiting job ends at once; a running one is asked to; an ended one is returned as it is."""
        with self._database.write() as conn:
            _of_tenant(conn, tenant, job_id)
            row = jobrows.lock(conn, job_id)
            if row.state == JobState.QUEUED:
                values = {"cancel_requested": True, "failure": jobrows.cancelled(job_id)}
                now = self._database.now(conn)
                return jobrows.move(conn, row, JobState.CANCELLED, now, "Cancelled before it began.", **values)
            if row.state == JobState.RUNNING:
                conn.execute(update(job).where(job.c.seq == row.seq).values(cancel_requested=True))
            return jobrows.fetch(conn, row.seq)

    def counts(self) -> dict[JobState, int]:
        with self._database.read() as conn:
            rows = conn.execute(select(job.c.state, func.count().label("jobs")).group_by(job.c.state)).all()
        found = {row.state: row.jobs for row in rows}
        return {state: found.get(state.value, 0) for state in JobState}


def _of_tenant(conn: Connection, tenant: str, job_id: str) -> Row[Any]:
    row = conn.execute(select(job).where(job.c.tenant == tenant, job.c.id == job_id)).one_or_none()
    if row is None:
        raise JobNotFound(f"There is no job {tenant}/jobs/{job_id}.", job=f"{tenant}/jobs/{job_id}")
    return row


def _made_before(conn: Connection, who: str, request_id: str, digest: str) -> Row[Any] | None:
    if not request_id:
        return None
    found = select(job).where(job.c.tenant == who, job.c.request_id == request_id)
    row = conn.execute(found).one_or_none()
    if row is not None and row.digest != digest:
        raise RequestIdReused(
            f"The request_id {request_id!r} made the job {who}/jobs/{row.id} from another request: use a new one.",
            request_id=request_id,
            job=f"{who}/jobs/{row.id}",
        )
    return row


def _check_room(conn: Connection, who: str, max_queued: int) -> None:
    unended = select(func.count()).where(job.c.tenant == who, job.c.state.in_(datasets.UNENDED))
    count = conn.execute(unended).scalar_one()
    if count >= max_queued:
        raise TooManyJobs(
            f"The tenant {who} has {count} jobs waiting or running, and at most {max_queued} are allowed: wait for one "
            "to end, or raise max_queued_jobs.",
            tenant=who,
            limit="max_queued_jobs",
            maximum=max_queued,
        )


def _insert(conn: Connection, job_id: str, spec: JobSpec, digest: str, now: datetime) -> JobInfo:
    progress = asdict(Progress("queued"))
    names = {"dataset": spec.dataset.name, "validation": spec.validation.name if spec.validation else None}
    conn.execute(
        insert(job).values(
            id=job_id,
            tenant=spec.head.tenant,
            head=spec.head.name,
            request_id=spec.request_id or None,
            digest=digest,
            spec=jobrows.from_spec(spec),
            state=JobState.QUEUED.value,
            attempt=0,
            cancel_requested=False,
            progress=progress,
            events=1,
            created=now,
            version_digest="",
            report={},
            **names,
        )
    )
    row = conn.execute(select(job).where(job.c.id == job_id)).one()
    conn.execute(
        insert(event).values(
            job_seq=row.seq, sequence=1, time=now, state=row.state, progress=progress, message="Waiting for its turn."
        )
    )
    return jobrows.to_job(row)
