"""Forgetting rows inside a transaction: found, deleted for good, and remembered only as numbers."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from candelabra.errors import InvalidArgument, RequestIdReused
from candelabra.registry.examplerows import content, key, labels_of, to_example, to_row
from candelabra.registry.queue import send_back
from candelabra.registry.schema import dataset, example, tombstone
from candelabra.types import Example, OwnedName

CHUNK = 500
MANY = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be forgotten, and where."""

    dataset: OwnedName
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    request_id: str
    everywhere: bool

    def check(self) -> None:
        if not self.ids and not self.texts:
            raise InvalidArgument("Nothing is named to be forgotten: send ids or texts.", field="ids")
        if len(self.ids) + len(self.texts) > MANY:
            raise InvalidArgument(
                f"{len(self.ids) + len(self.texts)} ids and texts are too many for one call: send at most {MANY}.",
                field="ids",
            )
        for field, values in (("ids", self.ids), ("texts", self.texts)):
            for index, value in enumerate(values):
                if not value.strip():
                    raise InvalidArgument(f"{field}[{index}] is empty: name what is to be forgotten.", field=field)
        if self.everywhere and not self.texts:
            raise InvalidArgument(
                "Ids name rows of one dataset: send texts to forget them in every dataset.", field="texts"
            )

    def digest(self, salt: str) -> str:
        asked = [salt, str(self.dataset), list(self.ids), list(self.texts), self.everywhere]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one dataset lost. `removed` is a salted digest of the rows; `examples` are theirs, in order of position."""

    dataset: OwnedName
    hidden: bool
    positions: Sequence[int]
    label_counts: Mapping[str, int]
    rows_left: int
    removed: str
    time: datetime
    examples: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The answer to one request; the dataset that was named comes first, whether or not it lost rows.

    `missing` counts the ids that name no row and, without `everywhere`, the texts that no row holds. `replayed`: the
    request had been done before. `sent_back` counts running jobs that begin again.
    """

    datasets: Sequence[Forgotten]
    missing: int
    replayed: bool = False
    sent_back: int = 0

    @property
    def rows(self) -> int:
        return sum(len(one.positions) for one in self.datasets)


def forget(conn: Connection, request: Request, named: Row[Any], now: datetime) -> Forgetting:
    """The named dataset's row must be locked."""
    if request.request_id and (before := _answered(conn, request)):
        return before
    touched = [named, *(_others(conn, request, named.id) if request.everywhere else ())]
    sent_back = send_back(conn, request.dataset.tenant, [row.name for row in touched], now)
    keys = [key(text) for text in request.texts]
    found = {row.id: _find(conn, row.id, request.ids if row.id == named.id else (), keys) for row in touched}
    every = [item for rows in found.values() for item in rows]
    missing = _missing(request, found[named.id], every)
    done = [_remove(conn, request, row, found[row.id], missing, now) for row in touched]
    return Forgetting(tuple(done), missing, sent_back=sent_back)


def tombstones(conn: Connection, name: OwnedName) -> Sequence[Forgotten]:
    """All that a dataset ever lost, the oldest first."""
    found = select(tombstone).where(tombstone.c.tenant == name.tenant, tombstone.c.dataset == name.name)
    return [_stone(row) for row in conn.execute(found.order_by(tombstone.c.seq))]


def _others(conn: Connection, request: Request, named: int) -> Sequence[Row[Any]]:
    """The tenant's other datasets that hold one of the texts, locked, in an order that all take."""
    ids: set[int] = set()
    for keys in _chunks([key(text) for text in request.texts]):
        holds = or_(example.c.text_key.in_(keys), example.c.other_key.in_(keys))
        places = (
            select(dataset.c.id)
            .join(example, example.c.dataset_id == dataset.c.id)
            .where(dataset.c.tenant == request.dataset.tenant, dataset.c.id != named, holds)
        )
        ids.update(conn.execute(places.distinct()).scalars())
    locked: list[Row[Any]] = []
    for part in _chunks(sorted(ids)):
        locked += conn.execute(select(dataset).where(dataset.c.id.in_(part)).order_by(dataset.c.id).with_for_update())
    return locked


