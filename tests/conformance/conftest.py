"""Both databases that the registry promises to run on; PostgreSQL is really started, from the machine's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from candelabra.registry import Registry

WHY_NOT = "PostgreSQL's initdb and pg_ctl are on neither PATH nor /usr/lib/postgresql (Debian: apt install postgresql)"


NO_DRIVER = "the Python package psycopg is not installed (pip install 'psycopg[binary]')"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path), *found] if on_path else found
    return next((pg_ctl.parent for pg_ctl in reversed(candidates) if (pg_ctl.parent / "initdb").exists()), None)


def _unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to run as root; anyone else runs it as oneself."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no user to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server without a database name."""
    binaries = _binaries()
    if binaries is None or find_spec("psycopg") is None:
        reason = NO_DRIVER if binaries else WHY_NOT
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # A short path of its own: a socket's path has room for 107 characters, and the user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="candelabra-pg-"))
    who = _unprivileged()
    if who:
        os.chown(folder, int(str(who["user"])), int(str(who["group"])))
    port = _free_port()
    data = str(folder / "data")

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **who)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"

    started = False
    try:
        run(f"{binaries}/initdb", "-D", data, "-U", "candelabra", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        options = f"-k {folder} -h 127.0.0.1 -p {port} -c fsync=off"
        # Without a log file the server would keep our pipe open for ever.
        run(f"{binaries}/pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        started = True
        yield f"postgresql+psycopg://candelabra@127.0.0.1:{port}"
    finally:
        if started:
            run(f"{binaries}/pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives URLs of empty databases of one kind."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'registry{next(_numbers)}.sqlite3'}"
    server = request.getfixturevalue("postgresql")
    import psycopg

    def make() -> str:
        name = f"test{next(_numbers)}"
        admin = server.replace("+psycopg", "") + "/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{server}/{name}"

    return make


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened:
        yield opened
