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


def test_a_deep_boltzmann_machine_gets_input_from_above():
    dbm = DBMTransformer((16, 8), rbm=RBM, random_state=0)
    model = DBNRegressor(dbm, n_iter=20, learning_rate=0.02, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.3
    other = clone(model).set_params(top_down_input=False).fit(X, y)
    assert not np.allclose(model.predict(X), other.predict(X))


@pytest.mark.parametrize("change", [1.0, 1.5, 1e6, -1e-6])
def test_a_scale_that_moves_leaves_predictions_as_they_are(change):
    """A step of no length shows what the conversion alone does, of several targets at once."""
    Y = np.column_stack([y, -3 * y + 5])
    model = regressor(solver="sgd")
    for _ in range(3):
        model.partial_fit(X[:200], Y[:200])
    before = model.predict(X)
    model.set_params(learning_rate=1e-300, momentum=0.0)
    model.partial_fit(X[200:], Y[200:] * change)
    seen = np.vstack([Y[:200]] * 3 + [Y[200:] * change])
    np.testing.assert_allclose(model._target_scale.mean, seen.mean(axis=0))
    np.testing.assert_allclose(model._target_scale.scale, seen.std(axis=0))
    np.testing.assert_allclose(model.predict(X), before, atol=1e-9 * np.ptp(Y))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_memory_of_the_solver_is_converted_with_the_head(solver):
    """A velocity is converted to the new units; Adam's is a ratio, which stays."""
    ratio, shift = np.array([0.7, 1.6]), np.array([0.1, -0.2])
    Y = np.column_stack([y, y**2])
    tuning = regressor(solver=solver, n_iter=1).fit(X, Y)._tuning
    moved = tuning.copy()
    moved.convert_outputs(ratio, shift)
    np.testing.assert_allclose(moved.network.head, tuning.network.head * ratio)
    np.testing.assert_allclose(
        moved.network.intercept, tuning.network.intercept * ratio + shift
    )
    old, new = tuning.rule_state, moved.rule_state
    np.testing.assert_allclose(new.first.views()["head"], old.first.views()["head"] * ratio)
    if solver == "adam":
        steps = [
            m.first.views()["head"] / np.sqrt(m.second.views()["head"]) for m in (old, new)
        ]
        np.testing.assert_allclose(*steps)
    moved = tuning.copy()
    moved.convert_outputs(np.array([1.0, 1e-3]), shift)
    assert moved.rule_state is None


@pytest.mark.parametrize("first", [slice(0, 1), slice(0, 100)], ids=["one row", "constant"])
def test_a_provisional_scale_is_replaced(first):
    """The first chunk is constant and gives no scale, and the network still learns."""
    target = 1e-4 * y + 7
    target[first] = 7
    model = regressor(learning_rate=0.01).partial_fit(X[first], target[first])
    assert model._target_scale.flat.all()
    for _ in range(30):
        for start in range(100, 400, 100):
            model.partial_fit(X[start : start + 100], target[start : start + 100])
    assert model.score(X[100:], target[100:]) > 0.4


@pytest.mark.parametrize("unit", [1e-290, 1e290])
def test_any_scale_may_follow_a_chunk_of_constant_targets(unit):
    rows, target = X.astype(np.float32), np.where(np.arange(len(y)) < 100, 0, unit * y)
    model = DBNRegressor(RBMTransformer(4, n_iter=1, random_state=0), random_state=0)
    for part in (slice(0, 100), slice(100, 300)):
        model.partial_fit(rows[part], target[part])
    assert np.isfinite(model.predict(rows) / unit).all()


def test_targets_are_scaled_by_the_weights_of_rows():
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    model = regressor(n_iter=0).fit(X, y, sample_weight=weight)
    repeated = np.repeat(y, weight.astype(int))
    np.testing.assert_allclose(model._target_scale.mean, repeated.mean())
    np.testing.assert_allclose(model._target_scale.scale, repeated.std())


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
        (lambda m: m.fit(X, np.where(y > 300, 1.7e308, y)), "value of size 1.7e.308"),
        (lambda m: m.partial_fit(X, np.column_stack([y, y])), "y has 2 targets, and .* on 1"),
        (lambda m: m.set_params(learning_rate=1e9, solver="sgd").fit(X, y), "diverged"),
    ],
)
def test_invalid_input_changes_nothing(call, match):
    model = regressor(n_iter=2).fit(X, y)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match=match):
        call(model)
    assert np.array_equal(model.predict(X), predicted)
