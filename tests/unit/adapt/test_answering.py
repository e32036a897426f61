"""Scores of answers, tokens that they cover, faults of examples."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt.answering import (
    REASONS,
    Fault,
    aligned,
    exact_match,
    fault,
    overlapping_sentence,
    sentences,
    token_f1,
)
from candelabra.types import Example, Span

TEXT = "The lamp stands on the table. Its seven arms were cast in Bruges! Nobody lit it."


@pytest.mark.parametrize(
    ("answer", "truths", "f1", "exact"),
    [
        ("seven arms", ["seven arms"], 1.0, 1.0),
        ("The Seven, arms!", ["seven arms"], 1.0, 1.0),
        ("seven", ["seven arms"], 2 / 3, 0.0),
        ("seven seven", ["seven arms"], 0.5, 0.0),
        ("in Bruges", ["seven arms", "Bruges"], 2 / 3, 0.0),
        ("table", ["lamp"], 0.0, 0.0),
        ("", [], 1.0, 1.0),
        ("lamp", [], 0.0, 0.0),
        ("", ["lamp"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),
    ],
)
def test_scores_are_squads(answer: str, truths: list[str], f1: float, exact: float) -> None:
    assert token_f1(answer, truths) == pytest.approx(f1)
    assert exact_match(answer, truths) == exact


@pytest.mark.parametrize(
    ("example", "answers", "wanted"),
    [
        (Example(TEXT, question="Where?", spans=(Span(58, 64, ""),)), ["Bruges"], None),
        (Example(TEXT, question="Who lit it?"), [], None),
        (Example(TEXT, question=" \n", spans=(Span(0, 3, ""),)), [], Fault.EMPTY_QUESTION),
        (Example("  ", question="Where?"), [], Fault.EMPTY_TEXT),
        (Example(TEXT, question="Where?", spans=(Span(70, len(TEXT) + 1, ""),)), [], Fault.OUTSIDE_TEXT),
        (Example(TEXT, question="Where?", spans=(Span(-3, 4, ""),)), [], Fault.OUTSIDE_TEXT),
        (Example(TEXT, question="Where?", spans=(Span(9, 4, ""),)), [], Fault.OUTSIDE_TEXT),
        (Example(TEXT, question="Where?", spans=(Span(3, 4, ""),)), [], Fault.EMPTY_ANSWER),
        (Example(TEXT, question="Where?", spans=(Span(57, 63, ""),)), ["Bruges"], Fault.NOT_AT_OFFSET),
    ],
)
def test_a_bad_example_has_its_reason(example: Example, answers: list[str], wanted: Fault | None) -> None:
    assert fault(example, answers) == wanted


def test_every_fault_has_a_sentence() -> None:
    assert set(REASONS) == set(Fault)


def test_tokens_of_an_answer_are_whole_words() -> None:
    # [CLS] q [SEP] "un" "told" "lamps" [SEP]: the first word of the text is in two pieces.
    offsets = np.array([(-1, -1), (-1, -1), (-1, -1), (0, 2), (2, 6), (7, 12), (-1, -1)], np.int32)
    words = np.array([-1, -1, -1, 0, 0, 1, -1], np.int32)
    assert aligned([Span(0, 6, "")], offsets, words) == [(3, 4)]
    assert aligned([Span(2, 12, "")], offsets, words) == [(3, 5)]
    assert aligned([Span(7, 12, ""), Span(8, 10, ""), Span(0, 1, "")], offsets, words) == [(3, 4), (5, 5)]


def test_an_answer_that_a_window_cuts_is_not_taught() -> None:
    offsets = np.array([(-1, -1), (10, 14), (15, 19), (-1, -1)], np.int32)
    words = np.array([-1, 3, 4, -1], np.int32)
    assert aligned([Span(8, 14, "")], offsets, words) == []
    assert aligned([Span(15, 22, "")], offsets, words) == []
    assert aligned([Span(30, 34, "")], offsets, words) == []
    assert aligned([Span(10, 19, "")], offsets, words) == [(1, 2)]


def test_sentences_cover_the_text_without_its_spaces() -> None:
    assert [TEXT[one.start : one.end] for one in sentences(TEXT)] == [
        "The lamp stands on the table.",
        "Its seven arms were cast in Bruges!",
        "Nobody lit it.",
    ]
    assert sentences("  ") == []


def test_the_sentence_with_most_words_of_the_question() -> None:
    best = overlapping_sentence(TEXT, "Where were the seven arms cast?")
    assert best is not None
    assert TEXT[best.start : best.end] == "Its seven arms were cast in Bruges!"
    assert overlapping_sentence("", "Where?") is None
