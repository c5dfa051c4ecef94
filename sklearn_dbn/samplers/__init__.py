"""Samplers draw the states of the negative phase.

A sampler keeps nothing between updates: ``init(machine, n_chains, rng)`` returns chains, and
``step(machine, chains, rng)`` returns them moved, with a dict of numbers. Training calls
``phases(machine, data, chains, rng)``, which makes a step and returns the `Phases` of the
gradient. The means over a pass of the numbers in ``Phases.info`` are in `history_`.

Attributes: ``n_sweeps`` (training raises it to the sweeps that draw missing entries);
``persistent``: chains continue from one minibatch to the next; ``independent_of_rows``: the
move does not depend on the minibatch. Without that the rows of a dask array are refused.
"""

from ._chains import Chains, Phases, gibbs, independent, positive_phase
from ._contrastive import ContrastiveDivergence
from ._persistent import PersistentContrastiveDivergence
from ._tempering import ParallelTempering, TemperedChains

SAMPLERS = {
    "pcd": PersistentContrastiveDivergence,
    "cd": ContrastiveDivergence,
    "tempering": ParallelTempering,
}

__all__ = [
    "SAMPLERS",
    "Chains",
    "ContrastiveDivergence",
    "ParallelTempering",
    "PersistentContrastiveDivergence",
    "Phases",
    "TemperedChains",
    "gibbs",
    "independent",
    "positive_phase",
]
