"""Deep belief networks for scikit-learn: features from any layers of one frozen generator."""

from ._dbn import DBNTransformer
from ._rbm import RBMTransformer
from ._version import __version__
from .selection import layer_subsets

__all__ = ["DBNTransformer", "RBMTransformer", "__version__", "layer_subsets"]
