"""Missing entries of training rows, drawn given the observed ones.

Training on rows with gaps maximises the likelihood of the observed entries. Its gradient is
that of complete rows, averaged over the missing entries given the observed ones; so each
presentation of a row draws them anew, by Gibbs sweeps that do not change the observed entries.
Means in their place would lack the variance about them, and the learnt variance would shrink
from pass to pass.

Chains that continue from the last presentation of the row need one sweep, as the machine has
changed little since then. The draws must not be closer to the current machine than the chains
of the negative phase are, or the training diverges: docs/decisions/gaps.md.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import (
    Array,
    copied,
    device,
    entries_where,
    namespace,
    put,
    put_entries,
    take,
    take_entries,
    to_numpy,
)
from .._random import RowStream, Stream, numpy_dtype
from ..machine import Machine, States
from ._values import Unstored

# Draws of up to so many bytes are kept between passes; during a pass there are two copies of
# them. With more, each pass starts new chains.
_KEPT = 1 << 29
# Sweeps of new chains: of a machine that is being trained, where the chains of the negative
# phase make as many, and of one that is fixed.
_TRAINED_SWEEPS, _FIXED_SWEEPS = 5, 10
# Values that are tested for NaN together.
_BLOCK_VALUES = 1 << 20


@dataclass
class GapsOfRows:
    """Missing entries of some rows of a minibatch.

    Attributes
    ----------
    rows : int array or slice
        Which of the rows presented have gaps.
    states : list of arrays or None
        The last draws: of the missing entries, row by row in one array, and of each even layer
        above; ``None`` at the first presentation.
    n_sweeps : int
    n_rows : int
        Rows with gaps in the whole minibatch.
    places : int array or None
        Which of these are here; ``None``: all.
    slots : list of int arrays or None
        Positions of the states in `Gaps.states`; ``None`` if that does not keep them.
    """

    rows: Any
    states: list[Array] | None
    n_sweeps: int
    n_rows: int
    places: np.ndarray | None
    slots: list[Array] | None

    def fill(self, machine: Machine, v: Array, missing: Array, rng: Stream) -> Array:
        """``v``, only rows with gaps, with their ``missing`` entries drawn anew.

        ``rng`` is that of all rows of the minibatch.
        """
        if self.places is not None:
            rng = RowStream(rng, self.n_rows, self.places)
        # Indices take a quarter of the time of a mask.
        entries = entries_where(missing)
        if self.states is None:
            first, *above = initial_states(machine, v.shape[0], rng)
            values = take_entries(first, entries)
        else:
            values, *above = self.states
        v = put_entries(v, entries, values)
        v, *above = redraw(machine, [v, *above], entries, self.n_sweeps, rng)
        self.states = [take_entries(v, entries), *above]
        return v


class Gaps:
    """The chains of the missing entries of the training rows, from pass to pass.

    Parameters
    ----------
    counts : int array of shape (n_rows,)
        Missing entries of each row.
    machine : Machine
        The machine that draws them.
    fixed : bool
        Whether it is not trained.
    new : bool
        Whether it has made no pass: its distribution is near that of the states at which chains
        start.

    Attributes
    ----------
    n_sweeps : int
        Of each chain in the next pass.
    """

    def __init__(self, counts: np.ndarray, machine: Machine, fixed: bool, new: bool):
        self.fixed, self.has_chains = fixed, False
        self._n_start_sweeps = _FIXED_SWEEPS if fixed else _TRAINED_SWEEPS
        self.n_sweeps = 1 if new and not fixed else self._n_start_sweeps
        # Of each row, the index of its first gap, and its own among the rows with gaps.
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.ranks = np.cumsum(counts > 0) - 1
        n_rows = int(np.count_nonzero(counts))
        above = [(n_rows, machine.par[layer].shape[1]) for layer in machine.even[1:]]
        shapes = [(int(self.starts[-1]),), *above]
        dtype = machine.par[0].dtype
        # Depends only on sizes, so that rows in partitions give the same draws.
        kept = sum(map(math.prod, shapes)) * np.dtype(numpy_dtype(machine.par[0])).itemsize
        kept = kept <= _KEPT
        like = machine.par[0]
        self.states = None
        if kept:
            self.states = [
                namespace(like).empty(shape, dtype=dtype, device=device(like))
                for shape in shapes
            ]

    def copy(self) -> Gaps:
        gaps = copy.copy(self)
        gaps.states = self.states and [copied(x) for x in self.states]
        return gaps

    def of(self, index: np.ndarray, places: np.ndarray | None = None) -> GapsOfRows | None:
        """The gaps of the rows ``index`` of a minibatch, or only of those at ``places`` of it.

        ``None`` if the whole minibatch has none.
        """
        starts, stops = self.starts[index], self.starts[index + 1]
        has_gaps = stops > starts
        n_rows = int(np.count_nonzero(has_gaps))
        if not n_rows:
            return None
        among = None
        if places is not None:
            among = (np.cumsum(has_gaps) - 1)[places]
            index, has_gaps = index[places], has_gaps[places]
            starts, stops, among = starts[places], stops[places], among[has_gaps]
        rows = slice(None) if has_gaps.all() else np.flatnonzero(has_gaps)
        slots = None
        if self.states is not None:
            above = [self.ranks[index[rows]]] * (len(self.states) - 1)
            slots = [_ranges(starts[rows], stops[rows]), *above]
        states = None
        if self.has_chains and slots is not None:
            states = [take(x, at) for x, at in zip(self.states, slots, strict=True)]
        return GapsOfRows(rows, states, self.n_sweeps, n_rows, among, slots)

    def keep(self, slots: list[Array] | None, states: list[Array]) -> None:
        """Keep the ``states`` of chains at ``slots``; nothing if that is ``None``."""
        for at, x, kept in zip(slots or [], states, self.states or [], strict=False):
            put(kept, at, x)

    def end_pass(self) -> None:
        """Mark that every row has been presented."""
        self.has_chains = self.states is not None
        self.n_sweeps = 1 if self.has_chains else self._n_start_sweeps


def redraw(
    machine: Machine,
    even: list[Array],
    entries: Array,
    n_sweeps: int,
    rng: Stream,
) -> list[Array]:
    """Draw missing entries and hidden layers anew, by Gibbs sweeps given the other entries.

    A sweep does not change p(missing, hidden | observed).

    Parameters
    ----------
    machine : Machine
    even : list of arrays of shape (n_rows, n_l)
        States of the even layers, complete, at which the chains start. The visible rows are
        contiguous, and overwritten.
    entries : int array
        Indices of the missing entries in the flattened visible rows.
    n_sweeps : int
    rng : Stream

    Returns
    -------
    even : list of arrays of shape (n_rows, n_l)
    """
    v = even[0]
    states: States = [None] * len(machine.par)
    states[::2] = even
    for _ in range(n_sweeps):
        states = machine.sample(machine.odd, states, rng)
        states = machine.sample(machine.even, states, rng)
        v = put_entries(v, entries, take_entries(states[0], entries))
        states[0] = v
    return states[::2]


def initial_states(machine: Machine, n_rows: int, rng: Stream) -> list[Array]:
    """Draw the even layers at neutral means of the odd ones: base rates in a new machine."""
    states: States = [None] * len(machine.par)
    for layer in machine.odd:
        states[layer] = machine.neutral(layer)
    drawn = []
    for layer in machine.even:
        field = machine.field(layer, states)
        field = namespace(field).repeat(field, n_rows, axis=0)
        drawn.append(machine.units[layer].sample(field, machine.par[layer], rng))
    return drawn


def count_gaps(X: Any, widths: np.ndarray) -> np.ndarray:
    """The number of missing states of each row, dense or CSR.

    ``widths``, (n_columns,): how many states a missing entry of each column is.
    """
    n_rows, n_columns = X.shape
    if isinstance(X, Unstored):
        row = np.repeat(np.arange(n_rows), np.diff(X.indptr))
        observed = np.where(np.isnan(X.data), 0, widths[X.indices])
        return widths.sum() - np.bincount(row, observed, minlength=n_rows).astype(int)
    if sp.issparse(X):
        at = np.flatnonzero(np.isnan(X.data))
        row = np.searchsorted(X.indptr, at, side="right") - 1
        # An entry that is stored twice counts once.
        entries = np.unique(row * n_columns + X.indices[at])
        row, column = np.divmod(entries, n_columns)
        return np.bincount(row, widths[column], minlength=n_rows).astype(int)
    n_block = max(1, _BLOCK_VALUES // max(1, n_columns))
    parts = (slice(i, min(i + n_block, n_rows)) for i in range(0, n_rows, n_block))
    xp = namespace(X)
    blocks = [to_numpy(xp.isnan(X[part, :])) @ widths for part in parts]
    return np.concatenate([np.zeros(0, dtype=int), *blocks])


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The integers of all half-open ranges, one range after the other."""
    counts = stops - starts
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())
