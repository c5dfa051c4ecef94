"""Selection of layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np

from .._messages import shown


def layer_subsets(
    n_layers: int, *, min_size: int = 1, max_size: int | None = None
) -> list[tuple[int, ...]]:
    """Every subset of the hidden layers of a stack, for a parameter grid.

    Parameters
    ----------
    n_layers : int
        Number of hidden layers.
    min_size, max_size : int, default=1 and None
        Sizes of the smallest and of the largest subset; `None` is `n_layers`.

    Returns
    -------
    subsets : list of tuples of int
        Values of the parameter `layers`, small subsets first.

    Raises
    ------
    ValueError
        When there is no subset of these sizes.

    Examples
    --------
    >>> from sklearn_dbn import layer_subsets
    >>> layer_subsets(3)
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    """
    largest = n_layers if max_size is None else max_size
    if not 1 <= min_size <= largest <= n_layers:
        raise ValueError(
            "layer_subsets needs 1 <= min_size <= max_size <= n_layers, got "
            f"min_size={min_size}, max_size={max_size}, n_layers={n_layers}."
        )
    sizes = range(min_size, largest + 1)
    return [subset for size in sizes for subset in combinations(range(n_layers), size)]


def resolve_layers(layers: int | slice | Sequence[int] | str, n_layers: int) -> tuple[int, ...]:
    """The numbers of the layers in ``layers``, counted from the first, in the order given.

    Raises
    ------
    ValueError, TypeError
        When ``layers`` is empty, repeats a layer, names one that does not exist, or has another
        type.
    """
    existing = (
        f"the generator has {n_layers} hidden layers, 0 to {n_layers - 1} or -{n_layers} to -1"
    )
    if isinstance(layers, str) and layers == "all":
        return tuple(range(n_layers))
    if isinstance(layers, slice):
        numbers: list[Any] = list(range(n_layers)[layers])
    elif isinstance(layers, Integral) and not isinstance(layers, bool):
        numbers = [layers]
    elif isinstance(layers, (Sequence, np.ndarray)) and not isinstance(layers, str):
        numbers = list(layers)
    else:
        numbers = [None]
    if not all(isinstance(i, Integral) and not isinstance(i, bool | np.bool_) for i in numbers):
        raise TypeError(
            f"layers must be an int, a slice, a sequence of ints or 'all', got {shown(layers)}."
        )
    if not numbers:
        raise ValueError(f"layers={shown(layers)} selects no layer: {existing}.")
    for i in numbers:
        if not -n_layers <= i < n_layers:
            raise ValueError(f"layers={shown(layers)} names layer {shown(int(i))}: {existing}.")
    resolved = tuple(int(i) % n_layers for i in numbers)
    if len(set(resolved)) < len(resolved):
        raise ValueError(f"layers={shown(layers)} names a layer twice: name each once.")
    return resolved
