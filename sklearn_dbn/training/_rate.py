"""The automatic learning rate, from the columns that hidden units have weights to.

Separate pathways have hidden units of their own, and each has the rate that it would have as a
machine of its own. The rate of the machine is the least of these; the weights of a pathway with
a higher one are trained in coordinates in which their steps are longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._array_api import Array, namespace
from ..data import encodes
from ..machine import Machine
from ..units import Blocks, UnitMoments

# The automatic learning rate is a factor over the spread of the visible units, at least this.
LEAST_SPREAD = 10.0
# That factor is 1 for minibatches of so many rows and grows with their size, up to the second
# number: passes with fewer updates then change the parameters as much, within the limits of
# noise and curvature. The keys are whether the visible units are real-valued: these need
# shorter steps, above all with missing entries.
_RATE_ROWS, _RATE_FACTOR = {False: 5, True: 10}, {False: 10.0, True: 2.0}
# The largest factor for columns of levels beside real ones, or below hidden units that are not
# on or off, times the sweeps of the chains for each update: docs/decisions/tables.md.
_ENCODED_RATE_FACTOR = 1.0
# For n hidden units on real-valued columns, of which one direction has the share s of the
# variance, the rate is at most 1 over this times n s^2: all units learn it, and steps add up.
_PER_HIDDEN_UNIT = 2.5
# Least standard deviation of a column, in the balance between columns of several kinds: the
# gradient of a column that is nearly constant has more noise than signal.
_LEAST_DEVIATION = 0.1


@dataclass
class RateLimit:
    """What the learning rate of a pathway depends on.

    Attributes
    ----------
    spread : float
        Variance of the visible units as they are presented, summed over them and divided by
        ``rest``; with several hidden layers, the largest of those that have another above them.
    rest : float
        Share of the variance of the visible units that is not due to a common factor.
    least_divisor : float
        A lower bound on the divisor of the rate: positive for real-valued columns, whose
        leading direction all hidden units learn.
    """

    spread: float = 0.0
    rest: float = 1.0
    least_divisor: float = 0.0

    def rate(self, rbm: Machine, settings: Any) -> float:
        """The automatic rate of the pathway whose lowest two layers are ``rbm``."""
        visible, hidden = rbm.units
        real = is_real(visible, rbm.par[0])
        most = _RATE_FACTOR[real]
        if encodes(visible) and (real or not hidden.on_or_off):
            most = _ENCODED_RATE_FACTOR / settings.sampler.n_sweeps
        factor = min(settings.batch_size / _RATE_ROWS[real], most)
        rate = factor / max(self.spread, LEAST_SPREAD)
        return min(rate, 1.0 / self.least_divisor) if self.least_divisor else rate

    def for_direction(self, n_hidden: int, share: float) -> None:
        """Limit the rate for a leading direction with this share of the variance."""
        self.least_divisor = _PER_HIDDEN_UNIT * n_hidden * share**2


def rates(machine: Machine, limits: Sequence[RateLimit], settings: Any) -> list[float]:
    """The automatic rate of each pathway."""
    pairs = zip(limits, machine.pathways(), strict=True)
    return [limit.rate(rbm, settings) for limit, (rbm, _, _) in pairs]


def coordinates(
    machine: Machine, limits: Sequence[RateLimit], settings: Any, deviation: Array | None
) -> Array | None:
    """The ``deviation`` of `Machine.gradient` with which each pathway has its own rate."""
    found = rates(machine, limits, settings)
    if min(found) == max(found):
        return deviation
    a = machine.par[0][0, :]
    scale = 0 * a + 1 if deviation is None else 1 * deviation
    for rate, (_, below, _) in zip(found, machine.pathways(), strict=True):
        scale[below] *= (min(found) / rate) ** 0.5
    return scale


def spread(unit: Any, par: Array, deviation: Array | None = None) -> float:
    """Variance of units that have no neighbours, summed over them.

    In units of ``deviation`` squared, if that is given.
    """
    variance = unit.variance(par[:1, :], par)
    if deviation is not None:
        variance = variance / deviation**2
    return float(namespace(par).sum(variance))


def update_spreads(
    machine: Machine, par: Sequence[Array], limits: Sequence[RateLimit], deviation: Array | None
) -> None:
    """Set the spread of each of ``limits``, for units with the parameters ``par``.

    It is the largest of the layers that have another above them. The weights above a layer
    stay stable with steps of 1 over its spread, and all have the same rate. That of the visible
    layer is divided by the share of its variance without a common factor.
    """
    upper = list(map(spread, machine.units[1:-1], par[1:-1]))
    for limit, (rbm, below, _) in zip(limits, machine.pathways(), strict=True):
        of_columns = None if deviation is None else deviation[below]
        visible = spread(rbm.units[0], par[0][:, below], of_columns)
        limit.spread = max([visible / limit.rest, *upper])


def deviations(machine: Machine, moments: UnitMoments) -> Array | None:
    """Standard deviations of columns of several kinds in one pathway, 1 in other pathways.

    ``None`` if no pathway has several kinds.
    """
    mean, found = moments.mean, None
    for rbm, below, _ in machine.pathways():
        if isinstance(rbm.units[0], Blocks):
            if found is None:
                found = 0 * mean + 1
            of_columns = UnitMoments(mean[below], moments.var[below])
            xp = namespace(mean)
            found[below] = xp.clip(rbm.units[0].deviation(of_columns), _LEAST_DEVIATION, None)
    return found


def is_real(unit: Any, par: Array) -> bool:
    """Whether a layer has real-valued columns."""
    return unit.curvature(par) is not None
