"""Guessing labels is kept only where rows that nobody had seen say that it helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt import self_training
from candelabra.adapt.methods import closed_form, prototype
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(2, "mean"),)
D = 30


def rows(n: int = 18, more: int = 300, seed: int = 0, apart: float = 3.0) -> TrainingSet:
    random = np.random.default_rng(seed)
    middles = np.random.default_rng(1).normal(size=(3, D)) * apart / np.sqrt(D)
    targets = np.arange(n) % 3
    features = middles[targets] + 0.5 * random.normal(size=(n, D))
    unlabelled = middles[np.arange(more) % 3] + 0.5 * random.normal(size=(more, D))
    return TrainingSet(
        texts=[""] * n,
        features=features[:, None].astype(np.float32),
        slots=SLOTS,
        labels=("a", "b", "c"),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64),
        unlabelled=unlabelled[:, None].astype(np.float32),
    )


SPEC = TrainSpec(
    task_kind=TaskKind.SINGLE_LABEL, method=Method.PROTOTYPE, metric="accuracy", backbone="b", domain="d", task="t"
)


def silent(progress: Progress) -> None:
    pass


def test_it_is_kept_where_it_helps() -> None:
    kept = [self_training.fit(prototype.fit, rows(seed=seed), SPEC, silent, 2) for seed in range(3)]
    told = [one.chosen["self_training"] for one in kept]
    assert any(one.startswith("2 rounds") for one in told)
    for one in kept:
        assert sorted(one.rows) == list(range(18))
        assert one.logits.shape == (18, 3)


def test_it_is_left_out_where_it_does_not() -> None:
    data = rows(n=60)
    astray = replace(data, targets=np.random.default_rng(2).integers(0, 3, 60))
    plain = closed_form.fit(astray, SPEC, silent)
    fitted = self_training.fit(closed_form.fit, astray, SPEC, silent, 1)
    if fitted.chosen["self_training"].startswith("left out"):
        assert all((plain.body.tensors()[name] == tensor).all() for name, tensor in fitted.body.tensors().items())
    without, _, with_it = fitted.chosen["self_training"].rpartition(", ")[0], "", fitted.chosen["self_training"]
    assert "without" in without
    assert "with" in with_it


def test_the_losses_are_compared_on_unseen_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_training.race, "losses", lambda logits, targets, kind: np.full(len(targets), next(given)))
    given = iter([1.0, 2.0])
    worse = self_training.fit(prototype_without_choice, rows(), SPEC, silent, 1)
    assert worse.chosen["self_training"] == "left out: 1.0000 without, 2.0000 with"
    given = iter([2.0, 1.0])
    better = self_training.fit(prototype_without_choice, rows(), SPEC, silent, 1)
    assert better.chosen["self_training"] == "1 rounds: 2.0000 without, 1.0000 with"
    assert better.evaluation == "3-fold"


def prototype_without_choice(data: TrainingSet, spec: TrainSpec, tell: self_training.Tell) -> self_training.Fitted:
    from candelabra.heads.bodies.dense import Dense, frozen

    x = data.features[:, 0]
    weight = np.stack([x[data.targets == c].mean(axis=0) for c in range(3)], axis=1)
    body = Dense(SLOTS, ((frozen(weight), frozen(np.zeros(3))),))
    return self_training.Fitted(body, np.arange(len(x)), body.of(x), {}, "none")


def test_only_sure_rows_are_guessed_and_no_label_floods_the_others() -> None:
    logits = np.zeros((100, 2))
    logits[:90, 0], logits[90:95, 1] = 10.0 + np.arange(90) / 100, 10.0
    found, probabilities = self_training.guesses(logits, 1.0, np.array([5, 5]))
    assert (found < 95).all()
    assert (probabilities.max(axis=1) > 0.9).all()
    assert (found < 90).sum() == 20
    assert len(self_training.guesses(np.zeros((5, 2)), 1.0, np.array([5, 5]))[0]) == 0


def test_without_texts_or_for_other_tasks_it_is_the_plain_fit() -> None:
    data = rows()
    plain = self_training.fit(prototype.fit, data, SPEC, silent, 0)
    assert "self_training" not in plain.chosen
    bare = self_training.fit(prototype.fit, replace(data, unlabelled=None), SPEC, silent, 1)
    assert bare.chosen["self_training"] == "not possible here"
    with pytest.raises(InvalidArgument, match="rounds"):
        self_training.fit(prototype.fit, data, SPEC, silent, 4)
