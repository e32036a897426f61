"""One batch: every text encoded once, every head run once on its own rows, and trouble kept where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from candelabra.engine.batch import answer, combine, encode
from candelabra.engine.feature_cache import FeatureCache, cache_key
from candelabra.engine.row import Inputs, Row, Scores
from candelabra.engine.window import Window
from candelabra.errors import EngineFailed, HeadUnsound
from candelabra.metrics import Metrics
from candelabra.testing import TinyEncoder
from candelabra.types import Slot

MEAN, CLS = Slot(1, "mean"), Slot(2, "cls")


class Sums:
    """A head that gives the sum of each text's features, and remembers how often it ran."""

    layers: tuple[int, ...] = ()

    def __init__(self, *slots: Slot) -> None:
        self.slots = slots
        self.runs: list[int] = []

    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        self.runs.append(inputs.rows)
        return np.stack([inputs.features.sum(axis=1), -inputs.features.sum(axis=1)], axis=1)


class Odd(Sums):
    """One that cannot bear texts whose features sum to more than nothing."""

    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        if (inputs.features.sum(axis=1) > 0).any():
            raise FloatingPointError("too much")
        return super().scores(inputs)


class Echo:
    """A head that gives the states of its layers back, one number a layer and token."""

    slots: tuple[Slot, ...] = ()

    def __init__(self, *layers: int, bad: str = "") -> None:
        self.layers = layers
        self.bad = bad

    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        for text, windows, states in zip(inputs.texts, inputs.windows, inputs.states, strict=True):
            assert [len(one) for one in windows] == [len(one) for one in states]
            if self.bad and text == self.bad:
                raise ValueError("this very text")
        return [tuple(one.sum(axis=2) for one in states) for states in inputs.states]


def ids(*numbers: int, second: int = 0) -> Window:
    return Window(np.array(numbers, np.int32), second)


def states_of(window: Window, *layers: int) -> np.ndarray:
    return TinyEncoder().encode([window], [], layers, [0]).states[0].sum(axis=2)


def cache(size: int = 10**6) -> FeatureCache:
    return FeatureCache(size, Metrics())


def alone(row: Row, slot: Slot) -> np.ndarray:
    return TinyEncoder().encode(row.windows, [slot]).pooled[0, 0]


def test_equal_texts_are_encoded_once_and_each_row_gets_its_own_slots() -> None:
    encoder, head = TinyEncoder(), Sums(CLS, MEAN)
    rows = [
        Row((ids(1, 5, 2),), (head,), cache_key=b"one"),
        Row((ids(1, 9, 8, 2),), slots=(MEAN,), cache_key=b"two"),
        Row((ids(1, 5, 2),), (head,), (CLS,), cache_key=b"one"),
    ]
    features, work = encode(rows, encoder, cache(), 1000, 10)
    assert answer(rows, features) == {}
    assert sorted(length for call in encoder.calls for length in call) == [3, 4]
    assert work.tokens == 7
    assert head.runs == [2]
    wanted = alone(rows[0], CLS).sum() + alone(rows[0], MEAN).sum()
    for row in (rows[0], rows[2]):
        assert row.scores[0] == pytest.approx([wanted, -wanted], abs=1e-4)
    assert rows[0].features is None
    assert rows[1].features is not None
    assert rows[2].features is not None
    assert np.allclose(rows[1].features[0], alone(rows[1], MEAN))
    assert np.allclose(rows[2].features[0], alone(rows[2], CLS))


def test_known_texts_are_not_encoded_unless_a_slot_is_missing() -> None:
    encoder, known = TinyEncoder(), cache()

    def ask(*slots: Slot) -> Row:
        row = Row((ids(1, 5, 2),), slots=slots, cache_key=b"one")
        features, _ = encode([row], encoder, known, 1000, 10)
        answer([row], features)
        return row

    first = ask(MEAN).features
    assert len(encoder.calls) == 1
    assert np.array_equal(ask(MEAN).features, first)  # type: ignore[arg-type]
    assert len(encoder.calls) == 1
    assert np.allclose(ask(MEAN, CLS).features[1], alone(Row((ids(1, 5, 2),)), CLS))  # type: ignore[index]
    assert len(encoder.calls) == 2


