"""Update rules of a descent on minibatches, for parameters of any shape.

``start(parameters)`` gives the state of a rule, and ``update(segments, rate, state)`` changes
the parameters in place, against the gradient, which it overwrites.

The caller multiplies the gradient by ``scale(rate, state)``, through the derivative of the loss
by the outputs: that is a few numbers for each row, instead of all weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._array_api import Array, device, divide_by_root, namespace
from ._momentum import accumulate

Arrays = Mapping[str, Array]

# NumPy values that are updated together: they, their gradient and state fit into the cache of
# a core. Other libraries update all values together, with fewer calls.
_SEGMENT_SIZE = 1 << 15
# Updates after which the lazily decayed sum of squares is rescaled.
_RESCALE_EVERY = 200


class Joined:
    """Arrays that are stored one after the other in a single one, ``values``.

    Parameters
    ----------
    like : mapping of arrays
        They give the names, the shapes and the dtype, which is the same for all.
    value : float
        Initial value of all elements.
    """

    def __init__(self, like: Arrays, value: float = 0.0):
        self.shapes = {name: tuple(x.shape) for name, x in like.items()}
        first = next(iter(like.values()))
        size = sum(map(math.prod, self.shapes.values()))
        self.values = namespace(first).full(
            (size,), value, dtype=first.dtype, device=device(first)
        )

    def views(self) -> dict[str, Array]:
        xp, found, start = namespace(self.values), {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = xp.reshape(self.values[start:stop], shape)
            start = stop
        return found


@dataclass
class RuleState:
    """The optimiser state of all parameters, and the number of updates."""

    first: Joined
    second: Joined | None = None
    n_steps: int = 0

    @property
    def names(self) -> list[str]:
        return list(self.first.shapes)


class Segment(NamedTuple):
    """Values of one parameter or of several that are updated together.

    Attributes
    ----------
    first, second : arrays of shape (n_values,)
        Their optimiser state; ``second`` is ``None`` if the rule has none.
    gradient : array of shape (n_values,)
    parts : list of tuple
        For each parameter: its slice of the segment, its values as a view of the parameter,
        and the factor on their learning rate.
    """

    first: Array
    second: Array | None
    gradient: Array
    parts: list[tuple[slice, Array, float]]


class Descent:
    """A rule and the parameters that it updates.

    The gradients of all parameters are in one array, and so is the optimiser state: small
    parameters are updated together, with fewer calls.

    Parameters
    ----------
    rule : Adam or Momentum
    parameters : dict of arrays
        Contiguous.
    factors : dict of float
        Factors on the learning rate of each parameter.
    state : RuleState

    Attributes
    ----------
    gradient : dict of arrays
        The caller writes the gradient of each parameter here, times ``scale(rate)``. `step`
        applies the factors on the learning rates.
    """

    def __init__(
        self, rule: Any, parameters: Arrays, factors: Mapping[str, float], state: RuleState
    ):
        self.rule, self.state = rule, state
        joined = Joined(parameters)
        self.gradient = joined.views()
        columns = [x and x.values for x in (state.first, state.second, joined)]
        xp, n_values = namespace(joined.values), joined.values.shape[0]
        size = _SEGMENT_SIZE if xp is np else n_values
        self._segments = []
        for start in range(0, n_values, size):
            views = [x if x is None else x[start : start + size] for x in columns]
            self._segments.append(Segment(*views, []))
        begin = 0
        for name, x in parameters.items():
            end = begin + math.prod(x.shape)
            for i in range(begin // size, -(-end // size)):
                first = i * size
                start, stop = max(begin, first), min(end, first + size)
                # A view, as the parameters are contiguous.
                values = xp.reshape(x, (-1,))[start - begin : stop - begin]
                part = slice(start - first, stop - first)
                self._segments[i].parts.append((part, values, factors[name]))
            begin = end

    def scale(self, rate: float) -> float:
        """The factor by which the caller multiplies the gradient of the next update."""
        return self.rule.scale(rate, self.state)

    def step(self, rate: float) -> None:
        """Update the parameters."""
        self.rule.update(self._segments, rate, self.state)


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

    def update(self, segments: list[Segment], rate: float, state: RuleState) -> None:
        state.n_steps += 1
        for u, _, g, parts in segments:
            for part, _, factor in parts:
                if factor != 1:
                    g[part] *= factor
            accumulate(u, g, self.momentum)
            for part, x, _ in parts:
                x -= u[part]


class Adam:
    """Steps of about the learning rate (Kingma, Ba 2015, arXiv:1412.6980).

    The sum of squares decays lazily: instead of the old sum times beta_2, update t has its
    gradient times beta_2**(-t / 2), and the mean of gradients has the same scale. The sum
    starts at epsilon**2 / (1 - beta_2), so that no update has to add epsilon to the
    denominator; see docs/decisions/fine-tuning-step.md.

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

    def update(self, segments: list[Segment], rate: float, state: RuleState) -> None:
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
        for m, v, g, parts in segments:
            m *= decay
            m += g
            g *= g
            v += g
            divide_by_root(m, v, out=g)
            g *= step
            for part, x, factor in parts:
                if factor != 1:
                    g[part] *= factor
                x -= g[part]
