"""What is tried again, how often, and after which pause."""

from __future__ import annotations

import time

import grpc
import pytest

from candelabra_client import Client, FailedPrecondition, ResourceExhausted, Retry, Unavailable
from candelabra_client.testing import FakeServer

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("reason", ["", "QUEUE_FULL", "STARTING", "DRAINING"])
def test_predict_is_tried_again(client: Client, server: FakeServer, reason: str) -> None:
    server.refuse("Predict", UNAVAILABLE, reason, times=2)
    assert client.predict("text", "acme/news")[0].label == "short"
    assert server.calls["Predict"] == 3


def test_attempts_end(client: Client, server: FakeServer) -> None:
    server.refuse("Predict", UNAVAILABLE, "QUEUE_FULL", "The queue is full.", times=100)
    with pytest.raises(Unavailable, match="full") as caught:
        client.predict("text", "acme/news")
    assert caught.value.reason == "QUEUE_FULL"
    assert server.calls["Predict"] == 4


def test_other_reasons_are_final(client: Client, server: FakeServer) -> None:
    server.refuse("Predict", UNAVAILABLE, "OVERSEAS_CABLE_CUT")
    server.refuse("Predict", grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
    server.refuse("Predict", grpc.StatusCode.FAILED_PRECONDITION, "WRONG_BACKBONE")
    for expected in (Unavailable, ResourceExhausted, FailedPrecondition):
        with pytest.raises(expected):
            client.predict("text", "acme/news")
    assert server.calls["Predict"] == 3


def test_moving_an_alias_is_not_repeated_blindly(client: Client, server: FakeServer) -> None:
    server.refuse("SetAlias", UNAVAILABLE, "", "connection reset")
    with pytest.raises(Unavailable):
        client.heads.promote("acme/news@1")
    assert server.calls["SetAlias"] == 1
    server.refuse("SetAlias", UNAVAILABLE, "STARTING")
    client.heads.promote("acme/news@1")
    assert server.calls["SetAlias"] == 3


def test_adapt_and_append_are_repeated_under_one_request_id(client: Client, server: FakeServer) -> None:
    server.refuse("Adapt", UNAVAILABLE)
    server.refuse("AppendExamples", UNAVAILABLE)
    client.adapt("acme/fresh", [("a", "b")])
    client.datasets.append("acme/rows", iter([("a", "b"), ("c", "d")]))
    assert len(server.store.jobs) == 1
    assert len(server.store.datasets["acme/rows"]) == 2
    assert server.calls["AppendExamples"] == 2


def test_the_servers_pause_is_kept(client: Client, server: FakeServer) -> None:
    server.refuse("Predict", UNAVAILABLE, "QUEUE_FULL", pushback_ms=250)
    server.refuse("Predict", UNAVAILABLE, "QUEUE_FULL", retry_delay=0.25)
    start = time.monotonic()
    client.predict("text", "acme/news")
    assert time.monotonic() - start >= 0.5


def test_a_negative_pause_means_do_not(client: Client, server: FakeServer) -> None:
    server.refuse("Predict", UNAVAILABLE, "QUEUE_FULL", pushback_ms=-1)
    with pytest.raises(Unavailable):
        client.predict("text", "acme/news")
    assert server.calls["Predict"] == 1


def test_no_pause_outlives_the_deadline(client: Client, server: FakeServer) -> None:
    server.refuse("Predict", UNAVAILABLE, "QUEUE_FULL", pushback_ms=60_000)
    start = time.monotonic()
    with pytest.raises(Unavailable):
        client.predict("text", "acme/news", timeout=5)
    assert time.monotonic() - start < 3


def test_no_server_is_told_soon() -> None:
    with FakeServer() as server:
        address = server.address
    start = time.monotonic()
    with Client(address) as client, pytest.raises(Unavailable):
        client.heads.list()
    assert time.monotonic() - start < 5


def test_pauses_grow_to_the_longest() -> None:
    retry = Retry(first=0.1, longest=2.0)
    assert 0.05 <= retry.pause(1) <= 0.1
    assert 1.0 <= retry.pause(1000) <= 2.0