def test_windows_are_weighed_by_their_tokens_and_cls_counts_each_once() -> None:
    pooled = np.array([[[1.0], [1.0]], [[5.0], [5.0]]], np.float32)  # [windows, slots, dimension]
    found = combine(pooled, [ids(1, 2, 3), ids(4)], [MEAN, CLS])
    assert found[:, 0].tolist() == [2.0, 3.0]
    assert combine(pooled[:1], [ids(1)], [MEAN, CLS])[:, 0].tolist() == [1.0, 1.0]


def test_a_head_that_fails_on_one_text_spoils_no_other() -> None:
    encoder = TinyEncoder()
    odd, sound = Odd(MEAN), Sums(MEAN)
    rows = [Row((ids(1, number, 2),), (odd, sound), cache_key=bytes([number])) for number in range(10, 30)]
    features, _ = encode(rows, encoder, cache(), 1000, 10)
    failures = answer(rows, features)
    too_much = {at for at, row in enumerate(rows) if alone(row, MEAN).sum() > 0}
    assert 0 < len(too_much) < len(rows)
    assert set(failures) == too_much
    assert all(isinstance(failure, HeadUnsound) for failure in failures.values())
    for at, row in enumerate(rows):
        total = alone(row, MEAN).sum()
        assert row.scores[1] == pytest.approx([total, -total], abs=1e-4)
        assert at in too_much or row.scores[0][0] == pytest.approx(total, abs=1e-4)


def test_numbers_that_are_not_finite_are_told_and_not_remembered() -> None:
    encoder, known = TinyEncoder(), cache()
    encoder._table[:, 7] = np.nan
    rows = [Row((ids(1, 7),), slots=(MEAN,), cache_key=b"bad"), Row((ids(1, 8),), slots=(MEAN,), cache_key=b"good")]
    features, _ = encode(rows, encoder, known, 1000, 10)
    failures = answer(rows, features)
    assert {at: type(failure) for at, failure in failures.items()} == {0: EngineFailed}
    assert known.get(b"bad", {MEAN}) is None
    assert known.get(b"good", {MEAN}) is not None


def test_other_work_may_come_between_two_passes() -> None:
    between: list[int] = []
    encoder = TinyEncoder()
    rows = [Row((ids(*[1] * 10),), slots=(MEAN,), cache_key=bytes([at])) for at in range(6)]
    encode(rows, encoder, cache(0), 20, 10, lambda: between.append(len(encoder.calls)))
    assert len(encoder.calls) == 3
    assert {1, 2} <= set(between)
    assert 0 not in between


def test_token_states_come_from_the_pass_that_gives_the_pooled_vectors() -> None:
    encoder, sums = TinyEncoder(), Sums(MEAN)
    text, other = ids(1, 5, 9, 2), ids(1, 8, 2)
    rows = [
        Row((text,), (Echo(2, 0), sums), cache_key=b"one"),
        Row((other,), (sums,), cache_key=b"two"),
        Row((text,), (Echo(1),), layers=(2,), cache_key=b"one"),
    ]
    features, _ = encode(rows, encoder, cache(), 1000, 100)
    assert answer(rows, features) == {}
    assert encoder.calls == [[3, 4]]
    assert np.allclose(rows[0].scores[0][0], states_of(text, 2, 0))
    assert np.allclose(rows[2].scores[0][0], states_of(text, 1))
    assert np.allclose(rows[2].states[0].sum(axis=2), states_of(text, 2))
    assert rows[0].scores[1][0] == pytest.approx(alone(rows[0], MEAN).sum(), abs=1e-4)
    assert rows[1].states == ()
    assert sorted(features.states) == [0]  # nobody reads those of the other text


