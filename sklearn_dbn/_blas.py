"""How many threads BLAS and PyTorch use for the products of a minibatch.

OpenBLAS splits a product between threads if it takes more than a few microseconds. The products
of a minibatch take not much longer, and the work between them has one thread, for which the
others wait. That costs up to twice the processor time without a gain, and much more where other
processes use the processor: docs/decisions/training-step.md.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ._array_api import Array, device, is_torch_array

# Multiplications of one product for each thread. With fewer, more threads gain nothing.
_PER_THREAD = 1 << 22

# The number of threads is a setting of the process. While several threads train, the lowest
# limit applies; the last of them restores the numbers from before the first.
_lock = threading.Lock()
_limits: list[int] = []
_before: list[tuple[Any, int]] = []


@contextmanager
def blas_threads(n_rows: int, weights: Sequence[Array]) -> Iterator[None]:
    """Limit threads to those that make products of ``n_rows`` rows with ``weights`` faster.

    Those of BLAS for arrays of NumPy, and those of PyTorch for its arrays on the CPU. Never
    more than are set, and no limit for other arrays.

    Parameters
    ----------
    n_rows : int
    weights : sequence of arrays of two dimensions
    """
    largest = max(math.prod(W.shape) for W in weights)
    limit = max(1, n_rows * largest // _PER_THREAD)
    if not isinstance(weights[0], np.ndarray):
        with _torch_threads(limit, weights[0]):
            yield
        return
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


@contextmanager
def _torch_threads(limit: int, x: Array) -> Iterator[None]:
    """Limit the threads of PyTorch, of which each Python thread has its own number."""
    if not is_torch_array(x) or str(device(x)) != "cpu":
        yield
        return
    torch = sys.modules["torch"]
    before = torch.get_num_threads()
    torch.set_num_threads(min(limit, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _set_threads() -> None:
    for library, n_threads in _before:
        library.set_num_threads(min([n_threads, *_limits]))


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries in this process; found once, as that takes 8 ms."""
    return ThreadpoolController().select(user_api="blas").lib_controllers
