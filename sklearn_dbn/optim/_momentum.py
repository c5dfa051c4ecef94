"""The momentum rule."""

from __future__ import annotations

from .._array_api import Array


def accumulate(velocity: Array, step: Array, momentum: float) -> Array:
    """velocity = momentum velocity + step, in place; returns it.

    The step is inside the sum: with a momentum of 0.9 parameters move ten times as far as
    without (Polyak 1964, doi:10.1016/0041-5553(64)90137-5).
    """
    velocity *= momentum
    velocity += step
    return velocity
