"""Rows for the record of each pass, and held-out rows for early stopping."""

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

# The record of a pass is computed from at most so many rows, enough for two digits, and values.
_RECORDED_ROWS, _RECORDED_VALUES = 256, 1 << 20
# Early stopping uses rows of at most so many values together.
_HELD_OUT_VALUES = 1 << 20
# Share of the rows that are held out for early stopping if validation_fraction is 0.
_HELD_OUT_FRACTION = 0.1


def rows_to_record(run: Run, rows: Rows, held_out: np.ndarray | None = None) -> RecordedRows:
    """Some of the rows, and of the rows ``held_out``, for the record of each pass."""
    if not rows.lower:
        rows.bottom = run.machine
    n_rows = min(_RECORDED_ROWS, max(1, _RECORDED_VALUES // rows.n_columns))
    trained = rows.means(rows.index[run.rng.permutation(len(rows))[:n_rows]])
    has_held_out = held_out is not None and len(held_out)
    return RecordedRows(trained, rows.means(held_out[:n_rows]) if has_held_out else None)


def begin_early_stopping(
    run: Run, rows: Rows, held_out: np.ndarray, n_iter_no_change: int
) -> None:
    """Set the early stopping of ``run``, by the likelihood of the rows ``held_out``.

    Call it after `rows_to_record`, which sets the machine of the rows.
    """
    # The training makes the same draws as without early stopping.
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


def held_out_rows(rbm: Any, rows: Rows, run: Run) -> np.ndarray | None:
    """Hold out the share of the rows that ``rbm`` gives, if any; return their indices."""
    fraction = rbm.validation_fraction or (_HELD_OUT_FRACTION if rbm.early_stopping else 0.0)
    if not fraction:
        return None
    held_out = rows.hold_out(fraction, run.rng)
    if rbm.early_stopping and not len(held_out):
        raise ValueError(
            f"early_stopping=True needs a row to train on and a held-out row, and X has "
            f"{len(rows)} of positive weight: give more, or set early_stopping=False."
        )
    return held_out
