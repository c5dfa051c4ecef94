"""Update rules of machines.

``start(machine)`` gives the velocity of a rule with momentum; ``update(machine, ascent,
velocity)`` changes the parameters in place, where ``ascent`` is the gradient times the learning
rate; ``shrink(machine, step)`` applies the weight decay of updates whose learning rates sum to
``step``.
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
        for x, dx in zip(machine.arrays(), self.steps(ascent, velocity), strict=True):
            x += dx
        machine.project()

    def shrink(self, machine: Machine, step: float) -> None:
        if self.decay:
            for W in machine.matrices:
                W *= 1.0 - step * self.decay

    def steps(self, ascent: Machine, velocity: Machine | None) -> list[Array]:
        """The step of each parameter."""
        return ascent.arrays()


class MomentumAscent(Ascent):
    """u = momentum u + step gradient; x += u."""

    def __init__(self, momentum: float, decay: float = 0.0):
        super().__init__(decay)
        self.momentum = momentum

    def start(self, machine: Machine) -> Machine:
        return machine.map(lambda x: namespace(x).zeros_like(x))

    def steps(self, ascent: Machine, velocity: Machine | None) -> list[Array]:
        pairs = zip(velocity.arrays(), ascent.arrays(), strict=True)
        return [accumulate(u, dx, self.momentum) for u, dx in pairs]
