"""Batch sizes and numbers of passes for parameters that are "auto".

docs/decisions/defaults.md has the measurements.
"""

from __future__ import annotations

# A pass has 40 updates if the batch size is then within these bounds.
_UPDATES_A_PASS = 40
_BATCH_SIZES = (10, 50)


def batch_size_of(value: int | str, n_rows: int) -> int:
    """Rows of a minibatch: ``value``, or from the number of rows if that is "auto"."""
    if value != "auto":
        return value
    least, most = _BATCH_SIZES
    return min(max(n_rows // _UPDATES_A_PASS, least), most)


def n_passes_of(
    value: int | str, n_rows: int, presentations: int, bounds: tuple[int, int]
) -> int:
    """Number of passes: ``value``, or for "auto" about ``presentations`` over ``n_rows``.

    The latter is within the ``bounds``, least and most.
    """
    if value != "auto":
        return value
    least, most = bounds
    return min(max(round(presentations / max(n_rows, 1)), least), most)
