"""A tiny encoder and tokenizer: instant, deterministic, without weights; for tests of whatever stands on the engine."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from candelabra.engine.encoder import Encoded
from candelabra.engine.tokenizer import Frame, Tokenizer, Traced
from candelabra.engine.window import Window
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
        self,
        windows: Sequence[Window],
        slots: Sequence[Slot],
        layers: Sequence[int] = (),
        wanted: Sequence[int] = (),
        aside: Callable[[], None] | None = None,
    ) -> Encoded:
        self.calls.append([len(one.ids) for one in windows])
        if aside:
            aside()
        pooled = np.zeros((len(windows), len(slots), self.info.dimension), np.float32)
        for row, one in enumerate(windows):
            for column, slot in enumerate(slots):
                vectors = self._vectors(one, slot.layer)
                mean = vectors.mean(axis=0)
                pooled[row, column] = mean if slot.pooling == "mean" else vectors[0] + 0.5 * mean
        if not layers:
            return Encoded(pooled, {})
        return Encoded(
            pooled,
            {at: np.stack([self._vectors(windows[at], layer) for layer in layers], axis=1) for at in wanted},
        )

    def _vectors(self, window: Window, layer: int) -> np.ndarray:
        """[tokens, dimension]; tokens of a second text differ from the same ones of a first."""
        vectors = self._table[layer, np.asarray(window.ids) % VOCABULARY]
        if window.second:
            vectors[window.second :] += 0.25
        return vectors


def tiny_tokenizer(window: int = 64, overlap: int = 8, max_windows: int = 8) -> Tokenizer:
    """Words at white space, numbered by their checksum."""

    def number(word: str) -> int:
        return 4 + zlib.crc32(word.lower().encode("utf-8", "replace")) % (VOCABULARY - 4)

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [[number(word) for word in text.split()] for text in texts]

    def trace(texts: Sequence[str]) -> list[Traced]:
        found = [list(re.finditer(r"\S+", text)) for text in texts]
        return [Traced([number(w[0]) for w in words], [w.span() for w in words], range(len(words))) for words in found]

    frame = Frame((FIRST,), (LAST,), (FIRST,), (LAST,), (LAST,))
    return Tokenizer(encode, trace, frame, UNKNOWN, window, overlap, max_windows)
