"""Which databases are taken, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from candelabra.errors import InvalidArgument
from candelabra.registry import Registry
from candelabra.registry.database import Database


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "postgresql+x://h"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Database(url)
    assert refused.value.metadata["setting"] == "database_url"


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(InvalidArgument) as refused:
        Database("mysql://user:hunter2@host/name")
    assert "hunter2" not in refused.value.message


def test_plain_postgresql_means_our_driver() -> None:
    database = Database("postgresql://user@127.0.0.1:1/name")
    assert not database.is_sqlite
    database.close()


def test_sqlite_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/folder %s/registry.sqlite3")
    with database.read() as conn:
        pragmas = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_folder_with_odd_characters(tmp_path: Path) -> None:
    with Registry.open(f"sqlite:///{tmp_path}/50%25 ünï/registry.sqlite3") as registry:
        assert registry.revision() == 0
