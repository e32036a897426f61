"""A hybrid head adds its two parts, in memory as in the file."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies import kinds
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.bodies.hybrid import Hybrid
from candelabra.heads.bodies.lexical import Lexical
from candelabra.heads.bodies.pair import Pair
from candelabra.heads.bodies.terms import learn
from candelabra.types import Reading, Slot

TEXTS = ["a red boat", "a red barn", "the boat sank", "the barn burned"]
SLOTS = (Slot(1, "mean"), Slot(2, "mean"))
RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(4, 8)).astype(np.float32)


def single(shape: tuple[int, ...]) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def body(pair: bool = False) -> Hybrid:
    terms, _ = learn(TEXTS)
    encoded: Dense | Pair = Dense(SLOTS, ((single((8, 2)), single((2,))),))
    if pair:
        encoded = Pair(SLOTS, 4, (("cosine", 0), ("cosine", 1)), single((2, 2)), single((2,)))
    return Hybrid(encoded, Lexical(terms, single((len(terms), 2)), single((2,))), single((2, 2)), single((2,)))


def test_logits_are_the_weighted_sum() -> None:
    made, inputs = body(), Inputs(FEATURES, (), TEXTS)
    wanted = made.shares[0] * made.encoded.logits(inputs) + made.shares[1] * made.lexical.logits(inputs) + made.bias
    np.testing.assert_allclose(made.logits(inputs), wanted, rtol=1e-5, atol=1e-6)
    assert made.slots == SLOTS


@pytest.mark.parametrize("pair", [False, True])
def test_the_file_holds_both_parts(pair: bool) -> None:
    made = body(pair)
    inputs = Inputs(np.concatenate([FEATURES, FEATURES[::-1]], axis=1) if pair else FEATURES, (), TEXTS)
    again = kinds.made("hybrid", made.about(), made.tensors())
    np.testing.assert_array_equal(again.logits(inputs), made.logits(inputs))


def test_how_a_pair_is_read_is_the_parts_affair() -> None:
    assert body(pair=True).reading is Reading.SEPARATE
    assert not hasattr(body(), "reading")


@pytest.mark.parametrize("name", ["hybrid.shares", "hybrid.bias"])
def test_shares_that_do_not_fit_are_refused(name: str) -> None:
    made = body()
    for bad in (made.tensors()[name][:1], made.tensors()[name] * np.nan, made.tensors()[name].astype(np.float16)):
        with pytest.raises(CorruptHead):
            Hybrid.made(made.about(), {**made.tensors(), name: bad})


def test_unknown_parts_and_tensors_are_refused() -> None:
    made = body()
    with pytest.raises(CorruptHead):
        Hybrid.made({**made.about(), "kind": "hybrid"}, made.tensors())
    with pytest.raises(CorruptHead):
        Hybrid.made(made.about(), {**made.tensors(), "stranger": made.bias})
    with pytest.raises(CorruptHead):
        Hybrid.made(made.about(), {k: v for k, v in made.tensors().items() if k != "encoded.layers.0.bias"})
