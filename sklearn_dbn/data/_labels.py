"""Labels of rows in any common form, and which rows have one."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, column_or_1d

from .._messages import shown

# Types of missing values of pandas, by name since pandas need not be installed.
_MISSING_TYPES = ("NAType", "NaTType")
_FLOATING = (float, np.floating, np.datetime64, np.timedelta64)
# Returns which labels pass a test.
Where = Callable[[Callable[[Any], bool]], np.ndarray]


def labels_of(y: Any, unlabeled: Any, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
    """The labels of the rows that have one, and which rows these are.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_labels)
    unlabeled : object
        The label of rows that have none. "auto": missing values, and -1 among integers and
        objects. ``None``: there are no such rows.
    name : str
        Of ``y`` in error messages.

    Returns
    -------
    labels : array of shape (n_labelled,) or (n_labelled, n_labels)
    known : bool array of shape (n_rows,)

    Raises
    ------
    ValueError
        When a label is missing and no such label is expected, or when ``unlabeled`` is a number
        and ``y`` holds its text, or the other way round.
    """
    if np.ndim(unlabeled):
        raise ValueError(f"unlabeled={shown(unlabeled)} must be one label, 'auto' or None.")
    y = _array(y, name)
    where = _finder(y)
    missing, marked = where(_is_missing), _marked(y, where, unlabeled, name)
    if unlabeled is None or not (_is_auto(unlabeled) or _is_missing(unlabeled)):
        _refuse_missing(y, missing & ~marked, unlabeled, name)
    if y.ndim == 1:
        known = ~marked
    else:
        # 0 and 1 are entries of an indicator matrix, not the absence of labels.
        binary = isinstance(unlabeled, Real) and unlabeled in (0, 1)
        known = np.ones(len(y), bool) if binary else ~marked.all(axis=1)
        _refuse_missing(y, missing & known[:, None], unlabeled, name)
    labels = _without_object_dtype(y[known])
    if len(labels):
        labels = check_array(labels, ensure_2d=False, dtype=None, input_name=name)
    return labels, known


def _array(y: Any, name: str) -> np.ndarray:
    """The labels as an array in which missing values are not converted to text."""
    if sp.issparse(y):
        y = y.toarray()
    if hasattr(y, "to_list") and callable(getattr(y, "null_count", None)) and y.null_count():
        # A polars Series would become floats, with NaN for missing values.
        y = y.to_list()
    elif hasattr(y, "isna") and np.ndim(y) == 1 and y.isna().any():
        # So would the integers of pandas.
        y = y.to_numpy(dtype=object)
    if isinstance(y, list | tuple):
        kinds = {type(label) for label in y}
        if len(kinds) > 1 and any(issubclass(kind, str) for kind in kinds):
            # NumPy would convert -1 and None to text.
            values = np.empty(len(y), dtype=object)
            values[:] = y
            y = values
    y = np.asarray(y)
    if y.dtype.kind == "T":
        y = y.astype(object)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {y.ndim} dimensions: give a label for each row, or an indicator "
            "matrix of several."
        )
    return y


def _marked(y: np.ndarray, where: Where, unlabeled: Any, name: str) -> np.ndarray:
    """Which entries are ``unlabeled``."""
    if unlabeled is None:
        return np.zeros(y.shape, bool)
    if _is_auto(unlabeled):
        marked = where(_is_missing)
        if y.dtype.kind in "iO":
            marked |= where(lambda label: _equal(label, -1))
        return marked
    if y.dtype.kind == "u" and isinstance(unlabeled, Integral) and unlabeled < 0:
        # NumPy wraps it without a warning, and these rows would form a class.
        instead = np.array(unlabeled).astype(y.dtype)
        if (y == instead).any():
            raise ValueError(
                f"{name} is of {y.dtype}, which has no unlabeled={unlabeled}, and holds "
                f"{instead} in its place: convert it with y.astype(int) before you write "
                f"{unlabeled} into it."
            )
    if _is_missing(unlabeled):
        marked = where(_is_missing)
    else:
        marked = where(lambda label: _equal(label, unlabeled))
    same_text = where(lambda label: _have_same_text(label, unlabeled))
    if same_text.any() and not marked.any():
        label = y[tuple(np.argwhere(same_text)[0])]
        label = label.item() if isinstance(label, np.generic) else label
        kinds = ("text", "not") if isinstance(label, str) else ("no text", "text")
        raise ValueError(
            f"{name} holds {shown(label)}, which is {kinds[0]}, and unlabeled="
            f"{shown(unlabeled)} is {kinds[1]}: set unlabeled={shown(label)}."
        )
    return marked


def _refuse_missing(y: np.ndarray, missing: np.ndarray, unlabeled: Any, name: str) -> None:
    if not missing.any():
        return
    at = tuple(np.argwhere(missing)[0])
    if y.ndim == 2 and not missing.all(axis=1).any():
        raise ValueError(
            f"{name} contains NaN: {y[at]} in row {at[0]}, which has other labels: give all "
            "labels of a row, or none of them with unlabeled='auto'."
        )
    raise ValueError(
        f"{name} contains NaN: {y[at]} in row {at[0]}, and unlabeled={shown(unlabeled)}: "
        "set unlabeled='auto' if that row has no label, or leave it out."
    )


def _without_object_dtype(labels: np.ndarray) -> np.ndarray:
    """Numbers of object dtype as an array of numbers; other labels as they are."""
    if labels.dtype != object or not labels.size:
        return labels
    kinds = {type(label) for label in labels.ravel()}
    if all(issubclass(kind, str) for kind in kinds):
        # scikit-learn does not change the dtype of these.
        return labels
    if any(issubclass(kind, str) for kind in kinds):
        examples = [
            next(x for x in labels.ravel() if isinstance(x, str) is s) for s in (True, False)
        ]
        raise ValueError(
            f"y mixes text such as {shown(examples[0])} with {shown(examples[1])}: make all "
            "labels text or all numbers, and set unlabeled to that of rows without a label."
        )
    if all(issubclass(kind, Real | np.bool_) for kind in kinds):
        return np.array(labels.tolist())
    return labels


def _finder(y: np.ndarray) -> Where:
    """A function that finds the labels that pass a test, with one call for each value."""
    if y.dtype == object:
        labels, index = y.ravel(), np.arange(y.size)
    else:
        labels, index = np.unique(y, return_inverse=True)

    def where(test: Callable[[Any], bool]) -> np.ndarray:
        found = np.array([test(label) for label in labels], dtype=bool)
        return found[index].reshape(y.shape)

    return where


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in _MISSING_TYPES:
        return True
    return isinstance(label, _FLOATING) and bool(label != label)


def _equal(label: Any, other: Any) -> bool:
    if isinstance(label, str) or isinstance(other, str):
        return isinstance(label, str) and isinstance(other, str) and label == other
    return not _is_missing(label) and bool(np.all(label == other))


def _is_auto(unlabeled: Any) -> bool:
    return isinstance(unlabeled, str) and unlabeled == "auto"


def _have_same_text(label: Any, unlabeled: Any) -> bool:
    """Whether one is text that represents the other."""
    if isinstance(label, str) == isinstance(unlabeled, str):
        return False
    text, other = (label, unlabeled) if isinstance(label, str) else (unlabeled, label)
    if text == str(other):
        return True
    try:
        return not isinstance(other, bool | np.bool_) and bool(float(text) == other)
    except ValueError:
        return False
