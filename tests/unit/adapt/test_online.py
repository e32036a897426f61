"""Rows come and go, and a head is what it would be from scratch, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candelabra.adapt import online
from candelabra.adapt.methods import closed_form
from candelabra.adapt.online import Online, Refit, Space
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.types import Method, Slot, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "mean"))
LABELS = ("a", "b", "c")


@dataclass(frozen=True, eq=False)
class Rows:
    space: Space
    digests: np.ndarray
    features: np.ndarray
    targets: np.ndarray

    def into(self, made: Online, at: np.ndarray) -> int:
        return made.append(self.digests[at], self.features[at], self.targets[at])


def rows(name: str, n: int = 120) -> Rows:
    random = np.random.default_rng(0)
    own = np.arange(n) % 3
    features = np.random.default_rng(5).normal(size=(3, 2, 8))[own] + random.normal(size=(n, 2, 8))
    kind = {"multi": TaskKind.MULTI_LABEL, "number": TaskKind.REGRESSION}.get(name, TaskKind.SINGLE_LABEL)
    labels = () if name == "number" else LABELS
    targets = {
        "single": own,
        "multi": (random.random((n, 3)) < 0.2) | np.eye(3, dtype=bool)[own],
        "number": own * 10.0 + random.normal(size=n),
        "soft": random.dirichlet(np.ones(3), size=n),
    }[name]
    space = Space("backbone", SLOTS, 8, kind, labels, soft=name == "soft")
    digests = random.permutation(n).astype(np.uint64) + np.uint64(2**63)
    return Rows(space, digests, features.astype(np.float32), np.asarray(targets))


ALL = {name: rows(name) for name in ("single", "multi", "number", "soft")}
EVERY = pytest.mark.parametrize("name", list(ALL))


def weights(refit: Refit) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(refit.fitted.body, Dense)
    return refit.fitted.body.weights[0]


@EVERY
@given(moves=st.lists(st.sets(st.integers(0, 119), min_size=1, max_size=60), max_size=6), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_any_history_gives_the_head_of_the_rows_that_are_left(name: str, moves: list[set[int]], seed: int) -> None:
    data, here, made = ALL[name], np.zeros(120, bool), Online(ALL[name].space)
    for move in (*moves, set(range(0, 120, 2))):
        at = np.array(sorted(move))
        assert made.forget(data.digests[at]) == here[at].sum()
        assert data.into(made, at[~here[at]]) == (~here[at]).sum()
        here[at] = ~here[at]
    if not here.any():
        return
    scratch = Online(data.space)
    data.into(scratch, np.random.default_rng(seed).permutation(np.flatnonzero(here)))
    ours, theirs = made.refit(search=True), scratch.refit(search=True)
    assert made.statistics.digest == scratch.statistics.digest
    assert ours.parts == theirs.parts
    assert ours.temperature == theirs.temperature
    np.testing.assert_array_equal(weights(ours)[0], weights(theirs)[0])
    np.testing.assert_array_equal(weights(ours)[1], weights(theirs)[1])
    np.testing.assert_array_equal(ours.conformal.scores, theirs.conformal.scores)
    assert made.audit().exact


@EVERY
def test_the_head_is_the_one_that_closed_form_trains(name: str) -> None:
    data, made = ALL[name], Online(ALL[name].space)
    data.into(made, np.arange(120))
    refit = made.refit()
    soft = data.targets if name == "soft" else None
    targets = data.targets.argmax(axis=1) if name == "soft" else data.targets
    whole = TrainingSet([""] * 120, data.features, SLOTS, data.space.labels, targets, data.digests, weights=soft)
    fitted = closed_form.fit(whole, _spec(data.space.kind), lambda _: None)
    assert isinstance(fitted.body, Dense)
    assert fitted.body.slots == SLOTS
    np.testing.assert_allclose(weights(refit)[0], fitted.body.weights[0][0], rtol=1e-4, atol=1e-4)
    by_row = np.argsort(refit.fitted.rows), np.argsort(fitted.rows)
    np.testing.assert_allclose(
        refit.fitted.logits[by_row[0]], fitted.logits[by_row[1]], rtol=1e-3, atol=1e-3 * np.abs(fitted.logits).max()
    )


def _spec(kind: TaskKind) -> TrainSpec:
    return TrainSpec(
        task_kind=kind, method=Method.CLOSED_FORM, metric="", backbone="backbone", domain="general", task="t"
    )


def test_a_head_in_a_hurry_keeps_the_choice_and_nothing_else() -> None:
    data, made = ALL["single"], Online(ALL["single"].space)
    data.into(made, np.arange(100))
    first = made.refit()
    data.into(made, np.arange(100, 120))
    hurried = made.refit()
    assert hurried.parts == first.parts
    assert len(hurried.fitted.rows) == 120
    assert not np.array_equal(weights(hurried)[0], weights(first)[0])
    assert hurried.conformal.rows == 120
    assert 0 < hurried.conformal.quantile(0.9) < 1


def test_few_rows_calibrate_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "QUICK_ROWS", 30)
    monkeypatch.setattr(online, "FULL_ROWS", 60)
    data, made = ALL["single"], Online(ALL["single"].space)
    data.into(made, np.arange(120))
    assert made.refit().fitted.evaluation == "leave-one-out of 60 rows"
    assert made.refit().fitted.evaluation == "leave-one-out of 30 rows"
    assert made.refit(search=True).fitted.evaluation == "leave-one-out of 60 rows"


def test_rows_come_once_and_unknown_ones_do_not_leave() -> None:
    data, made = ALL["single"], Online(ALL["single"].space)
    assert data.into(made, np.array([1, 2, 2, 3])) == 3
    assert data.into(made, np.array([3, 4])) == 1
    assert made.forget([int(data.digests[3]), int(data.digests[3]), 17]) == 1
    assert sorted(made.digests) == sorted(data.digests[[1, 2, 4]])
    assert made.statistics.rows == len(made) == 3


def test_a_row_that_left_is_wiped() -> None:
    data, made = ALL["single"], Online(ALL["single"].space)
    data.into(made, np.arange(10))
    made.forget(data.digests[:10])
    assert not made._rows.any()
    assert not made._digests.any()
    assert not made._targets.any()


def test_a_bad_sum_does_not_pass_the_audit() -> None:
    data, made = ALL["single"], Online(ALL["single"].space)
    data.into(made, np.arange(120))
    made.refit()
    made.statistics.cross[3, 1] += 1e-3
    assert not made.audit().exact
    assert made.audit().residual > 1e-12


@pytest.mark.parametrize(
    ("name", "features", "targets"),
    [
        ("single", np.zeros((2, 2, 7)), np.array([0, 1])),
        ("single", np.zeros((2, 2, 8)), np.array([0])),
        ("single", np.full((2, 2, 8), np.nan), np.array([0, 1])),
        ("single", np.zeros((2, 2, 8)), np.array([0, 3])),
        ("single", np.zeros((2, 2, 8)), np.array([-1, 0])),
        ("multi", np.zeros((2, 2, 8)), np.array([[0, 1], [1, 0]])),
        ("multi", np.zeros((2, 2, 8)), np.array([[0, 1, 2], [1, 0, 0]])),
        ("number", np.zeros((2, 2, 8)), np.array([0.0, np.inf])),
        ("soft", np.zeros((2, 2, 8)), np.array([[0.5, 0.5, -0.1], [1, 0, 0]])),
    ],
)
def test_rows_that_teach_nothing_are_refused(name: str, features: np.ndarray, targets: np.ndarray) -> None:
    made = Online(ALL[name].space)
    with pytest.raises(InvalidArgument):
        made.append(np.array([1, 2], np.uint64), features, targets)
    assert len(made) == made.statistics.rows == 0


def test_nothing_gives_no_head() -> None:
    made = Online(ALL["single"].space)
    with pytest.raises(InvalidArgument, match="no row"):
        made.refit()
    with pytest.raises(InvalidArgument, match="no head"):
        made.audit()
