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
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._array_api import Array, namespace, to_numpy
from ._machine import Machine, States
from ._random import Stream
from .likelihood import TrackedPartition, independent, log_partition_of_base

# Chains of the model.
_N_CHAINS = 100


@dataclass
class EarlyStopping:
    """Held-out rows, their mean log-likelihood, and the training after the best pass so far.

    Attributes
    ----------
    n_iter_no_change : int
        Passes without a better log-likelihood after which to stop.
    states : list of arrays of shape (n_rows, n_l)
        Of the even layers of each row: what is known of them, and chains in all else.
    missing : bool array of shape (n_rows, n_0) or None
        Which visible entries are not known; ``None``: all are.
    weight : array of shape (n_rows,), float64
        Of the rows, with a sum of 1.
    log_scale : float
        What the mean log density loses on the way to columns as the user measures them.
    partition : TrackedPartition
    rng : Stream
        Of its own, so that a training takes the same way with and without.
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
    states: States
    missing: Array | None
    weight: np.ndarray
    log_scale: float
    partition: TrackedPartition
    rng: Stream
    log_weight: float = 0.0
    best: float = -np.inf
    kept: dict[str, Any] = field(default_factory=dict)
    n_stalled: int = 0

    @classmethod
    def of_base(
        cls,
        n_iter_no_change: int,
        base: Machine,
        v: Array,
        missing: Array | None,
        weight: Array,
        log_scale: np.ndarray,
        rng: Stream,
    ) -> EarlyStopping:
        """Rows ``v`` under a machine without weights, of which all is known exactly.

        ``log_scale`` is that of each column.
        """
        xp, par, visible = namespace(v), base.par[0], base.units[0]
        states = independent(base, base.par, base.even, v.shape[0], rng)
        known = xp.ones_like(v) if missing is None else xp.astype(~missing, v.dtype)
        # An entry of 0 has no energy.
        x = v if missing is None else xp.where(missing, xp.zeros_like(v), v)
        states[0] = v if missing is None else xp.where(missing, states[0], v)
        log_p = -visible.energy(x, par) - known @ visible.log_partition(par[:1, :], par)[0, :]
        weight = to_numpy(weight).astype(np.float64)
        weight = weight / weight.sum()
        return cls(
            n_iter_no_change=n_iter_no_change,
            states=states,
            missing=missing,
            weight=weight,
            log_scale=float(weight @ (to_numpy(known).astype(np.float64) @ log_scale)),
            partition=TrackedPartition.of_base(base, _N_CHAINS, rng),
            rng=rng,
            log_weight=log_partition_of_base(base, base.par)
            + float(weight @ to_numpy(log_p).astype(np.float64)),
        )

    def copy(self) -> EarlyStopping:
        # Arrays are replaced, and never written to.
        copied = copy.copy(self)
        copied.partition, copied.rng = copy.copy(self.partition), copy.deepcopy(self.rng)
        return copied

    @property
    def stalled(self) -> bool:
        """Whether to stop."""
        return self.n_stalled >= self.n_iter_no_change

    def follow(self, old: Machine, new: Machine) -> float:
        """Move from the machine ``old`` to ``new``; the mean log-likelihood under that one."""
        before = old
        unknown = self.missing is not None or len(old.even) > 1
        for machine in self.partition.follow(old, new, self.rng):
            if unknown:
                self._move(before, machine)
                before = machine
        if not unknown:
            self.log_weight = -self._mean(new.free_energy(self.states))
        return self.log_weight - self.partition.value - self.log_scale

    def _move(self, old: Machine, new: Machine) -> None:
        change = self._change(old, new)
        states = new.sample(new.odd, self.states, self.rng)
        states = new.sample(
            new.even if self.missing is not None else new.even[1:], states, self.rng
        )
        if self.missing is not None:
            states[0] = namespace(states[0]).where(self.missing, states[0], self.states[0])
        self.states = states
        self.log_weight += (change + self._change(old, new)) / 2

    def _change(self, old: Machine, new: Machine) -> float:
        return self._mean(old.free_energy(self.states) - new.free_energy(self.states))

    def _mean(self, x: Array) -> float:
        return float(self.weight @ to_numpy(x).astype(np.float64))

    def end_pass(self, old: Machine, run: Any) -> float:
        """Mean log-likelihood after a pass, whose parameters are kept where it is the best.

        ``old`` is the averaged machine before the pass.
        """
        value = self.follow(old, run.average)
        self.n_stalled += 1
        if value > self.best:
            self.best, self.n_stalled = value, 0
            copied = run.copy()
            names = ("machine", "average", "chains", "activity", "memory")
            self.kept = {name: getattr(copied, name) for name in names}
        return value
