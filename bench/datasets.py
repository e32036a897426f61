"""The real datasets: read from CANDELABRA_DATA or ../shared/data; nothing of them is kept here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


def _read(path: Path) -> list[tuple[str, list[str]]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    return [(row["text"], row["labels"] if "labels" in row else [row["label"]]) for row in rows]
