"""Selection of the layers and units that become features."""

from ._collect import collect
from ._layers import layer_subsets, resolve_layers
from ._scores import SCORES, UnitStatistics
from ._units import resolve_units

__all__ = [
    "SCORES",
    "UnitStatistics",
    "collect",
    "layer_subsets",
    "resolve_layers",
    "resolve_units",
]
