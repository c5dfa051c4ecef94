"""Units that take any real value."""

from __future__ import annotations

import math

from .._array_api import Array, namespace
from .._random import Stream

# The log-precision stays here. Training sees standardised columns, so the bounds say that
# a unit's noise is between 3 % and 30 times the spread of its column; without them the
# precision of a constant column grows for ever.
_LOG_PRECISION = (-7.0, 7.0)


class Gaussian:
    """Real states; energy exp(zeta) x^2 / 2 - a x, with zeta the log-precision.

    ``par`` holds the bias ``a`` and ``zeta``: both are natural parameters of the conditional
    distribution N(field exp(-zeta), exp(-zeta)), which is why any type can be its neighbour.
    """

    name = "gaussian"
    n_par = 2
    support = (-math.inf, math.inf)
    neutral = 0.0
    continuous = True

    def independent(self, mean: Array, var: Array) -> Array:
        xp = namespace(mean)
        zeta = xp.clip(-xp.log(xp.clip(var, 1e-30, None)), *_LOG_PRECISION)
        return xp.stack([mean * xp.exp(zeta), zeta])

    def energy(self, x: Array, par: Array) -> Array:
        xp = namespace(x)
        return (x * x) @ (0.5 * xp.exp(par[1, :])) - x @ par[0, :]

    def log_partition(self, field: Array, par: Array) -> Array:
        xp = namespace(field)
        zeta = par[1, :]
        return 0.5 * (field * field * xp.exp(-zeta) + (math.log(2 * math.pi) - zeta))

    def log_partition_change(
        self, field: Array, mean: Array, par: Array, back: Array, start_par: Array
    ) -> Array:
        back += field
        change = self.log_partition(field, par) - self.log_partition(back, start_par)
        return namespace(field).sum(change, axis=-1)

    def between(self, start: Array, end: Array, share: float) -> Array:
        # The precision mixes as the energy does, and its logarithm does not.
        xp = namespace(start)
        bias = (1 - share) * start[0, :] + share * end[0, :]
        precision = (1 - share) * xp.exp(start[1, :]) + share * xp.exp(end[1, :])
        return xp.stack([bias, xp.log(precision)])

    def mean(self, field: Array, par: Array) -> Array:
        return field * namespace(field).exp(-par[1, :])

    def variance(self, mean: Array, par: Array) -> Array:
        xp = namespace(mean)
        return xp.broadcast_to(xp.exp(-par[1, :]), mean.shape)

    def mode(self, field: Array, par: Array) -> Array:
        return self.mean(field, par)

    def draw(self, mean: Array, par: Array, rng: Stream) -> Array:
        return mean + rng.normal(mean) * namespace(mean).exp(-0.5 * par[1, :])

    def sample(self, field: Array, par: Array, rng: Stream) -> Array:
        return self.draw(self.mean(field, par), par, rng)

    def present(self, x: Array, rng: Stream) -> Array:
        return x

    def par_gradient(
        self, mean: Array, x: Array, weight: Array, offset: Array, par: Array
    ) -> Array:
        # The second moment is taken about the offset, and the bias follows, so that a
        # change of precision does not move the mean.
        xp = namespace(x)
        precision = xp.exp(par[1, :])
        deviation = x - offset
        zeta = -0.5 * precision * (weight @ (deviation * deviation))
        return xp.stack([mean + precision * offset * zeta, zeta])

    def precondition(self, step: Array, par: Array, offset: Array, hidden: bool) -> None:
        if hidden:
            # Where a hidden unit lies, and its scale, its neighbours' biases and its weights
            # can say as well; left free, the two would drift against each other.
            step *= 0.0
            return
        # The derivative by zeta grows with the precision, and with it the noise of the step:
        # above a precision of 1 the step is that of the precision itself, which does not.
        xp = namespace(par)
        precision = xp.exp(par[1, :])
        excess = step[1, :] * (1 - xp.minimum(xp.ones_like(precision), precision**-2.0))
        step[0, :] -= precision * offset * excess
        step[1, :] -= excess

    def project(self, par: Array) -> None:
        xp = namespace(par)
        par[1, :] = xp.clip(par[1, :], *_LOG_PRECISION)

    def curvature(self, par: Array) -> Array:
        return namespace(par).exp(par[1, :])

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        xp = namespace(par)
        bias = par[0, :] / scale + xp.exp(par[1, :]) * shift / (scale * scale)
        return xp.stack([bias, par[1, :] - 2 * xp.log(scale)])

    def conditional_entropy(self, mean: Array, par: Array) -> Array:
        xp = namespace(mean)
        entropy = 0.5 * (1 + math.log(2 * math.pi) - par[1, :])
        return xp.broadcast_to(entropy, mean.shape)

    def marginal_entropy(self, mean: Array, var: Array, par: Array) -> Array:
        # Of all distributions with this variance the normal one has the largest entropy.
        xp = namespace(mean)
        total = var + xp.exp(-par[1, :])
        return 0.5 * (1 + math.log(2 * math.pi) + xp.log(total))

    def idle(self, mean: Array, par: Array) -> tuple[Array, Array]:
        xp = namespace(mean)
        signal = xp.var(mean, axis=0) * xp.exp(par[1, :])
        return signal < 1e-4, xp.zeros_like(signal, dtype=xp.bool)
