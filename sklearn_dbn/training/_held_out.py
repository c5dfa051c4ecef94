"""Rows that a training is recorded and stopped by."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._array_api import take, to_numpy
from .._random import Stream
from ..data import Rows
from ._early_stopping import EarlyStopping
from ._record import RecordedRows
from ._run import Run

# The record of each epoch is computed from at most so many rows, enough for two digits, and
# from so many values.
_MONITOR_ROWS, _MONITOR_VALUES = 256, 1 << 20
# Rows that a training is stopped by have at most so many values.
_HELD_OUT_VALUES = 1 << 20


def rows_to_record(run: Run, rows: Rows, held_out: np.ndarray | None = None) -> RecordedRows:
    """Some of the rows, and of those of ``held_out``, for the record of each pass."""
    if not rows.lower:
        rows.bottom = run.machine
    n_rows = min(_MONITOR_ROWS, max(1, _MONITOR_VALUES // rows.n_columns))
    trained = rows.means(rows.index[run.rng.permutation(len(rows))[:n_rows]])
    apart = held_out is not None and len(held_out)
    return RecordedRows(trained, rows.means(held_out[:n_rows]) if apart else None)


def begin_early_stopping(
    run: Run, rows: Rows, held_out: np.ndarray, n_iter_no_change: int
) -> None:
    """Let ``run`` keep its best pass, by the likelihood of the rows ``held_out``.

    To be called after `watch`, by which the rows know the machine.
    """
    # The training draws what it would draw without this.
    rng = Stream(int(copy.deepcopy(run.rng).uniform(1)[0] * 2**53))
    index = held_out[: max(1, _HELD_OUT_VALUES // rows.n_columns)]
    gaps, missing = rows.gaps(new=True), None
    if gaps is not None and not rows.lower:
        missing = rows.missing(index)
    v = rows.present(index, rng, None if gaps is None else gaps.of(index))
    weight = to_numpy(take(rows.weight, index)).astype(np.float64)
    run.stopping = EarlyStopping(
        n_iter_no_change, v, missing, weight / weight.sum(), run.log_scale(), rng
    )


# Share of the rows that are held out to stop by, where validation_fraction is 0.
_HELD_OUT = 0.1


def held_out_rows(rbm: Any, rows: Rows, run: Run) -> np.ndarray | None:
    """Set a share of the rows aside, as ``rbm`` asks for; which they are."""
    fraction = rbm.validation_fraction or (_HELD_OUT if rbm.early_stopping else 0.0)
    if not fraction:
        return None
    held_out = rows.hold_out(fraction, run.rng)
    if rbm.early_stopping and not len(held_out):
        raise ValueError(
            f"early_stopping=True needs a row to train on and a row to stop by, and X has "
            f"{len(rows)} of positive weight: give more, or set early_stopping=False."
        )
    return held_out
