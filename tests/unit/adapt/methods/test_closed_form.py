"""Leave-one-out equals refitting without the row; statistics add and subtract exactly."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt import closed_form
from candelabra.adapt.closed_form import Options, default_slots, fit
from candelabra.adapt.problem import Lda, Problem, Ridge
from candelabra.adapt.scores import one_hot
from candelabra.adapt.statistics import Statistics
from candelabra.errors import InvalidArgument
from candelabra.types import BackboneInfo, Progress, Slot

SLOTS = (Slot(0, "mean"), Slot(1, "mean"))


def rows(n: int, width: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    centres = random.normal(size=(labels, width))
    return centres[targets] + random.normal(size=(n, width)), targets


def problem(x: np.ndarray, truth: np.ndarray, dual: bool) -> Problem:
    if dual:
        return Problem.dual(x, truth, 2)
    return Problem.primal(x, truth, Statistics.of(x, truth), 2)


def tell(_: Progress) -> None:
    return None


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


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_ridge_leave_one_out_is_refitting(dual: bool, penalty: float) -> None:
    x, targets = rows(18, 40, 3)
    truth = one_hot(targets, 3).astype(float)
    made = problem(x, truth, dual)
    found = Ridge.fit(made, penalty).leave_one_out(np.arange(18))
    expected = [brute_ridge(made.z, truth, penalty * made.unit, out) for out in range(18)]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_lda_leave_one_out_is_refitting(dual: bool, penalty: float) -> None:
    x, targets = rows(18, 40, 3)
    truth = one_hot(targets, 3).astype(float)
    made = problem(x, truth, dual)
    found = Lda.fit(made, penalty).leave_one_out(np.arange(18))
    expected = [brute_lda(made.z, truth, penalty * made.unit, out) for out in range(18)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_multi_label_leave_one_out_is_refitting() -> None:
    x, _ = rows(30, 8, 3)
    truth = (np.random.default_rng(1).random((30, 4)) < 0.3).astype(float)
    made = problem(x, truth, False)
    found = Ridge.fit(made, 0.1).leave_one_out(np.arange(30))
    expected = [brute_ridge(made.z, truth, 0.1 * made.unit, out) for out in range(30)]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", [Ridge, Lda])
def test_primal_and_dual_are_the_same_head(solver: type[Ridge] | type[Lda]) -> None:
    x, targets = rows(20, 30, 3)
    truth = one_hot(targets, 3).astype(float)
    ours = [solver.fit(problem(x, truth, dual), 0.1) for dual in (False, True)]
    for one, other in zip(ours[0].weights(), ours[1].weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_lda_weights_give_the_densities() -> None:
    x, targets = rows(40, 6, 3)
    truth = one_hot(targets, 3).astype(float)
    made = problem(x, truth, False)
    weight, bias = Lda.fit(made, 0.1).weights()
    inverse = np.linalg.inv(Lda.within(made) + 0.1 * made.unit * np.eye(6))
    gaps = made.z[:, None, :] - made.means()[None, :, :]
    full = -0.5 * 40 * np.einsum("ncd,de,nce->nc", gaps, inverse, gaps) + np.log(truth.mean(axis=0))
    ours = x @ weight + bias
    np.testing.assert_allclose(ours - ours[:, :1], full - full[:, :1], rtol=1e-7, atol=1e-8)


def test_a_labels_only_row_is_missed_when_left_out_and_moves_nothing_else() -> None:
    x, targets = rows(16, 5, 2)
    targets = np.append(targets, 2)
    x = np.vstack([x, x[0] + 3.0])
    truth = one_hot(targets, 3).astype(float)
    found = Lda.fit(problem(np.tile(x, (1, 2)), truth, False), 0.1).leave_one_out(np.arange(17))
    assert np.isfinite(found).all()
    assert found[16].argmax() != 2


def test_statistics_add_and_subtract_exactly() -> None:
    x, targets = rows(200, 12, 4)
    truth = one_hot(targets, 4)
    whole, part = Statistics.of(x, truth), Statistics.of(x[:60], truth[:60])
    rest = Statistics.of(x[60:], truth[60:])
    for name in ("rows", "total", "gram", "cross", "counts"):
        np.testing.assert_allclose(getattr(whole - part, name), getattr(rest, name), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(getattr(rest + part, name), getattr(whole, name), rtol=1e-11, atol=1e-11)


def test_fit_learns_and_its_leave_one_out_is_honest() -> None:
    x, targets = rows(240, 24, 3)
    truth = one_hot(targets, 3).astype(float)
    fitted = fit(x[:120], SLOTS, targets[:120], truth[:120], Options(), 0, tell)
    columns = slice(None) if len(fitted.slots) == 2 else slice(12, None)
    unseen = ((x[120:, columns] @ fitted.weight + fitted.bias).argmax(axis=1) == targets[120:]).mean()
    left_out = (fitted.logits.argmax(axis=1) == targets[:120]).mean()
    assert unseen > 0.9
    assert abs(unseen - left_out) < 0.08


def test_shuffled_labels_teach_nothing() -> None:
    x, targets = rows(150, 24, 3)
    targets = np.random.default_rng(3).permutation(targets)
    fitted = fit(x, SLOTS, targets, one_hot(targets, 3).astype(float), Options(), 0, tell)
    assert (fitted.logits.argmax(axis=1) == targets).mean() < 0.5


@pytest.mark.parametrize("shape", ["constant", "duplicate", "one row a label", "two of each"])
def test_poor_features_are_survived(shape: str) -> None:
    x, targets = rows(12, 10, 2)
    if shape == "constant":
        x = np.ones_like(x)
    elif shape == "duplicate":
        x = np.repeat(x[:, :5], 2, axis=1)
    elif shape == "one row a label":
        x, targets = x[:2], targets[:2]
    else:
        x, targets = x[:4], targets[:4]
    fitted = fit(x, SLOTS, targets, one_hot(targets, 2).astype(float), Options(), 0, tell)
    assert np.isfinite(fitted.weight).all()
    assert np.isfinite(fitted.bias).all()
    assert np.isfinite(fitted.logits).all()


def test_what_the_caller_fixed_is_kept() -> None:
    x, targets = rows(40, 10, 2)
    options = Options.parse({"solver": "lda", "layers": [1], "ridge": 0.5}, SLOTS, False)
    fitted = fit(x, SLOTS, targets, one_hot(targets, 2).astype(float), options, 0, tell)
    assert fitted.slots == (Slot(1, "mean"),)
    assert (fitted.chosen["solver"], fitted.chosen["ridge"]) == ("lda", "0.5")


@pytest.mark.parametrize(
    ("options", "multi"),
    [
        ({"solver": "svm"}, False),
        ({"solver": "lda"}, True),
        ({"ridge": 0.0}, False),
        ({"ridge": float("nan")}, False),
        ({"ridge": "much"}, False),
        ({"layers": [9]}, False),
        ({"layers": 1}, False),
        ({"hidden": 3}, False),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], multi: bool) -> None:
    with pytest.raises(InvalidArgument):
        Options.parse(options, SLOTS, multi)


@pytest.mark.parametrize(("layers", "dimension"), [(6, 384), (12, 768), (24, 1024), (2, 32), (1, 8)])
def test_default_slots_fit_the_backbone(layers: int, dimension: int) -> None:
    info = BackboneInfo("b", "f", layers, dimension, 128, "cpu", "fp32", "torch")
    slots = default_slots(info)
    assert len(set(slots)) == len(slots)
    assert all(0 <= slot.layer <= layers for slot in slots)
    assert Slot(layers, "mean") in slots
    assert len(slots) * dimension <= max(closed_form.WIDTH, 2 * dimension)
