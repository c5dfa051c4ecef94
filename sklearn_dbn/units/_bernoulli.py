"""Units that are on or off."""

from __future__ import annotations

import numpy as np

from .._array_api import Array, namespace, sigmoid, softplus
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable, total


class Bernoulli(UnitType):
    """States 0 and 1; energy -a x."""

    name = "bernoulli"
    support = (0.0, 1.0)
    on_or_off = True

    def independent(self, moments: UnitMoments) -> Array:
        # The clip keeps the bias of a constant column finite.
        xp = namespace(moments.mean)
        p = xp.clip(moments.mean, 1e-3, 1 - 1e-3)
        return xp.log(p / (1 - p))[None, :]

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        return -(x @ par[0, :])

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        return total(softplus(field), observed)

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        xp = namespace(field)
        if mean is None or float(xp.max(back)) > 1 or float(xp.min(back)) < -1:
            # The formula below would multiply the rounding error of the mean by exp(back).
            return xp.sum(softplus(field) - softplus(field + back), axis=-1)
        # 1 + exp(field + back) = (1 + exp(field)) (1 + mean (exp(back) - 1)): with the mean,
        # needed for a draw anyway, two of the four exponentials and logarithms are saved.
        ratio = np.expm1(back, out=back) if xp is np else xp.expm1(back)
        ratio *= mean
        ratio += 1
        ratio = np.log(ratio, out=ratio) if xp is np else xp.log(ratio)
        # A product takes a third of the time of a sum.
        return -(ratio @ xp.ones_like(ratio[0, :]))

    def mean(self, field: Array, par: Array) -> Array:
        return sigmoid(field)

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        mean = sigmoid(field) if mean is None else mean
        return mean * (1 - mean)

    def mode(self, field: Array, par: Array) -> Array:
        return namespace(field).astype(field > 0, field.dtype)

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        return rng.bernoulli_logit(field) if mean is None else rng.bernoulli(mean)

    def present(self, x: Array, rng: Stream) -> Array:
        return rng.bernoulli(x)

    def states(self, n: int) -> list[Variable]:
        values = np.array([[0.0], [1.0]])
        return [Variable(np.array([column]), values) for column in range(n)]

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        activity = namespace(field).mean(sigmoid(field), axis=0)
        return activity < 0.01, activity > 0.99

    def uncertainty(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return _entropy(sigmoid(field) if mean is None else mean)

    def information(self, mean: Array, var: Array, uncertainty: Array) -> Array:
        return _entropy(mean) - uncertainty


def _entropy(p: Array) -> Array:
    xp, off = namespace(p), 1 - p
    tiny = xp.finfo(p.dtype).smallest_normal
    # p log p tends to 0 with p; the clip keeps the logarithm finite there.
    return -(p * xp.log(xp.clip(p, tiny, None)) + off * xp.log(xp.clip(off, tiny, None)))
