"""LogME and the H-score against their definitions, evaluated the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from candelabra.adapt.transfer import evidence, h_score, logme


def made(rows: int = 60, width: int = 5, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, width)) * np.linspace(0.5, 2, width)
    return x, x @ random.normal(size=width) + noise * random.normal(size=rows)


def direct(x: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """The density of y where weights are drawn with precision alpha and noise with precision beta."""
    covariance = x @ x.T / alpha + np.eye(len(x)) / beta
    return float(multivariate_normal(np.zeros(len(x)), covariance).logpdf(y)) / len(x)


@pytest.mark.parametrize(("rows", "width"), [(60, 5), (12, 30)])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.2, 7.0)])
def test_evidence_is_the_density_of_the_labels(rows: int, width: int, alpha: float, beta: float) -> None:
    x, y = made(rows, width)
    assert evidence(x, y, alpha, beta) == pytest.approx(direct(x, y, alpha, beta), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_logme_is_the_greatest_evidence(seed: int) -> None:
    x, y = made(seed=seed)
    best = minimize(lambda at: -direct(x, y, *np.exp(at)), np.zeros(2), method="Nelder-Mead")
    assert logme(x, y) == pytest.approx(-best.fun, abs=1e-4)
    assert logme(x, np.stack([y, y], axis=1)) == pytest.approx(logme(x, y))


def test_logme_prefers_features_that_tell() -> None:
    x, y = made(noise=0.1)
    assert logme(x, y) > logme(np.random.default_rng(9).normal(size=x.shape), y)


def test_the_h_score_is_its_definition() -> None:
    random = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    x = random.normal(size=(60, 6)) + 2.0 * np.eye(3)[labels] @ random.normal(size=(3, 6))
    centred = x - x.mean(axis=0)
    fitted = LedoitWolf(assume_centered=True).fit(centred)
    means = np.array([centred[labels == label].mean(axis=0) for label in labels])
    between = means.T @ means / len(x)
    wanted = (1 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ between)
    assert h_score(x, labels) == pytest.approx(float(wanted), rel=1e-9)
    assert 0 <= h_score(random.normal(size=(60, 6)), labels) < h_score(x, labels) < 2
