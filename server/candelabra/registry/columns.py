"""Column types that behave the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from candelabra.errors import InvalidText


def storable(text: str) -> str:
    """Refuses what one of the databases cannot keep, so that both refuse the same."""
    if "\0" in text:
        raise InvalidText("A text holds a NUL character, which cannot be stored: remove it.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidText("A text holds half of a surrogate pair, which is not a character: remove it.") from None
    return text


class Words(TypeDecorator[str]):
    """Any text without NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Key(Words):
    """A text that is looked up or sorted by: ordered by code point on every database, whatever its locale."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text(collation="C") if dialect.name == "postgresql" else Text()


class Json(TypeDecorator[Any]):
    """JSON as plain text: no query looks inside, and both databases give back exactly what was put in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Utc(TypeDecorator[datetime]):
    """A moment, always aware and in UTC on this side. SQLite keeps no zone, so it gets none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts up by itself only in a column that is called INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")
