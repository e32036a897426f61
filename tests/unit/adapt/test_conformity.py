"""Prediction sets cover as asked, and where they do not it is counted."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt import conformity
from candelabra.adapt.training import TrainSpec
from candelabra.plugin import GateRules
from candelabra.types import Method, TaskKind


def spec(coverage: float = 0.0) -> TrainSpec:
    return TrainSpec(
        task_kind=TaskKind.SINGLE_LABEL,
        method=Method.CLOSED_FORM,
        metric="accuracy",
        backbone="b",
        domain="d",
        task="t",
        gate=GateRules(coverage=coverage) if coverage else GateRules(),
    )


def test_a_row_scores_by_the_label_that_fits_worst() -> None:
    single = conformity.of_rows(np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0]))
    assert single == pytest.approx([0.3, 0.8])
    several = conformity.of_rows(np.array([[0.9, 0.6], [0.1, 0.1]]), np.array([[1, 1], [0, 0]]))
    assert several == pytest.approx([0.4]), "a row without a label has none"


@pytest.mark.parametrize("asked", [0.8, 0.95])
def test_halves_of_one_set_cover_each_other_as_asked(asked: float) -> None:
    found = conformity.covered("label", np.random.default_rng(0).uniform(size=4000), None, spec(asked))
    assert (found.asked, found.rows) == (asked, 4000)
    assert found.covered / found.rows == pytest.approx(asked, abs=0.02)


def test_rows_that_fit_worse_than_those_the_sets_are_made_from_are_not_covered() -> None:
    random = np.random.default_rng(1)
    usual, hard = random.uniform(size=2000), random.uniform(0.2, 1.2, size=2000)
    found = conformity.covered("label", hard, usual, spec())
    assert found.covered / found.rows == pytest.approx(0.7, abs=0.03)
