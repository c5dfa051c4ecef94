"""The number and the places of the temperatures of annealed importance sampling.

With many temperatures and chains near equilibrium, step k adds about g(beta_k) (beta_{k+1} -
beta_k)^2 to the variance of the log weights, with g the variance of the energy's derivative by
beta. For a given number of steps the sum is least when all have equal thermodynamic length
sqrt(g) dbeta (Gelman, Meng 1998, doi:10.1214/ss/1028905934); it falls as 1 / steps.
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

# Half of the window that variances are averaged over, as a share of the steps: with few chains
# the standard deviation of one step has an error of 15 %.
_SMOOTH = 0.05
# Share of the path with even spacing, for stretches whose length is too small by chance.
_EVEN = 0.1
# A shorter path adds little variance, and its length is mostly rounding.
_SHORT = 0.01
# The most by which the number of temperatures grows from one pilot run to the next.
_GROWTH = 4


def place_temperatures(
    machine: Machine,
    base: Sequence[Array],
    rng: Stream,
    *,
    summed: range | None = None,
    n_chains: int = 24,
    deviation: float = 0.4,
    fewest: int = 50,
    most: int = 20_000,
) -> np.ndarray:
    """Temperatures at equal thermodynamic length, for log weights of the given ``deviation``.

    Pilot runs of growing length measure both. They take about a tenth of the time of an
    annealing of 100 chains at the resulting temperatures.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
    rng : Stream
    summed : range or None
        As for `anneal`.
    n_chains : int
        Chains of the pilot.
    deviation : float
        Wanted standard deviation of the log weights; it determines the number of temperatures.
    fewest, most : int
        Bounds of that number.

    Returns
    -------
    array of shape (n_betas,), increasing from 0 to 1
    """
    kept = machine.even if summed in (None, machine.odd) else machine.odd
    betas = np.linspace(0, 1, fewest)
    while True:
        states = independent(machine, base, kept, n_chains, rng)
        steps = increments(machine, base, betas, states, rng, summed)
        steps = np.stack([to_numpy(step) for step in steps])
        needed = (len(betas) - 1) * np.var(steps.sum(axis=0), ddof=1) / deviation**2
        needed = int(np.clip(math.ceil(needed) + 1, fewest, most))
        longest = _GROWTH * len(betas)
        betas = _equal_lengths(betas, steps, min(needed, longest))
        if needed <= longest:
            return betas


def _equal_lengths(betas: np.ndarray, steps: np.ndarray, n_betas: int) -> np.ndarray:
    """``n_betas`` temperatures, from the changes of the log weights at ``betas``."""
    variance, n_steps = np.var(steps, axis=1, ddof=1), len(steps)
    rate = variance / np.diff(betas) ** 2
    width = max(1, round(_SMOOTH * n_steps))
    window = np.ones(2 * width + 1)
    # At the ends the window has fewer steps.
    near = np.convolve(rate, window, "same") / np.convolve(np.ones(n_steps), window, "same")
    length = np.sqrt(near) * np.diff(betas)
    total = length.sum()
    if total > _SHORT:
        length = (1 - _EVEN) * length / total + _EVEN * np.diff(betas)
    else:
        length = np.diff(betas)
    ends = np.concatenate([[0.0], np.cumsum(length)])
    placed = np.interp(np.linspace(0, ends[-1], n_betas), ends, betas)
    # interp may miss the ends by rounding.
    placed[0], placed[-1] = 0.0, 1.0
    return placed
