"""One penalised least-squares problem, from which ridge and shared-covariance LDA come with exact leave-one-out.

Coordinates are centred features, scaled alike within a block (a slot, as a rule), so that every block has the same
total variance. With S their scatter, C = zᵀ(y - mean y), A = (S + penalty I)^-1 and n rows, both solvers need only

    fit = z A C [rows, k],   leverage h = zᵀ A z [rows],   inner = Cᵀ A C [k, k].

- ridge with a free intercept leaves a row out by: fit = y - (y - fit)/(1 - h - 1/n)   (Allen's PRESS);
- LDA's within-label scatter is W = S - C N^-1 Cᵀ with N the labels' counts, so by Woodbury, with G = (N - inner)^-1,
  zᵀ(W + penalty I)^-1 z = h + fit G fitᵀ, and its weights are n A C G. Taking row x of label y out moves the mean of
  y to m_y - d/(n_y - 1), d = x - m_y, and takes k d dᵀ, k = n_y/(n_y - 1), from W: with q_j the distance to mean j
  and c_j = (x - m_j)ᵀPd, distance_j = q_j + k c_j²/(1 - k q_y) for other labels, and k² q_y/(1 - k q_y) for y.

So one eigendecomposition of S (or, for fewer rows than features, of z zᵀ) serves every penalty and both solvers: that
is `Spectrum`, in fp32, which chooses. `Problem.solve` is one Cholesky in fp64, which gives the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, eigh, solve_triangular
from scipy.linalg.lapack import dpotri

from candelabra.adapt.statistics import Statistics, floating

CHUNK = 1024
TINY = 1e-12
SMALL = 256
"""Up to this order an eigendecomposition is in fp64: it costs nothing."""


@dataclass(frozen=True, eq=False)
class Solved:
    """At one penalty, of m rows: `fit` [m, k], `leverage` [m], `inner` [k, k]."""

    fit: np.ndarray
    leverage: np.ndarray
    inner: np.ndarray


@dataclass(frozen=True, eq=False)
class Problem:
    """`features` [m, d], int16 as `statistics.fixed` gives them or floats, are the rows that may be left out: all n,
    or in the primal any part of them.

    `matrix` is the lower triangle of the scatter [d, d], or in the dual of the kernel [n, n]; `right` are the scaled
    cross products [d, k], or in the dual the centred truth [n, k].
    """

    features: np.ndarray
    rows: int
    counts: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    unit: float
    """Mean eigenvalue of the scatter: penalties are given relative to it."""
    matrix: np.ndarray
    right: np.ndarray
    dual: bool

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        truth: np.ndarray,
        blocks: Sequence[int],
        statistics: Statistics | None = None,
        dual: bool | None = None,
    ) -> Problem:
        """Of truth [n, k] and blocks of features with these widths. The smaller of the two forms, unless told.

        `statistics`, where they were made before, are of all rows; then `features` and `truth` may be a part of them.
        """
        if dual is None:
            dual = statistics is None and len(features) < features.shape[1]
        return cls._dual(features, truth, blocks) if dual else cls._primal(features, truth, blocks, statistics)

    @classmethod
    def _primal(
        cls, features: np.ndarray, truth: np.ndarray, blocks: Sequence[int], statistics: Statistics | None
    ) -> Problem:
        sums = Statistics.of(features, truth) if statistics is None else statistics
        scatter = sums.scatter
        scale = block_scale(np.diag(scatter), blocks)
        scatter *= scale[:, None]
        scatter *= scale
        unit = max(float(np.trace(scatter)) / len(scale), TINY)
        right = sums.centred_cross * scale[:, None]
        return cls(features, sums.rows, sums.counts, sums.mean, scale, unit, scatter, right, False)

    @classmethod
    def _dual(cls, features: np.ndarray, truth: np.ndarray, blocks: Sequence[int]) -> Problem:
        wide = floating(features) if features.dtype == np.int16 else features.astype(np.float64)
        mean, counts = wide.mean(axis=0), truth.sum(axis=0)
        wide -= mean
        scale = block_scale(np.einsum("nd,nd->d", wide, wide), blocks)
        wide *= scale
        kernel = wide @ wide.T
        unit = max(float(np.trace(kernel)) / len(scale), TINY)
        return cls(features, len(features), counts, mean, scale, unit, kernel, truth - counts / len(truth), True)

    @property
    def share(self) -> np.ndarray:
        """Mean truth [k]."""
        share: np.ndarray = self.counts / max(self.rows, 1)
        return share

    def z(self, rows: np.ndarray, dtype: type[np.float32] | type[np.float64] = np.float64) -> np.ndarray:
        """Coordinates [rows, d] of some rows."""
        part = self.features[rows]
        wide = floating(part, dtype) if part.dtype == np.int16 else part.astype(dtype)
        wide -= self.mean.astype(dtype)
        wide *= self.scale.astype(dtype)
        return wide

    def factor(self, penalty: float) -> np.ndarray:
        shifted = self.matrix.copy(order="F")
        shifted.flat[:: len(shifted) + 1] += penalty * self.unit
        return np.asarray(cholesky(shifted, lower=True, overwrite_a=True, check_finite=False))

    def solve(self, penalty: float, rows: np.ndarray) -> tuple[Solved, np.ndarray]:
        """What `rows` need, and A C [d, k] on coordinates, in fp64 but the leverage of a primal problem.

        Costs d³/3 + d² (k + rows) operations, or n³ + n d k in the dual.
        """
        lower = self.factor(penalty)
        solution = cho_solve((lower, True), self.right, check_finite=False)
        if not self.dual:
            inner = self.right.T @ solution
            return self._of_rows(lower, solution, inner, rows), solution
        inverse, _ = dpotri(lower, lower=1)
        leverage = 1.0 - penalty * self.unit * np.diag(inverse)[rows]
        everyone = np.arange(self.rows)
        weights: np.ndarray = self.z(everyone).T @ solution
        # kernel @ solution, without the kernel's rounding: right - penalty x solution.
        fit = self.right - penalty * self.unit * solution
        return Solved(fit[rows], leverage, self.right.T @ fit), weights

    def _of_rows(self, lower: np.ndarray, solution: np.ndarray, inner: np.ndarray, rows: np.ndarray) -> Solved:
        """In parts, so that ten thousand rows do not need a second copy of all features."""
        half = np.asfortranarray(lower, np.float32)
        thin = solution.astype(np.float32)
        fit, leverage = np.empty((len(rows), solution.shape[1])), np.empty(len(rows))
        for start in range(0, len(rows), CHUNK):
            at = slice(start, start + CHUNK)
            z = self.z(rows[at], np.float32)
            fit[at] = z @ thin
            u = solve_triangular(half, z.T, lower=True, overwrite_b=True, check_finite=False)
            leverage[at] = np.einsum("dn,dn->n", u, u)
        return Solved(fit, leverage, inner)

    def to_features(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights on coordinates, brought to weights on features."""
        wide = self.scale[:, None] * weights
        return wide, bias - self.mean @ wide


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues [r], and in their basis some rows [m, r] and the right side [r, k]: any penalty for m r k."""

    problem: Problem
    values: np.ndarray
    z: np.ndarray
    squares: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, problem: Problem, rows: np.ndarray) -> Spectrum:
        """One eigendecomposition of order min(n, d), in fp32: enough to choose by."""
        dtype = np.float64 if len(problem.matrix) <= SMALL else np.float32
        values, vectors = eigh(problem.matrix.astype(dtype), driver="evd", overwrite_a=True, check_finite=False)
        values = np.maximum(values, 0)
        if problem.dual:
            roots = np.sqrt(values)
            z, right = vectors[rows] * roots, roots[:, None] * (vectors.T @ problem.right)
        else:
            z, right = problem.z(rows, dtype) @ vectors, vectors.T @ problem.right
        return cls(problem, values, z, z * z, right)

    def solve(self, penalty: float) -> Solved:
        shrink = 1.0 / (self.values + penalty * self.problem.unit)
        shrunk = shrink[:, None] * self.right
        fit = self.z @ shrunk.astype(self.z.dtype)
        return Solved(fit.astype(np.float64), self.squares @ shrink.astype(self.z.dtype), self.right.T @ shrunk)


def ridge_left_out(solved: Solved, truth: np.ndarray, problem: Problem) -> np.ndarray:
    """Outputs [m, k] for rows with `truth`, each by a fit without it."""
    missed = truth - (solved.fit + problem.share)
    leverage = solved.leverage + 1.0 / problem.rows
    left: np.ndarray = truth - missed / np.maximum(1.0 - leverage, TINY)[:, None]
    return left


def ridge_weights(_: Solved, solution: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return problem.to_features(solution, problem.share)


def lda_left_out(solved: Solved, truth: np.ndarray, problem: Problem) -> np.ndarray:
    """Log densities plus log shares [m, k] for rows with one-hot `truth`, each by a fit without it."""
    counts, n = problem.counts, problem.rows
    own, at = truth.argmax(axis=1), np.arange(len(truth))
    towards, between = _woodbury(solved, counts)
    dots = solved.fit @ towards
    length = (solved.leverage + np.einsum("nk,nk->n", dots, solved.fit))[:, None]
    q = length - 2 * dots + np.diag(between)
    c = length - dots[at, own][:, None] - dots + between[own]
    mine = q[at, own]
    # A label's only row: there is no mean without it, and its own scatter is zero, so nothing else moves.
    alone = counts[own] < 2
    k = np.where(alone, 0.0, counts[own] / np.maximum(counts[own] - 1, 1))
    rest = np.maximum(1 - k * mine, TINY)
    distance = q + (k / rest)[:, None] * c**2
    distance[at, own] = k**2 * mine / rest
    prior = np.tile(np.log(np.maximum(counts, TINY) / max(n - 1, 1)), (len(truth), 1))
    prior[at, own] = np.log(np.maximum(counts[own] - 1, TINY) / max(n - 1, 1))
    logits: np.ndarray = prior - 0.5 * (n - 1) * distance
    if alone.any():
        lowest, highest = logits.min(axis=1), logits.max(axis=1)
        logits[at[alone], own[alone]] = (2 * lowest - highest - 1)[alone]
    return logits


def lda_weights(solved: Solved, solution: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    towards, between = _woodbury(solved, problem.counts)
    share = np.log(np.maximum(problem.share, TINY))
    return problem.to_features(problem.rows * solution @ towards, share - 0.5 * problem.rows * np.diag(between))


def _woodbury(solved: Solved, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """G [k, k], and the labels' means in the metric of the within-label scatter: M P Mᵀ [k, k]."""
    held = np.maximum(counts, 1)
    lower = cholesky(np.diag(held) - solved.inner, lower=True, check_finite=False)
    towards = cho_solve((lower, True), np.eye(len(counts)), check_finite=False)
    between = (solved.inner @ towards) / held[:, None]
    return towards, between


LEFT_OUT: dict[str, Callable[[Solved, np.ndarray, Problem], np.ndarray]] = {
    "ridge": ridge_left_out,
    "lda": lda_left_out,
}
WEIGHTS: dict[str, Callable[[Solved, np.ndarray, Problem], tuple[np.ndarray, np.ndarray]]] = {
    "ridge": ridge_weights,
    "lda": lda_weights,
}


def block_scale(squares: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """One factor a block, repeated for its features, that gives every block the same total variance [d]."""
    starts = np.cumsum([0, *blocks[:-1]])
    total = np.add.reduceat(squares, starts)
    # A block that never varies is left out: it carries nothing either way.
    worth = total > TINY * max(float(total.max()), TINY)
    factor = np.where(worth, 1 / np.sqrt(np.maximum(total, TINY * TINY)), 0.0)
    scale: np.ndarray = np.repeat(factor, blocks)
    return scale
