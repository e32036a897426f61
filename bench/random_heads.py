"""Heads with random weights: cheap to make by the thousand, and each unlike every other."""

from __future__ import annotations

import numpy as np

from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.types import Method, Slot, TaskKind
from candelabra_client import Backbone


def random_head(
    backbone: Backbone, seed: int, labels: int, *, layers: int = 1, task_kind: TaskKind = TaskKind.SINGLE_LABEL
) -> Head:
    """A linear head over the mean-pooled vectors of the last `layers` layers."""
    chance = np.random.default_rng(seed)
    slots = tuple(Slot(backbone.layers - back, "mean") for back in range(layers))
    inputs = len(slots) * backbone.dimension
    weight = chance.normal(0, 4, (inputs, labels)).astype(np.float32)
    multi = task_kind is TaskKind.MULTI_LABEL
    return Head(
        body=Dense(slots, ((weight, np.zeros(labels, np.float32)),)),
        labels=tuple(f"label-{number}" for number in range(labels)),
        task_kind=task_kind,
        backbone=backbone.fingerprint,
        domain="general",
        task="multi_label" if multi else "classification",
        method=Method.CLOSED_FORM,
        thresholds=(0.5,) * labels if multi else (),
    )


def label_count(number: int) -> int:
    """Mixed label counts, mostly small: 2 to 77."""
    return (2, 3, 5, 2, 10, 28, 4, 77)[number % 8]
