"""What trainings leave in the folder of ``memory``: their results, and how far they have come.

A file holds one pickled object behind a checksum, so that damage is noticed before it is read,
and appears under its name only when it is whole. A lock lets two processes that want the same
training do it once. docs/decisions/cache.md says why joblib does not keep these files.
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

from ._compat import HasMethods
from ._locks import hold
from ._parameters import plain
from ._version import __version__

# What an estimator takes as its `memory`.
MEMORY = [str, os.PathLike, HasMethods(["cache"]), None]
_DIGEST = 16
# After the key of a training: files that are of no use once it is finished.
_PART = ".part"
# Saving takes at most this share of the time of a training.
_SAVING = 0.05


class Store:
    """Objects by name, in files of one folder.

    Parameters
    ----------
    folder : str or Path
    """

    def __init__(self, folder: Any):
        self.folder = Path(folder)

    def read(self, name: str) -> Any:
        """The object of that name; ``None`` if there is none, or none that is whole."""
        try:
            sealed = (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, MemoryError) as error:
            # One that has grown huge does not fit in memory, and its error says nothing.
            why = _short(str(error)) or "it is too large for the memory"
            self._warn(f"{name} could not be read ({why}), and is trained again")
            return None
        if sealed[:_DIGEST] != _digest(sealed[_DIGEST:]):
            self._warn(f"a damaged entry, {name}, was found, and is trained again")
            return None
        try:
            return pickle.loads(sealed[_DIGEST:])
        except Exception as error:
            # Whole, but of another Python or of classes that are not here.
            self._warn(
                f"{name} cannot be used here ({_short(repr(error))}), and is trained again"
            )
            return None

    def write(self, name: str, x: Any) -> bool:
        """Keep ``x`` under that name; whether there was room for it."""
        try:
            payload = pickle.dumps(x, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            # Whatever the pickling of a class of the user raises.
            why = _short(repr(error))
            self._warn(f"{name} could not be kept ({why}); the training itself goes on")
            return False
        # What a killed process leaves of it is removed with the checkpoint.
        writer = f"{os.getpid()}-{threading.get_ident()}"
        new = self.folder / f"{name}{_PART}.{writer}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(new, "wb") as file:
                file.write(_digest(payload))
                file.write(payload)
            os.replace(new, self.folder / name)
        except OSError as error:
            self._warn(
                f"{name} could not be kept ({_short(str(error))}); the training itself goes on"
            )
            _remove(new)
            return False
        return True

    def remove(self, start: str) -> None:
        """Remove every file whose name begins so."""
        for path in self.folder.glob(f"{start}*"):
            _remove(path)

    @contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Wait for other processes and threads that hold that name, then hold it.

        Yields whether they wait for this thread from now on: not where it holds that name
        already, as when a callback of a training asks for the same training.
        """
        with hold(self.folder / f"{name}.lock") as held:
            yield held

    def _warn(self, what: str) -> None:
        warnings.warn(f"In the memory= folder {what}.", RuntimeWarning, stacklevel=4)


class Checkpoint:
    """How far a training has come, kept so that it goes on from there after it was killed.

    Parameters
    ----------
    store : Store or None, default=None
        Where; ``None`` keeps nothing.
    key : str, default=""
        Stands for everything that the training depends on.
    """

    def __init__(self, store: Store | None = None, key: str = ""):
        self._root, self._store, self._name = self, store, f"{key}{_PART}"
        self._free_at = 0.0

    def part(self, name: str) -> Checkpoint:
        """The checkpoint of a part of the training, to be finished before the rest."""
        part = Checkpoint(None, "")
        part._root, part._name = self._root, f"{self._name}.{name}"
        return part

    def load(self) -> Any:
        """The state that was saved last; ``None`` where there is none."""
        store = self._root._store
        return None if store is None else store.read(self._name)

    def save(self, state: Any, now: bool = False) -> None:
        """Save ``state``; unless ``now``, only if there was no saving for a while."""
        began = time.monotonic()
        if self.kept and (now or began >= self._free_at):
            if not self._root._store.write(self._name, state):
                # One warning is enough.
                self._root._store = None
            ended = time.monotonic()
            self._free_at = ended + (ended - began) / _SAVING

    @property
    def kept(self) -> bool:
        """Whether there is a place for it."""
        return self._root._store is not None

    def forget(self) -> None:
        """Remove what was saved of all parts, and save no more."""
        root = self._root
        if root._store is not None:
            root._store.remove(root._name)
            root._store = None


