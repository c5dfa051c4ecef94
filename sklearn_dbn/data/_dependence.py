"""Columns that determine each other."""

from __future__ import annotations

import numpy as np

# Two columns determine each other if they correlate beyond this.
_DEPENDENT = 0.9995
# They need so many common rows, and different values. Columns with few values, as of an image,
# are equal in many rows by chance.
_LEAST = 10
# Columns, and rows, that are compared at most.
MOST_COMPARED, ROWS_COMPARED = 500, 1000


def dependent_pairs(v: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of columns of ``v``, (n_rows, n_columns), of which one determines the other.

    Over the rows in which both are observed; NaN is missing.
    """
    observed = (~np.isnan(v)).astype(np.float64)
    count = np.maximum(observed.sum(axis=0), 1)
    v = np.where(observed > 0, v - np.nansum(v, axis=0) / count, 0.0)
    squares = (v * v).T @ observed
    least = _DEPENDENT * np.sqrt(squares * squares.T)
    found = (observed.T @ observed >= _LEAST) & (least > 0) & (np.abs(v.T @ v) > least)
    varied = np.array([len(np.unique(x)) >= _LEAST for x in v.T], dtype=bool)
    found &= varied[:, None] & varied
    return [(int(i), int(j)) for i, j in np.argwhere(np.triu(found, 1))]
