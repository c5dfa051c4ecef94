"""Mean and standard deviation of the targets of a regression, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Targets with a smaller standard deviation, as a share of the mean, are constant.
_FLAT = 1e-12


@dataclass(frozen=True)
class TargetScale:
    """Weighted mean and standard deviation of each target, over the rows of all chunks.

    Chunks are merged as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115,
    with standard deviations in units of the largest, so that no square overflows.

    Parameters
    ----------
    count : float
        Sum of the weights.
    mean, std : arrays of shape (n_targets,)
    """

    count: float
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray) -> TargetScale:
        """The scale of ``values``, (n_rows, n_targets), of rows of positive ``weight``."""
        unit = np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
        values, share = values / unit, weight / weight.sum()
        mean = share @ values
        std = np.sqrt(share @ np.square(values - mean))
        return cls(float(weight.sum()), mean * unit, std * unit)

    @property
    def flat(self) -> np.ndarray:
        """Which targets are constant."""
        return self.std <= _FLAT * np.abs(self.mean)

    @property
    def scale(self) -> np.ndarray:
        """Standard deviations, and 1 for constant targets."""
        return np.where(self.flat, 1.0, self.std)

    def standard(self, values: np.ndarray) -> np.ndarray:
        """The values, standardised."""
        return (values - self.mean) / self.scale

    def merged(self, other: TargetScale) -> TargetScale:
        """The scale of the rows of both."""
        total = self.count + other.count
        old, new = self.count / total, other.count / total
        delta = other.mean - self.mean
        unit = np.maximum(np.maximum(self.std, other.std), np.abs(delta))
        unit = np.maximum(unit, np.finfo(float).tiny)
        parts = old * (self.std / unit) ** 2 + new * (other.std / unit) ** 2
        std = unit * np.sqrt(parts + old * new * (delta / unit) ** 2)
        return TargetScale(total, self.mean + new * delta, std)

    def change(self, new: TargetScale) -> tuple[np.ndarray, np.ndarray]:
        """Ratio and shift that convert values in this scale to a ``new`` scale."""
        return self.scale / new.scale, (self.mean - new.mean) / new.scale
