"""Penalties that act through the statistics of the data."""

from __future__ import annotations

from .._array_api import Array


class Sparsity:
    """Keep the mean activity q of hidden units near a target p.

    The penalty is the cross-entropy between p and q, summed over units; its derivative with
    respect to the input of a unit is q - p in every row (Hinton 2012,
    doi:10.1007/978-3-642-35289-8_32, section 11). q is the moving average that training
    keeps anyway.

    Parameters
    ----------
    target : float
        p, in (0, 1).
    cost : float
        Factor on the penalty.
    """

    def __init__(self, target: float, cost: float):
        self.target = target
        self.cost = cost

    def push(self, activity: Array) -> Array:
        """What to add to the hidden means of each data row, shape (n_hidden,)."""
        return self.cost * (self.target - activity)
