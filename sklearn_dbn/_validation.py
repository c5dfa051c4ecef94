"""Checks of the rows that estimators are given, and of their weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from ._compat import _check_sample_weight
from ._partitions import Partitions, partitions_of
from ._rows import blocks_of_values, everywhere, has_gaps
from .units import UNITS


class RowChecks:
    """Validation of `X` and `sample_weight`."""

    def _check_rows(
        self,
        X: Any,
        *,
        reset: bool,
        dtype: Any = None,
        missing: bool = True,
        spread: bool = False,
    ) -> Any:
        """Validate ``X`` for fitting (``reset``) or for use of the fitted estimator.

        ``dtype`` is that of a fitted machine to go on with; NaN, for what is missing, may pass
        or not. With ``spread`` the rows may be those of a dask array, which stay with the
        workers of its cluster.
        """
        dtype = dtype or (np.float64, np.float32)
        if _of_dask(X):
            X = self._check_partitions(X, reset, dtype, spread)
        else:
            X = self._check_array(X, reset, dtype)
        largest = _largest(X.dtype)
        huge = _column_outside(X, (-largest, largest))
        if huge is not None:
            raise ValueError(
                f"X has a value beyond {largest:.0e} in {_column(self, huge)}, and {X.dtype} "
                "cannot hold the squares: scale X, for instance with StandardScaler."
            )
        if not missing and has_gaps(X):
            column = _column(self, _first_column(X, np.isnan))
            raise ValueError(
                f"X has NaN in {column}, and only complete rows have a score: fill the gaps "
                "first, for instance with impute."
            )
        return X

    def _check_array(self, X: Any, reset: bool, dtype: Any) -> Any:
        given = X
        try:
            X = validate_data(
                self,
                X,
                accept_sparse="csr",
                dtype=dtype,
                reset=reset,
                ensure_all_finite=False,
            )
            _check_finite(X)
        except ValueError as error:
            if str(error).startswith("Complex data"):
                raise ValueError(
                    "Complex data not supported: X must hold real numbers, for instance the "
                    "real and the imaginary parts in columns of their own."
                ) from None
            found = _text_in(given)
            if found is None:
                raise
            column, text = found
            raise ValueError(
                f"X has the text {text!r} in {_column(self, column)}, and units take numbers: "
                "encode that column, for instance with OneHotEncoder, or leave it out."
            ) from None
        return X

    def _check_partitions(self, X: Any, reset: bool, dtype: Any, spread: bool) -> Partitions:
        held = partitions_of(X, partial(_checked, dtype=dtype)) if spread else None
        if held is None:
            name = type(self).__name__
            cluster = (
                ", or start a distributed.Client for dask arrays (extra sklearn-dbn[dask])"
                if spread
                else ""
            )
            raise TypeError(
                f"X is a dask {type(X).__name__}, which {name} would have to load whole: "
                f"call partial_fit on one partition after the other, or pass X.compute()"
                f"{cluster}."
            )
        if not held.shape[0]:
            raise ValueError(
                "X has 0 rows in all its partitions, and training needs one at least."
            )
        return validate_data(self, held, reset=reset, skip_check_array=True)

    def _check_weight(self, sample_weight: Any, X: Any) -> np.ndarray:
        """Validate ``sample_weight``, one number that is not negative for each row."""
        if _of_dask(sample_weight):
            sample_weight = sample_weight.compute()
        try:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
            )
        except (ValueError, TypeError) as error:
            if "weight" in str(error):
                raise
            raise ValueError(
                f"sample_weight must hold a number for each row, got {sample_weight!r}."
            ) from error
        total, largest = float(weight.sum()), _largest(X.dtype)
        if not 1 / largest < total < largest:
            raise ValueError(
                f"sample_weight sums to {total:.3g}, and {X.dtype} cannot hold its square: "
                "divide it by its mean."
            )
        return weight.astype(X.dtype, copy=False)


def visible_unit(estimator: Any, visible: str, X: Any) -> Any:
    """The type of unit that ``visible`` asks for, if it can take the values of ``X``."""
    if visible == "auto":
        grey = _column_outside(X, UNITS["bernoulli"].support) is None
        visible = "bernoulli" if grey else "gaussian"
    low, high = UNITS[visible].support
    if (outside := _column_outside(X, (low, high))) is not None:
        column = _column(estimator, outside)
        raise ValueError(
            f"X has values outside [{low:g}, {high:g}] in {column}, which visible={visible!r} "
            "units cannot take: scale X, for instance with MinMaxScaler, or set "
            "visible='gaussian'."
        )
    return UNITS[visible]


def _largest(dtype: Any) -> float:
    """What can be squared, and the squares of a million added up."""
    return 1e-3 * float(np.finfo(dtype).max) ** 0.5


def _text_in(X: Any) -> tuple[int, str] | None:
    """The first column with a string that is no number, and that string."""
    if getattr(getattr(X, "dtype", None), "kind", "O") in "biufc":
        return None
    rows = np.asarray(X, dtype=object)
    if rows.ndim != 2:
        return None
    for column, values in enumerate(rows.T):
        for text in filter(lambda value: isinstance(value, str), values):
            try:
                float(text)
            except ValueError:
                return column, text
    return None


def _of_dask(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "dask"


def _first_column(X: Any, wrong: Callable[[np.ndarray], np.ndarray]) -> int | None:
    """The first column with a value that is ``wrong``, or None. Zero is right."""
    first, start = X.shape[1], 0
    for values in blocks_of_values(X):
        found = wrong(values)
        if found.any():
            stored = X.indices[start : start + len(values)] if sp.issparse(X) else None
            columns = np.flatnonzero(found.any(axis=0)) if stored is None else stored[found]
            first = min(first, int(columns.min()))
        start += len(values)
    return first if first < X.shape[1] else None


def _column(estimator: Any, index: int) -> str:
    """A column as its user knows it."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {index}" if names is None else f"column {names[index]!r}"


def _column_outside(X: Any, support: tuple[float, float]) -> int | None:
    """The first column with a value outside ``support``, or None."""
    if all(map(math.isinf, support)):
        return None
    columns = everywhere(_first_column, X, partial(_outside, support))
    return min((column for column in columns if column is not None), default=None)


def _outside(support: tuple[float, float], values: np.ndarray) -> np.ndarray:
    return (values < support[0]) | (values > support[1])


def _checked(X: Any, dtype: Any) -> Any:
    """Rows that are part of the rows to be used."""
    X = check_array(
        X, accept_sparse="csr", dtype=dtype, ensure_all_finite=False, ensure_min_samples=0
    )
    _check_finite(X)
    return X


def _check_finite(X: Any) -> None:
    # By blocks, since scikit-learn would look through a copy of some arrays.
    for values in blocks_of_values(X):
        assert_all_finite(values, allow_nan=True, input_name="X")
