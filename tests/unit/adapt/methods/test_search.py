"""Losses say what they should; a climb stops where it no longer pays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from candelabra.adapt.methods.problem import Problem
from candelabra.adapt.methods.search import GRID, Search, Wanted, solve
from candelabra.types import TaskKind


def shares(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    z = random.normal(size=(n, 3))
    return z, np.exp(log_softmax(2.0 * z, axis=1))


def test_shares_are_compared_as_shares() -> None:
    z, truth = shares()
    wanted, rows = Wanted(TaskKind.SINGLE_LABEL, truth, truth.argmax(axis=1), soft=True), np.arange(400)
    assert wanted.temperature(z, rows) == pytest.approx(0.5, rel=0.02)
    entropy = -(truth * np.log(truth)).sum(axis=1).mean()
    assert wanted.losses(z, rows).mean() == pytest.approx(entropy, rel=0.01)
    assert wanted.solvers == ("ridge",)


def test_a_climb_ends_beside_the_best_penalty() -> None:
    random = np.random.default_rng(1)
    targets = np.arange(120) % 3
    x = np.eye(3)[targets] @ random.normal(size=(3, 30)) * 0.4 + random.normal(size=(120, 30))
    wanted = Wanted(TaskKind.SINGLE_LABEL, np.eye(3)[targets], targets)
    search = Search(Problem.of(x, wanted.truth, (30,)), wanted, np.arange(120), lambda *_: None)
    for solver in wanted.solvers:
        best = min(search.at(solver, penalty, step).loss for step, penalty in enumerate(GRID))
        assert search.climb(solver).loss <= best * 1.01
        assert search.climb(solver, 0.5).parts == ((solver, 0.5, 1.0),)
    assert search.run(wanted.solvers).loss <= search.climb("lda").loss


def test_a_sum_is_one_linear_function_of_both() -> None:
    random = np.random.default_rng(1)
    x, targets = random.normal(size=(60, 8)), np.arange(60) % 2
    wanted = Wanted(TaskKind.SINGLE_LABEL, np.eye(2)[targets], targets)
    problem, rows = Problem.of(x, wanted.truth, (8,)), np.arange(60)
    one = solve(problem, wanted, (("ridge", 0.1, 1.0),), rows)
    other = solve(problem, wanted, (("lda", 1.0, 1.0),), rows)
    both = solve(problem, wanted, (("ridge", 0.1, 2.0), ("lda", 1.0, 0.5)), rows)
    np.testing.assert_allclose(both.weight, 2 * one.weight + 0.5 * other.weight)
    np.testing.assert_allclose(both.outputs, 2 * one.outputs + 0.5 * other.outputs)
