"""What the files of fitted estimators hold."""

from __future__ import annotations

from ._classifier import DBNClassifier
from ._dbm import DBMTransformer
from ._dbn import DBNTransformer
from ._fine_tuning import Pull, Tuning
from ._machine import Machine
from ._network import Network
from ._random import Stream
from ._rbm import RBMTransformer
from ._regressor import DBNRegressor
from ._rows import Moments
from ._target_scale import TargetScale
from ._training import Run
from .optim import Joined, Memory
from .samplers import Chains
from .selection import UnitStatistics
from .units import UNITS

# The types of this package in the file of any of its estimators, for `trusted` of
# skops.io.load: they hold numbers, and to load them runs none of what a file says.
TRUSTED_TYPES = sorted(
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (
        RBMTransformer,
        DBNTransformer,
        DBMTransformer,
        DBNClassifier,
        DBNRegressor,
        Chains,
        Joined,
        Machine,
        Memory,
        Moments,
        Network,
        Pull,
        Run,
        Stream,
        TargetScale,
        Tuning,
        UnitStatistics,
        *map(type, UNITS.values()),
    )
)
