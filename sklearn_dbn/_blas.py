"""How many threads BLAS uses for the products of a minibatch.

OpenBLAS splits a product between threads if it takes more than a few microseconds. The products
of a minibatch take not much longer, and the work between them has one thread, for which the
others wait. That costs up to twice the processor time without a gain, and much more where other
processes use the processor: docs/decisions/training-step.md.
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

# The number of threads is a setting of the process. While several threads train, the lowest
# limit applies; the last of them restores the numbers from before the first.
_lock = threading.Lock()
_limits: list[int] = []
_before: list[tuple[Any, int]] = []


@contextmanager
def blas_threads(n_rows: int, weights: Sequence[Array]) -> Iterator[None]:
    """Limit BLAS to the threads that make products of ``n_rows`` rows with ``weights`` faster.

    Never more than the process has set. No limit for arrays of libraries other than NumPy.

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
            _before[:] = [(library, library.num_threads) for library in _libraries()]
        _limits.append(limit)
        _set_threads()
    try:
        yield
    finally:
        with _lock:
            _limits.remove(limit)
            _set_threads()


def _set_threads() -> None:
    for library, n_threads in _before:
        library.set_num_threads(min([n_threads, *_limits]))


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries in this process; found once, as that takes 8 ms."""
    return ThreadpoolController().select(user_api="blas").lib_controllers
