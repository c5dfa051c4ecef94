"""Batch sizes and numbers of passes for parameters that are "auto".

docs/decisions/defaults.md has the measurements, and docs/decisions/batches.md those on a
cluster.
"""

from __future__ import annotations

# Updates of a pass, if the batch size is then within the bounds.
_UPDATES_A_PASS, _BATCH_SIZES = 40, (10, 50)
# The same where each update waits for the workers of a cluster.
_UPDATES_ON_CLUSTER, _SIZES_ON_CLUSTER = 100, (50, 400)


def batch_size_of(value: int | str, n_rows: int, on_cluster: bool = False) -> int:
    """Rows of a minibatch: ``value``, or from the number of rows if that is "auto"."""
    if value != "auto":
        return value
    if on_cluster:
        n_updates, (least, most) = _UPDATES_ON_CLUSTER, _SIZES_ON_CLUSTER
    else:
        n_updates, (least, most) = _UPDATES_A_PASS, _BATCH_SIZES
    return min(max(n_rows // n_updates, least), most)


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
