"""A fake server and a client on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from candelabra_client import Client, Retry
from candelabra_client.testing import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.store.add_version("acme/news")
        server.store.move("acme/news", 1)
        yield server


@pytest.fixture
def quick() -> Retry:
    return Retry(attempts=4, first=0.01, longest=0.05)


@pytest.fixture
def client(server: FakeServer, quick: Retry) -> Iterator[Client]:
    with Client(server.address, retry=quick) as client:
        yield client
