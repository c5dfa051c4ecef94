"""The partition function by summing over all states of every other layer.

Given the layers of one parity, the other is summed out by a formula, so that only one has to
be enumerated. The states of ``n`` units are the numbers from 0 to 2^n - 1 in binary digits.
A field is a sum over digits: those of the low digits are computed once, and each value
of the high ones adds the same vector to all of them.
"""

from __future__ import annotations

import math

import numpy as np

from .._array_api import Array, device, namespace, to_numpy
from ..machine import Machine, States

# What one pass works on. More would leave the cache, and less would be mostly calls.
_BLOCK_BYTES = 2**19
_BLOCK_BITS = 16


def enumerable(machine: Machine) -> tuple[range | None, int]:
    """The parity with the fewest units of those with finite support, and that number."""
    layers, fewest = None, 0
    for parity in (machine.odd, machine.even):
        n = _count(machine, parity)
        finite = not any(machine.units[layer].continuous for layer in parity)
        if finite and (layers is None or n < fewest):
            layers, fewest = parity, n
    return layers, fewest


def has_closed_form(machine: Machine) -> bool:
    """Whether all layers together have a normal distribution."""
    return all(unit.continuous and math.isinf(unit.support[1]) for unit in machine.units)


def exact_log_partition(
    machine: Machine, *, max_units: int = 25, block_bytes: int = _BLOCK_BYTES
) -> float:
    """Log of the partition function, to rounding, in float64.

    Parameters
    ----------
    machine : Machine
        The even layers, or the odd ones, have no real-valued units and at most ``max_units``
        units together; or all layers are real-valued.
    max_units : int
        Each unit more doubles the time.
    block_bytes : int
        About how much memory the fields of one pass take.
    """
    machine = machine.map(lambda x: namespace(x).astype(x, namespace(x).float64))
    if has_closed_form(machine):
        return _gaussian(machine)
    layers, n_units = enumerable(machine)
    if layers is None or n_units > max_units:
        raise ValueError(_refusal(machine, max_units))
    summed = machine.even if layers == machine.odd else machine.odd
    width = max(machine.par[layer].shape[1] for layer in summed)
    fit = int(math.log2(max(block_bytes // (8 * width), 1)))
    n_low = min(n_units, fit, _BLOCK_BITS)
    table = _Table(machine, layers, summed, n_units)
    fields, energy = table(np.arange(2**n_low))
    origin = table(np.zeros(1, dtype=np.int64))
    total = _Sum()
    xp = namespace(energy)
    for begin in range(0, 2 ** (n_units - n_low), 2**n_low):
        high = np.arange(begin, min(begin + 2**n_low, 2 ** (n_units - n_low))) << n_low
        shifts, high_energy = table(high)
        shifts = [a - b for a, b in zip(shifts, origin[0], strict=True)]
        high_energy = high_energy - origin[1]
        for row in range(len(high)):
            log_p = -(energy + high_energy[row])
            for layer, field, shift in zip(summed, fields, shifts, strict=True):
                unit, par = machine.units[layer], machine.par[layer]
                log_p += xp.sum(unit.log_partition(field + shift[row, :], par), axis=-1)
            total.add(log_p)
    return total.log


class _Table:
    """Fields of the summed layers, and energies, of states given by their numbers."""

    def __init__(self, machine: Machine, layers: range, summed: range, n_units: int):
        self.machine, self.layers, self.summed = machine, layers, summed
        self.digits = np.arange(n_units)

    def __call__(self, numbers: np.ndarray) -> tuple[list[Array], Array]:
        bits = ((numbers[:, None] >> self.digits) & 1).astype(np.float64)
        states: States = [None] * len(self.machine.par)
        energy: Array = 0.0
        start = 0
        for layer in self.layers:
            unit, par = self.machine.units[layer], self.machine.par[layer]
            low, high = unit.support
            x = low + (high - low) * bits[:, start : start + par.shape[1]]
            start += par.shape[1]
            states[layer] = namespace(par).asarray(x, device=device(par))
            energy = energy + unit.energy(states[layer], par)
        return [self.machine.field(layer, states) for layer in self.summed], energy


class _Sum:
    """Log of a sum of exponentials, one block after the other."""

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


def _gaussian(machine: Machine) -> float:
    """Integral of exp(-x A x' / 2 + theta x') over all layers side by side."""
    ends = np.cumsum([0, *(par.shape[1] for par in machine.par)])
    A = np.zeros((ends[-1], ends[-1]))
    for layer, par in enumerate(machine.par):
        here = slice(ends[layer], ends[layer + 1])
        A[here, here] = np.diag(to_numpy(machine.units[layer].curvature(par)))
        if layer < len(machine.W):
            above = slice(ends[layer + 1], ends[layer + 2])
            A[here, above] = -to_numpy(machine.W[layer])
            A[above, here] = A[here, above].T
    theta = np.concatenate([to_numpy(par[0, :]) for par in machine.par])
    try:
        root = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        raise ValueError(
            "machine has no partition function: its weights between real-valued layers are "
            "too large; make them smaller, as Machine.project does."
        ) from None
    z = np.linalg.solve(root, theta)
    return float(
        0.5 * (z @ z + len(theta) * math.log(2 * math.pi)) - np.sum(np.log(np.diag(root)))
    )


def _count(machine: Machine, layers: range) -> int:
    return sum(machine.par[layer].shape[1] for layer in layers)


def _refusal(machine: Machine, max_units: int) -> str:
    sizes = " and ".join(
        f"{_count(machine, parity)} {name} "
        f"({', '.join(machine.units[layer].name for layer in parity)})"
        for name, parity in (("even", machine.even), ("odd", machine.odd))
    )
    return (
        f"machine has {sizes} units, and an exact sum needs at most max_units={max_units} in "
        "the even or the odd layers, none of them real-valued; use annealing instead."
    )
