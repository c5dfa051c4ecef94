"""Markov chains over the states of a machine, moved by block Gibbs sweeps."""

from __future__ import annotations

from typing import NamedTuple

from .._array_api import device, namespace
from .._random import Stream
from ..machine import Machine, States


class Chains(NamedTuple):
    """Where the chains are.

    ``states`` holds states for the even layers. For the odd ones it holds their conditional
    means, or ``None`` where these have yet to be computed: the next draw of the odd layers
    needs no more than that, and training has computed them already.

    With `ParallelTempering`, ``hotter`` holds the same for the chains at higher temperatures,
    those of one temperature after those of another; ``base_means`` the means of the units at
    the highest, arrays of shape (n_l,); and ``swap_rate`` the share of the swaps last proposed
    that was accepted.
    """

    states: States
    hotter: States | None = None
    base_means: States | None = None
    swap_rate: float | None = None

    def copy(self) -> Chains:
        return Chains(
            _copied(self.states), _copied(self.hotter), _copied(self.base_means), self.swap_rate
        )


def gibbs(machine: Machine, chains: Chains, n_sweeps: int, rng: Stream) -> Chains:
    """Sweep ``n_sweeps`` times: draw the odd layers, then the even ones."""
    states = chains.states
    for _ in range(n_sweeps):
        if states[1] is None:
            states = machine.means(machine.odd, states)
        states = machine.draw(machine.odd, states, rng)
        states = machine.sample(machine.even, states, rng)
        for layer in machine.odd:
            states[layer] = None
    return Chains(states)


# The gradient asks for this many spare rows; the products are fastest on multiples of 4 rows.
_SPARE, _TILE = 2, 4


def stack(first: States, second: States) -> States:
    """Rows of ``first``, rows of ``second``, and spare rows for `Machine.gradient`."""
    stacked: States = [None] * len(first)
    for layer, (x, y) in enumerate(zip(first, second, strict=True)):
        if x is not None:
            n_first, n_rows = x.shape[0], x.shape[0] + y.shape[0]
            shape = (n_rows + _SPARE + -(n_rows + _SPARE) % _TILE, x.shape[1])
            rows = namespace(x).empty(shape, dtype=x.dtype, device=device(x))
            rows[:n_first, :], rows[n_first:n_rows, :], rows[n_rows:, :] = x, y, 0
            stacked[layer] = rows
    return stacked


def positive(machine: Machine, data: States) -> States:
    """Rows of the data with the means of their odd layers, and spare rows for the gradient."""
    nothing = [None if x is None else x[:0, :] for x in data]
    return machine.means(machine.odd, stack(data, nothing))


def _copied(states: States | None) -> States | None:
    if states is None:
        return None
    return [None if x is None else namespace(x).asarray(x, copy=True) for x in states]
