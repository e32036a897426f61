"""Rows with token states that a head can learn from only by looking at single tokens."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.types import Slot, TaskKind

WIDTH = 24
SLOTS = (Slot(3, "mean"),)


def rows(
    kind: TaskKind, count: int = 60, layers: tuple[int, ...] = (0, 1, 2, 3), seed: int = 0, windows: int = 1
) -> TrainingSet:
    """Two labels, told by the sign of one token's state at the second lowest layer given; the rest is noise."""
    random = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    values, spans, means = [], [], []
    start = 0
    for row in range(count):
        whole = []
        for _ in range(windows):
            states = random.normal(size=(int(random.integers(4, 9)), len(layers), WIDTH))
            states[0, min(1, len(layers) - 1), :4] += 6.0 * (2 * truth[row] - 1)
            spans.append((row, start, start + len(states), 0))
            start += len(states)
            whole.append(states)
        values += whole
        means.append(np.concatenate(whole)[:, -1].mean(axis=0))
    stacked = np.concatenate(values).astype(np.float16)
    targets = {
        TaskKind.SINGLE_LABEL: truth.astype(np.int64),
        TaskKind.MULTI_LABEL: np.stack([truth, 1 - truth], axis=1).astype(np.uint8),
        TaskKind.REGRESSION: 50.0 + 20.0 * truth,
    }[kind]
    return TrainingSet(
        texts=[""] * count,
        features=np.stack(means)[:, None].astype(np.float32),
        slots=SLOTS,
        labels=() if kind is TaskKind.REGRESSION else ("no", "yes"),
        targets=targets,
        rows=np.arange(count),
        states=TokenStates(
            stacked, layers, np.array(spans, np.int64), np.zeros((start, 2), np.int32), np.zeros(start, np.int32)
        ),
    )
