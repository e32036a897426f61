"""Texts to token ids, in one window or several, alone or two as one sequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from candelabra.backbones import Backbone
from candelabra.engine.window import Window
from candelabra.errors import BackboneCorrupt
from candelabra.types import LongText

Ids = list[int]

QUESTION_PIECES = 64
"""A longer question is cut: it would leave no room for the text."""
WIDEST_STRIDE = 128
"""Tokens that windows of a context share at most: no answer is longer."""

SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the encoder reads it. `count` is what is read, special tokens and overlaps included."""

    windows: tuple[Window, ...]
    truncated: bool
    count: int


@dataclass(frozen=True, slots=True)
class Traced:
    """A text's tokens, each with the code points that it stands for and the number of its word."""

    ids: Ids
    offsets: Sequence[tuple[int, int]]
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens: before and behind one text; before, between and behind two."""

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    middle: tuple[int, ...] = ()
    last: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """`encode` gives ids without special tokens, `trace` where they come from too. Thread-safe.

    Nothing fails for what a text contains, and the GIL is released for most of the work.
    """

    encode: Callable[[Sequence[str]], list[Ids]]
    trace: Callable[[Sequence[str]], list[Traced]]
    frame: Frame
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
        unknown = next((i for t in ("[UNK]", "<unk>", "[PAD]", "<pad>") if (i := rust.token_to_id(t)) is not None), 0)

        def encode(texts: Sequence[str]) -> list[Ids]:
            return [found.ids for found in rust.encode_batch_fast(list(texts), add_special_tokens=False)]

        def trace(texts: Sequence[str]) -> list[Traced]:
            found = rust.encode_batch(list(texts), add_special_tokens=False)
            return [traced(text, one.ids, one.offsets, one.word_ids) for text, one in zip(texts, found, strict=True)]

        window = min(window or backbone.window, backbone.window)
        return cls(encode, trace, _frame(rust), unknown, window, overlap, max_windows)

    def split(self, texts: Sequence[str], long_text: LongText, offsets: bool = False) -> list[Tokens]:
        """Each text on its own. `offsets` are for answers made of tokens: with them words and offsets are there."""
        limit = self._limit(long_text)
        if offsets:
            return [self._windows(one.ids, limit, one) for one in self._traces(texts)]
        return [self._windows(ids, limit) for ids in self._ids(texts)]

    def split_pairs(self, firsts: Sequence[str], seconds: Sequence[str], long_text: LongText) -> list[Tokens]:
        """Both texts as one sequence. Cut, the longer one loses tokens first; in windows, these go over the longer
        one and each has the whole of the shorter one, up to half a window."""
        limit = self._limit(long_text)
        pairs = zip(self._ids(firsts), self._ids(seconds), strict=True)
        return [self._pair(first, second, limit) for first, second in pairs]

    def split_questions(self, questions: Sequence[str], contexts: Sequence[str]) -> list[Tokens]:
        """Question and context as one sequence, in windows over the context, which share many tokens so that an
        answer lies whole in one of them. Offsets and words are the context's."""
        pairs = zip(self._ids(questions), self._traces(contexts), strict=True)
        return [self._question(question, context) for question, context in pairs]

    def _limit(self, long_text: LongText) -> int:
        return 1 if long_text is LongText.TRUNCATE else self.max_windows

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        try:
            return self.encode(texts)
        except (UnicodeError, TypeError):  # half of a surrogate pair: no encoding has it
            return self.encode([_whole(text) for text in texts])

    def _traces(self, texts: Sequence[str]) -> list[Traced]:
        try:
            return self.trace(texts)
        except (UnicodeError, TypeError):
            return self.trace([_whole(text) for text in texts])

    def _windows(self, ids: Ids, limit: int, trace: Traced | None = None) -> Tokens:
        prefix, suffix = self.frame.prefix, self.frame.suffix
        room = max(1, self.window - len(prefix) - len(suffix))
        if not ids and not prefix and not suffix:
            ids, trace = [self.empty], trace and Traced([self.empty], [(-1, -1)], [-1])
        if len(ids) <= room:
            only = _window(prefix, ids, suffix, trace, 0)
            return Tokens((only,), False, len(only.ids))
        pieces, cut = _pieces(len(ids), room, min(self.overlap, room // 2), limit)
        return _tokens([_window(prefix, ids[at : at + room], suffix, trace, at) for at in pieces], cut)

    def _pair(self, first: Ids, second: Ids, limit: int) -> Tokens:
        room = self._room()
        first, second = self._something(first), self._something(second)
        if len(first) + len(second) <= room:
            return _tokens([self._joined(first, second)], False)
        shorter = min(len(first), len(second), room // 2)
        wide = max(1, room - shorter)
        overlap = min(self.overlap, wide // 2)
        if len(second) >= len(first):
            pieces, cut = _pieces(len(second), wide, overlap, limit)
            windows = [self._joined(first[:shorter], second[at : at + wide]) for at in pieces]
            return _tokens(windows, cut or len(first) > shorter)
        pieces, cut = _pieces(len(first), wide, overlap, limit)
        windows = [self._joined(first[at : at + wide], second[:shorter]) for at in pieces]
        return _tokens(windows, cut or len(second) > shorter)

    def _question(self, question: Ids, context: Traced) -> Tokens:
        room = self._room()
        question = self._something(question)
        asked = question[: max(1, min(QUESTION_PIECES, room // 2))]
        if not context.ids:
            context = Traced([self.empty], [(-1, -1)], [-1])
        wide = max(1, room - len(asked))
        overlap = min(max(self.overlap, min(WIDEST_STRIDE, wide // 3)), wide // 2)
        pieces, cut = _pieces(len(context.ids), wide, overlap, self.max_windows)
        windows = [self._joined(asked, context.ids[at : at + wide], context, at) for at in pieces]
        return _tokens(windows, cut or len(asked) < len(question))

    def _room(self) -> int:
        frame = self.frame
        return max(2, self.window - len(frame.first) - len(frame.middle) - len(frame.last))

    def _something(self, ids: Ids) -> Ids:
        return ids or [self.empty]

    def _joined(self, first: Ids, second: Ids, trace: Traced | None = None, at: int = 0) -> Window:
        before = (*self.frame.first, *first, *self.frame.middle)
        return _window(before, second, self.frame.last, trace, at, len(before))


def traced(text: str, ids: Ids, offsets: Sequence[tuple[int, int]], words: Sequence[int | None]) -> Traced:
    """Offsets without the white space that some tokenizers count in; words numbered from 0 on without gaps.

    A word is what the tokenizer's own splitting calls one. Where it does not split at white space, that ends a word.
    """
    trimmed: list[tuple[int, int]] = []
    numbers: list[int] = []
    number, last, behind = -1, None, 0
    for (start, end), word in zip(offsets, words, strict=True):
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if number < 0 or word != last or any(map(str.isspace, text[behind:start])):
            number += 1
        last, behind = word, max(behind, end)
        trimmed.append((start, end))
        numbers.append(number)
    return Traced(ids, trimmed, numbers)


def _pieces(length: int, room: int, overlap: int, limit: int) -> tuple[Iterator[int], bool]:
    """Where windows of `room` tokens begin, and whether the last of `limit` windows leaves some tokens out."""
    step = room - overlap
    needed = 1 + max(0, -(-(length - room) // step))
    return (at * step for at in range(min(needed, limit))), needed > limit


def _tokens(windows: Sequence[Window], truncated: bool) -> Tokens:
    return Tokens(tuple(windows), truncated, sum(map(len, windows)))


def _window(
    before: Sequence[int], ids: Ids, behind: Sequence[int], trace: Traced | None, at: int, second: int = 0
) -> Window:
    """`ids` are those of the trace from its token `at` on."""
    whole = np.array([*before, *ids, *behind], dtype=np.int32)
    if trace is None:
        return Window(whole, second)
    offsets = np.full((len(whole), 2), -1, np.int32)
    words = np.full(len(whole), -1, np.int32)
    begin, end = len(before), len(before) + len(ids)
    offsets[begin:end] = np.array(trace.offsets[at : at + len(ids)], np.int32).reshape(-1, 2)
    words[begin:end] = trace.words[at : at + len(ids)]
    return Window(whole, second, offsets, words)


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


def _frame(rust: tokenizers.Tokenizer) -> Frame:
    """What the tokenizer puts around a text, and around two."""
    one, two = (rust.encode(letter, add_special_tokens=False).ids for letter in "ab")
    full = rust.encode("a").ids
    at = _find(one, full, 0)
    prefix, suffix = (tuple(full[:at]), tuple(full[at + len(one) :])) if at >= 0 else ((), ())
    both = rust.encode("a", "b").ids
    left = _find(one, both, 0)
    right = _find(two, both, left + len(one)) if left >= 0 else -1
    if right < 0 or (suffix and right == left + len(one)):  # its template knows no pairs
        return Frame(prefix, suffix, prefix, suffix, suffix)
    first, middle, last = both[:left], both[left + len(one) : right], both[right + len(two) :]
    return Frame(prefix, suffix, tuple(first), tuple(middle), tuple(last))


def _find(part: Ids, whole: Ids, start: int) -> int:
    return next((at for at in range(start, len(whole) - len(part) + 1) if whole[at : at + len(part)] == part), -1)


def _whole(text: str) -> str:
    """As many code points as before, for offsets count them."""
    return SURROGATE.sub("\ufffd", text)
