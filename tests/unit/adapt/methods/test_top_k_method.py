"""Upper layers are tuned from cached states: they learn, repeat, say how far they are, and refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from token_rows import SLOTS, rows
from transformers import BertConfig, BertModel

from candelabra.adapt.methods import top_k
from candelabra.adapt.methods.objective import Objective
from candelabra.adapt.training import TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.top_k import TopK
from candelabra.types import BackboneInfo, Method, Progress, TaskKind

INFO = BackboneInfo("tiny", "print", 3, 24, 64, "cpu", "fp32", "torch")
QUICK: Mapping[str, object] = {"k": 1, "epochs": 6, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone")
    config = BertConfig(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48, vocab_size=30)
    BertModel(config).save_pretrained(path)
    return path


def spec(folder: Path, kind: TaskKind, options: Mapping[str, object], seconds: float = 1e6) -> TrainSpec:
    return TrainSpec(
        task_kind=kind,
        method=Method.TOP_K,
        metric="accuracy",
        backbone="tiny",
        domain="general",
        task="any",
        backbone_path=str(folder),
        options=options,
        budget_seconds=seconds,
    )


def inputs(data: object, layer: int) -> Inputs:
    states = data.states  # type: ignore[attr-defined]
    at = states.layers.index(layer)
    count = len(data.targets)  # type: ignore[attr-defined]
    given = [[states.values[a:b, at : at + 1].astype(np.float32) for a, b, _ in states.of(row)] for row in range(count)]
    return Inputs(np.zeros((count, 0), np.float32), given, [""] * count)


@pytest.mark.parametrize("windows", [1, 2])
def test_labels_are_learned_and_scored_on_rows_held_out(folder: Path, windows: int) -> None:
    data = rows(TaskKind.SINGLE_LABEL, layers=(1, 2), windows=windows)
    told: list[Progress] = []
    found = top_k.fit(data, spec(folder, TaskKind.SINGLE_LABEL, QUICK), told.append)
    assert len(found.rows) == 12
    assert (found.logits.argmax(axis=1) == data.targets[found.rows]).mean() > 0.8
    fresh = rows(TaskKind.SINGLE_LABEL, layers=(1, 2), windows=windows, seed=9)
    assert (np.asarray(found.body.logits(inputs(fresh, 2))).argmax(axis=1) == fresh.targets).mean() > 0.8
    assert told[-1].step == told[-1].total
    assert told[-1].seconds_left == 0
    assert "held_out_loss" in told[0].metrics
    assert found.chosen["k"] == "1"


def test_the_body_equals_what_was_trained(folder: Path) -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=40, layers=(2,))
    found = top_k.fit(data, spec(folder, TaskKind.SINGLE_LABEL, {**QUICK, "epochs": 2}), lambda _: None)
    body = found.body
    assert isinstance(body, TopK)
    again = TopK.made(body.about(), body.tensors())
    np.testing.assert_array_equal(again.logits(inputs(data, 2)), body.logits(inputs(data, 2)))


def test_numbers_come_in_units_of_the_target(folder: Path) -> None:
    data = rows(TaskKind.REGRESSION, layers=(1, 2))
    found = top_k.fit(data, spec(folder, TaskKind.REGRESSION, QUICK), lambda _: None)
    error = np.abs(found.logits[:, 0] - data.targets[found.rows]).mean()
    assert error < 6.0  # 10 is what the mean alone has


def test_several_labels(folder: Path) -> None:
    data = rows(TaskKind.MULTI_LABEL, layers=(1, 2))
    found = top_k.fit(data, spec(folder, TaskKind.MULTI_LABEL, QUICK), lambda _: None)
    assert ((found.logits > 0) == (data.targets[found.rows] > 0)).mean() > 0.8


def test_the_seed_decides_everything(folder: Path) -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=40, layers=(1, 2))
    ask = spec(folder, TaskKind.SINGLE_LABEL, {**QUICK, "epochs": 2})
    state = torch.random.get_rng_state()
    one, same = (top_k.fit(data, ask, lambda _: None) for _ in range(2))
    other = top_k.fit(data, replace(ask, seed=1), lambda _: None)
    np.testing.assert_array_equal(one.logits, same.logits)
    assert not np.array_equal(one.body.tensors()["layer.0.up.weight"], other.body.tensors()["layer.0.up.weight"])
    assert torch.equal(state, torch.random.get_rng_state())


def test_soft_labels_are_learned_from(folder: Path) -> None:
    data = rows(TaskKind.SINGLE_LABEL, layers=(2,))
    turned = np.eye(2)[1 - data.targets] * 0.9 + 0.05  # against the targets, so that only the shares can tell
    found = top_k.fit(replace(data, weights=turned), spec(folder, TaskKind.SINGLE_LABEL, QUICK), lambda _: None)
    assert (found.logits.argmax(axis=1) != data.targets[found.rows]).mean() > 0.8


def test_one_training_may_do_for_scores_and_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k, "ONCE_ROWS", 20)
    data = rows(TaskKind.SINGLE_LABEL, layers=(1, 2))
    told: list[Progress] = []
    found = top_k.fit(data, spec(folder, TaskKind.SINGLE_LABEL, QUICK, seconds=1e-9), told.append)
    count = len(data.targets)
    assert found.chosen["rows_learned"] == str(count - len(found.rows))
    assert len(found.rows) == pytest.approx(count / 5, abs=2)
    assert (found.logits.argmax(axis=1) == data.targets[found.rows]).mean() > 0.8
    assert told[-1].step == told[-1].total


@pytest.mark.parametrize(
    ("rows_", "seconds", "options", "plan"),
    [
        (100, 520.0, {}, (3, 1, False)),
        (100, 500.0, {}, (2, 1, False)),
        (5000, 500.0, {}, (3, 1, True)),
        (5000, 200.0, {}, (2, 1, True)),
        (100, 1.0, {"k": 2}, (2, 1, False)),
        (5000, 1.0, {"k": 2}, (2, 1, True)),
    ],
)
def test_the_most_that_the_budget_allows_is_tuned(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows_: int,
    seconds: float,
    options: Mapping[str, object],
    plan: tuple[int, int, bool],
) -> None:
    trainer = _trainer(folder, monkeypatch, rows_, options)
    assert trainer.choose(1, seconds) == top_k.Plan(*plan)


def test_fewer_epochs_are_the_last_resort_and_one_is_too_few(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = _trainer(folder, monkeypatch, 100, {})
    assert trainer.choose(8, 172 * 3 + 10.0) == top_k.Plan(1, 3, False)
    with pytest.raises(InvalidArgument, match="344 s") as caught:
        trainer.choose(8, 200.0)
    assert caught.value.metadata["field"] == "budget_seconds"


def _trainer(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int, options: Mapping[str, object]) -> top_k.Trainer:
    """A trainer to which one epoch of one layer takes 100 s."""
    data = rows(TaskKind.SINGLE_LABEL, count=20, layers=(0, 1, 2))
    assert data.states is not None
    made = top_k.Trainer(
        Objective.of(data, TaskKind.SINGLE_LABEL), data.states, folder, top_k.Options.parse(options), 0
    )
    made.lengths = np.full(count, 100.0 / count)
    monkeypatch.setattr(top_k.Trainer, "_seconds_a_token", lambda self, k: float(k))
    return made


def test_layers_that_are_wanted() -> None:
    assert top_k.wanted_layers(INFO, {}) == (0, 1, 2)
    assert top_k.wanted_layers(INFO, {"k": 2}) == (1,)
    assert top_k.wanted_layers(replace(INFO, layers=12), {}) == (9, 10, 11)
    with pytest.raises(InvalidArgument, match="3 layers"):
        top_k.wanted_layers(INFO, {"k": 4})


@pytest.mark.parametrize(
    "options",
    [{"depth": 1}, {"k": 0}, {"k": True}, {"k": 1.5}, {"epochs": 0}, {"learning_rate": 0}, {"learning_rate": "x"}],
)
def test_odd_options_are_refused(options: Mapping[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        top_k.check(options, SLOTS, TaskKind.SINGLE_LABEL)


def test_what_it_cannot_do_is_said(folder: Path) -> None:
    data = rows(TaskKind.SINGLE_LABEL, count=10, layers=(1,))
    with pytest.raises(InvalidArgument, match="token states"):
        top_k.fit(replace(data, states=None), spec(folder, TaskKind.SINGLE_LABEL, {}), lambda _: None)
    with pytest.raises(InvalidArgument, match="layer 2"):
        top_k.fit(data, spec(folder, TaskKind.SINGLE_LABEL, {"k": 1}), lambda _: None)
    with pytest.raises(InvalidArgument, match="entities"):
        top_k.check({}, SLOTS, TaskKind.ENTITIES)
