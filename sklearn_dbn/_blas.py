"""How many threads BLAS uses for the products of a minibatch.

OpenBLAS shares a product between threads from a few microseconds of work on. The products of a
minibatch take not much longer, and between them nothing is shared: the threads wait for one
another. That costs up to twice the processor time for no gain, and much more where other
processes use the processor; see docs/decisions/training-step.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ._array_api import Array

# Multiplications of one product for each thread. With fewer, more threads gain nothing.
_PER_THREAD = 1 << 22

# The setting belongs to the process. While several threads train, the lowest limit is in force,
# and the last of them restores what was there before the first.
_lock = threading.Lock()
_limits: list[int] = []
_own: list[tuple[Any, int]] = []


@contextmanager
def blas_threads(n_rows: int, weights: Sequence[Array]) -> Iterator[None]:
    """Use no more BLAS threads than make products of ``n_rows`` rows with ``weights`` faster.

    Never more than are set. Arrays of libraries other than NumPy change nothing.

    Parameters
    ----------
    n_rows : int
    weights : sequence of arrays of two dimensions
    """
    if not isinstance(weights[0], np.ndarray):
        yield
        return
    limit = max(1, n_rows * max(W.size for W in weights) // _PER_THREAD)
    with _lock:
        if not _limits:
            _own[:] = [(library, library.num_threads) for library in _libraries()]
        _limits.append(limit)
        _apply()
    try:
        yield
    finally:
        with _lock:
            _limits.remove(limit)
            _apply()


def _apply() -> None:
    for library, own in _own:
        library.set_num_threads(min([own, *_limits]))


@cache
def _libraries() -> list[Any]:
    """Those that are loaded; they are looked for once, which takes 8 ms."""
    return ThreadpoolController().select(user_api="blas").lib_controllers
