"""From ``random_state`` to independent, picklable streams of random numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._array_api import Array, device, namespace

# 16 random bits decide a Bernoulli draw; see docs/decisions/random-bits.md.
_LEVELS = 65536.0


def seed_of(random_state: Any) -> int:
    """Return one integer that stands for ``random_state``.

    An integer stands for itself, so that equal seeds give equal cache keys; ``None`` and
    a ``RandomState`` are drawn from.
    """
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def layer_seed(seed: int, layer: int) -> int:
    """Return the seed of one layer, independent of the seeds of the others."""
    return int(np.random.SeedSequence(seed, spawn_key=(layer,)).generate_state(1)[0])


class Stream:
    """A stream of random numbers that follows the arrays it is given.

    The draws are made by NumPy, whatever the array library, so that equal seeds give
    equal draws everywhere.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int):
        self._generator = np.random.Generator(np.random.SFC64(seed))

    def bernoulli(self, p: Array) -> Array:
        """Draw 0 or 1 with probability ``p``, in the shape and dtype of ``p``.

        ``p`` is used up: its memory may hold the draw.
        """
        n_words = -(-p.size // 4)
        words = self._generator.bit_generator.random_raw(n_words)
        bits = words.view(np.uint16)[: p.size].reshape(p.shape)
        xp = namespace(p)
        p *= _LEVELS
        # Half a level, so that p is rounded to the nearest level and not downwards.
        p -= 0.5
        if xp is np:
            np.copyto(p, np.less(bits, p))
            return p
        bits = xp.asarray(bits.astype(np.float32), device=device(p))
        return xp.astype(xp.astype(bits, p.dtype) < p, p.dtype)

    def normal(self, like: Array) -> Array:
        """Draw standard normal numbers, in the shape and dtype of ``like``."""
        xp = namespace(like)
        dtype = np.float32 if like.dtype == xp.float32 else np.float64
        draw = self._generator.standard_normal(like.shape, dtype=dtype)
        return draw if xp is np else xp.asarray(draw, device=device(like))

    def permutation(self, n: int) -> np.ndarray:
        """Return a random order of ``range(n)``."""
        return self._generator.permutation(n)
