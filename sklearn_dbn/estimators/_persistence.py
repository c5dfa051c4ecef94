"""The types that the files of fitted estimators contain."""

from __future__ import annotations

from .._random import Stream, TorchDraws
from .._stored import StoredArray
from ..data import Column, Columns, Format, Moments, Table
from ..fine_tuning import GenerativeTerm, Network, TargetScale, Tuning
from ..machine import Machine, PathwayWeights
from ..optim import Joined, RuleState
from ..samplers import Chains, TemperedChains
from ..selection import UnitStatistics
from ..training import RateLimit, Run
from ..units import UNITS, Blocks, Levels
from ._classifier import DBNClassifier
from ._dbm import DBMTransformer
from ._dbn import DBNTransformer
from ._rbm import RBMTransformer
from ._regressor import DBNRegressor

# The types of this package in the files of its estimators, for `trusted` of skops.io.load.
# They hold numbers, and loading them runs no code from the file.
TRUSTED_TYPES = sorted(
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (
        RBMTransformer,
        DBNTransformer,
        DBMTransformer,
        DBNClassifier,
        DBNRegressor,
        Chains,
        Column,
        Columns,
        Format,
        Table,
        Joined,
        Machine,
        Moments,
        Network,
        PathwayWeights,
        RateLimit,
        GenerativeTerm,
        RuleState,
        Run,
        Stream,
        StoredArray,
        TargetScale,
        TemperedChains,
        TorchDraws,
        Tuning,
        UnitStatistics,
        Blocks,
        Levels,
        *map(type, UNITS.values()),
    )
)
