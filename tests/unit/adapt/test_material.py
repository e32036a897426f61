"""From examples to training material: duplicates, label spaces, refusals."""

from __future__ import annotations

import json
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candelabra import errors
from candelabra.adapt.material import prepare, row_digest, without_duplicates
from candelabra.limits import Limits
from candelabra.plugin import ENTITIES, PAIR, PAIR_REGRESSION, QUESTION_ANSWERING, REGRESSION, Domain, Task
from candelabra.settings import Settings
from candelabra.types import Example, Span, TaskKind

LIMITS = Limits(Settings(max_labels=5))
SINGLE, MULTI = Task("one"), Task("many", TaskKind.MULTI_LABEL)
CLOSED = Task("tone", labels=("bad", "good"))


class Plain(Domain):
    name = "plain"


class Strict(Plain):
    def check(self, example: Example, task: Task) -> None:
        if "secret" in example.text:
            raise ValueError("it speaks of what it must not.")


def examples(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(text, tuple(labels.split())) for text, labels in pairs]


def test_single_label_targets_follow_the_sorted_labels() -> None:
    made = prepare(examples(("a", "y"), ("b", "x"), ("c", "y")), Plain(), SINGLE, LIMITS)
    assert made.labels == ("x", "y")
    assert made.targets.tolist() == [1, 0, 1]
    assert made.label_counts == {"x": 1, "y": 2}


def test_a_domain_gives_the_order_of_its_labels() -> None:
    assert prepare(examples(("a", "good"), ("b", "bad")), Plain(), CLOSED, LIMITS).labels == ("bad", "good")


def test_multi_label_targets_have_a_column_a_label() -> None:
    made = prepare(examples(("a", "x y"), ("b", ""), ("c", "y")), Plain(), MULTI, LIMITS)
    assert made.targets.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_validation_keeps_the_label_space_it_is_given() -> None:
    made = prepare(examples(("a", "y"), ("b", "z")), Plain(), SINGLE, LIMITS, labels=("x", "y"))
    assert made.labels == ("x", "y")
    assert made.texts == ["a"]


def test_copies_count_once_and_disagreement_goes_by_majority() -> None:
    kept, dropped = without_duplicates(examples(("a", "x"), (" a", "x"), ("a", "y"), ("b", "x"), ("b", "y")))
    assert [(one.text, one.labels) for one in kept] == [("a", ("x",))]
    assert dropped == {"duplicate": 1, "conflicting_duplicate": 3}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=30))
def test_no_example_is_lost_without_being_counted(pairs: list[tuple[str, str]]) -> None:
    kept, dropped = without_duplicates(examples(*pairs))
    assert len(kept) + sum(dropped.values()) == len(pairs)
    assert len({one.text for one in kept}) == len(kept)


@pytest.mark.parametrize(
    ("given_", "task", "reason"),
    [
        ([], SINGLE, "NO_EXAMPLES"),
        (examples(("a", "x"), ("b", "x")), SINGLE, "TOO_FEW_LABELS"),
        (examples(("a", "x"), ("a", "x")), SINGLE, "ALL_DUPLICATES"),
        (examples(("a", "x y"), ("b", "x")), SINGLE, "BAD_EXAMPLES"),
        (examples(("a", ""), ("b", "x")), SINGLE, "TOO_FEW_LABELS"),
        (examples(("a", "awful"), ("b", "good")), CLOSED, "LABEL_NOT_IN_DOMAIN"),
        (examples(("a", ""), ("b", "")), MULTI, "TOO_FEW_LABELS"),
        (examples(("a", "x"), ("b", "x")), MULTI, "TOO_FEW_LABELS"),
        (examples(*((f"{n}", f"{n}") for n in range(6))), SINGLE, "LIMIT_EXCEEDED"),
    ],
)
def test_what_cannot_be_learned_is_refused(given_: list[Example], task: Task, reason: str) -> None:
    with pytest.raises(errors.Error) as caught:
        prepare(given_, Plain(), task, LIMITS)
    assert caught.value.reason == reason


def test_a_domain_may_refuse_an_example_and_no_text_is_quoted() -> None:
    with pytest.raises(errors.BadExamples, match=r"examples\[1\] is refused") as caught:
        prepare(examples(("fine", "x"), ("secret plan", "y")), Strict(), SINGLE, LIMITS)
    assert "plan" not in caught.value.message


def test_a_domain_that_quotes_no_texts_is_kept_to_it() -> None:
    class Slip(Plain):
        quote_texts = False

        def check(self, example: Example, task: Task) -> None:
            raise ValueError(f"I do not like {example.text!r}.")

    with pytest.raises(errors.BadExamples) as caught:
        prepare(examples(("a name", "x"), ("b", "y")), Slip(), SINGLE, LIMITS)
    assert "a name" not in caught.value.message
    assert "withheld" in caught.value.message


