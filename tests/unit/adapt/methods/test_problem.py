"""Leave-one-out equals refitting without the row, for either solver, form and precision."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt.methods.problem import LEFT_OUT, WEIGHTS, Problem, Spectrum
from candelabra.adapt.statistics import Statistics, fixed, floating

WIDTHS = (20, 20)


def rows(n: int, width: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    centres = random.normal(size=(labels, width))
    return centres[targets] + random.normal(size=(n, width)), np.eye(labels)[targets]


def brute_ridge(z: np.ndarray, y: np.ndarray, penalty: float, out: int) -> np.ndarray:
    keep = np.arange(len(z)) != out
    x, t = z[keep], y[keep]
    centre, share = x.mean(axis=0), t.mean(axis=0)
    weight = np.linalg.solve((x - centre).T @ (x - centre) + penalty * np.eye(z.shape[1]), (x - centre).T @ (t - share))
    return (z[out] - centre) @ weight + share


def brute_lda(z: np.ndarray, y: np.ndarray, penalty: float, out: int) -> np.ndarray:
    """Distances and shares as they are defined, by fitting without the row."""
    keep = np.arange(len(z)) != out
    x, t = z[keep], y[keep]
    counts = t.sum(axis=0)
    means = (t.T @ x) / counts[:, None]
    apart = x - means[t.argmax(axis=1)]
    inverse = np.linalg.inv(apart.T @ apart + penalty * np.eye(z.shape[1]))
    gaps = z[out] - means
    return -0.5 * len(x) * np.einsum("cd,de,ce->c", gaps, inverse, gaps) + np.log(counts / len(x))


BRUTE = {"ridge": brute_ridge, "lda": brute_lda}


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("solver", ["ridge", "lda"])
@pytest.mark.parametrize("how", ["factor", "spectrum"])
def test_a_row_left_out_is_a_refit_without_it(how: str, solver: str, penalty: float, dual: bool) -> None:
    x, truth = rows(18, 40, 3)
    made, everyone = Problem.of(x, truth, WIDTHS, dual=dual), np.arange(18)
    solved = made.solve(penalty, everyone)[0] if how == "factor" else Spectrum.of(made, everyone).solve(penalty)
    expected = [BRUTE[solver](made.z(everyone), truth, penalty * made.unit, out) for out in range(18)]
    # Leverages of the primal are in fp32.
    close = 1e-6 if dual or how == "spectrum" else 1e-4
    np.testing.assert_allclose(LEFT_OUT[solver](solved, truth, made), expected, rtol=close, atol=close)


@pytest.mark.parametrize("kind", ["multi", "numbers", "shares"])
@pytest.mark.parametrize("dual", [False, True])
def test_ridge_leaves_out_rows_of_any_truth(kind: str, dual: bool) -> None:
    x, _ = rows(30, 12, 3)
    random = np.random.default_rng(1)
    truth = {
        "multi": (random.random((30, 4)) < 0.3).astype(float),
        "numbers": random.normal(5, 100, size=(30, 1)),
        "shares": random.dirichlet(np.ones(3), size=30),
    }[kind]
    made, everyone = Problem.of(x, truth, (6, 6), dual=dual), np.arange(30)
    found = LEFT_OUT["ridge"](made.solve(0.1, everyone)[0], truth, made)
    expected = [brute_ridge(made.z(everyone), truth, 0.1 * made.unit, out) for out in range(30)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", ["ridge", "lda"])
def test_both_forms_are_the_same_head(solver: str) -> None:
    x, truth = rows(20, 30, 3)
    ours = []
    for dual in (False, True):
        made = Problem.of(x, truth, (15, 15), dual=dual)
        ours.append(WEIGHTS[solver](*made.solve(0.1, np.arange(20)), made))
    for one, other in zip(*ours, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_lda_weights_give_the_densities() -> None:
    x, truth = rows(40, 6, 3)
    made = Problem.of(x, truth, (3, 3))
    weight, bias = WEIGHTS["lda"](*made.solve(0.1, np.arange(40)), made)
    z, own = made.z(np.arange(40)), truth.argmax(axis=1)
    means = np.array([z[own == label].mean(axis=0) for label in range(3)])
    within = (z - means[own]).T @ (z - means[own])
    inverse = np.linalg.inv(within + 0.1 * made.unit * np.eye(6))
    gaps = z[:, None, :] - means[None, :, :]
    full = -0.5 * 40 * np.einsum("ncd,de,nce->nc", gaps, inverse, gaps) + np.log(truth.mean(axis=0))
    ours = x @ weight + bias
    np.testing.assert_allclose(ours - ours[:, :1], full - full[:, :1], rtol=1e-7, atol=1e-8)


def test_a_labels_only_row_is_missed_when_left_out_and_moves_nothing_else() -> None:
    x, truth = rows(16, 5, 2)
    x = np.vstack([x, x[0] + 3.0])
    truth = np.vstack([np.pad(truth, ((0, 0), (0, 1))), [0, 0, 1]])
    made = Problem.of(x, truth, (5,))
    found = LEFT_OUT["lda"](made.solve(0.1, np.arange(17))[0], truth, made)
    assert np.isfinite(found).all()
    assert found[16].argmax() != 2


def test_a_part_of_the_rows_is_left_out_of_a_fit_on_all() -> None:
    x, truth = rows(60, 8, 3)
    whole, some = Problem.of(x, truth, (4, 4)), np.array([50, 3, 7])
    part = Problem.of(x[some], truth[:0], (4, 4), Statistics.of(x, truth))
    expected = LEFT_OUT["lda"](whole.solve(0.1, some)[0], truth[some], whole)
    found = LEFT_OUT["lda"](part.solve(0.1, np.arange(3))[0], truth[some], part)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_rows_on_the_grid_are_read_as_the_numbers_they_stand_for() -> None:
    x, truth = rows(30, 8, 3)
    x = x / np.abs(x).max()
    one, other = Problem.of(fixed(x), truth, (8,)), Problem.of(floating(fixed(x)), truth, (8,))
    np.testing.assert_array_equal(one.solve(1.0, np.arange(30))[1], other.solve(1.0, np.arange(30))[1])


def test_blocks_have_the_same_say_whatever_their_width_and_size() -> None:
    x, truth = rows(50, 9, 2)
    x[:, 8] *= 1000
    z = Problem.of(x, truth, (8, 1)).z(np.arange(50))
    assert (z[:, :8] ** 2).sum() == pytest.approx((z[:, 8] ** 2).sum())
    x[:, 8] = 3.0
    assert not Problem.of(x, truth, (8, 1)).z(np.arange(50))[:, 8].any()
