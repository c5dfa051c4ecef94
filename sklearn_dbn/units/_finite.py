"""Units with finitely many ordered states: ordered levels and small counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from .._array_api import Array, device, namespace
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable

# Stands for minus infinity, in the base measure of states that a column does not have.
_ABSENT = -1e30
# This share of the training rows is added to the levels of a column, evenly, so that all of
# them have a positive probability.
_ADDED_SHARE = 1e-3
# Least standard deviation of the scores by which they are divided, as a share of that of levels
# of equal shares: else the unseen levels of a constant column would be far away.
_LEAST_DEVIATION = 0.2
# Bounds of the bias of units without neighbours, which a bisection finds.
_LARGEST_BIAS, _BISECTIONS = 50.0, 60


class Finite(UnitType):
    """States s_0 < .. < s_K, with p(s_k | field) proportional to exp(field s_k + b_k).

    The energy is -a s_k - b_k, linear between two states. ``par`` holds the bias a and, if the
    base measure b is learnt, b_0 to b_K. A base measure log (K choose k) gives the binomial
    distribution, and a learnt one the adjacent-category logit model of ordered levels
    (Anderson 1984, doi:10.1111/j.2517-6161.1984.tb01270.x), which has any distribution.

    The states of each column have mean 0 and variance 1 over the training rows, unless nearly
    all rows have the same level, so that one learning rate is right for columns of any range.

    Parameters
    ----------
    shares : sequence of arrays of shape (n_levels,)
        Of each level in the training rows, for each column of data.
    """

    takes = "levels"
    learnt = True

    def __init__(self, shares: Sequence[np.ndarray] = ()):
        n, self.n_levels = len(shares), np.array([len(share) for share in shares], dtype=int)
        n_states = max(self.n_levels, default=1)
        position = np.arange(n_states, dtype=float)
        self.scores, self.base = np.zeros((n_states, n)), np.full((n_states, n), _ABSENT)
        # Bounds of the mean of units without neighbours: at the least and the largest state the
        # bias would be infinite.
        self.mean_range = np.zeros((2, n))
        for column, m in enumerate(self.n_levels):
            share = (1 - _ADDED_SHARE) * np.asarray(shares[column]) + _ADDED_SHARE / m
            score = self._score(position)
            mean = share @ score[:m]
            deviation = np.sqrt(share @ (score[:m] - mean) ** 2)
            deviation = max(deviation, _LEAST_DEVIATION * np.std(score[:m]))
            self.scores[:, column] = (score - mean) / (deviation if m > 1 else 1.0)
            ends, even = self.scores[[0, m - 1], column], self.scores[:m, column].mean()
            self.mean_range[:, column] = (1 - _ADDED_SHARE) * ends + _ADDED_SHARE * even
            self.base[:m, column] = self._log_base(share)

    def _score(self, position: np.ndarray) -> np.ndarray:
        """Increasing scores of the levels 0, 1, .., before standardisation."""
        return position

    def _log_base(self, share: np.ndarray) -> np.ndarray:
        """The base measure of the levels of a column, before training if it is learnt."""
        return np.log(share)

    def fitted(self, shares: Sequence[np.ndarray]) -> Finite:
        return type(self)(shares)

    def constants(self) -> list[np.ndarray]:
        return [self.n_levels, self.scores, self.base]

    def encode(self, values: Array) -> Array:
        xp, n = namespace(values), values.shape[1]
        missing = xp.isnan(values)
        position = xp.astype(xp.where(missing, xp.zeros_like(values), values), xp.int64)
        place = position * n + xp.arange(n, device=device(values))
        scores = xp.reshape(self._scores(values), (-1,))
        states = xp.reshape(xp.take(scores, xp.reshape(place, (-1,))), values.shape)
        return xp.where(missing, values, states)

    def decode(self, states: Array) -> Array:
        """The position of the nearest state."""
        xp = namespace(states)
        above = states[:, None, :] > self._middles(states)
        return xp.sum(xp.astype(above, states.dtype), axis=1)

    def summary(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """The probabilities of all levels, level by level."""
        p = self._shares(field, par)
        return namespace(p).reshape(p, (p.shape[0], p.shape[1] * p.shape[2]))

    def measured(self, summary: Array, shift: Array, scale: Array) -> Array:
        return summary

    def summary_width(self, n: int) -> int:
        return n * len(self.scores)

    def estimate(self, summary: Array) -> Array:
        """The mean position, which has the least expected square of the distance."""
        xp, n = namespace(summary), len(self.n_levels)
        p = xp.reshape(summary, (summary.shape[0], len(self.scores), n))
        positions = xp.arange(len(self.scores), dtype=p.dtype, device=device(p))
        return xp.sum(p * positions[None, :, None], axis=1) / xp.sum(p, axis=1)

    def independent(self, moments: UnitMoments) -> Array:
        xp, n = namespace(moments.mean), moments.mean.shape[0]
        low = xp.full((1, n), -_LARGEST_BIAS, dtype=xp.float64, device=device(moments.mean))
        high, zero = -low, 0 * low
        bounds = _like(self.mean_range, zero)[0, :, :]
        mean = xp.astype(moments.mean, xp.float64)[None, :]
        mean = xp.clip(mean, bounds[:1, :], bounds[1:, :])
        rest = self._rest(zero)
        for _ in range(_BISECTIONS):
            bias = 0.5 * (low + high)
            below = self.mean(bias, xp.concat([zero, rest])) < mean
            low, high = xp.where(below, bias, low), xp.where(below, high, bias)
        par = xp.concat([0.5 * (low + high), rest])
        return xp.astype(par, moments.mean.dtype)

    def initial(self, like: Array) -> Array:
        zero = namespace(like).zeros_like(like)[None, :]
        return namespace(like).concat([zero, self._rest(zero)])

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        xp, base, scores = namespace(x), self._base(x, par), self._scores(x)
        rise = (base[:, 1:, :] - base[:, :-1, :]) / (scores[:, 1:, :] - scores[:, :-1, :])
        # A mean that is rounded may be above the largest state of a column with fewer states.
        rise = xp.where(self._absent(x)[:, 1:, :] == 0, rise, xp.zeros_like(rise))
        # The part of each interval between two states that is below x.
        below = xp.clip(x[:, None, :] - scores[:, :-1, :], 0, None)
        below = xp.minimum(below, scores[:, 1:, :] - scores[:, :-1, :])
        log_base = base[:, 0, :] + xp.sum(rise * below, axis=1)
        if observed is not None:
            log_base = xp.where(observed, log_base, xp.zeros_like(log_base))
        return -(x @ par[0, :]) - xp.sum(log_base, axis=-1)

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        xp = namespace(field)
        logits = self._logits(field, par)
        top = xp.max(logits, axis=1)
        values = top + xp.log(xp.sum(xp.exp(logits - top[:, None, :]), axis=1))
        if observed is not None:
            values = xp.where(observed, values, xp.zeros_like(values))
        return xp.sum(values, axis=-1)

    def mean(self, field: Array, par: Array) -> Array:
        p = self._shares(field, par)
        return namespace(p).sum(p * self._scores(p), axis=1)

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        p = self._shares(field, par)
        xp, scores = namespace(p), self._scores(p)
        mean = xp.sum(p * scores, axis=1)
        return xp.sum(p * (scores - mean[:, None, :]) ** 2, axis=1)

    def mode(self, field: Array, par: Array) -> Array:
        xp = namespace(field)
        level = xp.argmax(self._logits(field, par), axis=1)
        return self.encode(xp.astype(level, field.dtype))

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        p = self._shares(field, par)
        xp = namespace(p)
        u = rng.uniform_like(field)[:, None, :]
        sums = xp.cumulative_sum(p, axis=1)
        # The last level has no sum that rounding could leave below u.
        below = xp.astype(sums[:, :-1, :] <= u * sums[:, -1:, :], p.dtype)
        ones = xp.ones_like(below[:, :1, :])
        reached = xp.concat([ones, below, 0 * ones], axis=1)
        return xp.sum((reached[:, :-1, :] - reached[:, 1:, :]) * self._scores(p), axis=1)

    def par_gradient(
        self,
        mean: Array,
        x: Array,
        weight: Array,
        offset: Array,
        par: Array,
        field: Array | None = None,
    ) -> Array:
        xp = namespace(x)
        if not self.learnt:
            return mean[None, :]
        n_means = 0 if field is None else field.shape[0]
        above = xp.astype(x[n_means:, None, :] > self._middles(x), x.dtype)
        n = above.shape[2]
        flat = xp.reshape(above, (above.shape[0], above.shape[1] * n))
        rest = weight[n_means:]
        # The weight of the rows that reach a level, less that of those that reach the next.
        reached = xp.reshape(rest @ flat, (above.shape[1], n))
        total = xp.zeros_like(mean[None, :]) + xp.sum(rest)
        reached = xp.concat([total, reached, 0 * total])
        levels = reached[:-1, :] - reached[1:, :]
        if n_means:
            p = self._shares(field, par)
            flat = xp.reshape(p, (p.shape[0], p.shape[1] * n))
            levels = levels + xp.reshape(weight[:n_means] @ flat, levels.shape)
        return xp.concat([mean[None, :], levels])

    def precondition(self, step: Array, par: Array, offset: Array, hidden: bool) -> None:
        if not self.learnt:
            return
        # A base measure that is constant or proportional to the score has no effect of its own:
        # the bias has that of the latter.
        xp, m = namespace(step), len(self.scores)
        present = xp.astype(self._absent(step) == 0, step.dtype)[0, :, :]
        number = xp.sum(present, axis=0)
        score = self._scores(step)[0, :, :]
        score = present * (score - xp.sum(present * score, axis=0) / number)
        base = present * step[1 : m + 1, :]
        base -= present * (xp.sum(base, axis=0) / number)
        square = xp.sum(score * score, axis=0)
        along = xp.sum(score * base, axis=0) / xp.where(square > 0, square, 1 + 0 * square)
        step[1 : m + 1, :] = base - along * score

    def states(self, n: int) -> list[Variable]:
        return [
            Variable(np.array([column]), self.scores[:m, column, None])
            for column, m in enumerate(self.n_levels)
        ]

    def _logits(self, field: Array, par: Array) -> Array:
        """field s_k + b_k, (n_rows, n_states, n)."""
        logits = field[:, None, :] * self._scores(field)
        logits += self._base(field, par)
        return logits

    def _shares(self, field: Array, par: Array) -> Array:
        """The probabilities of the states, (n_rows, n_states, n)."""
        xp, p = namespace(field), self._logits(field, par)
        p -= xp.max(p, axis=1)[:, None, :]
        p = np.exp(p, out=p) if xp is np else xp.exp(p)
        p /= xp.sum(p, axis=1)[:, None, :]
        return p

    def _base(self, like: Array, par: Array) -> Array:
        """The base measure, (1, n_states, n)."""
        if not self.learnt:
            return _like(self.base, like)
        return (par[1 : len(self.scores) + 1, :] + self._absent(like)[0, :, :])[None, :, :]

    def _rest(self, like: Array) -> Array:
        """The rows of parameters below the bias, before training."""
        if not self.learnt:
            return like[:0, :]
        xp = namespace(like)
        base = _like(self.base, like)[0, :, :]
        return xp.where(base == _ABSENT, 0 * base, base)

    def _scores(self, like: Array) -> Array:
        """The states, (1, n_states, n)."""
        return _like(self.scores, like)

    def _absent(self, like: Array) -> Array:
        """0 for states that a column has, else `_ABSENT`, (1, n_states, n)."""
        return _like(np.where(self.base == _ABSENT, _ABSENT, 0.0), like)

    def _middles(self, like: Array) -> Array:
        """The middle between each state and the next, (1, n_states - 1, n)."""
        absent = self.base[1:] == _ABSENT
        middles = 0.5 * (self.scores[1:] + self.scores[:-1])
        return _like(np.where(absent, -_ABSENT, middles), like)


class Ordinal(Finite):
    """Ordered levels, equally spaced scores, learnt base measure."""

    name = "ordinal"


class Count(Finite):
    """Small counts with a learnt base measure, so of any distribution."""

    name = "count"
    takes = "counts"

    def _score(self, position: np.ndarray) -> np.ndarray:
        return np.sqrt(position)


class Binomial(Finite):
    """The number of successes in n trials; n is the largest level."""

    name = "binomial"
    takes = "counts"
    learnt = False

    def _log_base(self, share: np.ndarray) -> np.ndarray:
        n, k = len(share) - 1, np.arange(len(share))
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _like(x: np.ndarray, like: Array) -> Array:
    """A constant of shape (n_states, n) as (1, n_states, n), in the dtype of ``like``."""
    if isinstance(like, np.ndarray):
        return x[None, :, :].astype(like.dtype)
    return namespace(like).asarray(x, dtype=like.dtype, device=device(like))[None, :, :]
