"""Dates and durations, which NumPy would convert to numbers without a warning."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp

from ._errors import known_error

_KINDS = {
    "dates": (np.datetime64, datetime.date, datetime.time),
    "durations": (np.timedelta64, datetime.timedelta),
}
# Types that are no data frames: narwhals would import some of its modules to test for that.
NO_FRAMES = (np.ndarray, list, tuple, int, float)


def dates_in(x: Any) -> tuple[int, str] | None:
    """The first column of ``x`` that holds dates or durations, and which of the two.

    Parameters
    ----------
    x : array-like of shape (n_rows, n_columns) or (n_rows,)
        Before any conversion.
    """
    if x is None:
        return None
    for index, column in enumerate(_columns(x)):
        kind = _kind(column)
        if kind is not None:
            return index, kind
    return None


def with_narwhals(x: Any, **options: Any) -> Any:
    """A data frame, or what ``options`` allow, as one of narwhals; anything else unchanged."""
    try:
        return nw.from_native(x, pass_through=True, **options)
    except nw.exceptions.DuplicateError as error:
        raise known_error(x, error, "") or error from None


def _columns(x: Any) -> Iterable[Any]:
    """The columns of ``x``, or ``x`` itself if its dtype is that of all columns."""
    if not isinstance(x, NO_FRAMES) and not sp.issparse(x):
        table = with_narwhals(x, allow_series=True)
        if isinstance(table, nw.DataFrame):
            return (table[:, index] for index in range(table.shape[1]))
        if isinstance(table, nw.Series):
            return [table]
    if not hasattr(x, "dtype"):
        try:
            x = np.asarray(x, dtype=object)
        except ValueError:
            return []
    kind = getattr(x.dtype, "kind", "")
    if kind != "O":
        return [x]
    return x.T if x.ndim == 2 else [x.ravel()]


def _kind(column: Any) -> str | None:
    dtype = column.dtype
    if isinstance(column, nw.Series):
        if dtype.is_temporal():
            return "durations" if dtype == nw.Duration else "dates"
        if dtype not in (nw.Object, nw.Unknown):
            return None
    elif getattr(dtype, "kind", "") != "O":
        return {"M": "dates", "m": "durations"}.get(getattr(dtype, "kind", ""))
    types = set(map(type, column))
    if "Period" in {t.__name__ for t in types}:
        return "dates"
    for kind, classes in _KINDS.items():
        if any(issubclass(t, classes) for t in types):
            return kind
    return None
