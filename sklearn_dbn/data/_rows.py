"""Training rows, as minibatches of visible states."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import Array, device, namespace, put, take, to_numpy
from .._random import Stream
from ..machine import Machine, fill_in, lacking_pathways, pathway_widths, slices
from ._columns import Columns
from ._dependence import MOST_COMPARED, ROWS_COMPARED, dependent_pairs
from ._gaps import Gaps, GapsOfRows, count_gaps
from ._moments import Moments, add_moments
from ._pathways import JoinedPathways
from ._values import (
    BLOCK_ROWS,
    BLOCK_VALUES,
    bytes_of,
    clipped,
    dense,
    encodes,
    has_gaps,
    has_outside,
    is_binary,
    on_each_part,
    range_of_all,
    weights_with_zeros,
)

# Data of up to so many bytes are shuffled by row. Of more, blocks of so many bytes are
# shuffled, and then the rows of the blocks that fill a window of so many bytes.
_SHUFFLED_WHOLE, _SHUFFLED_BLOCK, _WINDOW = 1 << 30, 1 << 20, 1 << 27
# Sweeps of the mean field that fills the gaps of rows as means.
_MEAN_SWEEPS = 10


class Rows:
    """The training rows of one machine: data, or their states in the layer below.

    Parameters
    ----------
    X : array or CSR array of shape (n_rows, n_features)
        In memory or memory-mapped. Never copied, or converted to dense, as a whole.
    weight : array of shape (n_rows,)
        In the dtype of X. Rows of weight zero are never presented.
    columns : Columns
        Of X; standardised if there are machines below.
    lower : sequence of Machine, default=()
        The machines of the layers below the one to be trained, the lowest first.
    sample : bool, default=True
        Whether presented rows are drawn, from grey levels and for each hidden layer of
        ``lower``. Otherwise means are presented.

    Attributes
    ----------
    bottom : Machine or None
        The machine that draws the missing entries of X, or whose mean field fills them in rows
        as means; ``None`` leaves the gaps.
    joined : JoinedPathways or None
        The pathways that are drawn by the machine to be trained, if it joins any.
    on_cluster : bool
        Whether the data are on the workers of a cluster.
    """

    on_cluster = False

    def __init__(
        self,
        X: Any,
        weight: Array,
        columns: Columns,
        lower: Sequence[Machine] = (),
        sample: bool = True,
    ):
        self.X, self.weight, self.lower = X, weight, tuple(lower)
        self.sample, self.columns = sample, columns
        # Of the visible units of the machine, if there are machines below.
        self._above = _above(self.lower[-1]) if self.lower else None
        self.bottom = self.lower[0] if self.lower else None
        self.joined: JoinedPathways | None = None
        self._weight_on_host = to_numpy(weight)
        self.index = np.flatnonzero(self._weight_on_host)
        self._gaps = any(on_each_part(has_gaps, X))
        binary = all(on_each_part(is_binary, X, weight=weights_with_zeros(weight)))
        self._grey = sample and not binary
        # Includes rows of weight zero, which `blocks` yields too.
        self._rounded = any(on_each_part(has_outside, X, columns.unit.support))
        self._row_bytes = max(1, sum(on_each_part(bytes_of, X)) // max(1, X.shape[0]))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def n_columns(self) -> int:
        if self.lower:
            return self.lower[-1].par[1].shape[1]
        return int(self.columns.unit.widths(self.X.shape[1]).sum())

    def hold_out(self, fraction: float, rng: Stream) -> np.ndarray:
        """Hold out a share of the rows, at least one and never all; return their indices."""
        shuffled = self.index[rng.permutation(len(self))]
        n_held = min(max(1, round(fraction * len(self))), len(self) - 1)
        self.index = shuffled[n_held:]
        return shuffled[:n_held]

    @property
    def presented(self) -> Columns:
        """The columns of the visible units."""
        return self._above if self.lower else self.columns

    @presented.setter
    def presented(self, columns: Columns) -> None:
        if self.lower:
            self._above = columns
        else:
            self.columns = columns

    def join_pathways(self, dropout: float) -> None:
        """Prepare for the training of a machine that joins the pathways, if there are any."""
        if self.presented.widths is not None:
            self.joined = JoinedPathways(slices(self.presented.widths), dropout)

    @property
    def draws_pathways(self) -> bool:
        """Whether the machine to be trained draws some pathways anew at each presentation."""
        return self.joined is not None and (
            self.joined.dropout > 0 or (self._gaps and bool(self.lower))
        )

    @property
    def key(self) -> tuple:
        """What presented rows depend on, apart from X, for the key of a cache."""
        return self.presented.key, self.joined and self.joined.dropout

    def moments(self) -> Moments:
        """Moments of the visible units, not standardised."""
        found = Moments(self.n_columns)
        self.add_to(found)
        return found

    def add_to(self, moments: Moments) -> None:
        """Add all rows to `moments`."""
        self.accumulate([moments], partial(add_moments, self.presented.unit))

    def gaps(self, new: bool) -> Gaps | None:
        """The gaps of X before the first pass; ``None`` if there are none.

        ``new``: whether the machine to be trained has made no pass.
        """
        if not self._gaps:
            return None
        widths = self.columns.unit.widths(self.X.shape[1])
        counts = np.concatenate(on_each_part(count_gaps, self.X, widths))
        counts[self._weight_on_host == 0] = 0
        if not counts.any():
            return None
        return Gaps(counts, self.bottom, fixed=bool(self.lower), new=new)

    def missing(self, index: np.ndarray) -> Array:
        """Which visible states of the rows ``index`` of X are missing."""
        v = self.columns.unit.encode(self._read_dense(index))
        return to_numpy(namespace(v).isnan(v))

    def unobserved(self) -> np.ndarray:
        """Columns of X without an observed entry in rows of positive weight."""
        if not self._gaps:
            return np.arange(0)
        low, _ = range_of_all(self.X, weights_with_zeros(self.weight))
        return np.flatnonzero(np.isnan(low))

    def dependent(self) -> list[tuple[int, int]]:
        """Pairs of columns of X of which one determines the other, and one is real-valued."""
        unit, n_columns = self.columns.unit, self.X.shape[1]
        numbers = np.flatnonzero(unit.widths(n_columns) == 1)
        if not 0 < len(numbers) <= MOST_COMPARED or not len(self):
            return []
        kinds, places = zip(*(unit.of_column(int(i)) for i in numbers), strict=True)
        real = np.array([kind.quadratic for kind in kinds], dtype=bool)
        if not real.any():
            return []
        n_rows = min(len(self), ROWS_COMPARED)
        some = self.index[np.linspace(0, len(self) - 1, n_rows).astype(int)]
        v = to_numpy(unit.encode(self._read_dense(some)))[:, list(places)]
        pairs = dependent_pairs(v.astype(np.float64))
        return [(numbers[i], numbers[j]) for i, j in pairs if real[i] or real[j]]

    def present(self, index: np.ndarray, rng: Stream, gaps: GapsOfRows | None = None) -> Array:
        """States of the visible units for the rows ``index``, (n_rows, n_columns).

        ``gaps`` are those of these rows, and keep their draws.
        """
        v = self._bottom_states(index)
        xp = namespace(v)
        missing = None if gaps is None else xp.isnan(self._with_gaps(v, gaps))
        hidden = self._hidden_pathways(v, rng) if self.draws_pathways else None
        if self._grey:
            v = self.columns.unit.present(v, rng)
        if gaps is not None:
            filled = gaps.fill(self.bottom, self._with_gaps(v, gaps), missing, rng)
            if isinstance(gaps.rows, slice):
                v[gaps.rows, :] = filled
            else:
                put(v, gaps.rows, filled)
        for machine in self.lower:
            means, fields = machine.conditionals(machine.odd, [v, None])
            v = machine.draw(machine.odd, means, fields, rng)[1] if self.sample else means[1]
        v = self.presented.standard(v) if self.lower else v
        return v if hidden is None else self.joined.fill(v, hidden, rng)

    @staticmethod
    def _with_gaps(v: Array, gaps: GapsOfRows) -> Array:
        return v[gaps.rows, :] if isinstance(gaps.rows, slice) else take(v, gaps.rows)

    def means(self, index: np.ndarray) -> Array:
        """Means of the visible units for the rows ``index``, (n_rows, n_columns)."""
        v = self._filled(self._bottom_states(index), _MEAN_SWEEPS)
        return self.presented.standard(self._means_above(v)) if self.lower else v

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[Any, Array]]:
        """All rows and their weights in order, as means and not standardised.

        Without machines below they are rows of data, not encoded, and sparse rows stay sparse.
        """
        n_rows, width = self.X.shape
        if not sp.issparse(self.X) or encodes(self.columns.unit):
            size = max(1, min(size, BLOCK_VALUES // width))
        for start in range(0, n_rows, size):
            part = slice(start, min(start + size, n_rows))
            block = self.X[part] if sp.issparse(self.X) else self.X[part, :]
            block = self._clipped(block)
            if self.lower:
                block = self.columns.complete(self.bottom, block)
            yield self._means_above(block), self.weight[part]

    def accumulate(self, totals: list[Any], add: Callable[..., None]) -> None:
        """Call ``add(totals, block, weight)`` for each block."""
        for block, weight in self.blocks():
            add(totals, block, weight)

    def batches(
        self, batch_size: int, rng: Stream, gaps: Gaps | None = None
    ) -> Iterator[tuple[Array, Array, float]]:
        """All rows in random order, in minibatches whose sizes differ by at most one.

        The update of a small last minibatch would have more noise than the others. ``gaps`` are
        those of X, if it has any.

        Yields
        ------
        v : array of shape (n_rows, n_columns)
        weight : array of shape (n_rows,)
        weight_sum : float
            Computed on the host: to read it from a device is to wait for the device.
        """
        for rows, ends in self._windows(batch_size, rng):
            window, index = (self, rows) if self._shuffled_whole else self._read(rows)
            if not isinstance(window.weight, np.ndarray):
                # Once for the window, so that minibatches need nothing from the host.
                like = window.weight
                index = namespace(like).asarray(index, device=device(like))
            weight, on_host = take(window.weight, index), self._weight_on_host[rows]
            for start, end in itertools.pairwise(ends.tolist()):
                part = index[start:end]
                drawn = None if gaps is None else gaps.of(rows[start:end])
                v = window.present(part, rng, drawn)
                if drawn is not None:
                    gaps.keep(drawn.slots, drawn.states)
                yield v, weight[start:end], float(on_host[start:end].sum())
            # Else there would be two windows in memory while the next is read.
            del window

    def sums(self, machine: Machine, n_sweeps: int) -> Callable[[], Machine] | None:
        """A function that returns sums over rows of the last minibatch on other machines.

        They are the positive phase of `Machine.gradient` without offsets; ``None`` if there are
        no such rows.
        """
        return None

    def _hidden_pathways(self, v: Array, rng: Stream) -> np.ndarray:
        """Which pathways of rows are drawn by the machine to be trained.

        Where it has the columns of X as its visible layer, missing entries are drawn before.
        """
        lacking = np.zeros((v.shape[0], len(self.joined.columns)), dtype=bool)
        if self.lower and self._gaps:
            lacking = lacking_pathways(self.bottom, v)
        return self.joined.hidden(lacking, rng)

    @property
    def _shuffled_whole(self) -> bool:
        return self.X.shape[0] * self._row_bytes <= _SHUFFLED_WHOLE

    def _windows(self, batch_size: int, rng: Stream) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows of the minibatches of a pass, one window after the other.

        A window is all rows, or as many as may be read into memory at once: it consists of
        blocks of adjacent rows from all parts of the data. The order depends only on the size
        of the data, so that a file gives the same parameters as the same rows in memory.

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
        if not self._shuffled_whole:
            index = np.sort(index)
            n_block = max(1, _SHUFFLED_BLOCK // self._row_bytes)
            starts = n_block * rng.permutation(-(-n_rows // n_block))
            index = np.concatenate([index[start : start + n_block] for start in starts])
            n_window = max(1, _WINDOW // (self._row_bytes * batch_size))
        for first in range(0, n_batches, n_window):
            last = min(first + n_window, n_batches)
            ends = np.arange(first, last + 1) * n_rows // n_batches
            rows = index[ends[0] : ends[-1]]
            yield rows[rng.permutation(len(rows))], ends - ends[0]

    def _read(self, index: np.ndarray) -> tuple[Rows, np.ndarray]:
        """The rows ``index`` in memory, in the order of the data, and the position of each."""
        order = np.argsort(index)
        window = copy.copy(self)
        window.X = self.X[index[order]] if sp.issparse(self.X) else take(self.X, index[order])
        window.weight = take(self.weight, index[order])
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        return window, places

    def _bottom_states(self, index: np.ndarray) -> Array:
        """Visible states of the bottom machine, NaN for missing entries."""
        return self.columns.states(self._clipped(self._read_dense(index)))

    def _read_dense(self, index: np.ndarray) -> Array:
        return self.X[index].toarray() if sp.issparse(self.X) else take(self.X, index)

    def _clipped(self, v: Any) -> Any:
        return clipped(v, self.columns.unit.support) if self._rounded else v

    def _filled(self, v: Any, *n_sweeps: int) -> Any:
        if not self._gaps or self.bottom is None:
            return v
        return fill_in(self.bottom, dense(v), *n_sweeps)

    def _means_above(self, v: Any) -> Any:
        for machine in self.lower:
            v = machine.means(machine.odd, [v, None])[1]
        return v


def _above(machine: Machine) -> Columns:
    """The columns of the hidden layer of ``machine``."""
    widths = pathway_widths(machine.W[0])
    return Columns(machine.units[1], widths=widths if len(widths) > 1 else None)
