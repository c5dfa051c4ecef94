"""The contract of a unit type, and defaults for most of it.

A layer of ``n`` units has parameters ``par`` of shape ``(n_par, n)``; ``par[0]`` is its bias.
A unit type is a set of pure functions of those parameters and of the *field*, the bias plus
the weighted states of the neighbours. The state of a unit may take several columns, and a layer
may have columns of several types: `Blocks` is a unit type as well.

A column of data is one column of states for most types, and one for each level for others;
`UnitType.encode` makes the latter from the former.

Arrays of states, fields and means have the shape ``(n_rows, n)``, those of columns ``(n,)``.
Functions of a field also take the conditional ``mean`` at that field, if the caller has it: a
type whose distribution follows from its mean may save time with it, and others ignore it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import Array, namespace
from .._random import Stream


class UnitMoments(NamedTuple):
    """Moments of the columns of a layer, arrays of shape (n,).

    ``scale`` is the divisor that standardises a column, never 0; only `UnitType.standard` needs
    it.
    """

    mean: Array
    var: Array
    scale: Array | None = None


class Variable(NamedTuple):
    """Columns with joint states, independent of all other columns given the field.

    Attributes
    ----------
    columns : int array of shape (width,)
    values : array of shape (n_states, width)
        Every state.
    """

    columns: np.ndarray
    values: np.ndarray


class UnitType(ABC):
    """A family of distributions of units.

    Constants of a type, such as a number of levels, are attributes of the object.

    Attributes
    ----------
    name : str
    takes : {"numbers", "levels", "counts"}
        What a column of data holds: numbers, from which `present` makes states; one of finitely
        many levels, given as its position among them; or a whole number from 0, also given as
        such a position. A type that does not take numbers is made for the levels of its
        columns, by `fitted`.
    support : tuple of two numbers, or of two arrays of shape (n_columns,)
        The least and the largest value of a column of data.
    on_or_off : bool
        Whether a mean is the share of rows in which the unit is on: only such units may have a
        sparsity target.
    quadratic : bool
        Whether the columns that `states` does not list take all real numbers, and the energy is
        quadratic in them.
    """

    name: str
    takes = "numbers"
    support = (-math.inf, math.inf)
    on_or_off = False
    quadratic = False

    @abstractmethod
    def independent(self, moments: UnitMoments) -> Array:
        """Parameters, (n_par, n), of units that have these moments and no neighbours."""

    @abstractmethod
    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        """The energy of the states ``x`` without the weights, (n_rows,).

        A base measure is part of it, as minus its log. ``x`` may hold means between states.
        Summed over the columns, or over those where the bool array ``observed`` is true; the
        others of ``x`` are 0.
        """

    @abstractmethod
    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        """Log of the sum over states of exp(field x - energy without bias), (n_rows,).

        Summed over the columns, or over those where the bool array ``observed`` is true.
        """

    @abstractmethod
    def mean(self, field: Array, par: Array) -> Array:
        """Conditional mean: the derivative of `log_partition` by the field."""

    @abstractmethod
    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """Conditional variance of each column."""

    @abstractmethod
    def mode(self, field: Array, par: Array) -> Array:
        """The most probable state."""

    @abstractmethod
    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        """Draw the states. ``field`` and ``mean`` may be overwritten."""

    def pullback(
        self, delta: Array, field: Array, par: Array, mean: Array | None = None
    ) -> Array:
        """Derivative by the field, from that by the mean, ``delta``, which may be overwritten.

        The default is for types in which the mean of a column depends on its own field alone.
        """
        delta *= self.variance(field, par, mean)
        return delta

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        """`log_partition` at ``field`` less that at ``field + back`` with ``start_par``.

        ``back`` may be overwritten.
        """
        xp = namespace(field)
        # The difference is much smaller than both terms: float32 would be too inaccurate.
        end, step, par, start_par = (
            xp.astype(x, xp.float64) for x in (field, back, par, start_par)
        )
        change = self.log_partition(end, par) - self.log_partition(end + step, start_par)
        return xp.astype(change, field.dtype)

    def between(self, start: Array, end: Array, share: float) -> Array:
        """Parameters with energy (1 - share) E_start + share E_end."""
        return (1 - share) * start + share * end

    def initial(self, like: Array) -> Array:
        """Parameters, (n_par, n), of hidden units before training; ``like`` is of shape (n,).

        The bias is 0.
        """
        return namespace(like).zeros_like(like)[None, :]

    def fitted(self, shares: Sequence[np.ndarray]) -> UnitType:
        """The type for columns whose levels have these shares of the training rows.

        Parameters
        ----------
        shares : sequence of arrays of shape (n_levels,)
            For each column, summing to 1.
        """
        return self

    def constants(self) -> list[np.ndarray]:
        """Arrays that determine the type, for equal names."""
        return []

    def widths(self, n_columns: int) -> np.ndarray:
        """How many columns of states each of ``n_columns`` columns of data has."""
        return np.ones(n_columns, dtype=int)

    def of_column(self, column: int) -> tuple[UnitType, int]:
        """The type of a column of data that has one column of states, and which one it has."""
        return self, column

    def encode(self, values: Array) -> Array:
        """Columns of states, from columns of data; NaN where these are NaN."""
        return values

    def decode(self, states: Array) -> Array:
        """The inverse of `encode`."""
        return states

    def present(self, x: Array, rng: Stream) -> Array:
        """Turn encoded rows into states; states stay as they are. ``x`` may be overwritten."""
        return x

    def summary(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """What an estimate of the values needs of a conditional distribution, (n_rows, k).

        It may be averaged over several fields. The default is the mean.
        """
        return self.mean(field, par) if mean is None else mean

    def summary_width(self, n: int) -> int:
        """Columns of a `summary` of a layer of ``n`` columns of states."""
        return n

    def measured(self, summary: Array, shift: Array, scale: Array) -> Array:
        """The summary of scale x + shift, from that of the states x."""
        return summary * scale + shift

    def estimate(self, summary: Array) -> Array:
        """The values of columns of data that are given for missing ones, from a `summary`."""
        return self.decode(summary)

    def par_gradient(
        self,
        mean: Array,
        x: Array,
        weight: Array,
        offset: Array,
        par: Array,
        field: Array | None = None,
    ) -> Array:
        """Derivative of the log-likelihood by ``par``, from weighted rows.

        Parameters
        ----------
        mean : array of shape (n,)
            ``weight @ x``, the derivative by the bias. May be overwritten.
        x : array of shape (n_rows, n)
        weight : array of shape (n_rows,)
        offset : array of shape (n,)
            Second moments should be taken about it, so that they do not change the mean.
        par : array of shape (n_par, n)
        field : array of shape (n_means, n) or None
            The first ``n_means`` rows of ``x`` are the conditional means at this field, in
            place of states: the second moment is not the square of the mean. The other rows
            are states.
        """
        return mean[None, :]

    def precondition(  # noqa: B027
        self, step: Array, par: Array, offset: Array, hidden: bool
    ) -> None:
        """Shorten a step of ``par``, in place, where it would overshoot.

        Not called for types whose only parameter is the bias.
        """

    def project(self, par: Array) -> None:  # noqa: B027
        """Move ``par``, in place, to where the distribution exists."""

    def project_weights(self, W: Array) -> None:  # noqa: B027
        """Remove, in place, the part of the weights ``W``, (n, n_above), without effect.

        A weight that all levels of a variable share changes only the bias of the layer above.
        """

    def deviation(self, moments: UnitMoments) -> Array:
        """The standard deviation of each column, (n,), if it has no neighbours.

        Columns of the same variable have the same: the root of their summed variances.
        """
        par = self.independent(moments)
        return namespace(par).sqrt(self.variance(par[:1, :], par)[0, :])

    def curvature(self, par: Array) -> Array | None:
        """Second derivative of the energy by the state, (n,); ``None`` if no column has one.

        The least one, if it depends on the state, and 0 for columns that have none.
        """
        return None

    def standard(self, moments: UnitMoments) -> tuple[Array, Array] | None:
        """Shift and scale that standardise the columns; ``None`` if none is standardised.

        If only some are, the others have the shift 0 and the scale 1.
        """
        return None

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        """Parameters of the same distribution over scale x + shift."""
        return par

    def states(self, n: int) -> list[Variable]:
        """The variables with finitely many states, of a layer of ``n`` columns."""
        return []

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        """Which columns are dead, and which are saturated, over the rows; bool arrays (n,)."""
        xp, mean = namespace(field), self.mean(field, par)
        noise = xp.mean(self.variance(field, par, mean), axis=0)
        dead = xp.var(mean, axis=0) < 1e-4 * noise
        return dead, xp.zeros_like(dead)

    def uncertainty(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """The conditional variance of each column, or its conditional entropy in nats.

        Its average over rows is an argument of `information`.
        """
        return self.variance(field, par, mean)

    def information(self, mean: Array, var: Array, uncertainty: Array) -> Array:
        """Mutual information of each column and the rows, in nats, shape (n,).

        From the mean and the variance of the conditional means over the rows, and from the mean
        `uncertainty`. The default is that of a normal signal in normal noise.
        """
        xp = namespace(var)
        # A unit that is certain in all rows has neither noise nor signal.
        tiny = xp.finfo(var.dtype).smallest_normal
        return 0.5 * xp.log1p(var / xp.clip(uncertainty, tiny, None))


def total(values: Array, observed: Array | None = None) -> Array:
    """Sum over the columns, or over those that are ``observed`` if that is given."""
    xp = namespace(values)
    if observed is not None:
        values = xp.where(observed, values, xp.zeros_like(values))
    return xp.sum(values, axis=-1)
