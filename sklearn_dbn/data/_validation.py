"""Checks of the rows that estimators are given, and of their weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from .._compat import _check_sample_weight
from .._messages import short_message, shown
from ..units import UNITS
from ._dask import Partitions, partitions_of
from ._dates import dates_in
from ._values import (
    ROUNDING,
    blocks_of_values,
    clipped,
    counted,
    everywhere,
    has_outside,
    is_outside,
    some_uncounted,
    value_range,
)

# How scikit-learn and NumPy begin to speak of an array that has no rows or no columns, and of
# one that is no table.
_EMPTY = ("Found array with 0 ", "at least one array or dtype is required")
_WRONG_SHAPE = (
    "Expected 2D array",
    "Expected a 2-dimensional container",
    "Found array with dim",
)


class RowChecks:
    """Validation of `X` and `sample_weight`."""

    # The training of the machine that rows are shown to, where there is one.
    _bottom_run: Any

    def _check_rows(
        self,
        X: Any,
        *,
        reset: bool,
        dtype: Any = None,
        spread: bool = False,
        outside: str = "keep",
    ) -> Any:
        """Validate ``X`` for fitting (``reset``) or for use of the fitted estimator.

        Parameters
        ----------
        dtype : dtype or None
            Of a fitted machine to go on with.
        spread : bool
            Whether the rows may be those of a dask array, which stay with the workers of its
            cluster.
        outside : {"keep", "warn", "refuse"}
            What to do with values that the visible units of the fitted machine cannot have.
            "keep" leaves them to `visible_unit`. Otherwise those that are outside by rounding
            are clipped, on a copy, and of others the user is warned, or they are refused.
        """
        dtype = dtype or (np.float64, np.float32)
        if _of_dask(X):
            X = self._check_partitions(X, reset, dtype, spread)
        else:
            X = self._check_array(X, reset, dtype)
        if outside == "keep" or not self._is_within_support(X):
            largest = _largest(X.dtype)
            huge = _column_outside(X, (-largest, largest))
            if huge is not None:
                raise ValueError(
                    f"X has a value beyond {largest:.0e} in {_column(self, huge)}, and "
                    f"{X.dtype} cannot hold the squares: scale X, for instance with "
                    "StandardScaler."
                )
            if outside != "keep":
                X = self._clipped(X, refuse=outside == "refuse")
        return X

    def _is_within_support(self, X: Any) -> bool:
        """Whether the visible units are bounded, and all values are ones that they can have."""
        support = self._bottom_run.machine.units[0].support
        return not any(map(math.isinf, support)) and not has_outside(X, support)

    def _clipped(self, X: Any, refuse: bool) -> Any:
        """``X``, or a copy without what rounding left outside the support of the units."""
        run = self._bottom_run
        unit = run.machine.units[0]
        if not has_outside(X, unit.support):
            return X
        found = first_outside(X, unit.support)
        if found is not None:
            index, value = found
            low, high = run.moments.low[index], run.moments.high[index]
            seen = f"{low:.3g} to {high:.3g}" if low <= high else "no value"
            why = "have no likelihood" if refuse else "were trained on nothing"
            message = (
                f"X has {value:.8g} in {_column(self, index)}, which had {seen} in training, "
                f"and {unit.name} units {why} outside [{unit.support[0]:g}, "
                f"{unit.support[1]:g}]: scale X as in training, for instance with "
                "MinMaxScaler(clip=True)."
            )
            if refuse:
                raise ValueError(message)
            warnings.warn(message, UserWarning, stacklevel=4)
        return clipped(X, unit.support)

    def _check_array(self, X: Any, reset: bool, dtype: Any) -> Any:
        given = X
        try:
            # What overflows in a conversion to float32 is refused below.
            with np.errstate(over="ignore"):
                X = validate_data(
                    self,
                    X,
                    accept_sparse="csr",
                    dtype=_wider(X, dtype),
                    reset=reset,
                    ensure_all_finite=False,
                )
            X = _canonical(X)
            _check_finite(X, self)
            found = dates_in(given)
        except (ValueError, TypeError) as error:
            raise self._explained(error, given) from None
        if found is not None:
            raise ValueError(self._dates_message(*found))
        return X

    def _explained(self, error: Exception, X: Any) -> Exception:
        """The error of scikit-learn or NumPy about ``X``, or one that says what to do."""
        if str(error).startswith("Complex data"):
            return ValueError(
                "Complex data not supported: X must hold real numbers, for instance the "
                "real and the imaginary parts in columns of their own."
            )
        if str(error).startswith(_WRONG_SHAPE):
            return ValueError(_shape_message(np.shape(X), type(self).__name__))
        if str(error).startswith(_EMPTY):
            return ValueError(_empty_message(X, type(self).__name__))
        repeated = _repeated_name(X)
        if repeated is not None:
            return ValueError(
                f"X has more than one column with the name {shown(repeated)}: give each column "
                "a name of its own."
            )
        found = dates_in(X)
        if found is not None:
            return ValueError(self._dates_message(*found))
        found = _text_in(X)
        if found is not None:
            column, text = found
            return ValueError(
                f"X has the text {shown(text)} in {_column(self, column)}, and units take "
                "numbers: encode that column, for instance with OneHotEncoder, or leave it out."
            )
        if isinstance(X, str | bytes):
            return ValueError(f"X must hold a row of numbers for each sample, got {shown(X)}.")
        short = short_message(error)
        if str(error) == short:
            return error
        return (TypeError if isinstance(error, TypeError) else ValueError)(short)

    def _dates_message(self, column: int, kind: str) -> str:
        return (
            f"X has {kind} in {_column(self, column)}, and units take numbers: turn that "
            "column into numbers, for instance of days since the first, or leave it out."
        )

    def _check_partitions(self, X: Any, reset: bool, dtype: Any, spread: bool) -> Partitions:
        found = dates_in(X) if hasattr(X, "dtype") else None
        if found is not None:
            raise ValueError(self._dates_message(*found))
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
            if dates_in(sample_weight) is not None:
                raise TypeError("dates")
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
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
        return weight.astype(X.dtype, copy=False)


def visible_unit(
    estimator: Any, asked: str | None, X: Any, weight: np.ndarray, fitted: str | None = None
) -> Any:
    """The type of unit for the columns of the training rows ``X``, which it can take.

    Parameters
    ----------
    estimator : estimator
        Which knows the names of the columns.
    asked : str or None
        What the parameter `visible` says; ``None`` where the machine is not to be trained.
    X : array, CSR array or Partitions
        Rows. Those of ``weight`` 0 decide nothing.
    fitted : str or None
        The type of the units of the machine, where there is one.

    Raises
    ------
    ValueError
        When a column has values that the units cannot take, more than rounding explains.
    """
    weight = some_uncounted(weight)
    if asked == "auto" and fitted is None:
        return UNITS["bernoulli" if _is_grey(X, weight) else "gaussian"]
    unit = UNITS[fitted or asked]
    found = first_outside(X, unit.support, weight)
    if found is None:
        return unit
    index, value = found
    where, (low, high) = _column(estimator, index), unit.support
    if asked in UNITS:
        raise ValueError(
            f"X has values outside [{low:g}, {high:g}] in {where}, which visible={asked!r} "
            "units cannot take: scale X, for instance with MinMaxScaler, or set "
            "visible='gaussian'."
        )
    how = (
        f"visible='auto' decided at the first call for {fitted} units, as all values were in "
        f"[{low:g}, {high:g}]"
        if asked == "auto"
        else f"the {fitted} units of the fitted generator take values in [{low:g}, {high:g}]"
    )
    raise ValueError(
        f"X has {value:.8g} in {where}, and {how}: scale X as before, or train a new machine "
        "with visible='gaussian'."
    )


def _is_grey(X: Any, weight: np.ndarray | None) -> bool:
    """Whether all columns lie in [0, 1], but for what rounding explains.

    That is judged by the range of a column: real values in units so large that all of them are
    small are no rounding errors.
    """
    support = UNITS["bernoulli"].support
    if not any(everywhere(has_outside, X, support, weight=weight)):
        return True
    if any(everywhere(partial(has_outside, beyond=ROUNDING), X, support, weight=weight)):
        return False
    lows, highs = zip(*everywhere(value_range, X, weight=weight), strict=True)
    low, high = np.fmin.reduce(lows), np.fmax.reduce(highs)
    rounding = ROUNDING * np.where(high > low, high - low, 1.0)
    outside = (low < support[0] - rounding) | (high > support[1] + rounding)
    return not outside.any()


def first_outside(
    X: Any, support: tuple[float, float], weight: np.ndarray | None = None
) -> tuple[int, float] | None:
    """The first column with a value outside ``support``, and how far its values get.

    What rounding explains is not outside, and rows of ``weight`` 0 do not count.
    """
    if all(map(math.isinf, support)):
        return None
    parts = everywhere(_furthest_outside, X, support, weight=weight)
    return min(filter(None, parts), key=_first_then_furthest(support), default=None)


def _furthest_outside(
    X: Any, support: tuple[float, float], weight: np.ndarray | None = None
) -> tuple[int, float] | None:
    outside = partial(is_outside, support=support, beyond=ROUNDING)
    order = _first_then_furthest(support)
    found = None
    for rows in counted(X, weight):
        for columns, values in _entries(rows, outside):
            first = columns == columns.min()
            ends = values[first].min(), values[first].max()
            here = [(int(columns.min()), float(value)) for value in ends]
            found = min(filter(None, [found, *here]), key=order)
    return found


def _first_then_furthest(support: tuple[float, float]) -> Callable[[tuple], tuple]:
    return lambda found: (found[0], -max(support[0] - found[1], found[1] - support[1]))


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


def _shape_message(shape: tuple[int, ...], name: str) -> str:
    """What is wrong with the shape of ``X``, which has not two dimensions."""
    takes = f"X has shape {shown(shape)}, and {name} takes a row for each sample: "
    if len(shape) > 2:
        return takes + "flatten images with X.reshape(len(X), -1)."
    if not shape:
        return takes + "give a table of numbers."
    # In the words that scikit-learn's checks of estimators look for.
    return takes + "Reshape your data, by X.reshape(1, -1) if it is one row."


def _empty_message(X: Any, name: str) -> str:
    n_rows, n_columns = X.shape if hasattr(X, "shape") else np.shape(X)
    kind, least = ("feature", "column") if n_rows else ("sample", "row")
    # The beginning is that of scikit-learn, whose checks of estimators look for it.
    return (
        f"X has 0 {kind}(s) (shape=({n_rows}, {n_columns})) while a minimum of 1 is required "
        f"by {name}: give at least one {least}."
    )


def _repeated_name(X: Any) -> Any:
    """The first name that a frame has for two columns, or None."""
    names = list(getattr(X, "columns", []))
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _of_dask(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "dask"


def _entries(
    X: Any, wrong: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The columns and the values of the entries that are ``wrong``. Zero is right."""
    start = 0
    for values in blocks_of_values(X):
        found = wrong(values)
        if found.any():
            stored = X.indices[start : start + len(values)] if sp.issparse(X) else None
            columns = np.nonzero(found)[1] if stored is None else stored[found]
            yield columns, values[found]
        start += len(values)


