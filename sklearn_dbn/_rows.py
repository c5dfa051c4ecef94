"""Rows of data as minibatches of visible states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._array_api import Array, namespace, take, to_numpy
from ._random import Stream


class Moments:
    """Weighted mean and variance of each column, over all rows seen, in float64.

    Chunks are merged as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, n_columns: int):
        self.count = 0.0
        self.mean = np.zeros(n_columns)
        self.var = np.zeros(n_columns)

    def add(self, X: Any, weight: np.ndarray) -> None:
        count = float(weight.sum())
        mean = (X.T @ weight) / count
        if sp.issparse(X):
            var = (X.multiply(X).T @ weight) / count - mean**2
            var = np.maximum(var, 0.0)
        else:
            # In blocks: the deviations of all rows at once would double the memory.
            var = np.zeros_like(mean)
            for start in range(0, X.shape[0], 1024):
                rows = slice(start, start + 1024)
                var += weight[rows] @ np.square(X[rows] - mean)
            var /= count
        total = self.count + count
        delta = mean - self.mean
        self.var = (
            self.count * self.var + count * var + delta**2 * self.count * count / total
        ) / total
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def scale(self) -> np.ndarray:
        """Standard deviations, with 1 for columns that are constant to rounding."""
        std = np.sqrt(self.var)
        flat = std <= 1e-6 * np.maximum(np.abs(self.mean), np.finfo(float).tiny)
        return np.where(flat, 1.0, std)


class Rows:
    """The training rows of one layer.

    Parameters
    ----------
    X : array or CSR array of shape (n_rows, n_columns)
        Never copied whole, and never made dense whole.
    weight : array of shape (n_rows,)
        In the dtype of X. Rows of weight zero are never presented.
    noise : array of shape (n_columns,) or None
        Standard deviation of the noise about X where the rows are means of a distribution.
    """

    def __init__(self, X: Any, weight: Array, noise: Array | None = None):
        self.X = X
        self.weight = weight
        self.noise = noise
        self.index = np.flatnonzero(to_numpy(weight))
        self.shift: Array | None = None
        self.scale: Array | None = None

    def __len__(self) -> int:
        return len(self.index)

    def hold_out(self, fraction: float, rng: Stream) -> np.ndarray:
        """Set a share of the rows aside, at least one and never all; return which."""
        order = rng.permutation(len(self))
        n_held = min(max(1, round(fraction * len(self))), len(self) - 1)
        held, kept = order[:n_held], order[n_held:]
        held, self.index = self.index[held], self.index[kept]
        return held

    def standardize(self, shift: Array, scale: Array) -> None:
        """From now on, give out (x - shift) / scale."""
        self.shift, self.scale = shift, scale
        if self.noise is not None:
            self.noise = self.noise / scale

    def take(self, index: np.ndarray) -> tuple[Array, Array]:
        """The rows of ``index`` and their weights; the rows are the caller's to change."""
        v = self.X[index].toarray() if sp.issparse(self.X) else take(self.X, index)
        if self.scale is not None:
            v = (v - self.shift) / self.scale
        return v, take(self.weight, index)

    def batches(self, batch_size: int, rng: Stream) -> Iterator[tuple[Array, Array]]:
        """All rows in random order, in batches whose sizes differ by at most one.

        A short last batch would be a noisier step than the others; spread over all of
        them, the remainder does no harm.
        """
        n_rows = len(self)
        order = self.index[rng.permutation(n_rows)]
        n_batches = -(-n_rows // batch_size)
        for i in range(n_batches):
            index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
            yield self.take(index)


def is_binary(X: Any) -> bool:
    """Whether every value is 0 or 1."""
    values = X.data if sp.issparse(X) else X
    xp = namespace(values)
    return bool(xp.all((values == 0) | (values == 1)))
