"""Predict latency while an Adapt of 10,000 texts runs, against idle, in one run."""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from bench.heads import fill
from bench.measure import Latencies, table
from bench.texts import mixed
from candelabra.testing.server import Server, start_server
from candelabra_client import AsyncClient

THINK_SECONDS = 0.05  # a steady load well below what the machine can do: what is measured is the disturbance
PART_SECONDS = 10.0


async def steady(
    client: AsyncClient, heads: list[str], texts: list[str], used: random.Random, seconds: float, clients: int
) -> Latencies:
    """Each client sends one text, waits for the answer, thinks, and sends the next."""
    result = Latencies()
    end = time.perf_counter() + seconds

    async def one() -> None:
        while time.perf_counter() < end:
            text = f"{used.choice(texts)} {used.random()}"
            start = time.perf_counter()
            await client.predict(text, used.choice(heads), top_k=1)
            result.seconds.append(time.perf_counter() - start)
            await asyncio.sleep(used.uniform(0.5, 1.5) * THINK_SECONDS)

    await asyncio.gather(*(one() for _ in range(clients)))
    result.wall = seconds
    return result


async def measure(server: Server, rows: int, clients: int, idle_parts: int) -> str:
    heads = fill(server, 20)
    texts, used = mixed(400, seed=9), random.Random(2)
    examples = [(text, ("first", "second", "third")[index % 3]) for index, text in enumerate(mixed(rows, seed=11))]
    async with AsyncClient(server.address) as client:
        await client.datasets.append("bench/many", examples)
        await steady(client, heads, texts, used, 3, clients)
        idle = [await steady(client, heads, texts, used, PART_SECONDS, clients) for _ in range(idle_parts)]
        began = time.perf_counter()
        job = await client.adapt("bench/many", dataset="bench/many", method="closed_form", force=True)
        busy: list[Latencies] = []
        while not (await job.refresh()).ended:
            busy.append(await steady(client, heads, texts, used, PART_SECONDS, clients))
        took = time.perf_counter() - began
        if len(busy) > 1:
            busy.pop()  # the job ended somewhere in it
        idle += [await steady(client, heads, texts, used, PART_SECONDS, clients) for _ in range(idle_parts)]
        done = await job.refresh()
    lines = []
    for percent in (50, 95, 99):
        at_rest = statistics.median(part.percentile(percent) for part in idle)
        under_way = statistics.median(part.percentile(percent) for part in busy)
        lines.append((f"p{percent}", f"{at_rest:.1f}", f"{under_way:.1f}", f"{under_way / at_rest:.2f}"))
    calls = sum(len(part.seconds) for part in idle), sum(len(part.seconds) for part in busy)
    return (
        f"{clients} clients, one text a call, {calls[0]} calls idle and {calls[1]} during the Adapt of {rows} texts "
        f"({done.state} after {took:.0f} s; encode {done.report.seconds['encode']:.0f} s)\n\n"
        + table(("Predict", "idle, ms", "during Adapt, ms", "ratio"), lines)
    )


def run(rows: int = 10_000, clients: int = 2, idle_parts: int = 3) -> str:
    with start_server() as server:
        return asyncio.run(measure(server, rows, clients, idle_parts))
