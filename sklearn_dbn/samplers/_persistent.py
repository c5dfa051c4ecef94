"""Persistent contrastive divergence: chains continue from one minibatch to the next."""

from __future__ import annotations

from .._random import Stream
from ..machine import Machine, States
from ._chains import Chains, Phases, gibbs, independent, stack


class PersistentContrastiveDivergence:
    """PCD-k (Tieleman 2008, doi:10.1145/1390156.1390290).

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps for each update of the parameters.
    """

    independent_of_rows = True
    persistent = True

    def __init__(self, n_sweeps: int = 1):
        self.n_sweeps = n_sweeps

    def init(self, machine: Machine, n_chains: int, rng: Stream) -> Chains:
        """Start ``n_chains`` chains from units without neighbours."""
        return Chains(independent(machine, machine.par, machine.even, n_chains, rng))

    def step(self, machine: Machine, chains: Chains, rng: Stream) -> tuple[Chains, dict]:
        """Return the moved chains, and numbers for `history_` by name.

        The odd layers and fields of ``chains``, of any sampler, may be overwritten.
        """
        return gibbs(machine, Chains(chains.states, chains.fields), self.n_sweeps, rng), {}

    def phases(self, machine: Machine, data: States, chains: Chains, rng: Stream) -> Phases:
        """Move the chains, and compute the means of the odd layers of data and chains.

        ``data`` holds the minibatch in layer 0 and mean-field means in the other even layers,
        arrays of shape (n_rows, n_l); they are not overwritten. ``n_rows`` may differ from the
        number of chains.
        """
        # One product for data and chains takes less time than two.
        chains, info = self.step(machine, chains, rng)
        states, fields = machine.conditionals(machine.odd, stack(data, chains.states))
        n_data = data[0].shape[0]
        last = n_data + chains.states[0].shape[0]
        moved = Chains(list(chains.states), [None] * len(states))
        for layer in machine.odd:
            moved.states[layer] = states[layer][n_data:last, :]
            moved.fields[layer] = fields[layer][n_data:last, :]
        return Phases(states, fields, moved, info)
