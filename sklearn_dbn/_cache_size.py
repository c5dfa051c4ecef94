"""A bound on the size of the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral
from pathlib import Path
from typing import Any

from joblib.disk import memstr_to_bytes

from ._cache import LOCK, CacheFolder, cache_folder_of
from ._messages import shown


def reduce_cache(
    memory: Any, *, bytes_limit: int | str | None = None, age_limit: timedelta | None = None
) -> int:
    """Remove the trainings from a cache that were not used for the longest time.

    A training that another process or thread makes or reads at the moment is never removed, nor
    is its checkpoint. A layer that was removed is trained again when it is needed.

    Parameters
    ----------
    memory : str, path or joblib.Memory
        The `memory` of the estimators. Entries of other functions in a `joblib.Memory` stay;
        its `reduce_size` removes these.
    bytes_limit : int or str, default=None
        Bytes that may remain, as a number or as in "500K", "10M" or "2G"; `None`: any number.
    age_limit : datetime.timedelta, default=None
        What was not used for longer is removed; `None`: nothing is too old.

    Returns
    -------
    removed : int
        The number of bytes that were removed.

    Raises
    ------
    ValueError, TypeError
        When no limit is given or one is not as documented, or when `memory` has no folder on
        this machine.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_dbn import RBMTransformer, reduce_cache
    >>> with TemporaryDirectory() as cache:
    ...     rbm = RBMTransformer(2, n_iter=1, memory=cache, random_state=0)
    ...     rbm = rbm.fit([[0.0, 1.0], [1.0, 0.0]])
    ...     small = reduce_cache(cache, bytes_limit="1G")
    ...     whole = reduce_cache(cache, bytes_limit=0)
    >>> small, whole > 0
    (0, True)
    """
    largest, oldest = _bytes_of(bytes_limit), _oldest_of(age_limit)
    if largest is None and oldest is None:
        raise ValueError(
            "reduce_cache got no limit and would remove nothing: set bytes_limit, age_limit or "
            "both."
        )
    folder = cache_folder_of(memory)
    if folder is None:
        raise ValueError(
            f"memory={shown(memory)} has no folder on this machine: give the path or the "
            "joblib.Memory of the estimators."
        )
    items = sorted(_items(folder), key=lambda item: item.last_use)
    n_bytes, n_removed = sum(item.n_bytes for item in items), 0
    for item in items:
        too_old = oldest is not None and item.last_use < oldest
        too_much = largest is not None and n_bytes - n_removed > largest
        if (too_old or too_much) and _remove(folder, item):
            n_removed += item.n_bytes
    return n_removed


@dataclass
class _Item:
    """A training in the cache: its result, or the checkpoints of one that was killed."""

    key: str
    files: list[Path]
    n_bytes: int
    last_use: float


def _items(folder: CacheFolder) -> Iterator[_Item]:
    files: dict[str, list[Path]] = {}
    for path in folder.folder.glob("*"):
        # A lock file is empty, and stays: two processes with different files of one name
        # would not wait for each other.
        if path.suffix != LOCK:
            files.setdefault(path.name.partition(".")[0], []).append(path)
    for key in files:
        item = _measured(key, files[key])
        if item.files:
            yield item


def _measured(key: str, paths: list[Path]) -> _Item:
    found = []
    for path in paths:
        try:
            found.append((path, path.stat()))
        except OSError:
            # A training that ended in between has removed it.
            continue
    sizes, times = [s.st_size for _, s in found], [s.st_mtime for _, s in found]
    return _Item(key, [path for path, _ in found], sum(sizes), max(times, default=0.0))


def _remove(folder: CacheFolder, item: _Item) -> bool:
    """Remove an item, unless it is in use or was used since it was listed."""
    with folder.lock(item.key, wait=False) as held:
        now = _measured(item.key, item.files)
        if not held or now.last_use != item.last_use:
            return False
        try:
            for path in item.files:
                path.unlink()
        except OSError:
            # Without the right to remove files here, they stay.
            return False
    return True


def _bytes_of(limit: Any) -> int | None:
    if limit is None:
        return None
    found = limit
    if isinstance(limit, str):
        try:
            found = memstr_to_bytes(limit)
        except ValueError:
            found = None
    if not isinstance(found, Integral) or isinstance(found, bool) or found < 0:
        raise ValueError(
            f"bytes_limit must be a number of bytes from 0 or a string as '500K', '10M' or "
            f"'2G', got {shown(limit)}."
        )
    return int(found)


def _oldest_of(limit: Any) -> float | None:
    if limit is None:
        return None
    if not isinstance(limit, timedelta):
        raise TypeError(f"age_limit must be a datetime.timedelta, got {shown(limit)}.")
    if limit < timedelta(0):
        raise ValueError(f"age_limit must not be negative, got {shown(limit)}.")
    return time.time() - limit.total_seconds()
