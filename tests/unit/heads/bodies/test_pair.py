"""A pair head compares two texts' vectors as it says, and refuses files that it could not serve truthfully."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies import kinds
from candelabra.heads.bodies.pair import PARTS, Pair, compared
from candelabra.types import Reading, Slot

SLOTS = (Slot(2, "mean"), Slot(6, "cls"))
D = 5


def features(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 4 * D)).astype(np.float32)


EVERY: tuple[tuple[str, int], ...] = tuple([(name, 1) for name in PARTS])


def head(parts: tuple[tuple[str, int], ...] = EVERY) -> Pair:
    random = np.random.default_rng(1)
    inputs = sum(1 if name == "cosine" else D for name, _ in parts)
    weights = random.normal(size=(inputs, 3)).astype(np.float32), random.normal(size=3).astype(np.float32)
    return Pair(SLOTS, D, parts, *weights)


def test_parts_are_what_their_names_say() -> None:
    x = features()
    u, v = x[:, D : 2 * D], x[:, 3 * D :]
    u, v = u / np.linalg.norm(u, axis=1, keepdims=True), v / np.linalg.norm(v, axis=1, keepdims=True)
    made = compared(x, 2, [(part, 1) for part in PARTS])
    expected = np.hstack([u, v, np.abs(u - v), u * v, (u * v).sum(axis=1, keepdims=True)])
    np.testing.assert_allclose(made, expected, atol=1e-6)
    assert made.dtype == np.float32


def test_logits_are_linear_in_the_parts_and_rows_do_not_touch() -> None:
    x, body = features(), head()
    z = body.logits(Inputs(x, (), ()))
    np.testing.assert_allclose(z, compared(x, 2, body.parts) @ body.weight + body.bias, atol=1e-6)
    np.testing.assert_allclose(body.logits(Inputs(x[2:3], (), ()))[0], z[2], atol=1e-5)
    assert (body.outputs, body.reading, body.layers) == (3, Reading.SEPARATE, ())


def test_comparisons_alone_do_not_care_which_text_is_first() -> None:
    x, body = features(), head((("difference", 0), ("product", 1), ("cosine", 0)))
    turned = np.hstack([x[:, 2 * D :], x[:, : 2 * D]])
    np.testing.assert_allclose(body.logits(Inputs(turned, (), ())), body.logits(Inputs(x, (), ())), atol=1e-6)


def test_it_comes_back_from_its_file() -> None:
    body = head()
    found = kinds.made("pair", body.about(), body.tensors())
    assert isinstance(found, Pair)
    np.testing.assert_array_equal(found.logits(Inputs(features(), (), ())), body.logits(Inputs(features(), (), ())))


@pytest.mark.parametrize(
    "about",
    [
        {"dimension": 0},
        {"dimension": True},
        {"dimension": 6},
        {"dimension": "5"},
        {"parts": [["cosine", 2]]},
        {"parts": [["sum", 0]]},
        {"parts": [["cosine", True]]},
        {"parts": []},
        {"parts": [["cosine"]]},
        {"parts": None},
        {"slots": []},
        {"slots": [[2, "mean"], [2, "mean"]]},
        {"slots": [[2, "mean"], [6, "max"]]},
    ],
)
def test_nonsense_in_a_file_is_refused(about: dict[str, object]) -> None:
    body = head()
    with pytest.raises(CorruptHead):
        Pair.made({**body.about(), **about}, body.tensors())


@pytest.mark.parametrize("harm", ["nan", "missing", "more", "wide", "double", "bias"])
def test_tensors_that_do_not_fit_are_refused(harm: str) -> None:
    body = head()
    tensors = {name: array.copy() for name, array in body.tensors().items()}
    if harm == "nan":
        tensors["weight"][0, 0] = np.nan
    elif harm == "missing":
        del tensors["bias"]
    elif harm == "more":
        tensors["x"] = tensors["bias"]
    elif harm == "wide":
        tensors["weight"] = np.vstack([tensors["weight"], tensors["weight"]])
    elif harm == "double":
        tensors["weight"] = tensors["weight"].astype(np.float64)
    else:
        tensors["bias"] = tensors["bias"][:2]
    with pytest.raises(CorruptHead):
        Pair.made(body.about(), tensors)
    with pytest.raises(CorruptHead):
        Pair.made({}, body.tensors())
