"""The real datasets: read from CANDELABRA_DATA or ../shared/data; nothing of them is kept here."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candelabra_client import Example, Input, Span

ROOT = Path(__file__).resolve().parent.parent


class Absent(Exception):
    """There are no datasets on this machine."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Splits as (text, labels) pairs."""

    name: str
    train: Sequence[tuple[str, list[str]]]
    validation: Sequence[tuple[str, list[str]]]
    test: Sequence[tuple[str, list[str]]]


def folder() -> Path:
    found = Path(os.environ.get("CANDELABRA_DATA") or ROOT.parent / "shared" / "data")
    if not found.is_dir():
        raise Absent(f"no datasets: {found} is not a folder; name theirs with CANDELABRA_DATA")
    return found


def load(name: str) -> Dataset:
    """`finance/banking77`, for example."""
    place = folder() / name
    return Dataset(name, *(_read(place / f"{split}.jsonl") for split in ("train", "validation", "test")))


def rows(name: str, split: str) -> list[dict[str, Any]]:
    """The lines of one split as they are."""
    path = folder() / name / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def example(row: dict[str, Any]) -> Example:
    """A line of any of the datasets as an example."""
    if "tokens" in row:
        return Example(tokens=tuple(row["tokens"]), tags=tuple(row["tags"]))
    if "context" in row:
        found = zip(row["answers"]["answer_start"], row["answers"]["text"], strict=True)
        spans = tuple(Span(start, start + len(text)) for start, text in found)
        return Example(row["context"], question=row["question"], spans=spans)
    labels = tuple(row["labels"]) if "labels" in row else (row["label"],) if "label" in row else ()
    return Example(row["text"], labels, row.get("text_pair", ""), target=row.get("target"))


def asked(row: dict[str, Any]) -> Input:
    """What a line asks about."""
    if "tokens" in row:
        return Input(" ".join(row["tokens"]))
    return Input(row.get("context") or row["text"], row.get("text_pair", ""), row.get("question", ""))


def few(lines: Sequence[dict[str, Any]], shots: int, seed: int) -> list[dict[str, Any]]:
    """`shots` lines of each label, drawn at random; fewer where a label has no more."""
    shuffled = random.Random(seed).sample(list(lines), len(lines))
    taken: dict[str, int] = {}
    chosen = []
    for line in shuffled:
        if taken.get(line["label"], 0) < shots:
            taken[line["label"]] = taken.get(line["label"], 0) + 1
            chosen.append(line)
    return chosen


def _read(path: Path) -> list[tuple[str, list[str]]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    return [(line["text"], line["labels"] if "labels" in line else [line["label"]]) for line in lines]
