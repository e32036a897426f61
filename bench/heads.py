"""What many heads cost: one text to 20 heads against one, and 1,000 resident heads against one."""

from __future__ import annotations

import asyncio
import random
import statistics
from dataclasses import dataclass

from bench.measure import Latencies, closed_loop, table
from bench.random_heads import label_count, random_head
from bench.texts import mixed, short
from candelabra.testing.server import Server, start_server
from candelabra_client import AsyncClient, Client

TENANTS = 20
TURNS = 10


@dataclass(frozen=True, slots=True)
class Ratio:
    """Medians over the repeats of the same load, in milliseconds."""

    name: str
    few: float
    many: float
    pairs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.pairs)


def fill(server: Server, count: int) -> list[str]:
    """`count` live heads of 20 tenants with mixed label counts."""
    names = []
    with Client(server.address) as client:
        backbone = client.backbone()
        for number in range(count):
            name = f"tenant-{number % TENANTS}/head-{number}"
            data = random_head(backbone, number, label_count(number)).to_bytes()
            client.heads.import_(name, data, alias="live")
            names.append(name)
    return names


async def compare(
    server: Server,
    few: list[list[str]],
    many: list[list[str]],
    *,
    clients: int,
    repeats: int,
    calls: int,
    percent: float,
    texts: list[str],
    name: str,
) -> Ratio:
    """The two kinds of call in turn, `repeats` times each; every call has a text of its own."""
    chance = random.Random(1)
    results: tuple[list[float], list[float]] = ([], [])
    used = iter(range(10**9))
    async with AsyncClient(server.address) as client:

        async def run(choices: list[list[str]], count: int) -> Latencies:
            async def call(number: int) -> object:
                return await client.predict(
                    f"{texts[number % len(texts)]} {next(used)}", chance.choice(choices), top_k=1
                )

            return await closed_loop(call, clients, calls=count)

        kinds = (few, many)
        for choices in kinds:
            await run(choices, max(10, calls // 5))
        for repeat in range(repeats):
            both = (Latencies(), Latencies())
            # In short turns, so that a machine whose speed drifts is the same for both.
            for turn in range(TURNS):
                for which in (0, 1) if (repeat + turn) % 2 == 0 else (1, 0):
                    both[which].seconds += (await run(kinds[which], calls // TURNS)).seconds
            for result, latencies in zip(results, both, strict=True):
                result.append(latencies.percentile(percent))
    pairs = tuple(b / a for a, b in zip(*results, strict=True))
    return Ratio(name, statistics.median(results[0]), statistics.median(results[1]), pairs)


async def measure(server: Server, heads: list[str], repeats: int, calls: int) -> list[Ratio]:
    lone, mix = short(200), mixed(400)
    one, twenty = [[heads[0]]], [heads[:20]]
    every = [[name] for name in heads]
    return [
        await compare(
            server,
            one,
            twenty,
            clients=1,
            repeats=repeats,
            calls=calls,
            percent=50,
            texts=lone,
            name="fan-out to 20 heads, 1 client, p50",
        ),
        await compare(
            server,
            one,
            twenty,
            clients=4,
            repeats=repeats,
            calls=calls,
            percent=50,
            texts=mix,
            name="fan-out to 20 heads, 4 clients, p50",
        ),
        await compare(
            server,
            one,
            every,
            clients=4,
            repeats=repeats,
            calls=2 * calls,
            percent=95,
            texts=mix,
            name=f"{len(heads)} resident heads, 4 clients, p95",
        ),
    ]


def run(count: int = 1000, repeats: int = 7, calls: int = 200) -> str:
    with start_server(feature_cache_bytes=0) as server:
        heads = fill(server, count)
        ratios = asyncio.run(measure(server, heads, repeats, calls))
    rows = [
        (r.name, f"{r.few:.2f}", f"{r.many:.2f}", f"{r.ratio:.3f}", " ".join(f"{p:.3f}" for p in r.pairs))
        for r in ratios
    ]
    return table(("what", "one head, ms", "many heads, ms", "median ratio", "ratios of the repeats"), rows)
