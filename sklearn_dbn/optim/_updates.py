"""Update rules of machines: how a gradient moves the parameters.

``start(machine)`` gives the velocity of a rule with momentum; ``update(machine, ascent,
velocity)`` moves the parameters in place, where ``ascent`` is the gradient times the step; and
``shrink(machine, step)`` applies the L2 penalty, on the weights only, of steps of that length.
"""

from __future__ import annotations

from .._array_api import Array, namespace
from ..machine import Machine
from ._momentum import accumulate


class Ascent:
    """x += step * gradient, and W -= step * decay W."""

    def __init__(self, decay: float = 0.0):
        self.decay = decay

    def start(self, machine: Machine) -> Machine | None:
        return None

    def update(self, machine: Machine, ascent: Machine, velocity: Machine | None) -> None:
        moves = self.displacement(ascent, velocity)
        for x, dx in zip(machine.arrays(), moves, strict=True):
            x += dx
        machine.project()

    def shrink(self, machine: Machine, step: float) -> None:
        if self.decay:
            for W in machine.W:
                W *= 1.0 - step * self.decay

    def displacement(self, ascent: Machine, velocity: Machine | None) -> list[Array]:
        """How far each parameter moves."""
        return ascent.arrays()


class MomentumAscent(Ascent):
    """u = momentum u + step gradient; x += u."""

    def __init__(self, momentum: float, decay: float = 0.0):
        super().__init__(decay)
        self.momentum = momentum

    def start(self, machine: Machine) -> Machine:
        return machine.map(lambda x: namespace(x).zeros_like(x))

    def displacement(self, ascent: Machine, velocity: Machine | None) -> list[Array]:
        pairs = zip(velocity.arrays(), ascent.arrays(), strict=True)
        return [accumulate(u, dx, self.momentum) for u, dx in pairs]
