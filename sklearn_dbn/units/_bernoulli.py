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
        self, field: Array, mean: Array, par: Array, start: Array, start_par: Array
    ) -> Array:
        xp = namespace(field)
        start -= field
        if float(xp.max(start)) > 1:
            # What follows would multiply the rounding of the mean by exp of this.
            start += field
            return xp.sum(softplus(field) - softplus(start), axis=-1)
        # With f and f' the fields, 1 + exp(f) = (1 + exp(f')) (1 + mean (exp(f - f') - 1)): the
        # mean, which a draw needs in any case, spares two of the four exponentials and
        # logarithms.
        if xp is np:
            np.expm1(start, out=start)
            start *= mean
            start += 1
            np.log(start, out=start)
        else:
            start = xp.log(1 + mean * xp.expm1(start))
        return -xp.sum(start, axis=-1)

    def between(self, start: Array, end: Array, share: float) -> Array:
        return (1 - share) * start + share * end

    def mean(self, field: Array, par: Array) -> Array:
        return sigmoid(field)

    def variance(self, field: Array, par: Array) -> Array:
        p = sigmoid(field)
        return p * (1 - p)

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
        return namespace(mean).asarray(mean[None, :], copy=True)

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
