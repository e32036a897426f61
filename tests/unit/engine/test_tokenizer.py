"""Texts to windows: nothing lost where nothing was said to be lost, and no text that breaks it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from candelabra.backbones import DEFAULT, Backbone, resolve
from candelabra.engine.tokenizer import Tokenizer
from candelabra.engine.window import Window
from candelabra.errors import BackboneCorrupt, BackboneUnavailable
from candelabra.settings import read
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
    assert [one.windows[0].ids.tolist() for one in tokens] == [[2, 7, 8, 14, 3], [2, 3]]
    assert [(one.truncated, one.count) for one in tokens] == [(False, 5), (False, 2)]
    assert tokens[0].windows[0].ids.dtype == np.int32


def test_truncating_cuts_at_the_window_and_says_so(folder: Path) -> None:
    tokenizer = Tokenizer.load(backbone(folder, window=6))
    exact, longer = tokenizer.split(["a clause of the", "a clause of the lease"], LongText.TRUNCATE)
    assert (len(exact.windows[0]), exact.truncated) == (6, False)
    assert (len(longer.windows), len(longer.windows[0]), longer.truncated) == (1, 6, True)
    assert longer.windows[0].ids[-1] == 3


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
        assert (one.ids[0], one.ids[-1]) == (1, 2)
        inner = one.ids[1:-1].tolist()
        shared = min(overlap, (window - 2) // 2) if covered else 0
        assert covered[len(covered) - shared :] == inner[:shared]
        covered += inner[shared:]
    assert covered == bare[: len(covered)]
    assert tokens.truncated == (len(covered) < len(bare))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=60), max_size=5))
def test_no_text_breaks_it(bare: Tokenizer, kinds: dict[str, Tokenizer], texts: list[str]) -> None:
    for tokenizer in (bare, *kinds.values()):
        plain = tokenizer.split(texts, LongText.WINDOWS)
        traced = tokenizer.split(texts, LongText.WINDOWS, offsets=True)
        pairs = tokenizer.split_pairs(texts, texts[::-1], LongText.WINDOWS)
        questions = tokenizer.split_questions(texts, texts[::-1])
        for found in (plain, traced, pairs, questions):
            assert len(found) == len(texts)
            for one in found:
                assert one.count == sum(map(len, one.windows))
                assert all(0 < len(window) <= tokenizer.window for window in one.windows)
                assert all(0 <= window.second < len(window) for window in one.windows)
        for one, other in zip(plain, traced, strict=True):
            assert [window.ids.tolist() for window in one.windows] == [window.ids.tolist() for window in other.windows]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A real Rust tokenizer without special tokens, so that an empty text has none at all."""
    folder = tmp_path_factory.mktemp("bare")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    return Tokenizer.load(backbone(folder), 16, 4, 3)


def test_half_a_surrogate_pair_is_read_as_something(folder: Path) -> None:
    tokens = Tokenizer.load(backbone(folder)).split(["the lease \ud83d ends", "a"], LongText.TRUNCATE)
    assert tokens[0].windows[0].ids.tolist() == [2, 7, 8, 1, 14, 3]
    assert tokens[1].windows[0].ids.tolist() == [2, 4, 3]


def test_threads_do_not_disturb_each_other(folder: Path) -> None:
    tokenizer = Tokenizer.load(backbone(folder))
    texts = [" ".join(WORDS[: 1 + k % 10]) for k in range(200)]
    wanted = [one.windows[0].ids.tolist() for one in tokenizer.split(texts, LongText.TRUNCATE)]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: tokenizer.split(texts, LongText.TRUNCATE), range(16)):
            assert [one.windows[0].ids.tolist() for one in found] == wanted


def test_a_vocabulary_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokens = Tokenizer.load(backbone(tmp_path)).split(["The lease ends"], LongText.TRUNCATE)
    assert tokens[0].windows[0].ids.tolist() == [2, 8, 9, 15, 3]


def test_a_broken_tokenizer_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BackboneCorrupt, match=r"tokenizer\.json"):
        Tokenizer.load(backbone(tmp_path))


# Tokenizers of the common kinds, with their own templates.


