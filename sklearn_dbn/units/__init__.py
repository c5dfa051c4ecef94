"""Unit types: the distributions of the units of a layer.

`_base.py` has the contract of a unit type; `Blocks` is a type made of several. To add a type,
add a file, name the type below, and add a row to the table in ``tests/helpers/unit_types.py``;
docs/extend/unit-type.md has an example.
"""

from ._base import UnitMoments, UnitType, Variable, total
from ._bernoulli import Bernoulli
from ._blocks import Blocks
from ._gaussian import Gaussian

UNITS = {unit.name: unit for unit in (Bernoulli(), Gaussian())}

__all__ = [
    "UNITS",
    "Bernoulli",
    "Blocks",
    "Gaussian",
    "UnitMoments",
    "UnitType",
    "Variable",
    "total",
]
