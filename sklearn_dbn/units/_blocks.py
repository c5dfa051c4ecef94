"""Layers of several unit types, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .._array_api import Array, device, namespace
from .._random import Stream
from ._base import UnitMoments, UnitType, Variable


class Blocks(UnitType):
    """A row of unit types, each with its own columns.

    The layer has as many rows of parameters as the type that has most; others read the first
    ones of them, and the rest are 0. A layer of one type needs no blocks.

    Parameters
    ----------
    units : sequence of UnitType
    sizes : sequence of int
        Columns of each.
    """

    def __init__(self, units: Sequence[UnitType], sizes: Sequence[int]):
        columns = [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]
        self.parts = list(zip(units, columns, strict=True))
        self.name = "+".join(unit.name for unit in units)
        self.on_or_off = all(unit.on_or_off for unit in units)
        self.quadratic = all(
            unit.quadratic for unit, n in zip(units, sizes, strict=True) if not unit.states(n)
        )
        ends = zip(*(unit.support for unit in units), strict=True)
        self.support = tuple(np.repeat(end, sizes) for end in ends)

    def independent(self, moments: UnitMoments) -> Array:
        return _padded([unit.independent(_of(moments, at)) for unit, at in self.parts])

    def energy(self, x: Array, par: Array) -> Array:
        return sum(unit.energy(x[..., at], par[:, at]) for unit, at in self.parts)

    def log_partition(self, field: Array, par: Array, known: Array | None = None) -> Array:
        return sum(
            unit.log_partition(field[..., at], par[:, at], _part(known, at))
            for unit, at in self.parts
        )

    def log_partition_change(
        self, field: Array, par: Array, back: Array, start_par: Array, mean: Array | None = None
    ) -> Array:
        return sum(
            unit.log_partition_change(
                field[..., at], par[:, at], back[..., at], start_par[:, at], _part(mean, at)
            )
            for unit, at in self.parts
        )

    def between(self, start: Array, end: Array, share: float) -> Array:
        parts = [unit.between(start[:, at], end[:, at], share) for unit, at in self.parts]
        return _padded(parts, start.shape[0])

    def initial(self, like: Array) -> Array:
        return _padded([unit.initial(like[at]) for unit, at in self.parts])

    def mean(self, field: Array, par: Array) -> Array:
        return self._joined("mean", field, par)

    def variance(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return self._joined("variance", field, par, mean=mean)

    def mode(self, field: Array, par: Array) -> Array:
        return self._joined("mode", field, par)

    def sample(self, field: Array, par: Array, rng: Stream, mean: Array | None = None) -> Array:
        return _side_by_side(
            [
                unit.sample(field[..., at], par[:, at], rng, _part(mean, at))
                for unit, at in self.parts
            ]
        )

    def pullback(
        self, delta: Array, field: Array, par: Array, mean: Array | None = None
    ) -> Array:
        return _side_by_side(
            [
                unit.pullback(delta[..., at], field[..., at], par[:, at], _part(mean, at))
                for unit, at in self.parts
            ]
        )

    def present(self, x: Array, rng: Stream) -> Array:
        return _side_by_side([unit.present(x[..., at], rng) for unit, at in self.parts])

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
                mean[at], x[:, at], weight, offset[at], par[:, at], _part(field, at)
            )
            for unit, at in self.parts
        ]
        return _padded(parts, par.shape[0])

    def precondition(self, step: Array, par: Array, offset: Array, hidden: bool) -> None:
        for unit, at in self.parts:
            unit.precondition(step[:, at], par[:, at], offset[at], hidden)

    def project(self, par: Array) -> None:
        for unit, at in self.parts:
            unit.project(par[:, at])

    def curvature(self, par: Array) -> Array | None:
        found = [unit.curvature(par[:, at]) for unit, at in self.parts]
        if all(x is None for x in found):
            return None
        xp = namespace(par)
        return _side_by_side(
            [
                xp.zeros_like(par[0, at]) if x is None else x
                for x, (_, at) in zip(found, self.parts, strict=True)
            ]
        )

    def standard(self, moments: UnitMoments) -> tuple[Array, Array] | None:
        found = [unit.standard(_of(moments, at)) for unit, at in self.parts]
        if all(pair is None for pair in found):
            return None
        xp, zero = namespace(moments.mean), 0 * moments.mean
        pairs = [
            (zero[at], xp.ones_like(zero[at])) if pair is None else pair
            for pair, (_, at) in zip(found, self.parts, strict=True)
        ]
        shift, scale = zip(*pairs, strict=True)
        return _side_by_side(shift), _side_by_side(scale)

    def rescale(self, par: Array, shift: Array, scale: Array) -> Array:
        parts = [unit.rescale(par[:, at], shift[at], scale[at]) for unit, at in self.parts]
        return _padded(parts, par.shape[0])

    def states(self, n: int) -> list[Variable]:
        return [
            Variable(variable.columns + at.start, variable.values)
            for unit, at in self.parts
            for variable in unit.states(at.stop - at.start)
        ]

    def idle(self, field: Array, par: Array) -> tuple[Array, Array]:
        found = [unit.idle(field[..., at], par[:, at]) for unit, at in self.parts]
        dead, saturated = zip(*found, strict=True)
        return _side_by_side(dead), _side_by_side(saturated)

    def uncertainty(self, field: Array, par: Array, mean: Array | None = None) -> Array:
        return self._joined("uncertainty", field, par, mean=mean)

    def information(self, mean: Array, var: Array, uncertainty: Array) -> Array:
        return _side_by_side(
            [unit.information(mean[at], var[at], uncertainty[at]) for unit, at in self.parts]
        )

    def _joined(self, function: str, field: Array, par: Array, **given: Array | None) -> Array:
        """What a function of the field gives in each block."""
        return _side_by_side(
            [
                getattr(unit, function)(
                    field[..., at], par[:, at], **{k: _part(x, at) for k, x in given.items()}
                )
                for unit, at in self.parts
            ]
        )


def _of(moments: UnitMoments, at: slice) -> UnitMoments:
    return UnitMoments(*(_part(x, at) for x in moments))


def _part(x: Array | None, at: slice) -> Any:
    return None if x is None else x[..., at]


def _side_by_side(parts: Sequence[Array]) -> Array:
    return namespace(parts[0]).concat(list(parts), axis=-1)


def _padded(parts: Sequence[Array], n_par: int = 1) -> Array:
    """Parameters side by side, with rows of 0 for blocks that have fewer."""
    xp, n_par = namespace(parts[0]), max(n_par, *(part.shape[0] for part in parts))
    joined = xp.zeros(
        (n_par, sum(part.shape[1] for part in parts)),
        dtype=parts[0].dtype,
        device=device(parts[0]),
    )
    start = 0
    for part in parts:
        end = start + part.shape[1]
        joined[: part.shape[0], start:end] = part
        start = end
    return joined
