"""What tests of every kind share: the repository, the datasets, and real servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candelabra.testing.server import Server, start_server
from candelabra_client import Client

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real datasets: CANDELABRA_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("CANDELABRA_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no datasets: {folder} is not a folder; name one with CANDELABRA_DATA")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server that all tests share: use heads and datasets of your own."""
    with start_server(data=tmp_path_factory.mktemp("server"), log_level="debug", log_format="json") as running:
        yield running
        assert running.process is not None
        assert running.process.poll() is None, running.tail()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of a test's own; they are killed when it ends."""
    running: list[Server] = []

    def begin(env: dict[str, str] | None = None, **settings: object) -> Server:
        running.append(start_server(env, tmp_path / f"server-{len(running)}", **settings))
        return running[-1]

    yield begin
    for one in running:
        one.kill()
