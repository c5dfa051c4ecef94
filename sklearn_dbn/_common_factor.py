"""A factor that all visible columns share, and first parameters that model it.

Standardised columns with one common factor z of variance 1 are v = z l + the rest, with l the
loadings. From random weights all hidden units learn that factor, and the same step of it: their
fields follow z long before they follow the rest. So a few units have the factor from the start,
where each switches on at a level of z of its own, and the weights of all others are orthogonal
to it. docs/decisions/common-factor.md has the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from ._array_api import Array, device, namespace
from ._machine import Machine, States, largest_singular
from ._rows import Rows

# Rows that are looked at; from fewer than the least a factor cannot be told from chance.
_MOST_ROWS, _LEAST_ROWS = 256, 10
# Share of the variance of all columns from which on a factor counts as common.
_LEAST_SHARE = 0.5
# Share of the hidden units that model the factor, at most.
_MOST_UNITS = 0.25
# From all of these units off to all on, the factor changes by this many standard deviations.
_RANGE = 3.0
# Columns start with no less noise than this share of their variance.
_LEAST_NOISE = 0.05


class CommonFactor(NamedTuple):
    """What one factor says of all columns.

    Attributes
    ----------
    loadings : array of shape (n_columns,)
        What a standard deviation of the factor adds to the standardised columns.
    rest : float
        Share of the variance, summed over the columns, that is not the factor's.
    n_levels : int
        From so many levels of the factor on, the error of rounding to them varies no more than
        the second largest direction of the rows.
    """

    loadings: Array
    rest: float
    n_levels: int


def common_factor(rows: Rows) -> CommonFactor | None:
    """The common factor of standardised rows, or ``None`` where they have none."""
    n_rows = min(_MOST_ROWS, len(rows))
    if n_rows < _LEAST_ROWS:
        return None
    v = rows.means(rows.index[np.linspace(0, len(rows) - 1, n_rows).astype(int)])
    xp = namespace(v)
    # Missing entries are put at their mean.
    v = xp.where(xp.isnan(v), xp.zeros_like(v), v)
    v = (v - xp.mean(v, axis=0)) / math.sqrt(n_rows)
    total = float(xp.sum(v * v))
    norm, left, right = largest_singular(v)
    if norm**2 <= _LEAST_SHARE * total:
        return None
    second = largest_singular(v - norm * left[:, None] * right)[0]
    rest = max(1 - norm**2 / total, _LEAST_NOISE)
    return CommonFactor(norm * right, rest, round(norm * (2 / max(second, 1e-3 * norm))))


def divide(machine: Machine, means: Sequence[Array], factor: CommonFactor) -> None:
    """Let some hidden units model the factor and the others the rest, in place.

    Parameters
    ----------
    machine : Machine
        With random weights. Its visible units are continuous, those above are on or off.
    means : list of arrays of shape (n_l,)
        Where the units rest.
    factor : CommonFactor
    """
    W, l = machine.W[0], factor.loadings
    xp = namespace(W)
    W -= l[:, None] * ((l @ W) / xp.sum(l * l))
    noise = xp.clip(1 - l * l, _LEAST_NOISE, 1.0)
    machine.par[0][...] = machine.units[0].independent(0 * l, noise)
    n = min(factor.n_levels, int(_MOST_UNITS * W.shape[1]))
    if not n:
        return
    W[:, :n] = (l / noise)[:, None] * (_RANGE / n)
    share, z = _levels(n, W)
    means[1][:n] = 1 - share
    on: States = [l[None, :], *(0 * x[None, :] for x in means[1:])]
    machine.par[1][0, :n] -= z * machine.input(1, on)[0, :n]


def scatter(states: States, factor: CommonFactor) -> None:
    """Move chains that have yet to start, in place, to levels of the factor."""
    v, l = states[0], factor.loadings
    v += _levels(v.shape[0], v)[1][:, None] * l


def _levels(n: int, like: Array) -> tuple[Array, Array]:
    """Shares of ``n`` equal parts of a normal variable that are below their middles; these."""
    share = (np.arange(n) + 0.5) / n
    xp = namespace(like)
    share, z = (
        xp.asarray(x, dtype=like.dtype, device=device(like)) for x in (share, ndtri(share))
    )
    return share, z
