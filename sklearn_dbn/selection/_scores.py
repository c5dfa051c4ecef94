"""Scores of units without labels, from additive statistics of their means."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array_api import Array, sum_of, to_numpy

# Rows before a `partial_fit` count as so many at most.
_WINDOW = 10_000


class UnitStatistics:
    """Weighted sums over rows, in float64, from which the scores are computed.

    Parameters
    ----------
    n_units : int
    """

    def __init__(self, n_units: int):
        self.weight = 0.0
        self.sums = np.zeros((3, n_units))

    def empty(self) -> UnitStatistics:
        """Statistics of the same units over no rows."""
        return UnitStatistics(self.sums.shape[1])

    def merge(self, other: UnitStatistics) -> None:
        """Add the rows of ``other``."""
        self.sums += other.sums
        self.weight += other.weight

    def add(self, unit: Any, par: Any, field: Array, weight: Array) -> None:
        """Add rows, given the fields of the units, (n_rows, n_units)."""
        mean = unit.mean(field, par)
        uncertainty = unit.uncertainty(field, par, mean)
        sums = [weight @ mean, weight @ (mean * mean), weight @ uncertainty]
        self.sums += np.stack([to_numpy(x) for x in sums])
        self.weight += sum_of(weight)

    def scale(self, factor: float) -> None:
        """Multiply the weight of all rows so far."""
        self.weight *= factor
        self.sums *= factor

    def discount(self, n_rows: int) -> None:
        """Reduce the weight of earlier rows before ``n_rows`` are added, to 10,000 at most."""
        self.scale(_WINDOW / (_WINDOW + n_rows))

    @property
    def mean(self) -> np.ndarray:
        return self.sums[0] / self.weight

    @property
    def variance(self) -> np.ndarray:
        return np.maximum(self.sums[1] / self.weight - self.mean**2, 0.0)

    def information(self, unit: Any, par: Any) -> np.ndarray:
        """I(h; v) = H(E p) - E H(p) of each unit, in nats.

        An upper bound on the information that the unit transmits (Berglund, Raiko, Cho 2015,
        doi:10.1016/j.neunet.2014.09.004). Real-valued units are assumed to be normal, given the
        row and over all rows.
        """
        uncertainty = self.sums[2] / self.weight
        return np.maximum(unit.information(self.mean, self.variance, uncertainty), 0.0)


SCORES = {
    "information": lambda statistics, unit, par: statistics.information(unit, par),
    "variance": lambda statistics, unit, par: statistics.variance,
}
