"""Errors of other packages about rows, in one sentence that names a remedy."""

from __future__ import annotations

import re
from typing import Any

import narwhals as nw
import numpy as np

from .._messages import shown

# How scikit-learn and NumPy begin to speak of an array that has no rows or no columns, and of
# one that is no table.
_EMPTY = ("Found array with 0 ", "at least one array or dtype is required")
_WRONG_SHAPE = (
    "Expected 2D array",
    "Expected a 2-dimensional container",
    "Found array with dim",
)


class OtherPlace(ValueError):
    """Rows that are in another library or on another device than the fit.

    Parameters
    ----------
    caller : str
        The estimator or its method.
    given, fitted : str
        The library and the device of both, in words.
    """

    def __init__(self, caller: str, given: str, fitted: str):
        super().__init__(
            f"Inputs passed to {caller} must use the same namespace and device as those passed "
            f"to fit, but X is {given}, and fit was given {fitted}: give such rows, with "
            "sklearn.set_config(array_api_dispatch=True), or call move_to(X)."
        )
        self.parts = caller, given, fitted

    def in_method(self, name: str) -> ValueError:
        """The error of the method of this name."""
        caller, *others = self.parts
        return ValueError(*OtherPlace(f"{caller}.{name}()", *others).args)


def known_error(X: Any, error: Exception, name: str) -> Exception | None:
    """The ``error`` of another package with a message that names a remedy, if one is known.

    ``name`` is that of the estimator.
    """
    text = str(error)
    if text.startswith(_WRONG_SHAPE):
        return ValueError(shape_message(np.shape(X), name))
    if text.startswith(_EMPTY):
        return ValueError(empty_message(X, name))
    if text.startswith("Complex data"):
        return ValueError(
            "Complex data not supported: X must hold real numbers, for instance the real and "
            "the imaginary parts in separate columns."
        )
    if re.search(r"\(\d+,\) \+ inhomogeneous", text):
        return ValueError(
            "X has rows of different lengths: give each row a value for every column, and None "
            "where it is missing."
        )
    if text.startswith("Feature names are only supported"):
        return TypeError(
            "X has names of columns that are text, and others that are not: make all of them "
            "text, with X.columns = X.columns.astype(str)."
        )
    if text.startswith("fill value must be 0"):
        return ValueError(
            "X has sparse columns whose fill value is not 0: convert it with "
            "X.sparse.to_dense()."
        )
    repeated = re.search(r"unique column names, got:\s- (.+) \d+ times", text)
    if repeated is not None:
        return ValueError(
            f"X has more than one column with the name {repeated.group(1)}: give each column a "
            "name of its own."
        )
    return None


def lazy_message(X: Any) -> str | None:
    """What is wrong with a frame without rows in memory; ``None`` for anything else."""
    if not nw.dependencies.is_polars_lazyframe(X):
        return None
    return "X is a LazyFrame, whose rows are not computed yet: pass X.collect()."


def shape_message(shape: tuple[int, ...], name: str) -> str:
    """What is wrong with the shape of ``X``, which has not two dimensions."""
    takes = f"X has shape {shown(shape)}, and {name} takes a row for each sample: "
    if len(shape) > 2:
        return takes + "flatten images with X.reshape(len(X), -1)."
    if not shape:
        return takes + "give a table of numbers."
    # In the words that scikit-learn's checks of estimators look for.
    return takes + "Reshape your data, by X.reshape(1, -1) if it is one row."


def empty_message(X: Any, name: str) -> str:
    n_rows, n_columns = X.shape if hasattr(X, "shape") else np.shape(X)
    kind, least = ("feature", "column") if n_rows else ("sample", "row")
    # The beginning is that of scikit-learn, whose checks of estimators look for it.
    return (
        f"X has 0 {kind}(s) (shape=({n_rows}, {n_columns})) while a minimum of 1 is required "
        f"by {name}: give at least one {least}."
    )


def text_in(X: Any) -> tuple[int, str] | None:
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
