"""A registry opens on any database of ours, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from records import HEAD, draft, together
from sqlalchemy import create_engine, text
from sqlalchemy.types import TypeEngine

from candelabra import errors
from candelabra.registry import Registry
from candelabra.registry.schema import metadata
from candelabra.types import HeadRef


def test_the_migrations_make_the_schema(registry: Registry, url: str) -> None:
    def differs(context: Any, _found: Any, _wanted: Any, found: TypeEngine[Any], wanted: TypeEngine[Any]) -> bool:
        return found.compile(context.dialect) != wanted.compile(context.dialect)

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": differs})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_opening_again_keeps_everything(url: str) -> None:
    with Registry.open(url) as first:
        made = first.heads.add(draft(), "live")
    with Registry.open(url) as second:
        assert second.heads.version(HeadRef(HEAD)) == made


def test_servers_may_start_at_once(url: str) -> None:
    opened = together(lambda _: Registry.open(url), threads=4)
    opened[0].heads.add(draft())
    assert [registry.revision() for registry in opened] == [1, 1, 1, 1]
    for registry in opened:
        registry.close()


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    Registry.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(errors.Precondition, match="9999"):
        Registry.open(url)


def test_servers_in_different_processes_migrate_a_fresh_database_at_once(url: str, tmp_path: Path) -> None:
    """A lock inside one process does not help them: what counts is the database's own."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from candelabra.registry import Registry\n"
        "print('ready', flush=True)\n"
        "while not Path(sys.argv[2]).exists():\n"
        "    time.sleep(0.001)\n"
        "with Registry.open(sys.argv[1]) as registry:\n"
        "    print(registry.revision())\n"
    )
    go = tmp_path / "go"
    command = [sys.executable, "-c", program, url, str(go)]
    servers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for server in servers:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
    go.touch()
    ended = [server.communicate(timeout=60) for server in servers]
    assert [server.returncode for server in servers] == [0, 0], [story for _, story in ended]
    assert [answer for answer, _ in ended] == ["0\n", "0\n"]
