"""The size of the cache has a bound, and what is in use stays."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import joblib
import numpy as np
import pytest
from helpers.counting import CountedRBM
from sklearn.base import clone

from sklearn_dbn import DBNTransformer, RBMTransformer, reduce_cache
from sklearn_dbn._cache import CacheFolder

X = np.round(np.random.default_rng(0).random((40, 6)))
EMPTY = {"bytes_limit": 0}
ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path):
    """Three entries of 1000 bytes; "b" was used last, "a" first."""
    store = CacheFolder(tmp_path / "joblib" / "sklearn_dbn")
    for name, age in {"a": 300, "b": 100, "c": 200}.items():
        write(store, name, age)
    return store


def write(store, name, age):
    store.folder.mkdir(parents=True, exist_ok=True)
    path = store.folder / name
    path.write_bytes(bytes(1000))
    at = time.time() - age
    os.utime(path, (at, at))


def left(store):
    return sorted(path.name for path in store.folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(3000, "abc"), (2999, "bc"), ("1.5K", "b"), ("1M", "abc"), (999, ""), (0, "")],
)
def test_the_least_recently_used_entries_go_first(store, tmp_path, limit, kept):
    removed = reduce_cache(tmp_path, bytes_limit=limit)
    assert left(store) == list(kept)
    assert removed == 1000 * (3 - len(kept))


@pytest.mark.parametrize(("seconds", "kept"), [(250, "bc"), (150, "b"), (1000, "abc")])
def test_old_entries_go(store, tmp_path, seconds, kept):
    reduce_cache(str(tmp_path), age_limit=timedelta(seconds=seconds))
    assert left(store) == list(kept)


def test_both_limits_hold(store, tmp_path):
    reduce_cache(tmp_path, bytes_limit=1000, age_limit=timedelta(seconds=250))
    assert left(store) == ["b"]


def test_a_training_that_was_found_is_the_last_to_go(tmp_path, count):
    rbm, cache = CountedRBM(n_iter=1), tmp_path / "cache"
    first, second = (
        DBNTransformer(4, rbm=rbm, memory=cache, random_state=seed) for seed in (0, 1)
    )
    first.fit(X)
    (old,) = (path for path in cache.rglob("*") if path.is_file() and not path.suffix)
    os.utime(old, (time.time() - 100,) * 2)
    clone(second).fit(X)
    clone(first).fit(X)
    assert count() == 2
    memory = joblib.Memory(str(cache), verbose=0)
    reduce_cache(memory, bytes_limit=old.stat().st_size)
    clone(first).fit(X)
    assert count() == 0
    clone(second).fit(X)
    assert count() == 1


@pytest.mark.parametrize("who", ["this thread", "another thread"])
def test_what_a_thread_trains_or_reads_stays(store, tmp_path, who):
    write(store, "a.part", 300)
    with store.lock("a"):
        if who == "this thread":
            reduce_cache(tmp_path, bytes_limit=0)
        else:
            thread = threading.Thread(target=reduce_cache, args=(tmp_path,), kwargs=EMPTY)
            thread.start()
            thread.join(60)
        assert left(store) == ["a", "a.part"]
    reduce_cache(tmp_path, bytes_limit=0)
    assert left(store) == []


def test_what_another_process_trains_stays(store, tmp_path):
    code = (
        "import sys\n"
        "from sklearn_dbn._cache import CacheFolder\n"
        "with CacheFolder(sys.argv[1]).lock('a'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store.folder)], cwd=ROOT, text=True, **pipes
    ) as trainer:
        assert trainer.stdout.readline() == "held\n"
        assert reduce_cache(tmp_path, bytes_limit=0) == 2000
        assert left(store) == ["a"]
        trainer.stdin.close()
    assert reduce_cache(tmp_path, bytes_limit=0) == 1000


def test_an_entry_used_since_it_was_listed_stays(store, tmp_path, monkeypatch):
    lock = CacheFolder.lock

    def late(folder, name, wait=True):
        folder.mark_used(name)
        return lock(folder, name, wait)

    monkeypatch.setattr(CacheFolder, "lock", late)
    assert reduce_cache(tmp_path, bytes_limit=0) == 0
    assert left(store) == ["a", "b", "c"]


def test_checkpoints_of_a_killed_training_are_an_entry(store, tmp_path):
    for name in ("d.part", "d.part.rate"):
        write(store, name, 400)
    assert reduce_cache(tmp_path, bytes_limit=3000) == 2000
    assert left(store) == ["a", "b", "c"]


def test_what_was_removed_is_trained_again_to_the_same_bits(tmp_path):
    rbm = RBMTransformer(4, n_iter=2, random_state=0, memory=tmp_path)
    before = clone(rbm).fit(X).components_
    assert reduce_cache(tmp_path, bytes_limit=0) > 0
    assert np.array_equal(clone(rbm).fit(X).components_, before)


def test_entries_of_other_functions_stay(store, tmp_path):
    memory = joblib.Memory(str(tmp_path), verbose=0)
    memory.cache(os.path.basename)("a/b")
    reduce_cache(memory, bytes_limit=0)
    assert memory.cache(os.path.basename).check_call_in_cache("a/b")


def test_a_folder_that_does_not_exist_is_small_enough(tmp_path):
    assert reduce_cache(tmp_path / "none", bytes_limit=0) == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({}, ValueError, "set bytes_limit, age_limit or both"),
        ({"bytes_limit": -1}, ValueError, r"^bytes_limit must be .* got -1\.$"),
        ({"bytes_limit": "much"}, ValueError, r"^bytes_limit must be .* got 'much'\.$"),
        ({"bytes_limit": True}, ValueError, r"^bytes_limit must be .* got True\.$"),
        ({"age_limit": 3}, TypeError, r"^age_limit must be a datetime.timedelta, got 3\.$"),
        ({"age_limit": timedelta(-1)}, ValueError, "^age_limit must not be negative"),
        ({"memory": None, "bytes_limit": 0}, ValueError, "^memory=None has no folder"),
    ],
)
def test_limits_are_checked(tmp_path, given, error, match):
    with pytest.raises(error, match=match):
        reduce_cache(**{"memory": tmp_path} | given)
