"""What every generator shares as a scikit-learn estimator."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from ._compat import _check_sample_weight, parse_version, validate_parameter_constraints
from ._partitions import Partitions, partitions_of
from ._rows import blocks_of_values, everywhere, has_gaps
from ._version import __version__
from .units import UNITS


class BaseGenerator(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Input validation, tags and callbacks of the generators."""

    _doc_link_module = "sklearn_dbn"

    @property
    def _doc_link_template(self) -> str:
        # The HTML repr shows what a parameter means only beside a link to where that is
        # written: the docstring, as it was installed.
        module = Path(inspect.getfile(type(self)))
        return module.as_uri().replace("{", "{{").replace("}", "}}")

    def __getstate__(self) -> dict[str, Any]:
        # skops reads it here.
        return super().__getstate__() | {"_sklearn_dbn_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        _check_version(type(self), state.pop("_sklearn_dbn_version", "0"))
        super().__setstate__(state)

    def __reduce__(self) -> tuple:
        # pickle reads it here: before the state, whose classes a newer version may have moved.
        return _unpickled, (type(self), __version__), self.__getstate__()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

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


def _unpickled(kind: type, version: str) -> Any:
    """An estimator without its state, if the ``version`` that wrote it can be read here."""
    _check_version(kind, version)
    return kind.__new__(kind)


def _check_version(kind: type, version: str) -> None:
    if parse_version(version) > parse_version(__version__):
        raise ValueError(
            f"This {kind.__name__} was saved by sklearn_dbn {version}, which the older "
            f"{__version__} that is installed here cannot read: install {version} or later, or "
            "fit it anew."
        )


def _largest(dtype: Any) -> float:
    """What can be squared, and the squares of a million added up."""
    return 1e-3 * float(np.finfo(dtype).max) ** 0.5


def layer_sizes(hidden_layer_sizes: Any) -> list[int]:
    """The number of units of each hidden layer."""
    several = isinstance(hidden_layer_sizes, Sequence | np.ndarray)
    sizes = list(hidden_layer_sizes) if several else [hidden_layer_sizes]
    if not sizes or not all(isinstance(n, Integral) and n > 0 for n in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must hold a positive int for "
            "each hidden layer, and at least one."
        )
    return [int(n) for n in sizes]


def check_parameters(caller: str, **given: tuple[list[Any], Any]) -> None:
    """Validate parameters of the method ``caller``, each given as (constraints, value)."""
    constraints = {name: allowed for name, (allowed, _) in given.items()}
    values = {name: value for name, (_, value) in given.items()}
    validate_parameter_constraints(constraints, values, caller_name=caller)


def check_columns(H: Any, n_columns: int, dtype: Any) -> np.ndarray:
    """Validate features on their way back to the input."""
    H = check_array(H, dtype=dtype, input_name="H")
    if H.shape[1] != n_columns:
        raise ValueError(
            f"H has {H.shape[1]} columns, but transform gives {n_columns}: pass what transform "
            "returned."
        )
    return H


@contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Give ``estimator`` its attributes back when the block raises.

    What `interrupt` noted is raised after the block, and the estimator keeps what it has.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException as error:
        vars(estimator).clear()
        vars(estimator).update(before)
        if isinstance(error, KeyboardInterrupt) and not error.args:
            raise KeyboardInterrupt(
                f"{type(estimator).__name__} was interrupted before there was a whole pass "
                "to keep, and is as it was before."
            ) from None
        raise
    noted = interrupted(estimator)
    if noted is not None:
        raise noted


def interrupt(estimator: Any, what: str, remembered: bool) -> None:
    """Note that the user wants to stop, and ``what`` the estimator keeps.

    ``remembered``: and the folder of `memory` too.
    """
    how = "the same fit" if remembered else "fit with warm_start=True"
    estimator._interrupt = KeyboardInterrupt(
        f"{type(estimator).__name__} was interrupted, and keeps {what}: {how} goes on from "
        "there."
    )


def interrupted(estimator: Any) -> KeyboardInterrupt | None:
    """What `interrupt` noted, if anything, which is then forgotten."""
    return vars(estimator).pop("_interrupt", None)


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
