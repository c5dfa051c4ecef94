"""The record of a pass, for the history of a training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .._array_api import Array, namespace
from ..machine import Machine, free_energy_bound, mean_field_sweeps

# Two units are redundant if their means correlate beyond this over the rows compared. With
# fewer rows than the least that may be noise; with more than the most it takes as long as a
# pass over few rows if layers are wide.
_REDUNDANT = 0.99
_LEAST_COMPARED, _MOST_COMPARED = 10, 128
# Units that are compared at a time with all earlier ones.
_BLOCK_UNITS = 256
# Chains do not mix if the changes of the free energies from pass to pass vary by more nats than
# this, and by more than free energies differ between rows. With fewer passes this is not
# tested.
_SWING, _LEAST_PASSES = 5.0, 10


@dataclass(frozen=True)
class RecordedRows:
    """Rows for the record of each pass, as means of the visible units."""

    trained: Array
    held_out: Array | None


def record_of(machine: Machine, recorded: RecordedRows, n_sweeps: int) -> dict[str, float]:
    """The record of a machine after a pass."""
    v, validation = recorded.trained, recorded.held_out
    xp = namespace(v)
    even, even_fields = mean_field_sweeps(machine, v, n_sweeps)
    states, fields = machine.conditionals(machine.odd, even)
    fields[::2] = even_fields[::2]
    v_mean = machine.means([0], states)[0]
    hidden = zip(machine.units, machine.par, fields, strict=True)
    idle = [unit.idle(x, par) for unit, par, x in list(hidden)[1:]]
    active = [~(dead | saturated) for dead, saturated in idle]
    record = {
        "reconstruction_error": xp.mean((v - v_mean) ** 2),
        "mean_activity": xp.mean(xp.concat(states[1:], axis=1)),
        "weight_norm": xp.sqrt(sum(xp.sum(W**2) for W in machine.matrices)),
        "dead_units": sum(xp.sum(xp.astype(dead, v.dtype)) for dead, _ in idle),
        "saturated_units": sum(xp.sum(xp.astype(saturated, v.dtype)) for _, saturated in idle),
        "redundant_units": sum(map(_n_redundant, states[1:], active)),
    }
    if validation is not None:
        held_out = free_energy_bound(machine, *mean_field_sweeps(machine, validation, n_sweeps))
        trained = free_energy_bound(machine, even, even_fields)
        record["free_energy_gap"] = xp.mean(held_out) - xp.mean(trained)
    return {name: float(value) for name, value in record.items()}


def free_energies(machine: Machine, recorded: RecordedRows, n_sweeps: int) -> Array:
    """Free energies of the recorded training rows, (n_rows,)."""
    return free_energy_bound(machine, *mean_field_sweeps(machine, recorded.trained, n_sweeps))


def deviation(x: Array) -> float:
    """Standard deviation of the values of ``x``."""
    xp = namespace(x)
    return float(xp.sqrt(xp.mean((x - xp.mean(x)) ** 2)))


def swing_of_last_half(swings: Sequence[float], free_energies: Array) -> float | None:
    """Root mean square of the last half of the ``swings``; ``None`` if it is not too large.

    Parameters
    ----------
    swings : sequence of float
        Standard deviation over the rows of the change of their free energies, for each pass.
    free_energies : array of shape (n_rows,)
        After the last pass.
    """
    if len(swings) < _LEAST_PASSES:
        return None
    swing = math.sqrt(statistics.fmean(x * x for x in swings[len(swings) // 2 :]))
    return swing if swing > max(_SWING, deviation(free_energies)) else None


def _n_redundant(means: Array, active: Array) -> int:
    """How many units of a layer have the same means as an earlier one, or the negated means.

    Parameters
    ----------
    means : array of shape (n_rows, n_units)
    active : bool array of shape (n_units,)
        Which units are neither dead nor saturated; the others are not compared.
    """
    xp = namespace(means)
    n_rows = min(_MOST_COMPARED, means.shape[0])
    if n_rows < _LEAST_COMPARED:
        return 0
    means = means[:n_rows, :]
    z = means - xp.mean(means, axis=0)
    norm = xp.sqrt(xp.sum(z * z, axis=0))
    # A unit that is constant up to rounding has no correlations.
    active = active & (norm > 1e-4 * xp.sqrt(xp.sum(means * means, axis=0)))
    z = xp.where(active, z / xp.where(active, norm, xp.ones_like(norm)), xp.zeros_like(z))
    n_found = 0
    for begin in range(0, z.shape[1], _BLOCK_UNITS):
        end = min(begin + _BLOCK_UNITS, z.shape[1])
        same = xp.abs(z[:, begin:end].T @ z[:, :end]) > _REDUNDANT
        before = xp.tril(xp.astype(same, z.dtype), k=begin - 1)
        n_found += int(xp.sum(xp.max(before, axis=1)))
    return n_found
