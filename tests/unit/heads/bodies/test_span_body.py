"""Answers from token states: whole words, offsets, probabilities, windows; files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.errors import CorruptHead, HeadUnsound
from candelabra.heads.bodies.span import NETWORK, RARITIES, WORDS, Rarity, SpanFinder
from candelabra.heads.bodies.span_network import Network, Shape
from candelabra.types import Span

TEXT = "Candles outshone lamps"
# [CLS] who [SEP] candles out ##shone lamps [SEP]
WINDOW = Window(
    np.array([1, 7, 2, 10, 11, 12, 13, 2], np.int32),
    3,
    np.array([(-1, -1)] * 3 + [(0, 7), (8, 11), (11, 16), (17, 22), (-1, -1)], np.int32),
    np.array([-1, -1, -1, 0, 1, 1, 2, -1], np.int32),
)
SHAPE = Shape(layers=2, dimension=8, width=8, heads=2, hidden=16, blocks=1, alike=(1,))


def body(seed: int = 0) -> SpanFinder:
    torch.manual_seed(seed)
    state = Network(SHAPE).state_dict()
    tensors = {NETWORK + name: tensor.numpy() for name, tensor in state.items()}
    tensors |= {WORDS: np.array([1, 2, 7, 11], np.float32), RARITIES: np.array([0, 0, 0.5, 0.9], np.float32)}
    return SpanFinder((0, 3), SHAPE.about(), 20, tensors)


def states(window: Window = WINDOW, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(window), 2, 8)).astype(np.float32)


def inputs(*rows: list[Window]) -> Inputs:
    return Inputs(
        np.zeros((len(rows), 0), np.float32),
        [[states(window, at) for at, window in enumerate(row)] for row in rows],
        [TEXT] * len(rows),
        rows,
    )


def scores(start: int, end: int, size: int = 8) -> np.ndarray:
    z = np.zeros((size, 2), np.float32)
    z[start, 0] = z[end, 1] = 9.0
    return z


def test_one_array_a_window() -> None:
    found = body().logits(inputs([WINDOW], [WINDOW, WINDOW]))
    assert [[one.shape for one in row] for row in found] == [[(8, 2)], [(8, 2), (8, 2)]]
    assert all(one.dtype == np.float32 for row in found for one in row)


def test_rows_do_not_touch_each_other() -> None:
    alone = body().logits(inputs([WINDOW]))[0][0]
    shared = body().logits(inputs([WINDOW], [WINDOW, WINDOW]))
    np.testing.assert_array_equal(alone, shared[0][0])


def test_a_word_in_pieces_is_whole() -> None:
    for start, end in ((4, 5), (5, 5), (4, 4), (5, 4)):
        found, _ = body().answers([scores(start, end)], [WINDOW], TEXT, top_k=100)
        assert {span.start for span, _ in found} == {0, 8, 17}
        assert {span.end for span, _ in found} == {7, 16, 22}
    (best, *_), _ = body().answers([scores(4, 5)], [WINDOW], TEXT)
    assert best[0] == Span(8, 16, "")
    assert TEXT[best[0].start : best[0].end] == "outshone"


def test_never_the_question_nor_special_tokens() -> None:
    z = scores(1, 1)
    z[7] = 9.0
    found, _ = body().answers([z], [WINDOW], TEXT, top_k=100)
    assert {span for span, _ in found} == {
        Span(start, end, "") for start, end in ((0, 7), (0, 16), (0, 22), (8, 16), (8, 22), (17, 22))
    }


def test_probabilities_and_no_answer_are_one_together() -> None:
    z = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    for heat in (0.5, 1.0, 3.0):
        found, none = body().answers([z], [WINDOW], TEXT, top_k=100, temperature=heat)
        assert sum(probability for _, probability in found) + none == pytest.approx(1.0)
    assert body().answers([scores(0, 0)], [WINDOW], TEXT)[1] > 0.99


def test_the_most_probable_come_first() -> None:
    z = np.random.default_rng(3).normal(size=(8, 2)).astype(np.float32)
    every, _ = body().answers([z], [WINDOW], TEXT, top_k=100)
    shares = [probability for _, probability in every]
    assert shares == sorted(shares, reverse=True)
    assert body().answers([z], [WINDOW], TEXT, top_k=2)[0] == every[:2]
    assert body().answers([z], [WINDOW], TEXT, top_k=0)[0] == []


def test_longest_bounds_an_answer() -> None:
    z = scores(3, 6)
    assert body().answers([z], [WINDOW], TEXT)[0][0][0] == Span(0, 22, "")
    found, _ = body().answers([z], [WINDOW], TEXT, top_k=100, longest=1)
    assert {span for span, _ in found} == {Span(0, 7, ""), Span(17, 22, "")}


def test_the_best_window_wins_and_a_shared_span_counts_once() -> None:
    kept = [0, 1, 2, 6, 7]
    assert WINDOW.offsets is not None
    assert WINDOW.words is not None
    second = Window(WINDOW.ids[kept], 3, WINDOW.offsets[kept], WINDOW.words[kept])
    low, high = scores(6, 6) / 3, scores(3, 3, 5)
    found, none = body().answers([low, high], [WINDOW, second], TEXT, top_k=100)
    assert found[0][0] == Span(17, 22, "")
    spans = [span for span, _ in found]
    assert len(spans) == len(set(spans))
    assert sum(probability for _, probability in found) + none == pytest.approx(1.0)


def test_a_text_without_words_has_no_answer() -> None:
    bare = Window(np.array([1, 7, 2, 2], np.int32), 3, np.full((4, 2), -1, np.int32), np.full(4, -1, np.int32))
    assert body().answers([np.zeros((4, 2), np.float32)], [bare], "") == ([], 1.0)
    assert body().logits(inputs([bare]))[0][0].shape == (4, 2)


def test_scores_that_are_no_numbers_are_refused() -> None:
    z = scores(3, 3)
    z[4, 0] = np.nan
    with pytest.raises(HeadUnsound, match="finite"):
        body().answers([z], [WINDOW], TEXT)


def test_it_comes_back_from_its_file_as_it_was() -> None:
    one = body()
    again = SpanFinder.made(one.about(), one.tensors())
    assert again.about() == one.about()
    np.testing.assert_array_equal(again.logits(inputs([WINDOW]))[0][0], one.logits(inputs([WINDOW]))[0][0])


@pytest.mark.parametrize(
    "change",
    [
        {"layers": []},
        {"layers": [0, 0]},
        {"layers": [0, -1]},
        {"layers": [0]},
        {"longest": 0},
        {"longest": True},
        {"shape": {}},
        {"shape": {**SHAPE.about(), "strange": 1}},
        {"shape": {**SHAPE.about(), "width": 10**9}},
        {"shape": {**SHAPE.about(), "heads": 3}},
        {"shape": {**SHAPE.about(), "blocks": 2}},
        {"shape": {**SHAPE.about(), "alike": [2]}},
        {"shape": {**SHAPE.about(), "alike": 1}},
    ],
)
def test_a_description_of_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CorruptHead):
        SpanFinder.made({**body().about(), **change}, body().tensors())


def test_tensors_of_nonsense_are_refused() -> None:
    good = body().tensors()
    name = NETWORK + "out.weight"
    holed = good[name].copy()
    holed[0, 0] = np.inf
    for wrong in (
        {name: holed},
        {name: good[name][:1]},
        {name: good[name].astype(np.float64)},
        {"strange": np.zeros(1, np.float32)},
        {WORDS: good[WORDS][::-1].copy()},
        {RARITIES: good[RARITIES][:2]},
    ):
        with pytest.raises(CorruptHead):
            SpanFinder.made(body().about(), {**good, **wrong})
    with pytest.raises(CorruptHead):
        SpanFinder.made(body().about(), {key: value for key, value in good.items() if key != name})


def test_rarity_of_an_unseen_token_is_highest() -> None:
    table = Rarity(np.array([3, 5], np.float32), np.array([0.0, 0.25], np.float32))
    np.testing.assert_array_equal(table.of(np.array([5, 3, 4, 900])), np.array([0.25, 0, 1, 1], np.float32))
    assert Rarity(np.zeros(0, np.float32), np.zeros(0, np.float32)).of(np.array([2])).tolist() == [1.0]
