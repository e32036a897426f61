"""Right head under churn: many clients predict while versions are promoted, rolled back, deleted and adapted.

Every answer is checked against an independent computation of the version that it names: features from the
encoder run here, one text at a time, and the weights of that version's exported file.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from bench.measure import table
from bench.random_heads import label_count, random_head
from bench.texts import mixed
from candelabra.backbones import resolve
from candelabra.engine.row import Inputs
from candelabra.engine.tokenizer import Tokenizer
from candelabra.engine.torch_encoder import TorchEncoder
from candelabra.heads.head import Head
from candelabra.settings import Settings
from candelabra.testing.server import Server, start_server
from candelabra.types import LongText
from candelabra_client import Answers, AsyncClient, Backbone, CandelabraError, FailedPrecondition, NotFound

TENANTS = 20
TOLERANCE = 2e-3  # of a probability: another batch shape gives other last bits, and random heads amplify them
MOST_TEXTS, MOST_HEADS = 8, 4  # of one call
PAUSE_SECONDS = 0.05  # of each of the two who change heads, so that most of the machine is left to those who ask


@dataclass(slots=True)
class Ledger:
    """What happened, and what every version that ever was live looks like."""

    files: dict[str, tuple[str, Head]] = field(default_factory=dict)
    calls: int = 0
    predictions: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[str, str, str, dict[str, float]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    seconds: float
    calls: int
    predictions: int
    failed: dict[str, int]
    actions: dict[str, int]
    versions: int
    checked: int
    wrong: int
    worst: float

    def table(self) -> str:
        return table(
            (
                "seconds",
                "calls",
                "predictions",
                "failed calls",
                "versions seen",
                "answers recomputed",
                "wrong answers",
                "largest difference",
                "changes",
            ),
            [
                (
                    f"{self.seconds:.0f}",
                    self.calls,
                    self.predictions,
                    sum(self.failed.values()),
                    self.versions,
                    self.checked,
                    self.wrong,
                    f"{self.worst:.1e}",
                    ", ".join(f"{count} {name}" for name, count in sorted(self.actions.items())),
                )
            ],
        )


async def remember(client: AsyncClient, ledger: Ledger, name: str) -> None:
    """Keeps the version's file for the check afterwards."""
    data = await client.heads.export(name)
    version = await client.heads.version(name)
    ledger.files[name] = (version.digest, Head.from_bytes(data))


async def fill(client: AsyncClient, ledger: Ledger, backbone: Backbone, count: int) -> list[str]:
    """`count` heads with two versions each, the second one live."""
    names = [f"tenant-{number % TENANTS}/head-{number}" for number in range(count)]
    for number, name in enumerate(names):
        for version in (1, 2):
            await add_version(client, ledger, backbone, name, number, version * 100_000 + number, live=version == 2)
    return names


async def add_version(
    client: AsyncClient, ledger: Ledger, backbone: Backbone, name: str, number: int, seed: int, live: bool
) -> None:
    head = random_head(backbone, seed, label_count(number), layers=1 + number % 3)
    data = head.to_bytes()
    version = await client.heads.import_(name, data)
    ledger.files[version.name] = (version.digest, head)
    if live:
        await client.heads.promote(version.name)


async def predictor(
    client: AsyncClient, ledger: Ledger, names: list[str], texts: list[str], end: float, chance: random.Random
) -> None:
    while time.monotonic() < end:
        asked = chance.sample(names, chance.randint(1, MOST_HEADS))
        some = chance.sample(texts, chance.randint(1, MOST_TEXTS))
        ledger.calls += 1
        try:
            answers: Answers = await client.predict(some, asked)
        except CandelabraError as error:
            ledger.failed[f"{error.reason}: {error}"] += 1
            continue
        for text, answer in zip(some, answers, strict=True):
            for name, prediction in zip(asked, answer, strict=True):
                ledger.predictions += 1
                if prediction.head.partition("@")[0] != name:
                    ledger.failed[f"asked {name}, answered {prediction.head}"] += 1
                ledger.answers.append((text, prediction.head, prediction.digest, dict(prediction.scores)))


