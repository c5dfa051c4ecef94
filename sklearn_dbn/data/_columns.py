"""From rows of data to visible states of a machine, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._array_api import Array
from ..machine import Machine, fill_stack
from ..units import UnitType
from ._values import dense, encodes, has_gaps


@dataclass(frozen=True)
class Columns:
    """How columns of data are encoded, and how their states are standardised.

    Parameters
    ----------
    unit : UnitType
        Its `encode` makes columns of states from columns of data.
    shift, scale : arrays of shape (n_states,) or None
        By which these are standardised; ``None`` if none is.
    widths : tuple of int or None
        How many columns of states each pathway has; ``None`` if there are no pathways.
    """

    unit: UnitType
    shift: Array | None = None
    scale: Array | None = None
    widths: tuple[int, ...] | None = None

    def standardise(self, shift: Array, scale: Array) -> Columns:
        """The same columns with another shift and scale."""
        return replace(self, shift=shift, scale=scale)

    def states(self, X: Array) -> Array:
        """Visible states of dense rows, with NaN for missing entries."""
        return self.standard(self.unit.encode(X))

    def standard(self, v: Array) -> Array:
        """Standardised states."""
        return v if self.scale is None else (v - self.shift) / self.scale

    def measured(self, v: Array) -> Array:
        """The inverse of `standard`."""
        return v if self.scale is None else v * self.scale + self.shift

    def values(self, v: Array) -> Array:
        """The inverse of `states`."""
        return self.unit.decode(self.measured(v))

    def estimates(self, summary: Array) -> Array:
        """Estimated values of the columns of data, from a `UnitType.summary`."""
        if self.scale is not None:
            summary = self.unit.measured(summary, self.shift, self.scale)
        return self.unit.estimate(summary)

    def complete(self, machine: Machine, X: Any) -> Any:
        """`states` with the gaps filled by the mean field of ``machine``."""
        return self.complete_stack([machine], X)[0]

    def complete_stack(self, machines: Sequence[Machine], X: Any) -> list:
        """`states` with the gaps filled by `fill_stack`, and states of layers above them.

        Sparse rows stay sparse if their values are the states and they have no gaps.

        Parameters
        ----------
        machines : sequence of Machine, the lowest first
            The first is that of the standardised states.
        X : array or CSR array of shape (n_rows, n_columns)
            NaN for missing entries.
        """
        gaps = has_gaps(X)
        if gaps or not self.keeps_values:
            X = self.states(dense(X))
        return fill_stack(machines, X) if gaps else [X]

    @property
    def key(self) -> tuple:
        """What the columns depend on, for the key of a cache."""
        return self.unit.name, self.unit.constants(), self.shift, self.scale, self.widths

    @property
    def keeps_values(self) -> bool:
        """Whether the states are the values."""
        return self.scale is None and not encodes(self.unit)
