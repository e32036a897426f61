"""CLOSED_FORM learns every kind of task that it takes, chooses by rows left out, and refuses the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from candelabra.adapt.methods import closed_form
from candelabra.adapt.methods.closed_form import both, check, fit
from candelabra.adapt.methods.fitted import Fitted
from candelabra.adapt.methods.search import GRID, Wanted, left_out_rows
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.types import Method, Progress, Reading, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"), Slot(2, "mean"), Slot(3, "mean"), Slot(3, "cls"))
SINGLE, MULTI, NUMBER = TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION
DIMENSION = 10


def labelled(n: int, labels: int = 3, noise: float = 1.0, seed: int = 0) -> TrainingSet:
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    centres = np.random.default_rng(99).normal(size=(labels, len(SLOTS), DIMENSION))
    features = centres[targets] + noise * random.normal(size=(n, len(SLOTS), DIMENSION))
    return TrainingSet(
        texts=["a row"] * n,
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=tuple("abcdefgh"[:labels]),
        targets=targets,
        rows=random.permutation(n).astype(np.uint64),
    )


def spec(kind: TaskKind = SINGLE, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind,
        method=Method.CLOSED_FORM,
        metric="accuracy",
        backbone="b",
        domain="general",
        task="t",
        options=options,
    )


def tell(_: Progress) -> None:
    return None


def outputs(fitted: Fitted, data: TrainingSet) -> np.ndarray:
    features = both(data) if fitted.body.kind == "pair" else data.columns(fitted.body.slots)
    assert features is not None
    return np.asarray(fitted.body.logits(Inputs(features, (), ())))


def test_it_learns_labels_and_its_left_out_rows_are_honest() -> None:
    data, new = labelled(240), labelled(300, seed=5)
    fitted = fit(data, spec(), tell)
    unseen = (outputs(fitted, new).argmax(axis=1) == new.targets).mean()
    left_out = (fitted.logits.argmax(axis=1) == data.targets[fitted.rows]).mean()
    assert unseen > 0.9
    assert abs(unseen - left_out) < 0.08
    assert fitted.evaluation == "leave-one-out"
    assert fitted.body.slots == (Slot(2, "mean"), Slot(3, "mean"))


def test_shuffled_labels_teach_nothing() -> None:
    data = labelled(150)
    data = replace(data, targets=np.random.default_rng(3).permutation(data.targets))
    fitted = fit(data, spec(), tell)
    assert (fitted.logits.argmax(axis=1) == data.targets).mean() < 0.5


def test_it_learns_any_number_of_labels() -> None:
    data, new = labelled(300, 4), labelled(200, 4, seed=7)
    pairs = [replace(one, targets=np.eye(4, dtype=np.uint8)[one.targets][:, [0, 1, 2]]) for one in (data, new)]
    fitted = fit(replace(pairs[0], labels=("a", "b", "c")), spec(MULTI), tell)
    assert fitted.chosen["solver"] == "ridge"
    assert fitted.logits.shape == (300, 3)
    assert (((outputs(fitted, new) > 0.5) == pairs[1].targets).mean()) > 0.9


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_it_learns_numbers_in_their_own_unit(unit: float) -> None:
    data, new = labelled(300, noise=0.7), labelled(200, noise=0.7, seed=9)
    numbers = [replace(one, labels=(), targets=unit * (one.targets * 2.0 + 5.0)) for one in (data, new)]
    fitted = fit(numbers[0], spec(NUMBER), tell)
    assert np.corrcoef(outputs(fitted, new)[:, 0], numbers[1].targets)[0, 1] > 0.9
    assert np.abs(fitted.logits[:, 0] - numbers[0].targets[fitted.rows]).mean() < unit
    assert fitted.logits[:, 0].mean() == pytest.approx(7.0 * unit, rel=0.05)


def test_soft_labels_are_its_targets() -> None:
    data = labelled(200)
    shares = 0.8 * np.eye(3)[data.targets] + 0.2 / 3
    soft = fit(replace(data, weights=10 * shares), spec(), tell)
    assert soft.chosen["solver"] == "ridge"
    assert (outputs(soft, data).argmax(axis=1) == data.targets).mean() > 0.9
    assert outputs(soft, data).sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    even = fit(replace(data, weights=np.full((200, 3), 1 / 3)), spec(), tell)
    assert np.ptp(outputs(even, data)) < 1e-3
    with pytest.raises(InvalidArgument, match="hard labels"):
        fit(replace(data, weights=shares), spec(solver="lda"), tell)


def pairs(n: int, seed: int = 0) -> TrainingSet:
    """Numbers that are the cosine of two texts' vectors; the joint sequence knows nothing of it."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, n, len(SLOTS), DIMENSION)).astype(np.float32)
    second = (second + random.normal(size=(n, 1, 1)) * first).astype(np.float32)
    u, v = first[:, 3], second[:, 3]
    cosine = (u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    joint = random.normal(size=first.shape).astype(np.float32)
    return replace(labelled(n, seed=seed), features=joint, first=first, second=second, labels=(), targets=5.0 * cosine)


def test_pairs_are_read_apart_where_that_is_better() -> None:
    new = pairs(200, 4)
    fitted = fit(pairs(300), spec(NUMBER), tell)
    assert fitted.body.kind == "pair"
    assert getattr(fitted.body, "reading", None) is Reading.SEPARATE
    assert fitted.chosen["reading"] == "separate"
    assert spearmanr(outputs(fitted, new)[:, 0], new.targets)[0] > 0.95


def test_pairs_are_read_together_where_only_that_works() -> None:
    apart = pairs(240)
    joint = replace(labelled(240), first=apart.first, second=apart.second)
    fitted = fit(joint, spec(), tell)
    assert fitted.body.kind == "dense"
    assert (fitted.logits.argmax(axis=1) == joint.targets).mean() > 0.8


def test_wide_finds_the_slot_that_the_fast_tier_does_not_read() -> None:
    data, new = labelled(200), labelled(200, seed=3)
    random = np.random.default_rng(8)
    for one in (data, new):
        one.features[:, :4] = random.normal(size=(200, 4, DIMENSION))
    narrow, wide = fit(data, spec(), tell), fit(data, spec(wide=True), tell)
    assert (outputs(narrow, new).argmax(axis=1) == new.targets).mean() < 0.5
    assert (outputs(wide, new).argmax(axis=1) == new.targets).mean() > 0.7
    assert Slot(3, "cls") in wide.body.slots


@pytest.mark.parametrize("n", [30, 90])
def test_wide_gives_the_same_from_one_sum_as_from_one_a_set(n: int) -> None:
    data = labelled(n)
    asked, wanted = closed_form.Options(wide=True), Wanted.of(data, SINGLE)
    for view in closed_form.views(SLOTS, asked):
        shared = closed_form.Run(data, wanted, asked, tell).search(view).problem
        own = closed_form.Run(data, wanted, closed_form.Options(), tell).search(view).problem
        np.testing.assert_allclose(np.tril(shared.matrix), np.tril(own.matrix), rtol=1e-12)


@pytest.mark.parametrize("shape", ["constant", "duplicate", "one row a label", "two of each", "one text"])
@pytest.mark.parametrize("wide", [False, True])
def test_poor_features_are_survived(shape: str, wide: bool) -> None:
    data = labelled(12, 2)
    if shape == "constant":
        data = replace(data, features=np.ones_like(data.features))
    elif shape == "duplicate":
        data = replace(data, features=np.repeat(data.features[:, :1], 5, axis=1))
    elif shape == "one text":
        data = replace(data, features=np.repeat(data.features[:1], 12, axis=0))
    else:
        n = 2 if shape == "one row a label" else 4
        data = replace(data, features=data.features[:n], targets=data.targets[:n], rows=data.rows[:n])
    fitted = fit(data, spec(wide=wide), tell)
    assert np.isfinite(outputs(fitted, data)).all()
    assert np.isfinite(fitted.logits).all()


def test_what_the_caller_fixed_is_kept() -> None:
    fitted = fit(labelled(40), spec(solver="lda", layers=[1], ridge=0.5, self_training=1), tell)
    assert fitted.body.slots == (Slot(1, "mean"),)
    assert (fitted.chosen["solver"], fitted.chosen["ridge"]) == ("lda", "0.5")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"solver": "svm"}, SINGLE),
        ({"solver": "lda"}, MULTI),
        ({"solver": "lda"}, NUMBER),
        ({"ridge": 0.0}, SINGLE),
        ({"ridge": True}, SINGLE),
        ({"ridge": float("nan")}, SINGLE),
        ({"ridge": "much"}, SINGLE),
        ({"layers": [9]}, SINGLE),
        ({"layers": 1}, SINGLE),
        ({"wide": "very"}, SINGLE),
        ({"hidden": 3}, SINGLE),
        ({}, TaskKind.ENTITIES),
        ({}, TaskKind.ANSWER),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict[str, object], kind: TaskKind) -> None:
    with pytest.raises(InvalidArgument):
        check(options, SLOTS, kind)


def test_many_rows_are_sampled_by_their_share_and_not_by_their_place() -> None:
    random = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [800, 150, 50])
    digests = random.permutation(1000).astype(np.uint64)
    allowed = digests != 7
    rows = left_out_rows(digests, strata, allowed, 100)
    assert np.bincount(strata[rows]).tolist() == [80, 15, 5]
    turned = random.permutation(1000)
    again = left_out_rows(digests[turned], strata[turned], allowed[turned], 100)
    assert digests[rows].tolist() == digests[turned][again].tolist()


def test_a_sample_is_scored_where_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_form, "SCORED_ROWS", 60)
    monkeypatch.setattr(closed_form, "SELECT_ROWS", 50)
    data = labelled(200)
    fitted = fit(data, spec(), tell)
    assert len(fitted.rows) == len(fitted.logits) == 60
    assert fitted.evaluation == "leave-one-out of 60 rows"
    assert (fitted.logits.argmax(axis=1) == data.targets[fitted.rows]).mean() > 0.8


def test_progress_tells_each_penalty() -> None:
    told: list[Progress] = []
    fit(labelled(60), spec(), told.append)
    assert [one.step for one in told] == list(range(1, len(told) + 1))
    assert {one.metrics["penalty"] for one in told} <= set(GRID)