def test_states_are_one_array_a_window_and_pooled_vectors_one_a_text() -> None:
    encoder = TinyEncoder(pass_tokens=6)
    windows = (ids(1, 5, 6, 7, 2), ids(1, 7, 8, 2), ids(1, 8, 9, 9, 9, 2))
    row = Row(windows, (Echo(1, 2),), (MEAN, CLS), (0,), text="long")
    features, work = encode([row, Row((ids(4, 4),), slots=(MEAN,))], encoder, cache(), 1000, 10)
    assert answer([row], features) == {}
    assert len(encoder.calls) > 1
    assert work.tokens == 17
    for window, scores, states in zip(windows, row.scores[0], row.states, strict=True):
        assert np.allclose(scores, states_of(window, 1, 2))
        assert np.allclose(states.sum(axis=2), states_of(window, 0))
    pooled = TinyEncoder().encode(windows, [MEAN, CLS]).pooled
    assert row.features is not None
    assert np.allclose(row.features, combine(pooled, windows, [MEAN, CLS]))


def test_a_text_of_which_states_are_read_is_encoded_though_it_is_known_and_is_remembered() -> None:
    encoder, known = TinyEncoder(), cache()

    def ask(*layers: int) -> Row:
        row = Row((ids(1, 5, 2),), slots=(MEAN,), layers=layers, cache_key=b"one")
        features, _ = encode([row], encoder, known, 1000, 10)
        assert answer([row], features) == {}
        return row

    first = ask(1)
    assert len(ask(2).states) == 1
    assert len(encoder.calls) == 2
    assert np.array_equal(ask().features, first.features)  # type: ignore[arg-type]
    assert len(encoder.calls) == 2


def test_a_head_that_reads_neither_needs_no_pass() -> None:
    class Length(Sums):
        def scores(self, inputs: Inputs) -> Sequence[Scores]:
            return np.array([[float(len(text))] for text in inputs.texts])

    encoder, known = TinyEncoder(), cache()
    rows = [Row((ids(1, 5, 2),), (Length(),), text="barn", cache_key=b"one")]
    features, work = encode(rows, encoder, known, 1000, 10)
    assert answer(rows, features) == {}
    assert (encoder.calls, work.tokens, len(known)) == ([], 0, 0)
    assert rows[0].scores[0].tolist() == [4.0]  # type: ignore[union-attr]


def test_a_reader_of_states_that_fails_on_one_text_spoils_no_other() -> None:
    encoder = TinyEncoder()
    encoder._table[1, 7] = np.inf
    echo = Echo(1, bad="bad")
    texts = {"bad": ids(1, 5, 2), "good": ids(1, 6, 2), "not finite": ids(1, 7, 2), "another": ids(1, 8, 2)}
    rows = [Row((window,), (echo, Sums(CLS)), text=text, cache_key=text.encode()) for text, window in texts.items()]
    features, _ = encode(rows, encoder, cache(), 1000, 10)
    assert {at: type(failure) for at, failure in answer(rows, features).items()} == {0: HeadUnsound, 2: HeadUnsound}
    assert np.allclose(rows[1].scores[0][0], states_of(texts["good"], 1))
    assert np.allclose(rows[3].scores[0][0], states_of(texts["another"], 1))
    own = Row((ids(1, 7, 2),), layers=(1,))
    features, _ = encode([own], encoder, cache(), 1000, 10)
    assert {type(failure) for failure in answer([own], features).values()} == {EngineFailed}


def test_a_pair_and_a_text_of_the_same_tokens_are_two() -> None:
    encoder = TinyEncoder()
    pair, text = ids(1, 5, 2, 5, 2, second=3), ids(1, 5, 2, 5, 2)
    rows = [Row((one,), slots=(MEAN,), cache_key=cache_key("acme", (one,))) for one in (pair, text)]
    features, _ = encode(rows, encoder, cache(), 1000, 10)
    assert answer(rows, features) == {}
    assert encoder.calls == [[5, 5]]
    assert not np.allclose(rows[0].features, rows[1].features)  # type: ignore[arg-type]
