"""Heads and versions inside a transaction: finding them, counting changes, and adding a version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, func, insert, select, type_coerce, update

from candelabra.errors import HeadMismatch, HeadNotFound, VersionNotFound
from candelabra.registry import aliases
from candelabra.registry.schema import alias, head, revision, version
from candelabra.types import HeadInfo, HeadRef, OwnedName, TaskKind, VersionDraft, VersionInfo

# Labels are read as text, because thousands of versions share few label lists: see `parser_of_labels`.
BRIEF: tuple[Any, ...] = (
    *(column for column in version.c if column.name not in ("report", "labels")),
    type_coerce(version.c.labels, Text).label("labels"),
)


def read_revision(conn: Connection) -> int:
    return int(conn.execute(select(revision.c.value)).scalar_one())


def count_change(conn: Connection) -> int:
    """The first step of every change: its lock makes changes happen one after the other."""
    conn.execute(update(revision).values(value=revision.c.value + 1))
    return read_revision(conn)


def mark(conn: Connection, head_id: int, change: int) -> None:
    conn.execute(update(head).where(head.c.id == head_id).values(revision=change))


def find_head(conn: Connection, name: OwnedName) -> Row[Any]:
    row = _head_row(conn, name)
    if row is None or row.deleted:
        raise HeadNotFound(f"There is no head {name}: list the tenant's heads, or train one.", head=name)
    return row


def find_number(conn: Connection, ref: HeadRef, head_id: int) -> int:
    if isinstance(ref.selector, str):
        return aliases.require(conn, ref.head, head_id, ref.selector)
    return ref.selector


def find_version(conn: Connection, owner: Row[Any], number: int, *, report: bool = False) -> VersionInfo:
    columns = (*BRIEF, version.c.report) if report else BRIEF
    found = select(*columns).where(version.c.head_id == owner.id, version.c.number == number)
    row = conn.execute(found).one_or_none()
    if row is None:
        name = OwnedName(owner.tenant, owner.name)
        raise VersionNotFound(
            f"There is no version {name}@{number}: it was deleted or never made (the last one made is "
            f"{owner.last_number}).",
            head=name,
            version=number,
        )
    return to_version(row, owner, parser_of_labels())


def add_version(conn: Connection, change: int, draft: VersionDraft, to_alias: str | None, now: datetime) -> VersionInfo:
    owner = _head_for(conn, draft, change, now)
    number = owner.last_number + 1
    values = {
        column: getattr(draft, column)
        for column in ("digest", "backbone", "method", "bytes", "accepted", "dataset", "dataset_rows", "job")
    }
    conn.execute(
        insert(version).values(
            head_id=owner.id,
            number=number,
            kind=draft.kind.value,
            labels=list(draft.labels),
            report=dict(draft.report),
            created=now,
            **values,
        )
    )
    conn.execute(update(head).where(head.c.id == owner.id).values(last_number=number, revision=change))
    if to_alias is not None:
        aliases.point(conn, owner.id, to_alias, number, now)
    return find_version(conn, find_head(conn, draft.head), number, report=True)


def to_version(row: Row[Any], owner: Row[Any], labels: Callable[[str], tuple[str, ...]]) -> VersionInfo:
    return VersionInfo(
        head=OwnedName(owner.tenant, owner.name),
        version=row.number,
        digest=row.digest,
        backbone=row.backbone,
        domain=owner.domain,
        task=owner.task,
        kind=TaskKind(row.kind),
        method=row.method,
        labels=labels(row.labels),
        bytes=row.bytes,
        created=row.created,
        accepted=row.accepted,
        dataset=row.dataset,
        dataset_rows=row.dataset_rows,
        job=row.job,
        report=getattr(row, "report", {}),
        revision=owner.revision,
        retired=row.retired,
    )


def parser_of_labels() -> Callable[[str], tuple[str, ...]]:
    """Equal label lists become one tuple: a quick start, and little memory with thousands of heads."""
    return partial(_labels, {})


def head_infos(conn: Connection, rows: Iterable[Row[Any]], picked: Select[Any]) -> list[HeadInfo]:
    """`picked` selects the ids of the same heads as `rows`."""
    pointers: dict[int, dict[str, int]] = {}
    for pointer in conn.execute(select(alias).where(alias.c.head_id.in_(picked)).order_by(alias.c.name)):
        pointers.setdefault(pointer.head_id, {})[pointer.name] = pointer.number
    numbers = (
        select(version.c.head_id, func.count().label("versions"), func.max(version.c.number).label("latest"))
        .where(version.c.head_id.in_(picked))
        .group_by(version.c.head_id)
    )
    counted = {row.head_id: row for row in conn.execute(numbers)}
    return [
        HeadInfo(
            head=OwnedName(row.tenant, row.name),
            domain=row.domain,
            task=row.task,
            aliases=pointers.get(row.id, {}),
            latest=counted[row.id].latest if row.id in counted else 0,
            count=counted[row.id].versions if row.id in counted else 0,
            created=row.created,
            revision=row.revision,
        )
        for row in rows
    ]


def _head_row(conn: Connection, name: OwnedName) -> Row[Any] | None:
    return conn.execute(select(head).where(head.c.tenant == name.tenant, head.c.name == name.name)).one_or_none()


def _head_for(conn: Connection, draft: VersionDraft, change: int, now: datetime) -> Row[Any]:
    row = _head_row(conn, draft.head)
    fresh = {"domain": draft.domain, "task": draft.task, "created": now, "revision": change, "deleted": False}
    if row is None:
        who = {"tenant": draft.head.tenant, "name": draft.head.name, "last_number": 0}
        conn.execute(insert(head).values(**who, **fresh))
    elif row.deleted:
        conn.execute(update(head).where(head.c.id == row.id).values(**fresh))
    elif (row.domain, row.task) != (draft.domain, draft.task):
        raise HeadMismatch(
            f"The head {draft.head} is of domain {row.domain!r} and task {row.task!r}; this version is of "
            f"{draft.domain!r} and {draft.task!r}. Give it another name.",
            head=draft.head,
            domain=row.domain,
            task=row.task,
        )
    return find_head(conn, draft.head)


def _labels(known: dict[str, tuple[str, ...]], text: str) -> tuple[str, ...]:
    if text not in known:
        known[text] = tuple(json.loads(text))
    return known[text]
