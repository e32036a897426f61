"""Calibration lowers the loss, thresholds keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from candelabra.adapt import calibration
from candelabra.adapt.calibration import negative_log_likelihood, temperature
from candelabra.heads.head import softmax


@pytest.mark.parametrize("blown", [0.01, 1.0, 30.0, 4000.0])
def test_the_temperature_is_the_best_one(blown: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 5)) * 2
    targets = np.array([random.choice(5, p=row) for row in softmax(logits)])
    found = temperature(logits * blown, targets)
    assert found == pytest.approx(blown, rel=0.1)
    best = minimize_scalar(
        lambda log: negative_log_likelihood(logits * blown / np.exp(log), targets),
        bounds=(np.log(blown) - 5, np.log(blown) + 5),
        method="bounded",
    )
    assert negative_log_likelihood(logits * blown / found, targets) == pytest.approx(best.fun, abs=1e-3)


def test_the_temperature_is_finite_where_every_row_is_right_or_all_alike() -> None:
    logits = np.eye(3)[np.arange(30) % 3] * 5
    assert 0 < temperature(logits, np.arange(30) % 3) < np.inf
    assert 0 < temperature(np.zeros((6, 2)), np.arange(6) % 2) < np.inf
    assert 0 < temperature(np.eye(2), np.array([1, 0])) < np.inf


def test_platt_finds_scale_and_shift_of_each_label() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(20_000, 2))
    scale, bias = np.array([3.0, 0.5]), np.array([-2.0, 1.0])
    targets = (random.random(z.shape) < expit(scale * z + bias)).astype(np.uint8)
    found_scale, found_bias = calibration.platt(z, targets)
    np.testing.assert_allclose(found_scale, scale, rtol=0.1)
    np.testing.assert_allclose(found_bias, bias, atol=0.1)


def test_platt_survives_labels_that_are_separated_never_there_or_always() -> None:
    z = np.linspace(-1, 1, 40)[:, None].repeat(3, axis=1)
    targets = np.stack([z[:, 0] > 0, np.zeros(40), np.ones(40)], axis=1).astype(np.uint8)
    scale, bias = calibration.platt(z, targets)
    assert np.isfinite(scale).all()
    assert np.isfinite(bias).all()
    p = expit(z * scale + bias)
    assert p[:, 1].max() < 0.1
    assert p[:, 2].min() > 0.9
    assert p[-1, 0] > 0.8
    assert p[0, 0] < 0.2


def test_the_shared_threshold_maximises_micro_f1() -> None:
    p = np.array([[0.9, 0.2], [0.3, 0.1], [0.4, 0.6]])
    truth = np.array([[1, 0], [0, 0], [1, 1]])
    assert 0.3 < calibration.shared_threshold(p, truth) < 0.4


def test_a_rare_label_keeps_near_the_shared_threshold() -> None:
    random = np.random.default_rng(0)
    truth = np.stack([random.random(2000) < 0.4, np.arange(2000) == 7], axis=1).astype(np.uint8)
    p = np.clip(truth * 0.3 + random.random((2000, 2)) * 0.5, 0, 1)
    p[7, 1] = 0.99
    shared, (often, rare) = calibration.shared_threshold(p, truth), calibration.label_thresholds(p, truth)
    assert abs(rare - shared) < 0.05
    assert 0 < often < 1


@pytest.mark.parametrize("floor", [0.5, 0.9, 1.0])
def test_the_recall_floor_is_reached_and_no_lower(floor: float) -> None:
    random = np.random.default_rng(0)
    p, truth = random.random(500), random.random(500) < 0.3
    at = calibration.recall_threshold(p, truth, floor)
    reached = (p[truth] >= at).mean()
    assert reached >= floor
    assert (p[truth] >= at + 0.03).mean() < floor
    assert calibration.recall_threshold(p, np.zeros(500), floor) == 0.5
