"""What can go wrong around a training costs time or words, and never a result."""

import fcntl
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.caching import remembered
from helpers.counting import FOLDER, CountedRBM, KillsItsWorker
from helpers.interrupted import state
from helpers.training import Callback
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_dbn
from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer, _locks
from sklearn_dbn import _cache as cache
from sklearn_dbn._cache import CacheFolder, Checkpoint

X, y = load_digits(return_X_y=True)
X, y = X[:90] / 16, y[:90]
DBN = DBNTransformer((6, 5), rbm=CountedRBM(n_iter=2), random_state=0)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, and a way to mount it anew with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root may mount a file system")

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this system mounts nothing: {done.stderr.strip()}")

    mount("size=8k")
    try:
        yield folder, lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def with_messages(call):
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = call()
    return result, [str(warning.message) for warning in messages]


def test_a_full_disk_gives_a_warning_and_its_entries_are_used(disk, count):
    folder, remount = disk
    right = clone(DBN).fit(X).transform(X)
    assert count() == 2
    for _ in range(2):
        dbn = clone(DBN).set_params(memory=folder)
        fitted, messages = with_messages(lambda dbn=dbn: dbn.fit(X))
        assert np.array_equal(fitted.transform(X), right)
        assert count() == 2
        assert any("could not be saved" in s and "No space left" in s for s in messages)
        assert all("In the memory= folder" in s for s in messages)
    remount("size=10m")
    for n_trained in (2, 0):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            assert np.array_equal(clone(dbn).fit(X).transform(X), right)
        assert count() == n_trained


def test_what_was_kept_before_the_disk_was_full_is_not_trained_again(disk, count):
    folder, remount = disk
    remount("size=10m")
    dbn = clone(DBN).set_params(memory=folder, hidden_layer_sizes=(6,)).fit(X)
    assert count() == 1
    room = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "filler").write_bytes(bytes(room))
    deeper = clone(dbn).set_params(hidden_layer_sizes=(6, 5))
    _, messages = with_messages(lambda: deeper.fit(X))
    assert count() == 1
    assert any("No space left" in s for s in messages)
    assert np.array_equal(deeper.transform(X), clone(DBN).fit(X).transform(X))


def test_entries_of_a_read_only_folder_are_used(disk, count):
    folder, remount = disk
    remount("size=10m")
    dbn = clone(DBN).set_params(memory=folder)
    right = dbn.fit(X).transform(X)
    assert count() == 2
    remount("ro")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert np.array_equal(clone(dbn).fit(X).transform(X), right)
    assert count() == 0
    other, messages = with_messages(lambda: clone(dbn).fit(X[::-1]))
    assert count() == 2
    assert any("could not be saved" in s and "Read-only" in s for s in messages)
    assert np.array_equal(other.transform(X), clone(DBN).fit(X[::-1]).transform(X))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="has no such permissions")
def test_a_folder_without_permission_stops_no_training(tmp_path):
    """For root there is no such folder, so the process becomes somebody else."""
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o555)
    code = (
        "import os, sys, warnings, numpy as np\n"
        "from sklearn_dbn import RBMTransformer\n"
        "X = np.random.default_rng(0).random((20, 4))\n"
        "if not os.geteuid():\n"
        "    os.setuid(65534)\n"
        "rbm = RBMTransformer(3, n_iter=2, random_state=0)\n"
        "right = rbm.fit(X).transform(X)\n"
        "with warnings.catch_warnings(record=True) as messages:\n"
        "    warnings.simplefilter('always')\n"
        "    found = rbm.set_params(memory=sys.argv[1]).fit(X).transform(X)\n"
        "assert any('Permission denied' in str(w.message) for w in messages), messages\n"
        "assert np.array_equal(found, right)\n"
    )
    # Every folder on the way to this one has to let others pass.
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=120)


