"""The simplest of the methods that cannot be told from the best wins the race."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from candelabra.adapt import race
from candelabra.adapt.race import Entrant
from candelabra.types import Method, TaskKind


def entrant(method: Method, losses: np.ndarray, rows: np.ndarray | None = None) -> Entrant:
    return Entrant(method, np.arange(len(losses)) if rows is None else rows, losses, 1.0)


def test_the_best_wins_where_it_is_measurably_better() -> None:
    random = np.random.default_rng(0)
    hard = random.exponential(1.0, 400)  # some rows are hard for every method
    plain, better = hard + 0.2 + 0.1 * random.normal(size=400), hard + 0.1 * random.normal(size=400)
    best, means = race.winner([entrant(Method.DENSE, better), entrant(Method.CLOSED_FORM, plain)])
    assert best.method is Method.DENSE
    assert means[Method.CLOSED_FORM] - means[Method.DENSE] == pytest.approx(0.2, abs=0.03)


def test_a_tie_goes_to_the_simplest() -> None:
    random = np.random.default_rng(1)
    hard = random.exponential(1.0, 400)
    found = [entrant(method, hard + 0.1 * random.normal(size=400)) for method in (Method.TOP_K, Method.LOGREG)]
    # Less than a standard error behind the best.
    found.append(entrant(Method.CLOSED_FORM, hard + 0.5 * random.normal(size=400)))
    assert race.winner(found)[0].method is Method.CLOSED_FORM


def test_only_rows_that_both_were_scored_on_count() -> None:
    easy = np.zeros(50)
    # DENSE was held out on rows 30 to 49 only, where the other is as good; on the rest the other is worse.
    other = np.concatenate([np.full(30, 9.0), np.zeros(20)])
    shuffled = np.random.default_rng(0).permutation(50)
    best, means = race.winner(
        [
            entrant(Method.DENSE, easy[:20], np.arange(30, 50)),
            entrant(Method.CLOSED_FORM, other[shuffled], shuffled),
        ]
    )
    assert best.method is Method.CLOSED_FORM
    assert means[Method.CLOSED_FORM] == means[Method.DENSE]


def test_a_third_that_was_scored_on_few_rows_does_not_blur_what_two_have_shown() -> None:
    random = np.random.default_rng(4)
    hard = random.exponential(1.0, 400)
    plain, better = hard + 0.1 + 0.5 * random.normal(size=400), hard
    third = entrant(Method.TOP_K, hard[:10] + 1.0, np.arange(10))
    best, means = race.winner([entrant(Method.CLOSED_FORM, plain), entrant(Method.HYBRID, better), third])
    assert best.method is Method.HYBRID
    assert means[Method.TOP_K] - means[Method.HYBRID] == pytest.approx(1.0)


def test_without_a_shared_row_the_simplest_wins() -> None:
    found = [
        entrant(Method.DENSE, np.zeros(3)),
        entrant(Method.LOGREG, np.ones(3), np.arange(10, 13)),
    ]
    assert race.winner(found)[0].method is Method.LOGREG


def test_every_method_of_labels_has_its_place() -> None:
    assert set(race.SIMPLICITY) == set(Method) - {Method.AUTO, Method.SEQ_CRF, Method.SPAN}
    assert set(race.SECONDS) <= set(race.SIMPLICITY)


def test_losses_are_those_of_calibrated_outputs() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 600)
    honest = np.eye(3)[targets] * 1.5 + random.normal(size=(600, 3))
    one, hot = (race.losses(honest * scale, targets, TaskKind.SINGLE_LABEL).mean() for scale in (1.0, 20.0))
    assert hot == pytest.approx(one, abs=1e-3), "how loud a method speaks is no merit"
    raw = np.exp(20 * honest - (20 * honest).max(axis=1, keepdims=True))
    assert hot < log_loss(targets, raw / raw.sum(axis=1, keepdims=True))
    several = (random.random((600, 2)) < 0.3).astype(np.uint8)
    told = race.losses(np.where(several, 8.0, -8.0) + random.normal(size=(600, 2)), several, TaskKind.MULTI_LABEL)
    assert told.shape == (600,)
    assert told.mean() < 0.05
    numbers = race.losses(np.array([[1.0], [4.0]]), np.array([1.0, 2.0]), TaskKind.REGRESSION)
    assert numbers.tolist() == [0.0, 4.0]


def test_a_method_that_cannot_end_in_time_is_not_begun() -> None:
    assert race.affordable(Method.LAYER_MIX, 20_000, 10.0)
    assert race.affordable_wide(3000, 3840, 20.0)
    assert not race.affordable_wide(100_000, 3840, 20.0)
    assert not race.affordable(Method.LAYER_MIX, 50_000, 10.0)
    assert not race.affordable(Method.TOP_K, 1_000_000, 60.0)


def test_of_few_rows_the_least_loss_wins() -> None:
    random = np.random.default_rng(0)
    simple = entrant(Method.CLOSED_FORM, random.uniform(0, 2, 20))
    better = entrant(Method.LOGREG, simple.losses - random.normal(0.05, 1.0, 20))
    few = [simple, better]
    best = min(few, key=lambda one: one.losses.mean())
    assert race.winner(few, few=True)[0] is best
    assert race.winner(few)[0] is simple


def test_the_report_names_method_loss_and_seconds() -> None:
    found = [entrant(Method.LOGREG, np.array([0.25]))]
    assert race.words(found, {Method.LOGREG: 0.25}) == "logreg 0.2500 in 1.0 s"
