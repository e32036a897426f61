"""Full fine-tuning of the same backbone, the textbook's last step: what a head on the frozen one is measured against.

`python -m bench.fine_tune OUT.json [DATASET …]` writes the test score of each dataset as soon as it is there. Each is
run once: AdamW, linear warm-up and decay, the epoch that is best on validation, test once. bf16 where the CPU has it.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from bench.datasets import folder
from bench.suite import token_f1

RATE = 1e-4
WARM_UP = 0.1
LONGEST = {"classify": 256, "multi": 128, "regress": 128, "tags": 160, "span": 320}
STRIDE = 96
LONGEST_ANSWER = 40

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """`kind` is classify, multi, regress, tags or span."""

    name: str
    kind: str
    metric: str
    epochs: int


CASES = (
    Case("finance/semeval17_headlines", "regress", "pearson", 10),
    Case("finance/financial_phrasebank", "classify", "accuracy", 5),
    Case("general/sst2", "classify", "accuracy", 3),
    Case("medical/ncbi_disease", "tags", "entity_f1", 5),
    Case("medical/ade_corpus", "classify", "accuracy", 3),
    Case("finance/banking77", "classify", "accuracy", 8),
    Case("finance/finer_ord", "tags", "entity_f1", 6),
    Case("general/stsb", "regress", "spearman", 4),
    Case("medical/pubmedqa", "classify", "accuracy", 6),
    Case("legal/unfair_tos", "multi", "micro_f1", 4),
    Case("legal/cuad_clauses", "classify", "accuracy", 5),
    Case("medical/medical_abstracts", "classify", "accuracy", 4),
    Case("legal/legal_ner", "tags", "entity_f1", 5),
    Case("legal/policyqa", "span", "token_f1", 4),
    Case("general/squad_v1", "span", "token_f1", 3),
)


def read(name: str, split: str) -> list[Row]:
    path = folder() / name / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


class Network(nn.Module):
    """The backbone with one linear layer: on the mean of the tokens, or on each of them."""

    def __init__(self, path: str, outputs: int, each_token: bool) -> None:
        super().__init__()
        self.body = AutoModel.from_pretrained(path, local_files_only=True)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(self.body.config.hidden_size, outputs)
        self.each_token = each_token

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        states = self.body(**batch).last_hidden_state
        if not self.each_token:
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            states = (states * mask).sum(1) / mask.sum(1)
        result: torch.Tensor = self.head(self.dropout(states)).float()
        return result


@dataclass(frozen=True, slots=True)
class Problem:
    """`items` are tokenized rows with their targets; `loss` and `score` know what they mean."""

    outputs: int
    each_token: bool
    train: list[Row]
    validation: list[Row]
    test: list[Row]
    loss: Callable[[torch.Tensor, list[Row]], torch.Tensor]
    score: Callable[[list[Row], list[np.ndarray]], float]


def whole(case: Case, tokenizer: Any) -> Problem:
    """Classification, multi-label and regression, of texts or of pairs."""
    splits = {split: read(case.name, split) for split in ("train", "validation", "test")}
    train = splits["train"]
    labels = sorted({label for row in train for label in row.get("labels", [row.get("label")]) if label is not None})
    place = {label: at for at, label in enumerate(labels)}
    targets = np.array([row["target"] for row in train]) if case.kind == "regress" else np.zeros(1)
    middle, spread = float(targets.mean()), float(targets.std()) or 1.0

    def items(rows: Sequence[Row]) -> list[Row]:
        pairs = [row["text_pair"] for row in rows] if "text_pair" in rows[0] else None
        found = tokenizer(
            [row["text"] for row in rows], pairs, truncation="longest_first", max_length=LONGEST[case.kind]
        )
        return [
            {"ids": ids, "types": types, "target": target(row)}
            for ids, types, row in zip(found["input_ids"], found["token_type_ids"], rows, strict=True)
        ]

    def target(row: Row) -> Any:
        if case.kind == "regress":
            return (row["target"] - middle) / spread
        if case.kind == "multi":
            return [float(label in row["labels"]) for label in labels]
        return place[row["label"]]

    def loss(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
        wanted = torch.tensor([row["target"] for row in rows])
        if case.kind == "regress":
            return functional.mse_loss(logits[:, 0], wanted.float())
        if case.kind == "multi":
            return functional.binary_cross_entropy_with_logits(logits, wanted) * len(labels)
        return functional.cross_entropy(logits, wanted)

    def score(rows: list[Row], logits: list[np.ndarray]) -> float:
        made = np.stack(logits)
        truth = np.array([row["target"] for row in rows])
        if case.metric == "pearson":
            return float(pearsonr(made[:, 0], truth)[0])
        if case.metric == "spearman":
            return float(spearmanr(made[:, 0], truth)[0])
        if case.kind == "multi":
            return float(f1_score(truth, made > 0, average="micro"))
        return float(accuracy_score(truth, made.argmax(axis=1)))

    outputs = 1 if case.kind == "regress" else len(labels)
    return Problem(outputs, False, *(items(splits[one]) for one in ("train", "validation", "test")), loss, score)


def tags(case: Case, tokenizer: Any) -> Problem:
    """Named entities: one BIO tag for the first piece of each word."""
    splits = {split: read(case.name, split) for split in ("train", "validation", "test")}
    names = sorted({tag for row in splits["train"] for tag in row["tags"]} | {"O"})
    place = {tag: at for at, tag in enumerate(names)}

    def items(rows: Sequence[Row]) -> list[Row]:
        found = tokenizer(
            [row["tokens"] for row in rows],
            is_split_into_words=True,
            truncation=True,
            max_length=LONGEST["tags"],
        )
        made = []
        for at, row in enumerate(rows):
            words = found.word_ids(at)
            first = [i for i, word in enumerate(words) if word is not None and (i == 0 or words[i - 1] != word)]
            made.append(
                {
                    "ids": found["input_ids"][at],
                    "types": found["token_type_ids"][at],
                    "first": first,
                    "target": [place.get(row["tags"][words[i]], place["O"]) for i in first],
                    "tags": row["tags"],
                    "words": [words[i] for i in first],
                }
            )
        return made

    def loss(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
        chosen = torch.cat([logits[at, row["first"]] for at, row in enumerate(rows)])
        return functional.cross_entropy(chosen, torch.tensor([one for row in rows for one in row["target"]]))

    def score(rows: list[Row], logits: list[np.ndarray]) -> float:
        right = found = wanted = 0
        for row, one in zip(rows, logits, strict=True):
            decided = ["O"] * len(row["tags"])
            for word, best in zip(row["words"], one[row["first"]].argmax(axis=1), strict=True):
                decided[word] = names[best]
            ours, truth = entities(decided), entities(row["tags"])
            right, found, wanted = right + len(ours & truth), found + len(ours), wanted + len(truth)
        return 2 * right / max(found + wanted, 1)

    return Problem(len(names), True, *(items(splits[one]) for one in ("train", "validation", "test")), loss, score)


def entities(sequence: Sequence[str]) -> set[tuple[str, int, int]]:
    """Spans of a BIO sequence as seqeval reads it: an I- after another type begins a span."""
    spans, begin, kind = set(), 0, ""
    for at, tag in enumerate([*sequence, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            spans.add((kind, begin, at))
            kind = ""
        if prefix != "O" and not kind:
            begin, kind = at, name
    return spans


def span(case: Case, tokenizer: Any) -> Problem:
    """Extractive QA: start and end over question and context, in windows with stride."""

    def items(rows: Sequence[Row], training: bool) -> list[Row]:
        found = tokenizer(
            [row["question"] for row in rows],
            [row["context"] for row in rows],
            truncation="only_second",
            max_length=LONGEST["span"],
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        made = []
        for at, source in enumerate(found["overflow_to_sample_mapping"]):
            row = rows[source]
            inside = [kind == 1 for kind in found.sequence_ids(at)]
            offsets = found["offset_mapping"][at]
            start, end = 0, 0
            begin = row["answers"]["answer_start"][0]
            stop = begin + len(row["answers"]["text"][0])
            for i, (low, high) in enumerate(offsets):
                if inside[i] and low <= begin < high:
                    start = i
                if inside[i] and low < stop <= high:
                    end = i
            if training and not (start and end):
                continue  # the answer is in another window
            made.append(
                {
                    "ids": found["input_ids"][at],
                    "types": found["token_type_ids"][at],
                    "target": (start, end),
                    "row": source,
                    "inside": inside,
                    "offsets": offsets,
                    "context": row["context"],
                    "answers": row["answers"]["text"],
                }
            )
        return made

    def loss(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
        wanted = torch.tensor([row["target"] for row in rows])
        return (
            functional.cross_entropy(logits[..., 0], wanted[:, 0])
            + functional.cross_entropy(logits[..., 1], wanted[:, 1])
        ) / 2

    def score(rows: list[Row], logits: list[np.ndarray]) -> float:
        best: dict[int, tuple[float, float]] = {}
        for row, one in zip(rows, logits, strict=True):
            size = len(row["ids"])
            allowed = np.array(row["inside"])
            pairs = np.where(allowed, one[:size, 0], -1e9)[:, None] + np.where(allowed, one[:size, 1], -1e9)[None, :]
            pairs = np.triu(pairs) - 1e9 * np.tril(np.ones((size, size)), -1)
            pairs -= 1e9 * np.triu(np.ones((size, size)), LONGEST_ANSWER)
            start, end = divmod(int(pairs.argmax()), size)
            text = row["context"][row["offsets"][start][0] : row["offsets"][end][1]]
            worth = max(token_f1(text, answer) for answer in row["answers"])
            if row["row"] not in best or pairs[start, end] > best[row["row"]][0]:
                best[row["row"]] = (float(pairs[start, end]), worth)
        return float(np.mean([worth for _, worth in best.values()]))

    parts = {split: read(case.name, split) for split in ("train", "validation", "test")}
    made = (items(parts["train"], True), items(parts["validation"], False), items(parts["test"], False))
    return Problem(2, True, *made, loss, score)


def batches(rows: Sequence[Row], size: int, random: np.random.Generator | None) -> list[list[int]]:
    """Rows of like length together; shuffled where `random` is given."""
    noise = random.uniform(0, 8, len(rows)) if random is not None else np.zeros(len(rows))
    order = np.argsort([len(row["ids"]) for row in rows] + noise, kind="stable")
    parts = [[int(at) for at in order[start : start + size]] for start in range(0, len(order), size)]
    if random is not None:
        random.shuffle(parts)  # type: ignore[arg-type]
    return parts


def tensors(rows: Sequence[Row], padding: int) -> dict[str, torch.Tensor]:
    longest = max(len(row["ids"]) for row in rows)
    shape = (len(rows), longest)
    ids, types, mask = (torch.full(shape, fill, dtype=torch.long) for fill in (padding, 0, 0))
    for at, row in enumerate(rows):
        size = len(row["ids"])
        ids[at, :size], types[at, :size], mask[at, :size] = torch.tensor(row["ids"]), torch.tensor(row["types"]), 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def predict(network: Network, rows: list[Row], padding: int) -> list[np.ndarray]:
    network.eval()
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for part in batches(rows, 64, None):
            logits = network(tensors([rows[at] for at in part], padding)).numpy()
            for at, one in zip(part, logits, strict=True):
                found[at] = one
    return found


def run(case: Case, path: str, seed: int = 0) -> dict[str, object]:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    problem = {"tags": tags, "span": span}.get(case.kind, whole)(case, tokenizer)
    network = Network(path, problem.outputs, problem.each_token)
    size = 16 if len(problem.train) < 5000 else 32
    steps = case.epochs * math.ceil(len(problem.train) / size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    warm = max(1, round(WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    began, best, state, history = time.perf_counter(), -math.inf, network.state_dict(), []
    for epoch in range(1, case.epochs + 1):
        network.train()
        for part in batches(problem.train, size, random):
            rows = [problem.train[at] for at in part]
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(tensors(rows, tokenizer.pad_token_id))
            loss = problem.loss(logits, rows)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        now = problem.score(problem.validation, predict(network, problem.validation, tokenizer.pad_token_id))
        history.append(round(now, 4))
        print(f"{case.name} epoch {epoch}: validation {now:.4f}, {time.perf_counter() - began:.0f} s", flush=True)
        if now > best:
            best, state = now, copy.deepcopy(network.state_dict())
    network.load_state_dict(state)
    test = problem.score(problem.test, predict(network, problem.test, tokenizer.pad_token_id))
    return {
        "metric": case.metric,
        "test": test,
        "validation": best,
        "by_epoch": history,
        "seconds": time.perf_counter() - began,
        "rate": RATE,
        "epochs": case.epochs,
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", nargs="*")
    asked = parser.parse_args()
    from candelabra.backbones import resolve
    from candelabra.settings import Settings

    settings = Settings()
    path = str(resolve(settings.backbone, settings.cache, settings.window).path)
    done = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for case in CASES:
        if case.name in done or (asked.datasets and case.name not in asked.datasets):
            continue
        done[case.name] = run(case, path)
        asked.out.write_text(json.dumps(done, indent=1))
        print(f"{case.name}: test {done[case.name]['test']:.4f}", flush=True)


if __name__ == "__main__":
    main()
