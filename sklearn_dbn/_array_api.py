"""The few array functions that differ between array libraries.

Everything else in the numerics is plain array API on the namespace of its inputs.
"""

from __future__ import annotations

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


def put(x: Array, index: np.ndarray, rows: Array) -> None:
    """Overwrite the rows ``index`` of ``x``."""
    if isinstance(x, np.ndarray):
        x[index] = rows
        return
    # The standard assigns to slices only.
    for position, i in enumerate(index.tolist()):
        x[i, :] = rows[position, :]


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


def to_numpy(x: Array) -> np.ndarray:
    """Return ``x`` as a NumPy array, copied from its device where needed."""
    if isinstance(x, np.ndarray):
        return x
    xp = namespace(x)
    # The strict namespace has another name for its host device.
    strict = array_api_compat.is_array_api_strict_namespace(xp)
    host = xp.Device("CPU_DEVICE") if strict else "cpu"
    return np.asarray(array_api_compat.to_device(x, host))
