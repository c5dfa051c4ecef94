"""Rows on the workers of a dask cluster, and training on them there.

The statistics of the data are sums over rows. For each update every worker sums over those rows
of the minibatch that it has, while the chains move in the process that trains. That adds the
sums in the order of the partitions, and makes the update. The rows of each minibatch and their
draws are those of `Rows` with the same data in memory: the parameters are the same up to
rounding, whatever the partitions.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import narwhals as nw
import numpy as np

from .._array_api import Array
from .._messages import shown
from .._random import RowStream, Stream
from ..machine import Machine, mean_field_sweeps
from ..samplers import SAMPLERS, positive_phase
from ..units import HIDDEN
from ._columns import Columns
from ._frames import frame_of, is_single
from ._gaps import Gaps
from ._rows import Rows
from ._values import dense

# Attempts at a computation when workers are lost, and seconds of waiting for a new worker.
_ATTEMPTS = 3
_WAIT = 60


class Partitions:
    """The partitions of a dask array.

    If workers are lost, their computations are repeated on others or on new ones. The result
    of a training does not change, as each computation depends only on its partition and its
    arguments.

    Parameters
    ----------
    client : distributed.Client
    load : callable
        Returns a list of futures of the blocks: arrays or CSR arrays of shape
        (n_rows_i, n_columns). Called again if blocks are lost.

    Attributes
    ----------
    blocks : list of distributed.Future
    n_losses : int
        How often workers were lost. Data that were sent before the last time may be lost too.
    shape, dtype :
        Of all rows together.
    ends : int array of shape (n_blocks + 1,)
        Partition i has rows ``ends[i]`` to ``ends[i + 1] - 1``.
    form : frame or None
        A frame without rows that has the names and dtypes of the columns, if the rows were in a
        dask frame.
    """

    def __init__(self, client: Any, load: Callable[[], list[Any]]):
        self.client, self.load, self.n_losses, self.form = client, load, 0, None
        self.blocks = load()
        shapes, dtypes = zip(*self.each(_kind_of), strict=True)
        self.ends = np.cumsum([0, *(shape[0] for shape in shapes)])
        self.shape, self.dtype = (int(self.ends[-1]), shapes[0][1]), dtypes[0]

    def __getstate__(self) -> list[str]:
        # joblib.hash then depends on the rows and partitions, not on the workers.
        return self.each(joblib.hash)

    def submit(self, function: Callable[..., Any], *args: list[Any]) -> list[Any]:
        """Futures of ``function(partition, *x)``; ``x`` has an entry of each of ``args``."""
        calls = zip(self.blocks, *args, strict=True)
        # With pure=True dask would hash the arguments.
        return [self.client.submit(function, *call, pure=False) for call in calls]

    def each(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """``function(partition, *args)`` of each partition, on its worker."""
        return self.begin(lambda: self.submit(partial(_with, function, args)))()

    def begin(self, submit: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
        """Call ``submit()`` for its futures; return a function that waits for their values.

        That function submits again if workers are lost.
        """
        lost = _lost()
        first: list[Any] | None
        try:
            first = submit()
        except lost:
            first = None

        def values() -> list[Any]:
            futures = first
            for left in reversed(range(_ATTEMPTS)):
                try:
                    if futures is None:
                        self._recover()
                        futures = submit()
                    return self.client.gather(futures)
                except lost as error:
                    futures = None
                    if not left:
                        raise RuntimeError(
                            f"Workers of the dask cluster were lost {_ATTEMPTS} times in a row "
                            f"({type(error).__name__}): give them more memory, or X smaller "
                            "partitions; with memory= the same fit resumes after its last pass."
                        ) from error
            raise AssertionError

        return values

    def _recover(self) -> None:
        """Wait for a worker, and load the blocks again if dask cannot restore them."""
        self.n_losses += 1
        self.client.wait_for_workers(1, timeout=_WAIT)
        self._restore()

    def _restore(self) -> None:
        if any(block.status in ("error", "cancelled", "lost") for block in self.blocks):
            self.blocks = self.load()

    def begin_on(
        self, function: Callable[..., Any], tasks: list[Any], *common: Any
    ) -> Callable[[], list[Any]]:
        """As `begin`, for ``function(partition, *common, task)`` where the task is not None.

        ``common`` is copied to every worker.
        """

        def submit() -> list[Any]:
            sent = [self.send(x) for x in common]
            return [
                self.client.submit(function, block, *sent, task, pure=False)
                for block, task in zip(self.blocks, tasks, strict=True)
                if task is not None
            ]

        return self.begin(submit)

    def mapped(self, function: Callable[..., Any], *args: Any) -> Partitions:
        """Partitions of ``function(partition, *args)``, which stay on the workers too.

        They have a value for each row of these.
        """

        def load() -> list[Any]:
            self._restore()
            sent = self.send(args)
            return self.submit(partial(_with_sent, function), [sent] * len(self.blocks))

        # Not by copy.copy, as the state of a copy is a list of hashes.
        found = Partitions.__new__(Partitions)
        found.__dict__ = vars(self) | {"load": load, "blocks": load()}
        return found

    def fetch(self, index: np.ndarray) -> Array:
        """The rows ``index``, dense and in this process."""
        values = np.empty((len(index), self.shape[1]), dtype=self.dtype)
        tasks, places = self.tasks(index)
        for part, at in zip(self.begin_on(_fetched, tasks)(), places, strict=True):
            values[at] = part
        return values

    def tasks(self, index: np.ndarray, *of_rows: Any) -> tuple[list[Any], list[np.ndarray]]:
        """A task for each partition with rows among ``index``, and their places in that.

        A task has the rows, from 0, and their entries in each of ``of_rows``; it is the rows
        alone if there are none of these, and ``None`` for the other partitions.
        """
        tasks: list[Any] = []
        places = []
        for rows, at in self.shares(index):
            if len(rows):
                places.append(at)
                tasks.append((rows, *(x[at] for x in of_rows)) if of_rows else rows)
            else:
                tasks.append(None)
        return tasks, places

    def each_with(self, function: Callable[..., Any], x: Any, *args: Any) -> list[Any]:
        """``function(partition, *args, part)``, with the entries of ``x`` for its rows."""
        return self.begin(partial(self.submit, partial(_with, function, args), self.parts(x)))()

    def parts(self, x: Any) -> list[Any]:
        """``x``, which has an entry for each row, split by partition."""
        return np.split(x, self.ends[1:-1])

    def send(self, x: Any) -> Any:
        """Copy ``x`` to every worker; return its future."""
        return self.client.scatter(x, broadcast=True, hash=False)

    def shares(self, index: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each partition its rows among ``index``, from 0, and their places in that."""
        owner = np.searchsorted(self.ends, index, side="right") - 1
        places = [np.flatnonzero(owner == i) for i in range(len(self.blocks))]
        return [(index[at] - start, at) for at, start in zip(places, self.ends, strict=False)]


