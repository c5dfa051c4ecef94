"""A message about a training that diverged names its cause."""

import warnings

import numpy as np
import pytest

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

rng = np.random.default_rng(0)
X, Z = rng.random((60, 6)), rng.standard_normal((60, 6))
y = np.arange(60) % 3
HEAVY = np.where(np.arange(60) < 1, 1e9, 1)


def rbm(**changes):
    return RBMTransformer(**({"n_components": 4, "n_iter": 3, "random_state": 0} | changes))


def real(**changes):
    return rbm(visible="gaussian", hidden="gaussian", n_iter=50, **changes)


def net(**changes):
    plain = {"transformer": rbm(), "n_iter": 3, "random_state": 0}
    return DBNClassifier(**(plain | changes))


SGD = {"solver": "sgd", "learning_rate": 3e-3}
MACHINES = {
    "decay": (lambda: rbm(weight_decay=1e5).fit(X), "weight_decay=100000"),
    "decay at a small rate": (
        lambda: rbm(weight_decay=1e12, learning_rate=1e-9).fit(X),
        r"learning_rate=1e-09 diverged .* weight_decay=1e\+12",
    ),
    "decay of a stack": (
        lambda: DBNTransformer((4, 3), rbm=rbm(weight_decay=1e5)).fit(X),
        "weight_decay=100000",
    ),
    "decay of a deep machine": (
        lambda: DBMTransformer((4, 3), rbm=rbm(weight_decay=1e5)).fit(X),
        "weight_decay=100000",
    ),
    "sparsity": (
        lambda: rbm(sparsity_target=0.1, sparsity_cost=1e300).fit(X),
        r"sparsity_cost=1e\+300",
    ),
    "rate": (
        lambda: rbm(learning_rate=1e30).fit(X),
        r"=1e\+30 diverged .*: try learning_rate=0\.2\.$",
    ),
    "rate, with a decay": (
        lambda: rbm(learning_rate=1e30, weight_decay=0.1).fit(X),
        r"=1e\+30 diverged .*: try learning_rate=0\.2\.$",
    ),
    "momentum": (
        lambda: rbm(momentum=0.99, hidden="gaussian", n_iter=100).fit((X > 0.5) * 1.0),
        "its cause is momentum=0.99, with which steps add up to 100 times",
    ),
    "weights": (
        lambda: real().fit(Z, sample_weight=HEAVY),
        r"'auto', which is 0\.1, diverged .* largest weight of a row, 60 times the usual",
    ),
    "weights of a chunk": (
        lambda: rbm().partial_fit(X, sample_weight=HEAVY),
        r"largest weight of a row, 1e\+09 times the usual",
    ),
}
NETWORKS = {
    "rate": (lambda: net(learning_rate=1e30).fit(X, y), r": try learning_rate=1e\+29\."),
    "decay": (
        lambda: net(weight_decay=1e20, n_iter=30, **SGD).fit(X, y),
        "is weight_decay=1e.20",
    ),
    "decay for all rows at once": (
        lambda: net(weight_decay=1e10, solver="lbfgs").fit(X, y),
        "solver='lbfgs' diverged .* its cause is weight_decay=1e.10",
    ),
    "a factor": (
        lambda: net(transformer=real(), fine_tune=[1e8], **SGD).fit(Z, y),
        "its cause is the factor 1e.08 of fine_tune",
    ),
    "the generator": (
        lambda: net(transformer=real(), generative_weight=1e8, **SGD).fit(Z, y),
        "its cause is generative_weight=1e.08",
    ),
    "far away": (
        lambda: net(virtual_adversarial_eps=1e30).fit(X, y),
        "its cause is virtual_adversarial_eps=1e.30",
    ),
    "weights": (
        lambda: DBNRegressor(
            real(), n_iter=20, batch_size=1, **SGD | {"learning_rate": 5e-3}
        ).fit(10 * X, y, sample_weight=HEAVY),
        "largest weight of a row, 60 times the usual",
    ),
    "targets far from all that weigh": (
        lambda: DBNRegressor(rbm(), solver="lbfgs").fit(
            X.astype(np.float32), y, sample_weight=np.where(HEAVY > 1, 1, 1e-44)
        ),
        "largest weight of a row, 60 times the usual",
    ),
}


@pytest.mark.parametrize("kind", [*MACHINES, *(f"network: {kind}" for kind in NETWORKS)])
def test_the_cause_is_named(kind):
    call, cause = NETWORKS[kind[9:]] if kind.startswith("network: ") else MACHINES[kind]
    with pytest.raises(ValueError, match=cause) as diverged:
        call()
    assert " diverged in pass " in str(diverged.value)
    assert len(str(diverged.value)) <= 300


@pytest.mark.parametrize("rate", ["auto", 1e-9])
def test_tiny_sample_weights_do_not_diverge(rate):
    weight = np.where(HEAVY > 1, 1, 1e-44)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        learned = rbm(learning_rate=rate).fit(X.astype(np.float32), sample_weight=weight)
    assert np.isfinite(learned.components_).all()
