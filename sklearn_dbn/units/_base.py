"""The contract of a unit type, and defaults for most of it.

A layer of ``n`` units has parameters ``par`` of shape ``(n_par, n)``; ``par[0]`` is its bias.
A unit type is a set of pure functions of those parameters and of the *field*, the bias plus
what arrives from the neighbouring layers. The states of a unit may take several columns, and
the columns of a layer need not be alike: `Blocks` is a unit type as well.

Arrays of states, fields and means have the shape ``(n_rows, n)``, those of columns ``(n,)``.
Functions of a field also take the conditional ``mean`` at that field, where the caller has it:
a type whose distribution follows from its mean may save time by it, and others ignore it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from .._array_api import Array, namespace
from .._random import Stream


class UnitMoments(NamedTuple):
    """Moments of the columns of a layer, arrays of shape (n,).

    ``scale`` is what a column may be divided by, which is never 0; only `UnitType.standard`
    needs it.
    """

    mean: Array
    var: Array
    scale: Array | None = None


class Variable(NamedTuple):
    """Columns that have their states together, independent of all others given the field.

    Attributes
    ----------
    columns : int array of shape (width,)
    values : array of shape (n_states, width)
        Every state.
    """

    columns: np.ndarray
    values: np.ndarray


class UnitType(ABC):
    """What a layer is made of.

    Constants of a type, such as a number of levels, are attributes of the object.

    Attributes
    ----------
    name : str
    support : tuple of two numbers, or of two arrays of shape (n,)
        The least and the largest state: what values data may have.
    on_or_off : bool
        Whether a mean is the share of rows in which the unit is on: only then may units have
        a sparsity target.
    quadratic : bool
        Whether the energy is quadratic in the columns that `states` does not list, and these
        take all real numbers.
    """

    name: str
    support = (-math.inf, math.inf)
    on_or_off = False
    quadratic = False

    @abstractmethod
    def independent(self, moments: UnitMoments) -> Array:
        """Parameters, (n_par, n), of units that have these moments and no neighbours."""

    @abstractmethod
    def energy(self, x: Array, par: Array) -> Array:
        """The layer's own energy of the states ``x``, (n_rows,).

        A base measure is part of it, as minus its log. ``x`` may hold means, between states.
        """

    @abstractmethod
    def log_partition(self, field: Array, par: Array, known: Array | None = None) -> Array:
        """Log of the sum over states of exp(field x - energy without bias), (n_rows,).

        Summed over the columns; over those that are ``known``, a bool array, where it is given.
        """

    @abstractmethod
    def mean(self, field: Array, par: Array) -> Array:
        """Conditional mean: the derivative of `log_partition` by the field."""

    @abstractmethod
    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """Conditional variance of each column."""

    @abstractmethod
    def mode(self, field: Array, par: Array) -> Array:
        """The likeliest state."""

    @abstractmethod
    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        """A state. The arrays ``field`` and ``mean`` may be overwritten."""

    def pullback(
        self, delta: Array, field: Array, par: Array, mean: Array | None = None
    ) -> Array:
        """Derivative by the field, from ``delta``, that by the mean, which may be overwritten.

        As it is here, each column of the mean depends on its own column of the field alone.
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
        # The difference is small beside both: float32 would leave little of it.
        end, step, par, start_par = (
            xp.astype(x, xp.float64) for x in (field, back, par, start_par)
        )
        change = self.log_partition(end, par) - self.log_partition(end + step, start_par)
        return xp.astype(change, field.dtype)

    def between(self, start: Array, end: Array, share: float) -> Array:
        """Parameters whose energy is (1 - share) and share of that of two others."""
        return (1 - share) * start + share * end

    def initial(self, like: Array) -> Array:
        """Parameters, (n_par, n), of hidden units before training; ``like`` is of shape (n,).

        The bias is 0.
        """
        return namespace(like).zeros_like(like)[None, :]

    def present(self, x: Array, rng: Stream) -> Array:
        """Rows of data as states, a state as itself; ``x`` may be overwritten."""
        return x

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
            Second moments are best taken about it, so that they do not move the mean.
        par : array of shape (n_par, n)
        field : array of shape (n_means, n) or None
            The first ``n_means`` rows of ``x`` are the conditional means at this field, and
            stand for the distribution: its second moment is not the square of its mean. The
            other rows are states.
        """
        return mean[None, :]

    def precondition(  # noqa: B027
        self, step: Array, par: Array, offset: Array, hidden: bool
    ) -> None:
        """Shorten a step of ``par``, in place, where it would overshoot.

        Not asked of types whose only parameter is the bias.
        """

    def project(self, par: Array) -> None:  # noqa: B027
        """Move ``par``, in place, to where the distribution exists."""

    def curvature(self, par: Array) -> Array | None:
        """Second derivative of the energy by the state, (n,); ``None`` if that has no meaning.

        The least there is, where it depends on the state, and 0 for columns that have none.
        """
        return None

    def standard(self, moments: UnitMoments) -> tuple[Array, Array] | None:
        """Shift and scale that standardise the columns; ``None`` where they stay as they are.

        A column that stays among others that do not has the shift 0 and the scale 1.
        """
        return None

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        """Parameters of the same distribution over scale x + shift."""
        return par

    def states(self, n: int) -> list[Variable]:
        """The variables of a layer of ``n`` columns whose states can be listed."""
        return []

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        """Which columns are dead (never on), and which saturated (always on), over the rows."""
        xp, mean = namespace(field), self.mean(field, par)
        noise = xp.mean(self.variance(field, par, mean), axis=0)
        dead = xp.var(mean, axis=0) < 1e-4 * noise
        return dead, xp.zeros_like(dead)

    def uncertainty(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        """What is left open once the field is known, of each column: `information` averages it.

        The conditional variance, or the conditional entropy in nats.
        """
        return self.variance(field, par, mean)

    def information(self, mean: Array, var: Array, uncertainty: Array) -> Array:
        """What each column has in common with the input, in nats, shape (n,).

        From the mean and the variance of the conditional means over the inputs, and from the
        mean `uncertainty`. As it is here, that of a normal signal in normal noise.
        """
        xp = namespace(var)
        # A unit that is certain in all rows has no noise, and no signal either.
        tiny = xp.finfo(var.dtype).smallest_normal
        return 0.5 * xp.log1p(var / xp.clip(uncertainty, tiny, None))


def total(values: Array, known: Array | None = None) -> Array:
    """Sum over the columns; over those that are ``known``, where that is given."""
    xp = namespace(values)
    if known is not None:
        values = xp.where(known, values, xp.zeros_like(values))
    return xp.sum(values, axis=-1)
