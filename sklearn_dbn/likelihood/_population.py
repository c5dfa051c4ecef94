"""Draws from a machine: a population of chains that is annealed and resampled.

Population annealing (Hukushima, Iba 2003, doi:10.1063/1.1632130; Machta 2010,
doi:10.1103/PhysRevE.82.026704): chains start from the base and are annealed
to the machine, with the importance weights of annealed importance sampling. When the weights
have become unequal, chains are copied or dropped in proportion to them. So each mode of the
distribution gets its share of the chains; chains that never leave the mode that they were
started in do not have these shares.

The base has the means of the data in the hidden layers too: the share of a mode then hardly
changes with the temperature, and few chains are copied. See docs/decisions/samples.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._array_api import Array, take, to_numpy
from .._random import Stream
from ..machine import Machine, States
from ..samplers import independent
from ._annealing import Path

# Chains are resampled when the effective sample size is below this share of their number.
RESAMPLED_BELOW = 0.5
# With fewer chains the effective sample size is too inaccurate.
_FEWEST = 10


def population(
    machine: Machine, base: Sequence[Array], n_rows: int, n_steps: int, rng: Stream
) -> States:
    """Draw states of all layers of ``machine``, by population annealing.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
        Parameters of the base, as `base_rates` returns them.
    n_rows : int
    n_steps : int
        Temperatures, evenly spaced, with a sweep at each; 0 draws from the base.
    rng : Stream

    Returns
    -------
    list of arrays of shape (n_rows, n_l)
    """
    n_chains = max(n_rows, _FEWEST)
    path, betas = Path(machine, base), np.linspace(0, 1, n_steps + 1)
    states = independent(machine, base, range(len(machine.par)), n_chains, rng)
    log_weight = np.zeros(n_chains)
    for step in range(1, n_steps + 1):
        before, beta = float(betas[step - 1]), float(betas[step])
        change, states = path.step(before, beta, states, machine.odd, rng)
        log_weight += to_numpy(change)
        if effective_size(log_weight) < RESAMPLED_BELOW * n_chains or step == n_steps:
            chosen = resample(np.exp(log_weight - log_weight.max()), rng)
            states = [take(x, chosen) for x in states]
            log_weight[:] = 0.0
    # Copies of a chain are in successive rows, so that the first rows would hold too many.
    order = rng.permutation(n_chains)[:n_rows]
    return [take(x, order) for x in states]


def effective_size(log_weight: np.ndarray) -> float:
    """The number of chains of equal weight that would give means of the same variance."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight @ weight))


def resample(weight: np.ndarray, rng: Stream) -> np.ndarray:
    """Indices, (n_chains,), each as often as its share of ``weight`` up to rounding."""
    n = len(weight)
    ends = np.cumsum(weight)
    places = (rng.uniform(1) + np.arange(n)) * (ends[-1] / n)
    return np.minimum(np.searchsorted(ends, places, side="right"), n - 1)
