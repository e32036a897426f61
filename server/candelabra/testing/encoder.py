"""A tiny encoder and tokenizer: instant, deterministic, without weights; for tests of whatever stands on the engine."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from candelabra.engine.tokenizer import Tokenizer
from candelabra.types import BackboneInfo, Slot

VOCABULARY = 4096
FIRST, LAST, UNKNOWN = 1, 2, 3


class TinyEncoder:
    """Obeys the protocol `engine.encoder.Encoder`. Each id has a fixed random vector at each layer."""

    def __init__(self, layers: int = 2, dimension: int = 16, window: int = 64, pass_tokens: int = 1024) -> None:
        self.info = BackboneInfo(
            name="tiny",
            fingerprint=f"tiny-{layers}x{dimension}-{window}",
            layers=layers,
            dimension=dimension,
            window=window,
            device="cpu",
            precision="fp32",
            engine="tiny",
        )
        self.pass_tokens = pass_tokens
        self.calls: list[list[int]] = []
        """Lengths of the texts of every pass."""
        self._table = np.random.default_rng(7).standard_normal((layers + 1, VOCABULARY, dimension)).astype(np.float32)

    def encode(
        self, ids: Sequence[np.ndarray], slots: Sequence[Slot], aside: Callable[[], None] | None = None
    ) -> np.ndarray:
        self.calls.append([len(one) for one in ids])
        if aside:
            aside()
        pooled = np.zeros((len(ids), len(slots), self.info.dimension), np.float32)
        for row, one in enumerate(ids):
            for column, slot in enumerate(slots):
                vectors = self._table[slot.layer, np.asarray(one) % VOCABULARY]
                mean = vectors.mean(axis=0)
                pooled[row, column] = mean if slot.pooling == "mean" else vectors[0] + 0.5 * mean
        return pooled


def tiny_tokenizer(window: int = 64, overlap: int = 8, max_windows: int = 8) -> Tokenizer:
    """Words at white space, numbered by their checksum."""

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [
            [4 + zlib.crc32(word.encode("utf-8", "replace")) % (VOCABULARY - 4) for word in text.lower().split()]
            for text in texts
        ]

    return Tokenizer(encode, (FIRST,), (LAST,), UNKNOWN, window, overlap, max_windows)