def _find(conn: Connection, dataset_id: int, ids: Sequence[str], keys: Sequence[str]) -> list[tuple[int, Example]]:
    """Positions and examples, in order."""
    rows: dict[int, Example] = {}
    for part in _chunks(ids):
        rows |= _rows(conn, dataset_id, example.c.id.in_(part))
    for part in _chunks(keys):
        rows |= _rows(conn, dataset_id, or_(example.c.text_key.in_(part), example.c.other_key.in_(part)))
    return sorted(rows.items())


def _rows(conn: Connection, dataset_id: int, which: Any) -> dict[int, Example]:
    found = select(example).where(example.c.dataset_id == dataset_id, which)
    return {row.position: to_example(row) for row in conn.execute(found)}


def _missing(request: Request, named: Sequence[tuple[int, Example]], every: Sequence[tuple[int, Example]]) -> int:
    held = {part.strip() for _, item in every for part in (item.text, item.text_pair, item.question)}
    there = {item.id for _, item in named}
    texts = sum(text.strip() not in held for text in dict.fromkeys(request.texts))
    return texts + sum(id_ not in there for id_ in dict.fromkeys(request.ids))


def _remove(
    conn: Connection, request: Request, row: Row[Any], lost: list[tuple[int, Example]], missing: int, now: datetime
) -> Forgotten:
    positions = [position for position, _ in lost]
    for part in _chunks(positions):
        conn.execute(delete(example).where(example.c.dataset_id == row.id, example.c.position.in_(part)))
    gone = Counter(label for _, item in lost for label in labels_of(item))
    left = Counter(row.label_counts) - gone
    values = {"rows": row.rows - len(lost), "label_counts": dict(sorted(left.items()))}
    if lost:
        conn.execute(update(dataset).where(dataset.c.id == row.id).values(updated=now, **values))
    salt = secrets.token_hex(16)
    digest = hashlib.sha256(salt.encode())
    for _, item in lost:
        digest.update(content(to_row(item)))
    stone = conn.execute(
        insert(tombstone)
        .values(
            tenant=row.tenant,
            dataset=row.name,
            asked=request.dataset.name,
            hidden=row.hidden,
            request_id=request.request_id or None,
            time=now,
            salt=salt,
            request=request.digest(salt),
            removed=digest.hexdigest(),
            positions=positions,
            label_counts=dict(sorted(gone.items())),
            rows_left=values["rows"],
            missing=missing,
        )
        .returning(tombstone)
    ).one()
    return _stone(stone, tuple(item for _, item in lost))


def _answered(conn: Connection, request: Request) -> Forgetting | None:
    same = (tombstone.c.tenant == request.dataset.tenant, tombstone.c.request_id == request.request_id)
    rows = conn.execute(select(tombstone).where(*same).order_by(tombstone.c.seq)).all()
    if not rows:
        return None
    if any(row.request != request.digest(row.salt) for row in rows):
        raise RequestIdReused(
            f"The request_id {request.request_id!r} has forgotten other rows: use a new one for these.",
            request_id=request.request_id,
        )
    return Forgetting(tuple(_stone(row) for row in rows), rows[0].missing, replayed=True)


def _stone(row: Row[Any], examples: tuple[Example, ...] = ()) -> Forgotten:
    return Forgotten(
        dataset=OwnedName(row.tenant, row.dataset),
        hidden=row.hidden,
        positions=tuple(row.positions),
        label_counts=row.label_counts,
        rows_left=row.rows_left,
        removed=row.removed,
        time=row.time,
        examples=examples,
    )


def _chunks(values: Sequence[Any]) -> Iterator[list[Any]]:
    """A statement has room for some thousand parameters."""
    rest = iter(values)
    while part := list(islice(rest, CHUNK)):
        yield part
