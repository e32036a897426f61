"""DENSE learns labels, several labels, shares and numbers, and scores rows that it had not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from candelabra.adapt.methods import dense
from candelabra.adapt.methods.dense import check, fit
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"))
SINGLE, MULTI, NUMBER = TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION


def made(kind: TaskKind, soft: bool = False, n: int = 60) -> TrainingSet:
    random = np.random.default_rng(0)
    own = np.arange(n) % 3
    features = np.random.default_rng(5).normal(size=(3, 2, 8))[own] * 2 + random.normal(size=(n, 2, 8))
    targets = {SINGLE: own, MULTI: np.eye(3, dtype=np.uint8)[own], NUMBER: 100.0 + 20.0 * own}[kind]
    return TrainingSet(
        texts=["a row"] * n,
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=() if kind is NUMBER else ("a", "b", "c"),
        targets=np.asarray(targets),
        rows=np.arange(n, dtype=np.uint64),
        weights=0.7 * np.eye(3)[own] + 0.1 if soft else None,
    )


def spec(kind: TaskKind, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind,
        method=Method.DENSE,
        metric="accuracy",
        backbone="b",
        domain="general",
        task="t",
        options={"max_epochs": 15, "learning_rate": 0.03, **options},
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads wait for each other longer than so small a network takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tell(_: Progress) -> None:
    return None


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize(("kind", "soft"), [(SINGLE, False), (SINGLE, True), (MULTI, False), (NUMBER, False)])
def test_it_learns_every_kind(kind: TaskKind, soft: bool, hidden: int) -> None:
    data = made(kind, soft)
    fitted = fit(data, spec(kind, hidden=hidden), tell)
    assert isinstance(fitted.body, Dense)
    features = data.columns(fitted.body.slots)
    assert features is not None
    z, own = np.asarray(fitted.body.logits(Inputs(features, (), ()))), np.arange(60) % 3
    assert sorted(fitted.rows) == list(range(60))
    for outputs, rows in ((z, np.arange(60)), (fitted.logits, fitted.rows)):
        if kind is NUMBER:
            assert np.abs(outputs[:, 0] - data.targets[rows]).mean() < 10
        else:
            assert (outputs.argmax(axis=1) == own[rows]).mean() > 0.8


def test_it_is_the_same_again_and_another_with_another_seed() -> None:
    data = made(SINGLE, n=40)
    one, same = fit(data, spec(SINGLE), tell), fit(data, spec(SINGLE), tell)
    np.testing.assert_array_equal(one.logits, same.logits)
    other = fit(data, replace(spec(SINGLE), seed=1), tell)
    assert not np.array_equal(one.logits, other.logits)


def test_many_rows_are_scored_in_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "FOLD_ROWS", 50)
    fitted = fit(made(SINGLE), spec(SINGLE, layers=[1], self_training=1), tell)
    assert fitted.evaluation == "held-out 1/5"
    assert len(fitted.rows) == 12
    assert fitted.body.slots == (Slot(1, "mean"),)


@pytest.mark.parametrize("kind", [TaskKind.ENTITIES, TaskKind.ANSWER])
def test_tasks_about_tokens_are_refused(kind: TaskKind) -> None:
    with pytest.raises(InvalidArgument, match="another method"):
        check({}, SLOTS, kind)
