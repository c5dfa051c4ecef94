"""Scores of units that need no labels, from additive statistics of their means."""

from __future__ import annotations

from typing import Any

import numpy as np

_MEMORY_ROWS = 10_000


class UnitStatistics:
    """Weighted sums over rows of what the scores are made of, in float64.

    Parameters
    ----------
    n_units : int
    """

    def __init__(self, n_units: int):
        self.weight = 0.0
        self.sums = np.zeros((3, n_units))

    def empty(self) -> UnitStatistics:
        """Statistics of as many units over no rows."""
        return UnitStatistics(self.sums.shape[1])

    def merge(self, other: UnitStatistics) -> None:
        """Take in the rows that ``other`` has seen."""
        self.sums += other.sums
        self.weight += other.weight

    def add(self, unit: Any, par: Any, field: np.ndarray, weight: np.ndarray) -> None:
        """Take in the fields of some rows, shape (n_rows, n_units)."""
        mean = unit.mean(field, par)
        left = unit.uncertainty(field, par, mean)
        self.sums += np.stack([weight @ mean, weight @ (mean * mean), weight @ left])
        self.weight += float(weight.sum())

    def forget(self, factor: float) -> None:
        """Let what has been taken in so far count less."""
        self.weight *= factor
        self.sums *= factor

    def make_room(self, n_rows: int) -> None:
        """Let no more than about 10,000 rows count, before ``n_rows`` more come."""
        self.forget(_MEMORY_ROWS / (_MEMORY_ROWS + n_rows))

    @property
    def mean(self) -> np.ndarray:
        return self.sums[0] / self.weight

    @property
    def variance(self) -> np.ndarray:
        return np.maximum(self.sums[1] / self.weight - self.mean**2, 0.0)

    def information(self, unit: Any, par: Any) -> np.ndarray:
        """I(h; v) = H(E p) - E H(p) of each unit, in nats.

        An upper bound on what the unit can pass on (Berglund, Raiko, Cho 2015,
        doi:10.1016/j.neunet.2014.09.004). Units that are not on or off are taken to be normal,
        given the input and over all inputs.
        """
        left = self.sums[2] / self.weight
        return np.maximum(unit.information(self.mean, self.variance, left), 0.0)


SCORES = {
    "information": lambda statistics, unit, par: statistics.information(unit, par),
    "variance": lambda statistics, unit, par: statistics.variance,
}
