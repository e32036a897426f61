"""Correlations and explained variance agree with scipy and scikit-learn, on draws too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import r2_score

from candelabra.adapt import agreement
from candelabra.errors import InvalidArgument


def numbers(rows: int = 120, noise: float = 0.8, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(3, 2, rows)
    if ties:
        truth = np.round(truth)
    return truth, truth + noise * random.normal(size=rows)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_values_are_those_of_scipy_and_scikit_learn(shift: float) -> None:
    truth, given = numbers()
    truth, given = truth + shift, np.round(given, 1) + shift
    assert agreement.value("pearson", truth, given) == pytest.approx(pearsonr(truth, given)[0])
    assert agreement.value("spearman", truth, given) == pytest.approx(spearmanr(truth, given)[0])
    assert agreement.value("r2", truth, given) == pytest.approx(r2_score(truth, given))
    assert agreement.value(agreement.ERROR, truth, given) == pytest.approx(np.abs(truth - given).mean())


@pytest.mark.parametrize("metric", [*agreement.METRICS, agreement.ERROR])
def test_a_draw_counts_as_if_its_rows_were_written_out(metric: str) -> None:
    truth, given = numbers(40)
    given = np.round(given)  # ties in both
    weights = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=5).astype(float)
    drawn = agreement._drawn(metric, truth, given, weights)
    for value, counts in zip(drawn, weights.astype(int), strict=True):
        expected = agreement.value(metric, np.repeat(truth, counts), np.repeat(given, counts))
        assert value == pytest.approx(expected)


@pytest.mark.parametrize("metric", agreement.METRICS)
def test_a_constant_agrees_with_nothing(metric: str) -> None:
    truth, _ = numbers()
    assert agreement.value(metric, truth, np.full(len(truth), truth.mean())) == pytest.approx(0.0)


@pytest.mark.parametrize("metric", agreement.METRICS)
def test_an_interval_holds_its_value_and_narrows_with_rows(metric: str) -> None:
    few, many = (agreement.score(metric, *numbers(rows)) for rows in (60, 2000))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_the_interval_of_a_correlation_is_as_wide_as_fishers() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=400)
    found = agreement.score("pearson", x, 0.6 * x + 0.8 * random.normal(size=400))
    z, half = np.arctanh(found.value), 1.96 / np.sqrt(397)
    assert found.low == pytest.approx(np.tanh(z - half), abs=0.02)
    assert found.high == pytest.approx(np.tanh(z + half), abs=0.02)


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    truth, given = numbers(800)
    better = np.where(np.arange(800) % 10 == 0, truth, given)
    gap = agreement.difference("pearson", truth, better, given)
    assert gap.low > 0
    assert agreement.score("pearson", truth, better).low < agreement.score("pearson", truth, given).high
    same = agreement.difference("pearson", truth, given, given)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="accuracy"):
        agreement.check_metric("accuracy")
