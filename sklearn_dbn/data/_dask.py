"""Rows that the workers of a dask cluster hold, and training on them where they are.

The statistics of the data are sums over rows. In each step every worker sums over those rows
of the minibatch that it holds, while the chains move in the process that trains; there the
sums are added up in the order of the partitions, and the parameters move. Which rows make a
batch, and what is drawn for each of them, is what `Rows` says of the same data in memory: the
parameters are the same, but for rounding, however the rows are spread.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp

from .._array_api import Array
from .._random import OfBatch, Stream
from ..machine import Machine, settle
from ..samplers import SAMPLERS, positive
from ._gaps import Gaps
from ._rows import Rows

# So many times in a row what workers were asked for is asked for again, where one of them died,
# and so many seconds a new worker is waited for.
_ATTEMPTS = 3
_WAIT = 60


class Partitions:
    """The partitions of a dask array, in the place of the rows that they hold.

    Workers may die: what they were asked for is then asked for again, of the others or of new
    ones, so a training ends as if nothing had happened. All that they are asked for depends on
    the rows and on what is sent alone.

    Parameters
    ----------
    client : distributed.Client
    load : callable
        Gives a list of futures of the blocks: arrays or CSR arrays of shape
        (n_rows_i, n_columns). Called again where the blocks are lost.

    Attributes
    ----------
    blocks : list of distributed.Future
    n_losses : int
        How often workers were lost. What was sent before the last time may be lost too.
    shape, dtype :
        Of all rows together.
    ends : int array of shape (n_blocks + 1,)
        Partition i holds rows ``ends[i]`` to ``ends[i + 1] - 1``.
    """

    def __init__(self, client: Any, load: Callable[[], list[Any]]):
        self.client, self.load, self.n_losses = client, load, 0
        self.blocks = load()
        shapes, dtypes = zip(*self.each(_kind_of), strict=True)
        self.ends = np.cumsum([0, *(shape[0] for shape in shapes)])
        self.shape, self.dtype = (int(self.ends[-1]), shapes[0][1]), dtypes[0]

    def __getstate__(self) -> list[str]:
        # What joblib.hash looks at: the rows, and not where they are.
        return self.each(joblib.hash)

    def submit(self, function: Callable[..., Any], *args: list[Any]) -> list[Any]:
        """Futures of ``function`` of each partition, and of one of each list of ``args``."""
        calls = zip(self.blocks, *args, strict=True)
        # Not pure: dask would look through the arguments for a name of the result.
        return [self.client.submit(function, *call, pure=False) for call in calls]

    def each(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """``function(partition, *args)`` of each partition, where it lies."""
        return self.begin(lambda: self.submit(partial(_with, function, args)))()

    def begin(self, ask: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
        """Ask for the futures that ``ask()`` gives; what is returned waits for their values."""
        lost = _lost()
        first: list[Any] | None
        try:
            first = ask()
        except lost:
            first = None

        def values() -> list[Any]:
            futures = first
            for left in reversed(range(_ATTEMPTS)):
                try:
                    if futures is None:
                        self._recover()
                        futures = ask()
                    return self.client.gather(futures)
                except lost as error:
                    futures = None
                    if not left:
                        raise RuntimeError(
                            f"Workers of the dask cluster were lost {_ATTEMPTS} times in a row "
                            f"({type(error).__name__}): give them more memory, or X smaller "
                            "partitions; with memory= the same fit goes on from its last pass."
                        ) from error
            raise AssertionError

        return values

    def _recover(self) -> None:
        """Wait until there is a worker, and load the blocks that dask does not make again."""
        self.n_losses += 1
        self.client.wait_for_workers(1, timeout=_WAIT)
        if any(block.status in ("error", "cancelled", "lost") for block in self.blocks):
            self.blocks = self.load()

    def each_with(self, function: Callable[..., Any], x: Any, *args: Any) -> list[Any]:
        """``function(partition, *args, part)`` with the ``part`` of ``x`` of its rows."""
        ask = partial(self.submit, partial(_with, function, args), self.parts(x))
        return self.begin(ask)()

    def parts(self, x: Any) -> list[Any]:
        """What each partition has of ``x``, which has an entry for each row."""
        return np.split(x, self.ends[1:-1])

    def send(self, x: Any) -> Any:
        """A future of ``x``, now on every worker."""
        return self.client.scatter(x, broadcast=True, hash=False)

    def shares(self, index: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each partition its rows among those of ``index``, and their places there."""
        owner = np.searchsorted(self.ends, index, side="right") - 1
        places = [np.flatnonzero(owner == i) for i in range(len(self.blocks))]
        return [(index[at] - start, at) for at, start in zip(places, self.ends, strict=False)]


def partitions_of(X: Any, check: Callable[[Any], Any]) -> Partitions | None:
    """The rows of a dask array, each partition validated by ``check`` where it lies.

    ``None`` where there is no cluster to hold them, or nothing but an array will do.
    """
    try:
        from distributed import Client, futures_of

        client = Client.current()
    except (ImportError, ValueError):
        return None
    if not hasattr(X, "rechunk") or X.ndim != 2:
        return None
    # A worker sees whole rows.
    X = X.rechunk({1: -1})

    def load() -> list[Any]:
        held = client.persist(X)
        futures = {future.key: future for future in futures_of(held)}
        blocks = [futures[key] for (key,) in held.__dask_keys__()]
        return [client.submit(check, x, pure=False) for x in blocks]

    return Partitions(client, load)


