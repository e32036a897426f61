"""Aliases inside a transaction: where one points, moving it, and the stack that a roll-back goes down."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, delete, insert, select, update

from candelabra.errors import AliasMoved, AliasNotFound, NoEarlierVersion
from candelabra.registry.schema import alias, alias_move, version
from candelabra.types import OwnedName


def target(conn: Connection, head_id: int, name: str) -> int | None:
    """The version's number, or None if there is no such alias."""
    found = select(alias.c.number).where(alias.c.head_id == head_id, alias.c.name == name)
    return conn.execute(found).scalar_one_or_none()


def require(conn: Connection, head: OwnedName, head_id: int, name: str) -> int:
    number = target(conn, head_id, name)
    if number is None:
        raise AliasNotFound(
            f"The head {head} has no alias {name!r}; it has: {_names(conn, head_id)}.", head=head, alias=name
        )
    return number


def expect(conn: Connection, head: OwnedName, head_id: int, name: str, expected: int) -> None:
    found = target(conn, head_id, name) or 0
    if found != expected:
        raise AliasMoved(
            f"The alias {name!r} of {head} points at {_word(found)}, not at {_word(expected)} as expected: "
            "someone moved it. Look again and decide anew.",
            head=head,
            alias=name,
            expected=expected,
            actual=found,
        )


def point(conn: Connection, head_id: int, name: str, number: int, now: datetime) -> None:
    current = target(conn, head_id, name)
    if current == number:
        return
    if current is None:
        conn.execute(insert(alias).values(head_id=head_id, name=name, number=number))
    else:
        _set(conn, head_id, name, number)
    conn.execute(insert(alias_move).values(head_id=head_id, name=name, number=number, time=now, undone=False))


def roll_back(conn: Connection, head: OwnedName, head_id: int, name: str) -> int:
    """Points the alias at the newest version on its stack that is not the present one and may still serve."""
    current = require(conn, head, head_id, name)
    there = and_(
        version.c.head_id == alias_move.c.head_id, version.c.number == alias_move.c.number, version.c.retired == ""
    )
    moves = conn.execute(
        select(alias_move.c.id, alias_move.c.number, version.c.id.label("exists"))
        .outerjoin(version, there)
        .where(alias_move.c.head_id == head_id, alias_move.c.name == name, alias_move.c.undone.is_(False))
        .order_by(alias_move.c.id.desc())
    )
    passed: list[int] = []
    for move in moves:
        if move.exists is not None and move.number != current:
            _undo(conn, passed)
            _set(conn, head_id, name, move.number)
            return int(move.number)
        passed.append(move.id)
    raise NoEarlierVersion(
        f"The alias {name!r} of {head} points at version {current} and at no other version before it that still "
        "exists and was not retired: set the alias to a version by number.",
        head=head,
        alias=name,
    )


def remove(conn: Connection, head_id: int, name: str | None = None) -> None:
    """Removes one alias, or all of a head. One made anew under the name starts with an empty stack."""
    conn.execute(delete(alias).where(alias.c.head_id == head_id, *([alias.c.name == name] if name else [])))
    stack = [alias_move.c.head_id == head_id, *([alias_move.c.name == name] if name else [])]
    conn.execute(update(alias_move).where(*stack).values(undone=True))


def pointing_at(conn: Connection, head_id: int, number: int) -> list[str]:
    found = select(alias.c.name).where(alias.c.head_id == head_id, alias.c.number == number).order_by(alias.c.name)
    return list(conn.execute(found).scalars())


def _set(conn: Connection, head_id: int, name: str, number: int) -> None:
    conn.execute(update(alias).where(alias.c.head_id == head_id, alias.c.name == name).values(number=number))


def _undo(conn: Connection, moves: list[int]) -> None:
    for move in moves:
        conn.execute(update(alias_move).where(alias_move.c.id == move).values(undone=True))


def _names(conn: Connection, head_id: int) -> str:
    found = select(alias.c.name).where(alias.c.head_id == head_id).order_by(alias.c.name).limit(10)
    return ", ".join(conn.execute(found).scalars()) or "none"


def _word(number: int) -> str:
    return f"version {number}" if number else "nothing"
