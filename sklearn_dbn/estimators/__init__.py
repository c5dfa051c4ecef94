"""The scikit-learn interface: one public class in each file."""

from ._classifier import DBNClassifier
from ._dbm import DBMTransformer
from ._dbn import DBNTransformer
from ._persistence import TRUSTED_TYPES
from ._rbm import RBMTransformer
from ._regressor import DBNRegressor
