"""The registry as one object: opened by URL, brought to today's schema, closed at the end."""

from __future__ import annotations

from types import TracebackType

from candelabra.registry.database import Database
from candelabra.registry.datasets import DatasetTable
from candelabra.registry.heads import HeadTable, read_revision
from candelabra.registry.jobs import JobTable
from candelabra.registry.migrate import migrate


class Registry:
    """Synchronous and safe for threads. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.heads = HeadTable(database)
        self.datasets = DatasetTable(database)
        self.jobs = JobTable(database)

    @classmethod
    def open(cls, url: str) -> Registry:
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def revision(self) -> int:
        """Grows with every change of heads, versions or aliases, whichever server made it."""
        with self._database.read() as conn:
            return read_revision(conn)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
