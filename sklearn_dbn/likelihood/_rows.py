"""Log-likelihood of rows, complete or with gaps, under a stack of machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .._array_api import Array, namespace, take, to_numpy
from ..machine import Machine
from ._estimates import log_mean_exp
from ._observed import log_weights_of_observed
from ._stack import log_weights

# Approximate memory for the states of a layer, or for the draws of some rows with gaps.
_BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class LogProbability:
    """log p of the observed entries of each row, in nats.

    Attributes
    ----------
    value : array of shape (n_rows,)
        Estimate from the mean of the importance weights, on average slightly too low. Exact for
        complete rows and one machine with one hidden layer.
    bound : array of shape (n_rows,)
        Mean of the log weights, which is lower.
    standard_error : array of shape (n_rows,)
        Of ``value``, from the draws alone: that of log Z, the same for all rows, is not in it.
        The rows share their draws, so that these errors do not average out over rows.
    """

    value: np.ndarray
    bound: np.ndarray
    standard_error: np.ndarray


def log_probability(
    machines: Sequence[Machine], v: Array, log_z: float, n_samples: int = 100, seed: int = 0
) -> LogProbability:
    """log p of the observed entries of each row under a stack of machines.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
    v : array of shape (n_rows, n_0)
        NaN for missing entries.
    log_z : float
        Log of the partition function of the last machine.
    n_samples : int
    seed : int
    """
    xp, n_rows = namespace(v), v.shape[0]
    found = LogProbability(*(np.empty(n_rows) for _ in range(3)))
    gaps = to_numpy(xp.any(xp.isnan(v), axis=1))
    exact = len(machines) == 1 and len(machines[0].W) == 1
    width = 8 * max(par.shape[1] for machine in machines for par in machine.par)
    for rows in _blocks(np.flatnonzero(~gaps), width):
        if exact:
            weights = -to_numpy(machines[0].free_energy([take(v, rows), None]))[:, None]
        else:
            weights = log_weights(machines, take(v, rows), n_samples, seed)
        _put(found, rows, weights - log_z)
    if exact:
        found.standard_error[~gaps] = 0.0
    for rows in _blocks(np.flatnonzero(gaps), n_samples * (width + 8 * n_samples)):
        weights = log_weights_of_observed(machines, take(v, rows), n_samples, seed)
        _put(found, rows, weights - log_z)
    return found


def _put(found: LogProbability, rows: np.ndarray, weights: np.ndarray) -> None:
    value, error, _ = log_mean_exp(weights)
    found.value[rows], found.standard_error[rows] = value, error
    found.bound[rows] = np.mean(weights, axis=-1)


def _blocks(rows: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    size = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
