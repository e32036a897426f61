"""Texts to token ids, in one window or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from candelabra.backbones import Backbone
from candelabra.errors import BackboneCorrupt
from candelabra.types import LongText

Ids = list[int]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the encoder reads it. `count` is what is read, special tokens and overlaps included."""

    windows: tuple[np.ndarray, ...]
    truncated: bool
    count: int


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """`encode` gives ids without special tokens; `prefix` and `suffix` go around every window. Thread-safe."""

    encode: Callable[[Sequence[str]], list[Ids]]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    empty: int  # stands for a text without any token, where there are no special tokens either
    window: int
    overlap: int
    max_windows: int

    @classmethod
    def load(cls, backbone: Backbone, window: int = 0, overlap: int = 32, max_windows: int = 32) -> Tokenizer:
        """`window` 0: the backbone's own."""
        rust = _load(backbone)
        rust.no_truncation()
        rust.no_padding()
        prefix, suffix = _special(rust)
        unknown = next((i for t in ("[UNK]", "<unk>", "[PAD]", "<pad>") if (i := rust.token_to_id(t)) is not None), 0)

        def encode(texts: Sequence[str]) -> list[Ids]:
            return [found.ids for found in rust.encode_batch_fast(list(texts), add_special_tokens=False)]

        window = min(window or backbone.window, backbone.window)
        return cls(encode, prefix, suffix, unknown, window, overlap, max_windows)

    def split(self, texts: Sequence[str], long_text: LongText) -> list[Tokens]:
        """Never fails for what a text contains; releases the GIL for most of the work."""
        try:
            encoded = self.encode(texts)
        except (UnicodeError, TypeError):  # half of a surrogate pair: no encoding has it
            encoded = self.encode([_whole(text) for text in texts])
        limit = 1 if long_text is LongText.TRUNCATE else self.max_windows
        return [self._windows(ids, limit) for ids in encoded]

    def _windows(self, ids: Ids, limit: int) -> Tokens:
        room = max(1, self.window - len(self.prefix) - len(self.suffix))
        if not ids and not self.prefix and not self.suffix:
            ids = [self.empty]
        if len(ids) <= room:
            only = self._around(ids)
            return Tokens((only,), False, len(only))
        step = room - min(self.overlap, room // 2)
        needed = 1 + -(-(len(ids) - room) // step)
        windows = tuple(self._around(ids[at * step : at * step + room]) for at in range(min(needed, limit)))
        return Tokens(windows, needed > limit, sum(map(len, windows)))

    def _around(self, ids: Ids) -> np.ndarray:
        return np.array([*self.prefix, *ids, *self.suffix], dtype=np.int32)


def _load(backbone: Backbone) -> tokenizers.Tokenizer:
    file = backbone.path / "tokenizer.json"
    try:
        if file.exists():
            return tokenizers.Tokenizer.from_file(str(file))
        return _converted(backbone.path)
    except Exception as error:
        raise BackboneCorrupt(
            f"The tokenizer of {backbone.name} cannot be read ({str(error)[:200]}): "
            f"put a tokenizer.json into {backbone.path}.",
            backbone=backbone.name,
        ) from error


def _converted(folder: Path) -> tokenizers.Tokenizer:
    """Older folders have only a vocabulary: transformers makes the quick tokenizer from it."""
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True, trust_remote_code=False)
    rust = getattr(made, "backend_tokenizer", None)
    if not isinstance(rust, tokenizers.Tokenizer):
        raise TypeError("it has no quick form")
    return rust


def _special(rust: tokenizers.Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and behind a text."""
    bare = rust.encode("a", add_special_tokens=False).ids
    full = rust.encode("a", add_special_tokens=True).ids
    for at in range(len(full) - len(bare) + 1):
        if full[at : at + len(bare)] == bare:
            return tuple(full[:at]), tuple(full[at + len(bare) :])
    return (), ()


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
