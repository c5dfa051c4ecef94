"""Batch sizes and numbers of passes that parameters of "auto" stand for.

docs/decisions/defaults.md has the measurements.
"""

from __future__ import annotations

# A pass is so many updates, where that leaves a batch within these bounds.
_UPDATES_A_PASS = 40
_BATCH_SIZES = (10, 50)


def batch_size_of(asked: int | str, n_rows: int) -> int:
    """Rows for each update: as ``asked``, or by the number of rows."""
    if asked != "auto":
        return asked
    least, most = _BATCH_SIZES
    return min(max(n_rows // _UPDATES_A_PASS, least), most)


def n_passes_of(
    asked: int | str, n_rows: int, presentations: int, bounds: tuple[int, int]
) -> int:
    """Passes: as ``asked``, or so many that rows are presented ``presentations`` times.

    All rows together; never fewer passes nor more than the ``bounds``.
    """
    if asked != "auto":
        return asked
    least, most = bounds
    return min(max(round(presentations / max(n_rows, 1)), least), most)
