"""The table of heads: versions that never change, and aliases that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select, tuple_, update

from candelabra.errors import HeadInUse, VersionRetired
from candelabra.registry import aliases, lineage, versions
from candelabra.registry.database import Database
from candelabra.registry.paging import page, read_token, size_of, write_token
from candelabra.registry.schema import head, version
from candelabra.registry.versions import read_revision
from candelabra.types import HeadInfo, HeadRef, OwnedName, Page, VersionDraft, VersionInfo

__all__ = ["Changes", "HeadTable", "read_revision"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Heads as they are at `revision`, without reports. `gone` were deleted."""

    revision: int
    heads: Sequence[tuple[HeadInfo, Sequence[VersionInfo]]]
    gone: Sequence[OwnedName] = ()


class HeadTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: OwnedName) -> HeadInfo:
        with self._database.read() as conn:
            return _info(conn, name)

    def version(self, ref: HeadRef) -> VersionInfo:
        """With its report."""
        with self._database.read() as conn:
            owner = versions.find_head(conn, ref.head)
            return versions.find_version(conn, owner, versions.find_number(conn, ref, owner.id), report=True)

    def versions(self, name: OwnedName, page_size: int = 0, page_token: str = "") -> Page[VersionInfo]:
        """The newest first, without reports."""
        size, start = size_of(page_size), read_token(page_token, "versions", int)
        with self._database.read() as conn:
            owner = versions.find_head(conn, name)
            found = select(*versions.BRIEF).where(version.c.head_id == owner.id).order_by(version.c.number.desc())
            if start:
                found = found.where(version.c.number < start[0])
            labels = versions.parser_of_labels()
            items = [versions.to_version(row, owner, labels) for row in conn.execute(found.limit(size + 1))]
        return page(items, size, lambda item: write_token("versions", item.version))

    def list(self, tenant: str | None = None, page_size: int = 0, page_token: str = "") -> Page[HeadInfo]:
        """By tenant and name."""
        size, start = size_of(page_size), read_token(page_token, "heads", str, str)
        where: Any = [head.c.deleted.is_(False)]
        if tenant:
            where.append(head.c.tenant == tenant)
        if start:
            where.append(tuple_(head.c.tenant, head.c.name) > tuple_(*start))
        with self._database.read() as conn:
            picked = select(head).where(*where).order_by(head.c.tenant, head.c.name).limit(size + 1)
            ids = select(picked.with_only_columns(head.c.id).subquery().c.id)
            items = versions.head_infos(conn, conn.execute(picked), ids)
        return page(items, size, lambda item: write_token("heads", item.head.tenant, item.head.name))

    def changes(self, since: int) -> Changes:
        """What differs from the time when `revision()` was `since`, as of one moment."""
        with self._database.read() as conn:
            changed = head.c.revision > since
            rows = conn.execute(select(head).where(changed).order_by(head.c.id)).all()
            there, gone = [row for row in rows if not row.deleted], [row for row in rows if row.deleted]
            return Changes(
                read_revision(conn),
                _with_versions(conn, there, changed),
                tuple(OwnedName(row.tenant, row.name) for row in gone),
            )

    def snapshot(self) -> tuple[int, Sequence[tuple[HeadInfo, Sequence[VersionInfo]]]]:
        """Everything, without reports, and the revision that it is of."""
        everything = self.changes(since=-1)
        return everything.revision, everything.heads

    def add(self, draft: VersionDraft, alias: str | None = None) -> VersionInfo:
        """Makes the next version, and the head if it is new; moves the alias to it if one is given."""
        with self._database.write() as conn:
            change = versions.count_change(conn)
            return versions.add_version(conn, change, draft, alias, self._database.now(conn))

    def set_alias(self, ref: HeadRef, alias: str, expected: int | None = None) -> HeadInfo:
        """`expected` is where the alias must point before: 0 for nowhere, None for anywhere."""
        with self._database.write() as conn:
            change = versions.count_change(conn)
            owner = versions.find_head(conn, ref.head)
            found = versions.find_version(conn, owner, versions.find_number(conn, ref, owner.id))
            if found.retired:
                raise VersionRetired(
                    f"{found.name} was retired ({found.retired}) and cannot serve: choose another version.",
                    head=ref.head,
                    version=found.version,
                )
            number = found.version
            if expected is not None:
                aliases.expect(conn, ref.head, owner.id, alias, expected)
            aliases.point(conn, owner.id, alias, number, self._database.now(conn))
            versions.mark(conn, owner.id, change)
            return _info(conn, ref.head)

    def roll_back(self, name: OwnedName, alias: str) -> HeadInfo:
        """Points the alias at the version before; again, at the one before that.

        Versions that were deleted or retired are passed over.
        """
        with self._database.write() as conn:
            change = versions.count_change(conn)
            owner = versions.find_head(conn, name)
            aliases.roll_back(conn, name, owner.id, alias)
            versions.mark(conn, owner.id, change)
            return _info(conn, name)

    def delete_alias(self, name: OwnedName, alias: str) -> HeadInfo:
        with self._database.write() as conn:
            change = versions.count_change(conn)
            owner = versions.find_head(conn, name)
            aliases.require(conn, name, owner.id, alias)
            aliases.remove(conn, owner.id, alias)
            versions.mark(conn, owner.id, change)
            return _info(conn, name)

    def delete(self, name: OwnedName, number: int | None = None) -> Sequence[VersionInfo]:
        """Deletes a version that no alias points at, or the whole head, and tells what is gone."""
        with self._database.write() as conn:
            change = versions.count_change(conn)
            owner = versions.find_head(conn, name)
            if number is None:
                return _delete_head(conn, owner, change)
            found = versions.find_version(conn, owner, number)
            if names := aliases.pointing_at(conn, owner.id, number):
                raise HeadInUse(
                    f"{found.name} cannot be deleted: {', '.join(names)} points at it. Move or delete the alias first.",
                    head=name,
                    version=number,
                    aliases=",".join(names),
                )
            conn.execute(delete(version).where(version.c.head_id == owner.id, version.c.number == number))
            versions.mark(conn, owner.id, change)
            return (replace(found, revision=change),)

    def digests(self) -> set[str]:
        """The digests of all versions that may serve: what the head store must keep."""
        with self._database.read() as conn:
            return set(conn.execute(select(version.c.digest).where(version.c.retired == "").distinct()).scalars())

    def trained_on(self, name: OwnedName) -> Sequence[VersionInfo]:
        """Every version that the dataset's rows went into, as examples or for validation; without reports."""
        with self._database.read() as conn:
            return lineage.trained_on(conn, name)

    def retire(self, targets: Sequence[tuple[OwnedName, int]], why: str) -> lineage.Retired:
        """Ends the service of versions for good, but for those that an alias still points at."""
        with self._database.write() as conn:
            change = versions.count_change(conn)
            return lineage.retire(conn, targets, why, change, self._database.now(conn))


