"""Own upper layers: the same as the encoder's until tuned, the same from the file, and never nonsense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.top_k import TopK
from candelabra.heads.bodies.transformer_layer import Layers, Shape, run

WIDTH, INNER, OUTPUTS = 8, 12, 3


def body(count: int = 2, near: bool = True) -> TopK:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random) * 0.5

    shapes = {
        "qkv": (3 * WIDTH, WIDTH),
        "out": (WIDTH, WIDTH),
        "norm": (WIDTH,),
        "up": (INNER, WIDTH),
        "down": (WIDTH, INNER),
        "last_norm": (WIDTH,),
    }
    weights = tuple(
        {f"{name}.weight": draw(*shape) for name, shape in shapes.items()}
        | {f"{name}.bias": draw(shape[0]) for name, shape in shapes.items()}
        for _ in range(count)
    )
    layers = Layers(Shape(2, 1e-12), weights, draw(32, 2) if near else None)
    return TopK(4, layers, draw(WIDTH, OUTPUTS).numpy(), draw(OUTPUTS).numpy())


def inputs(lengths: list[list[int]]) -> Inputs:
    random = np.random.default_rng(1)
    states = [[random.normal(size=(t, 1, WIDTH)).astype(np.float32) for t in row] for row in lengths]
    return Inputs(np.zeros((len(lengths), 0), np.float32), states, [""] * len(lengths))


def test_each_window_counts_by_its_tokens() -> None:
    one, given = body(), inputs([[5, 2]])
    with torch.inference_mode():
        parts = [run(torch.from_numpy(state[:, 0])[None], None, one.upper)[0].numpy() for state in given.states[0]]
    wanted = np.concatenate(parts).mean(axis=0) @ one.weight + one.bias
    np.testing.assert_allclose(one.logits(given)[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("near", [False, True])
def test_rows_do_not_touch_each_other(near: bool) -> None:
    one, given = body(near=near), inputs([[5], [2, 9], [400], [3], [700, 1]])
    together = one.logits(given)
    assert together.shape == (5, OUTPUTS)
    for row, state in enumerate(given.states):
        alone = one.logits(Inputs(given.features[:1], [state], [""]))
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("near", [False, True])
def test_it_survives_the_file_bit_by_bit(near: bool) -> None:
    one, given = body(near=near), inputs([[5], [2, 9]])
    tensors = one.tensors()
    again = TopK.made(one.about(), tensors)
    np.testing.assert_array_equal(again.logits(given), one.logits(given))
    assert (again.layers, again.slots, again.outputs) == ((4,), (), OUTPUTS)
    assert {one.dtype for name, one in tensors.items() if name.startswith("layer.")} == {np.dtype(np.float16)}


@pytest.mark.parametrize(
    "change",
    [
        lambda a, t: t.update({"layer.0.up.weight": t["layer.0.up.weight"][:-1]}),
        lambda a, t: t.update({"layer.1.norm.bias": np.full(WIDTH, np.inf, np.float16)}),
        lambda a, t: t.update(weight=t["weight"][:-1]),
        lambda a, t: t.update(weight=np.full_like(t["weight"], np.nan)),
        lambda a, t: t.update(near=t["near"][:5]),
        lambda a, t: t.pop("layer.1.qkv.bias"),
        lambda a, t: a.update(count=1),
        lambda a, t: a.update(count="2"),
        lambda a, t: a.update(heads=3),
        lambda a, t: a.update(layer=-1),
        lambda a, t: a.update(layer=True),
        lambda a, t: a.update(epsilon=0.0),
        lambda a, t: a.update(near=False),
        lambda a, t: a.pop("heads"),
    ],
)
def test_nonsense_is_refused(change: Callable[[dict[str, object], dict[str, np.ndarray]], object]) -> None:
    about, tensors = body().about(), body().tensors()
    change(about, tensors)
    with pytest.raises(CorruptHead):
        TopK.made(about, tensors)
