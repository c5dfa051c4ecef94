"""Units with the states -1 and +1, as in the Ising model."""

from __future__ import annotations

import numpy as np

from .._array_api import Array, namespace, softplus
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable, total


class Spin(UnitType):
    """States -1 and +1; energy -a x."""

    name = "spin"
    support = (-1.0, 1.0)

    def independent(self, moments: UnitMoments) -> Array:
        # The clip keeps the bias of a constant column finite.
        xp = namespace(moments.mean)
        return xp.atanh(xp.clip(moments.mean, -0.998, 0.998))[None, :]

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        return -(x @ par[0, :])

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        # log(exp(-f) + exp(f)), without overflow.
        return total(softplus(2 * field) - field, observed)

    def mean(self, field: Array, par: Array) -> Array:
        return namespace(field).tanh(field)

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        mean = self.mean(field, par) if mean is None else mean
        return 1 - mean * mean

    def mode(self, field: Array, par: Array) -> Array:
        return 2 * namespace(field).astype(field > 0, field.dtype) - 1

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        return 2 * rng.bernoulli_logit(2 * field) - 1

    def present(self, x: Array, rng: Stream) -> Array:
        # Values between the two states give probabilities, as grey levels do.
        return 2 * rng.bernoulli(0.5 * (1 + x)) - 1

    def states(self, n: int) -> list[Variable]:
        values = np.array([[-1.0], [1.0]])
        return [Variable(np.array([column]), values) for column in range(n)]

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        average = namespace(field).mean(self.mean(field, par), axis=0)
        return average < -0.98, average > 0.98
