"""Units that take any real value."""

from __future__ import annotations

import math

from .._array_api import Array, namespace
from .._random import Stream
from ._base import UnitMoments, UnitType, total

# Bounds of the log-precision. Training uses standardised columns, so the standard deviation of
# a unit is between 3 % and 30 times that of its column; without bounds the precision of a
# constant column would grow without end.
_LOG_PRECISION = (-7.0, 7.0)


class Gaussian(UnitType):
    """Real states; energy exp(zeta) x^2 / 2 - a x, with zeta the log-precision.

    ``par`` holds the bias ``a`` and ``zeta``: both are natural parameters of the conditional
    distribution N(field exp(-zeta), exp(-zeta)), so that any type can be its neighbour.
    """

    name = "gaussian"
    quadratic = True

    def independent(self, moments: UnitMoments) -> Array:
        xp = namespace(moments.mean)
        zeta = xp.clip(-xp.log(xp.clip(moments.var, 1e-30, None)), *_LOG_PRECISION)
        return xp.stack([moments.mean * xp.exp(zeta), zeta])

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        xp = namespace(x)
        return (x * x) @ (0.5 * xp.exp(par[1, :])) - x @ par[0, :]

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        return total(_log_partition(field, par), observed)

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        back += field
        return total(_log_partition(field, par) - _log_partition(back, start_par))

    def between(self, start: Array, end: Array, share: float) -> Array:
        # The energy is linear in the precision, not in its logarithm.
        xp = namespace(start)
        bias = (1 - share) * start[0, :] + share * end[0, :]
        precision = (1 - share) * xp.exp(start[1, :]) + share * xp.exp(end[1, :])
        return xp.stack([bias, xp.log(precision)])

    def initial(self, like: Array) -> Array:
        xp = namespace(like)
        return xp.stack([xp.zeros_like(like), xp.zeros_like(like)])

    def mean(self, field: Array, par: Array) -> Array:
        return field * namespace(field).exp(-par[1, :])

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        xp = namespace(field)
        return xp.broadcast_to(xp.exp(-par[1, :]), field.shape)

    def mode(self, field: Array, par: Array) -> Array:
        return self.mean(field, par)

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        mean = self.mean(field, par) if mean is None else mean
        return mean + rng.normal(mean) * namespace(mean).exp(-0.5 * par[1, :])

    def par_gradient(
        self,
        mean: Array,
        x: Array,
        weight: Array,
        offset: Array,
        par: Array,
        field: Array | None = None,
    ) -> Array:
        # The second moment is taken about the offset, and the bias changes with it, so that a
        # change of precision does not change the mean.
        xp = namespace(x)
        precision = xp.exp(par[1, :])
        deviation = x - offset
        zeta = -0.5 * precision * (weight @ (deviation * deviation))
        if field is not None:
            # Conditional variance times precision is 1.
            zeta = zeta - 0.5 * xp.sum(weight[: field.shape[0]])
        return xp.stack([mean + precision * offset * zeta, zeta])

    def precondition(self, step: Array, par: Array, offset: Array, hidden: bool) -> None:
        if hidden:
            # The neighbours' biases and the weights can express the location and scale of a
            # hidden unit as well; if both were trained, they would drift against each other.
            step *= 0.0
            return
        # The derivative by zeta, and so the noise of the step, grows with the precision: above
        # a precision of 1 the step is that of the precision itself, whose noise does not grow.
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

    def standard(self, moments: UnitMoments) -> tuple[Array, Array]:
        return moments.mean, moments.scale

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        xp = namespace(par)
        bias = par[0, :] / scale + xp.exp(par[1, :]) * shift / (scale * scale)
        return xp.stack([bias, par[1, :] - 2 * xp.log(scale)])


def _log_partition(field: Array, par: Array) -> Array:
    """Log of the partition function of each unit, (n_rows, n)."""
    xp, zeta = namespace(field), par[1, :]
    return 0.5 * (field * field * xp.exp(-zeta) + (math.log(2 * math.pi) - zeta))
