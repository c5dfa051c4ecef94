"""From ``random_state`` to independent, picklable streams of random numbers."""

from __future__ import annotations

import math
import sys
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._array_api import Array, device, is_torch_array, namespace, sigmoid

# 16 random bits decide a Bernoulli draw; see docs/decisions/random-bits.md.
_LEVELS = 65536.0


def seed_of(random_state: Any) -> int:
    """Return the seed that ``random_state`` gives.

    An integer is the seed itself, so that equal integers give equal cache keys; from ``None``
    and a ``RandomState`` the seed is drawn.
    """
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def layer_seed(seed: int, layer: int) -> int:
    """Return the seed of one layer, independent of the seeds of the others."""
    return int(np.random.SeedSequence(seed, spawn_key=(layer,)).generate_state(1)[0])


class Stream:
    """A stream of random numbers, as arrays of the library and device of its arguments.

    PyTorch draws on its own device, from a generator whose seed the stream draws. NumPy makes
    the draws for all other libraries. Equal seeds give equal draws of one library and device.

    Parameters
    ----------
    seed : int
    """

    # The draws on the device of a PyTorch array, from the first of them on.
    _on_device: TorchDraws | None = None

    def __init__(self, seed: int):
        self._generator = np.random.Generator(np.random.SFC64(seed))

    def _own_draws(self, like: Array) -> TorchDraws | None:
        """The draws of the library of ``like``; ``None`` if NumPy makes them."""
        if isinstance(like, np.ndarray) or not is_torch_array(like):
            return None
        if self._on_device is None or self._on_device.device != str(like.device):
            seed = int(self._generator.integers(np.iinfo(np.int64).max))
            self._on_device = TorchDraws(str(like.device), seed)
        return self._on_device

    def bernoulli(self, p: Array) -> Array:
        """Draw 0 or 1 with probability ``p``, in the shape and dtype of ``p``.

        ``p`` is overwritten: its memory may hold the draw.
        """
        own = self._own_draws(p)
        if own is not None:
            return namespace(p).astype(own.uniform(p) < p, p.dtype)
        p *= _LEVELS
        # Half a level, so that p is rounded to the nearest level and not downwards.
        p -= 0.5
        return self._below(p)

    def bernoulli_logit(self, field: Array) -> Array:
        """Draw 0 or 1 with probability sigmoid(``field``); ``field`` is overwritten.

        The probability (1 + tanh(field / 2)) / 2 is computed in units of a level, which takes
        two operations on the array fewer than `bernoulli`.
        """
        xp = namespace(field)
        own = self._own_draws(field)
        if own is not None:
            return xp.astype(own.uniform(field) < sigmoid(field), field.dtype)
        field *= 0.5
        level = np.tanh(field, out=field) if xp is np else xp.tanh(field)
        level *= 0.5 * _LEVELS
        level += 0.5 * _LEVELS - 0.5
        return self._below(level)

    def _below(self, level: Array) -> Array:
        """1 where a uniform draw from 0 .. 65535 is below ``level``, else 0."""
        bits = self._bits(level.shape)
        xp = namespace(level)
        if xp is np:
            return np.less(bits, level, out=level, casting="unsafe")
        bits = xp.asarray(bits.astype(np.float32), device=device(level))
        return xp.astype(xp.astype(bits, level.dtype) < level, level.dtype)

    def _bits(self, shape: tuple[int, ...]) -> np.ndarray:
        size = math.prod(shape)
        words = self._generator.bit_generator.random_raw(-(-size // 4))
        return words.view(np.uint16)[:size].reshape(shape)

    def normal(self, like: Array) -> Array:
        """Draw standard normal numbers, in the shape and dtype of ``like``."""
        xp = namespace(like)
        own = self._own_draws(like)
        if own is not None:
            return own.normal(like)
        draw = self._normals(like.shape, numpy_dtype(like))
        return draw if xp is np else xp.asarray(draw, device=device(like))

    def _normals(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return self._generator.standard_normal(shape, dtype=dtype)

    def uniform_like(self, like: Array) -> Array:
        """Draw numbers from [0, 1), in the shape and dtype of ``like``."""
        xp = namespace(like)
        own = self._own_draws(like)
        if own is not None:
            return own.uniform(like)
        draw = self._uniforms(like.shape, numpy_dtype(like))
        return draw if xp is np else xp.asarray(draw, device=device(like))

    def _uniforms(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return self._generator.random(shape, dtype=dtype)

    def uniform(self, n: int) -> np.ndarray:
        """Draw ``n`` numbers between 0 and 1."""
        return self._generator.random(n)

    def permutation(self, n: int) -> np.ndarray:
        """Return a random order of ``range(n)``."""
        return self._generator.permutation(n)


class TorchDraws:
    """Random numbers of PyTorch on one device.

    Parameters
    ----------
    device : str
    seed : int
    """

    def __init__(self, device: str, seed: int):
        self.device = device
        self._generator = self._torch.Generator(device)
        self._generator.manual_seed(seed)

    @property
    def _torch(self) -> Any:
        # Its arrays exist only after it was imported.
        return sys.modules["torch"]

    def uniform(self, like: Array) -> Array:
        """Numbers from [0, 1), in the shape and dtype of ``like``."""
        return self._torch.rand(
            like.shape, generator=self._generator, dtype=like.dtype, device=like.device
        )

    def normal(self, like: Array) -> Array:
        """Standard normal numbers, in the shape and dtype of ``like``."""
        return self._torch.randn(
            like.shape, generator=self._generator, dtype=like.dtype, device=like.device
        )

    def __getstate__(self) -> dict[str, Any]:
        # An array of NumPy, which every file format of estimators can hold.
        return {"device": self.device, "state": self._generator.get_state().numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import torch

        self.device = state["device"]
        self._generator = torch.Generator(self.device)
        self._generator.set_state(torch.from_numpy(np.array(state["state"])))


class RowStream(Stream):
    """The draws of a stream for some rows of a minibatch: those that all rows would get.

    Parameters
    ----------
    stream : Stream
        Advances as if it drew for all rows of the minibatch.
    n_rows : int
        Of the minibatch.
    places : int array
        Positions in the minibatch of the rows to draw for.
    """

    def __init__(self, stream: Stream, n_rows: int, places: np.ndarray):
        self._generator = stream._generator
        self._n_rows, self._places = n_rows, places

    def _bits(self, shape: tuple[int, ...]) -> np.ndarray:
        return super()._bits((self._n_rows, *shape[1:]))[self._places]

    def _normals(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return super()._normals((self._n_rows, *shape[1:]), dtype)[self._places]

    def _uniforms(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return super()._uniforms((self._n_rows, *shape[1:]), dtype)[self._places]


class CommonStream(Stream):
    """A stream that gives all rows of an array the same random numbers.

    The draws for a row then do not depend on the other rows.
    """

    def _own_draws(self, like: Array) -> None:
        return None

    def bernoulli(self, p: Array) -> Array:
        xp = namespace(p)
        # Not rounded to the levels of `Stream`, as weights are divided by the probability.
        return xp.astype(xp.asarray(self._uniform_row(p), device=device(p)) < p, p.dtype)

    def bernoulli_logit(self, field: Array) -> Array:
        return self.bernoulli(sigmoid(field))

    def uniform(self, n: int) -> np.ndarray:
        return np.full(n, self._generator.random())

    def uniform_like(self, like: Array) -> Array:
        return self._for_all_rows(self._uniform_row(like), like)

    def _uniform_row(self, like: Array) -> np.ndarray:
        """Numbers from [0, 1), (1, n)."""
        dtype = numpy_dtype(like)
        u = self._generator.random((1, like.shape[-1])).astype(dtype)
        # float32 may have rounded them to 1.
        return np.minimum(u, np.nextafter(dtype(1), dtype(0)))

    def normal(self, like: Array) -> Array:
        return self._for_all_rows(self._generator.standard_normal((1, like.shape[-1])), like)

    def _for_all_rows(self, draw: np.ndarray, like: Array) -> Array:
        xp = namespace(like)
        draw = xp.asarray(draw.astype(numpy_dtype(like)), device=device(like))
        return xp.broadcast_to(draw, like.shape)


def numpy_dtype(x: Array) -> type:
    """The NumPy dtype of the numbers that are drawn for ``x``."""
    return np.float32 if x.dtype == namespace(x).float32 else np.float64
