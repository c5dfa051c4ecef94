"""The few array functions that differ between array libraries.

Everything else in the numerics is plain array API on the namespace of its inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np

Array = Any

# exp of this is finite in every dtype.
NO_OVERFLOW = 80


def namespace(x: Array) -> Any:
    """Return the array API namespace of ``x``.

    NumPy arrays skip the general look-up, which takes several microseconds: the training loop
    makes one in each step.
    """
    return np if isinstance(x, np.ndarray) else array_api_compat.array_namespace(x)


def device(x: Array) -> Any:
    """Return the device of ``x``, as array creation functions take it."""
    return "cpu" if isinstance(x, np.ndarray) else array_api_compat.device(x)


def is_torch_array(x: Array) -> bool:
    """Whether ``x`` is a tensor of PyTorch."""
    return array_api_compat.is_torch_array(x)


def is_foreign(x: Any) -> bool:
    """Whether ``x`` is an array of a library other than NumPy; a lazy one is not."""
    return (
        not isinstance(x, np.ndarray | np.generic)
        and array_api_compat.is_array_api_obj(x)
        and not array_api_compat.is_dask_array(x)
    )


def rows_at(X: Any, index: np.ndarray) -> Any:
    """Copy some rows of an array or of a sparse matrix."""
    return take(X, index) if is_foreign(X) else X[index]


def library_and_device(x: Array) -> tuple[str, str]:
    """The names of the library of ``x`` and of its device."""
    name = namespace(x).__name__.rpartition("array_api_compat.")[2]
    return name, str(device(x))


def some_rows(X: Any, rows: slice) -> Any:
    """Rows of an array or of a sparse matrix."""
    return X[rows, :] if array_api_compat.is_array_api_obj(X) else X[rows]


def total(x: Array) -> Array:
    """Sum of all elements, without dimensions and still on its device.

    NumPy's own method takes half the time of its function.
    """
    return x.sum() if isinstance(x, np.ndarray) else namespace(x).sum(x)


def sum_of(x: Array) -> float:
    """Sum of all elements, on the host."""
    return float(total(x))


def row_sums(x: Array) -> Array:
    """Sum of each row of a matrix, (n_rows, 1)."""
    if isinstance(x, np.ndarray):
        return np.add.reduce(x, axis=1, keepdims=True)
    return namespace(x).sum(x, axis=1, keepdims=True)


def row_maxima(x: Array) -> Array:
    """Largest value of each row of a matrix, (n_rows, 1)."""
    if isinstance(x, np.ndarray):
        return np.maximum.reduce(x, axis=1, keepdims=True)
    return namespace(x).max(x, axis=1, keepdims=True)


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), of the dtype of ``x``.

    Written with tanh, which cannot overflow and which NumPy vectorises: on float32 it
    takes a quarter of the time of ``scipy.special.expit``.
    """
    xp = namespace(x)
    half = x * 0.5
    if xp is np:
        np.tanh(half, out=half)
    else:
        half = xp.tanh(half)
    half += 1.0
    half *= 0.5
    return half


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow.

    The error is that of rounding 1 + exp(x), or x. log1p would be more accurate far below 0,
    but takes longer than this whole function.
    """
    xp = namespace(x)
    if xp is not np:
        return xp.maximum(x, xp.zeros_like(x)) + xp.log(1 + xp.exp(-xp.abs(x)))
    if x.max(initial=0) < NO_OVERFLOW:
        value = np.exp(x)
        value += 1
        return np.log(value, out=value)
    value = np.abs(x)
    np.negative(value, out=value)
    np.exp(value, out=value)
    value += 1
    np.log(value, out=value)
    value += np.maximum(x, 0)
    return value


def take(x: Array, index: Array) -> Array:
    """Copy the rows ``index`` of ``x``; a NumPy index is moved to its device."""
    xp = namespace(x)
    if xp is np:
        # The method takes a quarter of the time, but copies arrays that are not contiguous.
        return x.take(index, axis=0) if x.flags.c_contiguous else x[index]
    return xp.take(x, xp.asarray(index, device=device(x)), axis=0)


def put(x: Array, index: Array, rows: Array) -> None:
    """Overwrite the rows ``index`` of ``x``."""
    if isinstance(x, np.ndarray):
        x[index] = rows
        return
    xp = namespace(x)
    rows = xp.astype(rows, x.dtype, copy=False)
    if is_torch_array(x):
        x[xp.asarray(index, device=device(x))] = rows
    elif index.shape[0]:
        # The standard assigns to slices only.
        index, n_rows = to_numpy(index), x.shape[0]
        chosen, place = np.zeros(n_rows, dtype=bool), np.zeros(n_rows, dtype=int)
        chosen[index], place[index] = True, np.arange(len(index))
        chosen = xp.asarray(chosen.reshape(-1, *[1] * (x.ndim - 1)), device=device(x))
        x[...] = xp.where(chosen, take(rows, place), x)


def some_columns(x: Array, columns: np.ndarray) -> Array:
    """Copy some columns of ``x``."""
    if isinstance(x, np.ndarray):
        return x[:, columns]
    xp = namespace(x)
    return xp.take(x, xp.asarray(columns, device=device(x)), axis=1)


def put_columns(x: Array, columns: np.ndarray, values: Array) -> None:
    """Overwrite some columns of ``x``."""
    if isinstance(x, np.ndarray):
        x[:, columns] = values
        return
    transposed = namespace(x).asarray(x.T, copy=True)
    put(transposed, columns, values.T)
    x[...] = transposed.T


def concat(parts: Sequence[Array], axis: int = 0) -> Array:
    """Arrays one after the other, along an axis."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=axis)
    return namespace(parts[0]).concat(list(parts), axis=axis)


