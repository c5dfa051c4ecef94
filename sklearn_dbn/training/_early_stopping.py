"""When to stop a training: by the log-likelihood of rows that are held out of it.

Their mean free energy alone does not tell, as log Z moves too. Both are followed from pass to
pass; docs/decisions/convergence.md says how far the sum is known.

The free energy of a row is a formula where all even layers are known. Missing entries and even
layers above the visible one have chains of their own, one a row, which move as the machine
does. For the change of the log of the sum over what is unknown, the mean of F_old - F_new over
chains of the old machine is too low, over those of the new one too high, and the mean of both
is right but for third powers of the step.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._array_api import Array, namespace, to_numpy
from .._random import Stream
from ..likelihood import TrackedPartition, log_partition_of_base
from ..machine import Machine, States
from ..samplers import independent

# Chains of the model.
_N_CHAINS = 100
# Where more steps than this would be needed, chains start anew from units without neighbours.
# That takes one or two dozen steps, and errors of earlier passes are left behind.
_FAR = 4


@dataclass
class EarlyStopping:
    """Held-out rows, their mean log-likelihood, and the training after the best pass so far.

    Attributes
    ----------
    n_iter_no_change : int
        Passes without a better log-likelihood after which to stop.
    v : array of shape (n_rows, n_0)
        NaN, or anything, for what is not known.
    missing : bool array of shape (n_rows, n_0) or None
        Which entries are not known; ``None``: all are.
    weight : array of shape (n_rows,), float64
        Of the rows, with a sum of 1.
    log_scale : array of shape (n_0,), float64
        What a log density loses by each column on the way to those of the user.
    rng : Stream
        Of its own, so that a training takes the same way with and without.
    states : list of arrays of shape (n_rows, n_l)
        Of the even layers of each row: what is known of them, and chains in all else.
    partition : TrackedPartition or None
        ``None`` before the first pass.
    log_weight : float
        Mean over the rows of the log of exp(-E) summed over all that is not known.
    best : float
        The best log-likelihood so far.
    kept : dict
        Attributes of the run after that pass.
    n_stalled : int
        Passes since then.
    """

    n_iter_no_change: int
    v: Array
    missing: Array | None
    weight: np.ndarray
    log_scale: np.ndarray
    rng: Stream
    states: States = field(default_factory=list)
    partition: TrackedPartition | None = None
    log_weight: float = 0.0
    best: float = -np.inf
    kept: dict[str, Any] = field(default_factory=dict)
    n_stalled: int = 0

    def copy(self) -> EarlyStopping:
        # Arrays are replaced, and never written to.
        copied = copy.copy(self)
        copied.partition, copied.rng = copy.copy(self.partition), copy.deepcopy(self.rng)
        return copied

    @property
    def stalled(self) -> bool:
        """Whether to stop."""
        return self.n_stalled >= self.n_iter_no_change

    def end_pass(self, old: Machine, run: Any) -> float:
        """Mean log-likelihood after a pass, whose parameters are kept where it is the best.

        ``old`` is the averaged machine before the pass.
        """
        near = self.partition is not None and self._follow(old, run.average, _FAR)
        if not near:
            base = run.base()
            self._start(base)
            self._follow(base, run.average)
        value = self.log_likelihood()
        self.n_stalled += 1
        if value > self.best:
            self.best, self.n_stalled, self.kept = value, 0, run.place()
        return value

    def log_likelihood(self) -> float:
        """Mean over the rows, in nats, for columns as the user measures them."""
        known = self._known(np.ones(self.v.shape)) @ self.log_scale
        return self.log_weight - self.partition.value - float(self.weight @ known)

    def _start(self, base: Machine) -> None:
        """Go to a machine without weights, of which all is known exactly."""
        par, visible, v = base.par[0], base.units[0], self.v
        self.partition = TrackedPartition.of_base(base, _N_CHAINS, self.rng)
        self.states = independent(base, base.par, base.even, v.shape[0], self.rng)
        if self.missing is None:
            self.states[0] = v
        else:
            self.states[0] = namespace(v).where(self.missing, self.states[0], v)
        # An entry of 0 has no energy.
        log_p = -visible.energy(self._known(v), par)
        known = None if self.missing is None else ~self.missing
        log_p -= visible.log_partition(par[:1, :], par, known)
        self.log_weight = log_partition_of_base(base, base.par) + self._mean(log_p)

    def _follow(self, old: Machine, new: Machine, most: float = math.inf) -> bool:
        """Move from the machine ``old`` to ``new``; whether ``most`` steps suffice for that."""
        before = old
        unknown = self.missing is not None or len(old.even) > 1
        for machine in self.partition.follow(old, new, self.rng, most):
            if unknown:
                self._move(before, machine)
            before = machine
        if before is not new:
            return False
        if not unknown:
            self.log_weight = -self._mean(new.free_energy(self.states))
        return True

    def _move(self, old: Machine, new: Machine) -> None:
        change = self._change(old, new)
        states = new.sample(new.odd, self.states, self.rng)
        unknown = new.even[1:] if self.missing is None else new.even
        states = new.sample(unknown, states, self.rng)
        if self.missing is not None:
            states[0] = namespace(states[0]).where(self.missing, states[0], self.states[0])
        self.states = states
        self.log_weight += (change + self._change(old, new)) / 2

    def _change(self, old: Machine, new: Machine) -> float:
        return self._mean(old.free_energy(self.states) - new.free_energy(self.states))

    def _known(self, x: Array) -> Array:
        """``x`` with 0 for what is missing."""
        if self.missing is None:
            return x
        xp = namespace(x)
        return xp.where(self.missing, xp.zeros_like(x), x)

    def _mean(self, x: Array) -> float:
        return float(self.weight @ to_numpy(x).astype(np.float64))
