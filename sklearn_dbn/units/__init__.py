"""What a layer is made of.

`_base.py` has the contract of a unit type, and `Blocks` makes one type of several. To add one,
add a file, name it below, and add a row to the table in ``tests/helpers/unit_types.py``;
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
