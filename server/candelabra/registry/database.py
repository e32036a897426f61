"""Connections and transactions: SQLite and PostgreSQL behind the same two words, `read` and `write`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, StatementError

from candelabra.errors import Error, InvalidArgument

BUSY_SECONDS = 30.0


class Database:
    """One pool of connections.

    `read` sees one moment of the whole database. `write` commits at its end, or leaves nothing on an exception.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = _sqlite(parsed) if self.is_sqlite else _postgresql(parsed)
        # SQLite has one level, serializable. Writers on PostgreSQL lock what they decide on, and then must see the
        # newest state of it.
        reads: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        writes: dict[str, Any] = {"write": True} if self.is_sqlite else {"isolation_level": "READ COMMITTED"}
        self._reads = self._engine.execution_options(**reads)
        self._writes = self._engine.execution_options(**writes)
        # SQLite lets waiting writers sleep and guess; a lock wakes those of this process at once and in turn.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _our_errors(), self._reads.begin() as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with _our_errors(), self._turn, self._writes.begin() as conn:
            yield conn

    def now(self, conn: Connection) -> datetime:
        """The one clock of all servers on this database: leases are compared across machines."""
        if self.is_sqlite:
            return datetime.now(UTC)
        return conn.execute(select(func.clock_timestamp())).scalar_one().astimezone(UTC)

    def scrub(self) -> None:
        """After rows were deleted for good: SQLite's log still has them until it is written back, so do that now.

        PostgreSQL's vacuum does it in its own time. A log that someone still reads is written back later.
        """
        if self.is_sqlite:
            with self._engine.connect() as conn:
                conn.exec_driver_sql("COMMIT")
                conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                conn.exec_driver_sql("BEGIN")

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def _our_errors() -> Iterator[None]:
    """SQLAlchemy wraps what column types raise; the caller gets the error as it was."""
    try:
        yield
    except StatementError as error:
        if isinstance(error.orig, Error):
            raise error.orig from None
        raise


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidArgument(
            "The database URL cannot be read: use sqlite:///path or postgresql+psycopg://user@host/name.",
            setting="database_url",
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise InvalidArgument(
            f"The database {parsed.drivername!r} is not supported: use sqlite or postgresql+psycopg.",
            setting="database_url",
        )
    return parsed


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise InvalidArgument(
            "SQLite in memory would lose everything at the end: name a file, sqlite:///path/registry.sqlite3.",
            setting="database_url",
        )
    if not str(url.database).startswith("file:"):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=24)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    _turn_on_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives the loss of power
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # a deleted row is overwritten and not only taken off the list
    cursor.close()


def _turn_on_wal(cursor: Any) -> None:
    """The change to WAL does not wait for other connections by itself, so two servers starting at once try again."""
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.02)


def _begin_sqlite(conn: Connection) -> None:
    # A writer takes the lock before it reads: what it decides on cannot change until it commits.
    writes = conn.get_execution_options().get("write")
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24)
    except ModuleNotFoundError as error:
        raise InvalidArgument(
            f"PostgreSQL needs the Python package {error.name}: pip install 'psycopg[binary]'.", setting="database_url"
        ) from None
