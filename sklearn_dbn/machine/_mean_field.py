"""The mean field of the hidden layers, given the visible one.

The posterior of a machine with several hidden layers has no formula. Of all distributions in
which the units are independent, the one that gives the highest bound on log p(v) satisfies::

    x_l = mean(b_l + x_{l-1} W_{l-1} + x_{l+1} W_l'),  l = 1 .. L

(Salakhutdinov, Hinton 2009, AISTATS, PMLR 5:448-455). A sweep solves for the odd layers, then
for the even ones; each half raises the bound, so that sweeps converge. They start from one pass
upwards, in which each layer but the last counts the weighted states from below twice, in place
of those from above. With one hidden layer that pass gives the posterior, without a sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import Array, device, namespace, put, take, to_numpy
from ._machine import Machine, States, Unchanging
from ._weights import times

# Rows that are swept together.
_ROWS = 256
TOLERANCE, MAX_SWEEPS = 1e-4, 500


class MeanField(NamedTuple):
    """The mean field of each row, and how it was reached.

    Attributes
    ----------
    fields : list of arrays of shape (n_rows, n_l)
        The mean field is ``unit.mean`` of these; ``None`` for the visible layer.
    n_sweeps : int array of shape (n_rows,)
        After the first pass.
    residual : array of shape (n_rows,), float64
        The largest difference between a mean and the mean that its neighbours determined in the
        last sweep; in standard deviations for real-valued units. NaN without a sweep.
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
    tolerance: float = TOLERANCE,
    max_sweeps: int = MAX_SWEEPS,
    damping: float = 0.0,
) -> MeanField:
    """Sweep until no mean of a row changes by more than ``tolerance``.

    Each row stops on its own, and its result does not depend on the other rows.

    Parameters
    ----------
    machine : Machine
    v : array or CSR array of shape (n_rows, n_0)
    tolerance : float
        For real-valued units, in conditional standard deviations.
    max_sweeps : int
        0 gives the first pass alone.
    damping : float
        Share of the previous mean that a sweep keeps, in [0, 1).
    """
    n_rows, only = v.shape[0], len(machine.W) == 1
    n_sweeps, residual = np.zeros(n_rows, dtype=int), np.full(n_rows, 0.0 if only else np.nan)
    if only or max_sweeps == 0:
        return MeanField(_first_pass(machine, _from_visible(machine, v)), n_sweeps, residual)
    like = _from_visible(machine, v[:0, :])
    xp = namespace(like)
    found: States = [None]
    for par in machine.par[1:]:
        shape = (n_rows, par.shape[1])
        found.append(xp.empty(shape, dtype=like.dtype, device=device(like)))
    if n_rows > _ROWS:
        machine = Unchanging(machine.units, machine.par, machine.W)
    queue = _RowQueue(machine, v)
    swept, arrays = queue.next(_ROWS)
    while len(swept):
        from_visible, *before = arrays
        fields, states = _sweep(machine, from_visible, [None, *before], damping)
        n_sweeps[swept] += 1
        last = n_sweeps[swept] == max_sweeps
        change = _largest_change(machine, before, states[1:], tolerance * (1 - damping), last)
        change /= 1 - damping
        done = np.flatnonzero((change <= tolerance) | last)
        arrays = [from_visible, *states[1:]]
        if not len(done):
            continue
        for x, field in zip(found[1:], fields[1:], strict=True):
            put(x, swept[done], take(field, done))
        residual[swept[done]] = change[done]
        # Rows of the queue replace those that are done.
        while len(done) and queue:
            rows, new = queue.next(len(done))
            places, done = done[: len(rows)], done[len(rows) :]
            swept[places] = rows
            for x, y in zip(arrays, new, strict=True):
                put(x, places, y)
        if len(done):
            left = np.delete(np.arange(len(swept)), done)
            swept, arrays = swept[left], [take(x, left) for x in arrays]
    return MeanField(found, n_sweeps, residual)


class _RowQueue:
    """Rows that are not swept yet; the first pass is made for many at a time."""

    def __init__(self, machine: Machine, v: Array):
        self.machine, self.v = machine, v
        self.rows, self.begin, self.block = np.arange(0), 0, []

    def __bool__(self) -> bool:
        return len(self.rows) > 0 or self.begin < self.v.shape[0]

    def next(self, n: int) -> tuple[np.ndarray, list]:
        """Numbers of at most ``n`` rows, with their `_from_visible` and hidden means."""
        if not len(self.rows):
            end = min(self.begin + _ROWS, self.v.shape[0])
            from_visible = _from_visible(self.machine, self.v[self.begin : end, :])
            means = _means(self.machine, _first_pass(self.machine, from_visible))
            self.rows, self.block = np.arange(self.begin, end), [from_visible, *means[1:]]
            self.begin = end
        n = min(n, len(self.rows))
        rows, self.rows = self.rows[:n], self.rows[n:]
        block, self.block = [x[:n, :] for x in self.block], [x[n:, :] for x in self.block]
        return rows, block


