"""Changes of parameters: update rules, learning-rate schedules, penalties, averaging."""

from ._averaging import moving_average
from ._descent import Adam, Descent, Joined, Momentum, RuleState
from ._penalties import DECAY_EVERY, LazyDecay, Sparsity
from ._schedules import SCHEDULES
from ._updates import Ascent, MomentumAscent

__all__ = [
    "DECAY_EVERY",
    "SCHEDULES",
    "Adam",
    "Ascent",
    "Descent",
    "Joined",
    "LazyDecay",
    "Momentum",
    "MomentumAscent",
    "RuleState",
    "Sparsity",
    "moving_average",
]