def _first_column(X: Any, wrong: Callable[[np.ndarray], np.ndarray]) -> int | None:
    """The first column with a value that is ``wrong``, or None. Zero is right."""
    return min((int(columns.min()) for columns, _ in _entries(X, wrong)), default=None)


def _column(estimator: Any, index: int) -> str:
    """A column as its user knows it."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {index}" if names is None else f"column {shown(names[index])}"


def _column_outside(X: Any, support: tuple[float, float]) -> int | None:
    """The first column with a value outside ``support``, or None."""
    if all(map(math.isinf, support)):
        return None
    columns = everywhere(_first_column, X, partial(is_outside, support=support))
    return min((column for column in columns if column is not None), default=None)


def _checked(X: Any, dtype: Any) -> Any:
    """Rows that are part of the rows to be used."""
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
    """The dtypes that ``X`` may keep, float32 in the place of float16."""
    dtypes = getattr(X, "dtypes", None)
    # A series has one.
    kinds = set(dtypes) if hasattr(dtypes, "__iter__") else {getattr(X, "dtype", None)}
    half = isinstance(dtype, tuple) and kinds == {np.dtype(np.float16)}
    return np.float32 if half else dtype


def _canonical(X: Any) -> Any:
    """``X`` with one stored value for each cell, which is the sum of those it had."""
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _check_finite(X: Any, estimator: Any = None) -> None:
    # By blocks, since scikit-learn would look through a copy of some arrays.
    for values in blocks_of_values(X):
        try:
            assert_all_finite(values, allow_nan=True)
        except ValueError:
            where = _column(estimator, _first_column(X, np.isinf))
            raise ValueError(
                f"Input X contains infinity or a value too large for {values.dtype} in "
                f"{where}: scale that column, or give NaN where the value is missing."
            ) from None
