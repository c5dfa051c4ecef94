"""The partition function, by the best means there are."""

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
from ._temperatures import place

METHODS = ("auto", "exact", "ais")

# Up to here an exact sum takes less time than annealing.
_QUICKLY_ENUMERATED = 20
# In nats: a disagreement that is certain and of no consequence.
_TOLERANCE = 0.05
# Of the runs that tell which parity to sum out.
_PILOT_TEMPERATURES, _PILOT_CHAINS = 100, 50


@dataclass(frozen=True)
class LogPartition:
    """Log of a partition function.

    Attributes
    ----------
    value : float
        Of a way up and a way down, their mean.
    standard_error : float
        0 if ``method`` is "exact".
    interval : tuple of float
        Lowest and highest value within three standard errors of any estimate.
    method : {"exact", "ais"}
    forward, reverse : Estimate or None
        From chains on their way up from units without neighbours, which on average gives too
        little, and from chains on their way down from the model, which gives too much. The
        latter is ``None`` if no states of the model were known.
    """

    value: float
    standard_error: float
    interval: tuple[float, float]
    method: str
    forward: Estimate | None = None
    reverse: Estimate | None = None

    def plus(self, constant: float) -> LogPartition:
        """That of a machine whose energy is less by ``constant``."""
        ways = (self.forward, self.reverse)
        forward, reverse = (
            None if way is None else replace(way, value=way.value + constant) for way in ways
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
    """Log of the partition function of a machine, with an interval.

    Parameters
    ----------
    machine : Machine
    base : list of arrays of shape (n_par, n_l), default=None
        Parameters of the units to anneal from, as `base_rates` makes them; ``None`` stands for
        the machine's own. Nearer to the model is better.
    method : {"auto", "exact", "ais"}, default="auto"
        "exact" sums over all states of the even or the odd layers, up to 25 units; "ais"
        anneals. "auto" is exact up to 20 units.
    rng : Stream
    states : list of arrays of shape (n_rows, n_l) or callable, default=None
        Where the way down starts: states of the even layers from the model, such as those of
        `population`, or from near it, such as rows of the data; ``None`` for a layer not known.
        A callable gives them where they are needed. Without any there is only a way up, and
        nothing to show what its chains have missed. What the two ways both miss does not show
        either: the more of the model the states cover, the better.
    n_sweeps : int, default=100
        How often ``states`` are redrawn before they are used.
    betas : "auto", int or array of shape (n_betas,), default="auto"
        Temperatures rising from 0 to 1, the number of such evenly spaced, or "auto" to have
        `place` choose both.
    n_chains : int, default=100
        Chains on the way up; on the way down there is one for each row of ``states``.
    summed : range, default=None
        The layers to sum out, ``machine.odd`` or ``machine.even``. By default the odd ones
        with one hidden layer; with several, short runs tell which leave less variance.
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
    apart = abs(forward.value - reverse.value)
    error = math.hypot(forward.standard_error, reverse.standard_error)
    if not apart <= 3 * error + _TOLERANCE:
        warnings.warn(
            f"log_partition is {forward.value:.2f} on the way up and {reverse.value:.2f} on "
            f"the way down, with a standard error of {error:.2f}; use more temperatures "
            "(betas), more chains or more sweeps, or a model that mixes better, such as one "
            "trained with tempering.",
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
    ways = [forward] if reverse is None else [forward, reverse]
    return LogPartition(
        sum(way.value for way in ways) / len(ways),
        math.hypot(*(way.standard_error for way in ways)) / len(ways),
        (
            min(way.value - 3 * way.standard_error for way in ways),
            max(way.value + 3 * way.standard_error for way in ways),
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
        return place(machine, base, rng, summed=summed)
    if isinstance(betas, Integral):
        if betas < 2:
            raise ValueError(f"betas={shown(betas)} is too few; use at least 2 temperatures.")
        return np.linspace(0, 1, int(betas))
    betas = np.asarray(betas, dtype=np.float64)
    rising = betas.ndim == 1 and len(betas) > 1 and bool(np.all(np.diff(betas) > 0))
    if not rising or betas[0] != 0 or betas[-1] != 1:
        raise ValueError(
            f"betas must rise from 0 to 1, got {np.array2string(betas, threshold=6)}; sort the "
            "temperatures and add both ends."
        )
    return betas
