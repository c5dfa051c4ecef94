"""Trainings to be interrupted, in processes of their own, and the state that they leave."""

import dataclasses
import hashlib
import signal

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits

from helpers.training import Callback
from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Moments
from sklearn_dbn.optim import Joined
from sklearn_dbn.units import UNITS

X, y = load_digits(return_X_y=True)
X, y = (X[:300] / 16).astype(np.float32), y[:300]

ESTIMATORS = {
    "rbm": RBMTransformer(12, n_iter=300, momentum=0.5, validation_fraction=0.1),
    "early stopping": RBMTransformer(12, n_iter=200, early_stopping=True, n_iter_no_change=200),
    "tempering": RBMTransformer(8, n_iter=60, sampler="tempering"),
    "dbn": DBNTransformer((12, 10), rbm=RBMTransformer(n_iter=150)),
    "dbm": DBMTransformer((12, 10), rbm=RBMTransformer(n_iter=60)),
    "dbm first_layer": DBMTransformer(
        (12, 10), rbm=RBMTransformer(n_iter=60), pretrain="first_layer"
    ),
    "classifier": DBNClassifier(
        DBNTransformer((12, 10), rbm=RBMTransformer(n_iter=30)),
        batch_size=10,
        n_iter=200,
        dropout=0.2,
        early_stopping=True,
        n_iter_no_change=200,
    ),
    "pulled": DBNClassifier(
        DBNTransformer((12,), rbm=RBMTransformer(n_iter=30)),
        n_iter=150,
        generative_weight=0.1,
    ),
}


def state(estimator):
    """A hash of what a training leaves: parameters, averages, chains, random state, history."""
    found = hashlib.sha256()

    def take(x):
        if isinstance(x, np.ndarray):
            found.update(x.tobytes())
        elif isinstance(x, list | tuple):
            list(map(take, x))
        elif isinstance(x, dict):
            list(map(take, x.items()))
        elif isinstance(x, Stream):
            take(x._generator.bit_generator.state)
        elif isinstance(x, tuple(map(type, UNITS.values()))):
            found.update(x.name.encode())
        elif dataclasses.is_dataclass(x) or isinstance(x, Moments | Joined):
            take(vars(x))
        else:
            assert " at 0x" not in repr(x), x
            found.update(repr(x).encode())

    take(vars(estimator._tuning) if hasattr(estimator, "_tuning") else estimator._runs)
    return found.hexdigest()


def fit(name, cache):
    """The state of one of `ESTIMATORS` after its training."""
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0)
    if isinstance(estimator, DBNClassifier):
        return state(estimator.set_params(transformer__memory=cache).fit(X, y))
    return state(estimator.set_params(memory=cache).fit(X))


def fit_and_send(name, cache, connection):
    """`fit`, with a message before it and the result after it."""
    connection.send("begins")
    connection.send(fit(name, cache))


class SendsAfterFivePasses(Callback):
    """Sends a message when estimators of a class have made five passes."""

    def __init__(self, kind, connection):
        self.kind, self.connection, self.n_passes = kind, connection, 0

    def on_fit_task_end(self, estimator, context):
        self.n_passes += isinstance(estimator, self.kind) and context.task_name == "epoch"
        if self.n_passes == 5:
            self.connection.send("in the middle")


def fit_until_interrupted(estimator, connection):
    """Fit until SIGINT; sends the message of the interrupt, the number of passes, the state."""
    # A shell lets processes in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection.send("begins")
    try:
        estimator.set_callbacks(SendsAfterFivePasses(type(estimator), connection)).fit(X, y)
    except KeyboardInterrupt as stop:
        connection.send((str(stop), estimator.n_iter_, state(estimator)))
