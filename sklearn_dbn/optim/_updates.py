"""Update rules: what a gradient does to the parameters.

``start(machine)`` gives the rule's memory, ``update(machine, ascent, memory)`` moves the
parameters in place, ``ascent`` being the gradient times the step, and ``shrink(machine, step)``
takes the L2 penalty, on the weights only, for the steps since the last time.
"""

from __future__ import annotations

from .._array_api import Array, namespace
from ..machine import Machine


class Ascent:
    """x += step * gradient, and W -= step * decay W."""

    def __init__(self, decay: float = 0.0):
        self.decay = decay

    def start(self, machine: Machine) -> Machine | None:
        return None

    def update(self, machine: Machine, ascent: Machine, memory: Machine | None) -> None:
        moves = self.displacement(ascent, memory)
        for x, dx in zip(machine.arrays(), moves, strict=True):
            x += dx
        machine.project()

    def shrink(self, machine: Machine, step: float) -> None:
        if self.decay:
            for W in machine.W:
                W *= 1.0 - step * self.decay

    def displacement(self, ascent: Machine, memory: Machine | None) -> list[Array]:
        """How far each parameter moves."""
        return ascent.arrays()


class MomentumAscent(Ascent):
    """u = momentum u + step gradient; x += u (Polyak 1964, doi:10.1016/0041-5553(64)90137-5).

    The step is inside the sum, so that a momentum of 0.9 moves ten times as far as none.
    """

    def __init__(self, momentum: float, decay: float = 0.0):
        super().__init__(decay)
        self.momentum = momentum

    def start(self, machine: Machine) -> Machine:
        return machine.map(lambda x: namespace(x).zeros_like(x))

    def displacement(self, ascent: Machine, memory: Machine | None) -> list[Array]:
        velocity = memory.arrays()
        for u, dx in zip(velocity, ascent.arrays(), strict=True):
            u *= self.momentum
            u += dx
        return velocity
