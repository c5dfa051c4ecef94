"""Rows of data as minibatches of visible states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._array_api import Array, namespace, take, to_numpy
from ._machine import Machine
from ._random import Stream

# Rows are looked through in blocks of so many, and of so many values where they are dense.
_BLOCK_ROWS, _BLOCK_VALUES = 1024, 1 << 20


class Moments:
    """Weighted mean and variance of each column, over all rows seen, in float64.

    Chunks are merged as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, n_columns: int):
        self.count = 0.0
        self.mean = np.zeros(n_columns)
        self.var = np.zeros(n_columns)

    def add(self, X: Any, weight: Array) -> None:
        weight = np.asarray(to_numpy(weight), dtype=np.float64)
        if not weight.any():
            return
        X = X if sp.issparse(X) else to_numpy(X)
        count = float(weight.sum())
        mean = (X.T @ weight) / count
        if sp.issparse(X):
            var = (X.multiply(X).T @ weight) / count - mean**2
            var = np.maximum(var, 0.0)
        else:
            var = (weight @ np.square(X - mean)) / count
        total = self.count + count
        delta = mean - self.mean
        self.var = (
            self.count * self.var + count * var + delta**2 * self.count * count / total
        ) / total
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def scale(self) -> np.ndarray:
        """Standard deviations, with 1 for columns that are flat."""
        return np.where(self.flat(), 1.0, np.sqrt(self.var))

    def flat(self) -> np.ndarray:
        """Which columns are constant to rounding."""
        tiny = np.finfo(float).tiny
        return np.sqrt(self.var) <= 1e-6 * np.maximum(np.abs(self.mean), tiny)


class Rows:
    """The training rows of one machine: data, or what lower machines make of data.

    Parameters
    ----------
    X : array or CSR array of shape (n_rows, n_features)
        Never copied whole, and never made dense whole.
    weight : array of shape (n_rows,)
        In the dtype of X. Rows of weight zero are never presented.
    unit : unit type
        Of the visible units that X is shown to.
    lower : sequence of Machine, default=()
        The machines of the layers below the one to be trained, the lowest first.
    sample : bool, default=True
        Whether presented rows are drawn: grey levels become states, and so does each hidden
        layer on the way up. Otherwise means are presented.
    """

    def __init__(
        self,
        X: Any,
        weight: Array,
        unit: Any,
        lower: Sequence[Machine] = (),
        sample: bool = True,
    ):
        self.X, self.weight, self.unit, self.lower = X, weight, unit, tuple(lower)
        self.sample = sample
        self._grey = sample and not is_binary(X)
        self.index = np.flatnonzero(to_numpy(weight))
        self.shift: Array | None = None
        self.scale: Array | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def n_columns(self) -> int:
        return self.lower[-1].par[1].shape[1] if self.lower else self.X.shape[1]

    def hold_out(self, fraction: float, rng: Stream) -> np.ndarray:
        """Set a share of the rows aside, at least one and never all; return which."""
        order = rng.permutation(len(self))
        n_held = min(max(1, round(fraction * len(self))), len(self) - 1)
        held, kept = order[:n_held], order[n_held:]
        held, self.index = self.index[held], self.index[kept]
        return held

    def standardize(self, shift: Array, scale: Array) -> None:
        """From now on, present (x - shift) / scale."""
        self.shift, self.scale = shift, scale

    def present(self, index: np.ndarray, rng: Stream) -> Array:
        """States of the visible units for the rows of ``index``, (n_rows, n_columns)."""
        if not self.sample:
            return self.means(index)
        v = self._dense(index)
        if self._grey:
            v = self.unit.present(v, rng)
        for machine in self.lower:
            means = machine.means(machine.odd, [v, None])
            v = machine.draw(machine.odd, means, rng)[1]
        return self._standard(v)

    def means(self, index: np.ndarray) -> Array:
        """Means of the visible units for the rows of ``index``."""
        return self._standard(self._up(self._dense(index)))

    def blocks(self, size: int = _BLOCK_ROWS) -> Iterator[tuple[Any, Array]]:
        """All rows and their weights in order, as means and not standardised.

        Rows that come straight from sparse data stay sparse.
        """
        n_rows, width = self.X.shape
        if not sp.issparse(self.X):
            size = max(1, min(size, _BLOCK_VALUES // width))
        for start in range(0, n_rows, size):
            part = slice(start, min(start + size, n_rows))
            block = self.X[part] if sp.issparse(self.X) else self.X[part, :]
            yield self._up(block), self.weight[part]

    def batches(self, batch_size: int, rng: Stream) -> Iterator[tuple[Array, Array]]:
        """All rows, presented in random order, in batches of sizes that differ by at most one.

        A short last batch would be a noisier step than the others; spread over all of
        them, the remainder does no harm.
        """
        n_rows = len(self)
        order = self.index[rng.permutation(n_rows)]
        n_batches = -(-n_rows // batch_size)
        for i in range(n_batches):
            index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
            yield self.present(index, rng), take(self.weight, index)

    def _dense(self, index: np.ndarray) -> Array:
        return self.X[index].toarray() if sp.issparse(self.X) else take(self.X, index)

    def _up(self, v: Any) -> Any:
        for machine in self.lower:
            v = machine.means(machine.odd, [v, None])[1]
        return v

    def _standard(self, v: Array) -> Array:
        return v if self.scale is None else (v - self.shift) / self.scale


def is_binary(X: Any, size: int = 1 << 16) -> bool:
    """Whether every value is 0 or 1, from blocks that cost next to no memory."""
    values = X.data if sp.issparse(X) else X
    xp = namespace(values)
    n_rows = values.shape[0]
    n_block = max(1, size // max(1, math.prod(values.shape[1:])))
    for start in range(0, n_rows, n_block):
        block = values[start : min(start + n_block, n_rows), ...]
        if not bool(xp.all((block == 0) | (block == 1))):
            return False
    return True
