"""Real servers for end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from candelabra.testing.server import Server, start_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server that all tests share: use heads and datasets of your own."""
    with start_server(data=tmp_path_factory.mktemp("server"), log_level="debug") as running:
        yield running
        assert running.process is not None and running.process.poll() is None, running.tail()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of a test's own; they are stopped when it ends."""
    running: list[Server] = []

    def begin(env: dict[str, str] | None = None, **settings: object) -> Server:
        folder = tmp_path / f"server-{len(running)}"
        running.append(start_server(env, folder, **settings))
        return running[-1]

    yield begin
    for one in running:
        one.kill()
