"""Small networks, rows for them, and settings of a training."""

import itertools

import numpy as np
import pytest

from helpers.training import pass_by_pass
from sklearn_dbn.fine_tuning import (
    FineTuningSettings,
    FullBatchLoop,
    Inputs,
    Logistic,
    Network,
    NetworkLoop,
    Softmax,
    Squared,
    TrainingRows,
)
from sklearn_dbn.optim import SCHEDULES
from sklearn_dbn.training import drive
from sklearn_dbn.units import UNITS

SIZES = (5, 4, 6, 3)
N_ROWS, N_OUTPUTS = 7, 3
LAYERS = (0, 1, 2)


def make_network(augmented=False, gain=1.0, hidden="bernoulli", dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    unit = UNITS[hidden]
    W = [rng.standard_normal(s).astype(dtype) for s in itertools.pairwise(SIZES)]
    par = [
        0.3 * rng.standard_normal(unit.initial(np.zeros(n)).shape).astype(dtype)
        for n in SIZES[1:]
    ]
    above = [(SIZES[i + 2], SIZES[i + 1]) if i < 2 and augmented else None for i in range(3)]
    A = [s and rng.standard_normal(s).astype(dtype) for s in above]
    head = rng.standard_normal((SIZES[-1], N_OUTPUTS)).astype(dtype)
    return Network(
        [unit] * 3, par, W, [gain, gain, 1.0], A, head, np.zeros(N_OUTPUTS, dtype=dtype)
    )


def make_examples(network, loss=None, dtype=np.float64, seed=1):
    rng = np.random.default_rng(seed)
    above = [A if A is None else rng.random((N_ROWS, len(A))).astype(dtype) for A in network.A]
    X = rng.random((N_ROWS, SIZES[0])).astype(dtype)
    if isinstance(loss, Logistic):
        target = rng.integers(0, 2, (N_ROWS, N_OUTPUTS)).astype(dtype)
    elif isinstance(loss, Squared):
        target = rng.standard_normal((N_ROWS, N_OUTPUTS)).astype(dtype)
    else:
        target = np.eye(N_OUTPUTS, dtype=dtype)[rng.integers(0, N_OUTPUTS, N_ROWS)]
    weight = rng.random(N_ROWS).astype(dtype)
    return TrainingRows(Inputs(X, above), target, weight)


def make_settings(**changes):
    plain = {
        "loss": Softmax(),
        "solver": "adam",
        "learning_rate": 0.01,
        "factors": (1.0, 1.0, 1.0),
        "schedule": SCHEDULES["constant"],
        "momentum": 0.9,
        "batch_size": 3,
        "dropout": 0.0,
        "hidden_dropout": 0.0,
        "adversarial_eps": 0.0,
        "virtual_adversarial_eps": 0.0,
        "centered": False,
        "max_norm": None,
        "weight_decay": 0.0,
        "generative_weight": 0.0,
        "n_iter_no_change": 10,
    }
    return FineTuningSettings(**(plain | changes))


def check_gradient(parameters, gradient, value, step=1e-6):
    for name, x in parameters.items():
        for i in np.ndindex(x.shape):
            before = x[i]
            x[i] = before + step
            up = value()
            x[i] = before - step
            down = value()
            x[i] = before
            assert gradient[name][i] == pytest.approx((up - down) / (2 * step), abs=1e-7)


def run(tuning, settings, data, n_passes, validation=None):
    """Train a network, and return the one that was trained."""
    kind = NetworkLoop if settings.solver in ("adam", "sgd") else FullBatchLoop
    loop = kind(settings, data, validation)
    return drive(tuning, loop.train, n_passes)


def passes(tuning, settings, data, n_passes):
    """Make a pass in minibatches each time the iterator is advanced."""
    yield from pass_by_pass(NetworkLoop(settings, data), tuning, n_passes)


def put_at_rest(network, seed=3):
    """Set the centres of all inputs, to random values."""
    rng = np.random.default_rng(seed)
    names = [name for name, x in network.parameters().items() if x.ndim == 2]
    network.input_means = {name: rng.random(len(network.parameters()[name])) for name in names}
