"""Layer-wise pre-training of a deep Boltzmann machine with doubled weights.

A unit between two others hears from both sides, while in an RBM of its own it would hear from
one. So each RBM counts what a hidden layer receives twice, in place of what will come from
above, and what its visible layer receives twice, in place of what will come from below; only
the first visible layer and the last hidden one have one neighbour each, and hear it once
(Salakhutdinov, Hinton 2009, AISTATS, PMLR 5:448-455). The fields of the machine that is put
together are then the means of those of the two RBMs that share a layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ._array_api import Array
from ._machine import Machine, States
from ._training import Run


@dataclass
class Doubled(Machine):
    """Two layers that hear one another more than once.

    Parameters
    ----------
    up, down : float
        How many times the hidden layer hears the visible one, and the other way round.
    """

    up: float = 2.0
    down: float = 2.0

    def input(self, layer: int, states: States) -> Array:
        received = super().input(layer, states)
        received *= self.up if layer else self.down
        return received

    def gradient(self, states: States, weight: Array, offsets: Sequence[Array]) -> Machine:
        """As in `Machine`; the biases make up for what the layers hear beyond that."""
        gradient = super().gradient(states, weight, offsets)
        dW = gradient.W[0]
        gradient.par[0][0, :] -= (self.down - 1) * (dW @ offsets[1])
        gradient.par[1][0, :] -= (self.up - 1) * (offsets[0] @ dW)
        return gradient

    def come_to_rest(self, means: Sequence[Array]) -> None:
        """Take from the biases what is heard, beyond once, when all units are at ``means``."""
        W = self.W[0]
        self.par[0][0, :] -= (self.down - 1) * (W @ means[1])
        self.par[1][0, :] -= (self.up - 1) * (means[0] @ W)


def compose(runs: Sequence[Run]) -> Machine:
    """One machine, over standardised columns, from the runs of its RBMs, the lowest first."""
    layers = [run.average for run in runs]
    par = [layers[0].par[0]]
    for below, above in itertools.pairwise(layers):
        par.append((below.par[1] + above.par[0]) / 2)
    par.append(layers[-1].par[1])
    units = (layers[0].units[0], *(layer.units[1] for layer in layers))
    machine = Machine(units, par, [layer.W[0] for layer in layers])
    return machine.copy()
