"""A lexical head says what its linear model says, lies in a file whole, and refuses what could not be served."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.lexical import Lexical
from candelabra.heads.bodies.terms import learn

TEXTS = ["the kettle sings", "the kettle is cold", "a cold morning", "a morning of songs", "kettle and morning"] * 20
NOTHING = np.zeros((0, 0), np.float32)


def body(outputs: int = 3, seed: int = 0) -> Lexical:
    terms, _ = learn(TEXTS)
    random = np.random.default_rng(seed)
    return Lexical(terms, random.normal(size=(len(terms), outputs)), random.normal(size=outputs))


def test_logits_are_those_of_the_linear_model() -> None:
    made = body()
    texts = [*TEXTS, "", "unheard", "a kettle of cold songs, morning!"]
    wanted = made.terms.matrix(texts) @ made.weight.astype(np.float64) + made.bias
    np.testing.assert_allclose(made.logits(Inputs(NOTHING, (), texts)), wanted, atol=1e-3)
    np.testing.assert_array_equal(made.of(["unheard"])[0], made.bias)
    assert made.of([]).shape == (0, 3)


def test_rows_do_not_touch_each_other() -> None:
    made = body()
    together = made.of(TEXTS[:70])
    np.testing.assert_array_equal(together, np.concatenate([made.of([text]) for text in TEXTS[:70]]))


def test_the_file_holds_everything() -> None:
    made = body()
    again = Lexical.made(made.about(), made.tensors())
    np.testing.assert_array_equal(again.of(TEXTS), made.of(TEXTS))
    assert again.outputs == 3
    assert made.tensors()["terms"].dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("terms", lambda one: one[:-4]),
        ("terms", lambda one: np.concatenate([one, np.array([0xFF], np.uint8)])),
        ("terms", lambda one: np.where(one == ord(" "), np.uint8(ord("\n")), one)[:-1]),
        ("idf", lambda one: one[1:]),
        ("idf", lambda one: -one),
        ("idf", lambda one: one.astype(np.float64)),
        ("weight", lambda one: one[1:]),
        ("weight", lambda one: np.full_like(one, np.nan)),
        ("bias", lambda one: np.append(one, one)),
        ("bias", lambda one: one * np.inf),
    ],
)
def test_a_damaged_file_is_refused(name: str, harm: Any) -> None:
    made = body()
    tensors = {**made.tensors()}
    tensors[name] = harm(tensors[name])
    with pytest.raises(CorruptHead):
        Lexical.made(made.about(), tensors)


@pytest.mark.parametrize(
    "about", [{"words": -1, "characters": 2}, {"words": 1.0, "characters": 2}, {"words": 2, "characters": 2}]
)
def test_a_wrong_count_of_terms_is_refused(about: dict[str, object]) -> None:
    with pytest.raises(CorruptHead):
        Lexical.made(about, body().tensors())


def test_a_tensor_too_much_is_refused() -> None:
    made = body()
    with pytest.raises(CorruptHead):
        Lexical.made(made.about(), {**made.tensors(), "more": made.bias})


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        body().weight[0, 0] = 1
