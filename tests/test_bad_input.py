"""Bad input gets one sentence that says what to do, and leaves a fitted estimator as it was."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBNTransformer, RBMTransformer, layer_subsets

rng = np.random.default_rng(0)
X = pd.DataFrame(rng.random((30, 5)), columns=list("abcde"))
RBM = RBMTransformer(4, n_iter=1, random_state=0)
DBN = DBNTransformer((4, 3), rbm=RBMTransformer(n_iter=1), random_state=0)


def with_value(value):
    bad = X.copy()
    bad.loc[3, "c"] = value
    return bad


BAD_ROWS = {
    "infinity": (with_value(np.inf), ValueError, "infinity"),
    "dask": (da.from_array(X.to_numpy()), TypeError, "dask Array.*call partial_fit"),
    "no rows": (X.iloc[:0], ValueError, "0 sample"),
    "strings": (X.assign(c="x"), ValueError, "the text 'x' in column 'c'"),
}


def unchanged(fitted, call, error, match):
    """``call`` raises, and ``fitted`` has the attributes and the features that it had."""
    before, features = dict(vars(fitted)), fitted.transform(X)
    with pytest.raises(error, match=match) as caught:
        call()
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())
    assert np.array_equal(fitted.transform(X), features)
    return str(caught.value)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
@pytest.mark.parametrize("kind", BAD_ROWS)
def test_rows_that_cannot_be_used(estimator, method, kind):
    rows, error, match = BAD_ROWS[kind]
    fitted = clone(estimator).fit(X)
    unchanged(fitted, lambda: getattr(fitted, method)(rows), error, match)


@pytest.mark.parametrize("method", ["partial_fit", "transform"])
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_columns_of_another_number_or_order(estimator, method):
    fitted = clone(estimator).fit(X)
    call = getattr(fitted, method)
    unchanged(fitted, lambda: call(X[list("edcba")]), ValueError, "feature names")
    unchanged(fitted, lambda: call(X[list("abcd")]), ValueError, "feature names|features")
    plain = clone(estimator).fit(X.to_numpy())
    with pytest.raises(ValueError, match=r"X has 4 features.*expecting 5 features"):
        getattr(plain, method)(X.to_numpy()[:, :4])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_values_that_bernoulli_units_cannot_take(method):
    message = "outside \\[0, 1\\] in column 'c'.*visible='bernoulli'.*MinMaxScaler"
    rbm = clone(RBM).set_params(visible="bernoulli").fit(X)
    unchanged(rbm, lambda: getattr(rbm, method)(with_value(1.5)), ValueError, message)
    template = RBMTransformer(n_iter=1, visible="bernoulli")
    dbn = clone(DBN).set_params(rbm=template).fit(X)
    unchanged(dbn, lambda: getattr(dbn, method)(with_value(-0.5)), ValueError, message)
    with pytest.raises(ValueError, match="in column 2"):
        clone(rbm).fit(with_value(7).to_numpy())


def test_later_chunks_outside_the_range_of_the_first():
    rbm = clone(RBM).partial_fit(X)
    unchanged(rbm, lambda: rbm.partial_fit(with_value(2)), ValueError, "visible='bernoulli'")


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.ones(7), "sample_weight.shape"),
        (-np.ones(30), "[Nn]egative"),
        (np.zeros(30), "at least one non-zero"),
        (np.full(30, np.nan), "NaN"),
    ],
)
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_weights_that_are_none(estimator, weight, match):
    fitted = clone(estimator).fit(X)
    unchanged(fitted, lambda: fitted.fit(X, sample_weight=weight), ValueError, match)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_stack_that_diverges_says_which_learning_rate_to_try(method):
    template = RBMTransformer(n_iter=1, learning_rate=1e30)
    fresh = clone(DBN).set_params(rbm=template)
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30 diverged.*try learning_rate="):
        getattr(fresh, method)(X)
    assert not hasattr(fresh, "rbms_")
    fitted = clone(DBN).fit(X).set_params(rbm=template)
    unchanged(fitted, lambda: fitted.fit(X), ValueError, "learning_rate=1e\\+30 diverged")


SELECTIONS = {
    "no layer": ({"layers": []}, ValueError, "layers=.* chooses no layer: .* 2 hidden"),
    "empty slice": ({"layers": slice(2, None)}, ValueError, "chooses no layer"),
    "layer too high": ({"layers": 2}, ValueError, "names layer 2: .* 0 to 1"),
    "layer too low": ({"layers": [0, -3]}, ValueError, "names layer -3"),
    "layer twice": ({"layers": [0, -2]}, ValueError, "names a layer twice"),
    "layer of a kind": ({"layers": "last"}, TypeError, "layers must be an int"),
    "layer mask": ({"layers": [True, False]}, TypeError, "layers must be an int"),
    "layer fraction": ({"layers": 0.5}, TypeError, "layers must be an int"),
    "too many units": ({"units": 4}, ValueError, "units=4 .* at most 3"),
    "no units": ({"units": 0}, ValueError, "units=0 .* at least 1"),
    "fraction too large": ({"units": 1.5}, ValueError, r"units=1.5 .* \(0, 1\]"),
    "fraction zero": ({"units": 0.0}, ValueError, r"units=0.0 .* \(0, 1\]"),
    "fraction NaN": ({"units": np.nan}, ValueError, r"units=nan .* \(0, 1\]"),
    "units of a kind": ({"units": "best"}, TypeError, "units must be None"),
    "units bool": ({"units": True}, TypeError, "units must be None"),
    "unit out of range": ({"units": {1: [0, 3]}}, ValueError, r"units\[1\] names unit 3"),
    "unit twice": ({"units": {1: [0, -3]}}, ValueError, "names a unit twice"),
    "mask too short": ({"units": {1: [True, False]}}, ValueError, "mask of length 2.* 3 units"),
    "mask of none": ({"units": {1: [False] * 3}}, ValueError, "chooses no unit"),
    "units of floats": ({"units": {1: [0.5]}}, TypeError, "index array"),
    "layer key twice": ({"units": {1: 1, -1: 2}}, ValueError, "key -1.* each once"),
    "slice of none": ({"units": {1: slice(3, 9)}}, ValueError, "chooses no unit"),
    "array of arrays": ({"units": {1: [[0, 1]]}}, TypeError, "index array"),
    "too many of a layer": ({"units": {1: 4}}, ValueError, r"units\[1\]=4 .* at most 3"),
    "fraction of a layer": ({"units": {1: 1.5}}, ValueError, r"units\[1\]=1.5 .* \(0, 1\]"),
    "layer not chosen": ({"units": {0: 1}}, ValueError, "key 0.* layers chosen"),
    "layer key of a kind": ({"units": {"last": 1}}, ValueError, "key 'last'"),
    "not a selector": ({"units": StandardScaler()}, TypeError, "without get_support"),
    "selector of none": ({"units": SelectKBest(k=0)}, ValueError, "selected no unit"),
    "score of a kind": ({"unit_score": "beauty"}, ValueError, "'unit_score' parameter"),
    "output of a kind": ({"output": "odds"}, ValueError, "'output' parameter"),
}


@pytest.mark.parametrize("kind", SELECTIONS)
@pytest.mark.filterwarnings("ignore:k=0")
def test_selections_that_do_not_fit(kind):
    selection, error, match = SELECTIONS[kind]
    y = np.arange(30) % 2
    fitted = clone(DBN).fit(X, y)
    features = fitted.transform(X)
    fitted.set_params(**selection)
    before = dict(vars(fitted))
    with pytest.raises(error, match=match):
        fitted.fit(X, y)
    assert vars(fitted) == before
    fitted.set_params(**{name: getattr(DBN, name) for name in selection})
    unchanged(fitted, lambda: fitted.select(X, y, **selection), error, match)
    assert np.array_equal(fitted.transform(X), features)


def test_a_score_function_gives_one_score_for_each_unit():
    dbn = clone(DBN).set_params(units=2, unit_score=lambda H, y: np.ones(1))
    with pytest.raises(ValueError, match="unit_score"):
        dbn.fit(X)


@pytest.mark.parametrize(
    "choice", [{"unit_score": f_classif, "units": 2}, {"units": SelectKBest(k=2)}]
)
def test_labels_are_asked_for_where_they_decide(choice):
    fitted = clone(DBN).fit(X).set_params(**choice)
    unchanged(fitted, lambda: fitted.fit(X), ValueError, "\\by\\b")


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"hidden_layer_sizes": (4, 0)}, ValueError, "hidden_layer_sizes=.4, 0. must hold"),
        ({"hidden_layer_sizes": ()}, ValueError, "at least one"),
        ({"hidden_layer_sizes": -4}, ValueError, "positive int"),
        ({"hidden_layer_sizes": 4.0}, (TypeError, ValueError), "hidden_layer_sizes"),
        ({"hidden_layer_sizes": None}, (TypeError, ValueError), "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (4, 2.5)}, ValueError, "positive int"),
        ({"rbm": StandardScaler()}, TypeError, "rbm must be an RBMTransformer"),
        ({"rbm": [RBMTransformer()]}, ValueError, "1 templates for the 2 layers"),
        ({"rbm": RBMTransformer(learning_rate=-1)}, ValueError, "'learning_rate' parameter"),
        ({"pretrained": DBN}, TypeError, "must be FrozenEstimator"),
        ({"pretrained": FrozenEstimator(RBM)}, TypeError, "with a fitted DBNTransformer"),
        ({"pretrained": FrozenEstimator(clone(DBN))}, NotFittedError, "fit it, then freeze it"),
        ({"memory": 3}, ValueError, "'memory' parameter"),
    ],
)
def test_stacks_that_cannot_be_trained(parameters, error, match):
    fitted = clone(DBN).fit(X).set_params(**parameters)
    unchanged(fitted, lambda: fitted.fit(X), error, match)


def test_a_frozen_network_is_not_trained_further():
    dbn = DBNTransformer(pretrained=FrozenEstimator(clone(DBN).fit(X))).fit(X)
    unchanged(dbn, lambda: dbn.partial_fit(X), ValueError, "partial_fit would train the frozen")


def test_a_frozen_network_has_columns_of_its_own():
    dbn = DBNTransformer(pretrained=FrozenEstimator(clone(DBN).fit(X)))
    with pytest.raises(ValueError, match="feature names"):
        dbn.fit(X[list("abcd")])


def test_another_number_of_units_cannot_go_on():
    rbm = clone(RBM).fit(X).set_params(n_components=5)
    unchanged(rbm, lambda: rbm.partial_fit(X), ValueError, "n_components=5, but .* 4 hidden")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_layer_sizes_cannot_go_on(method):
    dbn = clone(DBN).set_params(warm_start=True).fit(X).set_params(hidden_layer_sizes=(5, 3))
    unchanged(dbn, lambda: getattr(dbn, method)(X), ValueError, "hidden_layer_sizes")


def test_layers_cannot_be_added_by_a_chunk():
    dbn = clone(DBN).fit(X).set_params(hidden_layer_sizes=(4, 3, 2))
    unchanged(dbn, lambda: dbn.partial_fit(X), ValueError, "hidden_layer_sizes")


def test_real_valued_units_have_no_sparsity():
    rbm = clone(RBM).set_params(hidden="gaussian", sparsity_target=0.1)
    with pytest.raises(ValueError, match=r"sparsity_target=0.1 .* hidden='gaussian'"):
        rbm.fit(X)


@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_features_of_another_width_do_not_go_back(estimator):
    fitted = clone(estimator).fit(X)
    with pytest.raises(ValueError, match=r"H has 2 columns, but transform gives [34]"):
        fitted.inverse_transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="H contains NaN"):
        fitted.inverse_transform(np.full((1, 4 if estimator is RBM else 3), np.nan))


@pytest.mark.parametrize("bounds", [(0, None), (2, 1), (1, 4)])
def test_layer_subsets_of_no_size(bounds):
    with pytest.raises(ValueError, match="1 <= min_size <= max_size <= n_layers"):
        layer_subsets(3, min_size=bounds[0], max_size=bounds[1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_other_units_cannot_go_on(method, side):
    rbm = clone(RBM).set_params(warm_start=True).fit(X).set_params(**{side: "gaussian"})
    unchanged(rbm, lambda: getattr(rbm, method)(X), ValueError, f"{side}='gaussian'")
