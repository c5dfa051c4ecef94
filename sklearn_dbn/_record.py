"""What each pass of a training leaves in its history."""

from __future__ import annotations

from dataclasses import dataclass

from ._array_api import Array, namespace
from ._machine import Machine
from ._mean_field import free_energy_bound, settle


@dataclass(frozen=True)
class Watched:
    """Rows that the record of each pass is computed from, as means of the visible units."""

    trained: Array
    held_out: Array | None


def record_of(machine: Machine, watched: Watched, n_sweeps: int) -> dict[str, float]:
    """The state of a machine on a few rows, for the history."""
    v, validation = watched.trained, watched.held_out
    xp = namespace(v)
    states = machine.means(machine.odd, settle(machine, v, n_sweeps))
    v_mean = machine.means([0], states)[0]
    hidden = zip(machine.units, machine.par, states, strict=True)
    idle = [unit.idle(x, par) for unit, par, x in list(hidden)[1:]]
    record = {
        "reconstruction_error": xp.mean((v - v_mean) ** 2),
        "mean_activity": xp.mean(xp.concat(states[1:], axis=1)),
        "weight_norm": xp.sqrt(sum(xp.sum(W**2) for W in machine.W)),
        "dead_units": sum(xp.sum(xp.astype(dead, v.dtype)) for dead, _ in idle),
        "saturated_units": sum(xp.sum(xp.astype(always, v.dtype)) for _, always in idle),
    }
    if validation is not None:
        held_out = free_energy_bound(machine, settle(machine, validation, n_sweeps))
        record["free_energy_gap"] = xp.mean(held_out) - xp.mean(
            free_energy_bound(machine, states)
        )
    return {name: float(value) for name, value in record.items()}
