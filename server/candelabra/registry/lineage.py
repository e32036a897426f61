"""Which rows went into which versions, and taking versions out of service, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select, update

from candelabra.registry import aliases, versions
from candelabra.registry.schema import head, job, version
from candelabra.types import OwnedName, VersionInfo


@dataclass(frozen=True, slots=True)
class Retired:
    """`versions` serve no more, since now or before. `serving` were kept, for an alias points at them."""

    versions: Sequence[VersionInfo]
    serving: Sequence[VersionInfo]


def trained_on(conn: Connection, name: OwnedName) -> Sequence[VersionInfo]:
    """By head and number. Versions that were only chosen and calibrated on the dataset count too."""
    judged = exists().where(
        job.c.tenant == name.tenant,
        job.c.validation == name.name,
        job.c.tenant == head.c.tenant,
        job.c.head == head.c.name,
        job.c.version == version.c.number,
    )
    found = (
        select(*versions.BRIEF, head.c.tenant.label("head_tenant"), head.c.name.label("head_name"))
        .join(head, head.c.id == version.c.head_id)
        .where(or_(version.c.dataset == str(name), judged))
        .order_by(head.c.tenant, head.c.name, version.c.number)
    )
    labels = versions.parser_of_labels()
    rows: list[Any] = list(conn.execute(found))
    names = {row.head_id: OwnedName(row.head_tenant, row.head_name) for row in rows}
    owners = {id_: versions.find_head(conn, name) for id_, name in names.items()}
    return [versions.to_version(row, owners[row.head_id], labels) for row in rows]


def retire(conn: Connection, targets: Sequence[tuple[OwnedName, int]], why: str, change: int, now: datetime) -> Retired:
    """A version that is retired already keeps its first time and reason."""
    done, serving = [], []
    for name, number in targets:
        owner = versions.find_head(conn, name)
        found = versions.find_version(conn, owner, number)
        if not found.retired and aliases.pointing_at(conn, owner.id, number):
            serving.append(found)
            continue
        if not found.retired:
            this = and_(version.c.head_id == owner.id, version.c.number == number)
            words = f"{now:%Y-%m-%dT%H:%M:%SZ} {why}"
            conn.execute(update(version).where(this).values(retired=words))
            versions.mark(conn, owner.id, change)
        done.append(versions.find_version(conn, versions.find_head(conn, name), number))
    return Retired(tuple(done), tuple(serving))
