"""Tests of the values of rows, dense or sparse, here or on a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import Array, device, namespace, some_rows, take, to_numpy
from ..units import UnitType

# The least and the largest value: numbers, or arrays of shape (n_columns,).
Support = tuple[Any, Any]
# Rows, and values of dense rows, in one block.
BLOCK_ROWS, BLOCK_VALUES = 1024, 1 << 20
# Values that are at most this far outside the support of their unit are attributed to rounding,
# as MinMaxScaler gives 1.0000000000000002 and float32 1.0000001, and are clipped.
ROUNDING = 1e-6


class Unstored(sp.csr_array):
    """Rows whose values that are not stored are missing, and NaN in a dense array."""

    def toarray(self, *args: Any, **kwargs: Any) -> np.ndarray:
        found = np.full(self.shape, np.nan, dtype=self.dtype)
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        found[row, self.indices] = self.data
        return found


def has_gaps(X: Any) -> bool:
    """Whether any value is missing."""
    if isinstance(X, Unstored) and X.nnz < math.prod(X.shape):
        return True
    values = X.data if sp.issparse(X) else X
    xp = namespace(values)
    # The minimum is NaN if any value is.
    return math.prod(values.shape) > 0 and bool(xp.isnan(xp.min(values)))


def is_binary(X: Any, weight: Array | None = None) -> bool:
    """Whether every value is 0, 1 or missing; rows of ``weight`` 0 do not count."""
    return all(_all_binary(values) for values in _values_with_weight(X, weight))


def has_outside(
    X: Any, support: Support, weight: Array | None = None, beyond: float = 0.0
) -> bool:
    """Whether a value lies more than ``beyond`` outside the ``support``.

    NaN is not, and rows of ``weight`` 0 do not count.
    """
    if np.all(np.isinf(support)):
        return False
    if np.ndim(support[0]):
        ends = value_range(X, weight)
        return any(bool(np.any(is_outside(end, support, beyond))) for end in ends)
    values = _values_with_weight(X, weight)
    return any(bool(namespace(x).any(is_outside(x, support, beyond))) for x in values)


def is_outside(x: Array, support: Support, beyond: float = 0.0) -> Array:
    """Which values lie more than ``beyond`` outside the ``support``."""
    return (x < support[0] - beyond) | (x > support[1] + beyond)


def clipped(X: Any, support: Support) -> Any:
    """A copy in which values outside the ``support`` by rounding are set to its bounds.

    Those further outside do not change, so that no value depends on others. Zero must be within
    the support.
    """
    if sp.issparse(X):
        if np.ndim(support[0]):
            support = support[0][X.indices], support[1][X.indices]
        return type(X)((clipped(X.data, support), X.indices, X.indptr), shape=X.shape)
    xp = namespace(X)
    low, high = (xp.asarray(end, dtype=X.dtype, device=device(X)) for end in support)
    within = xp.minimum(xp.maximum(X, low), high)
    ends = support if isinstance(X, np.ndarray) else (low, high)
    return xp.where(is_outside(X, ends, ROUNDING), X, within)


def weights_with_zeros(weight: Array) -> Array | None:
    """The row weights if any is 0, else ``None``: all rows count."""
    weight = to_numpy(weight)
    return None if weight.all() else weight


def with_mean_1(weight: Array) -> Array:
    """Row weights, divided by the mean of those that are not 0."""
    on_host = to_numpy(weight)
    return weight / float(on_host[on_host > 0].mean())


def rows_with_weight(X: Any, weight: Array | None) -> Iterator[Any]:
    """The rows whose ``weight`` is not 0, by blocks; ``X`` if ``weight`` is ``None``."""
    if weight is None:
        yield X
        return
    for start in range(0, X.shape[0], BLOCK_ROWS):
        rows = start + np.flatnonzero(weight[start : start + BLOCK_ROWS])
        yield X[rows] if sp.issparse(X) else take(X, rows)


def _values_with_weight(X: Any, weight: Array | None) -> Iterator[Array]:
    for rows in rows_with_weight(X, weight):
        yield from blocks_of_values(rows)


def blocks_of_values(X: Any, size: int = 1 << 16) -> Iterator[Array]:
    """Complete rows of dense data, or the stored values of sparse data, about ``size`` values.

    Arrays computed from a block then need little memory.
    """
    values = X.data if sp.issparse(X) else X
    n_rows = values.shape[0]
    n_block = max(1, size // max(1, math.prod(values.shape[1:])))
    for start in range(0, n_rows, n_block):
        yield values[start : min(start + n_block, n_rows), ...]


def _all_binary(values: Array) -> bool:
    xp = namespace(values)
    binary = (values == 0) | (values == 1)
    return bool(xp.all(binary)) or bool(xp.all(binary | xp.isnan(values)))


def on_each_part(
    function: Callable[..., Any], X: Any, *args: Any, weight: Array | None = None
) -> list[Any]:
    """``[function(X, *args)]``, or a list over the partitions of ``X``.

    ``weight``, or its entries for the partition, is the last argument if it is given.
    """
    given = () if weight is None else (weight,)
    if not hasattr(X, "each"):
        return [function(X, *args, *given)]
    return X.each_with(function, weight, *args) if given else X.each(function, *args)


def value_range(X: Any, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of each column; NaN if there is none.

    Rows of ``weight`` 0 do not count.
    """
    low = high = np.full(X.shape[1], np.nan)
    for start in range(0, X.shape[0], BLOCK_ROWS):
        rows = some_rows(X, slice(start, min(start + BLOCK_ROWS, X.shape[0])))
        rows = rows if sp.issparse(rows) else to_numpy(rows)
        if weight is not None:
            rows = rows[np.flatnonzero(weight[start : start + BLOCK_ROWS])]
        if not rows.shape[0]:
            continue
        if sp.issparse(rows) and not has_gaps(rows):
            least, largest = (x.toarray().ravel() for x in (rows.min(axis=0), rows.max(axis=0)))
        else:
            rows = dense(rows)
            least, largest = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
        low, high = np.fmin(low, least), np.fmax(high, largest)
    return low, high


def range_of_all(X: Any, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """`value_range` over all parts of ``X``."""
    lows, highs = zip(*on_each_part(value_range, X, weight=weight), strict=True)
    return np.fmin.reduce(lows), np.fmax.reduce(highs)


def dense(X: Any) -> Array:
    return X.toarray() if sp.issparse(X) else X


def encoded(unit: UnitType, X: Any) -> Any:
    """States of rows, not standardised; sparse rows stay sparse if that changes nothing."""
    return unit.encode(dense(X)) if encodes(unit) else X


def encodes(unit: UnitType) -> bool:
    """Whether states of this type are not the values of columns of data."""
    return type(unit).encode is not UnitType.encode


def bytes_of(X: Any) -> int:
    if sp.issparse(X):
        return X.data.nbytes + X.indices.nbytes
    return math.prod(X.shape) * namespace(X).finfo(X.dtype).bits // 8
