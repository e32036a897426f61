"""A two-stage attention reader: what it computes, what it keeps, what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.layer_mix import LayerMix
from candelabra.types import Slot

LAYERS, HEADS, WIDTH, RANK, OUTPUTS = (0, 2, 3), 2, 8, 5, 3
SLOTS = (Slot(3, "mean"), Slot(2, "cls"))


def body(**changes: object) -> LayerMix:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    count = len(LAYERS)
    parts: dict[str, object] = {
        "layers": LAYERS,
        "slots": SLOTS,
        "queries": draw(count, HEADS, WIDTH),
        "centre": draw(count, WIDTH),
        "scale": draw(count, WIDTH) ** 2,
        "mix": draw(HEADS, WIDTH),
        "prior": draw(HEADS, count),
        "down": draw(HEADS * WIDTH, RANK),
        "up": draw(RANK, OUTPUTS),
        "weight": draw(len(SLOTS) * WIDTH, OUTPUTS),
        "bias": draw(OUTPUTS),
    }
    return LayerMix(**{**parts, **changes})  # type: ignore[arg-type]


def inputs(lengths: list[list[int]]) -> Inputs:
    random = np.random.default_rng(1)
    states = [[random.normal(size=(t, len(LAYERS), WIDTH)).astype(np.float32) for t in row] for row in lengths]
    features = random.normal(size=(len(lengths), len(SLOTS) * WIDTH)).astype(np.float32)
    return Inputs(features, states, [""] * len(lengths))


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


def test_it_is_attention_over_tokens_then_layers() -> None:
    one, given = body(), inputs([[4]])
    mixed = []
    for head in range(HEADS):
        pooled = []
        for layer in range(len(LAYERS)):
            x = given.states[0][0][:, layer]
            pooled.append((softmax(x @ one.queries[layer, head]) @ x - one.centre[layer]) * one.scale[layer])
        worth = one.prior[head] + np.stack(pooled) @ one.mix[head] / np.sqrt(WIDTH)
        mixed.append(softmax(worth) @ np.stack(pooled))
    kept = given.features.reshape(len(SLOTS), WIDTH)
    kept = (kept / np.linalg.norm(kept, axis=1, keepdims=True)).ravel()
    wanted = np.concatenate(mixed) @ one.down @ one.up + kept @ one.weight + one.bias
    np.testing.assert_allclose(one.logits(given)[0], wanted, rtol=1e-4, atol=1e-4)


def test_rows_do_not_touch_each_other_and_windows_are_one_bag() -> None:
    one, given = body(), inputs([[4], [7, 3], [1]])
    together = one.logits(given)
    for row in range(3):
        alone = one.logits(Inputs(given.features[row : row + 1], [given.states[row]], [""]))
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5, atol=1e-6)
    turned = one.logits(Inputs(given.features[1:2], [given.states[1][::-1]], [""]))
    np.testing.assert_allclose(turned[0], together[1], rtol=1e-4, atol=1e-5)
    assert one.logits(inputs([])).shape == (0, OUTPUTS)


def test_it_survives_the_file() -> None:
    one, given = body(), inputs([[4], [7, 3]])
    again = LayerMix.made(one.about(), one.tensors())
    assert again.layers == LAYERS
    assert again.slots == SLOTS
    assert again.outputs == OUTPUTS
    np.testing.assert_array_equal(again.logits(given), one.logits(given))
    assert np.allclose(again.shares().sum(axis=1), 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda a, t: t.update(up=t["up"][:-1]),
        lambda a, t: t.update(prior=t["prior"].T.copy()),
        lambda a, t: t.update(weight=t["weight"][:-1]),
        lambda a, t: t.update(bias=np.full_like(t["bias"], np.nan)),
        lambda a, t: t.update(queries=t["queries"][0]),
        lambda a, t: t.update(down=t["down"].astype(np.float64)),
        lambda a, t: t.pop("mix"),
        lambda a, t: a.update(layers=[0, 2]),
        lambda a, t: a.update(layers=[0, 2, 2]),
        lambda a, t: a.update(layers=[0, 2, -3]),
        lambda a, t: a.update(slots=[[3, "mean"], [3, "mean"]]),
    ],
)
def test_nonsense_is_refused(change: Callable[[dict[str, object], dict[str, np.ndarray]], object]) -> None:
    about, tensors = body().about(), body().tensors()
    change(about, tensors)
    with pytest.raises(CorruptHead):
        LayerMix.made(about, tensors)
