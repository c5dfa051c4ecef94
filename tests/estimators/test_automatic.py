"""The values of "auto", and the attributes that hold them."""

import numpy as np
import pytest
from helpers.training import make_settings
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.fine_tuning import nearest_distance
from sklearn_dbn.training import batch_size_of, n_passes_of, start
from sklearn_dbn.units import UNITS

DIGITS, LABELS = load_digits(return_X_y=True)
X, y = DIGITS[:200] / 16, LABELS[:200]
RBM = RBMTransformer(8, n_iter=2, random_state=0).fit(X)


@given(st.integers(1, 10**7))
def test_a_pass_is_forty_updates_of_ten_to_fifty_rows(n_rows):
    size = batch_size_of("auto", n_rows)
    assert 10 <= size <= 50
    assert size in (10, 50) or 40 <= n_rows / size < 44
    assert batch_size_of(7, n_rows) == 7
    assert batch_size_of(7, n_rows, on_cluster=True) == 7
    size = batch_size_of("auto", n_rows, on_cluster=True)
    assert size in (50, 400) or 0.9 < size * 100 / n_rows <= 1


@given(st.integers(0, 10**7))
def test_passes_present_so_many_rows_within_their_bounds(n_rows):
    n_passes = n_passes_of("auto", n_rows, 200_000, (10, 50))
    assert 10 <= n_passes <= 50
    assert n_passes in (10, 50) or abs(n_passes * n_rows - 200_000) <= n_rows / 2
    assert n_passes_of(3, n_rows, 200_000, (10, 50)) == 3


@pytest.mark.parametrize(
    ("kind", "rows", "expected"),
    [("bernoulli", 5, [0.1, 0.2, 1.0]), ("gaussian", 10, [0.025, 0.05, 0.05])],
)
def test_the_rate_grows_with_the_batch_up_to_a_bound(kind, rows, expected):
    data = np.random.default_rng(0).normal(size=(500, 40))
    data = (data > 0) * 1.0 if kind == "bernoulli" else data
    units = UNITS[kind], UNITS["bernoulli"]

    def rate(batch_size):
        settings = make_settings(learning_rate=None, batch_size=batch_size)
        shown = Rows(data, np.ones(500), Columns(units[0]))
        return start(units, [(40,), (4,)], shown, settings, 10, Stream(0)).rate(settings)

    # The variances of 40 columns add up to 10, or to 40 of standard deviation 1.
    found = [rate(n * rows) for n in (1, 2, 100)]
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.slow
def test_attributes_of_a_generator_hold_the_automatic_values():
    rbm = RBMTransformer(8, random_state=0).fit(DIGITS / 16)
    assert (rbm.batch_size_, rbm.n_iter_, rbm.sparsity_target_) == (44, 50, 0.1)
    same = RBMTransformer(
        8,
        batch_size=44,
        n_iter=50,
        sparsity_target=0.1,
        learning_rate=rbm.learning_rate_,
        random_state=0,
    ).fit(DIGITS / 16)
    assert np.array_equal(rbm.components_, same.components_)
    real = RBMTransformer(8, n_iter=1, hidden="gaussian").fit(X)
    assert real.sparsity_target_ is None


@pytest.mark.parametrize(
    ("pretrain", "sizes", "target"),
    [
        (None, (8, 4), None),
        ("first_layer", (8, 4), None),
        ("auto", (8, 4), 0.1),
        (None, 8, 0.1),
    ],
)
def test_deep_machines_are_sparse_after_doubled_pretraining_alone(pretrain, sizes, target):
    rbm = RBMTransformer(n_iter=1)
    dbm = DBMTransformer(sizes, rbm=rbm, pretrain=pretrain, warm_start=True, random_state=0)
    assert dbm.fit(X).sparsity_target_ == target
    # What goes on stays as it was.
    assert dbm.fit(X).sparsity_target_ == target
    asked = RBMTransformer(n_iter=1, sparsity_target=0.3)
    assert DBMTransformer((8, 4), rbm=asked, pretrain=None).fit(X).sparsity_target_ == 0.3


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100))
def test_the_nearest_row_that_is_another_one(seed, scale):
    v = np.random.default_rng(seed).normal(size=(7, 3))
    to = np.sqrt(((v[:, None] - v) ** 2).sum(axis=2)) + np.diag(np.full(7, np.inf))
    expected = np.median(to.min(axis=1))
    assert nearest_distance(v) == pytest.approx(expected)
    assert nearest_distance(np.concatenate([v, v])) == pytest.approx(expected)
    assert nearest_distance(scale * v + 3) == pytest.approx(scale * expected)


@pytest.mark.parametrize("v", [np.zeros((1, 2)), np.ones((5, 2))], ids=["one", "alike"])
def test_rows_without_another_one_have_no_distance(v):
    assert nearest_distance(v) == 0


@pytest.mark.slow
def test_attributes_of_a_network_hold_the_automatic_values():
    distance = nearest_distance(X)
    clf = DBNClassifier(FrozenEstimator(RBM), random_state=0).fit(X, y)
    assert (clf.learning_rate_, clf.batch_size_, clf.n_iter_) == (0.01, 10, 100)
    assert clf.adversarial_eps_ == pytest.approx(0.2 * distance)
    assert clf.virtual_adversarial_eps_ == 0
    asked = {
        "learning_rate": 0.01,
        "batch_size": 10,
        "n_iter": 100,
        "adversarial_eps": clf.adversarial_eps_,
        "virtual_adversarial_eps": 0,
        "centered": True,
    }
    same = DBNClassifier(FrozenEstimator(RBM), random_state=0, **asked).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), same.predict_proba(X))
    some = np.where(np.arange(200) < 50, y, -1)
    clf = DBNClassifier(FrozenEstimator(RBM), unlabeled=-1, n_iter=1).fit(X, some)
    assert clf.virtual_adversarial_eps_ == pytest.approx(0.5 * distance)
    assert clf.adversarial_eps_ == 0
    regressor = DBNRegressor(FrozenEstimator(RBM)).fit(X, y)
    took = regressor.learning_rate_, regressor.n_iter_, regressor.adversarial_eps_
    assert took == (0.001, 30, 0)


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_full_batch_solvers_train_without_adversarial_rows_and_centring(solver):
    clf = DBNClassifier(FrozenEstimator(RBM), solver=solver, n_iter=3).fit(X, y)
    assert (clf.adversarial_eps_, clf.virtual_adversarial_eps_) == (0, 0)
    with pytest.raises(ValueError, match="centered=True needs minibatches"):
        clf.set_params(centered=True).fit(X, y)


def test_a_distance_is_that_of_standardised_columns():
    scale = np.array([1e-3, 1, 1e6])
    Z = np.random.default_rng(0).normal(size=(60, 3))
    rbm = RBMTransformer(4, n_iter=1, random_state=0)
    lengths = [
        DBNClassifier(rbm, n_iter=1, random_state=0).fit(rows, y[:60] % 2).adversarial_eps_
        for rows in (Z, Z * scale + scale)
    ]
    assert lengths[0] == pytest.approx(lengths[1])
    assert lengths[0] == pytest.approx(0.2 * nearest_distance((Z - Z.mean(0)) / Z.std(0)))


def test_features_come_from_all_layers():
    dbn = DBNTransformer((6, 5), rbm=RBMTransformer(n_iter=1), random_state=0).fit(X)
    assert dbn.transform(X).shape == (200, 11)
