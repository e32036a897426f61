"""From examples to training material: duplicates, label spaces, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candelabra import errors
from candelabra.adapt.material import prepare, row_digest, without_duplicates
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.settings import Settings
from candelabra.types import Example, TaskKind

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
        (examples(("a", "x y"), ("b", "x")), SINGLE, "INVALID_ARGUMENT"),
        (examples(("a", ""), ("b", "x")), SINGLE, "INVALID_ARGUMENT"),
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
    with pytest.raises(errors.InvalidArgument, match=r"examples\[1\] is refused") as caught:
        prepare(examples(("fine", "x"), ("secret plan", "y")), Strict(), SINGLE, LIMITS)
    assert "plan" not in caught.value.message


def test_a_domain_that_quotes_no_texts_is_kept_to_it() -> None:
    class Slip(Plain):
        quote_texts = False

        def check(self, example: Example, task: Task) -> None:
            raise ValueError(f"I do not like {example.text!r}.")

    with pytest.raises(errors.InvalidArgument) as caught:
        prepare(examples(("a name", "x"), ("b", "y")), Slip(), SINGLE, LIMITS)
    assert "a name" not in caught.value.message
    assert "withheld" in caught.value.message


def test_a_row_is_known_by_its_text_and_labels() -> None:
    same = row_digest(Example("a", ("x", "y"))), row_digest(Example(" a ", ("y", "x")))
    assert same[0] == same[1] != row_digest(Example("a", ("x",)))
    assert prepare(examples(("a", "x"), ("b", "y")), Plain(), SINGLE, LIMITS).rows.dtype == np.uint64
