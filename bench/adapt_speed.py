"""Adapt from raw text to promoted head, again and after an append, beside the loop that encodes in every epoch."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers import AutoModel, AutoTokenizer

from bench import datasets
from bench.measure import table
from candelabra.backbones import resolve
from candelabra.settings import Settings
from candelabra.testing.server import start_server
from candelabra_client import Client

Row: TypeAlias = tuple[str, list[str]]

SHOTS = 8
TEXTBOOK_BATCH = 32
TEXTBOOK_RATE = 1e-2  # in the loop's favour: at the usual 1e-3 it needs several times the epochs
TEXTBOOK_PATIENCE = 3  # epochs without a better loss on the held-out tenth
TEXTBOOK_EPOCHS = 200
APPENDED = 100
PHASES = ("encode", "train", "baselines", "gate")


def few_shot(rows: list[Row]) -> list[Row]:
    """The first rows of each label."""
    taken: dict[str, int] = defaultdict(int)
    kept = []
    for text, labels in rows:
        if taken[labels[0]] < SHOTS:
            taken[labels[0]] += 1
            kept.append((text, labels))
    return kept


@dataclass(slots=True)
class Textbook:
    """Frozen encoder, linear layer, Adam; every epoch encodes every text again."""

    labels: list[str]
    tokenizer: Any
    model: Any
    layer: torch.nn.Linear

    @classmethod
    def of(cls, rows: list[Row]) -> Textbook:
        settings = Settings()
        path = resolve(settings.backbone, settings.cache).path
        labels = sorted({row[1][0] for row in rows})
        model = AutoModel.from_pretrained(path, use_safetensors=True, local_files_only=True).eval()
        torch.manual_seed(0)
        layer = torch.nn.Linear(model.config.hidden_size, len(labels))
        return cls(labels, AutoTokenizer.from_pretrained(path), model, layer)

    def logits(self, rows: list[Row]) -> torch.Tensor:
        texts = [text for text, _ in rows]
        batch = self.tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        logits: torch.Tensor = self.layer((states * mask).sum(1).div(mask.sum(1)).clone())
        return logits

    def loss(self, rows: list[Row]) -> torch.Tensor:
        """Summed over the rows."""
        wanted = torch.tensor([self.labels.index(labels[0]) for _, labels in rows])
        return torch.nn.functional.cross_entropy(self.logits(rows), wanted, reduction="sum")

    def fit(self, rows: list[Row]) -> int:
        """Until the held-out tenth stops improving; the epochs it took."""
        held, used = rows[::10], [row for index, row in enumerate(rows) if index % 10]
        adam = torch.optim.Adam(self.layer.parameters(), lr=TEXTBOOK_RATE)
        best, best_epoch, state = float("inf"), 0, self.layer.state_dict()
        for epoch in range(1, TEXTBOOK_EPOCHS + 1):
            order = torch.randperm(len(used)).tolist()
            for batch in batches([used[index] for index in order]):
                adam.zero_grad()
                (self.loss(batch) / len(batch)).backward()
                adam.step()
            with torch.no_grad():
                total = sum(float(self.loss(batch)) for batch in batches(held))
            if total < best * 0.999:
                best, best_epoch = total, epoch
                state = {key: value.clone() for key, value in self.layer.state_dict().items()}
            elif epoch - best_epoch >= TEXTBOOK_PATIENCE:
                break
        self.layer.load_state_dict(state)
        return epoch

    @torch.no_grad()
    def accuracy(self, rows: list[Row]) -> float:
        right = 0
        for batch in batches(rows):
            guesses = self.logits(batch).argmax(1).tolist()
            right += sum(self.labels[guess] == labels[0] for guess, (_, labels) in zip(guesses, batch, strict=True))
        return right / len(rows)


def accuracy(client: Client, head: str, rows: Sequence[Row]) -> float:
    """Of the head's decisions on `rows`."""
    right = 0
    for start in range(0, len(rows), 128):
        part = rows[start : start + 128]
        answers = client.predict([text for text, _ in part], head, top_k=1, timeout=300)
        right += sum(answer.label == labels[0] for answer, (_, labels) in zip(answers, part, strict=True))
    return right / len(rows)


