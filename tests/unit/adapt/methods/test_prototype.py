"""PROTOTYPE works from labels' names alone, and improves as rows come."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.methods import prototype
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "mean"))
D, LABELS = 12, 4
MIDDLES = np.random.default_rng(7).normal(size=(LABELS, D))
NAMES = MIDDLES + 1.2 * np.random.default_rng(8).normal(size=(LABELS, D))


def rows(n: int, seed: int = 0, noise: float = 1.3) -> TrainingSet:
    random = np.random.default_rng(seed)
    targets = np.arange(n) % LABELS
    features = random.normal(size=(n, 2, D)).astype(np.float32)
    features[:, 1] = 5 + MIDDLES[targets] + noise * random.normal(size=(n, D))
    names = random.normal(size=(LABELS, 2, D)).astype(np.float32)
    names[:, 1] = -3 + NAMES
    return TrainingSet(
        texts=[""] * n,
        features=features,
        slots=SLOTS,
        labels=tuple("abcd"),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64),
        label_features=names,
    )


def spec(kind: TaskKind = TaskKind.SINGLE_LABEL, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind, method=Method.PROTOTYPE, metric="accuracy", backbone="b", domain="d", task="t", options=options
    )


def silent(progress: Progress) -> None:
    pass


TEST = rows(800, seed=3)


def accuracy(fitted: prototype.Fitted) -> float:
    assert isinstance(fitted.body, Dense)
    columns = TEST.columns(fitted.body.slots)
    assert columns is not None
    return float((fitted.body.of(columns).argmax(axis=1) == TEST.targets).mean())


def test_names_alone_are_a_head_and_rows_improve_it() -> None:
    unlabelled = replace(rows(0), unlabelled=rows(40, seed=9).features)
    begun = prototype.fit(unlabelled, spec(), silent)
    assert len(begun.rows) == 0
    assert begun.logits.shape == (0, LABELS)
    few = np.mean([accuracy(prototype.fit(rows(16, seed), spec(), silent)) for seed in range(4)])
    many = accuracy(prototype.fit(rows(400), spec(), silent))
    assert 1 / LABELS + 0.1 < accuracy(begun) < few < many


def test_names_help_few_rows() -> None:
    named = [accuracy(prototype.fit(rows(8, seed), spec(layers=[2]), silent)) for seed in range(5)]
    alone = [
        accuracy(prototype.fit(replace(rows(8, seed), label_features=None), spec(layers=[2]), silent))
        for seed in range(5)
    ]
    assert np.mean(named) > np.mean(alone)


def test_scored_rows_were_not_seen() -> None:
    data = rows(80)
    fitted = prototype.fit(data, spec(), silent)
    assert sorted(fitted.rows) == list(range(80))
    assert (fitted.logits.argmax(axis=1) == data.targets[fitted.rows]).mean() > 0.5
    shuffled = replace(data, targets=np.random.default_rng(1).permutation(data.targets), label_features=None)
    blind = prototype.fit(shuffled, spec(), silent)
    assert (blind.logits.argmax(axis=1) == shuffled.targets[blind.rows]).mean() < 0.45


def test_the_logits_are_whitened_cosines_but_for_the_rows_length() -> None:
    data = rows(40)
    space = prototype.Space.of(data, SLOTS[1:], np.eye(LABELS)[data.targets])
    setting, weight, bias = next(space.heads(np.ones(40, bool), (1.0,), (1.0,)))
    assert setting.kappa == 1.0
    mean = space.rows.mean(axis=0)
    assert space.names is not None
    centred, names = space.rows - mean, space.names - space.names.mean(axis=0)
    middles = np.stack([(names[c] + centred[data.targets == c].sum(axis=0)) / 11 for c in range(LABELS)])
    wanted = centred @ (middles / np.linalg.norm(middles, axis=1, keepdims=True)).T
    np.testing.assert_allclose(space.rows @ weight + bias, wanted, atol=1e-9)


def test_several_labels_and_one_row() -> None:
    data = rows(40)
    several = np.stack([data.targets < 2, data.targets > 0], axis=1).astype(np.uint8)
    both = replace(data, targets=several, labels=("a", "b"), label_features=None)
    fitted = prototype.fit(both, spec(TaskKind.MULTI_LABEL), silent)
    assert fitted.logits.shape == (40, 2)
    one = prototype.fit(rows(1), spec(), silent)
    assert len(one.rows) == 0
    assert accuracy(one) > 1 / LABELS


def test_equal_rows_are_survived() -> None:
    data = rows(8)
    flat = replace(data, features=np.ones_like(data.features))
    assert np.isfinite(prototype.fit(flat, spec(), silent).logits).all()


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="neither"):
        prototype.fit(replace(rows(0), label_features=None), spec(), silent)


@pytest.mark.parametrize(
    "options", [{"temper": 1}, {"kappa": -1}, {"kappa": math.inf}, {"kappa": True}, {"layers": [7]}]
)
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        prototype.check(options, SLOTS, TaskKind.SINGLE_LABEL)
    assert prototype.fit(rows(20), spec(kappa=2), silent).chosen["kappa"] == "2"
