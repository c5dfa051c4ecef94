"""The only module that imports private names of scikit-learn.

Many packages use them, and they rarely change; a rename in scikit-learn is one edit here.
scikit-learn has no type hints: its decorators get theirs here, without which type checkers
would know nothing of a decorated method.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context as _untyped_fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import get_namespace
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.fixes import parse_version
from sklearn.utils.metaestimators import available_if as _untyped_available_if
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "Method",
    "StrOptions",
    "_check_feature_names_in",
    "_check_sample_weight",
    "_fit_context",
    "_get_column_indices",
    "_safe_indexing",
    "available_if",
    "get_namespace",
    "parse_version",
    "validate_parameter_constraints",
]

Method = TypeVar("Method", bound=Callable[..., Any])


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """scikit-learn's decorator, which validates the parameters before a fit."""
    return _untyped_fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """scikit-learn's decorator, which hides a method from estimators that lack it."""
    return _untyped_available_if(check)
