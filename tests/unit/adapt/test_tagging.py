"""Tags to spans and back, and strict scores of spans."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt import tagging
from candelabra.adapt.tagging import counts, example_of_tags, f1, type_reports, word_tags
from candelabra.errors import InvalidArgument
from candelabra.types import Span

TYPES = ("drug", "place")


def test_tokens_are_joined_by_spaces_and_spans_count_code_points() -> None:
    example = example_of_tags(["𝔸spirin", "C", "in", "Basel"], ["B-drug", "I-drug", "O", "B-place"], 0)
    assert example.text == "𝔸spirin C in Basel"
    assert example.spans == (Span(0, 9, "drug"), Span(13, 18, "place"))
    assert [example.text[span.start : span.end] for span in example.spans] == ["𝔸spirin C", "Basel"]


def test_a_type_may_hold_a_dash_and_neighbours_stay_apart() -> None:
    example = example_of_tags(["a", "b", "c"], ["B-x-y", "I-x-y", "B-x-y"], 0)
    assert example.spans == (Span(0, 3, "x-y"), Span(4, 5, "x-y"))


@pytest.mark.parametrize(
    ("tokens", "tags", "why"),
    [
        (["a", "b"], ["O"], "2 tokens and 1 tags"),
        (["a"], ["I-drug"], "at token 0 behind none"),
        (["a", "b", "c"], ["B-drug", "O", "I-drug"], "at token 2 behind none"),
        (["a", "b"], ["B-drug", "I-place"], "at token 1 behind 'drug'"),
        (["a"], ["E-drug"], "a tag is O, B-TYPE or I-TYPE"),
        (["a"], ["B-"], "a tag is O"),
        (["a"], [""], "a tag is O"),
    ],
)
def test_tags_that_do_not_fit_are_refused_with_row_and_reason(tokens: list[str], tags: list[str], why: str) -> None:
    with pytest.raises(InvalidArgument, match=r"examples\[7\]") as caught:
        example_of_tags(tokens, tags, 7)
    assert why in caught.value.message
    assert caught.value.metadata["field"] == "examples[7].tags"


def test_spans_become_tags_of_words() -> None:
    words = np.array([[0, 3], [4, 7], [8, 11], [12, 15]])
    tags, cut = word_tags(words, [Span(4, 11, "place"), Span(0, 3, "drug")], TYPES)
    assert tags.tolist() == [1, 3, 4, 0]
    assert cut == 0


def test_a_span_that_cuts_a_word_takes_it_and_is_counted() -> None:
    words = np.array([[0, 3], [4, 7], [8, 11]])
    tags, cut = word_tags(words, [Span(5, 9, "drug")], TYPES)
    assert tags.tolist() == [0, 1, 2]
    assert cut == 1


def test_of_spans_that_share_words_the_earlier_has_them_and_spans_outside_are_left() -> None:
    words = np.array([[0, 3], [4, 7], [8, 11]])
    tags, _ = word_tags(words, [Span(0, 7, "drug"), Span(4, 11, "place"), Span(50, 60, "drug")], TYPES)
    assert tags.tolist() == [1, 2, 3]


def test_layers_are_spread_from_the_embeddings_to_the_last() -> None:
    assert tagging.default_layers(range(7)) == (0, 2, 4, 6)
    assert tagging.default_layers(range(13)) == (0, 4, 8, 12)
    assert tagging.default_layers((2, 5)) == (2, 5)


def test_a_type_or_a_boundary_that_is_off_is_wrong() -> None:
    true = [(Span(0, 3, "drug"), Span(4, 7, "place")), (Span(0, 5, "place"),), ()]
    found = [(Span(0, 3, "drug"), Span(4, 7, "drug")), (Span(0, 4, "place"),), (Span(1, 2, "drug"),)]
    table = counts(true, found, TYPES)
    assert table.sum(axis=0).tolist() == [[1, 3, 1], [0, 1, 2]]
    assert float(f1(table.sum(axis=0))) == pytest.approx(2 * 1 / (4 + 3))
    drug, place = type_reports(table, TYPES)
    assert (drug["precision"], drug["recall"], drug["f1"], drug["support"]) == (pytest.approx(1 / 3), 1.0, 0.5, 1)
    assert (place["precision"], place["recall"], place["f1"], place["support"]) == (0.0, 0.0, 0.0, 2)


def test_a_span_found_twice_counts_once_and_nothing_found_is_zero() -> None:
    table = counts([(Span(0, 3, "drug"),)], [(Span(0, 3, "drug"), Span(0, 3, "drug"))], TYPES)
    assert table[0, 0].tolist() == [1, 1, 1]
    assert float(f1(np.zeros((2, 3)))) == 0.0


def test_scores_are_those_of_seqeval() -> None:
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    random = np.random.default_rng(0)
    tokens = [f"w{at}" for at in range(12)]

    def tags() -> list[str]:
        made, before = [], ""
        for _ in tokens:
            choice = random.choice(["O", "B-drug", "B-place", *([f"I-{before}"] * 3 if before else [])])
            before = choice[2:]
            made.append(str(choice))
        return made

    rows = [(tags(), tags()) for _ in range(60)]
    true = [example_of_tags(tokens, one, 0).spans for one, _ in rows]
    found = [example_of_tags(tokens, other, 0).spans for _, other in rows]
    table = counts(true, found, TYPES)
    assert table[..., tagging.HIT].sum() > 5
    expected = metrics.f1_score([one for one, _ in rows], [other for _, other in rows])
    assert float(f1(table.sum(axis=0))) == pytest.approx(expected)
    recalls = metrics.recall_score([one for one, _ in rows], [other for _, other in rows], average=None)
    assert [report["recall"] for report in type_reports(table, TYPES)] == pytest.approx(list(recalls))