def _info(conn: Connection, name: OwnedName) -> HeadInfo:
    owner = versions.find_head(conn, name)
    return versions.head_infos(conn, [owner], select(head.c.id).where(head.c.id == owner.id))[0]


def _delete_head(conn: Connection, owner: Row[Any], change: int) -> Sequence[VersionInfo]:
    labels = versions.parser_of_labels()
    found = select(*versions.BRIEF).where(version.c.head_id == owner.id).order_by(version.c.number)
    gone = tuple(replace(versions.to_version(row, owner, labels), revision=change) for row in conn.execute(found))
    aliases.remove(conn, owner.id)
    conn.execute(delete(version).where(version.c.head_id == owner.id))
    conn.execute(update(head).where(head.c.id == owner.id).values(deleted=True, revision=change))
    return gone


def _with_versions(
    conn: Connection, rows: Sequence[Row[Any]], changed: ColumnElement[bool]
) -> Sequence[tuple[HeadInfo, Sequence[VersionInfo]]]:
    picked = select(head.c.id).where(changed, head.c.deleted.is_(False))
    owners = {row.id: row for row in rows}
    made: dict[int, Any] = {row.id: [] for row in rows}
    labels = versions.parser_of_labels()
    ordered = select(*versions.BRIEF).where(version.c.head_id.in_(picked)).order_by(version.c.head_id, version.c.number)
    for row in conn.execute(ordered):
        made[row.head_id].append(versions.to_version(row, owners[row.head_id], labels))
    infos = versions.head_infos(conn, rows, picked)
    return tuple((info, tuple(made[row.id])) for row, info in zip(rows, infos, strict=True))
