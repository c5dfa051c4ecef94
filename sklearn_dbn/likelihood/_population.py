"""Independent draws from a machine: a population of chains that is annealed and resampled.

Population annealing (Hukushima, Iba 2003, doi:10.1063/1.1632130; Machta 2010,
doi:10.1103/PhysRevE.82.026704): chains start from units without neighbours, and follow the
temperatures to the model, with the weights of annealed importance sampling. Where the weights
have become unequal, chains are copied or dropped in proportion to them. So each mode of the
model gets its share of the chains, which chains that were started in modes of their own, and
never leave them, do not tell.

The base has the means of the data in the hidden layers too: the share of a mode then hardly
changes on the way, and few chains have to be copied. See docs/decisions/samples.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._array_api import Array, take, to_numpy
from .._random import Stream
from ..machine import Machine, States
from ..samplers import independent
from ._annealing import Path

# Resampled once the weights are worth less than this share of the chains.
EQUAL_ENOUGH = 0.5
# Fewer chains could not tell how the weights spread.
_FEWEST = 10


def population(
    machine: Machine, base: Sequence[Array], n_rows: int, n_steps: int, rng: Stream
) -> States:
    """States of all layers of ``n_rows`` chains, distributed as the model has them.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l)
        Parameters of the units at beta = 0, as `base_rates` makes them.
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
        weight = np.exp(log_weight - log_weight.max())
        size = weight.sum() ** 2 / (weight * weight).sum()
        if size < EQUAL_ENOUGH * n_chains or step == n_steps:
            chosen = resample(weight, rng)
            states = [take(x, chosen) for x in states]
            log_weight[:] = 0.0
    # Copies are neighbours, and the first rows would hold too many of them.
    order = rng.permutation(n_chains)[:n_rows]
    return [take(x, order) for x in states]


def resample(weight: np.ndarray, rng: Stream) -> np.ndarray:
    """As many indices as weights, each as often as its weight says but for rounding."""
    n = len(weight)
    ends = np.cumsum(weight)
    places = (rng.uniform(1) + np.arange(n)) * (ends[-1] / n)
    return np.minimum(np.searchsorted(ends, places, side="right"), n - 1)
