"""Means of importance weights that are given as logarithms, and their standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """An estimate from independent importance weights.

    Attributes
    ----------
    value : float
    standard_error : float
        From the variance of the weights, by the delta method. Too small if the weights are very
        unequal, since the largest may not be among those drawn.
    effective_size : float
        Effective sample size: (sum w)^2 / sum w^2, at most ``n_chains``.
    n_chains : int
    """

    value: float
    standard_error: float
    effective_size: float
    n_chains: int


def log_mean_exp(log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the mean weight along the last axis, its standard error and effective size.

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
    """log Z from that of the base: ``sign`` is 1 if forward and -1 if reverse."""
    value, error, size = log_mean_exp(log_weights)
    return Estimate(
        log_start + sign * float(value), float(error), float(size), len(log_weights)
    )
