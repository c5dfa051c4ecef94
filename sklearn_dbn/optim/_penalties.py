"""Penalties: sparsity, through the statistics of the data, and weight decay."""

from __future__ import annotations

from collections.abc import Callable

from .._array_api import Array

# Steps whose weight decay is applied at once: it is a pass over all weights.
DECAY_EVERY = 10


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

    def penalty_step(self, activity: Array) -> Array:
        """What to add to the hidden means of each data row, shape (n_hidden,)."""
        return self.cost * (self.target - activity)


class LazyDecay:
    """L2 penalty on the weights, for several steps at once.

    Parameters
    ----------
    shrink : callable
        ``shrink(step)`` applies the penalty of steps whose lengths sum to ``step``.
    """

    def __init__(self, shrink: Callable[[float], None]):
        self._shrink, self._due, self._n_steps = shrink, 0.0, 0

    def add(self, step: float) -> None:
        """Count a step of that length, and apply the penalty where enough have been made."""
        self._due += step
        self._n_steps += 1
        if self._n_steps == DECAY_EVERY:
            self.apply()

    def apply(self) -> None:
        """Apply the penalty of the steps since the last time."""
        if self._n_steps:
            self._shrink(self._due)
        self._due, self._n_steps = 0.0, 0
