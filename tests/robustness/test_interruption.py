"""A training that is cut short loses nothing."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.interrupted import ESTIMATORS, X, fit_and_send, fit_until_interrupted, state, y
from helpers.training import Callback
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn._cache import CacheFolder, Checkpoint


@pytest.fixture
def begin(monkeypatch):
    """Start a function of helpers.interrupted in another process; return when it begins."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no way to start a process in milliseconds")
    here = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    # Imports are made once, so that a process is killed in its training and not in these; and
    # no process imports pytest.
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.delattr(main, "__file__", raising=False)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["helpers.interrupted"])

    def begin(function, *arguments):
        received, sender = context.Pipe(duplex=False)
        process = context.Process(target=function, args=(*arguments, sender))
        process.start()
        sender.close()
        assert received.recv() == "begins"
        return process, received

    return begin


@pytest.mark.parametrize("name", ESTIMATORS)
def test_repeated_kills_do_not_change_the_result(name, tmp_path, begin):
    _, received = begin(fit_and_send, name, None)
    began = time.monotonic()
    whole = received.recv()
    took = time.monotonic() - began
    rng, n_killed, n_ended, stopped_at = np.random.default_rng(0), 0, 0, set()
    while n_killed < 20:
        cache = tmp_path / f"{n_ended}"
        process, received = begin(fit_and_send, name, str(cache))
        time.sleep(rng.random() * took / 5)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        try:
            assert received.recv() == whole
        except EOFError:
            n_killed += 1
            parts = [path for path in cache.rglob("*.part*") if path.suffix != ".new"]
            passes = [CacheFolder(path.parent).read(path.name).n_passes for path in parts]
            stopped_at.add((len(parts), sum(passes)))
        else:
            n_ended += 1
    # It was killed at several places of its training, and went on from where it was. How many
    # there are depends on what else the machine does.
    assert len(stopped_at) > 4
    _, received = begin(fit_and_send, name, str(cache))
    assert received.recv() == whole
    left = [path.name for path in cache.rglob("*") if path.suffix not in ("", ".lock")]
    assert not left


def last_of(received):
    """The last message of another process."""
    while True:
        try:
            message = received.recv()
        except EOFError:
            return message


INTERRUPTED = {
    "rbm": RBMTransformer(12, n_iter=10**6, learning_rate_schedule="constant"),
    "dbm": DBMTransformer(
        (12, 10),
        rbm=RBMTransformer(n_iter=10**6, learning_rate_schedule="constant"),
        pretrain=None,
    ),
    "classifier": DBNClassifier(
        DBNTransformer((12,), rbm=RBMTransformer(n_iter=2)),
        n_iter=10**6,
        learning_rate_schedule="constant",
        dropout=0.2,
    ),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupt_at_any_time_keeps_the_last_whole_pass_and_the_message_names_it(
    name, begin
):
    estimator = clone(INTERRUPTED[name]).set_params(random_state=0)
    for wait in (0.0, 0.0123):
        process, received = begin(fit_until_interrupted, estimator)
        assert received.recv() == "in the middle"
        time.sleep(wait)
        os.kill(process.pid, signal.SIGINT)
        message, n_passes, found = last_of(received)
        process.join()
        assert re.match(
            rf"{type(estimator).__name__} was interrupted, and keeps .*passes", message
        )
        assert f" {n_passes} " in message
        key = "rbm__n_iter" if name == "dbm" else "n_iter"
        whole = clone(estimator).set_params(**{key: n_passes})
        assert found == state(whole.fit(X, y))


class Cut(Callback):
    """Raises at the end of some pass of some layer."""

    def __init__(self, error, n_passes, n_layers=0):
        self.error, self.left, self.n_layers = error, n_passes, n_layers

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.left -= 1
            if not self.left:
                raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no")])
def test_completed_passes_are_not_repeated(error, tmp_path, capsys):
    rbm = RBMTransformer(12, n_iter=9, random_state=0, memory=tmp_path, verbose=1)
    whole = clone(rbm).set_params(memory=None).fit(X)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        clone(rbm).set_callbacks(Cut(error, 5)).fit(X)
    capsys.readouterr()
    again = clone(rbm).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert "resumes after pass 5" in lines[0]
    assert len(lines) == 1 + 4
    assert state(again) == state(whole)


@pytest.mark.parametrize("kind", [RBMTransformer, DBNTransformer, DBMTransformer])
def test_a_keyboard_interrupt_keeps_the_last_whole_pass(kind):
    settings = {"n_iter": 9, "learning_rate_schedule": "constant"}
    if kind is RBMTransformer:
        estimator = RBMTransformer(12, random_state=0, **settings)
        part = clone(estimator).set_params(n_iter=4)
    else:
        estimator = kind((12,), rbm=RBMTransformer(**settings), random_state=0)
        part = clone(estimator).set_params(rbm__n_iter=4)
    stopped = clone(estimator).set_callbacks(Cut(KeyboardInterrupt, 4))
    with pytest.raises(KeyboardInterrupt, match=r"was interrupted, and keeps .*4 .*passes"):
        stopped.fit(X)
    assert np.array_equal(stopped.transform(X), part.fit(X).transform(X))


def test_a_keyboard_interrupt_stops_a_fine_tuning():
    clf = clone(ESTIMATORS["pulled"]).set_params(
        random_state=0, n_iter=9, learning_rate_schedule="constant"
    )
    part = clone(clf).set_params(n_iter=4).fit(X, y)
    generator = FrozenEstimator(part.transformer_)
    stopped = clone(clf).set_params(transformer=generator)
    with pytest.raises(
        KeyboardInterrupt, match="DBNClassifier was interrupted, and keeps the 4"
    ):
        stopped.set_callbacks(Cut(KeyboardInterrupt, 4)).fit(X, y)
    assert np.array_equal(stopped.predict_proba(X), part.predict_proba(X))


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_a_keyboard_interrupt_stops_a_full_batch_solver(solver, monkeypatch):
    settings = {"solver": solver, "n_iter": 9, "label_smoothing": 0, "random_state": 0}
    clf = DBNClassifier(RBMTransformer(12, n_iter=3), **settings)
    part = clone(clf).set_params(n_iter=4).fit(X, y)
    loss, n_done = DBNClassifier._loss, 0

    class Count(Callback):
        def on_fit_task_end(self, estimator, context):
            nonlocal n_done
            n_done += context.task_name == "epoch" and estimator is clf

    class Loss:
        """In the middle of the fifth iteration somebody presses a key."""

        def __init__(self, fitting):
            self.loss = loss(fitting)

        def __call__(self, outputs, target):
            if n_done == 4:
                raise KeyboardInterrupt
            return self.loss(outputs, target)

        def __getattr__(self, name):
            return getattr(self.loss, name)

    monkeypatch.setattr(DBNClassifier, "_loss", lambda self: Loss(self))
    with pytest.raises(KeyboardInterrupt, match="keeps the 4 whole passes"):
        clf.set_callbacks(Count()).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), part.predict_proba(X))


