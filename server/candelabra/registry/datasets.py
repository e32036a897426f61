"""The table of datasets: labelled examples of a tenant, appended to, read from the first row on, and forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from candelabra.errors import (
    DatasetInUse,
    DatasetNotFound,
    Internal,
    InvalidArgument,
    LimitExceeded,
    RequestIdReused,
)
from candelabra.registry.database import Database
from candelabra.registry.examplerows import Batch, duplicate, to_example
from candelabra.registry.forgetting import Forgetting, Forgotten, Request, forget, tombstones
from candelabra.registry.paging import page, read_token, size_of, write_token
from candelabra.registry.schema import append, dataset, example, job
from candelabra.registry.tenants import lock_tenant
from candelabra.types import DatasetInfo, Example, JobState, OwnedName, Page

CHUNK = 1000
REQUEST_ID_LIMIT = 200
UNENDED = [state.value for state in JobState if not state.ended]


class DatasetTable:
    """Hidden datasets hold the examples that came inside an Adapt: they can be read and deleted by name, are not
    listed, and nothing can be appended to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, name: OwnedName, examples: Iterable[Example], request_id: str = "", max_rows: int = 2**62
    ) -> tuple[DatasetInfo, int]:
        """Appends all or nothing; gives the dataset as it then is, and the number of rows appended.

        A request id appends once: again, with the same examples, it gives the same answer as before.
        """
        check_request_id(request_id)
        batch = Batch.of(islice(examples, max_rows + 1))
        with self._database.write() as conn:
            now = self._database.now(conn)
            row = _row_to_append_to(conn, name, now, sqlite=self._database.is_sqlite)
            if request_id and (answer := _answered(conn, row, request_id, batch)):
                return answer
            if row.rows + len(batch.rows) > max_rows:
                raise LimitExceeded(
                    f"The dataset {name} would have more than {max_rows} rows: start another dataset, or raise "
                    "max_dataset_rows.",
                    limit="max_dataset_rows",
                    maximum=max_rows,
                    actual=row.rows + len(batch.rows),
                )
            info = _extend(conn, row, batch, now)
            if request_id:
                _remember(conn, row.id, request_id, batch, info)
            return info, len(batch.rows)

    def get(self, name: OwnedName) -> DatasetInfo:
        with self._database.read() as conn:
            return _info(find(conn, name))

    def list(self, tenant: str | None = None, page_size: int = 0, page_token: str = "") -> Page[DatasetInfo]:
        """By tenant and name, without hidden ones."""
        size, start = size_of(page_size), read_token(page_token, "datasets", str, str)
        found = select(dataset).where(dataset.c.hidden.is_(False)).order_by(dataset.c.tenant, dataset.c.name)
        if tenant:
            found = found.where(dataset.c.tenant == tenant)
        if start:
            after_name = (dataset.c.tenant == start[0]) & (dataset.c.name > start[1])
            found = found.where((dataset.c.tenant > start[0]) | after_name)
        with self._database.read() as conn:
            items = [_info(row) for row in conn.execute(found.limit(size + 1))]
        return page(items, size, lambda item: write_token("datasets", item.name.tenant, item.name.name))

    def delete(self, name: OwnedName) -> None:
        """Deletes the rows for good. Refused while a job that has not ended needs them."""
        with self._database.write() as conn:
            row = find(conn, name, lock=True)
            waiting = select(job.c.id).where(
                job.c.tenant == name.tenant,
                job.c.state.in_(UNENDED),
                (job.c.dataset == name.name) | (job.c.validation == name.name),
            )
            if used_by := conn.execute(waiting.limit(1)).scalar_one_or_none():
                raise DatasetInUse(
                    f"The dataset {name} is needed by the job {name.tenant}/jobs/{used_by}: cancel it or "
                    "wait for its end.",
                    dataset=name,
                    job=f"{name.tenant}/jobs/{used_by}",
                )
            conn.execute(delete(example).where(example.c.dataset_id == row.id))
            conn.execute(delete(append).where(append.c.dataset_id == row.id))
            conn.execute(delete(dataset).where(dataset.c.id == row.id))

    def examples(self, name: OwnedName, rows: int) -> Sequence[Example]:
        """Those at positions below `rows` that were not forgotten, in the order of their coming."""
        return [item for _, item in self.numbered(name, rows)]

    def numbered(self, name: OwnedName, rows: int, start: int = 0) -> Sequence[tuple[int, Example]]:
        """With their positions, from `start` to below `rows`."""
        with self._database.read() as conn:
            place = example.c.position
            found = select(example).where(example.c.dataset_id == find(conn, name).id, place >= start, place < rows)
            return [(row.position, to_example(row)) for row in conn.execute(found.order_by(place))]

    def forget(
        self,
        name: OwnedName,
        ids: Sequence[str] = (),
        texts: Sequence[str] = (),
        request_id: str = "",
        *,
        everywhere: bool = False,
    ) -> Forgetting:
        """Deletes rows for good: those with an id, and those that hold a text, whatever white space is around it, as
        text, second text or question. `everywhere` takes the texts out of every dataset of the tenant too, and out
        of the examples that came inside its jobs.

        One transaction. Running jobs that may have read the rows go back to the queue, and begin again without them.
        A request id forgets once: again, it gives the same answer, without the examples, which are gone.
        """
        check_request_id(request_id)
        request = Request(name, tuple(ids), tuple(texts), request_id, everywhere)
        request.check()
        with self._database.write() as conn:
            lock_tenant(conn, name.tenant)
            done = forget(conn, request, find(conn, name, lock=True), self._database.now(conn))
        if done.rows and not done.replayed:
            self._database.scrub()
        return done

    def forgotten(self, name: OwnedName) -> Sequence[Forgotten]:
        """All that the dataset ever lost, the oldest first, also after the dataset itself was deleted."""
        with self._database.read() as conn:
            return tombstones(conn, name)


