"""How probable data are under a machine, or a stack of them.

``log_partition`` is what most callers want: exact where the layers of either parity can be
enumerated, else annealed importance sampling, from above and from below. ``log_weights``
gives the weights of a stack, and ``log_probability`` what follows from them.
"""

from ._annealing import anneal, base_rates, equilibrate, log_partition_of_base
from ._conditionals import conditional_draws, pass_down
from ._estimates import Estimate, estimate, log_mean_exp
from ._exact import enumerable, exact_log_partition
from ._partition import METHODS, LogPartition, log_partition
from ._population import population
from ._rows import LogProbability, log_probability
from ._stack import CommonStream, log_weight, log_weights, propose
from ._temperatures import place
from ._tracking import TrackedPartition

__all__ = [
    "METHODS",
    "CommonStream",
    "Estimate",
    "LogPartition",
    "LogProbability",
    "TrackedPartition",
    "anneal",
    "base_rates",
    "conditional_draws",
    "enumerable",
    "equilibrate",
    "estimate",
    "exact_log_partition",
    "log_mean_exp",
    "log_partition",
    "log_partition_of_base",
    "log_probability",
    "log_weight",
    "log_weights",
    "pass_down",
    "place",
    "population",
    "propose",
]
