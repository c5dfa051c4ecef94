"""The feed-forward view of a generator, trained on targets."""

from ._divergence import tuning_diverged
from ._examples import (
    Examples,
    Targets,
    examples_of,
    joint_weight,
    nearest_distance,
    parted,
    rows_with_target,
)
from ._feed_forward import machines_of, network_on, pull_of, tuned_runs
from ._full_batch import descend
from ._generative import Pull
from ._loop import passes
from ._losses import Logistic, Softmax, Squared
from ._network import Inputs, Network, all_fields, all_outputs
from ._settings import FULL_BATCH, SOLVERS, Settings
from ._target_scale import TargetScale
from ._tuning import Tuning

__all__ = [
    "FULL_BATCH",
    "SOLVERS",
    "Examples",
    "Inputs",
    "Logistic",
    "Network",
    "Pull",
    "Settings",
    "Softmax",
    "Squared",
    "TargetScale",
    "Targets",
    "Tuning",
    "all_fields",
    "all_outputs",
    "descend",
    "examples_of",
    "joint_weight",
    "machines_of",
    "nearest_distance",
    "network_on",
    "parted",
    "passes",
    "pull_of",
    "rows_with_target",
    "tuned_runs",
    "tuning_diverged",
]
