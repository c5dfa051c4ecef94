"""The mean field of the hidden layers, given the visible one.

The posterior of a machine with several hidden layers has no formula. Of all distributions in
which the units are independent, the one that gives the highest bound on log p(v) satisfies::

    x_l = mean(b_l + x_{l-1} W_{l-1} + x_{l+1} W_l'),  l = 1 .. L

(Salakhutdinov, Hinton 2009, AISTATS, PMLR 5:448-455). A sweep solves for the odd layers, then
for the even ones; each half raises the bound, so that sweeps always arrive. They start from
one pass upwards, in which each layer but the last takes what it receives from below twice, in
place of what it does not yet know from above. With one hidden layer that pass is the
posterior, and there is nothing to sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import Array, device, namespace, put, take, to_numpy
from ._machine import Machine, States, Unchanging

# Rows that are swept together.
_ROWS = 256


class MeanField(NamedTuple):
    """Where the sweeps over each row ended.

    Attributes
    ----------
    fields : list of arrays of shape (n_rows, n_l)
        What each hidden layer receives, and its bias; ``None`` for the visible layer. The mean
        field is ``unit.mean`` of it.
    n_sweeps : int array of shape (n_rows,)
        After the first pass.
    residual : array of shape (n_rows,), float64
        How far a mean was from what its neighbours made of it in the last sweep, at most; in
        standard deviations for real-valued units. NaN where there was no sweep.
    """

    fields: States
    n_sweeps: np.ndarray
    residual: np.ndarray

    def means(self, machine: Machine) -> States:
        """The mean field, an array for each hidden layer and ``None`` for the visible one."""
        return _means(machine, self.fields)


def mean_field(
    machine: Machine,
    v: Array,
    tolerance: float = 1e-4,
    max_sweeps: int = 500,
    damping: float = 0.0,
) -> MeanField:
    """Sweep until no mean of a row moves by more than ``tolerance``.

    Each row is decided on its own: it is not swept again, whatever the others do, and its
    result does not depend on them.

    Parameters
    ----------
    machine : Machine
    v : array or CSR array of shape (n_rows, n_0)
    tolerance : float
        For real-valued units, in conditional standard deviations.
    max_sweeps : int
        0 gives the first pass alone.
    damping : float
        Share of a mean that stays in a sweep, in [0, 1).
    """
    n_rows, only = v.shape[0], len(machine.W) == 1
    n_sweeps, residual = np.zeros(n_rows, dtype=int), np.full(n_rows, 0.0 if only else np.nan)
    if only or max_sweeps == 0:
        return MeanField(_upwards(machine, _received(machine, v)), n_sweeps, residual)
    like = _received(machine, v[:0, :])
    xp = namespace(like)
    found: States = [None]
    for par in machine.par[1:]:
        shape = (n_rows, par.shape[1])
        found.append(xp.empty(shape, dtype=like.dtype, device=device(like)))
    if n_rows > _ROWS:
        machine = Unchanging(machine.units, machine.par, machine.W)
    waiting = _Waiting(machine, v)
    pending, held = waiting.next(_ROWS)
    while len(pending):
        received, *before = held
        fields, states = _sweep(machine, received, [None, *before], damping)
        n_sweeps[pending] += 1
        last = n_sweeps[pending] == max_sweeps
        moved = _moved(machine, before, states[1:], tolerance * (1 - damping), last)
        moved /= 1 - damping
        ready = np.flatnonzero((moved <= tolerance) | last)
        held = [received, *states[1:]]
        if not len(ready):
            continue
        for x, field in zip(found[1:], fields[1:], strict=True):
            put(x, pending[ready], take(field, ready))
        residual[pending[ready]] = moved[ready]
        # Others take the places of rows that have arrived, as long as there are any.
        while len(ready) and waiting:
            rows, fresh = waiting.next(len(ready))
            places, ready = ready[: len(rows)], ready[len(rows) :]
            pending[places] = rows
            for x, y in zip(held, fresh, strict=True):
                put(x, places, y)
        if len(ready):
            left = np.delete(np.arange(len(pending)), ready)
            pending, held = pending[left], [take(x, left) for x in held]
    return MeanField(found, n_sweeps, residual)


class _Waiting:
    """Rows that have yet to be swept; their first pass is made for many at a time."""

    def __init__(self, machine: Machine, v: Array):
        self.machine, self.v = machine, v
        self.rows, self.begin, self.block = np.arange(0), 0, []

    def __bool__(self) -> bool:
        return len(self.rows) > 0 or self.begin < self.v.shape[0]

    def next(self, n: int) -> tuple[np.ndarray, list]:
        """Numbers of at most ``n`` rows; what they receive, and the means of their layers."""
        if not len(self.rows):
            end = min(self.begin + _ROWS, self.v.shape[0])
            received = _received(self.machine, self.v[self.begin : end, :])
            means = _means(self.machine, _upwards(self.machine, received))
            self.rows, self.block = np.arange(self.begin, end), [received, *means[1:]]
            self.begin = end
        n = min(n, len(self.rows))
        rows, self.rows = self.rows[:n], self.rows[n:]
        taken, self.block = [x[:n, :] for x in self.block], [x[n:, :] for x in self.block]
        return rows, taken


def settle(machine: Machine, v: Array, n_sweeps: int) -> tuple[States, States]:
    """The even layers after a fixed number of sweeps, the visible one as it is.

    Means of those above it, and the fields that these are the means at. The odd layers, which
    follow from these, are ``None``, and so is the field of the visible one.
    """
    if len(machine.W) == 1:
        return [v, None], [None, None]
    received = _received(machine, v)
    fields = _upwards(machine, received)
    states = _means(machine, fields)
    for _ in range(n_sweeps):
        fields, states = _sweep(machine, received, states)
    for layer in machine.odd:
        fields[layer] = states[layer] = None
    return [v, *states[1:]], fields


def means_below(machine: Machine, layer: int, states: Array) -> States:
    """Mean field of the layers below ``layer``, from the visible one up, given its states."""
    below = range(layer - 1, -1, -1)
    turned = Machine(
        machine.units[layer::-1], machine.par[layer::-1], [machine.W[i].T for i in below]
    )
    if layer == 1:
        return machine.means([0], [None, states])[:1]
    return mean_field(turned, states).means(turned)[:0:-1]


def free_energy_bound(machine: Machine, states: States, fields: States) -> Array:
    """Upper bound on the free energy of each row, shape (n_rows,).

    The free energy itself in a machine with one hidden layer; above, the odd layers are summed
    out given the means of the even ones. With q the distribution of the units of a layer at the
    field f, and m its mean, E_q[-energy] + H(q) = a m + log_partition(f) - f m: whatever the
    units are, the rest of their energy is in the entropy too, and cancels.

    Parameters
    ----------
    machine : Machine
    states, fields : lists of arrays of shape (n_rows, n_l)
        As `settle` gives them; entries of the odd layers are not looked at.
    """
    unit, par = machine.units[0], machine.par[0]
    bound = unit.energy(states[0], par)
    for layer in machine.odd:
        field = machine.field(layer, states)
        bound = bound - machine.units[layer].log_partition(field, machine.par[layer])
    for layer in machine.even[1:]:
        xp = namespace(fields[layer])
        # Both terms are far larger than their sum where units are nearly certain.
        mean, field, par = (
            xp.astype(x, xp.float64) for x in (states[layer], fields[layer], machine.par[layer])
        )
        known = machine.units[layer].log_partition(field, par)
        known -= xp.sum((field - par[0, :]) * mean, axis=-1)
        bound = bound - xp.astype(known, bound.dtype)
    return bound


def _received(machine: Machine, v: Array) -> Array:
    """Bias of the first hidden layer and what arrives from below, which no sweep changes."""
    received = v @ machine.W[0]
    received += machine.par[1][0, :]
    return received


def _upwards(machine: Machine, received: Array) -> States:
    """Fields of one pass from the visible layer to the last one."""
    fields: States = [None]
    field = received
    for layer, W in enumerate(machine.W[1:], start=1):
        unit, par = machine.units[layer], machine.par[layer]
        fields.append(2 * field - par[0, :])
        field = unit.mean(fields[layer], par) @ W
        field += machine.par[layer + 1][0, :]
    return [*fields, field]


def _sweep(
    machine: Machine, received: Array, states: States, damping: float = 0.0
) -> tuple[States, States]:
    """Fields and means of the hidden layers, odd ones first."""
    fields, states = [None] * len(states), list(states)
    for layer in (*machine.odd, *machine.even[1:]):
        if layer == 1:
            field = machine.from_above(1, states[2])
            field += received
        else:
            field = machine.field(layer, states)
        mean = machine.units[layer].mean(field, machine.par[layer])
        if damping:
            mean = damping * states[layer] + (1 - damping) * mean
        fields[layer], states[layer] = field, mean
    return fields, states


def _moved(
    machine: Machine,
    before: Sequence[Array],
    after: Sequence[Array],
    tolerance: float,
    last: np.ndarray,
) -> np.ndarray:
    """How far any mean of a row moved in the hidden layers, at most.

    Once a layer says that a row moved by more than ``tolerance`` the wider ones are not asked,
    except for rows that are swept for the ``last`` time.
    """
    moved, rows = np.zeros(len(last)), np.arange(len(last))
    for layer in sorted(range(len(after)), key=lambda i: after[i].shape[1]):
        x, y = before[layer], after[layer]
        change = y - x if len(rows) == len(last) else take(y, rows) - take(x, rows)
        curvature = _curvature(machine, layer + 1)
        if curvature is not None:
            change *= curvature**0.5
        xp = namespace(change)
        # Two readings take less time than to write absolute values.
        for furthest in (xp.max(change, axis=-1), -xp.min(change, axis=-1)):
            moved[rows] = np.maximum(moved[rows], to_numpy(furthest))
        rows = rows[(moved[rows] <= tolerance) | last[rows]]
        if not len(rows):
            break
    return moved


def _curvature(machine: Machine, layer: int) -> Array | None:
    """Of real-valued columns: their moves count in standard deviations, and 1 for others."""
    curvature = machine.units[layer].curvature(machine.par[layer])
    if curvature is None:
        return None
    xp = namespace(curvature)
    return xp.where(curvature > 0, curvature, xp.ones_like(curvature))


def _means(machine: Machine, fields: States) -> States:
    hidden = zip(machine.units, machine.par, fields, strict=True)
    return [None if field is None else unit.mean(field, par) for unit, par, field in hidden]


_TOLERANCE = 1e-4
_MAX_SWEEPS = 500


def fill_in(machine: Machine, v: Array, max_sweeps: int = _MAX_SWEEPS) -> Array:
    """Rows whose missing entries, NaN, are their mean field given the others.

    Coordinate ascent on the bound of log p(known entries), the odd layers and the even ones in
    turn, v_i = E[v_i | h_1] among these. Each row stops when no entry of its even layers moves
    by more than a ten-thousandth of the unit's spread, whatever the other rows of its batch do.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n_rows, n_0)
    max_sweeps : int
    """
    missing = np.isnan(v)
    v = np.where(missing, machine.means([0], [None, machine.neutral(1)])[0], v)
    active = np.flatnonzero(missing.any(axis=1))
    states, _ = settle(machine, v[active], 0)
    for _ in range(max_sweeps):
        if not len(active):
            break
        before = states
        states = machine.means(machine.odd, before)
        states = machine.means(machine.even, states)
        states[0] = np.where(missing[active], states[0], before[0])
        v[active] = states[0]
        moving = np.zeros(len(active), dtype=bool)
        for layer in machine.even:
            curvature = _curvature(machine, layer)
            spread = 1.0 if curvature is None else curvature**-0.5
            moved = np.abs(states[layer] - before[layer])
            moving |= (moved > _TOLERANCE * spread).any(axis=1)
        active, states = active[moving], [x[moving] for x in states]
    return v
