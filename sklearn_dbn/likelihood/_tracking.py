"""log Z of a machine that is being trained, followed from pass to pass.

A population of chains moves with the machine. From one machine to the next its weights grow by
exp(F_old(v) - F_new(v)), whose mean is Z_new / Z_old, and Gibbs sweeps under the new machine
leave them as they are; chains are copied or dropped where the weights have become unequal
(Desjardins, Courville, Bengio 2011, On tracking the partition function, NIPS 24). Where the
machine has moved so far that few chains would have all of the weight, the way is cut into
steps: the energies between are mixtures of those of both ends, as in annealing.

The chains start from units without neighbours, of which log Z has a formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._array_api import namespace, take, to_numpy
from .._machine import Machine, States
from .._random import Stream
from ..samplers import Chains
from ..samplers._chains import gibbs
from ._annealing import independent, log_partition_of_base
from ._estimates import log_mean_exp
from ._population import EQUAL_ENOUGH, resample

# A step is halved until the weights that it adds are worth this share of the chains, or it is
# this share of the way.
_ALIKE, _SHORTEST = 0.8, 1 / 256
# Sweeps after each step.
_SWEEPS = 1


@dataclass
class TrackedPartition:
    """Chains of a machine, and the log of its partition function.

    Attributes
    ----------
    states : list of arrays of shape (n_chains, n_l)
        Of the even layers.
    log_weight : array of shape (n_chains,), float64
        Of the chains, since they were last made equal.
    log_z : float
        At that time.
    """

    states: States
    log_weight: np.ndarray
    log_z: float

    @classmethod
    def of_base(cls, machine: Machine, n_chains: int, rng: Stream) -> TrackedPartition:
        """Exact draws of a ``machine`` without weights."""
        states = independent(machine, machine.par, machine.even, n_chains, rng)
        return cls(states, np.zeros(n_chains), log_partition_of_base(machine, machine.par))

    @property
    def value(self) -> float:
        """log Z, in nats."""
        return self.log_z + float(log_mean_exp(self.log_weight)[0])

    def follow(self, old: Machine, new: Machine, rng: Stream) -> Iterator[Machine]:
        """Move from the machine ``old`` to ``new``; yields the machine after each step."""
        machine, share, width = old, 0.0, 0.5
        while share < 1.0:
            xp, free = namespace(machine.W[0]), machine.free_energy(self.states)
            # The next step may be longer than this one.
            width = min(2 * width, 1.0 - share)
            while True:
                after = between(old, new, share + width)
                gain = free - after.free_energy(self.states)
                gain = to_numpy(xp.astype(gain, xp.float64))
                alike = log_mean_exp(gain)[2] >= _ALIKE * len(gain)
                if alike or width <= _SHORTEST:
                    break
                width /= 2
            machine, share = after, share + width
            self.log_weight = self.log_weight + gain
            if log_mean_exp(self.log_weight)[2] < EQUAL_ENOUGH * len(gain):
                self.log_z = self.value
                chosen = resample(np.exp(self.log_weight - self.log_weight.max()), rng)
                self.states = [None if x is None else take(x, chosen) for x in self.states]
                self.log_weight = np.zeros(len(gain))
            self.states = gibbs(machine, Chains(self.states), _SWEEPS, rng).states
            yield machine


def between(old: Machine, new: Machine, share: float) -> Machine:
    """The machine whose energy is a mixture of both, with ``share`` of that of ``new``."""
    if share == 1.0:
        return new
    mixed = old.map(lambda x, y: (1 - share) * x + share * y, new)
    ends = zip(old.units, old.par, new.par, strict=True)
    mixed.par = [unit.between(start, end, share) for unit, start, end in ends]
    return mixed
