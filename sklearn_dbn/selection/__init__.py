"""Which layers, and which of their units, become features."""

from ._layers import layer_subsets, resolve_layers
from ._scores import SCORES, UnitStatistics, add_fields
from ._units import resolve_units

__all__ = [
    "SCORES",
    "UnitStatistics",
    "add_fields",
    "layer_subsets",
    "resolve_layers",
    "resolve_units",
]
