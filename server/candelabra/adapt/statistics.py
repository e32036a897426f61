"""Sufficient statistics of labelled features in fp64: what closed-form heads need, and exact to add to or subtract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over rows of x, x xᵀ, x yᵀ and y. Adding and subtracting rows is exact up to fp64 rounding.

    fp64 because fp32 sums lose seven digits after a few thousand additions and removals.
    """

    rows: int
    total: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, truth: np.ndarray) -> Statistics:
        """Of features [n, d] and 0/1 truth [n, labels]."""
        x, y = features.astype(np.float64, copy=False), truth.astype(np.float64, copy=False)
        return cls(len(x), x.sum(axis=0), x.T @ x, x.T @ y, y.sum(axis=0))

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.rows + other.rows,
            self.total + other.total,
            self.gram + other.gram,
            self.cross + other.cross,
            self.counts + other.counts,
        )

    def __sub__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.rows - other.rows,
            self.total - other.total,
            self.gram - other.gram,
            self.cross - other.cross,
            self.counts - other.counts,
        )

    def take(self, columns: np.ndarray) -> Statistics:
        """The statistics of some of the features: a layer set costs no second pass over the rows."""
        return Statistics(
            self.rows, self.total[columns], self.gram[np.ix_(columns, columns)], self.cross[columns], self.counts
        )

    @property
    def mean(self) -> np.ndarray:
        mean: np.ndarray = self.total / max(self.rows, 1)
        return mean

    @property
    def scatter(self) -> np.ndarray:
        """Centred gram: the total scatter."""
        scatter: np.ndarray = self.gram - np.outer(self.total, self.total / max(self.rows, 1))
        return scatter
