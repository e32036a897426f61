"""Speed and exactness of CLOSED_FORM with features at hand: fits, appends and forgets, and 50,000 of them at random.

`python -m bench.closed_form [FEATURES.npy LABELS.json]` takes features [n, slots, dimension]; without, made-up ones
with the spectrum of an encoder's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from bench.measure import table
from candelabra.adapt.methods import closed_form
from candelabra.adapt.online import Online, Space
from candelabra.adapt.slots import compact_slots
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.types import Method, Slot, TaskKind

SLOTS = (*(Slot(layer, "mean") for layer in range(7)), *(Slot(layer, "cls") for layer in (4, 5, 6)))
DIMENSION = 384
LABELS = 77
SPEC = TrainSpec(
    task_kind=TaskKind.SINGLE_LABEL,
    method=Method.CLOSED_FORM,
    metric="accuracy",
    backbone="bench",
    domain="general",
    task="classification",
)


def made_up(rows: int, seed: int = 0) -> TrainingSet:
    """Classes around their means, with variance that falls as 1 / rank over the directions of every slot."""
    random = np.random.default_rng(seed)
    fall = 1 / np.sqrt(np.arange(1, DIMENSION + 1))
    targets = np.arange(rows) % LABELS
    centres = random.normal(size=(LABELS, len(SLOTS), DIMENSION)) * fall
    features = np.empty((rows, len(SLOTS), DIMENSION), np.float32)
    for slot in range(len(SLOTS)):
        turn, _ = np.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))
        noise = random.normal(size=(rows, DIMENSION)) * fall
        features[:, slot] = (1.0 + (centres[targets, slot] + noise) @ turn) / 4
    return _set(features, targets, random)


def _set(features: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> TrainingSet:
    return TrainingSet(
        texts=[""] * len(targets),
        features=features,
        slots=SLOTS,
        labels=tuple(f"{label:02d}" for label in range(LABELS)),
        targets=targets,
        rows=random.permutation(len(targets)).astype(np.uint64) * np.uint64(2**40),
    )


def read(features: Path, labels: Path) -> TrainingSet:
    names = [row["label"] for row in json.loads(labels.read_text())]
    _, targets = np.unique(names, return_inverse=True)
    return _set(np.load(features).astype(np.float32), targets, np.random.default_rng(0))


def fits(data: TrainingSet, rows: int, repeats: int = 7) -> list[object]:
    """Choice of solver and penalty, solve, leave-one-out."""
    by_label = np.argsort(data.targets, kind="stable")
    within = np.arange(len(by_label)) - np.searchsorted(data.targets[by_label], data.targets[by_label])
    order = by_label[np.argsort(within, kind="stable")][:rows]
    part = TrainingSet(
        data.texts[: len(order)], data.features[order], SLOTS, data.labels, data.targets[order], data.rows[order]
    )
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        fitted = closed_form.fit(part, SPEC, lambda _: None)
        seconds.append(time.perf_counter() - began)
    right = float((fitted.logits.argmax(axis=1) == part.targets[fitted.rows]).mean())
    return [
        f"fit {len(order)} x {LABELS}",
        f"{np.median(seconds):.3f} s, p95 {np.percentile(seconds, 95):.3f} s",
        f"{fitted.chosen['solver']}, left-out accuracy {right:.3f}",
    ]


def ready(data: TrainingSet) -> tuple[Online, np.ndarray]:
    """All rows put in, and their features of the compact slots."""
    slots = compact_slots(SLOTS)
    online = Online(Space("bench", slots, DIMENSION, TaskKind.SINGLE_LABEL, data.labels))
    features = data.features[:, [SLOTS.index(slot) for slot in slots]]
    online.append(data.rows, features, data.targets)
    return online, features


def changes(data: TrainingSet, repeats: int = 100) -> list[list[object]]:
    """1 to 100 rows leave, and come back; each time a new head with temperature and conformal scores."""
    online, features = ready(data)
    began = time.perf_counter()
    online.refit()
    first = time.perf_counter() - began
    random = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {"forget": [], "append": []}
    for _ in range(repeats):
        at = random.choice(len(data.rows), int(random.integers(1, 101)), replace=False)
        for name in ("forget", "append"):
            began = time.perf_counter()
            if name == "forget":
                online.forget(data.rows[at])
            else:
                online.append(data.rows[at], features[at], data.targets[at])
            online.refit()
            seconds[name].append(time.perf_counter() - began)
    rows: list[list[object]] = [[f"choice and head from kept sums, {len(online)} rows", f"{first:.3f} s", ""]]
    for name, found in seconds.items():
        middle, high = np.percentile(found, [50, 95]) * 1000
        rows.append([f"{name} 1-100 of {len(online)} rows, new head", f"p50 {middle:.1f} ms, p95 {high:.1f} ms", ""])
    return rows


def churn(data: TrainingSet, moves: int = 50_000) -> list[object]:
    """Random rows leave and come back, then a head of what is left beside one from scratch."""
    online, features = ready(data)
    online.refit()
    random, out = np.random.default_rng(1), np.zeros(len(data.rows), bool)
    began, done = time.perf_counter(), 0
    while done < moves:
        at = random.choice(len(data.rows), min(int(random.integers(1, 101)), moves - done), replace=False)
        gone = at[out[at]]
        here = at[~out[at]]
        online.forget(data.rows[here])
        online.append(data.rows[gone], features[gone], data.targets[gone])
        out[at] = ~out[at]
        done += len(at)
    spent = time.perf_counter() - began
    audit = online.audit()
    return [
        f"{moves} random appends and forgets",
        f"{spent:.1f} s",
        f"sums {'equal to the last bit' if audit.kept == audit.scratch else 'DIFFER'}, "
        f"weights {audit.residual:.1e} from retraining on {len(online)} rows",
    ]


def run(data: TrainingSet | None = None) -> str:
    """One table; about half a minute."""
    data = made_up(10_000) if data is None else data
    rows = [fits(data, 616), fits(data, len(data.rows)), *changes(data), churn(data)]
    return table(["what", "time", "result"], rows)


if __name__ == "__main__":
    print(run(read(Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) == 3 else None))
