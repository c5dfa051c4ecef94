"""Statistics of hidden units over all rows, for their scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .._array_api import Array
from ..data import Rows, complete
from ..machine import Machine, mean_field
from ._scores import UnitStatistics


def collect(
    statistics: Sequence[UnitStatistics],
    machine: Machine,
    rows: Rows,
    columns: tuple[Array, Array] | None = None,
    **inference: Any,
) -> None:
    """Add the posterior of all rows to the statistics of each hidden layer of a machine.

    Parameters
    ----------
    statistics : sequence of UnitStatistics, the first hidden layer first
    machine : Machine
    rows : Rows
        Rows of its visible layer; the gaps are filled by its mean field.
    columns : tuple of two arrays of shape (n_columns,) or None
        Shift and scale of the columns, if the visible states are standardised columns.
    **inference
        Arguments of `mean_field`.
    """
    # `_add` fills the gaps, in standardised columns: the rows of `accumulate` are not.
    bottom, rows.bottom = rows.bottom, rows.lower[0] if rows.lower else None
    rows.accumulate(list(statistics), partial(_add, machine, columns, inference))
    rows.bottom = bottom


def _add(
    machine: Machine,
    columns: tuple[Array, Array] | None,
    inference: dict[str, Any],
    statistics: Sequence[UnitStatistics],
    block: Any,
    weight: np.ndarray,
) -> None:
    v = complete(machine, *(columns or (None, None)), block)
    fields = mean_field(machine, v, **inference).fields
    hidden = zip(statistics, machine.units[1:], machine.par[1:], fields[1:], strict=True)
    for of_layer, unit, par, field in hidden:
        of_layer.add(unit, par, field, weight)
