"""Probability of the observed entries of rows, the missing ones summed out.

Given the layer above, visible units are independent of each other, so that the missing entries
are summed out by a formula. The sum over hidden layers h is by importance sampling::

    log p(observed) = log mean_s p(observed, h_s) / q(h_s)

q is the mixture of the posteriors p(h | v_t) of complete rows v_t, in which a chain has drawn
the missing entries given the observed ones (mixture importance sampling: Owen, Zhou 2000,
doi:10.1080/01621459.2000.10473909). The posterior of one completed row would be too narrow.
All rows share their random numbers, so that the result of a row depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._array_api import Array, namespace, to_numpy
from .._random import CommonStream, Stream
from ..machine import Machine, States, mean_field_sweeps
from ._conditionals import conditional_draws
from ._estimates import log_mean_exp
from ._stack import MEAN_FIELD_SWEEPS, Choice, draw_with, upward_pass

# Sweeps before the chain of a row is used.
_BURN_IN = 20


def log_weights_of_observed(
    machines: Sequence[Machine], v: Array, n_samples: int, seed: int
) -> np.ndarray:
    """log p(observed, h) Z - log q(h) of ``n_samples`` draws for each row.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
    v : array of shape (n_rows, n_0)
        NaN for missing entries.
    n_samples : int
    seed : int

    Returns
    -------
    array of shape (n_rows, n_samples), float64
    """
    xp, bottom, rng = namespace(v), machines[0], CommonStream(seed)
    observed = ~xp.isnan(v)
    x = xp.where(observed, v, xp.zeros_like(v))
    posteriors, draws = [], []
    for layer_input, hidden in _posteriors(machines, x, observed, n_samples, rng):
        posteriors.append(layer_input)
        draws.append(hidden)
    log_q = _log_mixture(bottom, posteriors, draws)
    weights = np.empty((v.shape[0], n_samples))
    for sample, hidden in enumerate(draws):
        layer_input = bottom.from_above(0, hidden[1])
        log_p = xp.sum(layer_input * x, axis=-1)
        log_p -= bottom.units[0].energy(x, bottom.par[0], observed)
        field = layer_input + bottom.par[0][0, :]
        log_p -= bottom.units[0].log_partition(field, bottom.par[0], observed)
        log_p = xp.astype(log_p, xp.float64)
        if len(machines) > 1:
            # The first hidden layer is a complete row of the stack above it.
            _, upper = upward_pass(machines[1:], hidden[1], None, draw_with(rng))
            weights[:, sample] = to_numpy(log_p + upper)
        else:
            free = bottom.free_energy(hidden, summed=bottom.even)
            weights[:, sample] = to_numpy(log_p - xp.astype(free, xp.float64))
    return weights - log_q


def _posteriors(
    machines: Sequence[Machine], x: Array, observed: Array, n_samples: int, rng: Stream
) -> list[tuple[States, States]]:
    """`Machine.input` of the odd layers in completed rows, and a draw of these layers.

    Of the lowest machine. The chain continues with another draw, so that the mixture is
    independent of the returned draws: otherwise the mean of the weights would be biased.
    """
    xp, draw, machine = namespace(x), draw_with(rng), machines[0]
    start = machine.means([0], [None, machine.neutral(1)])[0]
    v, found = xp.where(observed, x, start), []
    n_sweeps, rows = _BURN_IN + n_samples, None
    if len(machines) > 1 and len(machine.matrices) > 1:
        # Separate pathways depend on each other only through the machines above.
        rows = conditional_draws(machines, v, ~observed, n_sweeps, rng)
    for sweep in range(n_sweeps):
        states, _ = mean_field_sweeps(machine, v, MEAN_FIELD_SWEEPS * (len(machine.even) - 1))
        layer_input: States = [None] * len(states)
        for layer in machine.odd:
            layer_input[layer] = machine.input(layer, states)
        if sweep >= _BURN_IN:
            found.append((layer_input, _drawn(machine, layer_input, draw)))
        if rows is None:
            h = _drawn(machine, layer_input, draw)
            v = xp.where(observed, x, draw(machine, 0, machine.from_above(0, h[1])))
        else:
            v, _ = next(rows)
    return found


def _drawn(machine: Machine, layer_input: States, draw: Choice) -> States:
    drawn: States = [None] * len(layer_input)
    for layer in machine.odd:
        drawn[layer] = draw(machine, layer, layer_input[layer])
    return drawn


def _log_mixture(machine: Machine, posteriors: list[States], draws: list[States]) -> np.ndarray:
    """log q of each draw, (n_rows, n_samples): log of the mean density of ``posteriors``."""
    log_q, log_base = 0.0, 0.0
    for layer in machine.odd:
        unit = machine.units[layer]
        par = to_numpy(machine.par[layer]).astype(np.float64)
        h, layer_input = (
            np.stack([to_numpy(x[layer]) for x in states], axis=1).astype(np.float64)
            for states in (draws, posteriors)
        )
        field = (layer_input + par[0, :]).reshape(-1, h.shape[-1])
        log_z = unit.log_partition(field, par).reshape(h.shape[:2])
        log_q = log_q + h @ layer_input.swapaxes(1, 2) - log_z[:, None, :]
        energy = unit.energy(h.reshape(-1, h.shape[-1]), par)
        log_base = log_base - energy.reshape(h.shape[:2])
    log_mean, _, _ = log_mean_exp(log_q)
    return log_mean + log_base
