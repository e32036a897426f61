"""What a method gives: a body for the head, and outputs of rows that the scoring models had not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from candelabra.heads.body import Body
from candelabra.types import Progress

Tell = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class Fitted:
    """`body` was trained on all rows. `logits[i]` [outputs] are uncalibrated and belong to row `rows[i]`, by a model
    that had not seen that row: leave-one-out, out-of-fold or held out, as `evaluation` says."""

    body: Body
    rows: np.ndarray
    logits: np.ndarray
    chosen: dict[str, str]
    evaluation: str