async def churn(
    client: AsyncClient,
    ledger: Ledger,
    backbone: Backbone,
    names: list[str],
    end: float,
    chance: random.Random,
    seed: int,
) -> None:
    """Promotes, rolls back, imports and deletes."""
    while time.monotonic() < end:
        number = chance.randrange(len(names))
        name = names[number]
        act = chance.choice(("promote", "roll back", "import", "delete"))
        try:
            head = await client.heads.get(name)
            versions = [version.version for version in await client.heads.versions(name)]
            if act == "promote":
                await client.heads.promote(f"{name}@{chance.choice(versions)}")
            elif act == "roll back":
                await client.heads.roll_back(name)
            elif act == "import":
                seed += 1
                await add_version(client, ledger, backbone, name, number, seed, live=chance.random() < 0.5)
            else:
                idle = [version for version in versions if version not in head.aliases.values()]
                if len(idle) > 1:
                    await client.heads.delete(f"{name}@{chance.choice(idle)}")
            ledger.actions[act] += 1
        except (FailedPrecondition, NotFound) as error:  # two churners met at one head: a clear refusal
            ledger.actions[f"{act} refused ({error.reason})"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def adapter(client: AsyncClient, ledger: Ledger, names: list[str], end: float, chance: random.Random) -> None:
    """Adapts heads with examples that differ every time, so that every version differs."""
    round_ = 0
    while time.monotonic() < end:
        round_ += 1
        name = f"tenant-{round_ % TENANTS}/adapted-{round_ % 5}"
        words = {"on time": ("early", "punctually"), "late": ("too late", "days after")}
        examples = [
            (f"The parcel {number} of round {round_} came {chance.choice(words[label])}", label)
            for number, label in enumerate(("on time", "late") * 20)
        ]
        job = (await client.adapt(name, examples, method="closed_form", wait=True, force=True, timeout=120)).job
        if job.state != "succeeded":
            ledger.failed[f"adapt {job.state}"] += 1
            continue
        await remember(client, ledger, job.head_version)
        if name not in names:
            names.append(name)
        ledger.actions["adapt"] += 1


def recompute(ledger: Ledger) -> tuple[int, int, float]:
    """Answers checked, answers that differ, and the largest difference of a probability."""
    settings = Settings()
    backbone = resolve(settings.backbone, settings.cache)
    tokenizer = Tokenizer.load(backbone, settings.window, settings.window_overlap, settings.max_windows)
    encoder = TorchEncoder.load(backbone, "cpu", "auto", 0)
    slots = tuple(sorted({slot for _, head in ledger.files.values() for slot in head.slots}))
    features: dict[str, dict[object, np.ndarray]] = {}
    wrong, worst = 0, 0.0
    for text, name, digest, scores in ledger.answers:
        if text not in features:
            (tokens,) = tokenizer.split([text], LongText.TRUNCATE)
            features[text] = dict(zip(slots, encoder.encode(tokens.windows, slots).pooled[0], strict=True))
        known, head = ledger.files[name]
        vector = np.concatenate([features[text][slot] for slot in head.slots])[None, :]
        expected = dict(zip(head.labels, head.scores(Inputs(vector, texts=[text]))[0].tolist(), strict=True))
        gap = (
            max(abs(expected[label] - scores[label]) for label in expected) if scores.keys() == expected.keys() else 1.0
        )
        worst = max(worst, gap)
        wrong += gap > TOLERANCE or known != digest
    return len(ledger.answers), wrong, worst


async def measure(server: Server, seconds: float, clients: int, heads: int, texts: int) -> Result:
    ledger = Ledger()
    chance = random.Random(3)
    pool = mixed(texts, seed=5)
    async with AsyncClient(server.address) as client:
        backbone = await client.backbone()
        names = await fill(client, ledger, backbone, heads)
        churned = list(names)
        end = time.monotonic() + seconds
        began = time.perf_counter()
        await asyncio.gather(
            *(predictor(client, ledger, names, pool, end, random.Random(number)) for number in range(clients)),
            churn(client, ledger, backbone, churned, end, chance, 1_000_000),
            churn(client, ledger, backbone, churned, end, random.Random(4), 2_000_000),
            adapter(client, ledger, names, end, random.Random(6)),
        )
        took = time.perf_counter() - began
    checked, wrong, worst = await asyncio.to_thread(recompute, ledger)
    return Result(
        took,
        ledger.calls,
        ledger.predictions,
        dict(ledger.failed),
        dict(ledger.actions),
        len(ledger.files),
        checked,
        wrong,
        worst,
    )


def run(seconds: float = 120, clients: int = 16, heads: int = 200, texts: int = 400) -> str:
    with start_server() as server:
        result = asyncio.run(measure(server, seconds, clients, heads, texts))
    report = result.table()
    if result.failed:
        report += "\n\nFailures: " + "; ".join(f"{count} x {what}" for what, count in result.failed.items())
    return report
