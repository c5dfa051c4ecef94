"""The partition function, by enumeration or by annealed importance sampling."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from .._array_api import Array
from .._messages import shown
from .._random import Stream
from ..machine import Machine, States
from ..samplers import independent
from ._annealing import anneal, base_rates, equilibrate, log_partition_of_base
from ._estimates import Estimate, estimate
from ._exact import enumerable, exact_log_partition
from ._temperatures import place_temperatures

METHODS = ("auto", "exact", "ais")

# Up to this many units enumeration takes less time than annealing.
_QUICKLY_ENUMERATED = 20
# A difference of the two estimates, in nats, that does not matter even if it is significant.
_TOLERANCE = 0.05
# Of the pilot runs that decide which parity to sum out.
_PILOT_TEMPERATURES, _PILOT_CHAINS = 100, 50


@dataclass(frozen=True)
class LogPartition:
    """Log of a partition function.

    Attributes
    ----------
    value : float
        The mean of the forward and the reverse estimate, if there are both.
    standard_error : float
        0 if ``method`` is "exact".
    interval : tuple of float
        Lowest and highest value within three standard errors of any estimate.
    method : {"exact", "ais"}
    forward, reverse : Estimate or None
        By forward annealing, on average too low, and by reverse annealing, on average too high.
        ``reverse`` is ``None`` without states of the machine to start from.
    """

    value: float
    standard_error: float
    interval: tuple[float, float]
    method: str
    forward: Estimate | None = None
    reverse: Estimate | None = None

    def plus(self, constant: float) -> LogPartition:
        """The result for a machine whose energy is lower by ``constant``."""
        forward, reverse = (
            None if found is None else replace(found, value=found.value + constant)
            for found in (self.forward, self.reverse)
        )
        return replace(
            self,
            value=self.value + constant,
            interval=tuple(end + constant for end in self.interval),
            forward=forward,
            reverse=reverse,
        )


def log_partition(
    machine: Machine,
    base: Sequence[Array] | None = None,
    method: str = "auto",
    *,
    rng: Stream,
    states: States | Callable[[], States] | None = None,
    n_sweeps: int = 100,
    betas: str | int | np.ndarray = "auto",
    n_chains: int = 100,
    summed: range | None = None,
) -> LogPartition:
    """Log of the partition function of a machine, in nats, with an interval.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l), default=None
        Parameters of the base, as `base_rates` returns them; those of the machine for ``None``.
        The closer to the machine's distribution, the better.
    method : {"auto", "exact", "ais"}, default="auto"
        "exact" sums over all states of the even or the odd layers, up to 25 units; "ais"
        anneals. "auto" is exact up to 20 units.
    rng : Stream
    states : list of arrays of shape (n_rows, n_l) or callable, default=None
        The start of reverse annealing: states of the even layers drawn from the machine, such
        as those of `population`, or similar to these, such as rows of the data; ``None`` for an
        unknown layer. A callable that returns them is called only if they are needed. Without
        states annealing is forward only, and modes that its chains do not reach are not
        noticed; nor are those that neither forward nor reverse chains reach.
    n_sweeps : int, default=100
        Sweeps of ``states`` before reverse annealing.
    betas : "auto", int or array of shape (n_betas,), default="auto"
        Temperatures increasing from 0 to 1, or the number of evenly spaced ones, or "auto" for
        `place_temperatures`.
    n_chains : int, default=100
        Forward chains; there is one reverse chain for each row of ``states``.
    summed : range, default=None
        The layers to sum out, ``machine.odd`` or ``machine.even``. By default the odd ones
        with one hidden layer; with several, those that give less variance in short runs.
    """
    if method not in METHODS:
        raise ValueError(f"method={shown(method)} is unknown; use one of {', '.join(METHODS)}.")
    layers, n_units = enumerable(machine)
    quick = layers is not None and n_units <= _QUICKLY_ENUMERATED
    if method == "exact" or (method == "auto" and quick):
        value = exact_log_partition(machine)
        return LogPartition(value, 0.0, (value, value), "exact")
    base = base_rates(machine) if base is None else base
    summed = _parity_of_less_variance(machine, base, rng) if summed is None else summed
    betas = _temperatures(machine, base, betas, rng, summed)
    start = log_partition_of_base(machine, base)
    kept = machine.odd if summed == machine.even else machine.even
    chains = independent(machine, base, kept, n_chains, rng)
    forward = estimate(start, anneal(machine, base, betas, chains, rng, summed), 1)
    if states is None:
        return _combined(forward, None)
    states = states() if callable(states) else states
    chains = equilibrate(machine, states, n_sweeps, rng)
    reverse = estimate(start, anneal(machine, base, betas[::-1], chains, rng, summed), -1)
    difference = abs(forward.value - reverse.value)
    error = math.hypot(forward.standard_error, reverse.standard_error)
    if not difference <= 3 * error + _TOLERANCE:
        warnings.warn(
            f"log_partition is {forward.value:.2f} by forward and {reverse.value:.2f} by "
            f"reverse annealing, with a standard error of the difference of {error:.2f}; use "
            "more temperatures (betas), more chains or more sweeps, or train with "
            "sampler='tempering'.",
            RuntimeWarning,
            stacklevel=2,
        )
    return _combined(forward, reverse)


def _parity_of_less_variance(machine: Machine, base: Sequence[Array], rng: Stream) -> range:
    """The layers to sum out for the least variance."""
    if len(machine.W) == 1:
        return machine.odd
    betas, variance = np.linspace(0, 1, _PILOT_TEMPERATURES), []
    for summed, kept in ((machine.odd, machine.even), (machine.even, machine.odd)):
        chains = independent(machine, base, kept, _PILOT_CHAINS, rng)
        variance.append(np.var(anneal(machine, base, betas, chains, rng, summed)))
    return machine.odd if variance[0] <= variance[1] else machine.even


def _combined(forward: Estimate, reverse: Estimate | None) -> LogPartition:
    found = [forward] if reverse is None else [forward, reverse]
    return LogPartition(
        sum(x.value for x in found) / len(found),
        math.hypot(*(x.standard_error for x in found)) / len(found),
        (
            min(x.value - 3 * x.standard_error for x in found),
            max(x.value + 3 * x.standard_error for x in found),
        ),
        "ais",
        forward,
        reverse,
    )


def _temperatures(
    machine: Machine,
    base: Sequence[Array],
    betas: str | int | np.ndarray,
    rng: Stream,
    summed: range | None,
) -> np.ndarray:
    if isinstance(betas, str):
        if betas != "auto":
            raise ValueError(
                f'betas={shown(betas)} is unknown; use "auto", a number or an array.'
            )
        return place_temperatures(machine, base, rng, summed=summed)
    if isinstance(betas, Integral):
        if betas < 2:
            raise ValueError(f"betas={shown(betas)} is too few; use at least 2 temperatures.")
        return np.linspace(0, 1, int(betas))
    betas = np.asarray(betas, dtype=np.float64)
    increasing = betas.ndim == 1 and len(betas) > 1 and bool(np.all(np.diff(betas) > 0))
    if not increasing or betas[0] != 0 or betas[-1] != 1:
        raise ValueError(
            f"betas must rise from 0 to 1, got {np.array2string(betas, threshold=6)}; sort the "
            "temperatures and add both ends."
        )
    return betas
