"""Rows of data as minibatches of visible states."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import Array, take, to_numpy
from .._random import Stream
from ..machine import Machine, fill_in
from ._gaps import Gaps, GapsOfRows, count_gaps
from ._moments import Moments, add_moments
from ._values import (
    BLOCK_ROWS,
    BLOCK_VALUES,
    bytes_of,
    clipped,
    dense,
    everywhere,
    has_gaps,
    has_outside,
    is_binary,
    some_uncounted,
)

# Data of up to so many bytes are dealt in an order in which all rows are alike. Of more, blocks
# of so many bytes are dealt, and then the rows of so many blocks as fill a window.
_DEALT_WHOLE, _DEALT_BLOCK, _WINDOW = 1 << 30, 1 << 20, 1 << 27
# Sweeps of the mean field that fills gaps where rows are wanted as means.
_MEAN_SWEEPS = 10


class Rows:
    """The training rows of one machine: data, or what lower machines make of data.

    Parameters
    ----------
    X : array or CSR array of shape (n_rows, n_features)
        In memory or in a file that is mapped to it. Never copied whole, and never made dense
        whole.
    weight : array of shape (n_rows,)
        In the dtype of X. Rows of weight zero are never presented.
    unit : unit type
        Of the visible units that X is shown to.
    lower : sequence of Machine, default=()
        The machines of the layers below the one to be trained, the lowest first.
    sample : bool, default=True
        Whether presented rows are drawn: grey levels become states, and so does each hidden
        layer on the way up. Otherwise means are presented.
    columns : tuple of two arrays of shape (n_features,) or None, default=None
        Shift and scale of the columns of X, where the lowest of ``lower`` takes standardised
        ones.

    Attributes
    ----------
    bottom : Machine or None
        The machine that draws what is missing of X, or whose mean field fills it where means
        are asked for; ``None`` leaves the gaps.
    """

    def __init__(
        self,
        X: Any,
        weight: Array,
        unit: Any,
        lower: Sequence[Machine] = (),
        sample: bool = True,
        columns: tuple[Array, Array] | None = None,
    ):
        self.X, self.weight, self.unit, self.lower = X, weight, unit, tuple(lower)
        self.sample, self.columns = sample, columns
        self.bottom = self.lower[0] if self.lower else None
        self.index = np.flatnonzero(to_numpy(weight))
        self._gaps = any(everywhere(has_gaps, X))
        binary = all(everywhere(is_binary, X, weight=some_uncounted(weight)))
        self._grey = sample and not binary
        # Rows of weight zero are among the blocks.
        self._rounded = any(everywhere(has_outside, X, unit.support))
        self._row_bytes = max(1, sum(everywhere(bytes_of, X)) // max(1, X.shape[0]))
        self.shift: Array | None = None
        self.scale: Array | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def n_columns(self) -> int:
        return self.lower[-1].par[1].shape[1] if self.lower else self.X.shape[1]

    def hold_out(self, fraction: float, rng: Stream) -> np.ndarray:
        """Set a share of the rows aside, at least one and never all; return which."""
        order = rng.permutation(len(self))
        n_held = min(max(1, round(fraction * len(self))), len(self) - 1)
        held, kept = order[:n_held], order[n_held:]
        held, self.index = self.index[held], self.index[kept]
        return held

    def standardize(self, shift: Array, scale: Array) -> None:
        """From now on, present (x - shift) / scale."""
        self.shift, self.scale = shift, scale

    def gaps(self, new: bool) -> Gaps | None:
        """The missing entries of X before the first pass; ``None`` where there are none.

        ``new`` is whether the machine to be trained has made no pass.
        """
        if not self._gaps:
            return None
        counts = np.concatenate(everywhere(count_gaps, self.X))
        counts[to_numpy(self.weight) == 0] = 0
        if not counts.any():
            return None
        return Gaps(counts, self.bottom, fixed=bool(self.lower), new=new)

    def missing(self, index: np.ndarray) -> Array:
        """Which values of X are missing in the rows of ``index``."""
        return np.isnan(self._taken(index))

    def unobserved(self) -> np.ndarray:
        """Columns that have a value in no row that counts."""
        if not self._gaps:
            return np.arange(0)
        moments = Moments(self.n_columns)
        self.accumulate([moments], add_moments)
        # A count of nothing is the least number there is.
        return np.flatnonzero(moments.count < np.finfo(np.float32).tiny)

    def present(self, index: np.ndarray, rng: Stream, gaps: GapsOfRows | None = None) -> Array:
        """States of the visible units for the rows of ``index``, (n_rows, n_columns).

        ``gaps`` are those of these rows, and keep what is drawn for them.
        """
        v = self._given(index)
        missing = None if gaps is None else np.isnan(v[gaps.rows])
        if self._grey:
            v = self.unit.present(v, rng)
        if gaps is not None:
            v[gaps.rows] = gaps.fill(self.bottom, v[gaps.rows], missing, rng)
        if not self.sample:
            return self._standard(self._up(v)) if self.lower else v
        for machine in self.lower:
            means, fields = machine.conditionals(machine.odd, [v, None])
            v = machine.draw(machine.odd, means, fields, rng)[1]
        return self._standard(v) if self.lower else v

    def means(self, index: np.ndarray) -> Array:
        """Means of the visible units for the rows of ``index``."""
        v = self._filled(self._given(index), _MEAN_SWEEPS)
        return self._standard(self._up(v)) if self.lower else v

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[Any, Array]]:
        """All rows and their weights in order, as means and not standardised.

        Rows that come straight from sparse data stay sparse.
        """
        n_rows, width = self.X.shape
        if not sp.issparse(self.X):
            size = max(1, min(size, BLOCK_VALUES // width))
        for start in range(0, n_rows, size):
            part = slice(start, min(start + size, n_rows))
            block = self.X[part] if sp.issparse(self.X) else self.X[part, :]
            block = self._clipped(block)
            if self.lower and self.columns is not None:
                block = standardised(dense(block), *self.columns)
            yield self._up(self._filled(block)), self.weight[part]

    def accumulate(self, totals: list[Any], take_in: Callable[..., None]) -> None:
        """Let ``take_in(totals, block, weight)`` see all blocks, one after the other."""
        for block, weight in self.blocks():
            take_in(totals, block, weight)

    def batches(
        self, batch_size: int, rng: Stream, gaps: Gaps | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """All rows, presented in random order, in batches of sizes that differ by at most one.

        A short last batch would be a noisier step than the others; spread over all of
        them, the remainder does no harm. ``gaps`` are those of X, where it has any.
        """
        for rows, ends in self._windows(batch_size, rng):
            near, index = (self, rows) if self._dealt_whole else self._read(rows)
            weight = take(near.weight, index)
            for start, end in itertools.pairwise(ends.tolist()):
                part = index[start:end]
                drawn = None if gaps is None else gaps.of(rows[start:end])
                v = near.present(part, rng, drawn)
                if drawn is not None:
                    gaps.keep(drawn.slots, drawn.states)
                yield v, weight[start:end]
            # Or there would be two windows in memory while the next is read.
            del near

    def sums(self, machine: Machine, n_sweeps: int) -> Callable[[], Machine] | None:
        """What gives sums over those rows of the last batch that are not here.

        Those that `Machine.gradient` without offsets makes of their data phase.
        """
        return None

    @property
    def _dealt_whole(self) -> bool:
        return self.X.shape[0] * self._row_bytes <= _DEALT_WHOLE

    def _windows(self, batch_size: int, rng: Stream) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Which rows make the batches of a pass, in windows that are dealt one by one.

        The window is all there is, or as much as may be read into memory at once: it
        consists of blocks of neighbouring rows from all over the data. The order depends on
        the size of the data and not on where they lie, so that a file gives the parameters
        that the same rows give in memory.

        Yields
        ------
        rows : int array
            Of a window, in the order in which they are presented.
        ends : int array
            Batch i of the window is ``rows[ends[i]:ends[i + 1]]``.
        """
        n_rows = len(self)
        n_batches = n_window = -(-n_rows // batch_size)
        index = self.index
        if not self._dealt_whole:
            index = np.sort(index)
            n_block = max(1, _DEALT_BLOCK // self._row_bytes)
            starts = n_block * rng.permutation(-(-n_rows // n_block))
            index = np.concatenate([index[start : start + n_block] for start in starts])
            n_window = max(1, _WINDOW // (self._row_bytes * batch_size))
        for first in range(0, n_batches, n_window):
            last = min(first + n_window, n_batches)
            ends = np.arange(first, last + 1) * n_rows // n_batches
            rows = index[ends[0] : ends[-1]]
            yield rows[rng.permutation(len(rows))], ends - ends[0]

    def _read(self, index: np.ndarray) -> tuple[Rows, np.ndarray]:
        """The rows of ``index`` in memory, in the order in which they lie in the data.

        And where in there each of ``index`` is.
        """
        order = np.argsort(index)
        near = copy.copy(self)
        near.X = self.X[index[order]] if sp.issparse(self.X) else take(self.X, index[order])
        near.weight = take(self.weight, index[order])
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        return near, places

    def _given(self, index: np.ndarray) -> Array:
        """Rows as the bottom machine takes them, NaN for what is missing."""
        v = self._clipped(self._taken(index))
        if not self.lower:
            return self._standard(v)
        return v if self.columns is None else standardised(v, *self.columns)

    def _taken(self, index: np.ndarray) -> Array:
        return self.X[index].toarray() if sp.issparse(self.X) else take(self.X, index)

    def _clipped(self, v: Any) -> Any:
        return clipped(v, self.unit.support) if self._rounded else v

    def _filled(self, v: Any, *n_sweeps: int) -> Any:
        if not self._gaps or self.bottom is None:
            return v
        return fill_in(self.bottom, dense(v), *n_sweeps)

    def _up(self, v: Any) -> Any:
        for machine in self.lower:
            v = machine.means(machine.odd, [v, None])[1]
        return v

    def _standard(self, v: Array) -> Array:
        return v if self.scale is None else standardised(v, self.shift, self.scale)


def standardised(v: Array, shift: Array, scale: Array) -> Array:
    """Rows of columns that have a mean of about 0 and a standard deviation of about 1."""
    return (v - shift) / scale


def complete(machine: Machine, shift: Array | None, scale: Array | None, X: Any) -> Any:
    """Rows as ``machine`` takes them: standardised, the gaps filled by its mean field.

    Sparse rows of bits stay sparse.

    Parameters
    ----------
    machine : Machine
    shift, scale : arrays of shape (n_columns,) or None
        Of the columns of X, where ``machine`` takes standardised ones.
    X : array or CSR array of shape (n_rows, n_columns)
        NaN for what is missing.
    """
    gaps = has_gaps(X)
    if gaps or scale is not None:
        X = dense(X)
    X = X if scale is None else standardised(X, shift, scale)
    return fill_in(machine, X) if gaps else X
