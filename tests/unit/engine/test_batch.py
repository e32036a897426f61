"""One batch: every text encoded once, every head run once on its own rows, and trouble kept where it is."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.engine.batch import answer, combine, encode
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.row import Row
from candelabra.errors import EngineFailed, HeadUnsound
from candelabra.metrics import Metrics
from candelabra.testing import TinyEncoder
from candelabra.types import Slot

MEAN, CLS = Slot(1, "mean"), Slot(2, "cls")


class Sums:
    """A head that gives the sum of each text's features, and remembers how often it ran."""

    def __init__(self, *slots: Slot) -> None:
        self.slots = slots
        self.runs: list[int] = []

    def scores(self, features: np.ndarray) -> np.ndarray:
        self.runs.append(len(features))
        return np.stack([features.sum(axis=1), -features.sum(axis=1)], axis=1)


class Odd(Sums):
    """One that cannot bear texts whose features sum to more than nothing."""

    def scores(self, features: np.ndarray) -> np.ndarray:
        if (features.sum(axis=1) > 0).any():
            raise FloatingPointError("too much")
        return super().scores(features)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def cache(size: int = 10**6) -> FeatureCache:
    return FeatureCache(size, Metrics())


def alone(row: Row, slot: Slot) -> np.ndarray:
    return TinyEncoder().encode(row.windows, [slot])[0, 0]


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
