"""A factor that all visible columns share, and first parameters that model it.

Columns with one common factor z of variance 1 have the means m + z l, with l the loadings. From
random weights all hidden units learn that factor, and the same step of it: their fields follow
z long before they follow the rest. So a few units have the factor from the start, where each
switches on at a level of z of its own, and the weights of all others are orthogonal to it.
docs/decisions/common-factor.md has the measurements.
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

# Rows that are looked at, of so many values together; from fewer rows than the least a factor
# cannot be told from chance.
_MOST_ROWS, _MOST_VALUES, _LEAST_ROWS = 256, 1 << 20, 10
# Share of the variance of the means of all columns from which on a factor counts as common.
_LEAST_SHARE = 0.5
# Share of the hidden units that model the factor, at most.
_MOST_UNITS = 0.25
# From all of these units off to all on, the factor changes by this many standard deviations.
_RANGE = 3.0
# Columns start with no less noise than this share of their variance, and no factor leaves less.
_LEAST_NOISE = 0.05


class CommonFactor(NamedTuple):
    """How one factor moves all columns.

    Attributes
    ----------
    loadings : array of shape (n_columns,)
        What a standard deviation of the factor adds to the columns as they are presented.
    rest : float
        Share of the variance of presented columns, summed over them, that is not the factor's.
    n_units : int
        Hidden units to model it: where there are enough, so many that the error of rounding the
        factor to their levels varies no more than the second largest direction of the rows.
    """

    loadings: Array
    rest: float
    n_units: int


class Direction(NamedTuple):
    """The direction in which rows vary most.

    Attributes
    ----------
    rest : array of shape (n_rows, n_columns)
        Centred rows, divided by the root of their number, without their part along it.
    loadings : array of shape (n_columns,)
        What a standard deviation along it adds to the columns.
    share : float
        Of the variance, summed over the columns.
    """

    rest: Array
    loadings: Array
    share: float


def leading_direction(rows: Rows) -> Direction | None:
    """The direction of some of the ``rows``; ``None`` where these are too few, or all alike."""
    most = min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_VALUES // rows.n_columns))
    n_rows = min(most, len(rows))
    if n_rows < _LEAST_ROWS:
        return None
    v = rows.means(rows.index[np.linspace(0, len(rows) - 1, n_rows).astype(int)])
    xp = namespace(v)
    known = ~xp.isnan(v)
    v = xp.where(known, v, xp.zeros_like(v))
    count = xp.maximum(xp.sum(xp.astype(known, v.dtype), axis=0), xp.ones_like(v[0, :]))
    # Missing entries are put at the mean of their column.
    v = xp.where(known, v - xp.sum(v, axis=0) / count, xp.zeros_like(v)) / math.sqrt(n_rows)
    total = float(xp.sum(v * v))
    if not total:
        return None
    norm, left, right = largest_singular(v)
    return Direction(v - norm * left[:, None] * right, norm * right, norm**2 / total)


def common_factor(direction: Direction, n_hidden: int, shown: float) -> CommonFactor | None:
    """The common factor of rows, or ``None`` where they have none.

    Nor is there one for a machine that has no unit of its ``n_hidden`` to spare for it.
    ``shown`` is the share of the means of the rows in the variance of the columns as they are
    presented: 1 where nothing is drawn.
    """
    most_units = int(_MOST_UNITS * n_hidden)
    if most_units == 0 or direction.share <= _LEAST_SHARE:
        return None
    xp, loadings = namespace(direction.rest), direction.loadings
    norm = float(xp.sqrt(xp.sum(loadings * loadings)))
    second = largest_singular(direction.rest)[0]
    rest = max(1 - shown * direction.share, _LEAST_NOISE)
    n_units = min(most_units, round(math.sqrt(2) * norm / max(second, 1e-3 * norm)))
    return CommonFactor(loadings, rest, n_units) if n_units else None


def start_with_factor(machine: Machine, means: Sequence[Array], factor: CommonFactor) -> None:
    """Let some hidden units model the factor and the others the rest, in place.

    Parameters
    ----------
    machine : Machine
        With random weights, and with biases of units without neighbours. Its hidden units are
        on or off.
    means : list of arrays of shape (n_l,)
        Where the units rest.
    factor : CommonFactor
    """
    W, loadings, visible = machine.W[0], factor.loadings, machine.units[0]
    xp = namespace(W)
    W -= loadings[:, None] * ((loadings @ W) / xp.sum(loadings * loadings))
    par = machine.par[0]
    var = visible.variance(par[:1, :], par, means[0][None, :])[0, :]
    noise = xp.maximum(var - loadings * loadings, _LEAST_NOISE * var)
    par[...] = visible.independent(UnitMoments(means[0], noise))
    # A column that was always the same has neither noise nor a loading.
    tiny = xp.finfo(W.dtype).smallest_normal
    n = factor.n_units
    W[:, :n] = (loadings / xp.clip(noise, tiny, None))[:, None] * (_RANGE / n)
    share, z = _levels(n, W)
    means[1][:n] = 1 - share
    on: States = [loadings[None, :], *(0 * x[None, :] for x in means[1:])]
    machine.par[1][0, :n] -= z * machine.input(1, on)[0, :n]


def chains_on_factor(
    machine: Machine, states: States, mean: Array, factor: CommonFactor, rng: Stream
) -> None:
    """Draw the visible states of chains, in place, at levels of the factor.

    ``mean`` is where the visible units rest.
    """
    z = _levels(states[0].shape[0], mean)[1]
    around = [mean + z[:, None] * factor.loadings, *states[1:]]
    hidden = machine.draw([1], *machine.conditionals([1], around), rng)
    states[0][...] = machine.sample([0], hidden, rng)[0]


def _levels(n: int, like: Array) -> tuple[Array, Array]:
    """Shares of ``n`` equal parts of a normal variable that are below their middles; these."""
    share = (np.arange(n) + 0.5) / n
    xp = namespace(like)
    share, z = (
        xp.asarray(x, dtype=like.dtype, device=device(like)) for x in (share, ndtri(share))
    )
    return share, z
