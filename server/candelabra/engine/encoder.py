"""What the engine asks of an encoder, whatever it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from candelabra.types import BackboneInfo, Slot


class Encoder(Protocol):
    """Frozen: the same ids give the same features, whoever else is in the call (to float tolerance)."""

    info: BackboneInfo
    pass_tokens: int
    """Padded tokens that one pass does well; more is slower a token, or does not fit."""

    def encode(
        self, ids: Sequence[np.ndarray], slots: Sequence[Slot], aside: Callable[[], None] | None = None
    ) -> np.ndarray:
        """Pooled vectors, float32 [len(ids), len(slots), dimension]. Called from one thread at a time.

        `aside` is called now and then in the middle of the pass, for more urgent work: it may call `encode` itself.
        """
        ...
