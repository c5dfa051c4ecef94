"""Where the temperatures of annealed importance sampling go, and how many there are.

With many temperatures and chains that keep up, step k adds about g(beta_k) (beta_{k+1} -
beta_k)^2 to the variance of the log weights, with g the variance of the energy's derivative by
beta. For a given number of steps the sum is least when all are of equal thermodynamic length
sqrt(g) dbeta (Gelman, Meng 1998, doi:10.1214/ss/1028905934), and it falls as 1 / steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._array_api import Array, to_numpy
from .._random import Stream
from ..machine import Machine
from ..samplers import independent
from ._annealing import increments

# From few chains a step's spread is known to 15 %; the average over neighbours to far better.
_SMOOTH = 0.05
# Share of the path that is laid out evenly, lest a stretch look free by chance.
_EVEN = 0.1
# A path as short as this is free, and its length is mostly rounding.
_FREE = 0.01
# How many times more temperatures than a pilot had may follow from it.
_REACH = 4


def place(
    machine: Machine,
    base: Sequence[Array],
    rng: Stream,
    *,
    summed: range | None = None,
    n_chains: int = 24,
    spread: float = 0.4,
    fewest: int = 50,
    most: int = 20_000,
) -> np.ndarray:
    """Temperatures at equal thermodynamic length, for log weights of the given spread.

    Pilot runs of growing length measure both. They take about a tenth of the time of the run
    of 100 chains that they plan.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
    rng : Stream
    summed : range or None
        As for `anneal`.
    n_chains : int
        Chains of the pilot.
    spread : float
        Standard deviation of the log weights that the number of temperatures is to give.
    fewest, most : int
        Bounds of that number.

    Returns
    -------
    array of shape (n_betas,), rising from 0 to 1
    """
    kept = machine.even if summed in (None, machine.odd) else machine.odd
    betas = np.linspace(0, 1, fewest)
    while True:
        states = independent(machine, base, kept, n_chains, rng)
        steps = increments(machine, base, betas, states, rng, summed)
        steps = np.stack([to_numpy(step) for step in steps])
        needed = (len(betas) - 1) * np.var(steps.sum(axis=0), ddof=1) / spread**2
        needed = int(np.clip(math.ceil(needed) + 1, fewest, most))
        reached = needed <= _REACH * len(betas)
        betas = _equal_lengths(betas, steps, needed if reached else _REACH * len(betas))
        if reached:
            return betas


def _equal_lengths(betas: np.ndarray, steps: np.ndarray, n_betas: int) -> np.ndarray:
    variance, n_steps = np.var(steps, axis=1, ddof=1), len(steps)
    rate = variance / np.diff(betas) ** 2
    width = max(1, round(_SMOOTH * n_steps))
    window = np.ones(2 * width + 1)
    # At the ends the window is shorter, and so is what it is divided by.
    near = np.convolve(rate, window, "same") / np.convolve(np.ones(n_steps), window, "same")
    length = np.sqrt(near) * np.diff(betas)
    total = length.sum()
    if total > _FREE:
        length = (1 - _EVEN) * length / total + _EVEN * np.diff(betas)
    else:
        length = np.diff(betas)
    ends = np.concatenate([[0.0], np.cumsum(length)])
    placed = np.interp(np.linspace(0, ends[-1], n_betas), ends, betas)
    # interp may miss the last point by rounding, and with it the model.
    placed[0], placed[-1] = 0.0, 1.0
    return placed