def _wordpiece(folder: Path) -> None:
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(PIECES, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.save(str(folder / "tokenizer.json"))


def _byte_level(folder: Path) -> None:
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([" ".join(WORDS)], trainer)
    made.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    made.save(str(folder / "tokenizer.json"))


def _unigram(folder: Path) -> None:
    letters = sorted(set("".join(WORDS)))
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("\u2581", -2.0)]
    pieces += [(f"\u2581{word}", -3.0) for word in WORDS] + [(letter, -5.0) for letter in letters]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0))
    made.normalizer = tokenizers.normalizers.NFKC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    made.save(str(folder / "tokenizer.json"))


PIECES = {
    piece: at for at, piece in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "##s", "##es", ".", "'", "e"))
}
FRAMES = {  # before, between and behind two texts
    "wordpiece": ((2,), (3,), (3,)),
    "byte_level": ((0,), (2, 2), (2,)),
    "unigram": ((1,), (2, 2), (2,)),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    made = {}
    for write in (_wordpiece, _byte_level, _unigram):
        folder = tmp_path_factory.mktemp(write.__name__)
        write(folder)
        made[write.__name__.removeprefix("_")] = Tokenizer.load(backbone(folder), overlap=4, max_windows=50)
    return made


@pytest.mark.parametrize("kind", FRAMES)
def test_a_pair_stands_in_the_tokenizers_own_template(kind: str, kinds: dict[str, Tokenizer]) -> None:
    tokenizer, (first, middle, last) = kinds[kind], FRAMES[kind]
    a, b = tokenizer.encode(["the lease", "it ends"])
    [found] = tokenizer.split_pairs(["the lease"], ["it ends"], LongText.TRUNCATE)
    [window] = found.windows
    assert window.ids.tolist() == [*first, *a, *middle, *b, *last]
    assert window.second == len(first) + len(a) + len(middle)
    assert not found.truncated
    [alone] = tokenizer.split(["the lease"], LongText.TRUNCATE)
    assert alone.windows[0].ids.tolist() == [*first, *a, *last]
    assert alone.windows[0].second == 0


def test_a_template_without_pairs_is_made_of_the_single_one(folder: Path, bare: Tokenizer) -> None:
    [found] = Tokenizer.load(backbone(folder)).split_pairs(["the lease"], ["it ends"], LongText.TRUNCATE)
    assert (found.windows[0].ids.tolist(), found.windows[0].second) == ([2, 7, 8, 3, 13, 14, 3], 4)
    [found] = bare.split_pairs(["a"], ["b c"], LongText.TRUNCATE)
    assert (found.windows[0].ids.tolist(), found.windows[0].second) == ([0, 0, 0], 1)
    [found] = bare.split_pairs([""], [""], LongText.TRUNCATE)
    assert (found.windows[0].ids.tolist(), found.windows[0].second) == ([0, 0], 1)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(8, 24))
