"""kill -9 at random moments of adapting, promoting and appending: what was acknowledged is there afterwards.

Three actors work on one server and write down what it acknowledged. The server is killed, started again on the
same data, and everything written down is looked up; then the actors go on. At the end every job must have ended.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import table
from bench.random_heads import random_head
from candelabra.testing.server import Server, start_server
from candelabra_client import CandelabraError, Client, NotFound

GOOD_ENDS = ("succeeded", "rejected")


@dataclass(slots=True)
class Ledger:
    """What the server said yes to, and what was under way when it died."""

    jobs: set[str] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=Counter)
    versions: dict[str, str] = field(default_factory=dict)
    alias: str = ""
    alias_tried: list[str] = field(default_factory=list)  # since the last one that was acknowledged
    actions: Counter[str] = field(default_factory=Counter)
    lies: list[str] = field(default_factory=list)


class Actors:
    """Adapter, promoter and appender, each in a thread of its own, until told to stop."""

    def __init__(self, server: Server, ledger: Ledger, round_: int) -> None:
        self.server = server
        self.ledger = ledger
        self.round = round_
        self.stopped = threading.Event()
        self.chance = random.Random(round_)
        acts = (self.adapt, self.promote, self.append)
        self.threads = [threading.Thread(target=self._until_stopped, args=(act,)) for act in acts]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def _until_stopped(self, act: Callable[[Client, int], None]) -> None:
        number = 0
        with Client(self.server.address) as client:
            while not self.stopped.is_set():
                number += 1
                try:
                    act(client, number)
                except CandelabraError:
                    self.stopped.wait(0.01)  # killed in the middle: whatever it was, it was not acknowledged

    def adapt(self, client: Client, number: int) -> None:
        examples = [
            (
                f"Round {self.round}.{number}: note {index} about a {'late' if index % 2 else 'early'} train",
                ("early", "late")[index % 2],
            )
            for index in range(24)
        ]
        handle = client.adapt(
            f"crash/head-{number % 3}",
            examples,
            request_id=f"{self.round}-{number}",
            method="closed_form",
            force=True,
            timeout=2,
        )
        self.ledger.jobs.add(handle.job.name)
        self.ledger.actions["adapt"] += 1
        self.stopped.wait(self.chance.uniform(0, 0.3))

    def promote(self, client: Client, number: int) -> None:
        wanted = self.chance.choice(sorted(self.ledger.versions))
        self.ledger.alias_tried.append(wanted)
        client.heads.promote(wanted, timeout=2)
        self.ledger.alias, self.ledger.alias_tried = wanted, []
        self.ledger.actions["promote"] += 1

    def append(self, client: Client, number: int) -> None:
        rows = [(f"Round {self.round}.{number} row {index}", "kept") for index in range(self.chance.randint(1, 40))]
        name = f"crash/rows-{self.round}-{number}"
        client.datasets.append(name, rows, request_id=name, timeout=2)
        self.ledger.rows[name] = len(rows)
        self.ledger.actions["append"] += 1


def check(client: Client, ledger: Ledger, since: set[str]) -> None:
    """Everything that was acknowledged is there, and every head answers."""
    for name in ledger.jobs - since:
        try:
            job = client.jobs.get(name)
        except NotFound:
            ledger.lies.append(f"{name} was acknowledged and is gone")
            continue
        if job.state in ("failed", "cancelled"):
            since.add(name)
            ledger.lies.append(f"{name} {job.state}: {job.error}")
        if job.state in GOOD_ENDS:
            since.add(name)
            ledger.versions.setdefault(job.head_version, job.head_digest)
    for name, rows in list(ledger.rows.items()):
        if client.datasets.get(name).rows != rows:
            ledger.lies.append(f"{name} has {client.datasets.get(name).rows} rows, not {rows}")
        del ledger.rows[name]
    promoted = [name for name in ledger.versions if name.startswith("crash/promoted")]
    live = client.predict("A train came late.", "crash/promoted").answers[0][0].head
    if live not in (ledger.alias, *ledger.alias_tried):
        ledger.lies.append(f"live is {live}, acknowledged was {ledger.alias}, tried was {ledger.alias_tried}")
    ledger.alias, ledger.alias_tried = live, []
    for name in [*promoted, *random.sample(sorted(ledger.versions), min(10, len(ledger.versions)))]:
        answer = client.predict("A train came late.", name)
        if (served := answer.heads[0]).digest != ledger.versions[name] or served.name != name:
            ledger.lies.append(f"{name} answers as {served.name} {served.digest}, not {ledger.versions[name]}")
    for head in client.heads.list():
        for version in client.heads.versions(head.name, limit=3):
            client.predict("Any head that is listed answers.", version.name)


def run(kills: int = 50, data: Path | None = None, database_url: str = "", longest: float = 1.5) -> str:
    ledger, ended, chance = Ledger(), set[str](), random.Random(7)
    began = time.perf_counter()
    with start_server(data=data, database_url=database_url) as server:
        with Client(server.address) as client:
            backbone = client.backbone()
            for seed in range(5):
                version = client.heads.import_(
                    "crash/promoted", random_head(backbone, seed, 3).to_bytes(), alias="live"
                )
                ledger.versions[version.name] = version.digest
                ledger.alias = version.name
        promoted = dict(ledger.versions)
        for round_ in range(kills):
            actors = Actors(server, ledger, round_)
            kept, ledger.versions = ledger.versions, promoted
            actors.start()
            time.sleep(chance.uniform(0.02, longest))
            server.kill()
            actors.stop()
            ledger.versions = kept
            server.start()
            with Client(server.address) as client:
                check(client, ledger, ended)
        with Client(server.address) as client:
            finished = [client.jobs.handle(name).wait(600) for name in sorted(ledger.jobs)]
            check(client, ledger, ended)
        attempts = Counter(job.attempt for job in finished)
        states = Counter(job.state for job in finished)
    report = table(
        ("kills", "seconds", "acknowledged", "jobs ended", "of them started more than once", "lies"),
        [
            (
                kills,
                f"{time.perf_counter() - began:.0f}",
                dict(ledger.actions),
                dict(states),
                sum(count for tries, count in attempts.items() if tries > 1),
                len(ledger.lies),
            )
        ],
    )
    return report + "".join(f"\n- {lie}" for lie in ledger.lies)
