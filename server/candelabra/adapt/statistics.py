"""Sufficient statistics of labelled features: what closed-form heads need, and exact to add to or take from.

Rows lie on a fixed grid of 2^-15 and truths on one of 2^-20 or coarser, so every product and every partial sum is a
whole multiple of the grid that fp64 holds without rounding, up to EXACT_ROWS rows. Sums then depend only on which
rows are in, not on order or history: after any appends and forgets they equal a sum from scratch bit for bit. The
grid is finer than what the encoder's bf16 can tell apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from scipy.linalg.blas import dsyr, dsyrk

from candelabra.errors import InvalidArgument

STEP = 2.0**-15
TRUTH_BITS = 20
EXACT_ROWS = 2**18
"""53 bits of fp64, less 15 + 20 of a product of a feature with a truth."""
CHUNK = 512


def fixed(features: np.ndarray) -> np.ndarray:
    """Features [n, d] of absolute value up to 1 on the grid, int16."""
    made = np.empty(features.shape, np.int16)
    for start in range(0, len(features), CHUNK):
        # In parts that stay in the processor's cache.
        part = features[start : start + CHUNK] * features.dtype.type(1 / STEP)
        np.rint(part, out=part)
        np.clip(part, -(2**15), 2**15 - 1, out=part)
        made[start : start + CHUNK] = part
    return made


def floating(rows: np.ndarray, dtype: type[np.float32] | type[np.float64] = np.float64) -> np.ndarray:
    """The reverse of `fixed`, without rounding."""
    wide: np.ndarray = rows.astype(dtype)
    wide *= dtype(STEP)
    return wide


def on_grid(truth: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Truths of absolute value up to `unit`, a power of two, on the grid, float64."""
    step = unit * 2.0**-TRUTH_BITS
    rounded: np.ndarray = np.rint(np.asarray(truth, np.float64) / step) * step
    return rounded


def unit_of(numbers: np.ndarray) -> float:
    """The unit of a grid for these truths: the least power of two that none of them is beyond."""
    highest = float(np.abs(numbers).max(initial=0.0))
    return 2.0 ** math.ceil(math.log2(highest)) if highest > 0 else 1.0


@dataclass(eq=False)
class Statistics:
    """Sums over rows of x, x xᵀ (lower triangle, Fortran order), x yᵀ and y: float64 [d], [d, d], [d, k] and [k]."""

    rows: int
    total: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, width: int, outputs: int) -> Statistics:
        gram = np.zeros((width, width), order="F")
        return cls(0, np.zeros(width), gram, np.zeros((width, outputs)), np.zeros(outputs))

    @classmethod
    def of(cls, features: np.ndarray, truth: np.ndarray) -> Statistics:
        """Of features [n, d], int16 as `fixed` gives them or floats as they are, and truth [n, k]. n d² operations."""
        made = cls.empty(features.shape[1], truth.shape[1])
        made.add(features, truth)
        return made

    def copy(self) -> Statistics:
        gram = self.gram.copy(order="F")
        return Statistics(self.rows, self.total.copy(), gram, self.cross.copy(), self.counts.copy())

    def add(self, features: np.ndarray, truth: np.ndarray) -> None:
        """In place; d² operations a row."""
        if self.rows + len(features) > EXACT_ROWS and features.dtype == np.int16:
            raise InvalidArgument(
                f"Sums of more than {EXACT_ROWS} rows would no longer be exact: train without append and forget.",
                field="rows",
            )
        self._move(features, truth, 1)

    def remove(self, features: np.ndarray, truth: np.ndarray) -> None:
        """In place. The rows must be ones that were added: nothing here can know."""
        if len(features) > self.rows:
            raise InvalidArgument(
                f"{len(features)} rows cannot be taken from a sum of {self.rows}: rebuild it.", field="rows"
            )
        self._move(features, truth, -1)

    def _move(self, features: np.ndarray, truth: np.ndarray, sign: int) -> None:
        for start in range(0, len(features), CHUNK):
            part = features[start : start + CHUNK]
            x = floating(part) if part.dtype == np.int16 else np.ascontiguousarray(part, np.float64)
            y = np.asarray(truth[start : start + CHUNK], np.float64)
            self.gram = dsyrk(sign, x.T, beta=1.0, c=self.gram, lower=1, overwrite_c=1)
            self.cross += sign * (x.T @ y)
            self.total += sign * x.sum(axis=0)
            self.counts += sign * y.sum(axis=0)
        self.rows += sign * len(features)

    def take(self, columns: np.ndarray) -> Statistics:
        """The statistics of some of the features, in rising order: a layer set costs no second pass over the rows."""
        gram = np.asfortranarray(self.gram[np.ix_(columns, columns)])
        return Statistics(self.rows, self.total[columns], gram, self.cross[columns], self.counts)

    @property
    def mean(self) -> np.ndarray:
        mean: np.ndarray = self.total / max(self.rows, 1)
        return mean

    @property
    def scatter(self) -> np.ndarray:
        """Centred gram, the total scatter: lower triangle, Fortran order; what is above it means nothing."""
        centred: np.ndarray = dsyr(
            -1.0 / max(self.rows, 1), self.total, a=self.gram.copy(order="F"), lower=1, overwrite_a=1
        )
        return centred

    @property
    def centred_cross(self) -> np.ndarray:
        cross: np.ndarray = self.cross - np.outer(self.mean, self.counts)
        return cross

    @property
    def digest(self) -> str:
        """Of the exact sums: two of the same rows are equal, however they came about."""
        digest = blake2b(f"{self.rows}".encode(), digest_size=16)
        for part in (self.total, np.tril(self.gram), self.cross, self.counts):
            # -0.0 and 0.0 are the same sum.
            digest.update(np.ascontiguousarray(part + 0.0).tobytes())
        return digest.hexdigest()