def test_two_versions_on_one_folder_train_their_own_and_leave_those_of_the_other(tmp_path):
    package = Path(sklearn_dbn.__file__).parent
    for version in ("0.0.1", "0.0.2"):
        copy = tmp_path / version / "sklearn_dbn"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "_version.py").write_text(f'__version__ = "{version}"\n')
    code = (
        "import sys, warnings, numpy as np, sklearn_dbn\n"
        "assert sklearn_dbn.__version__ == sys.argv[1], sklearn_dbn.__file__\n"
        "warnings.simplefilter('error', RuntimeWarning)\n"
        "X = np.random.default_rng(0).random((20, 4))\n"
        "rbm = sklearn_dbn.RBMTransformer(n_iter=2, verbose=1)\n"
        "sklearn_dbn.DBNTransformer((3, 2), rbm=rbm, memory='cache', random_state=0).fit(X)\n"
    )
    n_lines = []
    for version in ("0.0.1", "0.0.2", "0.0.1", "0.0.2"):
        done = subprocess.run(
            [sys.executable, "-c", code, version],
            env=os.environ | {"PYTHONPATH": str(tmp_path / version)},
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        n_lines.append(done.stdout.count("pass"))
    assert n_lines == [4, 4, 0, 0]


def test_a_search_whose_worker_was_killed_goes_on(tmp_path, count):
    """The third training of a second layer takes its whole process with it, once."""
    grid = {"dbntransformer__layers": [0, 1], "logisticregression__C": [0.1, 1]}
    head = LogisticRegression(max_iter=200)

    def search(n_jobs, memory):
        template = KillsItsWorker(n_iter=2)
        dbn = DBNTransformer((6, 5), rbm=template, memory=memory, random_state=0)
        return GridSearchCV(
            make_pipeline(dbn, head), grid, cv=4, n_jobs=n_jobs, error_score="raise"
        )

    serial = search(1, None).fit(X, y)
    count()
    folder = Path(os.environ[FOLDER]).parent
    for path in folder.glob("small*"):
        path.unlink()
    fuse = folder / "fuse"
    fuse.touch()
    cache = str(tmp_path / "cache")
    with pytest.raises(TerminatedWorkerError):
        search(2, cache).fit(X, y)
    assert not fuse.exists()
    get_reusable_executor().shutdown(wait=True)
    n_before = count()
    finished = [path for path in Path(cache).rglob("*") if path.is_file() and not path.suffix]
    assert 1 <= len(finished) < 2 * (4 + 1)
    again = search(2, cache).fit(X, y)
    assert count() == 2 * (4 + 1) - len(finished)
    assert n_before >= len(finished)
    for name in ("mean_test_score", "split0_test_score", "split3_test_score"):
        assert np.array_equal(again.cv_results_[name], serial.cv_results_[name])
    assert np.array_equal(again.predict(X), serial.predict(X))


def test_a_finished_fine_tuning_is_not_repeated(tmp_path, capsys):
    dbn = DBNTransformer((6, 5), rbm=RBMTransformer(n_iter=2), memory=str(tmp_path))
    clf = DBNClassifier(dbn, n_iter=3, verbose=1, random_state=0, generative_weight=0.1)
    first = clone(clf).fit(X, y)
    assert capsys.readouterr().out.count("[DBNClassifier]") == 3
    second = clone(clf).fit(X, y)
    assert "[DBNClassifier]" not in capsys.readouterr().out
    assert state(second) == state(first)
    assert state(second.partial_fit(X, y)) == state(first.partial_fit(X, y))
    capsys.readouterr()
    for other in ({"dropout": 0.1}, {"random_state": 1}, {"n_iter": 4}):
        clone(clf).set_params(**other).fit(X, y)
        assert "[DBNClassifier] pass 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [{"damping": 0.5, "max_mean_field_steps": 3}, {"inference": "single_pass"}, {"tol": 1.0}],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fine_tuning_continues_only_from_its_own_generator(change, tmp_path):
    """The layers of a machine get the means of its mean field from above, which can change."""
    dbm = DBMTransformer((6, 5), rbm=RBMTransformer(n_iter=20), random_state=0)
    dbm.set_params(memory=str(tmp_path)).fit(X)
    clf = DBNClassifier(FrozenEstimator(dbm), n_iter=6, random_state=0)
    clf.set_callbacks(Raises(3))
    with pytest.raises(RuntimeError, match="no"):
        clone(clf).fit(X, y)
    dbm.set_params(**change)
    found = clone(clf).set_callbacks().fit(X, y)
    dbm.set_params(memory=None)
    assert state(found) == state(clone(clf).set_callbacks().fit(X, y))


class Raises(Callback):
    """Raises at the end of some pass."""

    def __init__(self, n_passes):
        self.n_passes = n_passes

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and isinstance(estimator, DBNClassifier):
            self.n_passes -= 1
            if not self.n_passes:
                raise RuntimeError("no")


def test_a_fine_tuning_continues_after_a_callback_raised(tmp_path, capsys):
    dbn = DBNTransformer((6, 5), rbm=RBMTransformer(n_iter=2), memory=str(tmp_path))
    clf = DBNClassifier(dbn, n_iter=6, verbose=1, random_state=0).fit(X[:50], y[:50])
    before = clf.predict_proba(X)
    with pytest.raises(RuntimeError, match="no"):
        clf.set_callbacks(Raises(4)).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), before)
    capsys.readouterr()
    clf.set_callbacks().fit(X, y)
    messages = [
        s for s in capsys.readouterr().out.splitlines() if s.startswith("[DBNClassifier]")
    ]
    assert messages[0] == "[DBNClassifier] resumes after pass 4, where it was interrupted"
    assert len(messages) == 1 + 2
    dbn.set_params(memory=None)
    assert state(clf) == state(clone(clf).set_params(transformer=dbn).fit(X, y))


class Stops(Callback):
    """Raises KeyboardInterrupt at the begin of a task."""

    def __init__(self, name, n_tasks=1):
        self.name, self.n_tasks = name, n_tasks

    def on_fit_task_begin(self, estimator, context):
        self.n_tasks -= context.task_name == self.name
        if not self.n_tasks:
            self.n_tasks = -1
            raise KeyboardInterrupt


