"""An estimator answers while it is fitted again: by the old fit or by the new one."""

import threading

import numpy as np
import pytest
from helpers.training import Callback
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

pd = pytest.importorskip("pandas")
rng = np.random.default_rng(0)
X = np.round(rng.random((60, 6)))
OTHER, y = X[::-1] * np.array([0.0, 1, 1, 1, 1, 1]), np.arange(60) % 3
RBM = RBMTransformer(5, n_iter=3)
ESTIMATORS = {
    "rbm": RBM,
    "dbn": DBNTransformer((5, 4), rbm=RBM, layers="all"),
    "dbm": DBMTransformer((5, 4), rbm=RBM, layers="all"),
    "classifier": DBNClassifier(DBNTransformer((5, 4), rbm=RBM), n_iter=3),
    "regressor": DBNRegressor(DBMTransformer((5, 4), rbm=RBM), n_iter=3),
}


def answers(estimator, rows=X):
    """Results of a fitted estimator on some rows."""
    return [
        getattr(estimator, name)(*([] if name == "get_feature_names_out" else [rows]))
        for name in questions(estimator)
    ]


def questions(estimator):
    """The methods that are called."""
    names = ["transform", "get_feature_names_out", "predict", "predict_proba"]
    names += ["score_samples", "reconstruct"]
    return [name for name in names if hasattr(estimator, name)]


def same(one, two):
    return all(map(np.array_equal, one, two))


class Asks(Callback):
    """Calls the estimator that is being fitted, at the begin and the end of every task."""

    def __init__(self, estimator):
        self.estimator, self.found = estimator, []

    def on_fit_task_begin(self, estimator, context):
        if isinstance(estimator, type(self.estimator)):
            assert estimator is self.estimator
            self.found.append(answers(self.estimator))

    on_fit_task_end = on_fit_task_begin


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_until_a_fit_ends_results_are_those_of_the_old_one(name, call):
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0).fit(X, y)
    old, asks = answers(estimator), Asks(estimator)
    getattr(estimator.set_callbacks(asks), call)(OTHER, y)
    assert len(asks.found) >= 2
    assert all(same(found, old) for found in asks.found)
    assert not same(answers(estimator), old)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_result_during_a_refit_is_that_of_one_fit(name, monkeypatch):
    """A fit that ends in the middle of an answer has no part in it."""
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0).fit(X, y)
    old = answers(estimator)
    kind, fits = type(estimator), []
    check = kind._check_rows

    def check_and_fit(self, *args, reset, **kwargs):
        rows = check(self, *args, reset=reset, **kwargs)
        if not reset and type(self) is kind and not fits:
            fits.append(True)
            estimator.fit(OTHER, y)
        return rows

    monkeypatch.setattr(kind, "_check_rows", check_and_fit)
    for name, answer in zip(questions(estimator), old, strict=True):
        if name != "get_feature_names_out":
            estimator.fit(X, y)
            fits.clear()
            assert np.array_equal(getattr(estimator, name)(X), answer)
            assert fits
    assert not same(answers(estimator), old)


@pytest.mark.parametrize("name", ["rbm", "dbn", "classifier"])
def test_a_thread_gets_results_of_one_fit_or_the_other(name):
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0)
    right = [clone(estimator).fit(rows, y).transform(X) for rows in (X, OTHER)]
    estimator.fit(X, y)
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                found = estimator.transform(X)
                if not any(np.array_equal(found, one) for one in right):
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(3):
        estimator.fit(OTHER, y).fit(X, y)
    stop.set()
    thread.join()
    assert not wrong


class Names(Callback):
    """Records the column names of a fitted estimator."""

    def __init__(self, kind):
        self.kind, self.found = kind, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if isinstance(fitted_estimator, self.kind):
            names = getattr(fitted_estimator, "feature_names_in_", None)
            self.found.append(None if names is None else list(names))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_callbacks_get_the_columns_of_their_own_fit(name):
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0)
    for columns in ("abcdef", "ghijkl", None):
        rows = X if columns is None else pd.DataFrame(X, columns=list(columns))
        seen = Names(type(estimator))
        estimator.set_callbacks(seen).fit(rows, y)
        names = None if columns is None else list(columns)
        assert seen.found
        assert all(found == names for found in seen.found)
        assert hasattr(estimator, "feature_names_in_") == (columns is not None)
        assert not {"_fit_of", "_interrupt", "_callback_fit_ctx"} & set(vars(estimator))


@pytest.mark.parametrize("name", ["dbn", "dbm", "rbm"])
@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor])
def test_a_frozen_generator_that_is_trained_on_moves_nothing_built_on_it(name, kind):
    generator = clone(ESTIMATORS[name]).set_params(random_state=0).fit(X)
    tuned = kind(FrozenEstimator(generator), n_iter=3, random_state=0).fit(X, y)
    before = answers(tuned), answers(tuned.transformer_)
    generator.partial_fit(OTHER)
    generator.set_params(**({"tol": 1.0, "layers": 0} if name == "dbm" else {}))
    assert same(answers(tuned), before[0])
    assert same(answers(tuned.transformer_), before[1])


def test_layers_of_a_frozen_stack_that_are_trained_on_move_nothing_built_on_it():
    dbn = clone(ESTIMATORS["dbn"]).set_params(random_state=0).fit(X)
    tuned = DBNClassifier(FrozenEstimator(dbn), n_iter=3, random_state=0).fit(X, y)
    view = DBNTransformer(pretrained=FrozenEstimator(dbn), layers="all").fit(X)
    before = answers(tuned.transformer_), answers(view)
    dbn.rbms_[0].partial_fit(OTHER)
    dbn.rbms_.pop()
    assert same(answers(tuned.transformer_), before[0])
    assert same(answers(view), before[1])
    # The layers themselves are shared.
    arrays = [rbms[0]._machine.W[0] for rbms in (tuned.transformer_.rbms_, view.rbms_)]
    assert arrays[0] is arrays[1]
