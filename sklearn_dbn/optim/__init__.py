"""How parameters move: update rules, learning-rate schedules, penalties, averaging."""

from ._averaging import blend
from ._descent import Adam, Descent, Joined, Memory, Momentum
from ._penalties import Sparsity
from ._schedules import SCHEDULES
from ._updates import Ascent, MomentumAscent

__all__ = [
    "SCHEDULES",
    "Adam",
    "Ascent",
    "Descent",
    "Joined",
    "Memory",
    "Momentum",
    "MomentumAscent",
    "Sparsity",
    "blend",
]
