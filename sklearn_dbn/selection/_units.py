"""Selection of units in the selected layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone

from .._messages import failed, shown


def resolve_units(
    units: Any,
    layers: Sequence[int],
    sizes: Sequence[int],
    scores: Callable[[], list[np.ndarray]],
    columns: Callable[[], np.ndarray],
    y: Any = None,
) -> tuple[list[np.ndarray], Any]:
    """The units that ``units`` selects, an index array for each selected layer.

    Parameters
    ----------
    units : None, int, float, mapping or feature selector
        As the parameter of the estimators.
    layers : sequence of int
        The selected layers.
    sizes : sequence of int
        The number of units of each layer of the generator, selected or not: a mapping may count
        layers from the last one.
    scores : callable
        Returns the scores of the units, an array for each selected layer.
    columns : callable
        Returns the features of all units of the selected layers, for a feature selector.
    y : array-like, default=None
        For the feature selector.

    Returns
    -------
    selected : list of int arrays
    selector : the fitted feature selector, or None

    Raises
    ------
    ValueError, TypeError
        When ``units`` does not fit the layers.
    """
    widths = [sizes[layer] for layer in layers]
    if units is None:
        return [np.arange(width) for width in widths], None
    if isinstance(units, Mapping):
        return _from_mapping(units, layers, sizes, scores), None
    if hasattr(units, "get_support") or hasattr(units, "fit"):
        if not hasattr(units, "get_support"):
            raise TypeError(
                f"units={shown(units)} is an estimator without get_support: pass a feature "
                "selector, such as SelectKBest."
            )
        H = columns()
        try:
            selector = clone(units).fit(H, y)
        except (ValueError, TypeError) as error:
            raise failed("units", units, error) from error
        selected = selector.get_support(indices=True)
        if not len(selected):
            raise ValueError(
                f"units={shown(units)} selected no unit: set it to select one or more."
            )
        return _split(selected, widths), selector
    k = _count(units, sum(widths), "units")
    # Stable: of units with equal scores, the first ones are selected on every computer.
    best = np.argsort(-np.concatenate(scores()), kind="stable")[:k]
    return _split(np.sort(best), widths), None


def _from_mapping(
    units: Mapping, layers: Sequence[int], sizes: Sequence[int], scores: Callable
) -> list[np.ndarray]:
    n_layers = len(sizes)
    specs: dict[int, Any] = {}
    for key, spec in units.items():
        layer = key % n_layers if isinstance(key, Integral) and -n_layers <= key else key
        if layer not in layers or layer in specs or isinstance(key, bool):
            raise ValueError(
                f"units has the key {shown(key)}: its keys must be layers selected by the "
                f"parameter layers, here {shown(tuple(layers))}, each once."
            )
        specs[layer] = spec
    selected = []
    for position, layer in enumerate(layers):
        spec, width = specs.get(layer), sizes[layer]
        if spec is None:
            index = np.arange(width)
        elif isinstance(spec, slice):
            index = np.arange(width)[spec]
        elif isinstance(spec, Real) and not isinstance(spec, bool):
            k = _count(spec, width, f"units[{layer}]")
            index = np.sort(np.argsort(-scores()[position], kind="stable")[:k])
        else:
            index = _from_array(spec, width, layer)
        if not len(index):
            raise ValueError(
                f"units[{layer}] selects no unit: leave layer {layer} out of layers instead."
            )
        selected.append(index)
    return selected


def _from_array(spec: Any, width: int, layer: int) -> np.ndarray:
    """The index array of an index array or a mask of the units of one layer."""
    array = np.asarray(spec)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise TypeError(
            f"units[{layer}] must be an index array, a mask, a slice, an int or a float, got "
            f"{shown(spec)}."
        )
    if array.dtype.kind == "b":
        if len(array) != width:
            raise ValueError(
                f"units[{layer}] is a mask of length {len(array)}, but layer {layer} has "
                f"{width} units: give it one entry for each."
            )
        return np.flatnonzero(array)
    for i in array:
        if not -width <= i < width:
            raise ValueError(
                f"units[{layer}] names unit {shown(int(i))}, but layer {layer} has {width} "
                f"units, 0 to {width - 1}."
            )
    array = array.astype(np.intp) % width
    if len(np.unique(array)) < len(array):
        raise ValueError(f"units[{layer}] names a unit twice: name each once.")
    return array


def _count(spec: Any, total: int, name: str) -> int:
    """The number of units that an int or a fraction of ``total`` selects."""
    if isinstance(spec, bool | np.bool_) or not isinstance(spec, Real):
        raise TypeError(
            f"{name} must be None, an int, a float, a mapping from layers or a feature "
            f"selector, got {shown(spec)}."
        )
    if isinstance(spec, Integral):
        if not 1 <= spec <= total:
            raise ValueError(
                f"{name}={shown(spec)} must be at least 1 and at most {total}, the number of "
                "units to select from."
            )
        return int(spec)
    if not 0 < spec <= 1:
        raise ValueError(f"{name}={shown(spec)} must be a fraction in (0, 1].")
    return max(1, round(float(spec) * total))


def _split(selected: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    """Indices within each layer, from sorted indices of the columns of all layers."""
    ends = np.cumsum(widths)
    parts = np.split(selected, np.searchsorted(selected, ends[:-1]))
    return [part - (end - width) for part, end, width in zip(parts, ends, widths, strict=True)]
