"""The asyncio client: the same verbs, streams of both kinds, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from candelabra_client import AsyncClient, Client, JobEvent, NotFound, Retry, Unavailable
from candelabra_client.testing import FakeServer


@pytest.fixture
async def aio(server: FakeServer, quick: Retry) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.address, retry=quick) as client:
        yield client


async def test_predict_retries_and_maps_errors(aio: AsyncClient, server: FakeServer) -> None:
    server.refuse("Predict", grpc.StatusCode.UNAVAILABLE, "QUEUE_FULL", pushback_ms=5, times=2)
    assert (await aio.predict("text", "acme/news"))[0].label == "short"
    with pytest.raises(NotFound) as caught:
        await aio.predict("text", "acme/missing")
    assert caught.value.reason == "HEAD_NOT_FOUND"
    server.refuse("Predict", grpc.StatusCode.UNAVAILABLE, "", times=50)
    with pytest.raises(Unavailable):
        await aio.predict("text", "acme/news")


async def test_many_calls_at_once_keep_their_answers(aio: AsyncClient) -> None:
    texts = ["x" * length for length in range(1, 41)]
    found = await asyncio.gather(*(aio.predict(text, "acme/news") for text in texts))
    assert [answers[0][0].values["characters"] for answers in found] == list(range(1, 41))


async def test_stream_takes_plain_and_async_sources(aio: AsyncClient) -> None:
    async def source() -> AsyncIterator[str]:
        for length in (1, 30, 2):
            yield "x" * length

    found = [answers[0].label async for answers in aio.predict_stream(source(), "acme/news")]
    assert found == ["short", "long", "short"]
    found = [answers[0].label async for answers in aio.predict_stream(["x" * 30, "x"], "acme/news")]
    assert found == ["long", "short"]


async def test_a_broken_source_breaks_in_the_callers_hands(aio: AsyncClient) -> None:
    async def source() -> AsyncIterator[str]:
        yield "x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        [answers async for answers in aio.predict_stream(source(), "acme/news")]


async def test_adapt_watches_through_a_break(aio: AsyncClient, server: FakeServer) -> None:
    server.store.break_after = 1
    heard: list[int] = []

    async def hear(event: JobEvent) -> None:
        heard.append(event.sequence)

    handle = await aio.adapt("acme/fresh", [("a", "b")], on_progress=hear)
    assert heard == [1, 2, 3, 4]
    assert handle.job.succeeded
    assert (await aio.jobs.list("acme"))[0].name == handle.job.name
    assert [event.sequence async for event in aio.jobs.watch(handle.job.name, after=2)] == [3, 4]


async def test_a_cancelled_call_is_cancelled(aio: AsyncClient, server: FakeServer) -> None:
    server.store.delay = 0.5
    call = asyncio.create_task(aio.predict("text", "acme/news"))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    server.store.delay = 0
    assert (await aio.predict("text", "acme/news"))[0].label == "short"


async def test_lists_files_and_datasets(aio: AsyncClient, server: FakeServer) -> None:
    for _ in range(4):
        server.store.add_version("acme/news")
    assert len(await aio.heads.versions("acme/news")) == 5
    content = await aio.heads.export("acme/news@3")
    assert (await aio.heads.import_("acme/copy", content)).name == "acme/copy@1"
    server.refuse("AppendExamples", grpc.StatusCode.UNAVAILABLE)
    assert (await aio.datasets.append("acme/rows", [("a", "b")])).dataset.rows == 1
    assert (await aio.domains.list())[0].name == "general"


def test_both_faces_have_the_same_verbs() -> None:
    from candelabra_client import aio_rooms, rooms

    def verbs(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert verbs(Client) == verbs(AsyncClient)
    for name in ("Heads", "Datasets", "Jobs", "Domains", "AdaptHandle"):
        assert verbs(getattr(rooms, name)) == verbs(getattr(aio_rooms, f"Async{name}"))