def of_dask(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "dask"


def in_memory(x: Any) -> Any:
    """``x``, computed if it is a dask collection: for a few numbers of each row."""
    return x.compute() if of_dask(x) else x


def has_cluster(X: Any) -> bool:
    """Whether there is a cluster, and the dask collection ``X`` consists of rows."""
    return _client() is not None and getattr(X, "ndim", 0) == 2


def _client() -> Any:
    try:
        from distributed import Client

        return Client.current()
    except (ImportError, ValueError):
        return None


def partitions_of(X: Any, check: Callable[[Any], Any]) -> Partitions:
    """The partitions of a dask array, each validated by ``check`` on its worker."""
    from distributed import futures_of

    client = _client()
    # Each partition has complete rows.
    X = X.rechunk({1: -1})

    def load() -> list[Any]:
        held = client.persist(X)
        futures = {future.key: future for future in futures_of(held)}
        blocks = [futures[key] for (key,) in held.__dask_keys__()]
        return [client.submit(check, x, pure=False) for x in blocks]

    return Partitions(client, load)


def check_kinds_on_cluster(X: Any, rbm: Any, pathways: Any) -> None:
    """Refuse parameters that need all rows of the dask array or frame ``X`` here."""
    for name, plain in (("visible", ("auto", *HIDDEN)), ("missing", ("nan",))):
        value = getattr(rbm, name, plain[0])
        if not isinstance(value, str) or value not in plain:
            raise TypeError(
                f"X is a dask {type(X).__name__}, and {name}={shown(value)} needs its rows in "
                f"memory: pass X.compute(), or set {name}={plain[0]!r}."
            )
    if pathways is not None:
        raise TypeError(
            f"X is a dask {type(X).__name__}, and pathways={shown(pathways)} needs its rows in "
            "memory: pass X.compute(), or set pathways=None."
        )


def numbers_on_cluster(X: Any, meta: Any) -> Any:
    """The dask array of the dask frame ``X``; the frame ``meta`` has its columns, and no rows.

    Raises
    ------
    TypeError
        When a column does not hold numbers.
    """
    for name, dtype in frame_of(meta).schema.items():
        if not dtype.is_numeric() and dtype != nw.Boolean:
            raise TypeError(
                f"X is a dask {type(X).__name__} with {dtype} in column {shown(name)}, and on "
                "a cluster rows must be numbers: leave that column out, or pass X.compute()."
            )
    return X.astype("float32" if is_single(meta) else "float64").to_dask_array()


def rows_of(
    X: Any,
    weight: Array,
    columns: Columns,
    lower: Any,
    rbm: Any,
) -> Rows:
    """The training rows ``X``, here or in partitions, for the parameters of ``rbm``.

    ``rbm`` is ``None`` if nothing is trained on them.
    """
    kind = PartitionedRows if isinstance(X, Partitions) else Rows
    if rbm is None:
        return kind(X, weight, columns, lower)
    if kind is PartitionedRows and not SAMPLERS[rbm.sampler].independent_of_rows:
        raise ValueError(
            f"sampler={rbm.sampler!r} needs the rows of X in this process, and those of a dask "
            "array stay on its workers: set sampler='pcd', or pass X.compute()."
        )
    return kind(X, weight, columns, lower, rbm.sample_inputs)


class PartitionedRows(Rows):
    """Training rows that stay on the workers of a dask cluster."""

    X: Partitions
    on_cluster = True

    def accumulate(self, totals: list[Any], add: Callable[..., None]) -> None:
        n_parts = len(self.X.blocks)
        weights = self.X.parts(self.weight)

        def submit() -> list[Any]:
            empty = [total.empty() for total in totals]
            common = self.X.send((self._without_data(), add, empty))
            return self.X.submit(_accumulated, [common] * n_parts, weights)

        for parts in self.X.begin(submit)():
            for total, part in zip(totals, parts, strict=True):
                total.merge(part)

    def batches(
        self, batch_size: int, rng: Stream, gaps: Gaps | None = None
    ) -> Iterator[tuple[Array, Array, float]]:
        """As in `Rows`, but without the rows: an empty array, and the weights."""
        self._sent = None
        nothing = np.empty(0, dtype=int)
        for rows, ends in self._windows(batch_size, rng):
            for start, end in itertools.pairwise(ends.tolist()):
                index = rows[start:end]
                weight = self.weight[index]
                shares = self.X.shares(index)
                drawn = [None if gaps is None else gaps.of(index, at) for _, at in shares]
                self._batch = shares, weight, copy.deepcopy(rng), gaps, drawn
                # The stream advances as if it had drawn for all rows.
                none = None if gaps is None else gaps.of(index, nothing)
                v = self.present(nothing, RowStream(rng, len(index), nothing), none)
                yield v, weight, float(weight.sum())

    def sums(self, machine: Machine, n_sweeps: int) -> Callable[[], Machine]:
        shares, weight, rng, gaps, drawn = self._batch
        slots = [
            None if part is None else part.slots
            for (index, _), part in zip(shares, drawn, strict=True)
            if len(index)
        ]

        def submit() -> list[Any]:
            if self._sent is None or self._sent[0] != self.X.n_losses:
                self._sent = self.X.n_losses, self.X.send(self._without_data())
            rows, sent, futures = self._sent[1], self.X.send(machine), []
            for block, (index, places), part in zip(self.X.blocks, shares, drawn, strict=True):
                if len(index):
                    part = None if part is None else replace(part, slots=part.slots and [])
                    task = index, weight[places], RowStream(rng, len(weight), places), part
                    futures.append(
                        self.X.client.submit(
                            _sums, block, rows, sent, n_sweeps, task, pure=False
                        )
                    )
            return futures

        values = self.X.begin(submit)

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

    def _read_dense(self, index: np.ndarray) -> Array:
        return self.X.fetch(index)

    def _without_data(self) -> Rows:
        """`Rows` with the same attributes, but without the data."""
        rows = Rows.__new__(Rows)
        removed = {
            "X": None,
            "weight": None,
            "index": None,
            "_weight_on_host": None,
            "_batch": None,
            "_sent": None,
        }
        rows.__dict__ = vars(self) | removed
        return rows


def _lost() -> tuple[type[BaseException], ...]:
    """Exceptions that dask raises when a worker, or data on it, are lost."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, TimeoutError
    from distributed.comm import CommClosedError

    return KilledWorker, CancelledError, CommClosedError, TimeoutError


def _with(function: Callable[..., Any], args: tuple, block: Any, *part: Any) -> Any:
    return function(block, *args, *part)


def _with_sent(function: Callable[..., Any], block: Any, args: tuple) -> Any:
    return function(block, *args)


def _kind_of(block: Any) -> tuple[tuple[int, int], Any]:
    return block.shape, block.dtype


def _fetched(block: Any, index: np.ndarray) -> np.ndarray:
    return dense(block[index])


def _accumulated(block: Any, common: tuple, weight: np.ndarray) -> list[Any]:
    """The totals of `Rows.accumulate` over the rows of one partition."""
    rows, add, totals = common
    rows, totals = copy.copy(rows), copy.deepcopy(totals)
    rows.X, rows.weight = block, weight
    rows.accumulate(totals, add)
    return totals


def _sums(
    block: Any, rows: Rows, machine: Machine, n_sweeps: int, task: tuple
) -> tuple[Machine, list[Array] | None]:
    """Sums over the rows of a minibatch in one partition, and the chains of their gaps."""
    index, weight, rng, gaps = task
    # Data that were sent to a worker may be read-only, and are used again.
    rng, gaps = copy.deepcopy(rng), copy.copy(gaps)
    rows = copy.copy(rows)
    rows.X = block
    if not rows.lower:
        rows.bottom = machine
    v = rows.present(index, rng, gaps)
    even, even_fields = mean_field_sweeps(machine, v, n_sweeps)
    states, fields = positive_phase(machine, even)
    fields[::2] = even_fields[::2]
    sums = machine.gradient(states, weight, [0 * par[0, :] for par in machine.par], fields)
    return sums, None if gaps is None or gaps.slots is None else gaps.states
