"""DBNRegressor: what differs from the classifier."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import minmax_scale

from sklearn_dbn import DBMTransformer, DBNRegressor, DBNTransformer, RBMTransformer

X, y = load_diabetes(return_X_y=True)
X = minmax_scale(X)
RBM = RBMTransformer(n_iter=3)
DBN = DBNTransformer((16, 8), rbm=RBM, random_state=0).fit(X)


def regressor(**parameters):
    plain = {"n_iter": 40, "learning_rate": 0.02, "random_state": 0}
    return DBNRegressor(FrozenEstimator(DBN), **(plain | parameters))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "cg"])
def test_it_learns(solver):
    assert regressor(solver=solver).fit(X, y).score(X, y) > 0.4


def test_the_units_of_a_target_change_nothing():
    plain = regressor().fit(X, y).predict(X)
    np.testing.assert_allclose(regressor().fit(X, 5 * y - 1e4).predict(X), 5 * plain - 1e4)


def test_several_targets_are_predicted_at_once():
    Y = np.column_stack([y, -3 * y, np.full(len(y), 7.0)])
    predicted = regressor().fit(X, Y).predict(X)
    assert predicted.shape == Y.shape
    np.testing.assert_allclose(predicted[:, 1], -3 * predicted[:, 0], rtol=1e-3)
    np.testing.assert_allclose(predicted[:, 2], 7, rtol=0.2)
    assert regressor().fit(X, y[:, None]).predict(X).shape == (len(y), 1)


def test_a_deep_boltzmann_machine_hears_from_above():
    dbm = DBMTransformer((16, 8), rbm=RBM, random_state=0)
    model = DBNRegressor(dbm, n_iter=20, learning_rate=0.02, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.3
    other = clone(model).set_params(augment=False).fit(X, y)
    assert not np.allclose(model.predict(X), other.predict(X))


def test_chunks_keep_the_scale_of_the_first():
    model = regressor().partial_fit(X[:200], y[:200])
    mean = model._mean
    model.partial_fit(X[200:], y[200:] + 1e3)
    assert model._mean is mean
    assert model.n_iter_ == 2


def test_early_stopping_scores_minus_the_loss():
    model = regressor(early_stopping=True).fit(X, y)
    loss = model.history_["validation_loss"]
    np.testing.assert_allclose(model.history_["validation_score"], -np.array(loss))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.fit(X, y[:-1]), "y has targets for 441 rows, and X has 442"),
        (lambda m: m.fit(X, np.where(y > 300, np.nan, y)), "y contains NaN"),
        (lambda m: m.fit(X, None), "requires y"),
        (lambda m: m.partial_fit(X, np.column_stack([y, y])), "y has 2 targets, and .* on 1"),
        (lambda m: m.set_params(learning_rate=1e9, solver="sgd").fit(X, y), "diverged"),
    ],
)
def test_bad_input_changes_nothing(call, match):
    model = regressor(n_iter=2).fit(X, y)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match=match):
        call(model)
    assert np.array_equal(model.predict(X), predicted)
