"""Locks that processes and threads hold by a file.

The system releases a lock when its process ends, so a killed training blocks no other. A forked
process has the file of its parent open and would keep the lock until it ends: it closes the
file at once.
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

# Seconds of waiting after which a warning is given, and between two tries.
_WARN_AFTER, _RETRY_AFTER = 5.0, 0.05

# Descriptors of open lock files, and the file and thread of each lock that is held. No process
# is forked while these change.
_open: set[int] = set()
_holders: set[tuple[Path, int]] = set()
_changing = threading.RLock()


def _close_in_child() -> None:
    """In a forked process: close the lock files, whose locks its parent holds."""
    for file in _open:
        os.close(file)
    _open.clear()
    # Only the thread that forked continues here, perhaps during a training.
    own = threading.get_ident()
    _holders.difference_update([key for key in _holders if key[1] != own])
    _changing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_changing.acquire,
        after_in_parent=_changing.release,
        after_in_child=_close_in_child,
    )


@contextmanager
def hold(path: Path, wait: bool = True) -> Iterator[bool]:
    """Wait until the lock of a file is free, then hold it.

    Yields ``False`` if this thread holds it already, and would wait for itself; without
    ``wait`` also if another thread or process holds it.
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
        # Without the right to write here there is no lock.
        yield True
        return
    process, locked = os.getpid(), False
    try:
        try:
            locked = _lock(file, path, wait)
        except BlockingIOError:
            yield False
            return
        _holders.add(key)
        try:
            yield True
        finally:
            _holders.discard(key)
    finally:
        # A forked process may run this too. It has closed its file, and to unlock it would
        # release the lock of its parent.
        if os.getpid() == process:
            if locked:
                _unlock(file)
            with _changing:
                _open.discard(file)
                os.close(file)


def _lock(file: int, path: Path, wait: bool) -> bool:
    """Wait for the lock on an open file; return whether the file system has locks.

    Without ``wait`` a BlockingIOError says that it is held.
    """
    began, warned = time.monotonic(), False
    while True:
        try:
            _try(file)
            return True
        except BlockingIOError:
            if not wait:
                raise
            time.sleep(_RETRY_AFTER)
        except OSError:
            # Some network file systems have no locks. Two processes then both make the same
            # training, and the file of the last one remains.
            return False
        if not warned and time.monotonic() - began > _WARN_AFTER:
            warned = True
            warnings.warn(
                "Another process or thread runs the same training, with the memory= folder "
                f"{str(path.parent)[-150:]!r}: this one waits for its result.",
                UserWarning,
                stacklevel=2,
            )


def _try(file: int) -> None:
    """Take the lock, or raise BlockingIOError if it is held."""
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
