"""Bringing a database to today's schema, when several servers may start at once."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from candelabra.errors import Precondition
from candelabra.registry.database import Database

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x63616E64656C6162  # any number that only this project uses as a PostgreSQL advisory lock

_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def migrate(database: Database) -> None:
    """In one transaction: a crash in the middle leaves the old schema."""
    with _one_at_a_time, database.write() as conn:
        if not database.is_sqlite:  # where BEGIN IMMEDIATE has locked already
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        if not _is_current(conn):
            config = Config(attributes={"connection": conn})
            config.set_main_option("script_location", _escaped(FOLDER))
            command.upgrade(config, "head")


def _is_current(conn: Connection) -> bool:
    scripts = ScriptDirectory(str(FOLDER))
    known = {script.revision for script in scripts.walk_revisions()}
    found = MigrationContext.configure(conn).get_current_heads()
    if unknown := set(found) - known:
        raise Precondition(
            f"The database has the schema {', '.join(sorted(unknown))}, which this version of candelabra does not "
            "know: it was written by a newer one. Run that version, or restore a backup from before.",
            schema=", ".join(sorted(unknown)),
        )
    return found == (scripts.get_current_head(),)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")  # Alembic's options are those of configparser