def check_request_id(request_id: str) -> None:
    if len(request_id) > REQUEST_ID_LIMIT:
        raise InvalidArgument(
            f"The request_id has {len(request_id)} characters: use at most {REQUEST_ID_LIMIT}, for example a UUID.",
            field="request_id",
        )


def find(conn: Connection, name: OwnedName, *, lock: bool = False) -> Row[Any]:
    found: Select[Any] = select(dataset).where(dataset.c.tenant == name.tenant, dataset.c.name == name.name)
    row = conn.execute(found.with_for_update() if lock else found).one_or_none()
    if row is None:
        raise DatasetNotFound(f"There is no dataset {name}: append examples to it first.", dataset=name)
    return row


def hide_away(conn: Connection, name: OwnedName, batch: Batch, now: datetime) -> None:
    """A hidden dataset for the examples inside a job's request."""
    taken = select(dataset.c.id).where(dataset.c.tenant == name.tenant, dataset.c.name == name.name)
    if conn.execute(taken).one_or_none() is not None:
        raise Internal(f"The hidden dataset {name} exists already: this is a bug.", dataset=name)
    conn.execute(insert(dataset).values(**_fresh(name, now, hidden=True)))
    _extend(conn, find(conn, name, lock=True), batch, now)


def _row_to_append_to(conn: Connection, name: OwnedName, now: datetime, *, sqlite: bool) -> Row[Any]:
    insert_or_not = sqlite_insert if sqlite else postgresql_insert
    conn.execute(insert_or_not(dataset).values(**_fresh(name, now, hidden=False)).on_conflict_do_nothing())
    row = find(conn, name, lock=True)
    if row.hidden:
        raise InvalidArgument(
            f"The dataset {name} holds the examples of one job and cannot grow: choose another name.", field="dataset"
        )
    return row


def _fresh(name: OwnedName, now: datetime, *, hidden: bool) -> dict[str, Any]:
    empty = {"rows": 0, "next_position": 0, "label_counts": {}, "created": now, "updated": now}
    return {"tenant": name.tenant, "name": name.name, "hidden": hidden, **empty}


def _extend(conn: Connection, row: Row[Any], batch: Batch, now: datetime) -> DatasetInfo:
    _check_ids(conn, row.id, batch)
    for start in range(0, len(batch.rows), CHUNK):
        first = row.next_position + start
        chunk = [
            {"dataset_id": row.id, "position": first + offset, **values}
            for offset, values in enumerate(batch.rows[start : start + CHUNK])
        ]
        conn.execute(insert(example), chunk)
    counts = Counter(row.label_counts) + batch.label_counts
    changed = {
        "rows": row.rows + len(batch.rows),
        "next_position": row.next_position + len(batch.rows),
        "label_counts": dict(sorted(counts.items())),
        "updated": now,
    }
    conn.execute(update(dataset).where(dataset.c.id == row.id).values(**changed))
    return DatasetInfo(OwnedName(row.tenant, row.name), created=row.created, **changed)


def _check_ids(conn: Connection, dataset_id: int, batch: Batch) -> None:
    """The dataset's row must be locked."""
    ids = list(batch.ids)
    for start in range(0, len(ids), CHUNK):
        taken = select(example.c.id, example.c.position).where(
            example.c.dataset_id == dataset_id, example.c.id.in_(ids[start : start + CHUNK])
        )
        if found := conn.execute(taken.limit(1)).one_or_none():
            raise duplicate(
                found.id, batch.ids[found.id], f"which the dataset has already at position {found.position}"
            )


def _answered(conn: Connection, row: Row[Any], request_id: str, batch: Batch) -> tuple[DatasetInfo, int] | None:
    found = select(append).where(append.c.dataset_id == row.id, append.c.request_id == request_id)
    before = conn.execute(found).one_or_none()
    if before is None:
        return None
    name = OwnedName(row.tenant, row.name)
    if before.digest != batch.digest:
        raise RequestIdReused(
            f"The request_id {request_id!r} has appended other examples to {name}: use a new one for these.",
            request_id=request_id,
        )
    info = DatasetInfo(
        name, before.rows, before.label_counts, row.created, before.updated, next_position=before.next_position
    )
    return info, before.appended


def _remember(conn: Connection, dataset_id: int, request_id: str, batch: Batch, info: DatasetInfo) -> None:
    conn.execute(
        insert(append).values(
            dataset_id=dataset_id,
            request_id=request_id,
            digest=batch.digest,
            appended=len(batch.rows),
            rows=info.rows,
            next_position=info.next_position,
            label_counts=dict(info.label_counts),
            updated=info.updated,
        )
    )


def _info(row: Row[Any]) -> DatasetInfo:
    name = OwnedName(row.tenant, row.name)
    return DatasetInfo(name, row.rows, row.label_counts, row.created, row.updated, row.next_position)
