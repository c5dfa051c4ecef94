"""log Z of a machine that is being trained, updated after each pass.

A population of chains follows the machine. At a change of the machine the importance weights
are multiplied by exp(F_old(v) - F_new(v)), whose mean is Z_new / Z_old. Gibbs sweeps of the new
machine do not change them. Chains are copied or dropped when the weights have become unequal
(Desjardins, Courville, Bengio 2011, On tracking the partition function, NIPS 24). A change
after which few chains would have all of the weight is divided into steps: the energies between
are mixtures of those of both ends, as in annealing.

The chains start from units without neighbours, of which log Z has a formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._array_api import namespace, take, to_numpy
from .._random import Stream
from ..machine import Machine, States
from ..samplers import Chains, gibbs, independent
from ._annealing import log_partition_of_base
from ._estimates import log_mean_exp
from ._population import RESAMPLED_BELOW, effective_size, resample

# A step is shortened until the effective sample size of its weights is this share of the
# chains, or until it is this share of the change. The next step is first tried with the width
# that gives this standard deviation of their logarithms.
_EQUAL_STEP, _SHORTEST, _DEVIATION = 0.9, 1 / 256, 0.3
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
        Log importance weights since the chains were last resampled.
    log_z : float
        log Z at that time.
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

    def follow(
        self, old: Machine, new: Machine, rng: Stream, most: float = math.inf
    ) -> Iterator[Machine]:
        """Follow the change from ``old`` to ``new``; yields the machine after each step.

        Nothing is changed or yielded if more than ``most`` steps are to be expected.
        """
        machine, share, guess = old, 0.0, 1.0
        while share < 1.0:
            xp, free = namespace(machine.par[0]), machine.free_energy(self.states)
            while True:
                width = min(guess, 1.0 - share)
                after = between(old, new, share + width)
                gain = free - after.free_energy(self.states)
                gain = to_numpy(xp.astype(gain, xp.float64))
                deviation = float(gain.std())
                # It grows with the width. If it is not finite, the shortest step is next.
                growth = _DEVIATION / max(deviation, 1e-3) if deviation < math.inf else 0.0
                if share == 0.0 and growth * most < width:
                    return
                if effective_size(gain) >= _EQUAL_STEP * len(gain) or width <= _SHORTEST:
                    guess = max(width * min(growth, 2.0), _SHORTEST)
                    break
                guess = max(width * min(growth, 0.7), _SHORTEST)
            machine, share = after, share + width
            self.log_weight = self.log_weight + gain
            if effective_size(self.log_weight) < RESAMPLED_BELOW * len(gain):
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