RBM = RBMTransformer(6, n_iter=3)


@pytest.mark.parametrize(
    ("estimator", "task", "message"),
    [
        (RBM, "epoch", "RBMTransformer was interrupted before there was a whole pass"),
        (DBN, "epoch", "DBNTransformer was interrupted before there was a whole pass"),
        (DBMTransformer((6, 5), rbm=RBM), "pass", "DBMTransformer .* is unchanged"),
        (DBNClassifier(RBM), "pretraining", "DBNClassifier .* while its transformer"),
        (DBNClassifier(RBM, solver="cg"), "pretraining", "DBNClassifier .* while its"),
    ],
)
def test_an_interrupt_with_nothing_to_keep_leaves_the_estimator_unchanged(
    estimator, task, message, count
):
    estimator = clone(estimator).set_params(random_state=0)
    if task == "pretraining":
        # The two passes of its transformer are lost with it.
        estimator.set_callbacks(Stops("epoch", 3))
    else:
        estimator.set_callbacks(Stops(task))
    before = dict(vars(estimator))
    with pytest.raises(KeyboardInterrupt, match=message):
        estimator.fit(X, y)
    assert vars(estimator) == before


def test_a_stack_keeps_its_whole_layers(count):
    dbn = clone(DBN).set_params(layers=0).set_callbacks(Stops("epoch", 3))
    with pytest.raises(KeyboardInterrupt, match=r"keeps 1 whole layers: fit with warm_start"):
        dbn.fit(X)
    whole = clone(DBN).set_params(layers=0).fit(X)
    assert np.array_equal(dbn.transform(X), whole.transform(X))


def test_the_message_of_an_interrupt_shows_how_to_continue(tmp_path, count):
    dbn = clone(DBN).set_params(layers=0, memory=tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt, match="the same fit continues from there"):
        dbn.set_callbacks(Stops("epoch", 4)).fit(X)
    assert count() == 2
    dbn.set_callbacks().fit(X)
    assert count() == 1
    assert np.array_equal(dbn.transform(X), clone(DBN).set_params(layers=0).fit(X).transform(X))


def test_an_entry_that_cannot_be_unpickled_is_trained_again(tmp_path, monkeypatch):
    module = types.ModuleType("gone")
    module.Lost = type("Lost", (), {"__module__": "gone"})
    monkeypatch.setitem(sys.modules, "gone", module)
    assert CacheFolder(tmp_path).write("key", module.Lost())
    monkeypatch.undo()
    with pytest.warns(RuntimeWarning, match="cannot be used here .*gone.*trained again"):
        assert CacheFolder(tmp_path).read("key") is None


def test_progress_is_kept_where_the_result_does_not_fit_on_the_disk(tmp_path, monkeypatch):
    def train(progress):
        progress.save(types.SimpleNamespace(x=1), now=True)
        return 2

    write = CacheFolder.write
    monkeypatch.setattr(
        CacheFolder, "write", lambda self, name, x: x != 2 and write(self, name, x)
    )
    assert remembered(str(tmp_path), "key", train) == 2
    monkeypatch.undo()
    found = Checkpoint(cache.cache_folder_of(str(tmp_path)), "key").load()
    assert found.x == 1


def test_what_a_killed_writer_leaves_is_removed(tmp_path):
    store = CacheFolder(tmp_path / "joblib" / "sklearn_dbn")
    store.folder.mkdir(parents=True)
    (store.folder / "key.part.1-2.new").touch()
    (store.folder / "key.part.part.1-2.new").touch()
    assert remembered(str(tmp_path), "key", lambda progress: 3) == 3
    assert sorted(path.name for path in store.folder.iterdir()) == ["key", "key.lock"]


def test_a_process_forked_in_between_does_not_hold_the_lock(tmp_path):
    store, context = CacheFolder(tmp_path), multiprocessing.get_context("fork")
    with store.lock("key"):
        with warnings.catch_warnings():
            # Python warns of forks where there are threads.
            warnings.simplefilter("ignore")
            child = context.Process(target=time.sleep, args=(60,))
            child.start()
    try:
        with open(tmp_path / "key.lock", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        child.kill()
        child.join()


def test_a_file_system_without_locks_stops_no_training(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert remembered(str(tmp_path), "key", lambda progress: 3) == 3
    assert remembered(str(tmp_path), "key", lambda progress: 4) == 3


def test_the_lock_of_windows_is_requested_again_until_it_is_granted(tmp_path, monkeypatch):
    calls = []

    def locking(file, how, n_bytes):
        calls.append(how)
        if len(calls) < 3:
            raise OSError("somebody has it")

    windows = types.SimpleNamespace(locking=locking, LK_NBLCK="lock", LK_UNLCK="unlock")
    monkeypatch.setattr(_locks, "fcntl", None)
    monkeypatch.setattr(_locks, "msvcrt", windows, raising=False)
    with CacheFolder(tmp_path).lock("key"):
        assert calls == ["lock"] * 3
    assert calls == [*["lock"] * 3, "unlock"]
