"""Missing entries of rows, filled by the mean field given the observed ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._machine import Machine
from ._mean_field import MAX_SWEEPS, TOLERANCE, mean_field_sweeps, real_curvature
from ._weights import PathwayWeights, blocks


def fill_in(machine: Machine, v: np.ndarray, max_sweeps: int = MAX_SWEEPS) -> np.ndarray:
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
    missing = np.isnan(v)
    v = np.where(missing, machine.means([0], [None, machine.neutral(1)])[0], v)
    active = np.flatnonzero(missing.any(axis=1))
    states, _ = mean_field_sweeps(machine, v[active], 0)
    for _ in range(max_sweeps):
        if not len(active):
            break
        before = states
        states = machine.means(machine.odd, before)
        states = machine.means(machine.even, states)
        states[0] = np.where(missing[active], states[0], before[0])
        v[active] = states[0]
        changed = np.zeros(len(active), dtype=bool)
        for layer in machine.even:
            curvature = real_curvature(machine, layer)
            scale = 1.0 if curvature is None else curvature**-0.5
            change = np.abs(states[layer] - before[layer])
            changed |= (change > TOLERANCE * scale).any(axis=1)
        active, states = active[changed], [x[changed] for x in states]
    return v


def fill_stack(machines: Sequence[Machine], v: np.ndarray) -> list[np.ndarray]:
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
        found.append(fill_in(machine, v) if np.isnan(v).any() else v)
        if not lacks.any() or machine is machines[-1]:
            break
        v = machine.means([1], [found[-1], None])[1]
        for (_, _, above), rows in zip(blocks(machine.W[0]), lacks.T, strict=True):
            v[rows, above] = np.nan
        lacking.append(lacks)
    for layer in range(len(found) - 2, -1, -1):
        machine = machines[layer]
        given = machine.means([0], [None, found[layer + 1]])[0]
        for (_, below, _), rows in zip(blocks(machine.W[0]), lacking[layer].T, strict=True):
            found[layer][rows, below] = given[rows, below]
    return found


def lacking_pathways(machine: Machine, v: np.ndarray) -> np.ndarray:
    """Which separate pathways have no observed entry in rows, (n_rows, n_pathways).

    Without pathways in its first layer, a machine has (n_rows, 0).
    """
    if not isinstance(machine.W[0], PathwayWeights):
        return np.zeros((len(v), 0), dtype=bool)
    missing = np.isnan(v)
    columns = [missing[:, below].all(axis=1) for _, below, _ in blocks(machine.W[0])]
    return np.stack(columns, axis=1)
