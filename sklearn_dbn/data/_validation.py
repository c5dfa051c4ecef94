"""Validation of rows and row weights."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from .._array_api import array_like, device, is_foreign, library_and_device, namespace, to_numpy
from .._compat import _check_sample_weight, get_namespace
from .._messages import short_message, shown
from ..units import HIDDEN
from ._dask import (
    Partitions,
    check_kinds_on_cluster,
    has_cluster,
    in_memory,
    numbers_on_cluster,
    of_dask,
    partitions_of,
)
from ._dates import dates_in
from ._errors import (
    OtherPlace,
    empty_message,
    known_error,
    lazy_message,
    shape_message,
    text_in,
)
from ._frames import Format, columns_of, frame_of, is_single
from ._table import Table
from ._values import blocks_of_values, clipped, has_outside, range_of_all
from ._visible import column_name, first_outside


class RowChecks:
    """Validation of `X` and `sample_weight`."""

    # The training of the bottom machine, if there is one.
    _bottom_run: Any
    # The columns that `fit` was given.
    _table: Table

    def _check_rows(
        self,
        X: Any,
        *,
        reset: bool,
        dtype: Any = None,
        partitioned: bool = False,
        outside: str = "keep",
        rbm: Any = None,
        pathways: Any = None,
        table: Table | None = None,
        quiet: bool = False,
    ) -> Any:
        """Validate ``X`` for fitting (``reset``) or for use of the fitted estimator.

        The rows that are returned hold numbers: levels are given by their positions.

        Parameters
        ----------
        dtype : dtype or None
            Of a fitted machine whose training continues.
        partitioned : bool
            Whether the rows may be those of a dask array or frame, or `Partitions` that
            another estimator has checked.
        outside : {"keep", "warn", "refuse"}
            What to do with values that the visible units of the fitted machine cannot have.
            "keep" leaves them to `visible_columns`. Otherwise those that are outside by
            rounding are clipped, on a copy; for others there is a warning or an error.
        rbm : RBMTransformer or None
            The template of the bottom machine, whose `visible` and `missing` give the kinds of
            the columns; with ``reset``.
        pathways : dict or None
            The columns of each pathway; with ``reset``.
        table : Table or None
            The table of another estimator, instead of ``rbm`` and ``pathways``.
        quiet : bool
            No warning of whole numbers: a generator is trained on the same rows, and warns.
        """
        dtype, lazy = dtype or (np.float64, np.float32), lazy_message(X)
        if lazy is not None:
            raise TypeError(lazy)
        if of_dask(X) or isinstance(X, Partitions):
            given = self._table if table is None and not reset else table
            if given is not None and given.columns is not None:
                raise TypeError(
                    f"X is a dask {type(X).__name__}, and the columns have levels or kinds of "
                    "their own, for which rows must be in memory: pass X.compute()."
                )
            if reset:
                check_kinds_on_cluster(X, rbm, pathways)
            X = self._check_partitions(X, reset, dtype, partitioned)
        else:
            if reset and rbm is not None:
                table = self._table_of(X, rbm, pathways, quiet)
            X = self._check_table(X, reset, dtype, table)
        if outside == "keep" or not self._is_within_support(X):
            largest = _largest(X.dtype)
            huge = _column_beyond(X, largest)
            if huge is not None:
                raise ValueError(
                    f"X has a value beyond {largest:.0e} in {column_name(self, huge)}, and "
                    f"{X.dtype} cannot hold the squares: scale X, for instance with "
                    "StandardScaler."
                )
            if outside != "keep":
                X = self._clipped(X, refuse=outside == "refuse")
        return X

    def _is_within_support(self, X: Any) -> bool:
        """Whether the visible units are bounded, and all values are in their support."""
        support = self._bottom_run.machine.units[0].support
        return not np.any(np.isinf(support)) and not has_outside(X, support)

    def _clipped(self, X: Any, refuse: bool) -> Any:
        """``X``, or a copy in which values outside the support by rounding are clipped."""
        run = self._bottom_run
        unit = run.machine.units[0]
        if not has_outside(X, unit.support):
            return X
        found = first_outside(X, unit.support)
        if found is not None:
            (index, value), where = found, column_name(self, found[0])
            kind, state = unit.of_column(index)
            low, high = run.moments.low[state], run.moments.high[state]
            range_ = f"{low:.3g} to {high:.3g}" if low <= high else "no value"
            why = "have no likelihood" if refuse else "were not trained on values"
            message = (
                f"X has {value:.8g} in {where}, which had {range_} in training, "
                f"and {kind.name} units {why} outside [{kind.support[0]:g}, "
                f"{kind.support[1]:g}]: scale X as in training, for instance with "
                "MinMaxScaler(clip=True)."
            )
            if refuse:
                raise ValueError(message)
            warnings.warn(message, UserWarning, stacklevel=4)
        return clipped(X, unit.support)

    def _check_table(self, X: Any, reset: bool, dtype: Any, table: Any) -> Any:
        """Rows of numbers of data that are not on a cluster; sets the table with ``reset``."""
        table = table or (None if reset else self._table)
        if is_foreign(X) and not get_namespace(X)[1]:
            X = self._as_numpy(X)
        if table is None or table.columns is None:
            found = self._check_array(X, reset, dtype)
        else:
            if not reset:
                self._check_library(X)
            given = X
            X = self._in_columns(X, reset)
            found = table.codes(X, partial(column_name, self))
            if isinstance(dtype, tuple):
                dtype = np.float32 if is_single(X) else np.float64
            if is_foreign(given):
                # Levels are read on the host.
                found = namespace(given).asarray(found, device=device(given))
                found = namespace(given).astype(found, _dtype_in(given, dtype), copy=False)
            else:
                found = found.astype(dtype, copy=False)
            _check_finite(found, self)
        if reset:
            self._table = table or Table(None, None)
        return found

    def _table_of(self, X: Any, rbm: Any, pathways: Any, quiet: bool) -> Table:
        """The table of training rows, for the parameters of the template ``rbm``."""
        plain = isinstance(rbm.visible, str) and rbm.visible in ("auto", *HIDDEN)
        plain = plain and rbm.missing == "nan" and frame_of(X) is None and pathways is None
        if not plain:
            X = self._in_columns(X, reset=True)
        if rbm.visible == "auto" and not quiet:
            _warn_of_integers(X)
        if plain:
            return Table(None, None)
        return Table.of(X, rbm.visible, rbm.missing, partial(column_name, self), pathways)

    def _check_like_fit(self, X: Any) -> None:
        """Refuse rows with other columns than those of `fit`; no warning of new levels."""
        if of_dask(X):
            self._check_columns(X, reset=False)
        elif self._table.columns is None:
            self._check_rows(X, reset=False)
        else:
            self._in_columns(X, reset=False)

    def _in_columns(self, X: Any, reset: bool) -> Any:
        """``X`` if it is a frame or sparse, else as an array; checks its shape and names."""
        try:
            if is_foreign(X):
                X = to_numpy(X) if get_namespace(X)[1] else self._as_numpy(X)
            elif frame_of(X) is None and not sp.issparse(X):
                X = np.asarray(X)
                if X.ndim != 2:
                    raise ValueError(shape_message(X.shape, type(self).__name__))
            if 0 in X.shape:
                raise ValueError(empty_message(X, type(self).__name__))
            validate_data(self, X, reset=reset, skip_check_array=True)
            found = dates_in(X)
        except (ValueError, TypeError) as error:
            raise known_error(X, error, type(self).__name__) or error from None
        if found is not None:
            raise ValueError(self._dates_message(*found))
        return X

    def _check_array(self, X: Any, reset: bool, dtype: Any) -> Any:
        given = X
        if not reset:
            self._check_library(X)
        try:
            # What overflows in a conversion to float32 is refused below.
            with np.errstate(over="ignore"):
                X = validate_data(
                    self,
                    X,
                    accept_sparse="csr",
                    dtype=_dtypes_of(X, dtype) if is_foreign(X) else _wider(X, dtype),
                    # The values of a frame would be in the order of its columns.
                    order=None if frame_of(X) is None else "C",
                    reset=reset,
                    ensure_all_finite=False,
                )
            X = _canonical(X)
            _check_finite(X, self)
            found = dates_in(given)
        except (ValueError, TypeError) as error:
            raise self._error_about(given, error, reset) from None
        if found is not None:
            raise ValueError(self._dates_message(*found))
        return X

    def _as_numpy(self, X: Any) -> np.ndarray:
        """The array of another library on the host, with its dtype."""
        try:
            return np.asarray(X)
        except (TypeError, RuntimeError, ValueError):
            raise TypeError(
                f"X is {_described(X)}, and NumPy cannot read it: set "
                "sklearn.set_config(array_api_dispatch=True) to compute there, or copy X to "
                "the host."
            ) from None

    def _check_library(self, X: Any) -> None:
        """Refuse rows that are not where the fitted machine is."""
        par = self._bottom_run.average.par[0]
        if not is_foreign(X) and isinstance(par, np.ndarray):
            return
        if not (is_foreign(X) and is_foreign(par)) or _described(X) != _described(par):
            raise OtherPlace(type(self).__name__, _described(X), _described(par))

    def _error_about(self, X: Any, error: Exception, reset: bool) -> Exception:
        """The ``error`` of scikit-learn or NumPy, or one with a message that names a remedy."""
        known = known_error(X, error, type(self).__name__)
        if known is not None:
            return known
        found = dates_in(X)
        if found is not None:
            return ValueError(self._dates_message(*found))
        shape = X.shape if hasattr(X, "shape") else np.shape(np.asarray(X, dtype=object))
        if len(shape) == 1:
            return ValueError(shape_message(shape, type(self).__name__))
        found = text_in(X)
        if found is not None:
            column, text = found
            start = f"X has the text {shown(text)} in {column_name(self, column)}"
            if not reset:
                return ValueError(f"{start}, which had numbers in fit: give numbers.")
            return ValueError(
                f"{start}, and here units take numbers: give a data frame, set "
                "visible='categorical', or leave it out."
            )
        if isinstance(X, str | bytes):
            return ValueError(f"X must hold a row of numbers for each sample, got {shown(X)}.")
        short = short_message(error)
        if str(error) == short:
            return error
        return (TypeError if isinstance(error, TypeError) else ValueError)(short)

    def _dates_message(self, column: int, kind: str) -> str:
        return (
            f"X has {kind} in {column_name(self, column)}, and units take numbers: convert "
            "that column, for instance to days since the first, or leave it out."
        )

    def _check_columns(self, X: Any, reset: bool) -> Any:
        """Check the columns of a dask collection or of `Partitions`; computes nothing.

        Returns a frame without rows that has these columns; ``None`` for an array.
        """
        form = self._form_of(X, reset)
        if form is None:
            validate_data(self, X, reset=reset, skip_check_array=True)
        return form

    def _form_of(self, X: Any, reset: bool) -> Any:
        """As `_check_columns`, but of arrays it only checks that they have no dates."""
        if isinstance(X, Partitions):
            form = X.form
        else:
            form = X._meta if hasattr(X, "columns") and X.ndim == 2 else None
        if form is not None:
            validate_data(self, form, reset=reset, skip_check_array=True)
        typed = form is not None or hasattr(X, "dtype")
        found = dates_in(X if form is None else form) if typed else None
        if found is not None:
            raise ValueError(self._dates_message(*found))
        return form

    def _check_partitions(
        self, X: Any, reset: bool, dtype: Any, partitioned: bool
    ) -> Partitions:
        form = self._form_of(X, reset)
        if not isinstance(X, Partitions) and not (partitioned and has_cluster(X)):
            name = type(self).__name__
            cluster = (
                ", or start a distributed.Client for dask arrays (extra sklearn-dbn[dask])"
                if partitioned
                else ""
            )
            raise TypeError(
                f"X is a dask {type(X).__name__}, which {name} would have to load whole: "
                f"call partial_fit on one partition after the other, or pass X.compute()"
                f"{cluster}."
            )
        if form is None:
            validate_data(self, X, reset=reset, skip_check_array=True)
        if isinstance(X, Partitions):
            parts = X
        else:
            rows = X if form is None else numbers_on_cluster(X, form)
            parts = partitions_of(rows, partial(_checked, dtype=dtype))
        if not parts.shape[0]:
            raise ValueError(
                "X has 0 rows in all its partitions, and training needs at least one."
            )
        parts.form = form
        if reset:
            self._table = Table(None, Format.of(form))
        return parts

    def _check_weight(self, sample_weight: Any, X: Any) -> np.ndarray:
        """Validate ``sample_weight``: for each row one number that is not negative."""
        sample_weight = in_memory(sample_weight)
        if is_foreign(sample_weight):
            sample_weight = to_numpy(sample_weight)
        try:
            if dates_in(sample_weight) is not None:
                raise TypeError("dates")
            # The weights of rows on another device are checked on the host.
            rows = np.zeros((X.shape[0], 1)) if is_foreign(X) else X
            weight = _check_sample_weight(
                sample_weight, rows, dtype=np.float64, ensure_non_negative=True, copy=True
            )
        except (ValueError, TypeError) as error:
            if "sample_weight" in str(error):
                raise
            if "at least one non-zero" in str(error):
                raise ValueError(
                    "sample_weight must contain at least one non-zero number: give a row a "
                    "positive weight."
                ) from None
            raise ValueError(
                f"sample_weight must hold a number for each row, got {shown(sample_weight)}."
            ) from error
        total, largest = float(weight.sum()), _largest(X.dtype)
        if not 1 / largest < total < largest:
            raise ValueError(
                f"sample_weight sums to {total:.3g}, and {X.dtype} cannot hold its square: "
                "divide it by its mean."
            )
        return array_like(weight, X) if is_foreign(X) else weight.astype(X.dtype, copy=False)


def _largest(dtype: Any) -> float:
    """The largest value of which a million squares can be added without overflow."""
    single = str(dtype).endswith("float32")
    return 1e-3 * float(np.finfo(np.float32 if single else np.float64).max) ** 0.5


def _warn_of_integers(X: Any) -> None:
    """Warn if ``X`` is an array or a frame of whole numbers that may be counts."""
    frame = frame_of(X)
    if frame is not None:
        if not all(dtype.is_integer() for dtype in frame.schema.values()):
            return
        columns = [column.present for column in columns_of(X)]
    elif getattr(getattr(X, "dtype", None), "kind", "") in ("i", "u"):
        columns = [X.data if sp.issparse(X) else X]
    else:
        return
    low = min(x.min(initial=0) for x in columns)
    high = max(x.max(initial=0) for x in columns)
    if low >= 0 and high > 1:
        warnings.warn(
            f"X holds whole numbers up to {high:.0f}, which visible='auto' takes as real "
            "numbers: set visible='count' for counts, 'categorical' for codes of categories, "
            "or 'gaussian' for neither.",
            UserWarning,
            stacklevel=5,
        )


def _column_beyond(X: Any, largest: float) -> int | None:
    """The first column with an absolute value above ``largest``, or None."""
    low, high = range_of_all(X)
    (columns,) = np.nonzero((low < -largest) | (high > largest))
    return int(columns[0]) if len(columns) else None


def _described(x: Any) -> str:
    """The library and the device of an array, in words."""
    if not is_foreign(x):
        return "an array of NumPy" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"
    return "an array of {} on {}".format(*library_and_device(x))


def _dtypes_of(X: Any, dtype: Any) -> list:
    """``dtype`` in the library of ``X``; float32 for half precision."""
    xp = namespace(X)
    if not isinstance(dtype, tuple):
        return [_dtype_in(X, dtype)]
    half = str(X.dtype).endswith("float16")
    return [xp.float32, xp.float64] if half else [xp.float64, xp.float32]


def _dtype_in(X: Any, dtype: Any) -> Any:
    """A float dtype, of any library, in the library of ``X``."""
    xp, name = namespace(X), str(dtype)
    return xp.float32 if "float32" in name else xp.float64


def _checked(X: Any, dtype: Any) -> Any:
    """Validate the rows of one partition."""
    X = check_array(
        X,
        accept_sparse="csr",
        dtype=_wider(X, dtype),
        ensure_all_finite=False,
        ensure_min_samples=0,
    )
    X = _canonical(X)
    _check_finite(X)
    return X


def _wider(X: Any, dtype: Any) -> Any:
    """The dtypes that ``X`` may keep; float32 for float16."""
    dtypes = getattr(X, "dtypes", None)
    # A series has one.
    kinds = set(dtypes) if hasattr(dtypes, "__iter__") else {getattr(X, "dtype", None)}
    half = isinstance(dtype, tuple) and kinds == {np.dtype(np.float16)}
    return np.float32 if half else dtype


def _canonical(X: Any) -> Any:
    """``X`` with one stored value for each entry: the sum if there were several."""
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _check_finite(X: Any, estimator: Any = None) -> None:
    # By blocks, since scikit-learn would copy some arrays.
    start = 0
    for values in blocks_of_values(X):
        try:
            assert_all_finite(values, allow_nan=True)
        except ValueError:
            (*_, columns) = np.nonzero(np.isinf(to_numpy(values)))
            columns = X.indices[start + columns] if sp.issparse(X) else columns
            where = column_name(estimator, int(columns.min()))
            raise ValueError(
                f"Input X contains infinity or a value too large for {values.dtype} in "
                f"{where}: scale that column, or give NaN where the value is missing."
            ) from None
        start += values.shape[0]
