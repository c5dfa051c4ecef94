"""Columns that are not known: their mean field, and draws of them given the others.

A *stack* is a list of machines, the lowest first, of which the hidden layer of one is the
visible layer of the next: an RBM alone, or a deep belief network. Its distribution is that
of the top machine, passed down through p(x_l | x_{l+1}) of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ._array_api import Array
from ._machine import Machine, States
from ._mean_field import settle
from ._random import Stream
from .likelihood import independent, log_weight, propose

_TOLERANCE = 1e-4
_MAX_SWEEPS = 500


def fill_in(machine: Machine, v: Array, max_sweeps: int = _MAX_SWEEPS) -> Array:
    """Rows whose missing entries, NaN, are their mean field given the others.

    Coordinate ascent on the bound of log p(known entries), the odd layers and the even ones in
    turn, v_i = E[v_i | h_1] among these. Each row stops when no entry of its even layers moves
    by more than a ten-thousandth of the unit's spread, whatever the other rows of its batch do.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n_rows, n_0)
    max_sweeps : int
    """
    missing = np.isnan(v)
    neutral = np.full((1, machine.W[0].shape[1]), machine.units[1].neutral, dtype=v.dtype)
    v = np.where(missing, machine.means([0], [None, neutral])[0], v)
    active = np.flatnonzero(missing.any(axis=1))
    states = settle(machine, v[active], 0)
    for _ in range(max_sweeps):
        if not len(active):
            break
        before = states
        states = machine.means(machine.odd, before)
        states = machine.means(machine.even, states)
        states[0] = np.where(missing[active], states[0], before[0])
        v[active] = states[0]
        moving = np.zeros(len(active), dtype=bool)
        for layer in machine.even:
            unit, par = machine.units[layer], machine.par[layer]
            spread = unit.curvature(par) ** -0.5 if unit.continuous else 1.0
            moved = np.abs(states[layer] - before[layer])
            moving |= (moved > _TOLERANCE * spread).any(axis=1)
        active, states = active[moving], [x[moving] for x in states]
    return v


def conditional_draws(
    stack: Sequence[Machine], v: Array, missing: Array, n_sweeps: int, rng: Stream
) -> Iterator[tuple[Array, Array]]:
    """Rows with their missing entries drawn anew at each sweep, given the known ones.

    A single machine is swept by Gibbs sampling. In a deeper stack the hidden layers below the
    top are proposed from their recognition distribution, and accepted by Metropolis and
    Hastings, so that p(missing, hidden | known) is left as it is; then the missing entries are
    drawn given the layer above.

    Parameters
    ----------
    stack : sequence of Machine
    v : array of shape (n_rows, n_0)
        Complete: where the chains start.
    missing : bool array of shape (n_rows, n_0)
    n_sweeps : int
    rng : Stream

    Yields
    ------
    v, mean : arrays of shape (n_rows, n_0)
        The rows after a sweep, and the mean that their missing entries were drawn about.
    """
    bottom = stack[0]
    states: States = independent(bottom, bottom.par, bottom.even, v.shape[0], rng)
    deep = len(stack) > 1
    hidden = propose(stack, v, rng) if deep else []
    for _ in range(n_sweeps):
        states[0] = v
        if deep:
            proposed = propose(stack, v, rng)
            gain = log_weight(stack, v, proposed) - log_weight(stack, v, hidden)
            accept = np.log(rng.uniform(v.shape[0])) < gain
            pairs = zip(proposed, hidden, strict=True)
            hidden = [np.where(accept[:, None], new, old) for new, old in pairs]
            states[1] = hidden[0]
        else:
            states = bottom.sample(bottom.odd, states, rng)
        states = bottom.means(bottom.even, states)
        mean = np.where(missing, states[0], v)
        states = bottom.draw(bottom.even, states, rng)
        v = np.where(missing, states[0], v)
        yield v, mean


def pass_down(stack: Sequence[Machine], states: Array, rng: Stream) -> Array:
    """Draw the visible layer of a stack, given the visible layer of its top machine."""
    for machine in reversed(stack[:-1]):
        states = machine.sample([0], [None, states], rng)[0]
    return states
