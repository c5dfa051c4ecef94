"""The common factor of the visible columns, and initial parameters that model it.

Columns with one common factor z of variance 1 have the means m + z l, with l the loadings. From
random weights all hidden units learn that factor and switch on at the same value of it, since
their fields depend on z long before they depend on the rest. So a few units model the factor
from the start, each with a value of z at which it switches on, and the weights of all others
are orthogonal to it. docs/decisions/common-factor.md has the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from .._array_api import Array, device, namespace
from .._random import Stream
from ..data import Rows
from ..machine import Machine, States, largest_singular
from ..units import UnitMoments

# The factor is computed from at most so many rows and values. From fewer rows than the least it
# cannot be distinguished from noise.
_MOST_ROWS, _MOST_VALUES, _LEAST_ROWS = 256, 1 << 20, 10
# A factor is common if it explains more than this share of the variance of all columns.
_LEAST_SHARE = 0.5
# Largest share of the hidden units that model the factor.
_MOST_UNITS = 0.25
# Standard deviations of the factor between the state with all these units off and all on.
_RANGE = 3.0
# Least share of the variance of a column that is noise at the start, and that a factor leaves.
_LEAST_NOISE = 0.05


class CommonFactor(NamedTuple):
    """The common factor of the columns.

    Attributes
    ----------
    loadings : array of shape (n_columns,)
        Change of the columns, as they are presented, for one standard deviation of the factor.
    rest : float
        Share of the variance of presented columns, summed over them, without the factor.
    n_units : int
        Hidden units to model it: if there are enough, so many that the error of rounding the
        factor has no more variance than the second largest direction of the rows.
    """

    loadings: Array
    rest: float
    n_units: int


class Direction(NamedTuple):
    """The direction of the largest variance of rows.

    Attributes
    ----------
    rest : array of shape (n_rows, n_columns)
        Rows less their mean, divided by the root of their number, without this direction.
    loadings : array of shape (n_columns,)
        Change of the columns for one standard deviation in this direction.
    share : float
        Of this direction in the variance, summed over the columns.
    """

    rest: Array
    loadings: Array
    share: float


def leading_direction(
    rows: Rows, columns: slice = slice(None), deviation: Array | None = None
) -> Direction | None:
    """The direction of some of the ``rows``; ``None`` if they are too few, or all equal.

    Of some ``columns`` of the visible states, divided by their ``deviation``, if that is given.
    """
    most = min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_VALUES // rows.n_columns))
    n_rows = min(most, len(rows))
    if n_rows < _LEAST_ROWS:
        return None
    v = rows.means(rows.index[np.linspace(0, len(rows) - 1, n_rows).astype(int)])
    v = v[:, columns]
    v = v if deviation is None else v / deviation
    xp = namespace(v)
    observed = ~xp.isnan(v)
    v = xp.where(observed, v, xp.zeros_like(v))
    count = xp.maximum(xp.sum(xp.astype(observed, v.dtype), axis=0), xp.ones_like(v[0, :]))
    # Missing entries get the mean of their column.
    v = xp.where(observed, v - xp.sum(v, axis=0) / count, xp.zeros_like(v)) / math.sqrt(n_rows)
    total = float(xp.sum(v * v))
    if not total:
        return None
    norm, left, right = largest_singular(v)
    return Direction(v - norm * left[:, None] * right, norm * right, norm**2 / total)


def common_factor(
    direction: Direction, n_hidden: int, mean_share: float
) -> CommonFactor | None:
    """The common factor of rows, or ``None`` if they have none.

    Also ``None`` if ``n_hidden`` is too small to reserve units. ``mean_share`` is the share of
    the means of the rows in the variance of the columns as they are presented: 1 if no state is
    drawn.
    """
    most_units = int(_MOST_UNITS * n_hidden)
    if most_units == 0 or direction.share <= _LEAST_SHARE:
        return None
    xp, loadings = namespace(direction.rest), direction.loadings
    norm = float(xp.sqrt(xp.sum(loadings * loadings)))
    second = largest_singular(direction.rest)[0]
    rest = max(1 - mean_share * direction.share, _LEAST_NOISE)
    n_units = min(most_units, round(math.sqrt(2) * norm / max(second, 1e-3 * norm)))
    return CommonFactor(loadings, rest, n_units) if n_units else None


def start_with_factor(machine: Machine, means: Sequence[Array], factor: CommonFactor) -> None:
    """Set, in place, the weights and biases with which some hidden units model the factor.

    Parameters
    ----------
    machine : Machine
        With random weights, and with biases of units without neighbours. Its hidden units are
        on or off.
    means : list of arrays of shape (n_l,)
        Of the units of each layer; those of the units of the factor are overwritten.
    factor : CommonFactor
    """
    W, loadings, visible = machine.W[0], factor.loadings, machine.units[0]
    xp = namespace(W)
    W -= loadings[:, None] * ((loadings @ W) / xp.sum(loadings * loadings))
    par = machine.par[0]
    var = visible.variance(par[:1, :], par, means[0][None, :])[0, :]
    noise = xp.maximum(var - loadings * loadings, _LEAST_NOISE * var)
    par[...] = visible.independent(UnitMoments(means[0], noise))
    # A constant column has neither noise nor a loading.
    tiny = xp.finfo(W.dtype).smallest_normal
    n = factor.n_units
    W[:, :n] = (loadings / xp.clip(noise, tiny, None))[:, None] * (_RANGE / n)
    share, z = _quantiles(n, W)
    means[1][:n] = 1 - share
    on: States = [loadings[None, :], *(0 * x[None, :] for x in means[1:])]
    machine.par[1][0, :n] -= z * machine.input(1, on)[0, :n]


def chains_on_factor(
    machine: Machine, states: States, mean: Array, loadings: Array, rng: Stream
) -> None:
    """Draw the visible states of chains, in place, at different values of the factor.

    ``mean`` is that of the visible units, and ``loadings`` are those of the factor.
    """
    z = _quantiles(states[0].shape[0], mean)[1]
    visible = [mean + z[:, None] * loadings, *states[1:]]
    hidden = machine.draw([1], *machine.conditionals([1], visible), rng)
    states[0][...] = machine.sample([0], hidden, rng)[0]


def _quantiles(n: int, like: Array) -> tuple[Array, Array]:
    """Probabilities (i + 1/2) / n of a standard normal variable, and its quantiles there."""
    share = (np.arange(n) + 0.5) / n
    xp = namespace(like)
    share, z = (
        xp.asarray(x, dtype=like.dtype, device=device(like)) for x in (share, ndtri(share))
    )
    return share, z