def test_an_interrupt_within_a_pass_restores_the_last_whole_one(monkeypatch):
    rbm = RBMTransformer(12, n_iter=9, learning_rate_schedule="constant", random_state=0)
    whole, n_steps = clone(rbm).set_params(n_iter=3).fit(X), 0
    original = np.tanh

    def cut(*args, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 200:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr("sklearn_dbn._random.np.tanh", cut)
    with pytest.raises(KeyboardInterrupt, match="keeps"):
        rbm.fit(X)
    monkeypatch.undo()
    whole = clone(rbm).set_params(n_iter=rbm.n_iter_).fit(X)
    assert state(rbm) == state(whole)


def test_a_stack_that_is_stopped_too_early_for_its_selection_is_as_before():
    dbn = DBNTransformer((12, 10), rbm=RBMTransformer(n_iter=3), layers=1, random_state=0)
    dbn.set_callbacks(Cut(KeyboardInterrupt, 2))
    with pytest.raises(KeyboardInterrupt, match="before it had all of layers=1"):
        dbn.fit(X)
    assert not hasattr(dbn, "rbms_")


@pytest.mark.parametrize("kind", [DBNTransformer, DBMTransformer])
def test_a_callback_that_raises_leaves_a_fitted_estimator_as_it_was(kind):
    estimator = kind((12,), rbm=RBMTransformer(n_iter=3), random_state=0).fit(X)
    before = estimator.transform(X)
    estimator.set_callbacks(Cut(RuntimeError("no"), 2))
    with pytest.raises(RuntimeError, match="no"):
        estimator.fit(X[::-1])
    assert np.array_equal(estimator.transform(X), before)


class State:
    def __init__(self, x=0):
        self.x = x


def test_progress_is_a_sealed_file(tmp_path):
    store = CacheFolder(tmp_path)
    progress = Checkpoint(store, "key")
    assert progress.load() is None
    progress.save(State(1), now=True)
    progress.part("a").save(State(2), now=True)
    assert Checkpoint(store, "key").load().x == 1
    assert Checkpoint(store, "key").part("a").load().x == 2
    (tmp_path / "key.part").write_bytes(b"short")
    with pytest.warns(RuntimeWarning, match="is damaged"):
        assert Checkpoint(store, "key").load() is None
    progress.remove()
    assert not list(tmp_path.iterdir())
    progress.part("a").save(State(3), now=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_stops_no_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    rbm = RBMTransformer(12, n_iter=3, random_state=0)
    with pytest.warns(RuntimeWarning, match="could not be saved"):
        kept = clone(rbm).set_params(memory=tmp_path / "file").fit(X)
    assert state(kept) == state(rbm.fit(X))


@pytest.mark.skipif(sys.platform == "win32", reason="has no quota to set")
def test_a_full_disk_stops_no_training(tmp_path):
    code = (
        "import resource, sys, warnings, helpers.interrupted as t\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    found = t.fit('dbm', sys.argv[1])\n"
        "assert any('could not be saved' in str(w.message) for w in caught), caught\n"
        "assert found == t.fit('dbm', None)\n"
    )
    here = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = os.environ | {"PYTHONPATH": here}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=120
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_two_versions_that_share_a_folder_do_not_share_progress(tmp_path, monkeypatch):
    rbm = RBMTransformer(12, n_iter=3, random_state=0, memory=tmp_path, verbose=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        clone(rbm).fit(X)
        monkeypatch.setattr("sklearn_dbn._cache.__version__", "0.0.0")
        clone(rbm).fit(X)
        monkeypatch.undo()
        clone(rbm).fit(X)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and not path.suffix]
    assert len(kept) == 2
