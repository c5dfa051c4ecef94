"""The largest singular value of weights, which says where a distribution exists."""

from __future__ import annotations

from .._array_api import Array, device, namespace


def largest_singular(W: Array) -> tuple[float, Array, Array]:
    """Largest singular value and its vectors, by power iteration."""
    xp = namespace(W)
    # A start without a pattern: weights that cancel along a plainer one would hide from it.
    x = xp.sin(1.0 + xp.arange(W.shape[0], dtype=W.dtype, device=device(W)))
    norm = 0.0
    for _ in range(20):
        x = x / xp.maximum(xp.sqrt(xp.sum(x * x)), xp.finfo(x.dtype).smallest_normal)
        y = x @ W
        x = W @ y
        norm = float(xp.sqrt(xp.sum(y * y)))
    return norm, x / max(norm, 1e-30) ** 2, y / max(norm, 1e-30)
