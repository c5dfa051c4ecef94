"""Who draws the negative phase.

A sampler is a pair of functions without memory of its own: ``init(machine, n_chains, rng)``
gives a state, and ``step(machine, state, rng)`` moves it and returns it with a dict of numbers,
whose means over the steps of a pass are in `history_`. ``phases`` is what training calls: it
moves the chains by a step and returns the `Phases` of the gradient. A sampler that is ``apart``
moves its chains without a look at the data; one that is ``persistent`` has chains that go on
from one minibatch to the next.
"""

from ._chains import Chains, Phases, gibbs, independent, positive
from ._contrastive import ContrastiveDivergence
from ._persistent import PersistentContrastiveDivergence
from ._tempering import ParallelTempering, TemperedChains

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
    "Phases",
    "TemperedChains",
    "gibbs",
    "independent",
    "positive",
]
