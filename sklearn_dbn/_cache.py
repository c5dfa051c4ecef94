"""The cache: results and checkpoints of trainings, in the folder of ``memory``.

A file holds a checksum and one pickled object, so that damage is detected before unpickling,
and gets its name only when it is complete. With a lock, two processes that need the same
training make it once. docs/decisions/cache.md has the reasons against joblib for these files.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp

from ._array_api import is_foreign, library_and_device, to_numpy
from ._compat import HasMethods
from ._locks import hold
from ._messages import short_message, shown
from ._parameters import plain
from ._version import __version__

# Valid values of the parameter `memory`.
MEMORY = [str, os.PathLike, HasMethods(["cache"]), None]
_DIGEST = 16
# Follows the key of a training in the names of files that are removed when it is complete.
_PART = ".part"
# Follows it in the name of its lock file.
LOCK = ".lock"
# Saving takes at most this share of the time of a training.
_SAVING_SHARE = 0.05


class CacheFolder:
    """The files of the cache, one object each.

    Parameters
    ----------
    folder : str or Path
    """

    def __init__(self, folder: Any):
        self.folder = Path(folder)

    def read(self, name: str) -> Any:
        """The object ``name``; ``None`` if there is no such file, or it cannot be used."""
        try:
            sealed = (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, MemoryError) as error:
            # A MemoryError has no message.
            why = short_message(error) or "it is too large for the memory"
            self._warn(f"{name} could not be read ({why}), and is trained again")
            return None
        if sealed[:_DIGEST] != _digest(sealed[_DIGEST:]):
            self._warn(f"the entry {name} is damaged, and is trained again")
            return None
        try:
            return pickle.loads(sealed[_DIGEST:])
        except Exception as error:
            # Undamaged, but of another Python or of classes that cannot be imported.
            self._warn(f"{name} cannot be used here ({shown(error)}), and is trained again")
            return None

    def write(self, name: str, x: Any) -> bool:
        """Save ``x`` as ``name``; return whether that was possible."""
        try:
            payload = pickle.dumps(x, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            # A class of the user may raise any error when it is pickled.
            self._warn(_unsaved(name, shown(error)))
            return False
        # If the process is killed, this file is removed with the checkpoint.
        writer = f"{os.getpid()}-{threading.get_ident()}"
        new = self.folder / f"{name}{_PART}.{writer}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(new, "wb") as file:
                file.write(_digest(payload))
                file.write(payload)
            os.replace(new, self.folder / name)
        except OSError as error:
            self._warn(_unsaved(name, short_message(error)))
            _remove(new)
            return False
        return True

    def remove(self, start: str) -> None:
        """Remove the files whose names begin with ``start``."""
        for path in self.folder.glob(f"{start}*"):
            _remove(path)

    @contextmanager
    def lock(self, name: str, wait: bool = True) -> Iterator[bool]:
        """Wait until no other process or thread holds the lock ``name``, then hold it.

        Yields ``False`` if this thread holds it already, as when a callback of a training
        starts the same training; without ``wait`` also if another thread or process holds it.
        """
        with hold(self.folder / f"{name}{LOCK}", wait) as held:
            yield held

    def mark_used(self, name: str) -> None:
        """Make now the time of the last use of ``name``, of which `reduce_cache` takes account.

        File systems do not keep the time of the last read reliably, so it is that of the last
        change.
        """
        try:
            os.utime(self.folder / name)
        except OSError:
            # Without the right to change it, it seems older than it is.
            return

    def _warn(self, what: str) -> None:
        warnings.warn(f"In the memory= folder {what}.", RuntimeWarning, stacklevel=4)


class Checkpoint:
    """The saved state of a training, from which it resumes after the process was killed.

    Parameters
    ----------
    folder : CacheFolder or None, default=None
        Where to save; ``None`` saves nothing.
    key : str, default=""
        A hash of everything that the training depends on.
    """

    def __init__(self, folder: CacheFolder | None = None, key: str = ""):
        self._root, self._folder, self._name = self, folder, f"{key}{_PART}"
        self._next_save = 0.0

    def part(self, name: str) -> Checkpoint:
        """The checkpoint of a part of the training that precedes the rest."""
        part = Checkpoint()
        part._root, part._name = self._root, f"{self._name}.{name}"
        return part

    def load(self) -> Any:
        """The state that was saved last; ``None`` if there is none."""
        return self._root._folder.read(self._name) if self.enabled else None

    def save(self, state: Any, now: bool = False) -> None:
        """Save ``state``, unless the last save was too recent and ``now`` is false."""
        began = time.monotonic()
        if self.enabled and (now or began >= self._next_save):
            if not self._root._folder.write(self._name, state):
                # No second warning.
                self._root._folder = None
            ended = time.monotonic()
            self._next_save = ended + (ended - began) / _SAVING_SHARE

    @property
    def enabled(self) -> bool:
        """Whether `save` saves anything."""
        return self._root._folder is not None

    def remove(self) -> None:
        """Remove the saved states of all parts, and save no more."""
        root = self._root
        if self.enabled:
            root._folder.remove(root._name)
            root._folder = None


def memory_of(estimator: Any, generator: Any = None) -> Any:
    """The `memory` of an estimator if its training can be repeated, else ``None``.

    An estimator without the parameter `memory` uses that of its ``generator``.
    """
    memory, seed = (generator or estimator).memory, estimator.random_state
    if isinstance(memory, str | os.PathLike) and "\0" in os.fspath(memory):
        raise ValueError(
            f"memory={shown(memory)} has a null character, which no file name may "
            "have: give the path of a folder."
        )
    if estimator.warm_start:
        return None
    if isinstance(seed, Integral):
        return memory
    if memory is not None and generator is None:
        warnings.warn(
            f"memory= saves nothing with random_state={shown(seed)}, since no later fit "
            "would repeat the training: set random_state to an int.",
            UserWarning,
            stacklevel=2,
        )
    return None


def key_of(memory: Any, *parts: Any) -> str:
    """A hash of ``parts`` and of the version of the package; "" without ``memory``.

    Equal numbers of different types have the same key.
    """
    return "" if memory is None else joblib.hash((__version__, *map(_values_of, parts)))


def cache_folder_of(memory: Any) -> CacheFolder | None:
    """The folder of ``memory``; ``None`` if it has none on this machine."""
    if isinstance(memory, str | os.PathLike):
        location = Path(memory) / "joblib"
    else:
        # Beside the entries of joblib, where `joblib.Memory.clear` finds it.
        location = getattr(getattr(memory, "store_backend", None), "location", None)
    known = isinstance(location, str | Path)
    return CacheFolder(Path(location) / "sklearn_dbn") if known else None


class Entry:
    """The entry of one training in the cache; without ``write`` it keeps nothing.

    Attributes
    ----------
    value : object
        The saved result; ``None`` if there is none.
    checkpoint : Checkpoint
        Of the training.
    """

    def __init__(
        self,
        value: Any = None,
        checkpoint: Checkpoint | None = None,
        write: Callable[[Any], bool] | None = None,
    ):
        self.value, self.checkpoint, self._write = value, checkpoint or Checkpoint(), write

    def keep(self, value: Any) -> None:
        """Save the result of a complete training, and remove its checkpoint."""
        if self._write is not None and self._write(value):
            self.checkpoint.remove()


@contextmanager
def cached(memory: Any, key: str) -> Iterator[Entry]:
    """The entry of the training with the key ``key``.

    In a folder, other processes and threads that need it wait until the block ends.

    Parameters
    ----------
    memory : str, path, joblib.Memory, an object with the same ``cache``, or None
    key : str
        From `key_of`.
    """
    folder = cache_folder_of(memory)
    if memory is None:
        yield Entry()
    elif folder is None:
        yield _entry_of_function_cache(memory, key)
    else:
        with folder.lock(key) as held:
            value = folder.read(key)
            if value is None and not held:
                # The outer training, which started this equal one, saves the result.
                yield Entry()
                return
            checkpoint = Checkpoint(folder, key)
            if value is not None:
                folder.mark_used(key)
                checkpoint.remove()
            yield Entry(value, checkpoint, partial(folder.write, key))


class _NotCached(Exception):
    pass


def _entry_of_function_cache(memory: Any, key: str) -> Entry:
    """The entry of a cache of functions, such as a `joblib.Memory` without a folder."""
    function = memory.cache(_result, ignore=["value"])

    def write(value: Any) -> bool:
        function(key, value)
        return True

    try:
        value = function(key, None)
    except _NotCached:
        value = None
    return Entry(value, write=write)


def _result(key: str, value: Any) -> Any:
    if value is None:
        raise _NotCached
    return value


def _values_of(x: Any) -> Any:
    """The values of a part of a key, independent of how they are stored."""
    if isinstance(x, dict):
        return {_values_of(k): _values_of(value) for k, value in x.items()}
    if isinstance(x, list | tuple):
        return [_values_of(value) for value in x]
    if sp.issparse(x) and x.format == "csr":
        # scipy stores properties of the values in the object when it has computed them.
        return "csr", x.shape, x.data, x.indices, x.indptr
    if is_foreign(x):
        return library_and_device(x), to_numpy(x)
    x = plain(x)
    if isinstance(x, Real) and not isinstance(x, bool | Integral | np.generic):
        return int(x) if float(x).is_integer() else float(x)
    return x


def _unsaved(name: str, why: str) -> str:
    return f"{name} could not be saved ({why}); the training continues"


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # It is removed already, or cannot be; a file that remains is complete or never read.
        return
