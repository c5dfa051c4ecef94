"""Missing entries of training rows, drawn given the observed ones.

Training on rows with gaps climbs the likelihood of what is observed. Its gradient is that of
complete rows, averaged over the missing entries given the observed ones; so each presentation
of a row draws them anew, by Gibbs sweeps in which the observed entries stay as they are. Means
in their place would lack the noise about them, and the learnt variance would shrink from pass
to pass.

Chains that go on from where the row was last presented need one sweep, as the machine has
moved little since then. The draws must not be closer to the machine as it stands than the
chains of the model are, or what the machine says of itself grows without a limit:
docs/decisions/gaps.md.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._random import OfBatch, Stream
from ..machine import Machine, States

# Draws of up to so many bytes are kept between passes: there are two copies of them while a
# pass goes on. Beyond that each pass starts chains of its own.
_KEPT = 1 << 29
# Sweeps of chains that start at rest, under a machine that is trained: while the training goes
# on, where the chains of the model make as many, and under one that stays as it is.
_MOVING_SWEEPS, _FIXED_SWEEPS = 5, 10
# Values that are looked through together.
_BLOCK_VALUES = 1 << 20


@dataclass
class GapsOfRows:
    """Missing entries of some rows of a minibatch.

    Attributes
    ----------
    rows : int array or slice
        Which of the rows presented have gaps.
    states : list of arrays or None
        Where their chains are: what was drawn last for the missing entries, row by row in one
        array, and the states of each even layer above; ``None`` before the first time.
    n_sweeps : int
    n_rows : int
        Rows with gaps of the whole minibatch.
    places : int array or None
        Which of these are here; ``None`` stands for all.
    slots : list of int arrays or None
        Where in `Gaps` the states are kept, if they are.
    """

    rows: Any
    states: list[np.ndarray] | None
    n_sweeps: int
    n_rows: int
    places: np.ndarray | None
    slots: list[np.ndarray] | None

    def fill(
        self, machine: Machine, v: np.ndarray, missing: np.ndarray, rng: Stream
    ) -> np.ndarray:
        """``v``, the rows with gaps alone, with their ``missing`` entries drawn anew.

        ``rng`` is that of all rows of the minibatch.
        """
        if self.places is not None:
            rng = OfBatch(rng, self.n_rows, self.places)
        # Numbers of entries take a quarter of the time of a mask.
        entries = np.flatnonzero(missing)
        if self.states is None:
            first, *above = initial_states(machine, v.shape[0], rng)
            values = first.take(entries)
        else:
            values, *above = self.states
        v = np.ascontiguousarray(v)
        v.reshape(-1)[entries] = values
        v, *above = redraw(machine, [v, *above], entries, self.n_sweeps, rng)
        self.states = [v.take(entries), *above]
        return v


class Gaps:
    """Where the chains of the missing entries of the training rows are, from pass to pass.

    Parameters
    ----------
    counts : int array of shape (n_rows,)
        Missing entries of each row.
    machine : Machine
        What draws them.
    fixed : bool
        Whether it stays as it is.
    new : bool
        Whether it still says little more than the base rates, at which chains start.

    Attributes
    ----------
    n_sweeps : int
        In the pass that comes.
    """

    def __init__(self, counts: np.ndarray, machine: Machine, fixed: bool, new: bool):
        self.fixed, self.begun = fixed, False
        self._n_fresh = _FIXED_SWEEPS if fixed else _MOVING_SWEEPS
        self.n_sweeps = 1 if new and not fixed else self._n_fresh
        # Where the missing entries of each row begin, and its place among those with gaps.
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.ranks = np.cumsum(counts > 0) - 1
        n_rows = int(np.count_nonzero(counts))
        above = [(n_rows, machine.par[layer].shape[1]) for layer in machine.even[1:]]
        shapes = [(int(self.starts[-1]),), *above]
        dtype = machine.par[0].dtype
        # A rule that looks at sizes alone: who holds the rows must not matter.
        kept = sum(map(math.prod, shapes)) * dtype.itemsize <= _KEPT
        self.states = [np.empty(shape, dtype=dtype) for shape in shapes] if kept else None

    def copy(self) -> Gaps:
        copied = copy.copy(self)
        copied.states = self.states and [x.copy() for x in self.states]
        return copied

    def of(self, index: np.ndarray, places: np.ndarray | None = None) -> GapsOfRows | None:
        """The gaps of the rows ``index`` of a minibatch, or of those at ``places`` of it.

        ``None`` where the whole minibatch has none.
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
        if self.begun and slots is not None:
            states = [x[at] for x, at in zip(self.states, slots, strict=True)]
        return GapsOfRows(rows, states, self.n_sweeps, n_rows, among, slots)

    def keep(self, slots: list[np.ndarray] | None, states: list[np.ndarray]) -> None:
        """Keep where chains have come to, at ``slots``; nothing where that is ``None``."""
        for at, x, kept in zip(slots or [], states, self.states or [], strict=False):
            kept[at] = x

    def end_pass(self) -> None:
        """From now on every row has been presented."""
        self.begun = self.states is not None
        self.n_sweeps = 1 if self.begun else self._n_fresh


def redraw(
    machine: Machine,
    even: list[np.ndarray],
    entries: np.ndarray,
    n_sweeps: int,
    rng: Stream,
) -> list[np.ndarray]:
    """Draw missing entries and hidden layers anew, by Gibbs sweeps given the other entries.

    A sweep leaves p(missing, hidden | observed) as it is.

    Parameters
    ----------
    machine : Machine
    even : list of arrays of shape (n_rows, n_l)
        States of the even layers, complete: where the chains start. The visible rows are
        contiguous, and overwritten.
    entries : int array
        Which entries of the visible rows are missing, all rows counted as one.
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
        v.reshape(-1)[entries] = states[0].take(entries)
        states[0] = v
    return states[::2]


def initial_states(machine: Machine, n_rows: int, rng: Stream) -> list[np.ndarray]:
    """States of the even layers given odd ones at rest: in a new machine, the base rates."""
    states: States = [None] * len(machine.par)
    for layer in machine.odd:
        states[layer] = machine.neutral(layer)
    drawn = []
    for layer in machine.even:
        field = np.repeat(machine.field(layer, states), n_rows, axis=0)
        drawn.append(machine.units[layer].sample(field, machine.par[layer], rng))
    return drawn


def count_gaps(X: Any) -> np.ndarray:
    """How many entries of each row are NaN, of dense or CSR rows."""
    n_rows, n_columns = X.shape
    if sp.issparse(X):
        at = np.flatnonzero(np.isnan(X.data))
        row = np.searchsorted(X.indptr, at, side="right") - 1
        # What is stored twice is one entry.
        entries = np.unique(row * n_columns + X.indices[at])
        return np.bincount(entries // n_columns, minlength=n_rows)
    n_block = max(1, _BLOCK_VALUES // max(1, n_columns))
    starts = range(0, n_rows, n_block)
    blocks = [np.isnan(X[start : start + n_block]).sum(axis=1) for start in starts]
    return np.concatenate([np.zeros(0, dtype=int), *blocks])


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The numbers of all half-open ranges, one range after the other."""
    counts = stops - starts
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())
