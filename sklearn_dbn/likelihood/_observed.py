"""Probability of the known entries of rows, the others summed out.

Given the hidden layers that it is joined to, a visible unit is independent of the others, so
that the unknown ones are summed out by a formula. What is left is a sum over hidden layers h,
by importance sampling::

    log p(known) = log mean_s p(known, h_s) / q(h_s)

q is the mixture of the posteriors p(h | v_t) of complete rows v_t, in which a chain has drawn
the unknown entries given the known ones (mixture importance sampling: Owen, Zhou 2000,
doi:10.1080/01621459.2000.10473909). The posterior of one completed row would be too narrow.
All rows share their random numbers, so that the result of a row depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._array_api import Array, namespace, to_numpy
from .._random import Stream
from ..machine import Machine, States, settle
from ._estimates import log_mean_exp
from ._stack import MEAN_FIELD_SWEEPS, CommonStream, drawn_by, walk

# Sweeps in which the chain of a row forgets where it started.
_BURN_IN = 20


def log_weights_of_known(
    machines: Sequence[Machine], v: Array, n_samples: int, seed: int
) -> np.ndarray:
    """log p(known, h) Z - log q(h) of ``n_samples`` draws for each row.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
    v : array of shape (n_rows, n_0)
        NaN for what is unknown.
    n_samples : int
    seed : int

    Returns
    -------
    array of shape (n_rows, n_samples), float64
    """
    xp, bottom, rng = namespace(v), machines[0], CommonStream(seed)
    known = ~xp.isnan(v)
    x = xp.where(known, v, xp.zeros_like(v))
    posteriors, draws = [], []
    for received, hidden in _posteriors(bottom, x, known, n_samples, rng):
        posteriors.append(received)
        draws.append(hidden)
    log_q = _log_mixture(bottom, posteriors, draws)
    weights = np.empty((v.shape[0], n_samples))
    for sample, hidden in enumerate(draws):
        received = bottom.from_above(0, hidden[1])
        # Unknown entries are 0, where the energy of a unit is 0.
        log_p = xp.sum(received * x, axis=-1) - bottom.units[0].energy(x, bottom.par[0])
        field = received + bottom.par[0][0, :]
        log_p -= bottom.units[0].log_partition(field, bottom.par[0], known)
        log_p = xp.astype(log_p, xp.float64)
        if len(machines) > 1:
            # Above, the layer is given, as a row of data is to a stack.
            _, upper = walk(machines[1:], hidden[1], None, drawn_by(rng))
            weights[:, sample] = to_numpy(log_p + upper)
        else:
            free = bottom.free_energy(hidden, summed=bottom.even)
            weights[:, sample] = to_numpy(log_p - xp.astype(free, xp.float64))
    return weights - log_q


def _posteriors(
    machine: Machine, x: Array, known: Array, n_samples: int, rng: Stream
) -> list[tuple[States, States]]:
    """What the odd layers receive in completed rows, and a draw of them from that.

    The draw that the chain goes on with is another one: the mixture is then independent of the
    draws, and the mean of the weights is that of all hidden states.
    """
    xp, unit, par = namespace(x), machine.units[0], machine.par[0]
    start = machine.means([0], [None, machine.neutral(1)])[0]
    v, found = xp.where(known, x, start), []
    for sweep in range(_BURN_IN + n_samples):
        states, _ = settle(machine, v, MEAN_FIELD_SWEEPS * (len(machine.even) - 1))
        received: States = [None] * len(states)
        for layer in machine.odd:
            received[layer] = machine.input(layer, states)
        if sweep >= _BURN_IN:
            found.append((received, _drawn(machine, received, rng)))
        h = _drawn(machine, received, rng)
        field = machine.from_above(0, h[1]) + par[0, :]
        v = xp.where(known, x, unit.sample(field, par, rng))
    return found


def _drawn(machine: Machine, received: States, rng: Stream) -> States:
    drawn: States = [None] * len(received)
    for layer in machine.odd:
        par = machine.par[layer]
        field = received[layer] + par[0, :]
        drawn[layer] = machine.units[layer].sample(field, par, rng)
    return drawn


def _log_mixture(machine: Machine, posteriors: list[States], draws: list[States]) -> np.ndarray:
    """log q of each draw, (n_rows, n_samples): log of the mean density of ``posteriors``."""
    log_q, log_base = 0.0, 0.0
    for layer in machine.odd:
        unit = machine.units[layer]
        par = to_numpy(machine.par[layer]).astype(np.float64)
        h, received = (
            np.stack([to_numpy(x[layer]) for x in states], axis=1).astype(np.float64)
            for states in (draws, posteriors)
        )
        log_z = unit.log_partition(received + par[0, :], par)
        log_q = log_q + h @ received.swapaxes(1, 2) - log_z[:, None, :]
        energy = unit.energy(h.reshape(-1, h.shape[-1]), par)
        log_base = log_base - energy.reshape(h.shape[:2])
    log_mean, _, _ = log_mean_exp(log_q)
    return log_mean + log_base
