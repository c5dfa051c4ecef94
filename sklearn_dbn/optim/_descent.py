"""Update rules of a descent on minibatches, over parameters of any shape.

``start(parameters)`` gives the memory of a rule, and ``update(parameters, gradient, rate,
factors, memory)`` moves the parameters, in place and against the gradient, which it uses up.
All are dicts by the same names; ``factors`` holds one on ``rate`` for each of them.

The gradient comes multiplied by ``scale(rate, memory)``. That is a pass over the derivative of
the loss by the outputs, a few numbers a row, instead of one over all weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .._array_api import Array

Arrays = Mapping[str, Array]

# Values that are moved together: they and all that they need stay in the cache of a core.
_BLOCK = 1 << 15
# Steps after which the lazily decayed sum of squares is scaled back.
_RESCALE_EVERY = 200


@dataclass
class Memory:
    """What a rule remembers of each parameter, and for how many steps."""

    first: dict[str, Array]
    second: dict[str, Array]
    n_steps: int = 0


class Momentum:
    """u = momentum u - rate gradient; x += u.

    Parameters
    ----------
    momentum : float
    """

    def __init__(self, momentum: float):
        self.momentum = momentum

    def start(self, parameters: Arrays) -> Memory:
        return Memory({name: np.zeros_like(x) for name, x in parameters.items()}, {})

    def scale(self, rate: float, memory: Memory) -> float:
        return rate

    def update(
        self,
        parameters: Arrays,
        gradient: Arrays,
        rate: float,
        factors: Mapping[str, float],
        memory: Memory,
    ) -> None:
        memory.n_steps += 1
        for name, x in parameters.items():
            factor = factors[name]
            for u, g, part in _blocks(memory.first[name], gradient[name], x):
                u *= self.momentum
                if factor != 1:
                    g *= factor
                u -= g
                part += u


class Adam:
    """Steps of about the learning rate (Kingma, Ba 2015, arXiv:1412.6980).

    The sum of squares decays lazily: new gradients are multiplied by what the root of the old
    sum would have been divided by, and the mean of gradients is kept on the same scale. So the
    small number of the denominator can start that sum, and needs no pass of its own; see
    docs/decisions/fine-tuning-step.md.

    Parameters
    ----------
    beta_1, beta_2 : float
    epsilon : float
    """

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8):
        self.beta_1, self.beta_2 = beta_1, beta_2
        self._floor = epsilon**2 / (1 - beta_2)

    def start(self, parameters: Arrays) -> Memory:
        return Memory(
            {name: np.zeros_like(x) for name, x in parameters.items()},
            {name: np.full_like(x, self._floor) for name, x in parameters.items()},
        )

    def scale(self, rate: float, memory: Memory) -> float:
        return self.beta_2 ** (-0.5 * (memory.n_steps % _RESCALE_EVERY + 1))

    def update(
        self,
        parameters: Arrays,
        gradient: Arrays,
        rate: float,
        factors: Mapping[str, float],
        memory: Memory,
    ) -> None:
        if memory.n_steps and not memory.n_steps % _RESCALE_EVERY:
            down = self.beta_2**_RESCALE_EVERY
            for m, v in zip(memory.first.values(), memory.second.values(), strict=True):
                m *= math.sqrt(down)
                v *= down
                v += (1 - down) * self._floor
        memory.n_steps += 1
        unbiased_1 = (1 - self.beta_1) / (1 - self.beta_1**memory.n_steps)
        unbiased_2 = (1 - self.beta_2) / (1 - self.beta_2**memory.n_steps)
        decay = self.beta_1 / math.sqrt(self.beta_2)
        for name, x in parameters.items():
            step = rate * factors[name] * unbiased_1 / math.sqrt(unbiased_2)
            arrays = memory.first[name], memory.second[name], gradient[name], x
            for m, v, g, part in _blocks(*arrays):
                m *= decay
                m += g
                g *= g
                v += g
                np.sqrt(v, out=g)
                np.divide(m, g, out=g)
                g *= step
                part -= g


def _blocks(*arrays: Array) -> Iterator[list[Array]]:
    """The same parts of contiguous arrays, as views of one dimension."""
    flat = [x.reshape(-1) for x in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield [x[start : start + _BLOCK] for x in flat]
