"""Mean, variance and range of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import Array, to_numpy
from ..units import UnitType
from ._values import dense, encoded, has_gaps, value_range, weights_with_zeros


class Moments:
    """Weighted mean and variance of each column, over all rows added, in float64.

    ``low`` and ``high`` are the range of the values, without rows of weight 0 and NaN: infinity
    and minus infinity if there are no values.

    Chunks are merged as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, n_columns: int):
        self.count = 0.0
        self.mean = np.zeros(n_columns)
        self.var = np.zeros(n_columns)
        self.low, self.high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)

    def empty(self) -> Moments:
        """Moments of the same columns over no rows."""
        return Moments(len(self.mean))

    def add(self, X: Any, weight: Array) -> None:
        """Add rows, with NaN for missing entries."""
        weight = np.asarray(to_numpy(weight), dtype=np.float64)
        if not weight.any():
            return
        X = X if sp.issparse(X) else to_numpy(X)
        self._widen(*value_range(X, weights_with_zeros(weight)))
        if has_gaps(X):
            X = dense(X)
            observed = ~np.isnan(X)
            count = np.maximum(weight @ observed, np.finfo(float).tiny)
            X = np.where(observed, X, 0)
            mean = (weight @ X) / count
            var = (weight @ np.square(observed * (X - mean))) / count
        elif sp.issparse(X):
            count = weight.sum()
            mean = (X.T @ weight) / count
            var = np.maximum((X.multiply(X).T @ weight) / count - mean**2, 0.0)
        else:
            count = weight.sum()
            mean = (X.T @ weight) / count
            var = (weight @ np.square(X - mean)) / count
        self._merge(count, mean, var)

    def merge(self, other: Moments) -> None:
        """Add the rows of ``other``."""
        if np.any(other.count):
            self._merge(other.count, other.mean, other.var)
            self._widen(other.low, other.high)

    def _merge(self, count: Any, mean: np.ndarray, var: np.ndarray) -> None:
        total = self.count + count
        delta = mean - self.mean
        self.var = (
            self.count * self.var + count * var + delta**2 * self.count * count / total
        ) / total
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def _widen(self, low: np.ndarray, high: np.ndarray) -> None:
        self.low, self.high = np.fmin(self.low, low), np.fmax(self.high, high)

    def scale(self) -> np.ndarray:
        """Standard deviations, 1 for constant columns."""
        return np.where(self.flat(), 1.0, np.sqrt(self.var))

    def flat(self) -> np.ndarray:
        """Which columns are constant up to rounding."""
        tiny = np.finfo(float).tiny
        return np.sqrt(self.var) <= 1e-6 * np.maximum(np.abs(self.mean), tiny)


def add_moments(unit: UnitType, totals: list[Moments], block: Any, weight: Array) -> None:
    """Add a block of rows, encoded by ``unit``, to ``totals[0]``, for `Rows.accumulate`."""
    totals[0].add(encoded(unit, block), weight)
