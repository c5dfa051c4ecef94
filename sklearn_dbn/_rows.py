"""Rows of data as minibatches of visible states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._array_api import Array, namespace, take, to_numpy
from ._inference import fill_in
from ._machine import Machine
from ._random import Stream

# Rows are looked through in blocks of so many, and of so many values where they are dense.
_BLOCK_ROWS, _BLOCK_VALUES = 1024, 1 << 20


# Gaps are filled anew each time that a row is presented: no need to be exact.
_PRESENTED_SWEEPS = 10


class Moments:
    """Weighted mean and variance of each column, over all rows seen, in float64.

    Chunks are merged as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, n_columns: int):
        self.count = 0.0
        self.mean = np.zeros(n_columns)
        self.var = np.zeros(n_columns)

    def add(self, X: Any, weight: Array) -> None:
        """Take in rows, NaN for what is missing of them."""
        weight = np.asarray(to_numpy(weight), dtype=np.float64)
        if not weight.any():
            return
        X = X if sp.issparse(X) else to_numpy(X)
        if has_gaps(X):
            X = X.toarray() if sp.issparse(X) else X
            known = ~np.isnan(X)
            count = np.maximum(weight @ known, np.finfo(float).tiny)
            X = np.where(known, X, 0)
            mean = (weight @ X) / count
            var = (weight @ np.square(known * (X - mean))) / count
        elif sp.issparse(X):
            count = weight.sum()
            mean = (X.T @ weight) / count
            var = np.maximum((X.multiply(X).T @ weight) / count - mean**2, 0.0)
        else:
            count = weight.sum()
            mean = (X.T @ weight) / count
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

    Attributes
    ----------
    bottom : Machine or None
        The machine whose mean field fills the gaps of X, where it has any; ``None`` leaves
        them.
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
        self.bottom = self.lower[0] if self.lower else None
        self._gaps = has_gaps(X)
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
        return self._standard(v) if self.lower else v

    def means(self, index: np.ndarray) -> Array:
        """Means of the visible units for the rows of ``index``."""
        v = self._dense(index)
        return self._standard(self._up(v)) if self.lower else v

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
            yield self._up(self._filled(block)), self.weight[part]

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
        """Rows as the bottom machine takes them."""
        v = self.X[index].toarray() if sp.issparse(self.X) else take(self.X, index)
        return self._filled(v if self.lower else self._standard(v), _PRESENTED_SWEEPS)

    def _filled(self, v: Any, *n_sweeps: int) -> Any:
        if not self._gaps or self.bottom is None:
            return v
        return fill_in(self.bottom, v.toarray() if sp.issparse(v) else v, *n_sweeps)

    def _up(self, v: Any) -> Any:
        for machine in self.lower:
            v = machine.means(machine.odd, [v, None])[1]
        return v

    def _standard(self, v: Array) -> Array:
        return v if self.scale is None else (v - self.shift) / self.scale


def has_gaps(X: Any) -> bool:
    """Whether any value is NaN."""
    values = X.data if sp.issparse(X) else X
    xp = namespace(values)
    # The least of several values is NaN as soon as one of them is.
    return math.prod(values.shape) > 0 and bool(xp.isnan(xp.min(values)))


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
