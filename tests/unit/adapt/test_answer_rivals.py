"""Intervals over texts, constants, and the sentence that shares most words."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt.answer_rivals import OVERLAP, Question, Scored, compared, decision, interval, simple
from candelabra.adapt.comparison import MAJORITY
from candelabra.adapt.training import TrainSpec
from candelabra.types import Method, Span, TaskKind

SPEC = TrainSpec(task_kind=TaskKind.ANSWER, method=Method.SPAN, metric="token_f1", backbone="b", domain="d", task="t")


def scored(questions: list[Question], f1: list[float]) -> Scored:
    values, count = np.array(f1), len(questions)
    return Scored(
        questions, np.arange(count), np.arange(count), np.arange(count), values, values, values, np.full(count, 0.5)
    )


def test_questions_about_one_text_stand_together() -> None:
    random = np.random.default_rng(0)
    of_text = random.normal(size=40)
    values, groups = np.repeat(of_text, 25), np.repeat(np.arange(40), 25)
    together, apart = interval(values, groups, 0), interval(values, np.arange(1000), 0)
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert together.low < together.value < together.high


def test_a_handful_of_texts_is_drawn_by_question() -> None:
    found = interval(np.array([0.0, 1.0] * 10), np.repeat([0, 1], 10), 0)
    assert found.low < 0.5 < found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert interval(values, np.arange(50), 3) == interval(values, np.arange(50), 3)


def test_the_constant_is_the_better_of_two_and_must_be_beaten() -> None:
    question = Question("Iron rusts. Gold never does.", "What does gold never do?", ("Iron rusts",), None)
    first, overlap = simple(scored([question] * 60, [1.0] * 60), SPEC)
    assert (first.name, first.must_win, first.note) == (MAJORITY, True, "the first sentence")
    assert first.theirs.value == 1.0
    assert overlap.name == OVERLAP
    assert overlap.theirs.value == 0.0
    assert not overlap.must_win
    none, _ = simple(scored([Question("Iron rusts.", "Who?", (), None)] * 60, [1.0] * 60), SPEC)
    assert (none.note, none.theirs.value) == ("always no answer", 1.0)


def test_few_rows_have_a_wider_level() -> None:
    few = compared(MAJORITY, SPEC, np.ones(20), np.zeros(20), np.arange(20))
    many = compared(MAJORITY, SPEC, np.ones(80), np.zeros(80), np.arange(80))
    rival = compared("incumbent", SPEC, np.ones(20), np.zeros(20), np.arange(20))
    assert (few.level, many.level, rival.level) == (0.8, 0.95, 0.95)
    assert few.gap.value == 1.0


def test_an_answer_as_the_evidence_keeps_it() -> None:
    assert decision(Span(3, 9, "")) == (3, 9)
    assert decision(None) == (-1, -1)
