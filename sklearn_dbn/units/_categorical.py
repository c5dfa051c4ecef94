"""Units with one of several levels, also called softmax or Potts units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import NO_OVERFLOW, Array, device, namespace
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable, total

# The least share of a level in the biases of units without neighbours, which are then finite.
_LEAST_SHARE = 1e-4


class Levels(NamedTuple):
    """Adjacent levels of the same variables, the first ``n_variables`` of a layer.

    ``columns``, a slice, has them level by level.
    """

    columns: slice
    n_levels: int
    n_variables: int

    def of(self, x: Array) -> Array:
        """These columns of ``x``, (n_rows, n_levels, n_variables)."""
        shape = (x.shape[0], self.n_levels, self.n_variables)
        return namespace(x).reshape(x[:, self.columns], shape)


class Categorical(UnitType):
    """Variables with a column of states for each level: 1 for the present level, else 0.

    The energy is -a x, and the partition function of a variable is the sum of exp(field) over
    its levels (Potts 1952, doi:10.1017/S0305004100027419; in an RBM Salakhutdinov, Mnih, Hinton
    2007, doi:10.1145/1273496.1273596).

    The order of the columns is (level, variable): NumPy reduces these several times as fast as
    (variable, level). The variables with the most levels are first, so that those that have a
    given level are adjacent.

    Parameters
    ----------
    n_levels : sequence of int
        Of each column of data.
    """

    name = "categorical"
    takes = "levels"

    def __init__(self, n_levels: Sequence[int] = ()):
        self.order = np.argsort([-n for n in n_levels], kind="stable")
        self.n_levels = np.array(n_levels, dtype=int)[self.order]
        self.blocks, first, start = [], 0, 0
        for n in np.unique(self.n_levels).tolist():
            n_variables = int(np.sum(self.n_levels >= n))
            stop = start + (n - first) * n_variables
            self.blocks.append(Levels(slice(start, stop), n - first, n_variables))
            first, start = n, stop

    def fitted(self, shares: Sequence[np.ndarray]) -> Categorical:
        return Categorical([len(share) for share in shares])

    def constants(self) -> list[np.ndarray]:
        return [self.n_levels, self.order]

    def widths(self, n_columns: int) -> np.ndarray:
        return self.n_levels[np.argsort(self.order)]

    def encode(self, values: Array) -> Array:
        xp, found, first = namespace(values), [], 0
        ordered = xp.take(values, xp.asarray(self.order, device=device(values)), axis=1)
        missing = xp.isnan(ordered)
        gaps = bool(xp.any(missing))
        for block in self.blocks:
            x = ordered[:, None, : block.n_variables]
            levels = xp.arange(first, first + block.n_levels, dtype=x.dtype, device=device(x))
            present = xp.astype(x == levels[None, :, None], x.dtype)
            found.append(
                xp.where(missing[:, None, : x.shape[2]], x, present) if gaps else present
            )
            first += block.n_levels
        return _side_by_side(found)

    def decode(self, states: Array) -> Array:
        """The position of the largest state of each variable."""
        xp, first = namespace(states), 0
        found = xp.zeros_like(states[:, : len(self.n_levels)])
        largest = found - xp.inf
        for x in self._parts(states):
            n, top, at = x.shape[2], xp.max(x, axis=1), xp.argmax(x, axis=1)
            larger = top > largest[:, :n]
            at = xp.astype(at, states.dtype) + first
            found[:, :n] = xp.where(larger, at, found[:, :n])
            largest[:, :n] = xp.where(larger, top, largest[:, :n])
            first += x.shape[1]
        back = xp.asarray(np.argsort(self.order), device=device(states))
        return xp.take(found, back, axis=1)

    def independent(self, moments: UnitMoments) -> Array:
        xp = namespace(moments.mean)
        log = xp.log(xp.clip(moments.mean, _LEAST_SHARE, None))[None, :]
        return log - self._mean_of_levels(log)

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        return -(x @ par[0, :])

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        parts, top = self._exponentials(field)
        sums = _sums(parts)
        # The first columns are those of the first levels, which all variables have.
        observed = None if observed is None else observed[..., : sums.shape[1]]
        return total(top + namespace(field).log(sums), observed)

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        xp = namespace(field)
        if mean is None or float(xp.max(back)) > 1 or float(xp.min(back)) < -1:
            return super().log_partition_change(field, par, back, start_par, mean)
        # The sum of exp(field + back) is that of exp(field) times 1 + mean (exp(back) - 1).
        gain = np.expm1(back, out=back) if xp is np else xp.expm1(back)
        gain *= mean
        return -xp.sum(xp.log1p(_sums(self._parts(gain))), axis=-1)

    def mean(self, field: Array, par: Array) -> Array:
        parts, _ = self._exponentials(field)
        sums = _sums(parts)
        for part in parts:
            part /= sums[:, None, : part.shape[2]]
        return _side_by_side(parts)

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        mean = self.mean(field, par) if mean is None else mean
        return mean * (1 - mean)

    def pullback(
        self, delta: Array, field: Array, par: Array, mean: Array | None = None
    ) -> Array:
        # The covariance of the levels of a variable is diag(p) - p p'.
        mean = self.mean(field, par) if mean is None else mean
        delta *= mean
        delta -= mean * self._repeated(_sums(self._parts(delta)))
        return delta

    def mode(self, field: Array, par: Array) -> Array:
        return self.encode(self.decode(field))

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        xp, found = namespace(field), []
        # In place of the shares, numbers in proportion to them.
        parts = self._exponentials(field)[0] if mean is None else self._parts(mean)
        sums = [_cumulative(part) for part in parts]
        total = 1 * sums[0][:, -1, :]
        for block in sums[1:]:
            block += total[:, None, : block.shape[2]]
            total[:, : block.shape[2]] = block[:, -1, :]
        # A level is present if the sum up to it is the first above u. That is below the sum of
        # all: the sum times the largest number below 1 is not rounded to the sum.
        u = rng.uniform_like(total) * total
        above_before = xp.zeros_like(u)
        for block in sums:
            n = block.shape[2]
            above = xp.astype(block > u[:, None, :n], field.dtype)
            present = xp.empty_like(above)
            present[:, 0, :] = above[:, 0, :] - above_before[:, :n]
            present[:, 1:, :] = above[:, 1:, :] - above[:, :-1, :]
            found.append(present)
            above_before = above[:, -1, :]
        return _side_by_side(found)

    def states(self, n: int) -> list[Variable]:
        number = np.arange(len(self.n_levels))[None, :]
        variables = self._repeated(number)[0]
        columns = [np.flatnonzero(variables == variable) for variable in number[0]]
        return [Variable(x, np.eye(len(x))) for x in columns]

    def deviation(self, moments: UnitMoments) -> Array:
        par = self.independent(moments)
        variance = self.variance(par, par)
        return namespace(par).sqrt(self._repeated(_sums(self._parts(variance)))[0, :])

    def project_weights(self, W: Array) -> None:
        W -= self._mean_of_levels(W.T).T

    def _parts(self, x: Array) -> list[Array]:
        return [block.of(x) for block in self.blocks]

    def _exponentials(self, field: Array) -> tuple[list[Array], Array]:
        """exp(field - top) of each block, and a field ``top``, (n_rows, n_variables)."""
        xp, parts = namespace(field), self._parts(field)
        top = xp.zeros_like(field[:, : len(self.n_levels)])
        # Most fields are so small that their exponentials need no largest field.
        largest = float(xp.max(xp.abs(field))) if field.shape[0] else 0.0
        if largest > NO_OVERFLOW:
            top = top - xp.inf
            for part in parts:
                n = part.shape[2]
                top[:, :n] = xp.maximum(top[:, :n], xp.max(part, axis=1))
            parts = [part - top[:, None, : part.shape[2]] for part in parts]
        return [xp.exp(part) for part in parts], top

    def _mean_of_levels(self, x: Array) -> Array:
        """The mean over the levels of each variable, for each of its columns."""
        xp = namespace(x)
        number = xp.asarray(self.n_levels, dtype=x.dtype, device=device(x))
        return self._repeated(_sums(self._parts(x)) / number)

    def _repeated(self, x: Array) -> Array:
        """A number for each variable, (n_rows, n_variables), for each of its columns."""
        shapes = [(x.shape[0], block.n_levels, block.n_variables) for block in self.blocks]
        parts = [namespace(x).broadcast_to(x[:, None, : s[2]], s) for s in shapes]
        return _side_by_side(parts)


def _sums(parts: Sequence[Array]) -> Array:
    """Sums over the levels of each variable, (n_rows, n_variables)."""
    xp = namespace(parts[0])
    sums = xp.sum(parts[0], axis=1)
    for part in parts[1:]:
        sums[:, : part.shape[2]] += xp.sum(part, axis=1)
    return sums


def _cumulative(x: Array) -> Array:
    """Sums up to each level, (n_rows, n_levels, n_variables), in place.

    NumPy's function takes several times as long along an axis that is not the last.
    """
    for level in range(1, x.shape[1]):
        x[:, level, :] += x[:, level - 1, :]
    return x


def _side_by_side(parts: Sequence[Array]) -> Array:
    """The inverse of `Levels.of`, for all blocks."""
    xp = namespace(parts[0])
    flat = [xp.reshape(x, (x.shape[0], x.shape[1] * x.shape[2])) for x in parts]
    return flat[0] if len(flat) == 1 else xp.concat(flat, axis=1)
