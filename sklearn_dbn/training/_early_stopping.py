"""Early stopping, by the log-likelihood of held-out rows.

Their mean free energy alone does not determine it, as log Z changes too. Both are updated after
each pass; docs/decisions/convergence.md has the error of the sum.

The free energy of a row is a formula if the states of all even layers are given. Missing
entries and even layers above the visible one have chains, one for each row, that are updated
with the machine. The estimate of the change of the log of the sum over their states by the mean
of F_old - F_new is too low over chains of the old machine and too high over those of the new
one; the mean of both is correct up to third powers of the step.
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

# Chains of the machine.
_N_CHAINS = 100
# If a pass needs more annealing steps than this, chains start anew from units without
# neighbours. That takes one or two dozen steps, and removes the errors of earlier passes.
_MOST_STEPS = 4


@dataclass
class EarlyStopping:
    """Held-out rows, their mean log-likelihood, and the state after the best pass so far.

    Attributes
    ----------
    n_iter_no_change : int
        Passes without a better log-likelihood after which to stop.
    v : array of shape (n_rows, n_0)
        Missing entries may have any value.
    missing : bool array of shape (n_rows, n_0) or None
        Which entries are missing; ``None``: none.
    weight : array of shape (n_rows,), float64
        Of the rows, with a sum of 1.
    log_scale : array of shape (n_0,), float64
        Log of the scale of each column: the log density of the user's columns is less by it.
    rng : Stream
        Not that of the training, so that it makes the same draws with and without.
    states : list of arrays of shape (n_rows, n_l)
        Of the even layers of each row: observed entries, and chains in all others.
    partition : TrackedPartition or None
        ``None`` before the first pass.
    log_weight : float
        Mean over the rows of the log of exp(-E) summed over all that is not observed.
    best : float
        The best log-likelihood so far.
    kept : dict
        Attributes of the run after that pass.
    n_stalled : int
        Passes since that pass.
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
        # Arrays are replaced, never changed in place.
        copied = copy.copy(self)
        copied.partition, copied.rng = copy.copy(self.partition), copy.deepcopy(self.rng)
        return copied

    @property
    def stalled(self) -> bool:
        """Whether to stop."""
        return self.n_stalled >= self.n_iter_no_change

    def end_pass(self, old: Machine, run: Any) -> float:
        """Mean log-likelihood after a pass, whose parameters are kept if it is the best.

        ``old`` is the averaged machine before the pass.
        """
        near = self.partition is not None and self._follow(old, run.average, _MOST_STEPS)
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
        """Mean over the rows, in nats, for columns on the user's scale."""
        log_scale = self._observed(np.ones(self.v.shape)) @ self.log_scale
        return self.log_weight - self.partition.value - float(self.weight @ log_scale)

    def _start(self, base: Machine) -> None:
        """Start from a machine without weights, whose likelihood is a formula."""
        par, visible, v = base.par[0], base.units[0], self.v
        self.partition = TrackedPartition.of_base(base, _N_CHAINS, self.rng)
        self.states = independent(base, base.par, base.even, v.shape[0], self.rng)
        if self.missing is None:
            self.states[0] = v
        else:
            self.states[0] = namespace(v).where(self.missing, self.states[0], v)
        observed = None if self.missing is None else ~self.missing
        log_p = -visible.energy(self._observed(v), par, observed)
        log_p -= visible.log_partition(par[:1, :], par, observed)
        self.log_weight = log_partition_of_base(base, base.par) + self._mean(log_p)

    def _follow(self, old: Machine, new: Machine, most: float = math.inf) -> bool:
        """Anneal from the machine ``old`` to ``new``; return whether ``most`` steps suffice."""
        before = old
        has_chains = self.missing is not None or len(old.even) > 1
        for machine in self.partition.follow(old, new, self.rng, most):
            if has_chains:
                self._move(before, machine)
            before = machine
        if before is not new:
            return False
        if not has_chains:
            self.log_weight = -self._mean(new.free_energy(self.states))
        return True

    def _move(self, old: Machine, new: Machine) -> None:
        change = self._change(old, new)
        states = new.sample(new.odd, self.states, self.rng)
        drawn = new.even[1:] if self.missing is None else new.even
        states = new.sample(drawn, states, self.rng)
        if self.missing is not None:
            states[0] = namespace(states[0]).where(self.missing, states[0], self.states[0])
        self.states = states
        self.log_weight += (change + self._change(old, new)) / 2

    def _change(self, old: Machine, new: Machine) -> float:
        return self._mean(old.free_energy(self.states) - new.free_energy(self.states))

    def _observed(self, x: Array) -> Array:
        """``x`` with 0 for missing entries."""
        if self.missing is None:
            return x
        xp = namespace(x)
        return xp.where(self.missing, xp.zeros_like(x), x)

    def _mean(self, x: Array) -> float:
        return float(self.weight @ to_numpy(x).astype(np.float64))
