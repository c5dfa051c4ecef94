"""Penalties: sparsity, in the positive phase, and weight decay."""

from __future__ import annotations

from collections.abc import Callable

from .._array_api import Array

# Updates whose weight decay is applied at once, as it changes all weights.
DECAY_EVERY = 10


class Sparsity:
    """A penalty that moves the mean activity q of hidden units to a target p.

    The penalty is the cross-entropy between p and q, summed over units; its derivative by the
    field of a unit is q - p in every row (Hinton 2012, doi:10.1007/978-3-642-35289-8_32,
    section 11). q is the moving average of the training.

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
        """The vector to add to the hidden means of each row, shape (n_hidden,)."""
        return self.cost * (self.target - activity)


class LazyDecay:
    """Weight decay of several updates at once.

    Parameters
    ----------
    shrink : callable
        ``shrink(step)`` applies the weight decay of updates whose learning rates sum to
        ``step``.
    """

    def __init__(self, shrink: Callable[[float], None]):
        self._shrink, self._due, self._n_steps = shrink, 0.0, 0

    def add(self, step: float) -> None:
        """Add an update with the learning rate ``step``; apply those that are due."""
        self._due += step
        self._n_steps += 1
        if self._n_steps == DECAY_EVERY:
            self.apply()

    def apply(self) -> None:
        """Apply the weight decay of the updates since the last time."""
        if self._n_steps:
            self._shrink(self._due)
        self._due, self._n_steps = 0.0, 0
