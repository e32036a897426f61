"""The plain probe of every dataset: one linear layer on the frozen encoder's last layer, and nothing else.

`python -m bench.probes` writes bench/results/probes.json. Whole texts: logistic regression (ridge for numbers) on the
mean of the tokens; entities and answers: one linear layer on each token. Strength chosen on validation, test once.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from torch import nn
from transformers import AutoTokenizer

from bench import fine_tune
from bench.fine_tune import CASES, Case, Network, Problem
from bench.ledger import load, save
from candelabra.backbones import resolve
from candelabra.settings import Settings

STRENGTHS = (1.0, 10.0, 100.0)
RATES = (1e-3, 1e-2)
EPOCHS = 12
BATCH = 64


def states(network: Network, rows: list[dict[str, Any]], padding: int) -> list[np.ndarray]:
    """Last-layer states of each row, float16 [tokens, dimension]."""
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for part in fine_tune.batches(rows, 64, None):
            inputs = fine_tune.tensors([rows[at] for at in part], padding)
            made = network.body(**inputs).last_hidden_state.float().numpy()
            for at, one in zip(part, made, strict=True):
                found[at] = one[: len(rows[at]["ids"])].astype(np.float16)
    return found


def whole(case: Case, problem: Problem, found: list[list[np.ndarray]]) -> float:
    """On means of tokens."""
    means = [np.stack([one.astype(np.float32).mean(axis=0) for one in part]) for part in found]
    scaled = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in means]
    target = np.array([row["target"] for row in problem.train])
    best, test = -np.inf, 0.0
    for strength in STRENGTHS:
        model: Any
        if case.kind == "regress":
            model = Ridge(alpha=1 / strength).fit(scaled[0], target)
            outputs = [model.predict(part)[:, None] for part in scaled[1:]]
        else:
            one = LogisticRegression(C=strength, max_iter=1000)
            model = (OneVsRestClassifier(one) if case.kind == "multi" else one).fit(scaled[0], target)
            outputs = [model.decision_function(part) for part in scaled[1:]]
            outputs = [np.stack([-part, part], axis=1) if part.ndim == 1 else part for part in outputs]
        now = problem.score(problem.validation, list(outputs[0]))
        if now > best:
            best, test = now, problem.score(problem.test, list(outputs[1]))
    return test


def each_token(problem: Problem, found: list[list[np.ndarray]]) -> float:
    """One linear layer on every token, by AdamW on the cached states."""
    best, test = -np.inf, 0.0
    for rate in RATES:
        torch.manual_seed(0)
        layer = nn.Linear(found[0][0].shape[1], problem.outputs)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=rate)
        random = np.random.default_rng(0)
        for _ in range(EPOCHS):
            for part in fine_tune.batches(problem.train, BATCH, random):
                loss = problem.loss(layer(_padded([found[0][at] for at in part])), [problem.train[at] for at in part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            now = problem.score(problem.validation, _outputs(layer, found[1]))
            if now > best:
                best, test = now, problem.score(problem.test, _outputs(layer, found[2]))
    return test


def _padded(rows: list[np.ndarray]) -> torch.Tensor:
    longest = max(map(len, rows))
    filled = np.zeros((len(rows), longest, rows[0].shape[1]), np.float32)
    for at, row in enumerate(rows):
        filled[at, : len(row)] = row
    return torch.from_numpy(filled)


@torch.inference_mode()
def _outputs(layer: nn.Linear, rows: list[np.ndarray]) -> list[np.ndarray]:
    return [layer(torch.from_numpy(row.astype(np.float32))).numpy() for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*")
    asked = parser.parse_args()
    settings = Settings()
    path = str(resolve(settings.backbone, settings.cache, settings.window).path)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    results = load("probes")
    for case in CASES:
        name = case.name.rpartition("/")[2]
        if name in results or (asked.datasets and name not in asked.datasets):
            continue
        began = time.perf_counter()
        problem = {"tags": fine_tune.tags, "span": fine_tune.span}.get(case.kind, fine_tune.whole)(case, tokenizer)
        network = Network(path, problem.outputs, problem.each_token).eval()
        splits = (problem.train, problem.validation, problem.test)
        found = [states(network, rows, tokenizer.pad_token_id) for rows in splits]
        test = each_token(problem, found) if problem.each_token else whole(case, problem, found)
        results[name] = {"metric": case.metric, "test": test, "seconds": time.perf_counter() - began}
        save("probes", results)
        print(f"{name}: {test:.4f} in {results[name]['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
