"""Layers of several unit types, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .._array_api import Array, concat, device, namespace
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable


class Blocks(UnitType):
    """Several unit types side by side, each with its own columns.

    The layer has as many rows of parameters as the type with the most; the others use the first
    of them, and the rest are 0.

    Parameters
    ----------
    units : sequence of UnitType
    columns : sequence of int arrays
        The columns of data of each; together, each column once.
    """

    def __init__(self, units: Sequence[UnitType], columns: Sequence[np.ndarray]):
        self.columns = [np.asarray(x, dtype=int) for x in columns]
        pairs = list(zip(units, self.columns, strict=True))
        sizes = [int(unit.widths(len(x)).sum()) for unit, x in pairs]
        ends = pairwise(accumulate(sizes, initial=0))
        self.blocks = [(unit, slice(*end)) for unit, end in zip(units, ends, strict=True)]
        self.name = "+".join(unit.name for unit in units)
        self.on_or_off = all(unit.on_or_off for unit in units)
        self.quadratic = all(
            unit.quadratic for unit, n in zip(units, sizes, strict=True) if not unit.states(n)
        )
        low, high = np.empty((2, sum(map(len, self.columns))))
        for unit, x in pairs:
            low[x], high[x] = unit.support
        self.support = low, high

    def constants(self) -> list[np.ndarray]:
        return self.columns + [x for unit, _ in self.blocks for x in unit.constants()]

    def widths(self, n_columns: int) -> np.ndarray:
        widths = np.empty(n_columns, dtype=int)
        for (unit, _), columns in zip(self.blocks, self.columns, strict=True):
            widths[columns] = unit.widths(len(columns))
        return widths

    def of_column(self, column: int) -> tuple[UnitType, int]:
        for (unit, at), columns in zip(self.blocks, self.columns, strict=True):
            (found,) = np.nonzero(columns == column)
            if len(found):
                kind, place = unit.of_column(int(found[0]))
                return kind, at.start + place
        raise IndexError(column)

    def encode(self, values: Array) -> Array:
        xp = namespace(values)
        return _joined(
            [
                unit.encode(xp.take(values, xp.asarray(x, device=device(values)), axis=1))
                for (unit, _), x in zip(self.blocks, self.columns, strict=True)
            ]
        )

    def decode(self, states: Array) -> Array:
        return self._in_order(self._each("decode", states))

    def summary(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return _joined(self._each("summary", field, par, mean))

    def measured(self, summary: Array, shift: Array, scale: Array) -> Array:
        parts = [
            unit.measured(summary[:, part], shift[at], scale[at])
            for unit, at, part in self._summaries()
        ]
        return _joined(parts)

    def estimate(self, summary: Array) -> Array:
        parts = [unit.estimate(summary[:, part]) for unit, _, part in self._summaries()]
        return self._in_order(parts)

    def summary_width(self, n: int) -> int:
        return sum(unit.summary_width(at.stop - at.start) for unit, at in self.blocks)

    def independent(self, moments: UnitMoments) -> Array:
        return _padded(self._each("independent", moments))

    def energy(self, x: Array, par: Array, observed: Array | None = None) -> Array:
        return sum(self._each("energy", x, par, observed))

    def log_partition(self, field: Array, par: Array, observed: Array | None = None) -> Array:
        return sum(self._each("log_partition", field, par, observed))

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        return sum(self._each("log_partition_change", field, par, back, start_par, mean))

    def between(self, start: Array, end: Array, share: float) -> Array:
        return _padded(self._each("between", start, end, share), start.shape[0])

    def initial(self, like: Array) -> Array:
        return _padded(self._each("initial", like))

    def mean(self, field: Array, par: Array) -> Array:
        return _joined(self._each("mean", field, par))

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return _joined(self._each("variance", field, par, mean))

    def mode(self, field: Array, par: Array) -> Array:
        return _joined(self._each("mode", field, par))

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        return _joined(self._each("sample", field, par, rng, mean))

    def pullback(
        self, delta: Array, field: Array, par: Array, mean: Array | None = None
    ) -> Array:
        return _joined(self._each("pullback", delta, field, par, mean))

    def present(self, x: Array, rng: Stream) -> Array:
        return _joined(self._each("present", x, rng))

    def par_gradient(
        self,
        mean: Array,
        x: Array,
        weight: Array,
        offset: Array,
        par: Array,
        field: Array | None = None,
    ) -> Array:
        parts = [
            unit.par_gradient(
                mean[at], x[:, at], weight, offset[at], par[:, at], _columns_of(field, at)
            )
            for unit, at in self.blocks
        ]
        return _padded(parts, par.shape[0])

    def precondition(self, step: Array, par: Array, offset: Array, hidden: bool) -> None:
        self._each("precondition", step, par, offset, hidden)

    def project(self, par: Array) -> None:
        self._each("project", par)

    def project_weights(self, W: Array) -> None:
        for unit, at in self.blocks:
            unit.project_weights(W[at, :])

    def deviation(self, moments: UnitMoments) -> Array:
        return _joined(self._each("deviation", moments))

    def curvature(self, par: Array) -> Array | None:
        found = self._each("curvature", par)
        if all(x is None for x in found):
            return None
        zero = 0 * par[0, :]
        pairs = zip(found, self.blocks, strict=True)
        return _joined([zero[at] if x is None else x for x, (_, at) in pairs])

    def standard(self, moments: UnitMoments) -> tuple[Array, Array] | None:
        found = self._each("standard", moments)
        if all(pair is None for pair in found):
            return None
        zero = 0 * moments.mean
        pairs = zip(found, self.blocks, strict=True)
        pairs = [(zero[at], zero[at] + 1) if x is None else x for x, (_, at) in pairs]
        shift, scale = map(_joined, zip(*pairs, strict=True))
        return shift, scale

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        return _padded(self._each("rescale", par, shift, scale), par.shape[0])

    def states(self, n: int) -> list[Variable]:
        return [
            Variable(variable.columns + at.start, variable.values)
            for unit, at in self.blocks
            for variable in unit.states(at.stop - at.start)
        ]

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        dead, saturated = map(_joined, zip(*self._each("idle", field, par), strict=True))
        return dead, saturated

    def uncertainty(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return _joined(self._each("uncertainty", field, par, mean))

    def information(self, mean: Array, var: Array, uncertainty: Array) -> Array:
        return _joined(self._each("information", mean, var, uncertainty))

    def _summaries(self) -> Iterator[tuple[UnitType, slice, slice]]:
        """Each unit type, its columns of states, and its columns of a `summary`."""
        start = 0
        for unit, at in self.blocks:
            stop = start + unit.summary_width(at.stop - at.start)
            yield unit, at, slice(start, stop)
            start = stop

    def _in_order(self, parts: Sequence[Array]) -> Array:
        """Values of the columns of each block, in the order of the columns of data."""
        joined, order = _joined(parts), np.argsort(np.concatenate(self.columns))
        return namespace(joined).take(
            joined, namespace(joined).asarray(order, device=device(joined)), axis=1
        )

    def _each(self, function: str, *given: Any) -> list:
        """Call ``function`` of each unit type on its columns of the arguments."""
        return [
            getattr(unit, function)(*(_columns_of(x, at) for x in given))
            for unit, at in self.blocks
        ]


def part_of(unit: UnitType, at: slice) -> UnitType:
    """The type of the columns ``at`` of a layer: all of them, or those of one block."""
    if not isinstance(unit, Blocks) or at == slice(None):
        return unit
    (found,) = [block for block, columns in unit.blocks if columns == at]
    return found


def _columns_of(x: Any, at: slice) -> Any:
    """The columns ``at`` of an array or of moments; other arguments unchanged."""
    if isinstance(x, UnitMoments):
        return UnitMoments(*(_columns_of(y, at) for y in x))
    return x[..., at] if hasattr(x, "shape") else x


def _joined(parts: Sequence[Array]) -> Array:
    return concat(parts, axis=-1)


def _padded(parts: Sequence[Array], n_par: int = 1) -> Array:
    """Parameters side by side, with rows of 0 for blocks with fewer parameters."""
    n_par = max(n_par, *(part.shape[0] for part in parts))
    filled = [[part] + [0 * part[:1, :]] * (n_par - part.shape[0]) for part in parts]
    return _joined([concat(rows) for rows in filled])
