"""The layers of a stack: templates, fitted layers and statistics of units."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._messages import shown
from ..data import Rows
from ..machine import pathway_widths
from ..selection import UnitStatistics, collect
from ..training import Run
from ._rbm import RBMTransformer


def layer_widths(hidden_layer_sizes: Any, pathways: Any = None) -> list[tuple[int, ...]]:
    """The number of units of each hidden layer: of each of its pathways, or of all together.

    Pathways are in the order of the mapping ``pathways``.
    """
    several = isinstance(hidden_layer_sizes, Sequence | np.ndarray)
    layers = list(hidden_layer_sizes) if several else [hidden_layer_sizes]
    split = [isinstance(layer, Mapping) for layer in layers]
    sizes = [
        list(x.values()) if is_split else [x] for x, is_split in zip(layers, split, strict=True)
    ]
    if not layers or not all(
        x and all(isinstance(n, Integral) and n > 0 for n in x) for x in sizes
    ):
        raise ValueError(
            f"hidden_layer_sizes={shown(hidden_layer_sizes)} must hold a positive int for "
            "each hidden layer, or a mapping from pathways to such, and at least one."
        )
    if not any(split):
        return [(int(n),) for (n,) in sizes]
    first, names = split.index(True), list(pathways) if isinstance(pathways, Mapping) else None
    if names is None:
        raise ValueError(
            f"hidden_layer_sizes has the pathways {shown(list(layers[first]))} in layer "
            f"{first}, and pathways={shown(pathways)}: set it to a mapping from these to "
            "columns of X."
        )
    for index, (layer, is_split) in enumerate(zip(layers, split, strict=True)):
        if is_split and False in split[:index]:
            raise ValueError(
                f"hidden_layer_sizes has pathways in layer {index}, above the joint layer "
                f"{split.index(False)}: give mappings first, and ints for the layers above."
            )
        if is_split and set(layer) != set(names):
            raise ValueError(
                f"hidden_layer_sizes has the pathways {shown(list(layer))} in layer {index}, "
                f"and pathways has {shown(names)}: name the same in both."
            )
    return [
        tuple(int(x[name]) for name in names) if is_split else (int(x),)
        for x, is_split in zip(layers, split, strict=True)
    ]


def layer_templates(
    rbm: Any, hidden_layer_sizes: Any, pathways: Any = None
) -> list[RBMTransformer]:
    """An unfitted RBM for each layer, cloned from one template or from one for each layer."""
    widths = layer_widths(hidden_layer_sizes, pathways)
    rbms = list(rbm) if isinstance(rbm, list | tuple) else [rbm] * len(widths)
    if len(rbms) != len(widths):
        raise ValueError(
            f"rbm holds {len(rbms)} templates for the {len(widths)} layers of "
            f"hidden_layer_sizes={shown(hidden_layer_sizes)}: give one for each, or a "
            "single template."
        )
    for template in rbms:
        if not isinstance(template, RBMTransformer):
            raise TypeError(
                f"rbm must be an RBMTransformer, a sequence of them or None, got "
                f"{shown(template)}."
            )
    templates = []
    for template, of_layer in zip(rbms, widths, strict=True):
        template = clone(template).set_params(n_components=sum(of_layer))
        template._pathway_widths = of_layer
        template._validate_params()
        templates.append(template)
    return templates


def check_sizes(estimator: Any, more: bool = False) -> None:
    """Raise an error unless the layers are those of the fitted generator, which continues.

    ``more``: there may be more or fewer layers.
    """
    fitted = [pathway_widths(W) for machine in estimator._stack for W in machine.W]
    widths = layer_widths(estimator.hidden_layer_sizes, estimator.pathways)
    n = min(len(widths), len(fitted)) if more else None
    if widths[:n] != fitted[:n]:
        units = [layer[0] if len(layer) == 1 else layer for layer in fitted]
        raise ValueError(
            f"hidden_layer_sizes={shown(estimator.hidden_layer_sizes)}, but the fitted "
            f"generator to continue has layers of {shown(units)} units: fit a clone, or set "
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
