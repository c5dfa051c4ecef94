"""Deep belief networks for scikit-learn: features from any layers of one frozen generator."""

from ._version import __version__
from .estimators import (
    TRUSTED_TYPES,
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from .selection import layer_subsets

__all__ = [
    "TRUSTED_TYPES",
    "DBMTransformer",
    "DBNClassifier",
    "DBNRegressor",
    "DBNTransformer",
    "RBMTransformer",
    "__version__",
    "layer_subsets",
]
