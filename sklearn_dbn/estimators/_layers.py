"""The layers of a stack: templates, fitted layers and statistics of units."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._messages import shown
from ..data import Rows
from ..selection import UnitStatistics, collect
from ..training import Run
from ._base import layer_sizes
from ._rbm import RBMTransformer


def layer_templates(rbm: Any, hidden_layer_sizes: Any) -> list[RBMTransformer]:
    """An unfitted RBM for each layer, cloned from one template or from one for each layer."""
    sizes = layer_sizes(hidden_layer_sizes)
    rbms = list(rbm) if isinstance(rbm, list | tuple) else [rbm] * len(sizes)
    if len(rbms) != len(sizes):
        raise ValueError(
            f"rbm holds {len(rbms)} templates for the {len(sizes)} layers of "
            f"hidden_layer_sizes={shown(hidden_layer_sizes)}: give one for each, or a "
            "single template."
        )
    for template in rbms:
        if not isinstance(template, RBMTransformer):
            raise TypeError(
                f"rbm must be an RBMTransformer, a sequence of them or None, got "
                f"{shown(template)}."
            )
    templates = [clone(x).set_params(n_components=n) for x, n in zip(rbms, sizes, strict=True)]
    for template in templates:
        template._validate_params()
    return templates


def check_sizes(hidden_layer_sizes: Any, fitted: list[int], more: bool = False) -> None:
    """Raise an error unless these are the sizes of the ``fitted`` layers, which continue.

    ``more``: there may be more or fewer layers.
    """
    sizes = layer_sizes(hidden_layer_sizes)
    n = min(len(sizes), len(fitted)) if more else None
    if sizes[:n] != fitted[:n]:
        raise ValueError(
            f"hidden_layer_sizes={shown(hidden_layer_sizes)}, but the fitted generator to "
            f"continue has layers of {shown(fitted)} units: fit a clone, or set "
            "hidden_layer_sizes to these."
        )


def checked_template(estimator: Any, name: str) -> RBMTransformer:
    """A validated clone of the template in the parameter ``name``, or of its default."""
    rbm = getattr(estimator, name)
    if rbm is None:
        rbm = estimator._default_template(name)
    if not isinstance(rbm, RBMTransformer):
        raise TypeError(
            f"{name} must be an RBMTransformer or None, got {shown(rbm)}: give one "
            "template for all layers."
        )
    rbm = clone(rbm)
    rbm._validate_params()
    return rbm


def frozen_generator(pretrained: Any, kind: type) -> Any:
    """The fitted generator in the parameter `pretrained`."""
    if not isinstance(pretrained, FrozenEstimator) or not isinstance(
        pretrained.estimator, kind
    ):
        raise TypeError(
            "pretrained must be FrozenEstimator(dbn) with a fitted DBNTransformer, got "
            f"{shown(pretrained)}."
        )
    try:
        check_is_fitted(pretrained.estimator)
    except NotFittedError:
        raise NotFittedError(
            "The DBNTransformer in pretrained is not fitted: fit it, then freeze it."
        ) from None
    return pretrained.estimator


def statistics_of_layer(
    run: Run, rows: Rows, statistics: UnitStatistics | None = None
) -> UnitStatistics:
    """Statistics of the units of the layer of ``run``, to which ``rows`` are added."""
    if statistics is None:
        statistics = UnitStatistics(run.average.W[0].shape[1])
    collect([statistics], run.average, rows, run.columns)
    return statistics


def continued_layer(fitted: RBMTransformer, template: RBMTransformer) -> RBMTransformer:
    """A copy of the fitted layer with the training parameters of ``template``."""
    kept = {"random_state": fitted.random_state, "warm_start": True}
    return copy.copy(fitted).set_params(**template.get_params() | kept)
