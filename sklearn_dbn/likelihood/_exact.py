"""The partition function by enumeration.

Given the layers of one parity, the others are summed out by a formula, so that only one parity
is enumerated. Or the real-valued columns of all layers, which are normal given all others, are
integrated out together. A state is a number whose digits are the states of the variables. The
field of a layer that is summed out is a sum over digits: the terms of the low digits are
computed once, and each value of the high ones adds one vector to all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.linalg import solve_triangular

from .._array_api import Array, device, namespace, to_numpy
from ..machine import Machine, States, dense_weights
from ..units import Variable

# Size of a block of states: larger ones do not fit the processor's cache.
_BLOCK_BYTES = 2**19
_BLOCK_STATES = 2**16


def enumerable(machine: Machine) -> tuple[range | None, float]:
    """Layers to enumerate, and log2 of the number of states of their variables.

    The parity with the fewest states of those that can be listed; or all layers, with the
    real-valued columns integrated out. ``None`` if neither is possible.
    """
    layers, fewest = None, 0.0
    parities = [x for x in (machine.odd, machine.even) if _n_others(machine, x) == 0]
    whole = range(len(machine.par))
    for found in [*parities, *([whole] if _is_normal(machine) else [])]:
        n = _size(machine, found)
        if layers is None or n < fewest:
            layers, fewest = found, n
    return layers, fewest


def exact_log_partition(
    machine: Machine, *, max_units: int = 25, block_bytes: int = _BLOCK_BYTES
) -> float:
    """Log of the partition function, exact up to rounding, in float64.

    Parameters
    ----------
    machine : Machine
        The states of the even or of the odd layers can be listed, and are no more than those of
        ``max_units`` units of two states; or all columns that cannot be listed are normal given
        the others.
    max_units : int
        Each unit more doubles the time.
    block_bytes : int
        Approximate memory for the fields of one block.
    """
    machine = machine.map(lambda x: namespace(x).astype(x, namespace(x).float64))
    layers, size = enumerable(machine)
    if layers is None or size > max_units:
        raise ValueError(_not_enumerable(machine, max_units))
    total = _Sum()
    whole = layers == range(len(machine.par))
    for logs in (_normal if whole else _independent)(machine, layers, block_bytes):
        total.add(logs)
    return total.log


def _independent(machine: Machine, layers: range, block_bytes: int) -> Iterator[Array]:
    """Log of the sum over the other parity, for all states of ``layers``, in blocks."""
    summed = machine.even if layers == machine.odd else machine.odd
    table = _Table(machine, layers)
    n_low = math.prod(_first(table.sizes, _n_fit(machine, summed, block_bytes)))
    n_high = math.prod(table.sizes) // n_low

    def at(numbers: np.ndarray) -> tuple[list[Array], Array]:
        states = table(numbers)
        energy = sum(machine.units[i].energy(states[i], machine.par[i]) for i in layers)
        return [machine.field(layer, states) for layer in summed], energy

    fields, energy = at(np.arange(n_low))
    origin = at(np.zeros(1, dtype=np.int64))
    for begin in range(0, n_high, n_low):
        high = np.arange(begin, min(begin + n_low, n_high)) * n_low
        shifts, high_energy = at(high)
        shifts = [a - b for a, b in zip(shifts, origin[0], strict=True)]
        high_energy = high_energy - origin[1]
        for row in range(len(high)):
            log_p = -(energy + high_energy[row])
            for layer, field, shift in zip(summed, fields, shifts, strict=True):
                unit, par = machine.units[layer], machine.par[layer]
                log_p += unit.log_partition(field + shift[row, :], par)
            yield log_p


def _normal(machine: Machine, layers: range, block_bytes: int) -> Iterator[Array]:
    """Log of the integral over all columns that are not listed, for all states of the others.

    The integrand is exp(-x A x' / 2 + field x'), with the columns x of all layers side by side.
    """
    ends = np.cumsum([0, *(par.shape[1] for par in machine.par)])
    A = np.zeros((ends[-1], ends[-1]))
    unlisted = np.ones(ends[-1], dtype=bool)
    for layer, curvature in enumerate(machine.curvatures()):
        here = slice(ends[layer], ends[layer + 1])
        if curvature is not None:
            A[here, here] = np.diag(to_numpy(curvature))
        for variable in _variables(machine, layer):
            unlisted[ends[layer] + variable.columns] = False
        if layer < len(machine.W):
            above = slice(ends[layer + 1], ends[layer + 2])
            A[here, above] = -to_numpy(dense_weights(machine.W[layer]))
            A[above, here] = A[here, above].T
    try:
        root = np.linalg.cholesky(A[np.ix_(unlisted, unlisted)])
    except np.linalg.LinAlgError:
        raise ValueError(
            "machine has no partition function: its weights between real-valued layers are "
            "too large; make them smaller, as Machine.project does."
        ) from None
    constant = 0.5 * len(root) * math.log(2 * math.pi) - np.sum(np.log(np.diag(root)))
    table = _Table(machine, layers)
    n_states, n_block = math.prod(table.sizes), _n_fit(machine, layers, block_bytes)
    for begin in range(0, n_states, n_block):
        states = table(np.arange(begin, min(begin + n_block, n_states)))
        theta = [to_numpy(machine.field(layer, states)) for layer in layers]
        theta = np.concatenate(theta, axis=1)[:, unlisted]
        z = solve_triangular(root, theta.T, lower=True)
        # Columns that are not listed are 0 here, and their energy is 0.
        yield 0.5 * np.sum(z * z, axis=0) + constant - to_numpy(machine.energy(states))


class _Table:
    """States of some layers given by their numbers, with 0 in columns that are not listed."""

    def __init__(self, machine: Machine, layers: Sequence[int]):
        self.machine, self.layers = machine, layers
        self.variables = [_variables(machine, layer) for layer in layers]
        self.sizes = [len(x.values) for listed in self.variables for x in listed]

    def __call__(self, numbers: np.ndarray) -> States:
        states: States = [None] * len(self.machine.par)
        for layer, variables in zip(self.layers, self.variables, strict=True):
            par = self.machine.par[layer]
            x = np.zeros((len(numbers), par.shape[1]))
            for variable in variables:
                numbers, digit = np.divmod(numbers, len(variable.values))
                x[:, variable.columns] = variable.values[digit]
            states[layer] = namespace(par).asarray(x, device=device(par))
        return states


class _Sum:
    """Log of a sum of exponentials that are added in blocks."""

    def __init__(self) -> None:
        self.top, self.sum = -math.inf, 0.0

    def add(self, logs: Array) -> None:
        xp = namespace(logs)
        top = max(self.top, float(xp.max(logs)))
        self.sum *= math.exp(self.top - top)
        self.sum += float(xp.sum(xp.exp(logs - top)))
        self.top = top

    @property
    def log(self) -> float:
        return self.top + math.log(self.sum)


def _variables(machine: Machine, layer: int) -> list[Variable]:
    return machine.units[layer].states(machine.par[layer].shape[1])


def _n_others(machine: Machine, layers: Sequence[int]) -> int:
    """The number of columns of ``layers`` whose states cannot be listed."""
    listed = sum(len(x.columns) for layer in layers for x in _variables(machine, layer))
    return _count(machine, layers) - listed


def _is_normal(machine: Machine) -> bool:
    """Whether the columns that are not listed are normal, given those that are."""
    return all(
        unit.quadratic or _n_others(machine, [layer]) == 0
        for layer, unit in enumerate(machine.units)
    )


def _size(machine: Machine, layers: Sequence[int]) -> float:
    sizes = [len(x.values) for layer in layers for x in _variables(machine, layer)]
    return math.log2(math.prod(sizes))


def _first(sizes: Sequence[int], most: int) -> list[int]:
    """The first ``sizes``, as many as have a product of at most ``most``."""
    found: list[int] = []
    for size in sizes:
        if math.prod(found) * size > most:
            break
        found.append(size)
    return found


def _n_fit(machine: Machine, layers: Sequence[int], block_bytes: int) -> int:
    """The number of states for which the fields of ``layers`` are computed together."""
    width = max(machine.par[layer].shape[1] for layer in layers)
    return min(max(block_bytes // (8 * width), 1), _BLOCK_STATES)


def _count(machine: Machine, layers: range) -> int:
    return sum(machine.par[layer].shape[1] for layer in layers)


def _not_enumerable(machine: Machine, max_units: int) -> str:
    sizes = " and ".join(
        f"{_count(machine, parity)} {name} "
        f"({', '.join(machine.units[layer].name for layer in parity)})"
        for name, parity in (("even", machine.even), ("odd", machine.odd))
    )
    return (
        f"machine has {sizes} units, and an exact sum needs at most max_units={max_units} in "
        "the even or the odd layers, none of them real-valued; use annealing instead."
    )
