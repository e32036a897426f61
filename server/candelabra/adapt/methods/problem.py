"""Ridge and shared-covariance LDA on one layer set, with exact leave-one-out for any penalty.

Both are solved in coordinates `z` = centred features, scaled alike within a slot. The penalty is isotropic, so any
rotation of them gives the same answer: where there are far fewer rows than features, `z` is the rotation that needs
only as many coordinates as rows (the dual), and one eigendecomposition of the kernel then serves every penalty.

Leave-one-out, with P = (scatter + penalty I)^-1, u = L^-1 z and L the Cholesky factor:

- ridge with a free intercept: residual / (1 - h), h = |u|^2 + 1/n;
- LDA: taking row x of label y with n_y rows out moves the mean of y to m_y - d/(n_y - 1), d = x - m_y, and takes
  k d dᵀ, k = n_y/(n_y - 1), from the within-label scatter, a rank-one downdate whose inverse is known:
  with q_j = (x-m_j)ᵀP(x-m_j) and c_j = (x-m_j)ᵀPd, distance_j = q_j + k c_j²/(1 - k q_y) for j other than y, and
  k² q_y/(1 - k q_y) for y itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

from candelabra.adapt.statistics import Statistics

CHUNK = 2048
RANK = 1e-12
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows in isotropic coordinates, their truth, and the way back to features: (features - mean) @ back = z."""

    z: np.ndarray
    truth: np.ndarray
    scatter: np.ndarray
    cross: np.ndarray
    counts: np.ndarray
    rows: int
    mean: np.ndarray
    back: np.ndarray
    unit: float
    """Mean eigenvalue of the total scatter: penalties are given relative to it."""

    @classmethod
    def primal(cls, features: np.ndarray, truth: np.ndarray, statistics: Statistics, slots: int) -> Problem:
        scatter = statistics.scatter
        scale = _slot_scale(np.diag(scatter), slots)
        scatter *= scale[:, None] * scale[None, :]
        z = (features - statistics.mean) * scale
        unit = _unit(float(np.trace(scatter)), len(scale))
        return cls._made(z, truth, scatter, statistics.mean, scale, unit)

    @classmethod
    def dual(cls, features: np.ndarray, truth: np.ndarray, slots: int) -> Problem:
        mean = features.mean(axis=0)
        centred = features - mean
        scale = _slot_scale(np.einsum("nd,nd->d", centred, centred), slots)
        centred *= scale
        kernel = centred @ centred.T
        values, vectors = eigh(kernel, driver="evd", check_finite=False)
        keep = values > max(values[-1], TINY) * RANK
        values, vectors = values[keep], vectors[:, keep]
        roots = np.sqrt(values)
        back = scale[:, None] * (centred.T @ (vectors / roots))
        unit = _unit(float(np.trace(kernel)), len(scale))
        return cls._made(vectors * roots, truth, np.diag(values), mean, back, unit)

    @classmethod
    def _made(
        cls, z: np.ndarray, truth: np.ndarray, scatter: np.ndarray, mean: np.ndarray, back: np.ndarray, unit: float
    ) -> Problem:
        return cls(z, truth, scatter, z.T @ truth, truth.sum(axis=0), len(z), mean, back, unit)

    def sample(self, rows: np.ndarray) -> Problem:
        """The same problem, fitted on all rows still, that can leave out only some, in fp32: enough to choose by."""
        single = np.float32
        return replace(
            self,
            z=self.z[rows].astype(single),
            truth=self.truth[rows].astype(single),
            scatter=self.scatter.astype(single),
            cross=self.cross.astype(single),
            counts=self.counts.astype(single),
        )

    def means(self) -> np.ndarray:
        """Mean z of each label [labels, r]; zero for a label without rows."""
        means: np.ndarray = self.cross.T / np.maximum(self.counts, 1)[:, None]
        return means

    def features_space(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights on z, brought to weights on features."""
        wide = self.back[:, None] * weight if self.back.ndim == 1 else self.back @ weight
        return wide, bias - self.mean @ wide

    def factor(self, scatter: np.ndarray, penalty: float) -> np.ndarray:
        shifted = scatter.copy()
        shifted.flat[:: len(shifted) + 1] += shifted.dtype.type(penalty * self.unit)
        return np.asarray(cholesky(shifted, lower=True, overwrite_a=True, check_finite=False))


@dataclass(frozen=True, eq=False)
class Ridge:
    """One-hot regression with a free intercept; multi-label as it is."""

    problem: Problem
    lower: np.ndarray
    towards: np.ndarray
    share: np.ndarray

    @classmethod
    def fit(cls, problem: Problem, penalty: float) -> Ridge:
        lower = problem.factor(problem.scatter, penalty)
        return cls(problem, lower, _solve(lower, problem.cross), problem.counts / problem.rows)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        weight = solve_triangular(self.lower, self.towards, lower=True, trans=1, check_finite=False)
        return self.problem.features_space(weight, self.share)

    def leave_one_out(self, rows: np.ndarray) -> np.ndarray:
        return _chunked(rows, self._leave_one_out)

    def _leave_one_out(self, rows: np.ndarray) -> np.ndarray:
        u = _solve(self.lower, self.problem.z[rows].T)
        truth = self.problem.truth[rows]
        leverage = np.einsum("dn,dn->n", u, u) + 1.0 / self.problem.rows
        missed = truth - (u.T @ self.towards + self.share)
        result: np.ndarray = truth - missed / np.maximum(1.0 - leverage, TINY)[:, None]
        return result


@dataclass(frozen=True, eq=False)
class Lda:
    """Normal classes with one shared covariance; the logits are log densities plus log shares of the labels."""

    problem: Problem
    lower: np.ndarray
    towards: np.ndarray

    @classmethod
    def within(cls, problem: Problem) -> np.ndarray:
        """Scatter within labels; the same for every penalty."""
        means = problem.means()
        scatter: np.ndarray = problem.scatter - (means.T * problem.counts) @ means
        return scatter

    @classmethod
    def fit(cls, problem: Problem, penalty: float, within: np.ndarray | None = None) -> Lda:
        lower = problem.factor(cls.within(problem) if within is None else within, penalty)
        return cls(problem, lower, _solve(lower, problem.means().T))

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        n = self.problem.rows
        weight = n * solve_triangular(self.lower, self.towards, lower=True, trans=1, check_finite=False)
        length = np.einsum("dc,dc->c", self.towards, self.towards)
        share = np.log(np.maximum(self.problem.counts, TINY) / n)
        return self.problem.features_space(weight, share - 0.5 * n * length)

    def leave_one_out(self, rows: np.ndarray) -> np.ndarray:
        return _chunked(rows, self._leave_one_out)

    def _leave_one_out(self, rows: np.ndarray) -> np.ndarray:
        counts, n = self.problem.counts, self.problem.rows
        own = self.problem.truth[rows].argmax(axis=1)
        at = np.arange(len(rows))
        u = _solve(self.lower, self.problem.z[rows].T)
        dots, between = u.T @ self.towards, self.towards.T @ self.towards
        length = np.einsum("dn,dn->n", u, u)[:, None]
        q = length - 2 * dots + np.diag(between)[None, :]
        c = length - dots[at, own][:, None] - dots + between[own]
        mine = q[at, own]
        # A label's only row: there is no mean without it, and its own scatter is zero, so nothing else moves.
        alone = counts[own] < 2
        k = np.where(alone, 0.0, counts[own] / np.maximum(counts[own] - 1, 1))
        rest = np.maximum(1 - k * mine, TINY)
        distance = q + (k / rest)[:, None] * c**2
        distance[at, own] = k**2 * mine / rest
        left = np.tile(counts, (len(rows), 1))
        left[at, own] -= 1
        logits = -0.5 * (n - 1) * distance + np.log(np.maximum(left, TINY) / max(n - 1, 1))
        if alone.any():
            lowest, highest = logits.min(axis=1), logits.max(axis=1)
            logits[at[alone], own[alone]] = (2 * lowest - highest - 1)[alone]
        return np.asarray(logits)


def _solve(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(solve_triangular(lower, right, lower=True, check_finite=False))


def _chunked(rows: np.ndarray, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """In parts, so that ten thousand rows do not need a second copy of all features."""
    return np.concatenate([part(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])


def _slot_scale(squares: np.ndarray, slots: int) -> np.ndarray:
    """One factor a slot, repeated for its features, that gives every slot the same total variance."""
    total = squares.reshape(slots, -1).mean(axis=1)
    # A slot that never varies stays as it is: it carries nothing either way.
    factor = np.where(total > TINY * max(float(total.max()), TINY), 1 / np.sqrt(np.maximum(total, TINY * TINY)), 0.0)
    scale: np.ndarray = np.repeat(factor, squares.size // slots)
    return scale


def _unit(trace: float, width: int) -> float:
    # Constant features have no scatter: the floor keeps the factorisation possible.
    return max(trace / width, TINY)
