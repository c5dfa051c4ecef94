"""Whether a training has converged; docs/decisions/convergence.md has the figures.

No error of a machine shows it: with many hidden units that of the reconstruction is small from
the first pass on, and the likelihood keeps rising a little. The movement of the weights shows
it. Before convergence each pass continues in the direction of the last one; after it only the
noise of the minibatches is left, which has no direction.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._array_api import Array, namespace
from ..machine import Machine

# Weights are on their way where the passes of the second half, end to end, come to more than
# this share of their lengths, and to more than this share of the way of the first half.
_STRAIGHT, _FURTHER = 0.65, 0.1
# Fewer passes do not show how straight they are: then the number of steps decides.
_FEW_PASSES, _MANY_STEPS = 8, 1000
# A fine-tuning is on its way where the second half of its passes made more than this share of
# the fall of its loss, and more than this share of the loss of the base rate.
_SHARE, _LEAST_FALL = 0.15, 0.001


@dataclass
class Straightness:
    """How far the weights of a machine moved in each half of a training.

    Attributes
    ----------
    n_passes : int
        Of the whole training.
    begin : list of arrays of shape (n_l, n_{l+1})
        The weights where the half began.
    first : float
        From the beginning to the middle.
    lengths : list of float
        Of each pass of the second half.
    n_done : int
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
        """``before`` may be ``None`` in the first pass alone."""
        self.n_done += 1
        middle = self.n_passes // 2
        if self.n_done > middle:
            self.lengths.append(distance(self.begin if before is None else before.W, after.W))
        elif self.n_done == middle:
            self.first = distance(self.begin, after.W)
            self.begin = after.copy().W

    def moves_straight(self, machine: Machine, n_steps: int) -> bool:
        """Whether the weights are still on their way, after ``n_steps`` steps in all."""
        moved = distance(self.begin, machine.W)
        if moved <= _FURTHER * self.first:
            return False
        if self.n_done < _FEW_PASSES:
            return n_steps <= _MANY_STEPS
        return moved > _STRAIGHT * sum(self.lengths)


def distance(first: Sequence[Array], second: Sequence[Array]) -> float:
    """Root of the summed squares of all differences."""
    total = 0.0
    for x, y in zip(first, second, strict=True):
        change = x - y
        total += float(namespace(change).sum(change * change))
    return math.sqrt(total)


def loss_still_falls(losses: Sequence[float], base: float) -> bool:
    """Whether the loss of each pass of a fine-tuning was still on its way.

    Parameters
    ----------
    losses : sequence of float
    base : float
        The loss of the base rate.
    """
    if not losses:
        return False
    middle = losses[len(losses) // 2 - 1] if len(losses) > 1 else base
    fall, whole = middle - losses[-1], max(base, losses[0]) - losses[-1]
    return fall > max(_SHARE * whole, _LEAST_FALL * base)
