"""A row of weight 0 decides nothing, in any estimator."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

N, N_COLUMNS = 24, 5
rng = np.random.default_rng(0)
X = rng.random((N, N_COLUMNS))
LABELS, NUMBERS = np.arange(N) % 2, 3 * X[:, 0] + 1
NOTHING = np.array([0, 3, 20, 23])
WEIGHT = rng.uniform(0.5, 2, N)
WEIGHT[NOTHING] = 0
COUNTING = np.flatnonzero(WEIGHT)
RBM = RBMTransformer(n_iter=2, validation_fraction=0.2, random_state=0)
SELECTED = {"layers": "all", "units": SelectKBest(f_classif, k=3), "random_state": 0}
DBN = DBNTransformer((4, 3), rbm=RBM, **SELECTED)
DBM = DBMTransformer((4, 3), rbm=RBM, **SELECTED)


def favourite(H, y):
    """The mean of each unit where y is largest."""
    return H[np.asarray(y) == np.max(y)].mean(axis=0)


ESTIMATORS = {
    "rbm": clone(RBM).set_params(n_components=4),
    "dbn": DBN,
    "dbn with scores": clone(DBN).set_params(units=2, unit_score=favourite),
    "dbn, label-free": clone(DBN).set_params(units=2),
    "dbm": DBM,
    "dbm, label-free": clone(DBM).set_params(units=2),
    "pretrained": clone(DBN).set_params(
        pretrained=FrozenEstimator(DBNTransformer((4, 3), rbm=RBM, random_state=0).fit(X))
    ),
    "classifier": DBNClassifier(
        DBN, n_iter=2, early_stopping=True, class_weight="balanced", random_state=0
    ),
    "virtual": DBNClassifier(
        DBN, n_iter=2, virtual_adversarial_eps=0.1, generative_weight=0.1, random_state=0
    ),
    "regressor": DBNRegressor(
        clone(DBN).set_params(units=2), n_iter=2, early_stopping=True, random_state=0
    ),
}


def fitted(name, method, X, y, weight):
    model = clone(ESTIMATORS[name])
    asked = (
        {"classes": [0, 1]} if method == "partial_fit" and "class_weight" in vars(model) else {}
    )
    if asked:
        model.set_params(class_weight={0: 1.0, 1: 3.0})
    model = getattr(model, method)(X, y, sample_weight=weight, **asked)
    if method == "partial_fit":
        model.partial_fit(X, y, sample_weight=weight)
    return model


def facts(model):
    """What the rows have decided."""
    found = [model.transform(X)]
    if hasattr(model, "transformer_"):
        outputs = model.decision_function(X) if hasattr(model, "classes_") else model.predict(X)
        found += [outputs, *model._tuning.network.parameters().values()]
        found += [np.array(values) for values in model.history_.values()]
        model = model.transformer_
    if hasattr(model, "selected_units_"):
        found += model.selected_units_
        found += [seen.sums for seen in model._statistics]
        found += [np.array([seen.weight]) for seen in model._statistics]
    return found


CASES = [
    (name, method)
    for name in ESTIMATORS
    for method in ("fit", "partial_fit")
    if (name, method) != ("pretrained", "partial_fit")
]
Y = {name: NUMBERS if name == "regressor" else LABELS for name in ESTIMATORS}
BEFORE = {}


@pytest.mark.parametrize(("name", "method"), CASES)
@settings(max_examples=3)
@given(
    arrays(float, (len(NOTHING), N_COLUMNS), elements=st.floats(0, 1)),
    arrays(float, len(NOTHING), elements=st.floats(-1e100, 1e100)),
)
def test_what_a_row_of_weight_0_holds_changes_nothing(name, method, rows, targets):
    if (name, method) not in BEFORE:
        BEFORE[name, method] = facts(fitted(name, method, X, Y[name], WEIGHT))
    changed, y = X.copy(), Y[name].copy()
    changed[NOTHING] = rows
    y[NOTHING] = targets if name == "regressor" else targets > 0
    found = facts(fitted(name, method, changed, y, WEIGHT))
    for x, other in zip(BEFORE[name, method], found, strict=True):
        np.testing.assert_array_equal(x, other)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_rows_of_weight_0_are_rows_left_out(name, method):
    changed, y = X.copy(), Y[name].copy()
    changed[NOTHING], y[NOTHING] = 1 - X[NOTHING], 1
    some = facts(fitted(name, method, changed, y, WEIGHT))
    without = facts(fitted(name, method, X[COUNTING], Y[name][COUNTING], WEIGHT[COUNTING]))
    for x, other in zip(some, without, strict=True):
        np.testing.assert_allclose(x, other, rtol=1e-6, atol=1e-9)


class Recorded:
    """A score function that keeps what it is given; estimators clone theirs."""

    def __call__(self, H, y):
        self.H, self.y = H, np.asarray(y)
        return H.var(axis=0)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["dbn", "dbm", "pretrained", "classifier", "regressor"])
@pytest.mark.parametrize("kind", [list, np.asarray, pd.Series, pl.Series])
def test_scores_of_units_get_the_rows_of_positive_weight(name, method, kind):
    model = clone(ESTIMATORS[name])
    if (name, method) == ("pretrained", "partial_fit"):
        return
    transformer = getattr(model, "transformer", model)
    transformer.set_params(units=2, unit_score=Recorded())
    y = Y[name] if name == "regressor" else np.where(LABELS, "b", "a")
    given = {"classes": ["a", "b"]} if (name, method) == ("classifier", "partial_fit") else {}
    if given:
        model.set_params(class_weight=None)
    model = getattr(model, method)(X, kind(y.tolist()), sample_weight=WEIGHT, **given)
    transformer = getattr(model, "transformer_", model)
    score = transformer.unit_score
    np.testing.assert_array_equal(score.y, y[COUNTING])
    features = transformer.select(units=None).transform(X[COUNTING])
    np.testing.assert_allclose(score.H, features)


def test_a_head_without_input_predicts_the_weighted_share_of_each_class():
    weight = np.where(LABELS, 3.0, 1.0)
    rbm = RBMTransformer(2, n_iter=1, random_state=0).fit(X)
    model = DBNClassifier(FrozenEstimator(rbm), n_iter=0, random_state=0)
    predicted = model.fit(X, LABELS, sample_weight=weight).predict_proba(X)[0, 1]
    # Weights have mean 1: 18 rows of 24 on, and one of each class beside them.
    assert predicted == pytest.approx(19 / 26)
    by_class = clone(model).set_params(class_weight={0: 1, 1: 3}).fit(X, LABELS)
    np.testing.assert_allclose(by_class.predict_proba(X)[0, 1], predicted)
    balanced = clone(model).set_params(class_weight="balanced").fit(X, LABELS, weight)
    assert balanced.predict_proba(X)[0, 1] == pytest.approx(0.5)
    of_labels = clone(model).fit(X, np.column_stack([LABELS, 1 - LABELS]), weight)
    np.testing.assert_allclose(of_labels.predict_proba(X)[0], [19 / 26, 7 / 26])


def test_a_class_of_weight_0_stays_a_class():
    y = LABELS.copy()
    y[NOTHING] = 2
    model = DBNClassifier(RBM, n_iter=1, random_state=0).fit(X, y, sample_weight=WEIGHT)
    assert list(model.classes_) == [0, 1, 2]
    assert (model.predict_proba(X)[:, 2] < 0.2).all()


@pytest.mark.parametrize("option", ["fit", "partial_fit"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e-8, 1e300])
def test_weights_of_classes_of_any_size_give_a_result_or_a_sentence(size, dtype, option):
    model = DBNClassifier(RBM, n_iter=1, class_weight={0: size, 1: size}, random_state=0)
    rows = X.astype(dtype)
    if option == "fit":
        plain = clone(model).set_params(class_weight=None).fit(rows, LABELS)
        learned = model.fit(rows, LABELS).predict_proba(rows)
        np.testing.assert_allclose(learned, plain.predict_proba(rows), rtol=1e-5)
    elif size == 1e-8:
        model.partial_fit(rows, LABELS, classes=[0, 1])
    elif dtype == np.float32 or size in (1e-300, 1e300):
        with pytest.raises(ValueError, match=r"sample_weight times class_weight sums to"):
            model.partial_fit(rows, LABELS, classes=[0, 1])


def test_weights_of_any_inequality_train_the_heaviest_row():
    weight = np.full(N, 1e-44, dtype=np.float32)
    weight[0] = 1
    rows = X.astype(np.float32)
    for model in (clone(DBN).set_params(units=None), clone(DBM).set_params(units=None)):
        learned = model.fit(rows, sample_weight=weight)
        assert np.isfinite(learned.transform(rows)).all()
        one = np.exp(learned.score_samples(rows[:1]))
    options = {"centered": True, "generative_weight": 0.1, "n_iter": 1, "random_state": 0}
    clf = DBNClassifier(RBM, **options).fit(rows, LABELS, sample_weight=weight)
    assert np.isfinite(clf.predict_proba(rows)).all()
    assert one >= 0
