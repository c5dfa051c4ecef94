"""Contrastive divergence: chains that start at the rows of each minibatch."""

from __future__ import annotations

from .._random import Stream
from ..machine import Machine, States
from ._chains import Chains, Phases, stack
from ._persistent import PersistentContrastiveDivergence


class ContrastiveDivergence(PersistentContrastiveDivergence):
    """CD-k (Hinton 2002, doi:10.1162/089976602760128018).

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps away from the data for each update of the parameters.
    """

    independent_of_rows = False
    persistent = False

    def phases(self, machine: Machine, data: States, chains: Chains, rng: Stream) -> Phases:
        """Start the chains at the rows; the given ``chains`` are not used."""
        rows = Chains(*machine.conditionals(machine.odd, data))
        chains, info = self.step(machine, rows.copy(), rng)
        chains = Chains(*machine.conditionals(machine.odd, chains.states))
        fields = stack(rows.fields, chains.fields)
        return Phases(stack(rows.states, chains.states), fields, chains, info)
