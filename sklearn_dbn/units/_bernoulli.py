"""Units that are on or off."""

from __future__ import annotations

import numpy as np

from .._array_api import Array, namespace, sigmoid, softplus
from .._random import Stream


class Bernoulli:
    """States 0 and 1; energy -a x."""

    name = "bernoulli"
    n_par = 1
    support = (0.0, 1.0)
    neutral = 0.5
    continuous = False

    def independent(self, mean: Array, var: Array) -> Array:
        # The clip is the prior of a column that was never seen on, or never off.
        xp = namespace(mean)
        p = xp.clip(mean, 1e-3, 1 - 1e-3)
        return xp.log(p / (1 - p))[None, :]

    def energy(self, x: Array, par: Array) -> Array:
        return -(x @ par[0, :])

    def log_partition(self, field: Array, par: Array) -> Array:
        return softplus(field)

    def log_partition_change(
        self, field: Array, mean: Array, par: Array, back: Array, start_par: Array
    ) -> Array:
        xp = namespace(field)
        if float(xp.max(back)) > 1 or float(xp.min(back)) < -1:
            # What follows would multiply the rounding of the mean by exp of this.
            return xp.sum(softplus(field) - softplus(field + back), axis=-1)
        # 1 + exp(field + back) = (1 + exp(field)) (1 + mean (exp(back) - 1)): the mean, which a
        # draw needs in any case, spares two of the four exponentials and logarithms.
        ratio = np.expm1(back, out=back) if xp is np else xp.expm1(back)
        ratio *= mean
        ratio += 1
        ratio = np.log(ratio, out=ratio) if xp is np else xp.log(ratio)
        # A sum over rows in a third of the time.
        return -(ratio @ xp.ones_like(ratio[0, :]))

    def between(self, start: Array, end: Array, share: float) -> Array:
        return (1 - share) * start + share * end

    def mean(self, field: Array, par: Array) -> Array:
        return sigmoid(field)

    def variance(self, mean: Array, par: Array) -> Array:
        return mean * (1 - mean)

    def mode(self, field: Array, par: Array) -> Array:
        return namespace(field).astype(field > 0, field.dtype)

    def draw(self, mean: Array, par: Array, rng: Stream) -> Array:
        return rng.bernoulli(mean)

    def sample(self, field: Array, par: Array, rng: Stream) -> Array:
        return rng.bernoulli_logit(field)

    def present(self, x: Array, rng: Stream) -> Array:
        return rng.bernoulli(x)

    def par_gradient(
        self, mean: Array, x: Array, weight: Array, offset: Array, par: Array
    ) -> Array:
        return mean[None, :]

    def project(self, par: Array) -> None:
        """Every bias is allowed."""

    def conditional_entropy(self, mean: Array, par: Array) -> Array:
        xp = namespace(mean)
        tiny = xp.finfo(mean.dtype).smallest_normal
        # p log p tends to 0 with p; the clip keeps the logarithm finite there.
        off = 1 - mean
        return -(
            mean * xp.log(xp.clip(mean, tiny, None)) + off * xp.log(xp.clip(off, tiny, None))
        )

    def marginal_entropy(self, mean: Array, var: Array, par: Array) -> Array:
        return self.conditional_entropy(mean, par)

    def idle(self, mean: Array, par: Array) -> tuple[Array, Array]:
        activity = namespace(mean).mean(mean, axis=0)
        return activity < 0.01, activity > 0.99
