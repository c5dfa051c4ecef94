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

from typing import NamedTuple

import numpy as np

from ._array_api import Array, namespace, take, times_transposed, to_numpy
from ._machine import Machine, States

# Rows that are swept together, at least half and at most one and a half times as many.
_ROWS = 512


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
    if len(machine.W) == 1 or max_sweeps == 0:
        fields = _upwards(machine, _received(machine, v))
        n_rows, residual = v.shape[0], 0.0 if len(machine.W) == 1 else np.nan
        return MeanField(fields, np.zeros(n_rows, dtype=int), np.full(n_rows, residual))
    n_rows = v.shape[0]
    n_sweeps, residual = np.zeros(n_rows, dtype=int), np.zeros(n_rows)
    order, parts, begin = [np.arange(0)], [_upwards(machine, _received(machine, v[:0, :]))], 0
    pending, received, states = np.arange(0), None, None
    while len(pending) or begin < n_rows:
        if begin < n_rows and len(pending) <= _ROWS // 2:
            # Rows that have arrived make room for others: the working set stays in the cache,
            # and the products have many rows until the last of them.
            rows = np.arange(begin, min(begin + _ROWS, n_rows))
            begin += _ROWS
            more = _received(machine, v[rows[0] : rows[-1] + 1, :])
            new = _means(machine, _upwards(machine, more))
            received = _joined([received], [more])[0] if len(pending) else more
            states = _joined(states, new) if len(pending) else new
            pending = np.concatenate([pending, rows])
        before = states
        fields, states = _sweep(machine, received, states, damping)
        moved = _moved(machine, before, states) / (1 - damping)
        n_sweeps[pending] += 1
        done = (moved <= tolerance) | (n_sweeps[pending] == max_sweeps)
        if not done.any():
            continue
        ready, left = np.flatnonzero(done), np.flatnonzero(~done)
        order.append(pending[ready])
        parts.append(_taken(fields, ready))
        residual[pending[ready]] = moved[ready]
        pending, received = pending[left], take(received, left)
        states = _taken(states, left)
    back, joined = np.argsort(np.concatenate(order)), [None]
    for layer in range(1, len(machine.par)):
        field = namespace(parts[0][layer]).concat([part[layer] for part in parts])
        joined.append(take(field, back))
    return MeanField(joined, n_sweeps, residual)


def settle(machine: Machine, v: Array, n_sweeps: int) -> States:
    """The even layers after a fixed number of sweeps, the visible one as it is.

    The odd ones, which follow from these, are ``None``.
    """
    if len(machine.W) == 1:
        return [v, None]
    received = _received(machine, v)
    states = _means(machine, _upwards(machine, received))
    for _ in range(n_sweeps):
        _, states = _sweep(machine, received, states)
    return [v, *(x if layer % 2 == 0 else None for layer, x in enumerate(states[1:], 1))]


def means_below(machine: Machine, layer: int, states: Array) -> States:
    """Mean field of the layers below ``layer``, from the visible one up, given its states."""
    below = range(layer - 1, -1, -1)
    turned = Machine(
        machine.units[layer::-1], machine.par[layer::-1], [machine.W[i].T for i in below]
    )
    if layer == 1:
        return machine.means([0], [None, states])[:1]
    return mean_field(turned, states).means(turned)[:0:-1]


def free_energy_bound(machine: Machine, states: States) -> Array:
    """Upper bound on the free energy of each row, shape (n_rows,).

    The free energy itself in a machine with one hidden layer; above, the odd layers are summed
    out given the means of the even ones, whose entropy counts.
    """
    energy = machine.free_energy(states)
    for layer in machine.even[1:]:
        unit = machine.units[layer]
        entropy = unit.conditional_entropy(states[layer], machine.par[layer])
        if unit.continuous:
            # The energy of a real-valued unit at its mean lacks that of its deviations from it.
            entropy = entropy - 0.5
        energy = energy - namespace(entropy).sum(entropy, axis=-1)
    return energy


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
            field = times_transposed(states[2], machine.W[1])
            field += received
        else:
            field = machine.field(layer, states)
        mean = machine.units[layer].mean(field, machine.par[layer])
        if damping:
            mean = damping * states[layer] + (1 - damping) * mean
        fields[layer], states[layer] = field, mean
    return fields, states


def _moved(machine: Machine, before: States, after: States) -> np.ndarray:
    """How far any mean of a row moved, at most."""
    largest = []
    for layer in range(1, len(after)):
        x = after[layer] - before[layer]
        xp, unit = namespace(x), machine.units[layer]
        if unit.continuous:
            x = x * unit.curvature(machine.par[layer]) ** 0.5
        largest.append(to_numpy(xp.max(xp.abs(x), axis=-1)))
    return np.max(np.stack(largest).astype(np.float64), axis=0)


def _means(machine: Machine, fields: States) -> States:
    hidden = zip(machine.units, machine.par, fields, strict=True)
    return [None if field is None else unit.mean(field, par) for unit, par, field in hidden]


def _joined(first: States, second: States) -> States:
    pairs = zip(first, second, strict=True)
    return [None if x is None else namespace(x).concat([x, y]) for x, y in pairs]


def _taken(states: States, index: np.ndarray) -> States:
    return [None if x is None else take(x, index) for x in states]
