"""Adapt from raw text to promoted head, beside the textbook loop that encodes again in every epoch."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

import torch
from transformers import AutoModel, AutoTokenizer

from bench import datasets
from bench.measure import table
from bench.quality import test_score
from candelabra.backbones import resolve
from candelabra.settings import Settings
from candelabra.testing.server import start_server
from candelabra_client import Client

SHOTS = 8
TEXTBOOK_BATCH = 32
TEXTBOOK_RATE = 1e-3
TEXTBOOK_PATIENCE = 3  # epochs without a better loss on the held-out tenth
TEXTBOOK_EPOCHS = 200


def few_shot(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """The first rows of each label."""
    taken: dict[str, int] = defaultdict(int)
    kept = []
    for text, labels in rows:
        if taken[labels[0]] < SHOTS:
            taken[labels[0]] += 1
            kept.append((text, labels))
    return kept


def textbook(train: list[tuple[str, list[str]]], test: list[tuple[str, list[str]]]) -> tuple[float, float, int]:
    """Frozen encoder, linear layer, Adam; every epoch encodes every text. Seconds, test accuracy, epochs."""
    settings = Settings()
    path = resolve(settings.backbone, settings.cache).path
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()
    labels = sorted({row[1][0] for row in train})
    place = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(0)

    def features(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return (states * mask).sum(1).div(mask.sum(1)).clone()

    def batches(rows: list[tuple[str, list[str]]]) -> list[list[tuple[str, list[str]]]]:
        return [rows[start : start + TEXTBOOK_BATCH] for start in range(0, len(rows), TEXTBOOK_BATCH)]

    began = time.perf_counter()
    held, used = train[::10], [row for index, row in enumerate(train) if index % 10]
    layer = torch.nn.Linear(model.config.hidden_size, len(labels))
    adam = torch.optim.Adam(layer.parameters(), lr=TEXTBOOK_RATE)
    best, since, state = float("inf"), 0, {}

    for epochs in range(1, TEXTBOOK_EPOCHS + 1):
        order = torch.randperm(len(used)).tolist()
        for batch in batches([used[index] for index in order]):
            loss = torch.nn.functional.cross_entropy(
                layer(features([text for text, _ in batch])), torch.tensor([place[row[1][0]] for row in batch])
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            total = sum(
                float(
                    torch.nn.functional.cross_entropy(
                        layer(features([text for text, _ in batch])),
                        torch.tensor([place[row[1][0]] for row in batch]),
                        reduction="sum",
                    )
                )
                for batch in batches(held)
            )
        if total < best - 1e-3 * len(held):
            best, since, state = total, 0, {key: value.clone() for key, value in layer.state_dict().items()}
        elif (since := since + 1) >= TEXTBOOK_PATIENCE:
            break
    layer.load_state_dict(state)
    seconds = time.perf_counter() - began
    right = 0
    with torch.no_grad():
        for batch in batches(test):
            guess = layer(features([text for text, _ in batch])).argmax(1).tolist()
            right += sum(labels[index] == row[1][0] for index, row in zip(guess, batch, strict=True))
    return seconds, right / len(test), epochs


def run(repeats: int = 5, with_textbook: bool = True) -> str:
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
            score = test_score(client, job.head_version, data.test, "accuracy")
            share = statistics.median(encode) / statistics.median(took)
            rows.append((f"Adapt, {method}", f"{statistics.median(took):.2f}", f"{share:.0%}", f"{score:.4f}", ""))
    if with_textbook:
        seconds, score, epochs = textbook(train, list(data.test))
        rows.append(("textbook loop", f"{seconds:.1f}", "~100%", f"{score:.4f}", f"{epochs} epochs"))
    return f"{len(train)} texts, 77 classes\n\n" + table(
        ("what", "seconds from raw text to promoted head", "share spent encoding", "test accuracy", ""), rows
    )
