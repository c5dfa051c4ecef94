"""Cached pre-training, layer by layer.

``joblib.Memory`` keeps the entries. Added here: a lock, so that two processes that want the
same layer at the same time train it once, and a checksum, so that a damaged entry is
noticed before it is read.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


class DoNotKeep(Exception):
    """Raised by a training whose result is not what its key promises; carries the result."""

    def __init__(self, result: Any):
        super().__init__()
        self.result = result


def remembered(memory: Any, key: str, train: Callable[[], Any]) -> Any:
    """The result of ``train()``, from the cache if it is there under ``key``.

    Parameters
    ----------
    memory : joblib.Memory, an object with the same ``cache``, or None
    key : str
        Stands for everything that the result depends on.
    train : callable
        May raise `DoNotKeep`, to give a result that is not kept.
    """
    if memory is None:
        try:
            return train()
        except DoNotKeep as unfinished:
            return unfinished.result
    trained = False

    def train_and_note() -> Any:
        nonlocal trained
        trained = True
        return train()

    function = memory.cache(_sealed, ignore=["train"])
    present = getattr(function, "check_call_in_cache", lambda *args: False)
    with _lock(memory, key):
        try:
            was_there = present(key, train_and_note)
            entry = function(key, train_and_note)
            if not _intact(entry):
                entry = function.call(key, train_and_note)
                # joblib >= 1.4 returns the output beside its metadata
                entry = entry if _intact(entry) else entry[0]
        except DoNotKeep as unfinished:
            return unfinished.result
        except Exception:
            if trained:
                raise
            # joblib could not read what it keeps beside the entries.
            was_there, entry = True, _sealed(key, train_and_note)
    if was_there and trained:
        warnings.warn(
            "A damaged entry was found in the memory= cache; its layer was trained again.",
            RuntimeWarning,
            stacklevel=2,
        )
    return pickle.loads(entry[1])


def _sealed(key: str, train: Callable[[], Any]) -> tuple[str, bytes]:
    """What the cache keeps: the result as bytes, and their checksum."""
    payload = pickle.dumps(train(), protocol=pickle.HIGHEST_PROTOCOL)
    return _checksum(payload), payload


def _checksum(payload: bytes) -> str:
    return hashlib.blake2b(payload, digest_size=16).hexdigest()


def _intact(entry: Any) -> bool:
    return (
        isinstance(entry, tuple)
        and len(entry) == 2
        and isinstance(entry[1], bytes)
        and _checksum(entry[1]) == entry[0]
    )


def _lock(memory: Any, key: str) -> Any:
    """Hold the lock of ``key``; a memory without a folder has none."""
    folder = getattr(getattr(memory, "store_backend", None), "location", None)
    if not folder:
        return nullcontext()
    return _file_lock(os.path.join(folder, "sklearn_dbn", f"{key}.lock"))


@contextmanager
def _file_lock(path: str) -> Iterator[None]:
    # The system drops the lock when its holder dies, so a killed training blocks nobody.
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                except OSError:
                    time.sleep(0.1)
        yield
