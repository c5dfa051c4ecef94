"""Markov chains over the states of a machine, moved by block Gibbs sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .._array_api import Array, copied, device, namespace
from .._random import Stream
from ..machine import Machine, States


class Chains(NamedTuple):
    """The states of the chains.

    ``states`` holds the states of the even layers, arrays of shape (n_chains, n_l). If training
    has computed the conditional means of the odd layers already, these are in ``states`` and
    their fields in ``fields``, and the next draw uses and may overwrite them; else the odd
    layers and ``fields`` are ``None``. Code that replaces states of a chain must replace its
    means and fields too, or set the odd layers and ``fields`` to ``None``.
    """

    states: States
    fields: States | None = None

    def copy(self) -> Chains:
        return self.map(copied)

    def map(self, function: Callable[[Array], Array]) -> Chains:
        """Chains whose arrays are ``function`` of these."""
        return Chains(mapped(function, self.states), mapped(function, self.fields))


class Phases(NamedTuple):
    """Both phases of a gradient, in one array for each layer.

    Attributes
    ----------
    states : list of arrays
        Rows of the data, rows of the chains, and spare rows: states of the even layers, which
        `Machine.gradient` overwrites, and conditional means of the odd ones.
    fields : list of arrays
        Of the odd layers, for the same rows; ``None`` for the even ones.
    chains : Chains
        Their even layers share no memory with ``states``.
    info : dict of str to float
        Numbers for `history_`, by name.
    """

    states: States
    fields: States
    chains: Any
    info: dict[str, float]


def gibbs(machine: Machine, chains: Chains, n_sweeps: int, rng: Stream) -> Chains:
    """Sweep ``n_sweeps`` times: draw the odd layers, then the even ones."""
    states, fields = chains
    for _ in range(n_sweeps):
        if fields is None:
            states, fields = machine.conditionals(machine.odd, states)
        states, fields = machine.draw(machine.odd, states, fields, rng), None
        states = machine.sample(machine.even, states, rng)
        for layer in machine.odd:
            states[layer] = None
    return Chains(states, fields)


def independent(
    machine: Machine, base: Sequence[Array], layers: Sequence[int], n_rows: int, rng: Stream
) -> States:
    """Exact draws of ``layers`` without neighbours, (n_rows, n_l); the others are ``None``.

    ``base`` holds the parameters of the units, arrays of shape (n_par, n_l).
    """
    states: States = [None] * len(machine.par)
    for layer in layers:
        par = base[layer]
        xp = namespace(par)
        field = xp.zeros((n_rows, par.shape[1]), dtype=par.dtype, device=device(par))
        field += par[0, :]
        states[layer] = machine.units[layer].sample(field, par, rng)
    return states


# `Machine.gradient` needs this many spare rows; products are fastest on multiples of 4 rows.
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


def positive_phase(machine: Machine, data: States) -> tuple[States, States]:
    """States and fields as in `Phases`, without chains."""
    no_rows = [None if x is None else x[:0, :] for x in data]
    return machine.conditionals(machine.odd, stack(data, no_rows))


def mapped(function: Callable[[Array], Array], states: States | None) -> States | None:
    """``function`` of each array; ``None`` stays what it is."""
    if states is None:
        return None
    return [None if x is None else function(x) for x in states]
