"""The network of a generator, and its training on targets."""

from ._cluster import RemoteInputs
from ._feed_forward import generative_term_of, machines_of, network_on, tuned_runs
from ._full_batch import FullBatchLoop
from ._generative import GenerativeTerm
from ._loop import NetworkLoop
from ._losses import Logistic, Softmax, Squared
from ._network import Inputs, Network
from ._settings import (
    FULL_BATCH,
    SOLVERS,
    FineTuningSettings,
    check_compatible,
    n_iter_of,
    settings_of,
)
from ._target_scale import TargetScale
from ._training_rows import (
    Targets,
    TrainingRows,
    joint_weight,
    nearest_distance,
    rows_with_target,
    split_validation,
    training_rows_of,
)
from ._tuning import Tuning
