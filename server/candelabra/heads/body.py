"""The part of a head that was trained: a small function from features to outputs, and how it lies in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from candelabra.engine.row import Inputs, Outputs
from candelabra.types import Slot


class Body(Protocol):
    """Immutable and safe to share between threads. Heads add labels, calibration and guards to it.

    Kinds: `dense` (pooled features), `lexical` (words alone), `hybrid` (both), `layer_mix`, `top_k` (token states to
    one row of outputs), `tagger`, `span` (token states to outputs of each token).
    """

    kind: ClassVar[str]

    @property
    def slots(self) -> tuple[Slot, ...]: ...

    @property
    def layers(self) -> tuple[int, ...]: ...

    @property
    def outputs(self) -> int:
        """Numbers a row, or a token."""
        ...

    def logits(self, inputs: Inputs) -> Outputs:
        """Uncalibrated: an array [n, outputs] for n rows, or one tuple of arrays [tokens, outputs] a row."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """float32 or float16 weights, uint8 bytes. Names are [a-z0-9_.]."""
        ...

    def about(self) -> dict[str, object]:
        """What else is needed to make it again, as JSON."""
        ...

    @classmethod
    def made(cls, about: Mapping[str, object], tensors: Mapping[str, np.ndarray]) -> Body:
        """The reverse of `about` and `tensors`; raises CorruptHead for anything that could not be served truthfully."""
        ...