def test_a_row_is_known_by_its_text_and_labels() -> None:
    same = row_digest(Example("a", ("x", "y"))), row_digest(Example(" a ", ("y", "x")))
    assert same[0] == same[1] != row_digest(Example("a", ("x",)))
    assert prepare(examples(("a", "x"), ("b", "y")), Plain(), SINGLE, LIMITS).rows.dtype == np.uint64


TEA = "Mia drank tea in Oslo"


def faulty(row: Example, task: Task, good: list[Example]) -> tuple[str, list[int]]:
    """Why a bad row between good ones was left out, and where it stood; held to be refused in strict mode."""
    given_ = [good[0], row, *good[1:]]
    made = prepare(given_, Plain(), task, LIMITS)
    assert made.places.tolist() == [0, *range(2, len(given_))]
    with pytest.raises(errors.Invalid) as caught:
        prepare(given_, Plain(), task, LIMITS, strict=True)
    (told,) = json.loads(caught.value.metadata["problems"])
    (problem,) = made.problems
    assert (told["reason"], told["rows"], told["count"]) == (problem.reason, problem.rows, 1)
    assert made.dropped == {problem.reason: 1}
    return problem.reason, problem.rows


NUMBERS = [Example("warm", target=1.5), Example("cold", target=-2.0)]
TAGGED = [Example(TEA, spans=(Span(0, 3, "PERSON"),)), Example("nobody", spans=())]
ASKED = [Example(TEA, question="who?", spans=(Span(0, 3, ""),)), Example("no one", question="who?")]
LABELLED = examples(("a", "x"), ("b", "y"))
PAIRED = [Example("a", ("x",), "c"), Example("b", ("y",), "d")]


@pytest.mark.parametrize(
    ("row", "task", "good", "reason"),
    [
        (Example("   ", ("x",)), SINGLE, LABELLED, "empty_text"),
        (Example("c", ("x", "y")), SINGLE, LABELLED, "wrong_label_count"),
        (Example("c", ("awful",)), CLOSED, examples(("a", "good"), ("b", "bad")), "label_not_in_domain"),
        (Example("c", soft={"x": math.nan}), SINGLE, LABELLED, "bad_weights"),
        (Example("c", soft={"x": 0.0}), SINGLE, LABELLED, "bad_weights"),
        (Example("c", ("x",)), PAIR, PAIRED, "missing_pair"),
        (Example("c", target=math.nan), REGRESSION, NUMBERS, "target_not_finite"),
        (Example("c", target=-math.inf), REGRESSION, NUMBERS, "target_not_finite"),
        (Example("c"), REGRESSION, NUMBERS, "unlabelled"),
        (Example("c d", tags=("B-X",)), ENTITIES, TAGGED, "tags_do_not_fit"),
        (Example("c d", tags=("B-X", "I-Y")), ENTITIES, TAGGED, "tags_do_not_fit"),
        (Example("tea", spans=(Span(0, 4, "X"),)), ENTITIES, TAGGED, "span_outside_text"),
        (Example("tea", spans=(Span(2, 2, "X"),)), ENTITIES, TAGGED, "span_outside_text"),
        (Example("tea", spans=(Span(0, 3, ""),)), ENTITIES, TAGGED, "span_without_label"),
        (Example("a  b", spans=(Span(1, 3, "X"),)), ENTITIES, TAGGED, "span_blank"),
        (Example("tea", spans=(Span(0, 2, "X"), Span(1, 3, "Y"))), ENTITIES, TAGGED, "spans_overlap"),
        (Example("tea"), QUESTION_ANSWERING, ASKED, "empty_question"),
        (Example("tea", question="?", spans=(Span(0, 9, ""),)), QUESTION_ANSWERING, ASKED, "answer_outside_text"),
    ],
)
def test_a_bad_row_is_left_out_with_its_reason(row: Example, task: Task, good: list[Example], reason: str) -> None:
    assert faulty(row, task, good) == (reason, [1])


def test_an_id_counts_once() -> None:
    rows = [Example("a", ("x",), id="1"), Example("b", ("y",), id="1"), Example("c", ("y",), id="2")]
    made = prepare(rows, Plain(), SINGLE, LIMITS)
    assert (made.dropped, made.texts) == ({"duplicate_id": 1}, ["a", "c"])


