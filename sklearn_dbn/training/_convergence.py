"""Whether a training has converged; docs/decisions/convergence.md has the figures.

The errors of a machine do not show it: with many hidden units the reconstruction error is small
from the first pass on, and the likelihood continues to rise a little. The changes of the
weights do. Before convergence those of successive passes have the same direction; after it they
are the noise of the minibatches, which has none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._array_api import Array, namespace
from ..machine import Machine

# A training has not converged if the distance of the weights over the second half of the passes
# is more than this share of the sum of the distances over each of them, and more than this
# share of the distance over the first half.
_STRAIGHT, _FURTHER = 0.65, 0.1
# Fewer passes do not show a direction: then the number of steps decides.
_FEW_PASSES, _MANY_STEPS = 8, 1000
# A fine-tuning has not converged if the second half of its passes made more than this share of
# the decrease of its loss, and more than this share of the loss of the base rate.
_SHARE, _LEAST_FALL = 0.15, 0.001


@dataclass
class Straightness:
    """Distances of the weights of a machine over each half of a training.

    Attributes
    ----------
    n_passes : int
        Of the complete training.
    begin : list of arrays
        The weights at the beginning of the current half.
    first : float
        The distance over the first half.
    lengths : list of float
        The distances over each pass of the second half.
    n_done : int
        Passes so far.
    """

    n_passes: int
    begin: list[Array]
    first: float = 0.0
    lengths: list[float] = field(default_factory=list)
    n_done: int = 0

    def copy(self) -> Straightness:
        copied = copy.copy(self)
        copied.lengths = list(self.lengths)
        return copied

    def end_pass(self, before: Machine | None, after: Machine) -> None:
        """Record a pass, from ``before`` (``None`` only in the first pass) to ``after``."""
        self.n_done += 1
        middle = self.n_passes // 2
        if self.n_done > middle:
            self.lengths.append(
                distance(self.begin if before is None else before.matrices, after.matrices)
            )
        elif self.n_done == middle:
            self.first = distance(self.begin, after.matrices)
            self.begin = after.copy().matrices

    def moves_straight(self, machine: Machine, n_steps: int) -> bool:
        """Whether the training has not converged, after ``n_steps`` steps in all."""
        moved = distance(self.begin, machine.matrices)
        if moved <= _FURTHER * self.first:
            return False
        if self.n_done < _FEW_PASSES:
            return n_steps <= _MANY_STEPS
        return moved > _STRAIGHT * sum(self.lengths)


def distance(first: Sequence[Array], second: Sequence[Array]) -> float:
    """Euclidean distance of two lists of arrays."""
    total = 0.0
    for x, y in zip(first, second, strict=True):
        change = x - y
        total += float(namespace(change).sum(change * change))
    return math.sqrt(total)


def loss_still_falls(losses: Sequence[float], base: float) -> bool:
    """Whether the loss of a fine-tuning has not converged.

    Parameters
    ----------
    losses : sequence of float
        After each pass.
    base : float
        The loss of the base rate.
    """
    if not losses:
        return False
    middle = losses[len(losses) // 2 - 1] if len(losses) > 1 else base
    fall, whole = middle - losses[-1], max(base, losses[0]) - losses[-1]
    return fall > max(_SHARE * whole, _LEAST_FALL * base)
