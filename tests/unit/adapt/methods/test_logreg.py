"""LOGREG is scikit-learn's model, scores rows it has not seen, and learns from labels' names where rows are few."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from candelabra.adapt.methods import logreg
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "mean"), Slot(2, "cls"))
D = 6


def rows(n: int, labels: int = 3, seed: int = 0, noise: float = 0.7) -> TrainingSet:
    """Labels lie apart in the last layer's mean only."""
    random = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(size=(labels, D))
    targets = np.arange(n) % labels
    features = random.normal(size=(n, len(SLOTS), D)).astype(np.float32)
    features[:, 1] = middles[targets] + noise * random.normal(size=(n, D))
    names = np.zeros((labels, len(SLOTS), D), np.float32)
    names[:, 1] = middles
    return TrainingSet(
        texts=[""] * n,
        features=features,
        slots=SLOTS,
        labels=tuple("abcdefgh"[:labels]),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64),
        label_features=names,
    )


def spec(kind: TaskKind = TaskKind.SINGLE_LABEL, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind, method=Method.LOGREG, metric="accuracy", backbone="b", domain="d", task="t", options=options
    )


def silent(progress: Progress) -> None:
    pass


def accuracy(fitted: logreg.Fitted, data: TrainingSet) -> float:
    assert isinstance(fitted.body, Dense)
    columns = data.columns(fitted.body.slots)
    assert columns is not None
    return float((fitted.body.of(columns).argmax(axis=1) == data.targets).mean())


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 40)])
@pytest.mark.parametrize("multi", [False, True])
def test_the_model_is_scikit_learns(n: int, d: int, multi: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreg, "TOLERANCE", 1e-8)
    monkeypatch.setattr(logreg, "STEPS", 2000)
    random = np.random.default_rng(0)
    x = random.normal(size=(n, d)).astype(np.float32)
    targets = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)
    wanted = np.eye(3, dtype=np.float32)[targets]
    penalty = 1e-2
    space = logreg.Coordinates.of(x, 1)
    weight, bias = space.features_space(*space.solve(np.arange(n), wanted, penalty, multi))
    scale = 1 / math.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    z = (x - x.mean(axis=0)) * scale
    theirs = LogisticRegression(C=1 / (2 * penalty * n), tol=1e-8, max_iter=5000)
    if multi:
        expected = np.stack([theirs.fit(z, wanted[:, at]).decision_function(z) for at in range(3)], axis=1)
        np.testing.assert_allclose(x @ weight + bias, expected, atol=2e-2)
    else:
        made = logreg.softmax(x @ weight + bias, axis=1)
        np.testing.assert_allclose(made, theirs.fit(z, targets).predict_proba(z), atol=5e-3)


def test_unseen_rows_are_scored_and_the_right_layer_is_found() -> None:
    data = rows(90)
    fitted = logreg.fit(data, spec(), silent)
    assert sorted(fitted.rows) == list(range(90))
    assert SLOTS[1] in fitted.body.slots
    assert (fitted.logits.argmax(axis=1) == data.targets[fitted.rows]).mean() > 0.8
    assert accuracy(fitted, rows(300, seed=1)) > 0.8
    assert fitted.evaluation == "5-fold"


def test_shuffled_labels_are_not_seen_through() -> None:
    data = rows(90)
    shuffled = replace(data, targets=np.random.default_rng(5).permutation(data.targets), label_features=None)
    fitted = logreg.fit(shuffled, spec(), silent)
    assert (fitted.logits.argmax(axis=1) == shuffled.targets[fitted.rows]).mean() < 0.55


def test_names_help_where_rows_are_few() -> None:
    data = rows(6, noise=1.5)
    named = logreg.fit(data, spec(), silent)
    alone = logreg.fit(replace(data, label_features=None), spec(), silent)
    assert named.chosen["label_names"] == "as rows"
    assert accuracy(named, rows(300, seed=1)) > accuracy(alone, rows(300, seed=1))


def test_beyond_the_limit_one_fold_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreg, "FOLD_ROWS", 50)
    assert sorted(logreg.fit(rows(60), spec(), silent).rows) == list(range(60))
    monkeypatch.setattr(logreg, "SCORED", 100)
    fitted = logreg.fit(rows(60), spec(), silent)
    assert len(fitted.rows) == len(fitted.logits) == 12
    assert fitted.evaluation == "held-out 1/5"


def test_soft_and_several_labels() -> None:
    data = rows(60)
    soft = np.full((60, 3), 0.1, np.float32)
    soft[np.arange(60), data.targets] = 0.8
    assert accuracy(logreg.fit(replace(data, weights=soft), spec(), silent), data) > 0.8
    several = np.stack([data.targets == 0, data.targets > 0], axis=1).astype(np.uint8)
    fitted = logreg.fit(
        replace(data, targets=several, labels=("a", "b"), label_features=None), spec(TaskKind.MULTI_LABEL), silent
    )
    assert ((fitted.logits > 0) == several[fitted.rows]).mean() > 0.8


def test_the_same_seed_gives_the_same_head() -> None:
    one, other = (logreg.fit(rows(40), spec(), silent).body.tensors() for _ in range(2))
    assert all((one[name] == other[name]).all() for name in one)


def test_what_is_fixed_is_kept() -> None:
    fitted = logreg.fit(rows(40), spec(penalty=0.01, layers=[1]), silent)
    assert fitted.chosen["penalty"] == "0.01"
    assert fitted.body.slots == (SLOTS[0],)


@pytest.mark.parametrize(
    "options", [{"depth": 3}, {"penalty": 0}, {"penalty": True}, {"penalty": math.nan}, {"layers": [9]}]
)
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        logreg.check(options, SLOTS, TaskKind.SINGLE_LABEL)


def test_numbers_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="CLOSED_FORM"):
        logreg.check({}, SLOTS, TaskKind.REGRESSION)