def test_a_text_with_labels_that_contradict_each_other_is_told() -> None:
    rows = examples(("a", "x"), ("a", "y"), ("b", "x"), ("c", "y"), ("c", "y"))
    made = prepare(rows, Plain(), SINGLE, LIMITS)
    assert made.dropped == {"conflicting_duplicate": 2, "duplicate": 1}
    assert [one.rows for one in made.problems] == [[0, 1], [4]]
    with pytest.raises(errors.BadExamples):
        prepare(rows, Plain(), SINGLE, LIMITS, strict=True)
    assert prepare(rows[2:], Plain(), SINGLE, LIMITS, strict=True).dropped == {"duplicate": 1}


def test_only_the_first_rows_of_a_problem_are_named() -> None:
    made = prepare(examples(("a", "x"), ("b", "y"), *[("  ", "x")] * 30), Plain(), SINGLE, LIMITS)
    assert made.dropped == {"empty_text": 30}
    assert made.problems[0].rows == list(range(2, 22))


def test_numbers_become_float_targets_and_copies_their_mean() -> None:
    rows = [*NUMBERS, Example("warm", target=2.5), Example("cold ", target=-2.0)]
    made = prepare(rows, Plain(), REGRESSION, LIMITS)
    assert (made.targets.dtype, made.targets.tolist(), made.labels) == (np.float64, [2.0, -2.0], ())
    assert made.dropped == {"conflicting_duplicate": 1, "duplicate": 1}
    with pytest.raises(errors.TooFewLabels):
        prepare([Example("a", target=1.0), Example("b", target=1.0)], Plain(), REGRESSION, LIMITS)


def test_pairs_keep_both_texts_and_differ_by_the_second() -> None:
    rows = [Example("a", text_pair="b", target=1.0), Example("a", text_pair="c", target=2.0)]
    made = prepare(rows, Plain(), PAIR_REGRESSION, LIMITS)
    assert (list(made.texts), list(made.pairs)) == (["a", "a"], ["b", "c"])
    assert made.rows[0] != made.rows[1]


def test_tags_become_spans() -> None:
    rows = [Example(TEA, tags=("B-PERSON", "O", "O", "O", "B-PLACE")), Example("none here")]
    made = prepare(rows, Plain(), ENTITIES, LIMITS)
    assert made.spans == [(Span(0, 3, "PERSON"), Span(17, 21, "PLACE")), ()]
    assert (made.labels, made.label_counts) == (("PERSON", "PLACE"), {"PERSON": 1, "PLACE": 1})
    with pytest.raises(errors.TooFewLabels):
        prepare([Example("a"), Example("b")], Plain(), ENTITIES, LIMITS)


def test_questions_keep_their_answers_and_copies_all_of_them() -> None:
    rows = [*ASKED, Example(TEA, question="who?", spans=(Span(17, 21, ""),))]
    made = prepare(rows, Plain(), QUESTION_ANSWERING, LIMITS)
    assert made.questions == ["who?", "who?"]
    assert made.spans == [(Span(0, 3, ""), Span(17, 21, "")), ()]


def test_soft_labels_and_votes_become_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = ModuleType("candelabra.adapt.votes")
    votes.soften = lambda given_, labels: np.full((len(given_), len(labels)), 0.5)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "candelabra.adapt.votes", votes)
    import candelabra.adapt

    monkeypatch.setattr(candelabra.adapt, "votes", votes, raising=False)
    rows = [
        Example("a", ("x",)),
        Example("b", soft={"x": 1.0, "y": 3.0}),
        Example("c", votes=(("by word", "y"), ("by length", "x"))),
        Example("d"),
    ]
    made = prepare(rows, Plain(), SINGLE, LIMITS)
    assert made.weights is not None
    assert made.weights.tolist() == [[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]
    assert made.targets.tolist() == [0, 1, 0]
    assert made.unlabelled == ["d"]
    assert prepare(rows[:1] + examples(("z", "y")), Plain(), SINGLE, LIMITS).weights is None


def test_labels_can_be_told_in_words_and_are_enough_to_begin_with() -> None:
    words = {"late_fee": "money asked for paying late", "refund": ""}
    made = prepare([], Plain(), SINGLE, LIMITS, descriptions=words)
    assert (made.labels, list(made.texts)) == (("late_fee", "refund"), [])
    assert made.label_texts == ["money asked for paying late", "refund"]
    assert prepare(examples(("a", "refund")), Plain(), SINGLE, LIMITS, descriptions=words).targets.tolist() == [1]
    assert prepare(examples(("a", "my_x"), ("b", "y")), Plain(), SINGLE, LIMITS).label_texts == ["my x", "y"]


def test_validation_counts_what_training_does_not_know() -> None:
    made = prepare(examples(("a", "y"), ("b", "z")), Plain(), SINGLE, LIMITS, labels=("x", "y"))
    assert made.dropped == {"label_not_in_training": 1}
