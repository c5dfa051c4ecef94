"""What every generator shares as a scikit-learn estimator."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_array

from ._compat import parse_version, validate_parameter_constraints
from ._shown import short_message, shown
from ._validation import RowChecks
from ._version import __version__


class BaseGenerator(RowChecks, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Tags, persistence and callbacks of the generators."""

    _doc_link_module = "sklearn_dbn"

    @property
    def _doc_link_template(self) -> str:
        # The HTML repr shows what a parameter means only beside a link to where that is
        # written: the docstring, as it was installed.
        try:
            module = Path(inspect.getfile(type(self))).as_uri()
        except (OSError, TypeError, ValueError):
            # A class of a notebook, or of `python -c`, is in no file.
            return ""
        return module.replace("{", "{{").replace("}", "}}")

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except ValueError as error:
            # It shows the value, however long that is.
            raise type(error)(short_message(error)) from None

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


def layer_sizes(hidden_layer_sizes: Any) -> list[int]:
    """The number of units of each hidden layer."""
    several = isinstance(hidden_layer_sizes, Sequence | np.ndarray)
    sizes = list(hidden_layer_sizes) if several else [hidden_layer_sizes]
    if not sizes or not all(isinstance(n, Integral) and n > 0 for n in sizes):
        raise ValueError(
            f"hidden_layer_sizes={shown(hidden_layer_sizes)} must hold a positive int for "
            "each hidden layer, and at least one."
        )
    return [int(n) for n in sizes]


def check_parameters(caller: str, **given: tuple[list[Any], Any]) -> None:
    """Validate parameters of the method ``caller``, each given as (constraints, value)."""
    constraints = {name: allowed for name, (allowed, _) in given.items()}
    values = {name: value for name, (_, value) in given.items()}
    try:
        validate_parameter_constraints(constraints, values, caller_name=caller)
    except ValueError as error:
        raise type(error)(short_message(error)) from None


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
