"""Who draws the negative phase.

A sampler is a pair of functions without memory of its own: ``init(machine, n_chains, rng)``
gives a state and ``step(machine, state, rng)`` moves it. ``phases`` is what training calls: it
moves the chains and returns the states of the even layers with the conditional means of the
odd ones: rows of the data, rows of the chains, and spare rows for the gradient. A sampler that
is ``apart`` moves its chains without a look at the data; one that is ``persistent`` has chains
that go on from one minibatch to the next.
"""

from ._chains import Chains, gibbs, positive
from ._contrastive import ContrastiveDivergence
from ._persistent import PersistentContrastiveDivergence
from ._tempering import ParallelTempering

SAMPLERS = {
    "cd": ContrastiveDivergence,
    "pcd": PersistentContrastiveDivergence,
    "tempering": ParallelTempering,
}

__all__ = [
    "SAMPLERS",
    "Chains",
    "ContrastiveDivergence",
    "ParallelTempering",
    "PersistentContrastiveDivergence",
    "gibbs",
    "positive",
]
