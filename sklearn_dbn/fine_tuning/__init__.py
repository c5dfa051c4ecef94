"""The feed-forward view of a generator, trained on targets."""

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
from ._full_batch import FullBatchLoop
from ._generative import Pull
from ._loop import NetworkLoop
from ._losses import Logistic, Softmax, Squared
from ._network import Inputs, Network, all_fields, all_outputs
from ._settings import (
    FULL_BATCH,
    SOLVERS,
    FineTuningSettings,
    check_options,
    n_passes,
    settings_of,
)
from ._target_scale import TargetScale
from ._tuning import Tuning

__all__ = [
    "FULL_BATCH",
    "SOLVERS",
    "Examples",
    "FineTuningSettings",
    "FullBatchLoop",
    "Inputs",
    "Logistic",
    "Network",
    "NetworkLoop",
    "Pull",
    "Softmax",
    "Squared",
    "TargetScale",
    "Targets",
    "Tuning",
    "all_fields",
    "all_outputs",
    "check_options",
    "examples_of",
    "joint_weight",
    "machines_of",
    "n_passes",
    "nearest_distance",
    "network_on",
    "parted",
    "pull_of",
    "rows_with_target",
    "settings_of",
    "tuned_runs",
]
