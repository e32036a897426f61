"""What training takes and what it gives: light to import, for the server hands these on and does not train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from candelabra.adapt.evidence import Evidence, text_digests
from candelabra.heads.head import Head
from candelabra.plugin import GateRules
from candelabra.types import LongText, Method, Reading, Slot, Span, TaskKind

if TYPE_CHECKING:
    from candelabra.adapt.kept import Kept


@dataclass(frozen=True, eq=False)
class TokenStates:
    """States of every token of every window of every row, one after the other; a memory-mapped file as a rule.

    `values` is float16 [tokens, layers, dimension]; `windows` int64 [windows, 4]: row, first token, token behind the
    last, and where the second sequence begins within the window (0: there is none). `offsets` int32 [tokens, 2] and
    `words` int32 [tokens] are as in engine.window.Window; offsets count code points of the row's text. `ids` int32
    [tokens] are the tokens themselves.
    """

    values: np.ndarray
    layers: tuple[int, ...]
    windows: np.ndarray
    offsets: np.ndarray
    words: np.ndarray
    ids: np.ndarray | None = None

    def of(self, row: int) -> Iterator[tuple[int, int, int]]:
        """First token, token behind the last, and second sequence's begin, of each window of a row."""
        first, last = np.searchsorted(self.windows[:, 0], [row, row + 1])
        yield from self.windows[first:last, 1:].tolist()


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Labelled rows.

    `features` is float32 [n, slots, dimension]. Pair tasks have those of the joint sequence there, and in `first` and
    `second` those of each text on its own. `targets` are label indices int64 [n]; 0/1 rows uint8 [n, labels] for
    multi-label tasks; numbers float64 [n] for regression; empty for spans, which lie in `spans`, one tuple a row.
    `weights` [n, labels], where there are soft labels, holds what each row gives to each label. Rows from
    `unlabelled` on carry no label and are for self-training only. `labels` are entity types for named entities.
    """

    texts: Sequence[str]
    features: np.ndarray
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    targets: np.ndarray
    rows: np.ndarray
    pairs: Sequence[str] = ()
    questions: Sequence[str] = ()
    first: np.ndarray | None = None
    second: np.ndarray | None = None
    states: TokenStates | None = None
    spans: Sequence[tuple[Span, ...]] = ()
    weights: np.ndarray | None = None
    unlabelled: np.ndarray | None = None
    """float32 [m, slots, dimension]: texts without any label."""
    label_features: np.ndarray | None = None
    """float32 [labels, slots, dimension]: the labels' own names or descriptions, encoded."""
    kept: Kept | None = None
    """What an earlier training of the dataset has left."""

    @cached_property
    def digests(self) -> np.ndarray:
        """`text_digests` of the rows."""
        return text_digests(self.texts, self.pairs)

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
    reading: Reading = Reading.TEXT
    recall_floor: float = 0.0
    ordered: bool = False
    abstain_below: float = 0.0
    abstain_outside: bool = False
    gate: GateRules = field(default_factory=GateRules)
    budget_seconds: float = 120.0
    """What AUTO may spend on racing methods."""
    backbone_path: str = ""
    """Where TOP_K finds the encoder's weights."""
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
