"""Deep belief networks for scikit-learn: features from any layers of one frozen generator."""

from ._classifier import DBNClassifier
from ._dbm import DBMTransformer
from ._dbn import DBNTransformer
from ._persistence import TRUSTED_TYPES
from ._rbm import RBMTransformer
from ._regressor import DBNRegressor
from ._version import __version__
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
