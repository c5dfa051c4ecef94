"""One training at a time under one key; a wait ends, and a long one gives a warning."""

import multiprocessing
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from helpers.caching import remembered
from helpers.training import Callback
from sklearn.base import clone

from sklearn_dbn import DBNTransformer, RBMTransformer, _locks
from sklearn_dbn._locks import hold

X = np.round(np.random.default_rng(0).random((40, 6)))
RBM = RBMTransformer(4, n_iter=3, random_state=0)

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")


def fork(function):
    """The number of a forked process that calls the function, and how to read its result."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks where there are threads.
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            os.write(write, repr(function()).encode())
        finally:
            os._exit(0)
    os.close(write)

    def result():
        with open(read) as reading:
            result = reading.read()
        os.waitpid(child, 0)
        return result

    return child, result


def free(path):
    """Whether another thread could have the lock at once."""
    found = []

    def ask():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                with hold(path):
                    found.append(True)
            except UserWarning:
                found.append(False)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return found == [True]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(_locks, "_WARN_AFTER", 0.0)
    monkeypatch.setattr(_locks, "_RETRY_AFTER", 0.01)


@forks
def test_a_child_of_a_killed_training_holds_no_lock(tmp_path, impatient):
    path = tmp_path / "key.lock"
    reading, writing = os.pipe()

    def train():
        with hold(path):
            child, _ = fork(lambda: time.sleep(60))
            os.write(writing, str(child).encode())
            time.sleep(60)

    trainer, _ = fork(train)
    orphan = int(os.read(reading, 20))
    try:
        assert not free(path)
        os.kill(trainer, signal.SIGKILL)
        os.waitpid(trainer, 0)
        os.kill(orphan, 0)
        assert free(path)
    finally:
        os.kill(orphan, signal.SIGKILL)
        os.close(reading)
        os.close(writing)


@forks
def test_a_child_that_leaves_the_training_does_not_end_the_lock(tmp_path, impatient):
    path = tmp_path / "key.lock"
    training = hold(path)
    with training:

        def leave():
            with hold(path) as held:
                # The child has a copy of the record that this process trains here.
                assert not held
            training.__exit__(None, None, None)
            return "left"

        assert fork(leave)[1]() == "'left'"
        assert not free(path)
    assert free(path)


@forks
def test_a_child_whose_parent_trains_elsewhere_takes_its_own_lock(tmp_path):
    path, other = tmp_path / "key.lock", tmp_path / "other.lock"

    def take():
        with hold(other) as held:
            return held

    with hold(path):
        assert fork(take)[1]() == "True"


@pytest.mark.parametrize("context", ["thread", "process"])
def test_a_wait_for_a_lock_gives_one_warning_that_names_it(tmp_path, impatient, context):
    if context == "process" and not hasattr(os, "fork"):
        pytest.skip("has no fork")
    path = tmp_path / "key.lock"
    taken, release = multiprocessing.Event(), multiprocessing.Event()

    def train():
        with hold(path):
            taken.set()
            release.wait(60)

    if context == "thread":
        trainer = threading.Thread(target=train)
        trainer.start()
        ended = trainer.join
    else:
        _, ended = fork(train)
    assert taken.wait(60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        timer = threading.Timer(0.3, release.set)
        timer.start()
        assert remembered(None, "key", lambda progress: 1) == 1
        with hold(path) as held:
            assert held
    ended()
    timer.join()
    assert len(caught) == 1
    assert str(tmp_path) in str(caught[0].message)
    assert "waits" in str(caught[0].message)


def test_a_short_wait_for_a_lock_gives_no_warning(tmp_path):
    path, taken = tmp_path / "key.lock", threading.Event()

    def train():
        with hold(path):
            taken.set()
            time.sleep(0.2)

    trainer = threading.Thread(target=train)
    trainer.start()
    taken.wait(60)
    with hold(path) as held:
        assert held
    trainer.join()


class FitsTheSame(Callback):
    """Trains the same in the middle of the training."""

    def __init__(self, estimator):
        self.estimator, self.found = estimator, None

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and self.found is None:
            self.found = clone(self.estimator).set_callbacks().fit(X)


@pytest.mark.parametrize("estimator", [RBM, DBNTransformer((4,), rbm=RBM, random_state=0)])
def test_a_callback_that_fits_the_same_layer_trains_it_without_a_deadlock(estimator, tmp_path):
    estimator = clone(estimator).set_params(memory=tmp_path)
    right = clone(estimator).set_params(memory=None).fit(X).transform(X)
    callback = FitsTheSame(estimator)
    fitted = clone(estimator).set_callbacks(callback).fit(X)
    for one in (fitted, callback.found, clone(estimator).set_callbacks().fit(X)):
        assert np.array_equal(one.transform(X), right)
    assert not _locks._holders
    assert not _locks._open
    left = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"", ".lock"}