def empty_as(of: Any, shape: tuple[int, ...]) -> Array:
    """An array without values, of the library, dtype and device of ``of``."""
    if not is_foreign(of):
        return np.empty(shape, of.dtype)
    return namespace(of).empty(shape, dtype=of.dtype, device=device(of))


def float64(x: Array) -> Array:
    """A copy in double precision."""
    return namespace(x).astype(x, namespace(x).float64)


def array_like(x: np.ndarray, like: Array) -> Array:
    """``x`` as an array of the library, dtype and device of ``like``."""
    return moved(x, like, like.dtype)


def entries_where(condition: Array) -> Array:
    """Indices, in the flattened array, of the entries where ``condition`` is true."""
    if isinstance(condition, np.ndarray):
        return np.flatnonzero(condition)
    xp = namespace(condition)
    return xp.nonzero(xp.reshape(condition, (-1,)))[0]


def take_entries(x: Array, entries: Array) -> Array:
    """Copy the ``entries`` of the flattened ``x``."""
    if isinstance(x, np.ndarray):
        return x.take(entries)
    xp = namespace(x)
    return xp.take(xp.reshape(x, (-1,)), entries, axis=0)


def put_entries(x: Array, entries: Array, values: Array) -> Array:
    """``x`` with other ``values`` at ``entries`` of the flattened array.

    ``x`` is overwritten if its memory is contiguous.
    """
    if isinstance(x, np.ndarray):
        x = np.ascontiguousarray(x)
        x.reshape(-1)[entries] = values
        return x
    flat = namespace(x).reshape(x, (-1,))
    put(flat, entries, values)
    return namespace(x).reshape(flat, x.shape)


def rows_where(condition: Array) -> np.ndarray:
    """The rows of a bool array of shape (n_rows, n) in which any is true."""
    return np.flatnonzero(to_numpy(namespace(condition).any(condition, axis=1)))


def copied(x: Array) -> Array:
    """A copy of ``x``."""
    return namespace(x).asarray(x, copy=True)


def contiguous(x: Array) -> Array:
    """A copy of ``x`` in the order of its rows."""
    xp = namespace(x)
    if xp is np:
        return np.array(x, order="C")
    # A copy in other libraries may have the order of a transposed view.
    found = xp.empty(x.shape, dtype=x.dtype, device=device(x))
    found[...] = x
    return found


def moved(x: Array, like: Array, dtype: Any = None) -> Array:
    """Return ``x`` in the library and on the device of ``like``, copied only where needed."""
    xp = namespace(like)
    if xp is np:
        return np.asarray(to_numpy(x), dtype=dtype)
    return xp.asarray(x, dtype=dtype, device=device(like))


def matmul_into(x: Array, y: Array, out: Array | None) -> Array:
    """The product x y, written to ``out`` unless that is ``None``."""
    if isinstance(x, np.ndarray):
        return np.matmul(x, y, out=out)
    if out is None:
        return x @ y
    out[...] = x @ y
    return out


def divide_by_root(x: Array, y: Array, out: Array) -> None:
    """Write x / sqrt(y) to ``out``, which must not be ``x``."""
    if isinstance(x, np.ndarray):
        np.sqrt(y, out=out)
        np.divide(x, out, out=out)
    else:
        out[...] = x / namespace(x).sqrt(y)


def sums_of_squares(x: Array, axis: int) -> Array:
    """Sums of squares of a matrix along an axis."""
    if isinstance(x, np.ndarray):
        # Needs no array of squares.
        return np.einsum("ij,ij->j" if axis == 0 else "ij,ij->i", x, x)
    return namespace(x).sum(x * x, axis=axis)


def sum_of_squares(x: Array) -> float:
    """Sum of the squares of all elements."""
    return float(np.vdot(x, x)) if isinstance(x, np.ndarray) else sum_of(x * x)


def scale_columns(x: Array, factor: Array, where: Array) -> None:
    """Multiply, in place, the columns of ``x`` for which ``where`` is true."""
    xp = namespace(x)
    if xp is np:
        # There are few of them in general.
        (columns,) = np.nonzero(where)
        if len(columns):
            x[:, columns] *= factor[columns]
    else:
        # Their number would have to come from the device.
        x *= xp.where(where, factor, xp.ones_like(factor))


def on_host(x: Any) -> Any:
    """``x``, or a NumPy array with the values of an array of another library."""
    return to_numpy(x) if is_foreign(x) else x


def to_numpy(x: Array) -> np.ndarray:
    """Return ``x`` as a NumPy array, copied from its device where needed."""
    if isinstance(x, np.ndarray):
        return x
    xp = namespace(x)
    # The strict namespace has another name for its host device.
    strict = array_api_compat.is_array_api_strict_namespace(xp)
    host = xp.Device("CPU_DEVICE") if strict else "cpu"
    return np.asarray(array_api_compat.to_device(x, host))