def rows_of(
    X: Any,
    weight: Array,
    unit: Any,
    lower: Any,
    rbm: Any,
    columns: tuple[Array, Array] | None = None,
) -> Rows:
    """The training rows ``X``, wherever they are, of a machine that ``rbm`` describes."""
    if not isinstance(X, Partitions):
        return Rows(X, weight, unit, lower, rbm.sample_inputs, columns)
    if not SAMPLERS[rbm.sampler].apart:
        raise ValueError(
            f"sampler={rbm.sampler!r} needs the rows of X where the chains are, and those of a "
            "dask array stay with their workers: set sampler='pcd', or pass X.compute()."
        )
    return SpreadRows(X, weight, unit, lower, rbm.sample_inputs, columns)


class SpreadRows(Rows):
    """Training rows that stay with the workers that hold them."""

    X: Partitions

    def accumulate(self, totals: list[Any], take_in: Callable[..., None]) -> None:
        n_parts = len(self.X.blocks)
        weights = self.X.parts(self.weight)

        def ask() -> list[Any]:
            empty = [total.empty() for total in totals]
            common = self.X.send((self._elsewhere(), take_in, empty))
            return self.X.submit(_accumulated, [common] * n_parts, weights)

        for parts in self.X.begin(ask)():
            for total, part in zip(totals, parts, strict=True):
                total.merge(part)

    def batches(
        self, batch_size: int, rng: Stream, gaps: Gaps | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """As in `Rows`, but that none of the rows are here: their weights alone."""
        self._sent = None
        nothing = np.empty(0, dtype=int)
        for rows, ends in self._windows(batch_size, rng):
            for start, end in itertools.pairwise(ends.tolist()):
                index = rows[start:end]
                weight = self.weight[index]
                shares = self.X.shares(index)
                drawn = [None if gaps is None else gaps.of(index, at) for _, at in shares]
                self._batch = shares, weight, copy.deepcopy(rng), gaps, drawn
                # The stream moves on as if all had been drawn here.
                none = None if gaps is None else gaps.of(index, nothing)
                yield self.present(nothing, OfBatch(rng, len(index), nothing), none), weight

    def sums(self, machine: Machine, n_sweeps: int) -> Callable[[], Machine]:
        shares, weight, rng, gaps, drawn = self._batch
        slots = [
            None if part is None else part.slots
            for (index, _), part in zip(shares, drawn, strict=True)
            if len(index)
        ]

        def ask() -> list[Any]:
            if self._sent is None or self._sent[0] != self.X.n_losses:
                self._sent = self.X.n_losses, self.X.send(self._elsewhere())
            how, sent, futures = self._sent[1], self.X.send(machine), []
            for block, (index, places), part in zip(self.X.blocks, shares, drawn, strict=True):
                if len(index):
                    part = None if part is None else replace(part, slots=part.slots and [])
                    task = index, weight[places], OfBatch(rng, len(weight), places), part
                    futures.append(
                        self.X.client.submit(
                            _sums, block, how, sent, n_sweeps, task, pure=False
                        )
                    )
            return futures

        values = self.X.begin(ask)

        def added() -> Machine:
            parts = values()
            for at, (_, states) in zip(slots, parts, strict=True):
                if at is not None:
                    gaps.keep(at, states)
            (first, _), *others = parts
            for other, _ in others:
                for x, y in zip(first.arrays(), other.arrays(), strict=True):
                    x += y
            return first

        return added

    def _taken(self, index: np.ndarray) -> Array:
        values = np.empty((len(index), self.X.shape[1]), dtype=self.X.dtype)
        shares = self.X.shares(index)
        if len(index):
            parts = self.X.begin(lambda: self.X.submit(_fetched, [rows for rows, _ in shares]))
            for part, (_, places) in zip(parts(), shares, strict=True):
                values[places] = part
        return values

    def _elsewhere(self) -> Rows:
        """The same, of other rows and without any."""
        rows = Rows.__new__(Rows)
        left_here = {"X": None, "weight": None, "index": None, "_batch": None, "_sent": None}
        vars(rows).update(vars(self) | left_here)
        return rows


def _lost() -> tuple[type[BaseException], ...]:
    """What is raised where a worker died, or what it held is gone."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, TimeoutError
    from distributed.comm import CommClosedError

    return KilledWorker, CancelledError, CommClosedError, TimeoutError


def _with(function: Callable[..., Any], args: tuple, block: Any, *part: Any) -> Any:
    return function(block, *args, *part)


def _kind_of(block: Any) -> tuple[tuple[int, int], Any]:
    return block.shape, block.dtype


def _fetched(block: Any, index: np.ndarray) -> np.ndarray:
    return block[index].toarray() if sp.issparse(block) else block[index]


def _accumulated(block: Any, common: tuple, weight: np.ndarray) -> list[Any]:
    """What `Rows.accumulate` makes of the rows of one partition."""
    rows, take_in, totals = common
    rows, totals = copy.copy(rows), copy.deepcopy(totals)
    rows.X, rows.weight = block, weight
    rows.accumulate(totals, take_in)
    return totals


def _sums(
    block: Any, rows: Rows, machine: Machine, n_sweeps: int, task: tuple
) -> tuple[Machine, list[Array] | None]:
    """Sums over the rows of a batch that one partition holds, and the chains of their gaps."""
    index, weight, rng, gaps = task
    # What a worker was sent may lie in memory that may not be written to, and serves again.
    rng, gaps = copy.deepcopy(rng), copy.copy(gaps)
    rows = copy.copy(rows)
    rows.X = block
    if not rows.lower:
        rows.bottom = machine
    v = rows.present(index, rng, gaps)
    even, settled = settle(machine, v, n_sweeps)
    states, fields = positive(machine, even)
    fields[::2] = settled[::2]
    sums = machine.gradient(states, weight, [0 * par[0, :] for par in machine.par], fields)
    return sums, None if gaps is None or gaps.slots is None else gaps.states
