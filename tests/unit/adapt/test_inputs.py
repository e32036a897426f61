"""Bodies meet training rows exactly as they meet requests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from candelabra.adapt.inputs import inputs_of, usual
from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.types import Reading, Slot

ONE, TWO, THREE = Slot(1, "mean"), Slot(2, "mean"), Slot(3, "mean")


@dataclass(frozen=True)
class Reads:
    """As much of a body as decides what it is given."""

    slots: tuple[Slot, ...] = ()
    layers: tuple[int, ...] = ()


def data(ids: bool = True) -> TrainingSet:
    features = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    states = TokenStates(
        values=np.arange(9 * 2 * 2, dtype=np.float16).reshape(9, 2, 2),
        layers=(1, 3),
        windows=np.array([[0, 0, 2, 0], [1, 2, 5, 2], [1, 5, 7, 1], [2, 7, 9, 0]]),
        offsets=np.arange(18, dtype=np.int32).reshape(9, 2),
        words=np.arange(9, dtype=np.int32),
        ids=np.arange(100, 109, dtype=np.int32) if ids else None,
    )
    return TrainingSet(
        texts=["one", "two", "three"],
        features=features,
        slots=(ONE, TWO),
        labels=("a", "b"),
        targets=np.array([0, 1, 0]),
        rows=np.arange(3, dtype=np.uint64),
        first=features + 100,
        second=features + 200,
        states=states,
    )


def test_slots_stand_in_the_order_of_the_body() -> None:
    found = inputs_of(data(), Reads((TWO, ONE)), np.array([2, 0]))  # type: ignore[arg-type]
    assert found is not None
    assert found.features.tolist() == [[10, 11, 8, 9], [2, 3, 0, 1]]
    assert found.texts == ["three", "one"]
    assert not found.states
    assert not found.windows


def test_two_single_texts_stand_side_by_side() -> None:
    found = inputs_of(data(), Reads((ONE,)), np.array([1]), Reading.SEPARATE)  # type: ignore[arg-type]
    assert found is not None
    assert found.features.tolist() == [[104, 105, 204, 205]]


def test_both_texts_of_a_pair_are_its_words() -> None:
    pairs = replace(data(), pairs=["uno", "due", "tre"])
    found = inputs_of(pairs, Reads(), np.array([1]), Reading.JOINT)  # type: ignore[arg-type]
    assert found is not None
    assert found.texts == ["two\ndue"]
    assert found.rows == 1


@pytest.mark.parametrize("ids", [True, False])
def test_token_states_come_with_where_their_tokens_stand(ids: bool) -> None:
    found = inputs_of(data(ids), Reads((), (3,)), np.array([1, 2]))  # type: ignore[arg-type]
    assert found is not None
    assert [len(row) for row in found.states] == [2, 1]
    assert found.states[0][1].tolist() == [[[22, 23]], [[26, 27]]]
    first, second = found.windows[0]
    assert (first.second, second.second) == (2, 1)
    assert first.ids.tolist() == ([102, 103, 104] if ids else [-1, -1, -1])
    assert first.offsets is not None
    assert first.words is not None
    assert first.offsets.tolist() == [[4, 5], [6, 7], [8, 9]]
    assert first.words.tolist() == [2, 3, 4]


def test_what_was_not_encoded_is_said() -> None:
    whole = data()
    assert inputs_of(whole, Reads((THREE,)), np.array([0])) is None  # type: ignore[arg-type]
    assert inputs_of(whole, Reads((), (2,)), np.array([0])) is None  # type: ignore[arg-type]
    assert inputs_of(replace(whole, states=None), Reads((), (1,)), np.array([0])) is None  # type: ignore[arg-type]
    alone = replace(whole, second=None)
    assert inputs_of(alone, Reads((ONE,)), np.array([0]), Reading.SEPARATE) is None  # type: ignore[arg-type]


def test_what_is_usual_is_told_by_the_last_mean_and_that_of_two_thirds_of_the_depth() -> None:
    random = np.random.default_rng(0)
    slots = (ONE, TWO, THREE, Slot(3, "cls"))
    rows = random.normal(size=(40, len(slots), 6)).astype(np.float32)
    many = replace(data(), features=rows, slots=slots)
    found = usual(many, 0)
    assert found is not None
    assert found.slots == (TWO, THREE)
    assert np.isfinite(found.measure(rows[:, [1, 2]])).all()
    assert usual(data(), 0) is None
    assert usual(replace(many, slots=()), 0) is None
    single = usual(replace(many, features=rows[:, 2:], slots=slots[2:]), 0)
    assert single is not None
    assert single.slots == (THREE,)
