"""Methods on rows of dask collections: lazy collections with the same partitions."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._dask import of_dask
from ._validation import RowChecks

# Methods whose result for a row does not depend on the other rows.
_BY_ROW = (
    "transform",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "score_bound",
    "free_energy",
    "impute",
    "reconstruct",
)


class LazyMethods(RowChecks):
    """Makes the methods of its subclasses lazy where their rows are a dask collection.

    The result has the partitions of the rows. When it is computed, the method is called on one
    partition after the other, on a cluster or without one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # After scikit-learn has wrapped `transform`, since for `set_output` it would load all.
        for name in _BY_ROW:
            if name in vars(cls):
                setattr(cls, name, _lazy(vars(cls)[name]))

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit to `X`, then transform it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any of the forms that `fit` takes.
        y : array-like of shape (n_samples,), default=None
            As in `fit`.
        **fit_params : dict
            More arguments of `fit`.

        Returns
        -------
        H : array of shape (n_samples, n_features_out)
            As from `transform`.
        """
        if of_dask(X):
            return self.fit(X, y, **fit_params).transform(X)
        return super().fit_transform(X, y, **fit_params)


def _lazy(method: Callable[..., Any]) -> Callable[..., Any]:
    """The ``method``, whose result for a dask array or frame is lazy."""

    @wraps(method)
    def call(estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if not (of_dask(X) and getattr(X, "ndim", 0) == 2):
            return method(estimator, X, *args, **kwargs)
        given = inspect.signature(method).bind(estimator, X, *args, **kwargs).arguments
        if given.get("draw"):
            raise ValueError(
                f"draw=True with the dask {type(X).__name__} X would draw the same numbers in "
                "each partition: set draw=False, or pass one partition after the other."
            )
        estimator._check_columns(X, reset=False)
        return _of_partitions(estimator, method, X, args, kwargs)

    return call


def _of_partitions(
    estimator: Any, method: Callable[..., Any], X: Any, args: tuple, kwargs: dict[str, Any]
) -> Any:
    from dask import delayed

    # That of the time of this call, whatever is fitted later.
    estimator, name = estimator._without_callbacks(), method.__name__
    row, frames = _some_row(X), hasattr(X, "columns")
    with warnings.catch_warnings():
        # The values of that row say nothing of the data.
        warnings.simplefilter("ignore")
        # Raises what is wrong with the estimator or the arguments, and estimates log Z once.
        found = method(estimator, row, *args, **kwargs)
        if name == "transform":
            # A dask collection consists of arrays, or of frames of pandas.
            output = "pandas" if frames and _is_of("pandas", found) else "default"
            estimator._sklearn_output_config = {}
            found = method(estimator.set_output(transform=output), row)
    none = found.iloc[:0] if hasattr(found, "iloc") else found[:0]
    sent = delayed(estimator, pure=False), none, name, args, kwargs
    if frames:
        return X.map_partitions(_on_part, *sent, meta=none)
    X = X.rechunk({1: -1})
    if found.ndim == 1:
        return X.map_blocks(_on_part, *sent, drop_axis=1, dtype=found.dtype, meta=none)
    chunks = X.chunks[0], (found.shape[1],)
    return X.map_blocks(_on_part, *sent, chunks=chunks, dtype=found.dtype, meta=none)


def _on_part(
    part: Any, estimator: Any, none: Any, name: str, args: tuple, kwargs: dict[str, Any]
) -> Any:
    """The result of a method for the rows of one partition; ``none``: if that has no row."""
    return getattr(estimator, name)(part, *args, **kwargs) if part.shape[0] else none


def _some_row(X: Any) -> Any:
    """A row of the kind of those of a dask collection."""
    if hasattr(X, "columns"):
        return X._meta_nonempty.iloc[:1]
    row = np.zeros((1, X.shape[1]), dtype=X.dtype)
    return type(X._meta)(row) if sp.issparse(X._meta) else row


def _is_of(package: str, x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == package
