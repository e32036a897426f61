"""Prediction sets cover what they promise, and damaged guards are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from candelabra.errors import CorruptHead
from candelabra.heads.guards import SCORES, Conformal, Guards, abstains
from candelabra.heads.outside import DISTANCES, Outside
from tests.unit.heads.test_outside import SLOTS, texts


def guards() -> Guards:
    scores = np.random.default_rng(1).random(3000)
    return Guards(Conformal.of("label", scores), Outside.fit(SLOTS, texts(600)))


@pytest.mark.parametrize("rows", [30, 500, 5000])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_sets_hold_as_many_unseen_labels_as_they_promise(rows: int, coverage: float) -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(200):
        known, new = random.beta(1, 3, rows), random.beta(1, 3, 200)
        held.append((new <= Conformal.of("label", known).quantile(coverage)).mean())
    # Split conformal: between the promise and 1 / (rows + 1) more, and what thinning adds.
    spread = 4 * np.std(held) / math.sqrt(len(held))
    assert coverage - spread <= np.mean(held) <= coverage + 1 / (rows + 1) + 1 / SCORES + spread


def test_too_few_rows_promise_nothing() -> None:
    few = Guards(Conformal.of("label", np.array([0.1, 0.2, 0.3])))
    assert few.conformal is not None
    assert few.conformal.quantile(0.9) == math.inf
    assert few.conformal.quantile(0.7) == pytest.approx(0.3)
    assert few.prediction_sets(np.array([[0.0, 1.0]]), 0.9).all()
    assert Guards().prediction_sets(np.array([[0.0, 1.0]]), 0.5).all()
    assert np.isinf(Guards().intervals(np.array([3.0]), 0.9)).all()


def test_sets_grow_with_coverage_and_intervals_lie_around_their_number() -> None:
    probabilities = np.random.default_rng(2).dirichlet(np.ones(5), 50)
    found = guards()
    small, large = (found.prediction_sets(probabilities, coverage) for coverage in (0.5, 0.95))
    assert (small <= large).all()
    assert large.sum() > small.sum()
    numbers = Guards(Conformal.of("number", np.arange(1.0, 100.0)))
    low, high = numbers.intervals(np.array([500.0]), 0.9)[0]
    assert (low, high) == (410.0, 590.0)


def test_guards_come_back_from_their_file_bit_by_bit() -> None:
    found = guards()
    back = Guards.made(found.about(), found.tensors())
    assert back.slots == SLOTS
    assert np.array_equal(back.tensors()["conformal"], found.tensors()["conformal"])
    assert back.outside_scores(texts(9)).tolist() == found.outside_scores(texts(9)).tolist()  # type: ignore[union-attr]
    assert len(found.tensors()["conformal"]) == SCORES
    assert len(found.tensors()["outside.distances"]) == DISTANCES
    assert Guards.made(Guards().about(), {}).tensors() == {}
    assert Guards().outside_scores(texts(2)) is None


def test_a_thinned_list_answers_as_the_whole_one_or_wider() -> None:
    scores = np.sort(np.random.default_rng(3).random(20_000))
    thin = Conformal.of("label", scores)
    for coverage in (0.1, 0.5, 0.9, 0.99):
        exact = float(scores[math.ceil(20_001 * coverage) - 1])
        assert exact - 1e-6 <= thin.quantile(coverage) <= exact + 2e-3


def _nan(tensors: dict[str, Any]) -> None:
    tensors["conformal"] = np.full_like(tensors["conformal"], np.nan)


def _unsorted(tensors: dict[str, Any]) -> None:
    tensors["conformal"] = tensors["conformal"][::-1].copy()


def _short(tensors: dict[str, Any]) -> None:
    tensors["conformal"] = tensors["conformal"][:5]


def _flat(tensors: dict[str, Any]) -> None:
    tensors["outside.variances"] = np.zeros_like(tensors["outside.variances"])


def _narrow(tensors: dict[str, Any]) -> None:
    tensors["outside.basis"] = tensors["outside.basis"][:, :5]


def _one_slot(tensors: dict[str, Any]) -> None:
    for name in ("mean", "basis", "variances"):
        tensors[f"outside.{name}"] = tensors[f"outside.{name}"][:1]


def _gone(tensors: dict[str, Any]) -> None:
    del tensors["outside.mean"]


def _unknown(tensors: dict[str, Any]) -> None:
    tensors["extra"] = np.zeros(3, np.float32)


@pytest.mark.parametrize("damage", [_nan, _unsorted, _short, _flat, _narrow, _one_slot, _gone, _unknown])
def test_damaged_guards_are_refused(damage: Any) -> None:
    found = guards()
    tensors = dict(found.tensors())
    damage(tensors)
    with pytest.raises(CorruptHead):
        Guards.made(found.about(), tensors)


def test_an_unknown_kind_of_scores_is_refused() -> None:
    found = Guards(replace(Conformal.of("label", np.zeros(3)), kind="rank"))  # type: ignore[arg-type]
    with pytest.raises(CorruptHead):
        Guards.made(found.about(), found.tensors())


def test_an_answer_is_withheld_when_unsure_or_outside() -> None:
    assert abstains(0.4, None, 0.5, False)
    assert not abstains(0.6, 0.999, 0.5, False)
    assert abstains(0.6, 0.999, 0.5, True)
    assert not abstains(0.6, None, 0.5, True)
