"""Unit types: the distributions of the units of a layer.

`_base.py` has the contract of a unit type; `Blocks` is a type made of several. To add a type,
add a file, name the type below, and add a row to the table in ``tests/helpers/unit_types.py``;
docs/extend/unit-type.md has an example.
"""

from ._base import UnitMoments, UnitType, Variable, total
from ._bernoulli import Bernoulli
from ._blocks import Blocks, part_of
from ._categorical import Categorical, Levels
from ._finite import Binomial, Count, Finite, Ordinal
from ._gaussian import Gaussian
from ._spin import Spin

UNITS = {
    unit.name: unit
    for unit in (
        Bernoulli(),
        Gaussian(),
        Spin(),
        Categorical(),
        Ordinal(),
        Count(),
        Binomial(),
    )
}
# The types that hidden units may have: others need the levels of columns of data.
HIDDEN = {name: unit for name, unit in UNITS.items() if unit.takes == "numbers"}

__all__ = [
    "HIDDEN",
    "UNITS",
    "Bernoulli",
    "Binomial",
    "Blocks",
    "Categorical",
    "Count",
    "Finite",
    "Gaussian",
    "Levels",
    "Ordinal",
    "Spin",
    "UnitMoments",
    "UnitType",
    "Variable",
    "part_of",
    "total",
]
