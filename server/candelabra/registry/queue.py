"""Jobs as workers see them: claim one, keep its lease, tell how far it is, end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from candelabra.errors import Internal
from candelabra.registry import jobrows, versions
from candelabra.registry.database import Database
from candelabra.registry.schema import job
from candelabra.types import (
    Failure,
    JobEvent,
    JobInfo,
    JobState,
    Progress,
    VersionDraft,
    VersionInfo,
)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker learns from its heartbeat: not `owned` means stop and write nothing; `cancel` means end the job."""

    owned: bool
    cancel: bool = False


class JobQueue:
    """An owner is a worker's name, unique among all workers of all servers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, owner: str, lease_seconds: float) -> JobInfo | None:
        """The next job for this owner: of the tenant with the fewest running, the oldest.

        A job whose owner fell silent counts as waiting. No two claims get the same job.
        """
        with self._database.write() as conn:
            now = self._database.now(conn)
            while (row := conn.execute(_next(now)).one_or_none()) is not None:
                if row.cancel_requested:
                    _cancel(conn, row, now)
                    continue
                if row.state == JobState.RUNNING:
                    jobrows.move(conn, row, JobState.QUEUED, now, f"{row.owner} fell silent.")
                    row = jobrows.lock(conn, row.id)
                attempt = row.attempt + 1
                message = "Started." if attempt == 1 else f"Started again, for the {attempt}th time."
                values = {"attempt": attempt, "owner": owner, "lease": now + timedelta(seconds=lease_seconds)}
                started = row.started or now
                return jobrows.move(conn, row, JobState.RUNNING, now, message, started=started, **values)
        return None

    def heartbeat(self, job_id: str, owner: str, lease_seconds: float) -> Beat:
        with self._database.write() as conn:
            lease = self._database.now(conn) + timedelta(seconds=lease_seconds)
            mine = and_(job.c.id == job_id, job.c.owner == owner, job.c.state == JobState.RUNNING.value)
            if conn.execute(update(job).where(mine).values(lease=lease)).rowcount == 0:
                return Beat(owned=False)
            return Beat(True, bool(conn.execute(select(job.c.cancel_requested).where(mine)).scalar_one()))

    def progress(self, job_id: str, owner: str, progress: Progress, message: str = "") -> JobEvent:
        with self._database.write() as conn:
            row = jobrows.lock_own(conn, job_id, owner)
            if row.state != JobState.RUNNING:
                raise Internal(f"The job {job_id} is {row.state} and cannot progress: this is a bug.", job=job_id)
            return jobrows.note(conn, row, JobState.RUNNING, progress, message, self._database.now(conn))

    def finish(
        self,
        job_id: str,
        owner: str,
        state: JobState,
        failure: Failure | None = None,
        report: Mapping[str, object] | None = None,
    ) -> JobInfo:
        """Ends a job that makes no version. Again with the same state, it gives the job as it ended."""
        with self._database.write() as conn:
            row = jobrows.lock_own(conn, job_id, owner)
            if row.state == state and state.ended:
                return jobrows.to_job(row)
            values = {"failure": _failure(failure), "report": dict(report or {})}
            return jobrows.move(conn, row, state, self._database.now(conn), _last_words(failure), **values)

    def publish(
        self,
        job_id: str,
        owner: str,
        draft: VersionDraft,
        alias: str | None,
        state: JobState,
        failure: Failure | None = None,
    ) -> tuple[VersionInfo, JobInfo]:
        """In one transaction: the version exists, the alias (if any) points at it, and the job has ended.

        A job makes at most one version: again, this gives the one that it made.
        """
        with self._database.write() as conn:
            # First the change, then the job: everyone who takes both locks takes them in this order.
            change = versions.count_change(conn)
            row = jobrows.lock_own(conn, job_id, owner)
            if row.version is not None:
                owner_of_version = versions.find_head(conn, draft.head)
                made = versions.find_version(conn, owner_of_version, row.version, report=True)
                return made, jobrows.to_job(row)
            now = self._database.now(conn)
            made = versions.add_version(conn, change, draft, alias, now)
            values = {"version": made.version, "version_digest": made.digest, "report": dict(draft.report)}
            message = _last_words(failure) or f"Made {made.name}."
            return made, jobrows.move(conn, row, state, now, message, failure=_failure(failure), **values)

    def requeue(self, owner: str) -> int:
        """Puts an owner's running jobs back into the queue; those asked to stop end as cancelled."""
        with self._database.write() as conn:
            now = self._database.now(conn)
            running = select(job).where(job.c.owner == owner, job.c.state == JobState.RUNNING.value)
            back = 0
            for row in conn.execute(running.order_by(job.c.seq).with_for_update()).all():
                if row.cancel_requested:
                    _cancel(conn, row, now)
                else:
                    jobrows.move(conn, row, JobState.QUEUED, now, "Its server stopped.", owner=None, lease=None)
                    back += 1
            return back


def send_back(conn: Connection, tenant: str, datasets: Sequence[str], now: datetime) -> int:
    """Puts running jobs that read one of the datasets back into the queue, for their rows are not what they were.

    Waiting ones are locked too: a claim passes them over until the transaction ends. Their workers learn of it at the
    next heartbeat, and cannot publish any more.
    """
    reads = job.c.dataset.in_(datasets) | job.c.validation.in_(datasets)
    unended = job.c.state.in_([state.value for state in JobState if not state.ended])
    found = select(job).where(job.c.tenant == tenant, reads, unended).order_by(job.c.seq).with_for_update()
    back = 0
    for row in conn.execute(found).all():
        if row.state == JobState.RUNNING and row.cancel_requested:
            _cancel(conn, row, now)
        elif row.state == JobState.RUNNING:
            values = {"owner": None, "lease": None, "attempt": row.attempt - 1}
            jobrows.move(conn, row, JobState.QUEUED, now, "Rows of its examples were forgotten.", **values)
            back += 1
    return back


def _next(now: datetime) -> Select[Any]:
    queued, running = job.c.state == JobState.QUEUED.value, job.c.state == JobState.RUNNING.value
    busy = (
        select(job.c.tenant, func.count().label("jobs"))
        .where(running, job.c.lease > now)
        .group_by(job.c.tenant)
        .subquery()
    )
    return (
        select(job)
        .outerjoin(busy, busy.c.tenant == job.c.tenant)
        .where(or_(and_(queued, job.c.cancel_requested.is_(False)), and_(running, job.c.lease <= now)))
        .order_by(func.coalesce(busy.c.jobs, 0), job.c.seq)
        .limit(1)
        .with_for_update(of=job, skip_locked=True)
    )


def _cancel(conn: Any, row: Row[Any], now: datetime) -> None:
    values = {"failure": jobrows.cancelled(row.id)}
    jobrows.move(conn, row, JobState.CANCELLED, now, "Cancelled; its worker had gone.", **values)


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    return None if failure is None else {**asdict(failure), "metadata": dict(failure.metadata)}


def _last_words(failure: Failure | None) -> str:
    return failure.message if failure else ""
