"""Scores agree with scikit-learn, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, fbeta_score, recall_score

from candelabra.adapt import scores
from candelabra.adapt.scores import one_hot
from candelabra.errors import InvalidArgument

LABELS = ("a", "b", "c")


def guesses(seed: int = 0, n: int = 200, right: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n)
    return truth, np.where(random.random(n) < right, truth, random.integers(0, 3, n))


def test_values_are_those_of_scikit_learn() -> None:
    truth, guess = guesses()
    t, g = one_hot(truth, 3), one_hot(guess, 3)
    expected = {
        "accuracy": accuracy_score(truth, guess),
        "macro_f1": f1_score(truth, guess, average="macro"),
        "micro_f1": f1_score(truth, guess, average="micro"),
        "f1[b]": f1_score(truth == 1, guess == 1),
        "f2[b]": fbeta_score(truth == 1, guess == 1, beta=2),
        "recall[c]": recall_score(truth == 2, guess == 2),
    }
    for metric, value in expected.items():
        assert scores.value(metric, t, g, LABELS) == pytest.approx(value)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "micro_f1", "f2[b]", "recall[c]"])
def test_an_interval_holds_its_value_and_narrows_with_rows(metric: str) -> None:
    widths = []
    for n in (100, 2000):
        truth, guess = guesses(n=n)
        interval = scores.score(metric, one_hot(truth, 3), one_hot(guess, 3), LABELS)
        assert interval.low <= interval.value <= interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    truth, guess = guesses(n=1000)
    better = np.where(np.arange(1000) % 20 == 0, truth, guess)
    t, ours, theirs = one_hot(truth, 3), one_hot(better, 3), one_hot(guess, 3)
    gap = scores.difference("accuracy", t, ours, theirs, LABELS)
    assert gap.low > 0
    assert scores.difference("accuracy", t, ours, ours, LABELS).high == 0
    assert gap == scores.difference("accuracy", t, ours, theirs, LABELS)


def test_wilson_covers_the_truth_as_often_as_it_says() -> None:
    hits = np.random.default_rng(0).binomial(60, 0.9, size=2000)
    covered = np.mean([low <= 0.9 <= high for low, high in (scores.wilson(int(hit), 60) for hit in hits)])
    assert 0.93 < covered < 0.98
    assert scores.wilson(0, 0) == (0.0, 1.0)


def test_calibration_error_sees_overconfidence() -> None:
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1, 5000)
    targets = (random.random(5000) > sure).astype(int)
    honest = np.stack([sure, 1 - sure], axis=1)
    assert scores.calibration_error(honest, targets) < 0.03
    boast = np.stack([np.full(5000, 0.99), np.full(5000, 0.01)], axis=1)
    assert scores.calibration_error(boast, targets) > 0.2


@pytest.mark.parametrize("metric", ["auc", "f1[nobody]", "f3[a]", ""])
def test_an_unknown_metric_is_refused(metric: str) -> None:
    with pytest.raises(InvalidArgument):
        scores.check_metric(metric, LABELS)


def test_nothing_found_is_zero_not_an_error() -> None:
    nothing = np.zeros((4, 3), np.uint8)
    assert scores.value("micro_f1", nothing, nothing, LABELS) == 0.0


@pytest.mark.parametrize("multi", [False, True])
def test_the_noise_of_calibration_is_what_a_perfect_head_shows_by_chance(multi: bool) -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 400)
    shown = []
    for _ in range(200):
        if multi:
            targets = (random.random((400, 3)) < probabilities).astype(np.uint8)
        else:
            targets = (random.random((400, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
        shown.append(scores.calibration_error(probabilities, targets))
    assert scores.calibration_noise(probabilities, multi) == pytest.approx(np.mean(shown), rel=0.05)
