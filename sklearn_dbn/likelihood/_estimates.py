"""Means of weights that are known by their logarithms, and how far to trust them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number known from independent weights.

    Attributes
    ----------
    value : float
    standard_error : float
        From the spread of the weights (the delta method). Weights of very unequal size, of
        which the sample may have missed the largest, make it too small.
    effective_size : float
        How many equal weights would be as good: (sum w)^2 / sum w^2, at most ``n_chains``.
    n_chains : int
    """

    value: float
    standard_error: float
    effective_size: float
    n_chains: int


def log_mean_exp(log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the mean of weights along the last axis, its standard error and effective size.

    Parameters
    ----------
    log_weights : array of shape (..., n), float64

    Returns
    -------
    value, standard_error, effective_size : arrays of shape (...)
    """
    n = log_weights.shape[-1]
    top = np.max(log_weights, axis=-1, keepdims=True)
    w = np.exp(log_weights - top)
    mean = np.mean(w, axis=-1)
    value = np.log(mean) + top[..., 0]
    if n == 1:
        return value, np.full_like(value, math.inf), np.ones_like(value)
    # The derivative of log(mean) is 1 / mean.
    error = np.std(w, axis=-1, ddof=1) / (mean * math.sqrt(n))
    return value, error, np.sum(w, axis=-1) ** 2 / np.sum(w * w, axis=-1)


def estimate(log_start: float, log_weights: np.ndarray, sign: int) -> Estimate:
    """log Z from that of the base: ``sign`` is 1 on the way up and -1 on the way down."""
    value, error, size = log_mean_exp(log_weights)
    return Estimate(
        log_start + sign * float(value), float(error), float(size), len(log_weights)
    )
