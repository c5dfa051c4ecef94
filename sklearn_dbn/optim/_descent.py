"""Update rules of a descent on minibatches, over parameters of any shape.

``start(parameters)`` gives the state of a rule, and ``update(blocks, rate, state)`` moves the
parameters, in place and against the gradient, which it overwrites. `Descent` makes the blocks.

The gradient comes multiplied by ``scale(rate, state)``. That is a pass over the derivative of
the loss by the outputs, a few numbers a row, instead of one over all weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._array_api import Array
from ._momentum import accumulate

Arrays = Mapping[str, Array]

# Values that are moved together: they and all that they need stay in the cache of a core.
_BLOCK = 1 << 15
# Steps after which the lazily decayed sum of squares is scaled back.
_RESCALE_EVERY = 200


class Joined:
    """Arrays that lie one after the other in a single one, ``values``.

    Parameters
    ----------
    like : mapping of arrays
        Their names and shapes, and the dtype that they all have.
    value : float
        Of all elements at first.
    """

    def __init__(self, like: Arrays, value: float = 0.0):
        self.shapes = {name: x.shape for name, x in like.items()}
        dtype = next(iter(like.values())).dtype
        self.values = np.full(sum(x.size for x in like.values()), value, dtype=dtype)

    def views(self) -> dict[str, Array]:
        found, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = self.values[start:stop].reshape(shape)
            start = stop
        return found


@dataclass
class RuleState:
    """The state of a rule over all parameters, and its number of steps."""

    first: Joined
    second: Joined | None = None
    n_steps: int = 0

    @property
    def names(self) -> list[str]:
        return list(self.first.shapes)


class Block(NamedTuple):
    """Values that are moved together, of one parameter or of several.

    Attributes
    ----------
    first, second : arrays of shape (n_values,)
        The state of the rule for them; ``second`` is ``None`` where it has no use.
    gradient : array of shape (n_values,)
    parts : list of tuple
        Of each parameter: which of the values are its own, these values, and the factor on
        their learning rate.
    """

    first: Array
    second: Array | None
    gradient: Array
    parts: list[tuple[slice, Array, float]]


class Descent:
    """A rule and the arrays that it moves.

    The gradients of all parameters lie in one array, as the state of the rule does: a small
    parameter then costs few calls of its own.

    Parameters
    ----------
    rule : Adam or Momentum
    parameters : dict of arrays
        Contiguous.
    factors : dict of float
        On the learning rate of each.
    state : RuleState
        Of these parameters.

    Attributes
    ----------
    gradient : dict of arrays
        Where the gradient of each parameter is to be written.
    """

    def __init__(
        self, rule: Any, parameters: Arrays, factors: Mapping[str, float], state: RuleState
    ):
        self.rule, self.state = rule, state
        joined = Joined(parameters)
        self.gradient = joined.views()
        columns = [x and x.values for x in (state.first, state.second, joined)]
        self._blocks = []
        for start in range(0, len(joined.values), _BLOCK):
            block = [x if x is None else x[start : start + _BLOCK] for x in columns]
            self._blocks.append(Block(*block, []))
        begin = 0
        for name, x in parameters.items():
            end = begin + x.size
            for i in range(begin // _BLOCK, -(-end // _BLOCK)):
                start, stop = max(begin, i * _BLOCK), min(end, (i + 1) * _BLOCK)
                part = slice(start - i * _BLOCK, stop - i * _BLOCK)
                own = x.reshape(-1)[start - begin : stop - begin]
                self._blocks[i].parts.append((part, own, factors[name]))
            begin = end

    def scale(self, rate: float) -> float:
        """What the gradient of the next step is to be multiplied by."""
        return self.rule.scale(rate, self.state)

    def step(self, rate: float) -> None:
        """Move the parameters."""
        self.rule.update(self._blocks, rate, self.state)


class Momentum:
    """u = momentum u + rate gradient; x -= u.

    Parameters
    ----------
    momentum : float
    """

    def __init__(self, momentum: float):
        self.momentum = momentum

    def start(self, parameters: Arrays) -> RuleState:
        return RuleState(Joined(parameters))

    def scale(self, rate: float, state: RuleState) -> float:
        return rate

    def update(self, blocks: list[Block], rate: float, state: RuleState) -> None:
        state.n_steps += 1
        for u, _, g, parts in blocks:
            for part, _, factor in parts:
                if factor != 1:
                    g[part] *= factor
            accumulate(u, g, self.momentum)
            for part, x, _ in parts:
                x -= u[part]


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

    def start(self, parameters: Arrays) -> RuleState:
        return RuleState(Joined(parameters), Joined(parameters, self._floor))

    def scale(self, rate: float, state: RuleState) -> float:
        return self.beta_2 ** (-0.5 * (state.n_steps % _RESCALE_EVERY + 1))

    def update(self, blocks: list[Block], rate: float, state: RuleState) -> None:
        if state.n_steps and not state.n_steps % _RESCALE_EVERY:
            down = self.beta_2**_RESCALE_EVERY
            state.first.values *= math.sqrt(down)
            state.second.values *= down
            state.second.values += (1 - down) * self._floor
        state.n_steps += 1
        unbiased_1 = (1 - self.beta_1) / (1 - self.beta_1**state.n_steps)
        unbiased_2 = (1 - self.beta_2) / (1 - self.beta_2**state.n_steps)
        decay = self.beta_1 / math.sqrt(self.beta_2)
        step = rate * unbiased_1 / math.sqrt(unbiased_2)
        for m, v, g, parts in blocks:
            m *= decay
            m += g
            g *= g
            v += g
            np.sqrt(v, out=g)
            np.divide(m, g, out=g)
            g *= step
            for part, x, factor in parts:
                if factor != 1:
                    g[part] *= factor
                x -= g[part]
