"""Persistent contrastive divergence: chains that outlive the minibatch."""

from __future__ import annotations

from .._array_api import namespace
from .._random import Stream
from ..machine import Machine, States
from ._chains import Chains, gibbs, stack


class PersistentContrastiveDivergence:
    """PCD-k (Tieleman 2008, doi:10.1145/1390156.1390290).

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps for each update of the parameters.
    """

    apart = True
    persistent = True

    def __init__(self, n_sweeps: int = 1):
        self.n_sweeps = n_sweeps

    def init(self, machine: Machine, n_chains: int, rng: Stream) -> Chains:
        """Start ``n_chains`` chains from units without neighbours."""
        states: States = [None] * len(machine.par)
        for layer in machine.even:
            unit, par = machine.units[layer], machine.par[layer]
            xp = namespace(par)
            field = xp.broadcast_to(par[0, :], (n_chains, par.shape[1]))
            states[layer] = unit.draw(unit.mean(field, par), par, rng)
        return Chains(states)

    def step(self, machine: Machine, chains: Chains, rng: Stream) -> tuple[Chains, dict]:
        return gibbs(machine, chains, self.n_sweeps, rng), {}

    def phases(
        self, machine: Machine, data: States, chains: Chains, rng: Stream
    ) -> tuple[States, Chains]:
        """Data and chains share one product for the means of the odd layers."""
        chains, _ = self.step(machine, chains, rng)
        states = machine.means(machine.odd, stack(data, chains.states))
        n_data = data[0].shape[0]
        last = n_data + chains.states[0].shape[0]
        moved = list(chains.states)
        for layer in machine.odd:
            moved[layer] = states[layer][n_data:last, :]
        return states, Chains(moved)
