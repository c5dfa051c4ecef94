"""Contrastive divergence: chains that start anew from each minibatch."""

from __future__ import annotations

from .._array_api import namespace
from .._random import Stream
from ..machine import Machine, States
from ._chains import Chains, gibbs, stack
from ._persistent import PersistentContrastiveDivergence


class ContrastiveDivergence(PersistentContrastiveDivergence):
    """CD-k (Hinton 2002, doi:10.1162/089976602760128018).

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps away from the data for each update of the parameters.
    """

    apart = False
    persistent = False

    def phases(
        self, machine: Machine, data: States, chains: Chains, rng: Stream
    ) -> tuple[States, Chains]:
        """The chains leave from the data and from nowhere else."""
        positive = machine.means(machine.odd, data)
        start = [namespace(x).asarray(x, copy=True) for x in positive]
        negative = gibbs(machine, Chains(start), self.n_sweeps, rng)
        means = machine.means(machine.odd, negative.states)
        return stack(positive, means), Chains(means)
