"""Texts to windows: nothing lost where nothing was said to be lost, and no text that breaks it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from candelabra.backbones import Backbone
from candelabra.engine.tokenizer import Tokenizer
from candelabra.errors import BackboneCorrupt
from candelabra.testing import tiny_tokenizer
from candelabra.types import LongText

WORDS = ["a", "clause", "of", "the", "lease", "binds", "both", "parties", "until", "it", "ends"]


def backbone(folder: Path, window: int = 16) -> Backbone:
    return Backbone("mine", folder, "bert", 2, 16, window)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vocabulary = {word: at for at, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(4)
    made.enable_padding(length=8)
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_short_text_is_one_window_without_padding(folder: Path) -> None:
    tokens = Tokenizer.load(backbone(folder)).split(["the lease ends", ""], LongText.TRUNCATE)
    assert [one.windows[0].tolist() for one in tokens] == [[2, 7, 8, 14, 3], [2, 3]]
    assert [(one.truncated, one.count) for one in tokens] == [(False, 5), (False, 2)]
    assert tokens[0].windows[0].dtype == np.int32


def test_truncating_cuts_at_the_window_and_says_so(folder: Path) -> None:
    tokenizer = Tokenizer.load(backbone(folder, window=6))
    exact, longer = tokenizer.split(["a clause of the", "a clause of the lease"], LongText.TRUNCATE)
    assert (len(exact.windows[0]), exact.truncated) == (6, False)
    assert (len(longer.windows), len(longer.windows[0]), longer.truncated) == (1, 6, True)
    assert longer.windows[0][-1] == 3


def test_a_smaller_window_can_be_asked_and_a_larger_one_cannot(folder: Path) -> None:
    assert Tokenizer.load(backbone(folder), window=8).window == 8
    assert Tokenizer.load(backbone(folder), window=800).window == 16


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(4, 40), st.integers(0, 50), st.integers(1, 9))
def test_windows_cover_the_text_in_order(words: int, window: int, overlap: int, limit: int) -> None:
    tokenizer = tiny_tokenizer(window, overlap, limit)
    text = " ".join(f"word{k}" for k in range(words))
    bare = tokenizer.encode([text])[0]
    tokens = tokenizer.split([text], LongText.WINDOWS)[0]
    assert len(tokens.windows) <= limit
    assert tokens.count == sum(map(len, tokens.windows))
    covered: list[int] = []
    for one in tokens.windows:
        assert len(one) <= window
        assert (one[0], one[-1]) == (1, 2)
        inner = one[1:-1].tolist()
        shared = min(overlap, (window - 2) // 2) if covered else 0
        assert covered[len(covered) - shared :] == inner[:shared]
        covered += inner[shared:]
    assert covered == bare[: len(covered)]
    assert tokens.truncated == (len(covered) < len(bare))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=60), max_size=5))
def test_no_text_breaks_it(texts: list[str]) -> None:
    tokenizer = _bytes_tokenizer()
    tokens = tokenizer.split(texts, LongText.WINDOWS)
    assert len(tokens) == len(texts)
    assert all(len(one.windows[0]) > 0 for one in tokens)


def _bytes_tokenizer() -> Tokenizer:
    """A real Rust tokenizer without special tokens, so that an empty text has none at all."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return Tokenizer(
        lambda texts: [one.ids for one in made.encode_batch_fast(list(texts), add_special_tokens=False)],
        (), (), 0, 16, 4, 3,
    )  # fmt: skip


def test_half_a_surrogate_pair_is_read_as_something(folder: Path) -> None:
    tokens = Tokenizer.load(backbone(folder)).split(["the lease \ud83d ends", "a"], LongText.TRUNCATE)
    assert tokens[0].windows[0].tolist() == [2, 7, 8, 1, 14, 3]
    assert tokens[1].windows[0].tolist() == [2, 4, 3]


def test_threads_do_not_disturb_each_other(folder: Path) -> None:
    tokenizer = Tokenizer.load(backbone(folder))
    texts = [" ".join(WORDS[: 1 + k % 10]) for k in range(200)]
    wanted = [one.windows[0].tolist() for one in tokenizer.split(texts, LongText.TRUNCATE)]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: tokenizer.split(texts, LongText.TRUNCATE), range(16)):
            assert [one.windows[0].tolist() for one in found] == wanted


def test_a_vocabulary_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokens = Tokenizer.load(backbone(tmp_path)).split(["The lease ends"], LongText.TRUNCATE)
    assert tokens[0].windows[0].tolist() == [2, 8, 9, 15, 3]


def test_a_broken_tokenizer_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BackboneCorrupt, match=r"tokenizer\.json"):
        Tokenizer.load(backbone(tmp_path))