def batches(rows: list[Row]) -> list[list[Row]]:
    return [rows[start : start + TEXTBOOK_BATCH] for start in range(0, len(rows), TEXTBOOK_BATCH)]


def again(repeats: int = 7) -> str:
    """A dataset that is adapted to, adapted to again, appended to and adapted to: seconds from the call to the
    promoted head, and those of each phase that the report tells. Medians; features of texts seen before are cached."""
    data = datasets.load("finance/banking77")
    rows = []
    with start_server() as server, Client(server.address) as client:
        for part in (few_shot(list(data.train)), list(data.train)):
            name = f"bench/rows-{len(part)}"
            client.datasets.append(name, part)
            rows.append(_line(f"{len(part)} x 77, first", [_adapted(client, name)]))
            rows.append(_line(f"{len(part)} x 77, again", [_adapted(client, name) for _ in range(repeats)]))
            client.datasets.append(name, list(data.validation)[:APPENDED])
            rows.append(_line(f"{APPENDED} appended", [_adapted(client, name)]))
    return table(("dataset", "seconds", "slowest", *PHASES, "the rest"), rows)


def _adapted(client: Client, name: str) -> dict[str, float]:
    began = time.perf_counter()
    job = client.adapt(
        name, dataset=name, domain="finance", method="closed_form", wait=True, force=True, timeout=900
    ).job
    whole = time.perf_counter() - began
    phases = {phase: job.report.seconds.get(phase, 0.0) for phase in PHASES}
    return {"whole": whole, **phases, "rest": whole - sum(phases.values())}


def _line(what: str, found: Sequence[dict[str, float]]) -> list[str]:
    middle = {name: statistics.median(one[name] for one in found) for name in found[0]}
    slowest = max(one["whole"] for one in found)
    numbers = (middle["whole"], slowest, *(middle[phase] for phase in PHASES), middle["rest"])
    return [what, *(f"{number:.2f}" for number in numbers)]


def run(repeats: int = 5, with_textbook: bool = True) -> str:
    """From raw text without any cache, beside the textbook; then the same dataset again."""
    return f"{_from_text(repeats, with_textbook)}\n\n{again()}"


def _from_text(repeats: int, with_textbook: bool) -> str:
    data = datasets.load("finance/banking77")
    train = few_shot(list(data.train))
    took, encode, rows = [], [], []
    with start_server(feature_cache_bytes=0) as server, Client(server.address) as client:
        for method in ("closed_form", "dense"):
            took, encode = [], []
            for repeat in range(repeats):
                began = time.perf_counter()
                job = client.adapt(
                    f"bench/few-{method.replace('_', '-')}-{repeat}",
                    train,
                    domain="finance",
                    method=method,
                    wait=True,
                    force=True,
                    timeout=900,
                ).job
                took.append(time.perf_counter() - began)
                encode.append(job.report.seconds["encode"])
            score = accuracy(client, job.head_version, data.test)
            share = statistics.median(encode) / statistics.median(took)
            rows.append((f"Adapt, {method}", f"{statistics.median(took):.2f}", f"{share:.0%}", f"{score:.4f}", ""))
    if with_textbook:
        book = Textbook.of(train)
        began = time.perf_counter()
        epochs = book.fit(train)
        seconds = time.perf_counter() - began
        score = book.accuracy(list(data.test))
        rows.append(("textbook loop", f"{seconds:.1f}", "~100%", f"{score:.4f}", f"{epochs} epochs"))
    return f"{len(train)} texts, 77 classes\n\n" + table(
        ("what", "seconds from raw text to promoted head", "share spent encoding", "test accuracy", ""), rows
    )
