"""Jobs as rows: to types and back, and the one function that moves a job from state to state."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from candelabra.errors import Internal, JobNotFound, JobTakenOver
from candelabra.registry.schema import event, job
from candelabra.types import MOVES, Failure, JobEvent, JobInfo, JobSpec, JobState, Method, OwnedName, Progress


def from_spec(spec: JobSpec) -> dict[str, Any]:
    names = {"head": str(spec.head), "dataset": str(spec.dataset)}
    validation = str(spec.validation) if spec.validation else None
    return {**asdict(spec), **names, "validation": validation, "method": spec.method.value}


def to_spec(made: dict[str, Any]) -> JobSpec:
    validation = _owned(made["validation"]) if made["validation"] else None
    names = {"head": _owned(made["head"]), "dataset": _owned(made["dataset"]), "validation": validation}
    return JobSpec(**{**made, **names, "method": Method(made["method"])})


def to_job(row: Row[Any]) -> JobInfo:
    return JobInfo(
        id=row.id,
        spec=to_spec(row.spec),
        state=JobState(row.state),
        progress=Progress(**row.progress),
        created=row.created,
        started=row.started,
        ended=row.ended,
        attempt=row.attempt,
        cancel_requested=row.cancel_requested,
        version=row.version,
        digest=row.version_digest,
        report=row.report,
        failure=Failure(**row.failure) if row.failure else None,
    )


def to_event(row: Row[Any]) -> JobEvent:
    return JobEvent(row.sequence, row.time, JobState(row.state), Progress(**row.progress), row.message)


def lock(conn: Connection, job_id: str) -> Row[Any]:
    """The job's row, which nobody else changes until the transaction ends."""
    row = conn.execute(select(job).where(job.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise JobNotFound(f"There is no job {job_id!r}.", job=job_id)
    return row


def lock_own(conn: Connection, job_id: str, owner: str) -> Row[Any]:
    row = lock(conn, job_id)
    if row.owner != owner:
        raise JobTakenOver(
            f"The job {job_id} does not belong to {owner!r} any more: its lease ran out and it went back to the queue.",
            job=job_id,
            owner=owner,
        )
    return row


def fetch(conn: Connection, seq: int) -> JobInfo:
    return to_job(conn.execute(select(job).where(job.c.seq == seq)).one())


def move(conn: Connection, row: Row[Any], state: JobState, now: datetime, message: str, **values: Any) -> JobInfo:
    """The only way in which a job changes its state. The row must be locked."""
    if state not in MOVES[JobState(row.state)]:
        raise Internal(f"The job {row.id} cannot go from {row.state} to {state.value}: this is a bug.", job=row.id)
    progress = Progress("done" if state.ended else "queued")
    if state.ended:
        values |= {"ended": now, "lease": None}
    note(conn, row, state, progress, message, now, state=state.value, **values)
    return fetch(conn, row.seq)


def note(
    conn: Connection, row: Row[Any], at: JobState, progress: Progress, message: str, now: datetime, **values: Any
) -> JobEvent:
    """Appends an event, and puts its progress and `values` into the job. The row must be locked."""
    made = JobEvent(row.events + 1, now, at, progress, message)
    shown = asdict(progress)
    conn.execute(update(job).where(job.c.seq == row.seq).values(events=made.sequence, progress=shown, **values))
    conn.execute(
        insert(event).values(
            job_seq=row.seq, sequence=made.sequence, time=now, state=at.value, progress=shown, message=message
        )
    )
    return made


def cancelled(job_id: str) -> dict[str, Any]:
    return {"reason": "CANCELLED", "message": f"The job {job_id} was cancelled on request.", "metadata": {}}


def _owned(text: str) -> OwnedName:
    tenant, _, name = text.partition("/")
    return OwnedName(tenant, name)
