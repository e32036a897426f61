"""An attentive reader learns what means do not show, repeats itself, and says what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from token_rows import SLOTS, rows

from candelabra.adapt.methods import layer_mix
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.layer_mix import LayerMix
from candelabra.types import BackboneInfo, Method, Progress, TaskKind

QUICK: Mapping[str, object] = {"epochs": 8, "learning_rate": 1e-2, "rank": 8, "batch": 8}


def spec(kind: TaskKind, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind,
        method=Method.LAYER_MIX,
        metric="accuracy",
        backbone="tiny",
        domain="general",
        task="any",
        options={**QUICK, **options},
    )


def inputs(data: TrainingSet) -> Inputs:
    assert data.states is not None
    values = data.states.values
    given = [[values[a:b].astype(np.float32) for a, b, _ in data.states.of(row)] for row in range(len(data.targets))]
    return Inputs(data.features.reshape(len(given), -1), given, [""] * len(given))


@pytest.mark.parametrize("windows", [1, 2])
def test_labels_are_learned_from_tokens(windows: int) -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=100, windows=windows)
    told: list[Progress] = []
    found = layer_mix.fit(data, spec(TaskKind.SINGLE_LABEL), told.append)
    assert (found.logits.argmax(axis=1) == data.targets[found.rows]).mean() > 0.8
    fresh = rows(TaskKind.SINGLE_LABEL, count=100, windows=windows, seed=5)
    assert (np.asarray(found.body.logits(inputs(fresh))).argmax(axis=1) == fresh.targets).mean() > 0.8
    assert told[-1].step == told[-1].total
    assert "held_out_loss" in told[0].metrics


def test_numbers_and_several_labels() -> None:
    numbers = rows(TaskKind.REGRESSION, count=100)
    found = layer_mix.fit(numbers, spec(TaskKind.REGRESSION), lambda _: None)
    assert np.abs(found.logits[:, 0] - numbers.targets[found.rows]).mean() < 7.0  # 10 is what the mean alone has
    several = rows(TaskKind.MULTI_LABEL, count=100)
    found = layer_mix.fit(several, spec(TaskKind.MULTI_LABEL), lambda _: None)
    assert ((found.logits > 0) == (several.targets[found.rows] > 0)).mean() > 0.8


def test_training_and_serving_compute_the_same() -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=30, windows=2)
    assert data.states is not None
    options = layer_mix.Options.parse({"rank": 4, "queries": 2})
    task = layer_mix.Task.of(data, data.states, spec(TaskKind.SINGLE_LABEL), options)
    reader = task.start(np.arange(30))
    for weight in reader.weights.values():
        weight.add_(torch.randn(weight.shape) * 0.1)
    reader.offset = torch.from_numpy(task.kept @ reader.ridge.weight + reader.ridge.bias)
    served = task.body(reader).logits(inputs(data))
    np.testing.assert_allclose(task.outputs(reader, np.arange(30)), served, rtol=1e-3, atol=1e-3)


def test_the_seed_decides_everything() -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=30)
    state = torch.random.get_rng_state()
    one, same = (layer_mix.fit(data, spec(TaskKind.SINGLE_LABEL, epochs=2), lambda _: None) for _ in range(2))
    np.testing.assert_array_equal(one.logits, same.logits)
    body = one.body
    assert isinstance(body, LayerMix)
    np.testing.assert_array_equal(body.queries, same.body.tensors()["queries"])
    assert torch.equal(state, torch.random.get_rng_state())


def test_what_it_cannot_do_is_said() -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=10)
    with pytest.raises(InvalidArgument, match="token states"):
        layer_mix.fit(replace(data, states=None), spec(TaskKind.SINGLE_LABEL), lambda _: None)
    with pytest.raises(InvalidArgument, match="answer"):
        layer_mix.check({}, SLOTS, TaskKind.ANSWER)
    for options in ({"heads": 2}, {"queries": 0}, {"rank": "8"}, {"learning_rate": -1.0}, {"epochs": True}):
        with pytest.raises(InvalidArgument):
            layer_mix.check(options, SLOTS, TaskKind.SINGLE_LABEL)


def test_all_layers_are_wanted() -> None:
    info = BackboneInfo("tiny", "print", 3, 24, 64, "cpu", "fp32", "torch")
    assert layer_mix.wanted_layers(info, {}) == (0, 1, 2, 3)
