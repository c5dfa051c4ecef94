"""Annealed importance sampling: forward from the base, and reverse from the machine.

Neal 2001 (doi:10.1023/A:1008923215028); for RBMs Salakhutdinov, Murray 2008
(doi:10.1145/1390156.1390266). Each energy on the path is that of a machine::

    E_beta = (1 - beta) E_base + beta E,  so  W_beta = beta W,  par_beta = between(base, par)

Layers of one parity are summed out by a formula, and the importance weight of a chain with
states x of the kept layers is the product of exp(F_k(x_k) - F_{k+1}(x_k)), where x_{k+1} is
drawn by a kernel that has the stationary distribution p_{k+1}. That kernel (summed layers given
kept ones, then kept ones given summed ones) is reversible, so that reverse chains, from exact
draws of the machine, are forward chains in reverse order: one loop does both, with the
temperatures in opposite order (Burda, Grosse, Salakhutdinov 2015, arXiv:1412.8566).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from .._array_api import Array, namespace, to_numpy
from .._random import Stream
from ..machine import Machine, States, Unchanging
from ..samplers import Chains, gibbs, independent
from ..units import UnitMoments


def base_rates(
    machine: Machine,
    mean: Sequence[Array | None] = (),
    var: Sequence[Array | None] = (),
) -> list[Array]:
    """Parameters of the base, from the moments of the data where these are known.

    Parameters
    ----------
    machine : Machine
    mean, var : sequence with one entry for each layer, from the visible one up
        Moments of the layer, ``None`` if unknown; so are those that are missing at the end. A
        layer of unknown mean keeps its own parameters; one of unknown variance keeps the
        variance that it has without neighbours.

    Returns
    -------
    list of arrays of shape (n_par, n_l)
    """
    moments = itertools.zip_longest(machine.units, machine.par, mean, var)
    base = []
    for unit, par, m, s in itertools.islice(moments, len(machine.par)):
        if m is not None and s is None:
            s = unit.variance(par[:1, :], par)[0, :]
        base.append(par if m is None else unit.independent(UnitMoments(m, s)))
    return base


def log_partition_of_base(machine: Machine, base: Sequence[Array]) -> float:
    """Log of the partition function of the base, in nats."""
    total = 0.0
    for unit, par in zip(machine.units, base, strict=True):
        xp = namespace(par)
        par = xp.astype(par, xp.float64)
        total += float(xp.sum(unit.log_partition(par[:1, :], par)))
    return total


def equilibrate(machine: Machine, states: States, n_sweeps: int, rng: Stream) -> States:
    """States of all layers after ``n_sweeps`` sweeps, to start reverse annealing from.

    Parameters
    ----------
    machine : Machine
    states : list of arrays of shape (n_rows, n_l)
        The start of the even layers. Those that are ``None`` start from units without
        neighbours.
    n_sweeps : int
        0 only redraws the odd layers.
    rng : Stream
    """
    n_rows = next(states[layer] for layer in machine.even if states[layer] is not None).shape[0]
    missing = [layer for layer in machine.even if states[layer] is None]
    start = independent(machine, machine.par, missing, n_rows, rng)
    for layer in machine.even:
        start[layer] = states[layer] if start[layer] is None else start[layer]
    states = gibbs(machine, Chains(start), n_sweeps, rng).states
    return machine.sample(machine.odd, states, rng)


def anneal(
    machine: Machine,
    base: Sequence[Array],
    betas: np.ndarray,
    states: States,
    rng: Stream,
    summed: range | None = None,
) -> np.ndarray:
    """Log importance weights of chains that are annealed through ``betas``.

    The expectation of the weights is Z at the last temperature over Z at the first.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
        Parameters at beta = 0, where there are no weights.
    betas : array of shape (n_betas,)
        Increasing from 0 to 1, or decreasing from 1 to 0.
    states : list of arrays of shape (n_chains, n_l)
        Exact draws, at the first temperature, of the layers that are kept.
    rng : Stream
    summed : range or None
        The layers summed out: ``machine.odd`` (the default) or ``machine.even``. In trained
        RBMs the variance of the log weights is about the same, rather less with the odd ones.

    Returns
    -------
    array of shape (n_chains,), float64
    """
    return to_numpy(sum(increments(machine, base, betas, states, rng, summed)))


def increments(
    machine: Machine,
    base: Sequence[Array],
    betas: np.ndarray,
    states: States,
    rng: Stream,
    summed: range | None = None,
) -> Iterator[Array]:
    """Yield the change of the log weights of `anneal` in each step, (n_chains,)."""
    summed = machine.odd if summed is None else summed
    path, states = Path(machine, base), list(states)
    betas = [float(beta) for beta in betas]
    for before, beta in itertools.pairwise(betas):
        change, states = path.step(before, beta, states, summed, rng)
        yield change


class Path:
    """The distributions from the base, at beta = 0, to a machine, at beta = 1.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
        Parameters at beta = 0, where there are no weights.
    """

    def __init__(self, machine: Machine, base: Sequence[Array]):
        self.machine = Unchanging(machine.units, machine.par, machine.W)
        self.base = base
        # The next step usually begins at the temperature at which the last one ended.
        self._last: tuple[float, list[Array]] = (math.nan, [])

    def parameters(self, beta: float) -> list[Array]:
        """Parameters of the units at one temperature."""
        if beta != self._last[0]:
            ends = zip(self.machine.units, self.base, self.machine.par, strict=True)
            par = [unit.between(start, end, beta) for unit, start, end in ends]
            self._last = beta, par
        return self._last[1]

    def step(
        self, before: float, beta: float, states: States, summed: range, rng: Stream
    ) -> tuple[Array, States]:
        """Return the change of the log weights from ``before`` to ``beta``, and new states.

        The states are those of all layers after a sweep at ``beta``, in which the layers
        ``summed`` are drawn first.
        """
        machine, units, states = self.machine, self.machine.units, list(states)
        kept = machine.even if summed == machine.odd else machine.odd
        xp = namespace(machine.par[0])
        start_par, par = self.parameters(before), self.parameters(beta)
        change: Array = 0.0
        for layer in kept:
            energy = units[layer].energy(states[layer], start_par[layer])
            energy -= units[layer].energy(states[layer], par[layer])
            change = change + xp.astype(energy, xp.float64)
        for layer in summed:
            unit, p = units[layer], par[layer]
            field = machine.input(layer, states)
            back = field * (before - beta)
            back += start_par[layer][0, :] - p[0, :]
            field *= beta
            field += p[0, :]
            mean = unit.mean(field, p)
            gain = unit.log_partition_change(field, p, back, start_par[layer], mean)
            change = change + xp.astype(gain, xp.float64)
            states[layer] = unit.sample(field, p, rng, mean)
        for layer in kept:
            field = machine.input(layer, states)
            field *= beta
            field += par[layer][0, :]
            states[layer] = units[layer].sample(field, par[layer], rng)
        return change, states
