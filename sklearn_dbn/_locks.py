"""Locks that processes and threads hold by a file.

The system drops a lock when its holder dies, so a killed training blocks nobody. A process that
is forked in between has the file open too, and would hold the lock for as long as it lives: it
closes the file at once.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

# After so many seconds a waiter says that it waits.
_PATIENCE = 5.0
# It asks again after so many seconds.
_PAUSE = 0.05

# Open files, by number, and the threads that hold a lock, by its file. No process is forked
# while they change.
_open: set[int] = set()
_holders: set[tuple[Path, int]] = set()
_changing = threading.RLock()


def _forked() -> None:
    """In a forked process: close the files of its parent, whose locks they are."""
    for file in _open:
        os.close(file)
    _open.clear()
    # The thread that forked is the only one here, perhaps in the middle of a training.
    here = threading.get_ident()
    _holders.difference_update([key for key in _holders if key[1] != here])
    _changing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_changing.acquire,
        after_in_parent=_changing.release,
        after_in_child=_forked,
    )


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Wait for who holds the lock of a file, then hold it.

    Yields ``False`` where this thread holds it already, and would wait for itself.
    """
    key = Path(os.path.abspath(path)), threading.get_ident()
    if key in _holders:
        yield False
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _changing:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            _open.add(file)
    except OSError:
        # Who cannot write here does without a lock.
        yield True
        return
    process, locked = os.getpid(), False
    try:
        locked = _lock(file, path)
        _holders.add(key)
        try:
            yield True
        finally:
            _holders.discard(key)
    finally:
        # A forked process, which may come here too, has closed its file, and to unlock that
        # would take the lock from its parent.
        if os.getpid() == process:
            if locked:
                _unlock(file)
            with _changing:
                _open.discard(file)
                os.close(file)


def _lock(file: int, path: Path) -> bool:
    """Wait for the lock on an open file; whether there is such a thing."""
    began, said = time.monotonic(), False
    while True:
        try:
            _try(file)
            return True
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:
            # Some network file systems have no locks. Two that train the same then do so twice,
            # and the file of the last one to finish stays.
            return False
        if not said and time.monotonic() - began > _PATIENCE:
            said = True
            warnings.warn(
                "Another process or thread is training the same, and keeps it in the memory= "
                f"folder {str(path.parent)[-150:]!r}: this one waits for its result.",
                UserWarning,
                stacklevel=2,
            )


def _try(file: int) -> None:
    """Take the lock, or raise BlockingIOError where another has it."""
    if fcntl is None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(file: int) -> None:
    if fcntl is None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)
