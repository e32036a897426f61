"""Wrong labels and near copies are found, in planted data and in a real set with flipped labels."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from candelabra.adapt.audit import audit, near_duplicates, suspicion


def clusters(rows: int, labels: int, width: int = 16, spread: float = 0.35, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(labels, width))
    truth = random.integers(0, labels, rows)
    return centres[truth] + spread * random.normal(size=(rows, width)), truth


def flipped(truth: np.ndarray, labels: int, share: float = 0.1, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    given = truth.copy()
    at = random.choice(len(truth), int(share * len(truth)), replace=False)
    given[at] = (given[at] + random.integers(1, labels, len(at))) % labels
    return given


def unseen(x: np.ndarray, given: np.ndarray, labels: int, ridge: float = 1.0) -> np.ndarray:
    """Leave-one-out scores of ridge regression on 0/1 labels, sharpened to probabilities [n, labels]."""
    x = np.hstack([x, np.ones((len(x), 1))])
    y = np.eye(labels)[given]
    hat = x @ np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T)
    left = 1 - np.diag(hat)[:, None]
    scores = 10 * (hat @ y - np.diag(hat)[:, None] * y) / left
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def test_flipped_labels_come_first() -> None:
    x, truth = clusters(600, 5)
    given = flipped(truth, 5)
    score, suggested, doubted = suspicion(unseen(x, given, 5), given)
    wrong = given != truth
    assert roc_auc_score(wrong, score) >= 0.99
    assert (suggested[wrong] == truth[wrong]).mean() > 0.95
    assert doubted[wrong].mean() > 0.9
    assert doubted[~wrong].mean() < 0.05
    assert ((score >= 0) & (score <= 1)).all()


def test_the_ranking_is_by_the_given_label_s_probability() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
    score, suggested, _ = suspicion(p, np.array([0, 0, 2]))
    assert score.tolist() == pytest.approx([0.3, 0.9, 0.6])
    assert suggested.tolist() == [1, 1, 0]


def test_a_label_needs_its_own_usual_probability_to_be_suggested() -> None:
    """Label 1 is always given with 0.9: a row that has it at 0.6 is not yet one of them."""
    p = np.array([[0.4, 0.6], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.05, 0.95]])
    _, _, doubted = suspicion(p, np.array([0, 0, 1, 1, 0]))
    assert doubted.tolist() == [False, False, False, False, True]


def test_near_copies_are_the_pairs_that_all_comparisons_find() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2500, 24)).astype(np.float32)
    x[1100] = x[3] * 2 + 0.01
    x[2400] = x[1100]
    x[2401] = x[2400]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    alike = np.tril(unit @ unit.T, -1)
    found = near_duplicates(x)
    assert [row for row, _, _ in found] == np.flatnonzero((alike >= 0.98).any(axis=1)).tolist() == [1100, 2400, 2401]
    assert all(alike[row, of] == pytest.approx(cosine, abs=1e-5) for row, of, cosine in found)


def test_rows_are_named_by_position_and_id() -> None:
    x, truth = clusters(200, 3, width=64, spread=0.6, seed=4)
    given = truth.copy()
    given[7] = (given[7] + 1) % 3
    texts = [f"The kettle number {row} sings" for row in range(200)]
    texts[20], texts[21] = "the KETTLE, number 9 sings!", "The kettle number 9 sings"
    given[9], given[20], given[21] = 0, 0, 1
    x[[20, 21]] = x[9]
    found = audit(
        texts, x, unseen(x, given, 3), given, ("a", "b", "c"), range(0, 400, 2), [f"id{row}" for row in range(200)]
    )
    assert (14, "id7") in [(one.position, one.id) for one in found.suspects[:4]]
    assert found.examined == 200
    assert [(one.position, one.of_position, one.of_id, one.conflicting) for one in found.duplicates] == [
        (42, 18, "id9", True),
        (40, 18, "id9", False),
    ]
    assert 0 < found.noise < 0.05
    assert len(audit(texts, x, unseen(x, given, 3), given, ("a", "b", "c"), range(200), limit=3).suspects) == 3


def test_second_texts_tell_pairs_apart() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8))
    p, given = np.full((3, 2), 0.5), np.array([0, 1, 0])
    pairs = ["red", "blue", "Red."]
    found = audit(["same"] * 3, x, p, given, ("a", "b"), range(3), pairs=pairs)
    assert [(one.position, one.of_position) for one in found.duplicates] == [(2, 0)]


def test_ten_thousand_rows_are_ranked_within_a_second() -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(77), 10_000)
    given = random.integers(0, 77, 10_000)
    began = time.process_time()
    suspicion(p, given)
    assert time.process_time() - began < 1.0