def mean_field_sweeps(machine: Machine, v: Array, n_sweeps: int) -> tuple[States, States]:
    """States and fields of the even layers after a fixed number of sweeps.

    The states are ``v`` and the means of the layers above it. Those of the odd layers, which
    the even ones determine, are ``None``, as are their fields and that of the visible layer.
    """
    if len(machine.W) == 1:
        return [v, None], [None, None]
    from_visible = _from_visible(machine, v)
    fields = _first_pass(machine, from_visible)
    states = _means(machine, fields)
    for _ in range(n_sweeps):
        fields, states = _sweep(machine, from_visible, states)
    for layer in machine.odd:
        fields[layer] = states[layer] = None
    return [v, *states[1:]], fields


def means_below(machine: Machine, layer: int, states: Array) -> States:
    """Mean field of the layers below ``layer``, from the visible one up, given its states."""
    below = range(layer - 1, -1, -1)
    reversed_machine = Machine(
        machine.units[layer::-1], machine.par[layer::-1], [machine.W[i].T for i in below]
    )
    if layer == 1:
        return machine.means([0], [None, states])[:1]
    return mean_field(reversed_machine, states).means(reversed_machine)[:0:-1]


def free_energy_bound(machine: Machine, states: States, fields: States) -> Array:
    """Upper bound on the free energy of each row, shape (n_rows,).

    The free energy itself with one hidden layer; else the odd layers are summed out given the
    means of the even ones. With q the distribution of the units of a layer at the field f,
    and m its mean, E_q[-energy] + H(q) = a m + log_partition(f) - f m for all unit types: the
    rest of their energy is in the entropy too, and cancels.

    Parameters
    ----------
    machine : Machine
    states, fields : lists of arrays of shape (n_rows, n_l)
        As `mean_field_sweeps` returns them; entries of the odd layers are not used.
    """
    unit, par = machine.units[0], machine.par[0]
    bound = unit.energy(states[0], par)
    for layer in machine.odd:
        field = machine.field(layer, states)
        bound = bound - machine.units[layer].log_partition(field, machine.par[layer])
    for layer in machine.even[1:]:
        xp = namespace(fields[layer])
        # Both terms are much larger than their sum if units are nearly certain.
        mean, field, par = (
            xp.astype(x, xp.float64) for x in (states[layer], fields[layer], machine.par[layer])
        )
        term = machine.units[layer].log_partition(field, par)
        term -= xp.sum((field - par[0, :]) * mean, axis=-1)
        bound = bound - xp.astype(term, bound.dtype)
    return bound


def _from_visible(machine: Machine, v: Array) -> Array:
    """The part of the field of the first hidden layer that no sweep changes."""
    from_visible = times(v, machine.W[0])
    from_visible += machine.par[1][0, :]
    return from_visible


def _first_pass(machine: Machine, from_visible: Array) -> States:
    """Fields of one pass from the visible layer to the last one."""
    fields: States = [None]
    field = from_visible
    for layer, W in enumerate(machine.W[1:], start=1):
        unit, par = machine.units[layer], machine.par[layer]
        fields.append(2 * field - par[0, :])
        field = times(unit.mean(fields[layer], par), W)
        field += machine.par[layer + 1][0, :]
    return [*fields, field]


def _sweep(
    machine: Machine, from_visible: Array, states: States, damping: float = 0.0
) -> tuple[States, States]:
    """Fields and means of the hidden layers, odd ones first."""
    fields, states = [None] * len(states), list(states)
    for layer in (*machine.odd, *machine.even[1:]):
        if layer == 1:
            field = machine.from_above(1, states[2])
            field += from_visible
        else:
            field = machine.field(layer, states)
        mean = machine.units[layer].mean(field, machine.par[layer])
        if damping:
            mean = damping * states[layer] + (1 - damping) * mean
        fields[layer], states[layer] = field, mean
    return fields, states


def _largest_change(
    machine: Machine,
    before: Sequence[Array],
    after: Sequence[Array],
    tolerance: float,
    last: np.ndarray,
) -> np.ndarray:
    """The largest change of a mean of each row in the hidden layers, (n_rows,).

    Narrow layers are first. The wider ones are not compared for a row that has changed by more
    than ``tolerance``, unless it was swept for the ``last`` time.
    """
    largest, rows = np.zeros(len(last)), np.arange(len(last))
    for layer in sorted(range(len(after)), key=lambda i: after[i].shape[1]):
        x, y = before[layer], after[layer]
        change = y - x if len(rows) == len(last) else take(y, rows) - take(x, rows)
        curvature = real_curvature(machine, layer + 1)
        if curvature is not None:
            change *= curvature**0.5
        xp = namespace(change)
        # Maximum and minimum take less time than absolute values.
        for extreme in (xp.max(change, axis=-1), -xp.min(change, axis=-1)):
            largest[rows] = np.maximum(largest[rows], to_numpy(extreme))
        rows = rows[(largest[rows] <= tolerance) | last[rows]]
        if not len(rows):
            break
    return largest


def real_curvature(machine: Machine, layer: int) -> Array | None:
    """Curvature of real-valued columns, 1 for others; changes times its root are compared."""
    curvature = machine.units[layer].curvature(machine.par[layer])
    if curvature is None:
        return None
    xp = namespace(curvature)
    return xp.where(curvature > 0, curvature, xp.ones_like(curvature))


def _means(machine: Machine, fields: States) -> States:
    hidden = zip(machine.units, machine.par, fields, strict=True)
    return [None if field is None else unit.mean(field, par) for unit, par, field in hidden]
