"""Bounds of the weights between real-valued columns, for the distribution to exist."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._array_api import Array, device, namespace
from ._weights import blocks

# The largest spectral norm between real-valued columns. At 1 the variance is infinite; close to
# 1 the chains mix too slowly for the gradient to reduce the weights.
_CONVEX = 0.8
# Singular values that are reduced one at a time; then all weights are multiplied by one factor.
_DEFLATIONS = 4


def keep_convex(curvatures: Sequence[Array | None], weights: Sequence[Array]) -> None:
    """Reduce weights between real-valued columns, in place, until the energy is convex.

    For two layers of such columns a distribution exists if the energy is convex in both: if the
    weights, each divided by the root of both curvatures, have a spectral norm below 1. For n
    such layers in succession a norm below 1 / (2 cos(pi / (n + 1))) is sufficient: 1 over the
    norm of the adjacency matrix of a path of n nodes. All other weights are allowed.

    Parameters
    ----------
    curvatures : sequence of arrays of shape (n_l,) or None
        Of each layer; 0 for columns that are not real-valued.
    weights : sequence of arrays of shape (n_l, n_{l+1}), or of `PathwayWeights`
    """
    for layer, W in enumerate(weights):
        below, above = curvatures[layer], curvatures[layer + 1]
        if below is None or above is None:
            continue
        most = _CONVEX / (2 * math.cos(math.pi / (_n_in_a_row(curvatures, layer) + 1)))
        for part, i, j in blocks(W):
            _limit(part, _inverse_root(below[i])[:, None] * _inverse_root(above[j]), most)


def _limit(W: Array, scale: Array, most: float) -> None:
    """Reduce ``W``, in place, until the spectral norm of scale W is at most ``most``."""
    xp = namespace(W)
    # Weights of columns that are not real-valued are not counted and not changed.
    real = scale > 0
    divisor = xp.where(real, scale, xp.ones_like(scale))
    for _ in range(_DEFLATIONS):
        norm, x, y = largest_singular(scale * W)
        if norm <= most:
            break
        # The other singular values do not change.
        W -= (norm - most) * x[:, None] * y / divisor
    else:
        factor = min(1.0, most / largest_singular(scale * W)[0])
        W *= xp.where(real, factor * xp.ones_like(W), xp.ones_like(W))


def _inverse_root(curvature: Array) -> Array:
    """1 / sqrt(curvature), and 0 where that is 0."""
    xp = namespace(curvature)
    real = curvature > 0
    root = xp.where(real, curvature, xp.ones_like(curvature)) ** -0.5
    return xp.where(real, root, xp.zeros_like(root))


def _n_in_a_row(curvatures: Sequence[Array | None], layer: int) -> int:
    """The number of successive layers with real-valued columns that include ``layer``."""
    first = last = layer
    while first > 0 and curvatures[first - 1] is not None:
        first -= 1
    while last + 1 < len(curvatures) and curvatures[last + 1] is not None:
        last += 1
    return last - first + 1


def largest_singular(W: Array) -> tuple[float, Array, Array]:
    """Largest singular value and its two vectors, by power iteration."""
    xp = namespace(W)
    # An irregular start, as weights may be orthogonal to a regular one, such as all ones.
    x = xp.sin(1.0 + xp.arange(W.shape[0], dtype=W.dtype, device=device(W)))
    norm = 0.0
    for _ in range(20):
        x = x / xp.maximum(xp.sqrt(xp.sum(x * x)), xp.finfo(x.dtype).smallest_normal)
        y = x @ W
        x = W @ y
        norm = float(xp.sqrt(xp.sum(y * y)))
    return norm, x / max(norm, 1e-30) ** 2, y / max(norm, 1e-30)
