"""The likelihood of rows under a machine or a stack, and the partition function.

``log_partition`` is exact if the layers of either parity can be enumerated, else by forward and
reverse annealed importance sampling. ``log_probability`` gives the log-likelihood of rows, in a
stack from the importance weights of ``log_weights``.
"""

from ._annealing import anneal, base_rates, equilibrate, log_partition_of_base
from ._conditionals import conditional_draws, pass_down
from ._estimates import Estimate, estimate, log_mean_exp
from ._exact import enumerable, exact_log_partition
from ._partition import METHODS, LogPartition, log_partition
from ._population import population
from ._rows import LogProbability, log_probability
from ._stack import log_weight, log_weights, propose
from ._temperatures import place_temperatures
from ._tracking import TrackedPartition

__all__ = [
    "METHODS",
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
    "place_temperatures",
    "population",
    "propose",
]
