"""From logits to probabilities that mean what they say, and from probabilities to thresholds."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, logsumexp

LOWEST, HIGHEST = 1e-4, 1e4
STEPS = 50
SMOOTHING = 50.0
"""Rows at which a label's own threshold counts as much as the one that all labels share."""


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean over rows; summed over labels for multi-label targets [n, labels]."""
    if targets.ndim == 2:
        signs = 2.0 * targets - 1.0
        return float(-log_expit(signs * logits).sum(axis=1).mean())
    return float((logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]).mean())


def temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature that minimises the negative log likelihood of label indices [n], or of shares [n, labels].

    It is convex in 1 / temperature, so Newton with bisection as its guard finds the minimum in a few steps.
    Where every row is right with any margin the best temperature is 0; the bound keeps it usable.
    """
    if len(targets) == 0:
        return 1.0
    z = logits - logits.max(axis=1, keepdims=True)
    own = (z * targets).sum(axis=1) if targets.ndim == 2 else z[np.arange(len(targets)), targets]
    scale = max(float(np.abs(z).mean()), 1e-12)
    # One right row in spirit keeps a perfectly separated set from asking for infinite sharpness.
    prior = 1.0 / len(targets)
    low, high, beta = LOWEST / scale, HIGHEST / scale, 1.0 / scale
    for _ in range(STEPS):
        p = np.exp(beta * z)
        p /= p.sum(axis=1, keepdims=True)
        mean = (p * z).sum(axis=1)
        slope = float((mean - own).mean()) + prior * scale
        curve = float(((p * z * z).sum(axis=1) - mean**2).mean())
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curve if curve > 1e-12 else -1.0
        new = step if low < step < high else float(np.sqrt(low * high))
        if abs(new - beta) <= (1e-6 if z.dtype == np.float64 else 1e-4) * beta:
            break
        beta = new
    return 1.0 / beta


def platt(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each label's logit, by Newton on all labels at once.

    Targets are softened as Platt proposed, and the scale is never negative: a label whose scores say nothing
    gets its frequency.
    """
    y = targets.astype(float)
    positives = y.sum(axis=0)
    negatives = len(y) - positives
    soft = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = logits.mean(axis=0), logits.std(axis=0) + 1e-12
    x = (logits - centre) / spread
    slope = np.ones(x.shape[1])
    shift = np.log((positives + 1) / (negatives + 1))
    for _ in range(STEPS):
        p = expit(slope * x + shift)
        weight = np.maximum(p * (1 - p), 1e-9)
        g0, g1 = (p - soft).mean(axis=0), ((p - soft) * x).mean(axis=0) + 1e-6 * slope
        h00, h01 = weight.mean(axis=0), (weight * x).mean(axis=0)
        h11 = (weight * x * x).mean(axis=0) + 1e-6
        determinant = np.maximum(h00 * h11 - h01**2, 1e-12)
        move_shift = (h11 * g0 - h01 * g1) / determinant
        move_slope = (h00 * g1 - h01 * g0) / determinant
        # Newton can leap where a label is nearly separated; a bounded step still converges.
        largest = np.maximum(np.abs(move_shift), np.abs(move_slope))
        damp = np.minimum(1.0, 2.0 / np.maximum(largest, 1e-12))
        shift, slope = shift - damp * move_shift, np.maximum(slope - damp * move_slope, 0.0)
        if float(largest.max()) < 1e-6:
            break
    scale = slope / spread
    return scale, shift - scale * centre


def shared_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The one threshold for all labels that maximises micro F1."""
    return _best_threshold(probabilities.ravel(), truth.ravel())


def label_thresholds(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A threshold for each label: its own best F1, pulled to the shared one the more the fewer rows it has."""
    shared = shared_threshold(probabilities, truth)
    thresholds = np.full(truth.shape[1], shared)
    for at in range(truth.shape[1]):
        positives = float(truth[:, at].sum())
        if positives:
            own = _best_threshold(probabilities[:, at], truth[:, at])
            thresholds[at] = (positives * own + SMOOTHING * shared) / (positives + SMOOTHING)
    return thresholds


def recall_threshold(probabilities: np.ndarray, truth: np.ndarray, floor: float) -> float:
    """The highest threshold at which at least `floor` of the true rows reach it; 0.5 where there are none."""
    found = np.sort(probabilities[truth.astype(bool)])[::-1]
    if len(found) == 0:
        return 0.5
    needed = min(len(found), max(1, int(np.ceil(floor * len(found) - 1e-9))))
    # A hair below the last needed row: the served float32 may differ in its last digits.
    return float(max(found[needed - 1] * (1 - 1e-5), 0.0))


def _best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    order = np.argsort(-probabilities, kind="stable")
    sorted_scores = probabilities[order]
    hits = np.cumsum(truth[order])
    if len(hits) == 0 or hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
    # Rows with equal scores fall together: only the last of them is a place to cut.
    cut = np.append(sorted_scores[:-1] > sorted_scores[1:], True)
    best = int(np.where(cut, f1, -1).argmax())
    below = sorted_scores[best + 1] if best + 1 < len(order) else 0.0
    return float((sorted_scores[best] + below) / 2)