def memory_of(estimator: Any, generator: Any = None) -> Any:
    """The `memory` of an estimator, if its training is one that could be asked for again.

    ``generator`` may stand in for an estimator that has none of its own.
    """
    memory, seed = (generator or estimator).memory, estimator.random_state
    if isinstance(memory, str | os.PathLike) and "\0" in os.fspath(memory):
        raise ValueError(
            f"memory={_short(repr(memory))} has a null character, which no file name may "
            "have: give the path of a folder."
        )
    if estimator.warm_start:
        return None
    if isinstance(seed, Integral):
        return memory
    if memory is not None and generator is None:
        warnings.warn(
            f"memory= keeps nothing with random_state={_short(repr(seed))}, since no later fit "
            "could ask for the same training: set random_state to an int.",
            UserWarning,
            stacklevel=2,
        )
    return None


def key_of(memory: Any, *parts: Any) -> str:
    """What stands for ``parts`` in ``memory``, and for the version of the package.

    Equal values have one key, of whatever type their numbers are.
    """
    return "" if memory is None else joblib.hash((__version__, *map(_values_of, parts)))


def store_of(memory: Any) -> Store | None:
    """Where ``memory`` keeps its files; ``None`` if not in a folder of this machine."""
    if isinstance(memory, str | os.PathLike):
        location = Path(memory) / "joblib"
    else:
        # Beside the entries of joblib, where `joblib.Memory.clear` finds it.
        location = getattr(getattr(memory, "store_backend", None), "location", None)
    return Store(Path(location) / "sklearn_dbn") if isinstance(location, str | Path) else None


class Entry:
    """The result of one training in the cache, or the place for it.

    Attributes
    ----------
    value : object
        The result that was kept; ``None`` where it has to be made.
    checkpoint : Checkpoint
        Of the training that makes it.
    """

    def __init__(self, value: Any, checkpoint: Checkpoint, write: Callable[[Any], bool]):
        self.value, self.checkpoint, self._write = value, checkpoint, write

    def keep(self, value: Any) -> None:
        """Keep the result of a whole training, which needs no checkpoints then."""
        if self._write(value):
            self.checkpoint.forget()


@contextmanager
def cached(memory: Any, key: str) -> Iterator[Entry]:
    """The result of the training that ``key`` stands for.

    In a folder, other processes and threads that want it wait until the block ends.

    Parameters
    ----------
    memory : str, path, joblib.Memory, an object with the same ``cache``, or None
    key : str
        Stands for everything that the result depends on.
    """
    store = store_of(memory)
    if memory is None:
        yield Entry(None, Checkpoint(), lambda value: True)
    elif store is None:
        yield _entry_elsewhere(memory, key)
    else:
        with store.lock(key) as held:
            value = store.read(key)
            if value is None and not held:
                # The training that this is a part of keeps what both of them find.
                yield Entry(None, Checkpoint(), lambda value: True)
                return
            checkpoint = Checkpoint(store, key)
            if value is not None:
                checkpoint.forget()
            yield Entry(value, checkpoint, partial(store.write, key))


class _NotCached(Exception):
    pass


def _entry_elsewhere(memory: Any, key: str) -> Entry:
    """The entry of a cache of functions, such as a `joblib.Memory` that is in no folder."""
    function = memory.cache(_kept, ignore=["value"])

    def write(value: Any) -> bool:
        function(key, value)
        return True

    try:
        value = function(key, None)
    except _NotCached:
        value = None
    return Entry(value, Checkpoint(), write)


def _kept(key: str, value: Any) -> Any:
    if value is None:
        raise _NotCached
    return value


def _values_of(x: Any) -> Any:
    """What a part of a key says, and nothing of how it is stored."""
    if isinstance(x, dict):
        return {_values_of(k): _values_of(value) for k, value in x.items()}
    if isinstance(x, list | tuple):
        return [_values_of(value) for value in x]
    if sp.issparse(x) and x.format == "csr":
        # scipy keeps in the object what it has found out about the values.
        return "csr", x.shape, x.data, x.indices, x.indptr
    x = plain(x)
    if isinstance(x, Real) and not isinstance(x, bool | Integral | np.generic):
        return int(x) if float(x).is_integer() else float(x)
    return x


def _short(text: str) -> str:
    """The start of a text, as far as a sentence has room for it."""
    return text if len(text) <= 100 else f"{text[:97]}..."


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # Somebody else did, or nobody may; what stays is found whole or not at all.
        return
