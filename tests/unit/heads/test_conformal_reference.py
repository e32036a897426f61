"""Prediction sets are those of a library that does nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from candelabra.heads.guards import Conformal, Guards

mapie = pytest.importorskip("mapie.classification", reason="mapie is not installed (a development dependency)")


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose rows are its probabilities."""

    def __init__(self, labels: int = 4) -> None:
        self.labels = labels

    def fit(self, x: np.ndarray, y: np.ndarray) -> Given:
        self.classes_ = np.arange(self.labels)
        self.fitted_ = True
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x.argmax(axis=1))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x


def probabilities(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    z = np.exp(2 * random.normal(size=(rows, 4)))
    shares = z / z.sum(axis=1, keepdims=True)
    return shares, np.array([random.choice(4, p=one) for one in shares])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("rows", [50, 333, 1000])
def test_sets_equal_those_of_mapie(coverage: float, rows: int) -> None:
    known, truth = probabilities(rows, rows)
    unseen, _ = probabilities(200, 9)
    reference = mapie.SplitConformalClassifier(
        Given().fit(known, truth), confidence_level=coverage, conformity_score="lac", prefit=True
    ).conformalize(known, truth)
    _, wanted = reference.predict_set(unseen)
    guards = Guards(Conformal.of("label", 1 - known[np.arange(rows), truth]))
    assert (guards.prediction_sets(unseen, coverage) == wanted[:, :, 0]).mean() > 0.999
