"""Weights between two layers: one matrix, or one for each of several separate pathways.

Units of a layer are in the order of the pathways, so that the matrix of one has a slice of the
rows and a slice of the columns. Weights between pathways do not exist: they are neither stored
nor multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .._array_api import Array, concat, contiguous, device, namespace

_ALL = slice(None)


@dataclass
class PathwayWeights:
    """The weights of separate pathways.

    Parameters
    ----------
    parts : list of arrays of shape (n_below, n_above)
        One for each pathway.
    """

    parts: list[Array]

    @property
    def shape(self) -> tuple[int, int]:
        """That of the matrix with zeros between the pathways."""
        below, above = zip(*(part.shape for part in self.parts), strict=True)
        return sum(below), sum(above)

    @property
    def T(self) -> PathwayWeights:
        return PathwayWeights([part.T for part in self.parts])


def matrices(weights: Sequence[Any]) -> list[Array]:
    """The matrices of all ``weights``."""
    return [part for W in weights for part in _parts(W)]


def blocks(W: Any) -> Iterator[tuple[Array, slice, slice]]:
    """Each matrix of ``W``, with its units of the layer below and of the layer above."""
    if not isinstance(W, PathwayWeights):
        yield W, _ALL, _ALL
        return
    below, above = zip(*(part.shape for part in W.parts), strict=True)
    yield from zip(W.parts, slices(below), slices(above), strict=True)


def slices(widths: Sequence[int]) -> list[slice]:
    """Adjacent slices of these ``widths``."""
    return [slice(*ends) for ends in pairwise(accumulate(widths, initial=0))]


def like(W: Any, parts: Sequence[Array]) -> Any:
    """Weights between the same units as ``W``, made of other matrices."""
    return PathwayWeights(list(parts)) if isinstance(W, PathwayWeights) else parts[0]


def mapped(function: Any, *weights: Any) -> Any:
    """Weights whose matrices are ``function`` of those of ``weights``."""
    parts = zip(*map(_parts, weights), strict=True)
    return like(weights[0], [function(*x) for x in parts])


def times(x: Array, W: Any) -> Array:
    """x W, for rows ``x`` of shape (n_rows, n_below) or (n_below,)."""
    if not isinstance(W, PathwayWeights):
        return x @ W
    return concat([_part(x, rows) @ part for part, rows, _ in blocks(W)], axis=-1)


def times_transposed(x: Array, W: Any) -> Array:
    """x W', for few rows ``x`` of shape (n_rows, n_above) or (n_above,).

    OpenBLAS takes a third less time for the transposed product of a minibatch, with the
    transposition of the result: docs/decisions/training-step.md.
    """
    if isinstance(W, PathwayWeights):
        return concat(
            [times_transposed(_part(x, columns), part) for part, _, columns in blocks(W)],
            axis=-1,
        )
    return np.ascontiguousarray((W @ x.T).T) if isinstance(x, np.ndarray) else x @ W.T


def transposed(W: Any) -> Any:
    """A contiguous copy of W'."""
    return mapped(lambda part: contiguous(part.T), W)


def dense_weights(W: Any) -> Array:
    """One matrix, with zeros between the pathways."""
    if not isinstance(W, PathwayWeights):
        return W
    first = W.parts[0]
    xp = namespace(first)
    found = xp.zeros(W.shape, dtype=first.dtype, device=device(first))
    for part, rows, columns in blocks(W):
        found[rows, columns] = part
    return found


def pathway_widths(W: Any) -> tuple[int, ...]:
    """How many units of each pathway the layer above ``W`` has; of a joint layer, its units."""
    return tuple(part.shape[1] for part in _parts(W))


def _parts(W: Any) -> list[Array]:
    return W.parts if isinstance(W, PathwayWeights) else [W]


def _part(x: Array, at: slice) -> Array:
    return x[at] if x.ndim == 1 else x[:, at]
