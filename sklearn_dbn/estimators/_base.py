"""Base class, checks and decorators of all estimators."""

from __future__ import annotations

import copy
import warnings
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from .._compat import Method, parse_version, validate_parameter_constraints
from .._messages import short_message
from .._stored import restored, stored
from .._version import __version__
from ..data import LazyMethods, OtherPlace
from ..units import UNITS

# Attribute that only the copy that is being fitted has: the estimator it is a copy of.
_FIT_OF = "_fit_of"
# Where scikit-learn keeps the callbacks of an estimator.
_CALLBACKS = "_skl_callbacks"


class BaseDeepEstimator(LazyMethods, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Tags, persistence and callbacks of all estimators."""

    n_features_in_: int
    feature_names_in_: np.ndarray

    _doc_link_module = "sklearn_dbn"

    @property
    def _doc_link_template(self) -> str:
        # The HTML repr shows the descriptions of parameters only if there is a link to them. A
        # package that was not published has no documentation to link to, and the link to an
        # installed file would show the folders of its user to all who get the notebook: it
        # leads to the notebook itself.
        address = _documentation()
        return (
            f"{address}/api/generated/sklearn_dbn.{{estimator_name}}.html" if address else "#"
        )

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except ValueError as error:
            # The message contains the value, which may be long.
            raise type(error)(short_message(error)) from None

    def __copy__(self) -> BaseDeepEstimator:
        # One read of all attributes, which a fit in another thread replaces at once.
        copied = type(self).__new__(type(self))
        copied.__dict__ = dict(vars(self))
        return copied

    def _assign(self, attributes: dict[str, Any]) -> None:
        """Set fitted attributes on a copy of the estimator."""
        for name, value in attributes.items():
            setattr(self, name, value)

    def _without_callbacks(self) -> BaseDeepEstimator:
        """A copy for other processes, to which callbacks cannot always be sent."""
        copied = copy.copy(self)
        for name in (_CALLBACKS, _FIT_OF):
            vars(copied).pop(name, None)
        return copied

    @property
    def _original(self) -> Any:
        """The estimator whose `fit` the user called, which callbacks are given.

        Its attributes are those of the last fit until this one ends.
        """
        return vars(self).get(_FIT_OF, self)

    def _new_attributes(self) -> dict[str, Any]:
        """What this fit has set so far, for callbacks that need a fitted estimator."""
        before = vars(self._original)
        # Callbacks can only set attributes: None replaces those that this fit does not have.
        removed = {k: None for k in before if k.endswith("_") and k not in vars(self)}
        new = _changed(vars(self), before) | removed
        return {k: x for k, x in new.items() if k != _FIT_OF}

    def _init_callback_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._original is not self:
            return self._original._init_callback_context(*args, **kwargs)
        return super()._init_callback_context(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # skops stores the version with the state.
        return stored(super().__getstate__()) | {"_sklearn_dbn_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        _check_version(type(self), state.pop("_sklearn_dbn_version", "0"))
        super().__setstate__(restored(state))

    def __reduce__(self) -> tuple:
        # pickle reads the version before the state, whose classes a newer version may move.
        return _unpickled, (type(self), __version__), self.__getstate__()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@cache
def _documentation() -> str:
    """The address of the documentation in the metadata of a published package, or ""."""
    try:
        urls = metadata("sklearn-dbn").get_all("Project-URL") or []
    except PackageNotFoundError:
        # It is imported from a folder, without an installation.
        return ""
    named = dict(url.split(", ", maxsplit=1) for url in urls)
    return named.get("Documentation", "").rstrip("/").replace("{", "{{").replace("}", "}}")


def set_kinds(tags: Any, template: Any) -> None:
    """Set the tags that depend on the kinds of columns that the RBM ``template`` names."""
    visible = getattr(template, "visible", "auto")
    names = visible if isinstance(visible, str | dict) else ()
    names = [names] if isinstance(names, str) else names
    takes = {UNITS[name].takes for name in names if name in UNITS}
    tags.input_tags.categorical = tags.input_tags.string = "levels" in takes
    tags.input_tags.positive_only = "counts" in takes


def _unpickled(kind: type, version: str) -> Any:
    """An estimator without its state, if this version can read what ``version`` saved."""
    _check_version(kind, version)
    return kind.__new__(kind)


def _check_version(kind: type, version: str) -> None:
    if parse_version(version) > parse_version(__version__):
        raise ValueError(
            f"This {kind.__name__} was saved by sklearn_dbn {version}, which the older "
            f"installed version {__version__} cannot read: install {version} or later, or fit "
            "the estimator again."
        )


def _changed(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The attributes of ``after`` that are not those of ``before``."""
    return {k: x for k, x in after.items() if k not in before or before[k] is not x}


def check_parameters(caller: str, **given: tuple[list[Any], Any]) -> None:
    """Validate parameters of the method ``caller``, each a pair (constraints, value)."""
    constraints = {name: allowed for name, (allowed, _) in given.items()}
    values = {name: value for name, (_, value) in given.items()}
    try:
        validate_parameter_constraints(constraints, values, caller_name=caller)
    except ValueError as error:
        raise type(error)(short_message(error)) from None


def check_columns(H: Any, n_columns: int, dtype: Any) -> np.ndarray:
    """Validate features that are to be turned back into rows."""
    H = check_array(H, dtype=dtype, input_name="X")
    if H.shape[1] != n_columns:
        raise ValueError(
            f"X has {H.shape[1]} columns, but transform gives {n_columns}: pass what transform "
            "returned."
        )
    return H


class FitInterrupted(KeyboardInterrupt):
    """The user interrupted a fit after it had set fitted attributes.

    Parameters
    ----------
    estimator : estimator
    what : str
        The layers and passes that it keeps.
    cached : bool
        Whether the cache keeps them too.
    """

    def __init__(self, estimator: Any, what: str, cached: bool):
        how = "the same fit" if cached else "fit with warm_start=True"
        super().__init__(
            f"{type(estimator).__name__} was interrupted, and keeps {what}: {how} continues "
            "from there."
        )


def raise_if_interrupted(estimator: Any, outcome: Any) -> None:
    """Raise `FitInterrupted` if the user interrupted the training of that ``outcome``.

    ``outcome`` is ``None`` if the result is from the cache.
    """
    if outcome is not None and outcome.interrupted:
        kept = f"the {outcome.state.n_passes} whole passes that it made"
        raise FitInterrupted(estimator, kept, outcome.saved)


def unchanged_on_failure(method: Method) -> Method:
    """Run a method that fits on a copy of the estimator, and assign all it sets at once.

    Other threads see the attributes of the last fit or of this one, never a mixture, and a call
    that fails changes nothing. `FitInterrupted` is raised after the assignment.
    """

    @wraps(method)
    def fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        new = copy.copy(estimator)
        setattr(new, _FIT_OF, estimator)
        before = dict(vars(new))

        def call(_: Any) -> FitInterrupted | None:
            try:
                method(new, *args, **kwargs)
            except FitInterrupted as interruption:
                return interruption
            return None

        try:
            interruption = with_callbacks(call)(estimator)
        except KeyboardInterrupt as error:
            if error.args:
                raise
            raise KeyboardInterrupt(
                f"{type(estimator).__name__} was interrupted before there was a whole pass "
                "to keep, and is unchanged."
            ) from None
        after = vars(new)
        # Attributes that callbacks set on the estimator during the fit stay.
        kept = {k: x for k, x in vars(estimator).items() if k in after or k not in before}
        estimator.__dict__ = kept | _changed(after, before)
        if interruption is not None:
            raise KeyboardInterrupt(*interruption.args) from None
        return estimator

    return cast(Method, fit)


def of_one_fit(method: Method) -> Method:
    """Run a method on a copy, whose attributes a fit in another thread does not change."""

    @wraps(method)
    def call(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(copy.copy(estimator), *args, **kwargs)
        except OtherPlace as error:
            raise error.in_method(method.__name__) from None

    return cast(Method, call)


def warn_unconverged(subject: str, n: str, why: str, cure: str) -> None:
    """Warn that ``subject`` has not converged after ``n``, and give the cure."""
    warnings.warn(
        f"{subject} has not converged after {n}, as {why}: raise {cure}.",
        ConvergenceWarning,
        stacklevel=2,
    )
