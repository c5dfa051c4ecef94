"""Statistics of the units of a trained layer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .._array_api import Array
from ..data import Rows, complete
from ..machine import Machine
from ..selection import UnitStatistics
from ._run import Run


def take_in(statistics: UnitStatistics, run: Run, rows: Rows) -> None:
    """Add the hidden units of the machine of ``run`` on all rows to ``statistics``."""
    if rows.lower:
        add = partial(_add_means, run.result(), None, None)
    else:
        # Gaps are filled in standardised columns, which rows in blocks are not.
        rows.bottom = None
        add = partial(_add_means, run.average, run.shift, run.scale)
    rows.accumulate([statistics], add)


def _add_means(
    machine: Machine,
    shift: Array | None,
    scale: Array | None,
    totals: list[UnitStatistics],
    block: Any,
    weight: np.ndarray,
) -> None:
    v = complete(machine, shift, scale, block)
    totals[0].add(machine.units[1], machine.par[1], machine.field(1, [v, None]), weight)
