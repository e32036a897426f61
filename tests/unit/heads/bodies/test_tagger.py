"""The tagger: words of windows, merged windows, offsets in code points, files that lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.errors import CorruptHead, HeadUnsound
from candelabra.heads.bodies import kinds
from candelabra.heads.bodies.spelling import LETTERS, spelled
from candelabra.heads.bodies.tagger import Tagger, merged, word_states, word_table
from candelabra.heads.bodies.tagger_network import Network, Shape
from candelabra.types import Span

TYPES = ("drug", "place")
SHAPE = Shape(width=2 * 6, types=2, rank=5, hidden=4, letter=3, filters=3)


def made(seed: int = 0) -> Tagger:
    random = np.random.default_rng(seed)
    tensors = {
        name: random.normal(0, 0.7, value.shape).astype(np.float32) for name, value in Network(SHAPE).tensors().items()
    }
    return Tagger(TYPES, (1, 3), SHAPE.about(), tensors)


def window(pieces: list[tuple[int, int, int]]) -> Window:
    """Pieces are (word, begin, end), between two special tokens."""
    words = np.array([-1, *(word for word, _, _ in pieces), -1], np.int32)
    offsets = np.array([(-1, -1), *((begin, end) for _, begin, end in pieces), (-1, -1)], np.int32)
    return Window(np.zeros(len(words), np.int32), 0, offsets, words)


def inputs(texts: list[str], windows: list[tuple[Window, ...]], seed: int = 1) -> Inputs:
    random = np.random.default_rng(seed)
    states = [[random.normal(size=(len(one), 2, 6)).astype(np.float32) for one in row] for row in windows]
    return Inputs(np.zeros((len(texts), 0), np.float32), states, texts, windows)


def sentence(words: int) -> tuple[str, tuple[Window, ...]]:
    """Words of three letters, each of two tokens."""
    text = " ".join("abc" for _ in range(words))
    pieces = [(at, 4 * at + a, 4 * at + b) for at in range(words) for a, b in ((0, 2), (2, 3))]
    return text, (window(pieces),)


def test_words_and_their_means() -> None:
    one = window([(0, 0, 2), (0, 2, 5), (1, 6, 7)])
    assert word_table(one).tolist() == [[1, 3, 0, 5], [3, 4, 6, 7]]
    states = np.arange(5 * 2 * 2, dtype=np.float32).reshape(5, 2, 2)
    np.testing.assert_allclose(
        word_states(states, word_table(one)), [(states[1] + states[2]).ravel() / 2, states[3].ravel()]
    )


def test_a_window_that_does_not_know_its_words_is_a_bug() -> None:
    with pytest.raises(HeadUnsound, match="bug"):
        word_table(Window(np.zeros(3, np.int32)))


def test_emissions_stand_at_first_tokens_and_rows_do_not_touch() -> None:
    body = made()
    texts, windows = zip(*(sentence(size) for size in (3, 40, 1)), strict=True)
    many = inputs(list(texts), list(windows))
    found = body.logits(many)
    assert [one[0].shape for one in found] == [(8, 5), (82, 5), (4, 5)]
    assert not found[0][0][[0, 2, 4, 6, 7]].any()
    assert found[0][0][[1, 3, 5]].all()
    for row in range(3):
        alone = replace(many, states=[many.states[row]], texts=[texts[row]], windows=[windows[row]])
        np.testing.assert_allclose(body.logits(alone)[0][0], found[row][0], atol=1e-5)


def test_case_is_seen_although_the_states_are_the_same() -> None:
    body = made()
    text, windows = sentence(3)
    low = inputs([text], [windows])
    assert not np.allclose(body.logits(low)[0][0], body.logits(replace(low, texts=[text.upper()]))[0][0])


def test_spans_count_code_points_and_have_probabilities() -> None:
    body = made()
    text = "\N{PILL} 𝔸spirin 10 mg"
    windows = (window([(0, 0, 1), (1, 2, 4), (1, 4, 9), (2, 10, 12), (3, 13, 15)]),)
    scores = np.zeros((7, 5), np.float32)
    scores[[1, 4], 0] = 40.0
    scores[2, 1] = 40.0  # B-drug
    scores[5, 3] = 40.0  # B-place
    spans = body.entities((scores,), windows, text)
    assert [span for span, _ in spans] == [Span(2, 9, "drug"), Span(13, 15, "place")]
    assert text[2:9] == "𝔸spirin"
    assert all(0.99 < probability <= 1.0 for _, probability in spans)
    hot = body.entities((scores,), windows, text, temperature=30.0)
    assert [span for span, _ in hot] == [span for span, _ in spans]
    assert all(probability < 0.9 for _, probability in hot)


def test_a_word_of_two_windows_counts_where_it_stands_farther_from_an_edge() -> None:
    first = window([(0, 0, 2), (1, 3, 5), (2, 6, 8), (3, 9, 11)])
    second = window([(2, 6, 8), (3, 9, 11), (4, 12, 14), (5, 15, 17)])
    emissions = tuple(np.full((6, 5), value, np.float32) for value in (1.0, 2.0))
    table, scores = merged(emissions, (first, second))
    assert table.tolist() == [[3 * at, 3 * at + 2] for at in range(6)]
    # Word 2 is third of four there and first of four here; word 3 the reverse.
    assert scores[:, 0].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def test_a_window_that_begins_inside_a_word_has_no_say_about_it() -> None:
    first = window([(0, 0, 2), (1, 3, 5)])
    second = window([(1, 5, 8), (2, 9, 11), (3, 12, 14), (4, 15, 16)])
    whole = window([(1, 3, 5), (1, 5, 8), (2, 9, 11)])
    table, scores = merged(
        tuple(np.full((len(w), 5), v, np.float32) for v, w in ((1.0, first), (2.0, second))), (first, second)
    )
    assert table.tolist()[:2] == [[0, 2], [3, 5]]
    assert scores[1, 0] == 1.0
    table, scores = merged(
        tuple(np.full((len(w), 5), v, np.float32) for v, w in ((1.0, first), (3.0, whole))), (first, whole)
    )
    assert table.tolist()[1] == [3, 8]
    assert scores[1, 0] == 3.0


def test_a_text_without_words_has_no_entities() -> None:
    body = made()
    empty = (window([]),)
    (emissions,) = body.logits(inputs([""], [empty]))
    assert body.entities(emissions, empty, "") == []


def test_a_token_of_nothing_is_no_entity() -> None:
    windows = (window([(0, 0, 2), (1, 3, 3), (2, 3, 5)]),)
    scores = np.zeros((5, 5), np.float32)
    scores[[1, 2, 3], [0, 1, 0]] = 40.0
    assert made().entities((scores,), windows, "ab cd") == []


def test_a_score_that_is_no_number_is_told() -> None:
    text, windows = sentence(1)
    with pytest.raises(HeadUnsound):
        made().entities((np.full((4, 5), np.nan, np.float32),), windows, text)


def test_the_file_makes_the_same_tagger() -> None:
    body = made()
    again = kinds.made("tagger", body.about(), body.tensors())
    text, windows = sentence(5)
    given = inputs([text], [windows])
    np.testing.assert_array_equal(again.logits(given)[0][0], body.logits(given)[0][0])
    assert (again.outputs, again.layers, again.slots) == (5, (1, 3), ())


def test_weights_are_shared_with_the_network_and_nobody_can_change_them() -> None:
    body = made()
    text, windows = sentence(2)
    body.logits(inputs([text], [windows]))
    for name, weight in body._network.state_dict().items():
        assert np.shares_memory(weight.numpy(), body.tensors()[name])
    with pytest.raises(ValueError, match="read-only"):
        body.tensors()["moves"][0] = 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"types": ["drug"]},
        {"types": ["drug", "drug"]},
        {"types": []},
        {"types": ["drug", 3]},
        {"layers": []},
        {"layers": [1, True]},
        {"layers": [1, 1]},
        {"layers": [1, 2, 3, 4, 5]},
        {"shape": {}},
        {"shape": {**SHAPE.about(), "rank": 10**9}},
        {"shape": {**SHAPE.about(), "rank": 6}},
        {"shape": {**SHAPE.about(), "depth": 6}},
        {"shape": {**SHAPE.about(), "hidden": 0}},
    ],
)
def test_a_manifest_that_lies_is_refused(change: dict[str, object]) -> None:
    body = made()
    with pytest.raises(CorruptHead):
        Tagger.made({**body.about(), **change}, body.tensors())


def test_tensors_that_do_not_fit_are_refused() -> None:
    body = made()
    good = body.tensors()
    bad = np.full_like(good["moves"], np.nan)
    for tensors in (
        {**good, "moves": bad},
        {**good, "more": bad},
        {**good, "moves": good["moves"].astype(np.float64)},
        {**good, "moves": good["moves"][:2]},
        {name: one for name, one in good.items() if name != "moves"},
    ):
        with pytest.raises(CorruptHead):
            Tagger.made(body.about(), tensors)


def test_spelling_keeps_case_and_both_ends_of_long_words() -> None:
    codes = spelled(["Aspirin", "aspirin", "a" * 30 + "ol", "a" * 9 + "b" * 30 + "ol", "É9", ""])
    assert codes.shape == (6, LETTERS)
    assert (codes[0] != codes[1]).sum() == 1
    assert (codes[2] != codes[3]).any()
    assert codes[2, -1] == codes[3, -1] != 0
    assert not codes[5].any()
    assert codes.max() < 100