def test_the_longer_text_of_a_pair_is_cut_first(first: int, second: int, window: int) -> None:
    tokenizer = tiny_tokenizer(window)
    left, right = (" ".join(f"{side}{k}" for k in range(count)) for side, count in (("l", first), ("r", second)))
    [found] = tokenizer.split_pairs([left], [right], LongText.TRUNCATE)
    [only] = found.windows
    kept = only.second - 2, len(only) - only.second - 1
    room = window - 3
    assert found.truncated == (max(first, 1) + max(second, 1) > room)
    if not found.truncated:
        assert kept == (max(first, 1), max(second, 1))
    else:
        assert sum(kept) == room
        shorter = min(first, second)
        assert min(kept) >= min(max(shorter, 1), room // 2)
    [a], [b] = tokenizer.encode([left]), tokenizer.encode([right])
    assert only.ids[1 : 1 + kept[0]].tolist() == (a or [3])[: kept[0]]
    assert only.ids[only.second : -1].tolist() == (b or [3])[: kept[1]]


def test_a_long_pair_may_be_read_in_windows_over_the_longer_text() -> None:
    tokenizer = tiny_tokenizer(16, 2)
    words = [f"word{k}" for k in range(30)]
    ids = tokenizer.encode([" ".join(words)])[0]
    for turned in (False, True):
        pair = (["short one"], [" ".join(words)])
        [found] = tokenizer.split_pairs(*(pair[::-1] if turned else pair), LongText.WINDOWS)
        assert (len(found.windows), found.truncated) == (4, False)
        covered: set[int] = set()
        for one in found.windows:
            longer = one.ids[1 : one.second - 1] if turned else one.ids[one.second : -1]
            covered |= set(longer.tolist())
            assert len(one) <= 16
        assert covered == set(ids)


def _cut(text: str, window: Window) -> list[str]:
    assert window.offsets is not None
    return [text[begin:end] for begin, end in window.offsets.tolist() if begin >= 0]


def test_offsets_cut_the_words_out_of_the_text(kinds: dict[str, Tokenizer]) -> None:
    text = "The  lease \U0001f3e0 ends,\tboth parties\u00e9 agree"
    wanted = {
        "wordpiece": ["The", "lease", "\U0001f3e0", "ends", ",", "both", "parties\u00e9", "agree"],
        "byte_level": ["The", "lease", "\U0001f3e0", "ends", ",", "both", "parties\u00e9", "agree"],
        "unigram": ["The", "lease", "\U0001f3e0", "ends,", "both", "parties\u00e9", "agree"],
    }
    for kind, tokenizer in kinds.items():
        [found] = tokenizer.split([text], LongText.WINDOWS, offsets=True)
        words: dict[int, list[tuple[int, int]]] = {}
        for window in found.windows:
            assert window.offsets is not None
            assert window.words is not None
            assert (window.offsets[[0, -1]] == -1).all()
            for word, offset in zip(window.words.tolist(), window.offsets.tolist(), strict=True):
                if word >= 0:
                    words.setdefault(word, []).append(tuple(offset))
        spans = [(min(one)[0], max(end for _, end in one)) for _, one in sorted(words.items())]
        surfaces = [text[begin:end] for begin, end in spans if text[begin:end]]
        assert surfaces == wanted[kind], kind


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_offsets_stay_in_the_text_and_words_in_order(kinds: dict[str, Tokenizer], text: str) -> None:
    for tokenizer in kinds.values():
        [found] = tokenizer.split([text], LongText.WINDOWS, offsets=True)
        last = -1
        for window in found.windows:
            assert window.offsets is not None
            assert window.words is not None
            inside = window.words >= 0
            assert (inside == (window.offsets[:, 0] >= 0)).all()
            begin, end = window.offsets[inside].T
            assert (begin <= end).all()
            assert (end <= len(text)).all()
            assert (np.diff(begin) >= 0).all()
            assert (np.diff(window.words[inside]) >= 0).all()
            assert (np.diff(window.words[inside]) <= 1).all()
            if inside.any():
                assert window.words[inside][0] <= last + 1  # no word lies between two windows
                last = max(last, int(window.words.max()))
            for begin_at, end_at in zip(begin.tolist(), end.tolist(), strict=True):
                assert not text[begin_at:end_at][:1].isspace()
                assert not text[begin_at:end_at][-1:].isspace()


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(0, 200), st.integers(24, 60))
def test_windows_over_a_context_cover_every_word_and_hold_the_question(asked: int, words: int, window: int) -> None:
    tokenizer = tiny_tokenizer(window, 4, 500)
    question = " ".join(f"q{k}" for k in range(asked))
    context = " ".join(f"word{k}" for k in range(words))
    [found] = tokenizer.split_questions([question], [context])
    cut = min(asked, 64, (window - 3) // 2)
    assert found.truncated == (cut < asked)
    pieces = tokenizer.encode([question])[0][:cut]
    seen: list[int] = []
    for one in found.windows:
        assert len(one) <= window
        assert one.ids[1 : one.second - 1].tolist() == pieces
        assert one.words is not None
        assert (one.words[: one.second] == -1).all()
        inside = one.words[one.second : -1].tolist()
        if words:
            shared = len(set(seen) & set(inside))
            assert not seen or shared >= 4
            assert _cut(context, one) == [f"word{k}" for k in inside]
        seen += inside
    assert sorted(set(seen)) == (list(range(words)) or [-1])


def test_the_default_backbones_words_and_offsets() -> None:
    try:
        found = resolve(DEFAULT, read().cache)
    except BackboneUnavailable as error:
        pytest.skip(error.message)
    tokenizer = Tokenizer.load(found)
    text = "Dr. M\u00fcller-L\u00fcdenscheidt's thrombocytopenia \U0001f3e0 worsened."
    [tokens] = tokenizer.split([text], LongText.WINDOWS, offsets=True)
    [window] = tokens.windows
    pieces = [piece for piece in _cut(text, window) if piece]
    assert "".join(pieces) == "".join(text.split())
    assert window.words is not None
    assert int(window.words.max()) + 1 == 11  # Dr . Muller - Ludenscheidt ' s thrombocytopenia (house) worsened .
