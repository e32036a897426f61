"""What the engine asks of an encoder, whatever it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from candelabra.engine.window import Window
from candelabra.types import BackboneInfo, Slot


@dataclass(frozen=True, slots=True)
class Encoded:
    """Of n windows: `pooled` float32 [n, slots, dimension]; `states`, float32 [tokens, layers, dimension] for each
    of those windows whose token states were asked for, by its index."""

    pooled: np.ndarray
    states: dict[int, np.ndarray]


class Encoder(Protocol):
    """Frozen: the same window gives the same features, whoever else is in the call (to float tolerance)."""

    info: BackboneInfo
    pass_tokens: int
    """Padded tokens that one pass does well; more is slower a token, or does not fit."""

    def encode(
        self,
        windows: Sequence[Window],
        slots: Sequence[Slot],
        layers: Sequence[int] = (),
        wanted: Sequence[int] = (),
        aside: Callable[[], None] | None = None,
    ) -> Encoded:
        """One forward pass. `wanted` are the windows whose token states at `layers` are needed.

        Called from one thread at a time. `aside` is called now and then in the middle of the pass, for more urgent
        work: it may call `encode` itself.
        """
        ...
