"""How well features would carry a task over, from the features and labels alone: LogME and the H-score. Pure.

Evidence of a linear model (LogME: You et al. 2021, ICML) and the share of the features' spread that lies between
labels (H-score: Bao et al. 2019; shrunk: Ibrahim et al. 2021). Both are proxies: where the closed-form head itself can
be scored by leave-one-out, that is what counts.
"""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf

ROUNDS = 11
CLOSE = 1e-3
TINY = 1e-5


def logme(features: np.ndarray, goals: np.ndarray) -> float:
    """The greatest log evidence a row of a Bayesian linear model, the mean over columns of `goals`.

    Features are [n, d]; goals 0/1 or numbers [n] or [n, c]. One singular value decomposition, n d min(n, d).
    """
    x = np.asarray(features, np.float64)
    y = np.asarray(goals, np.float64).reshape(len(x), -1)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    sigma = singular**2
    projected = (left.T @ y) ** 2
    rest = np.maximum((y**2).sum(axis=0) - projected.sum(axis=0), 0.0)
    columns = zip(projected.T, rest.tolist(), strict=True)
    rows, width = x.shape
    return float(np.mean([_evidence(sigma, one, left_over, rows, width) for one, left_over in columns]))


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """trace((1 - a) S_between / S), with S the Ledoit-Wolf estimate of the covariance and a its shrinkage.

    Features are [n, d], labels int64 [n]; at most the number of labels less one. Costs n d^2 + d^3.
    """
    x = np.asarray(features, np.float64)
    x = x - x.mean(axis=0)
    covariance, shrinkage = ledoit_wolf(x, assume_centered=True)
    _, place = np.unique(labels, return_inverse=True)
    counts = np.bincount(place)
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, place, x)
    means = sums / counts[:, None]
    between = (means * (counts / len(x))[:, None]).T @ means
    return float((1.0 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))


def evidence(features: np.ndarray, goal: np.ndarray, alpha: float, beta: float) -> float:
    """Log evidence a row of one column at given precisions of the weights (alpha) and of the noise (beta)."""
    x, y = np.asarray(features, np.float64), np.asarray(goal, np.float64)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    projected = (left.T @ y) ** 2
    rest = max(float(y @ y - projected.sum()), 0.0)
    rows, width = x.shape
    return _at(singular**2, projected, rest, rows, width, alpha, beta)


def _evidence(sigma: np.ndarray, projected: np.ndarray, rest: float, rows: int, width: int) -> float:
    """MacKay's fixed point: each round sets both precisions to what the present posterior says of them."""
    alpha = beta = 1.0
    for _ in range(ROUNDS):
        ratio = alpha / beta
        gamma = float((sigma / (sigma + ratio)).sum())
        weights, residual = _sums(sigma, projected, rest, ratio)
        alpha = gamma / (weights + TINY)
        beta = (rows - gamma) / (residual + TINY)
        if abs(alpha / beta - ratio) / ratio <= CLOSE:
            break
    return _at(sigma, projected, rest, rows, width, alpha, beta)


def _at(
    sigma: np.ndarray, projected: np.ndarray, rest: float, rows: int, width: int, alpha: float, beta: float
) -> float:
    weights, residual = _sums(sigma, projected, rest, alpha / beta)
    # Directions beyond the rank have no spread: each adds the logarithm of alpha alone.
    determinant = float(np.log(alpha + beta * sigma).sum()) + (width - len(sigma)) * np.log(alpha)
    total = width * np.log(alpha) + rows * np.log(beta / (2 * np.pi)) - determinant - beta * residual - alpha * weights
    return float(total / (2 * rows))


def _sums(sigma: np.ndarray, projected: np.ndarray, rest: float, ratio: float) -> tuple[float, float]:
    """The squared length of the mean weights, and the squared residual."""
    weights = float((sigma * projected / (ratio + sigma) ** 2).sum())
    residual = float((projected / (1.0 + sigma / ratio) ** 2).sum()) + rest
    return weights, residual
