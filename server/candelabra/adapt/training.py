"""What training takes and what it gives: light to import, for the server hands these on and does not train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from candelabra.adapt.evidence import Evidence
from candelabra.heads.head import Head
from candelabra.types import LongText, Method, Slot, TaskKind


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Labelled rows. `targets` are label indices [n], or 0/1 rows [n, labels] for multi-label tasks."""

    texts: Sequence[str]
    features: np.ndarray
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    targets: np.ndarray
    rows: np.ndarray

    def columns(self, slots: Sequence[Slot]) -> np.ndarray | None:
        """The features of some slots side by side [n, slots * dimension]; None where one was not encoded."""
        if any(slot not in self.slots for slot in slots):
            return None
        picked = self.features[:, [self.slots.index(slot) for slot in slots]]
        return picked.reshape(len(picked), -1)


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    task_kind: TaskKind
    method: Method
    metric: str
    backbone: str
    domain: str
    task: str
    long_text: LongText = LongText.TRUNCATE
    recall_floor: float = 0.0
    options: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    force: bool = False
    lineage: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Incumbent:
    """The version to be replaced. Without evidence it is run on every row, as if it had seen none of them."""

    head: Head
    evidence: Evidence | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    head: Head
    report: dict[str, object]
    evidence: Evidence
