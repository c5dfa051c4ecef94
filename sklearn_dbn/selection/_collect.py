"""Statistics of hidden units over all rows, for their scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..data import Columns, Rows
from ..machine import Machine, mean_field
from ._scores import UnitStatistics


def collect(
    statistics: Sequence[UnitStatistics],
    machine: Machine,
    rows: Rows,
    columns: Columns,
    **inference: Any,
) -> None:
    """Add the posterior of all rows to the statistics of each hidden layer of a machine.

    Parameters
    ----------
    statistics : sequence of UnitStatistics, the first hidden layer first
    machine : Machine
    rows : Rows
        Rows of its visible layer; the gaps are filled by its mean field.
    columns : Columns
        From the rows to visible states.
    **inference
        Arguments of `mean_field`.
    """
    rows.accumulate(list(statistics), partial(_add, machine, columns, inference))


def _add(
    machine: Machine,
    columns: Columns,
    inference: dict[str, Any],
    statistics: Sequence[UnitStatistics],
    block: Any,
    weight: np.ndarray,
) -> None:
    v = columns.complete(machine, block)
    fields = mean_field(machine, v, **inference).fields
    hidden = zip(statistics, machine.units[1:], machine.par[1:], fields[1:], strict=True)
    for of_layer, unit, par, field in hidden:
        of_layer.add(unit, par, field, weight)
