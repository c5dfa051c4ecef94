"""Deep belief networks for scikit-learn: features from any layers of one frozen generator."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._cache_size import reduce_cache
from ._show_versions import show_versions
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
    "inspection",
    "layer_subsets",
    "reduce_cache",
    "show_versions",
]


if TYPE_CHECKING:
    from . import inspection
else:
    # A type checker that sees this function believes that every name exists.
    def __getattr__(name: str) -> Any:
        # Most programs draw nothing, and start sooner without this package.
        if name == "inspection":
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # The other packages are private: docs/extend/architecture.md describes them.
    return sorted(__all__)
