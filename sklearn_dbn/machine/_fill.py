"""Missing entries of rows, filled by the mean field given the observed ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._array_api import Array, device, namespace, put, rows_where, take, to_numpy
from ._machine import Machine
from ._mean_field import MAX_SWEEPS, TOLERANCE, mean_field_sweeps, real_curvature
from ._weights import PathwayWeights, blocks


def fill_in(machine: Machine, v: Array, max_sweeps: int = MAX_SWEEPS) -> Array:
    """Rows whose missing entries, NaN, are their mean field given the observed ones.

    Coordinate ascent on the bound of log p(observed entries), the odd layers and the even ones
    in turn, v_i = E[v_i | h_1] among these. Each row stops on its own, when no entry of its
    even layers changes by more than 1e-4, in standard deviations for real-valued units.

    Parameters
    ----------
    machine : Machine
    v : array of shape (n_rows, n_0)
    max_sweeps : int
    """
    xp, missing = namespace(v), namespace(v).isnan(v)
    v = xp.where(missing, machine.means([0], [None, machine.neutral(1)])[0], v)
    active = rows_where(missing)
    missing = take(missing, active)
    states, _ = mean_field_sweeps(machine, take(v, active), 0)
    for _ in range(max_sweeps):
        if not len(active):
            break
        before = states
        states = machine.means(machine.odd, before)
        states = machine.means(machine.even, states)
        states[0] = xp.where(missing, states[0], before[0])
        put(v, active, states[0])
        changed = np.zeros(len(active), dtype=bool)
        for layer in machine.even:
            curvature = real_curvature(machine, layer)
            scale = 1.0 if curvature is None else curvature**-0.5
            change = xp.abs(states[layer] - before[layer])
            changed[rows_where(change > TOLERANCE * scale)] = True
        left = np.flatnonzero(changed)
        active, missing = active[left], take(missing, left)
        states = [None if x is None else take(x, left) for x in states]
    return v


def fill_stack(machines: Sequence[Machine], v: Array) -> list[Array]:
    """Visible states of the lowest machines of a stack, with gaps filled by the mean field.

    Entries of a pathway with others that are observed are filled by the lowest machine. Of a
    pathway without any, nothing is known below the layer that joins it to others: its hidden
    units are missing entries of the machine of that layer, and means given the layer above in
    the machines below it.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
    v : array of shape (n_rows, n_0)
        NaN for missing entries.

    Returns
    -------
    states : list of arrays of shape (n_rows, n_l)
        Of the lowest machine, and of those above it up to the one that joins the pathways, if a
        row lacks one. The states of all others are means given the layer below.
    """
    found, lacking = [], []
    for machine in machines:
        lacks = lacking_pathways(machine, v)
        xp = namespace(v)
        found.append(fill_in(machine, v) if bool(xp.any(xp.isnan(v))) else v)
        if not lacks.any() or machine is machines[-1]:
            break
        v = machine.means([1], [found[-1], None])[1]
        for (_, _, above), rows in zip(blocks(machine.W[0]), lacks.T, strict=True):
            rows = xp.asarray(rows[:, None], device=device(v))
            v[:, above] = xp.where(
                rows, xp.asarray(math.nan, dtype=v.dtype, device=device(v)), v[:, above]
            )
        lacking.append(lacks)
    for layer in range(len(found) - 2, -1, -1):
        machine = machines[layer]
        given = machine.means([0], [None, found[layer + 1]])[0]
        for (_, below, _), rows in zip(blocks(machine.W[0]), lacking[layer].T, strict=True):
            rows = xp.asarray(rows[:, None], device=device(given))
            states = found[layer]
            states[:, below] = xp.where(rows, given[:, below], states[:, below])
    return found


def lacking_pathways(machine: Machine, v: Array) -> np.ndarray:
    """Which separate pathways have no observed entry in rows, (n_rows, n_pathways).

    Without pathways in its first layer, a machine has (n_rows, 0).
    """
    if not isinstance(machine.W[0], PathwayWeights):
        return np.zeros((v.shape[0], 0), dtype=bool)
    xp = namespace(v)
    missing = xp.isnan(v)
    columns = [xp.all(missing[:, below], axis=1) for _, below, _ in blocks(machine.W[0])]
    return np.stack([to_numpy(column) for column in columns], axis=1)
