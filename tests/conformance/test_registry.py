"""A registry opens on any database of ours, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from records import HEAD, ROWS, draft, examples, together
from sqlalchemy import create_engine, text
from sqlalchemy.types import TypeEngine

from candelabra import errors
from candelabra.registry import Registry
from candelabra.registry.database import Database
from candelabra.registry.migrate import FOLDER
from candelabra.registry.schema import metadata
from candelabra.types import Example, HeadRef


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


FIRST = (
    "INSERT INTO head VALUES (1, 'acme', 'tickets', 'general', 'classification', :now, 1, 1, false)",
    "INSERT INTO head_version VALUES (1, 1, 1, 'sha256:a', 'minilm:1', 'single_label', 'dense', '[\"tea\",\"coffee\"]',"
    " 9, :now, true, 'acme/rows', 3, '', '{}')",
    "INSERT INTO head_alias VALUES (1, 'live', 1)",
    "INSERT INTO alias_move VALUES (1, 1, 'live', 1, :now, false)",
    "INSERT INTO dataset VALUES (1, 'acme', 'rows', false, 3, :counts, :now, :now)",
    "INSERT INTO dataset VALUES (2, 'acme', 'job-1', true, 0, '{}', :now, :now)",
    "INSERT INTO dataset_append VALUES (1, 'r', 'not the digest', 3, 3, :counts, :now)",
)


def test_a_database_of_the_first_schema_keeps_its_rows(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(FOLDER))
        command.upgrade(config, "0001")
        values = {"now": database.now(connection), "counts": '{"coffee":2,"tea":1}'}
        for statement in FIRST:
            words = text(statement)
            connection.execute(words, {name: values[name] for name in words.compile().params})
        for position, item in enumerate(examples(3)):
            row = {"at": position, "text": f" {item.text}\n", "labels": f'["{item.labels[0]}"]'}
            connection.execute(text("INSERT INTO dataset_example VALUES (1, :at, :text, :labels)"), row)
    database.close()
    with Registry.open(url) as registry:
        old = [Example(f" {item.text}\n", item.labels) for item in examples(3)]
        assert registry.datasets.examples(ROWS, 3) == old
        info = registry.datasets.get(ROWS)
        assert (info.rows, info.next_position, info.label_counts) == (3, 3, {"coffee": 2, "tea": 1})
        found = registry.heads.version(HeadRef(HEAD))
        assert (found.digest, found.dataset_rows, found.retired) == ("sha256:a", 3, "")
        # What was there before can be appended to, found by its text, and forgotten.
        assert registry.datasets.append(ROWS, examples(1, 3))[0].next_position == 4
        assert registry.datasets.forget(ROWS, (), [examples(2)[1].text]).datasets[0].positions == (1,)
        assert [at for at, _ in registry.datasets.numbered(ROWS, 9)] == [0, 2, 3]
