"""A Predict on a real lane with a tiny encoder, and heads for it: what tests of Predict share."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from candelabra.discovery import Found
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.lane import Lane
from candelabra.engine.row import Inputs
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.body import Body
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore
from candelabra.limits import Limits
from candelabra.metrics import Metrics
from candelabra.plugin import EVERY_TASK, Decision, Domain, LabelScore, Task
from candelabra.predict import Predict
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import Input, Method, OwnedName, Slot, TaskKind, VersionDraft

LABELS = ("red", "green", "blue", "grey")
TEXTS = ["The barn door was painted.", "A bird sang", "Nobody saw the cat"]
INPUTS = [Input(text) for text in TEXTS]


class Plain(Domain):
    name = "general"
    tasks = EVERY_TASK


class Careful(Domain):
    """Moods from low to high, and no answer where it is not sure."""

    name = "careful"
    tasks = (
        Task("mood", labels=("bad", "so-so", "good"), ordered=True, abstain_below=0.5),
        Task("strange", abstain_outside=True),
    )


class Loud(Domain):
    """Reads every text backwards, and has a decision of its own."""

    name = "loud"
    tasks = (Task("classification"),)

    def prepare(self, text: str, task: Task) -> str:
        return " ".join(reversed(text.split())) + " indeed"

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        return Decision((scores[-1],), {"words": float(len(text.split()))})


class House:
    def __init__(self, folder: Path, cache_bytes: int = 0) -> None:
        self.metrics = Metrics()
        self.settings = Settings(max_inputs=8, max_heads=8)
        self.encoder = TinyEncoder()
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite3")
        self.store = HeadStore(folder)
        info = self.encoder.info
        self.shelf = Shelf(self.registry, self.store, Head.from_bytes, info.fingerprint, 10**6, self.metrics)
        self.lane = Lane(self.encoder, self.metrics, FeatureCache(cache_bytes, self.metrics))
        self.threads = ThreadPoolExecutor(1)
        domains = {domain.name: Found(domain, "tests", "1") for domain in (Plain(), Loud(), Careful())}
        limits = Limits(self.settings)
        self.predict = Predict(self.shelf, self.lane, tiny_tokenizer(), info, domains, limits, self.threads)
        self.seed = 0

    def add(
        self, name: str, domain: str = "general", labels: tuple[str, ...] = LABELS, slots: int = 1, multi: bool = False
    ) -> Head:
        """A random head, registered as the next version of `name` and live."""
        body = self.dense(len(labels), tuple(Slot(2 - at, "mean") for at in range(slots)))
        kind = TaskKind.MULTI_LABEL if multi else TaskKind.SINGLE_LABEL
        return self.add_body(name, body, labels, kind, domain=domain, thresholds=(0.5,) * len(labels) if multi else ())

    def add_body(self, name: str, body: Body, labels: tuple[str, ...], kind: TaskKind, **more: Any) -> Head:
        about = {"domain": "general", "task": "classification", "method": Method.CLOSED_FORM, **more}
        head = Head(body=body, labels=labels, task_kind=kind, backbone=self.encoder.info.fingerprint, **about)
        self.publish(name, head)
        return head

    def dense(self, outputs: int, slots: tuple[Slot, ...] = (Slot(2, "mean"),)) -> Dense:
        """Random weights, new ones each time."""
        self.seed += 1
        random = np.random.default_rng(self.seed)
        weight = 4 * random.normal(size=(len(slots) * self.encoder.info.dimension, outputs)).astype(np.float32)
        return Dense(slots, ((weight, random.normal(size=outputs).astype(np.float32)),))

    def publish(self, name: str, head: Head) -> None:
        """The head as the next version of `name`, live; it comes from its file if that can hold it."""
        data = head.to_bytes()
        draft = VersionDraft(
            head=OwnedName.parse(name),
            digest=self.store.put(data),
            backbone=head.backbone,
            domain=head.domain,
            task=head.task,
            kind=head.task_kind,
            method=head.method.value,
            labels=head.labels,
            bytes=len(data),
        )
        version = self.registry.heads.add(draft, "live")
        self.shelf.refresh()
        if head.kind.startswith("fake"):
            self.shelf.publish(version, "live", head)

    def expected(self, head: Head, text: str) -> np.ndarray:
        [tokens] = tiny_tokenizer().split([text], head.long_text)
        features = TinyEncoder().encode(tokens.windows, head.slots).pooled
        return np.asarray(head.scores(Inputs(features.reshape(1, -1)))[0])

    def encoded(self) -> int:
        return sum(len(one) for one in self.encoder.calls)

    async def close(self) -> None:
        await self.lane.stop()
        self.shelf.close()
        self.threads.shutdown()
        self.registry.close()
