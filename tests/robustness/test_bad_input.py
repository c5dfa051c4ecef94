"""Invalid input gives an error with a remedy, and leaves a fitted estimator unchanged."""

import datetime
import subprocess
import sys

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
    layer_subsets,
)
from sklearn_dbn._messages import shown

rng = np.random.default_rng(0)
X = pd.DataFrame(rng.random((30, 5)), columns=list("abcde"))
RBM = RBMTransformer(4, n_iter=1, random_state=0)
DBN = DBNTransformer((4, 3), layers=-1, rbm=RBMTransformer(n_iter=1), random_state=0)


def with_value(value):
    bad = X.copy()
    bad.loc[3, "c"] = value
    return bad


BAD_ROWS = {
    "infinity": (with_value(np.inf), ValueError, "infinity"),
    "no rows": (X.iloc[:0], ValueError, "0 sample"),
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
def test_invalid_rows_are_refused(estimator, method, kind):
    rows, error, match = BAD_ROWS[kind]
    fitted = clone(estimator).fit(X)
    unchanged(fitted, lambda: getattr(fitted, method)(rows), error, match)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score_by_column"])
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_a_dask_array_without_a_cluster_is_not_loaded(estimator, method):
    fitted, rows = clone(estimator).fit(X), da.from_array(X.to_numpy())
    message = "dask Array.*call partial_fit"
    unchanged(fitted, lambda: getattr(fitted, method)(rows), TypeError, message)


@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_text_is_refused_where_there_were_numbers(estimator):
    fitted, text = clone(estimator).fit(X), X.assign(c="x")
    for call in (fitted.partial_fit, fitted.transform):
        unchanged(fitted, lambda call=call: call(text), ValueError, "text 'x' in column 'c'")
    for call in (fitted.fit, clone(estimator).partial_fit):
        message = r"text 'x' in column 2.*data frame, set visible='categorical'"
        unchanged(fitted, lambda call=call: call(text.to_numpy()), ValueError, message)


@pytest.mark.parametrize("method", ["partial_fit", "transform"])
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_columns_of_another_number_or_order_are_refused(estimator, method):
    fitted = clone(estimator).fit(X)
    call = getattr(fitted, method)
    unchanged(fitted, lambda: call(X[list("edcba")]), ValueError, "feature names")
    unchanged(fitted, lambda: call(X[list("abcd")]), ValueError, "feature names|features")
    plain = clone(estimator).fit(X.to_numpy())
    with pytest.raises(ValueError, match=r"X has 4 features.*expecting 5 features"):
        getattr(plain, method)(X.to_numpy()[:, :4])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_values_outside_the_range_of_bernoulli_units_are_refused(method):
    message = "outside \\[0, 1\\] in column 'c'.*visible='bernoulli'.*MinMaxScaler"
    rbm = clone(RBM).set_params(visible="bernoulli").fit(X)
    unchanged(rbm, lambda: getattr(rbm, method)(with_value(1.5)), ValueError, message)
    template = RBMTransformer(n_iter=1, visible="bernoulli")
    dbn = clone(DBN).set_params(rbm=template).fit(X)
    unchanged(dbn, lambda: getattr(dbn, method)(with_value(-0.5)), ValueError, message)
    with pytest.raises(ValueError, match="in column 2"):
        clone(rbm).fit(with_value(7).to_numpy())


def test_later_chunks_outside_the_range_of_the_first_are_refused():
    rbm = clone(RBM).partial_fit(X)
    unchanged(
        rbm, lambda: rbm.partial_fit(with_value(2)), ValueError, "'auto' gave bernoulli units"
    )


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
def test_invalid_weights_are_refused(estimator, weight, match):
    fitted = clone(estimator).fit(X)
    unchanged(fitted, lambda: fitted.fit(X, sample_weight=weight), ValueError, match)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_error_of_a_diverged_stack_recommends_a_learning_rate(method):
    template = RBMTransformer(n_iter=1, learning_rate=1e30)
    fresh = clone(DBN).set_params(rbm=template)
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30 diverged.*try learning_rate="):
        getattr(fresh, method)(X)
    assert not hasattr(fresh, "rbms_")
    fitted = clone(DBN).fit(X).set_params(rbm=template)
    unchanged(fitted, lambda: fitted.fit(X), ValueError, "learning_rate=1e\\+30 diverged")


SELECTIONS = {
    "no layer": ({"layers": []}, ValueError, "layers=.* selects no layer: .* 2 hidden"),
    "empty slice": ({"layers": slice(2, None)}, ValueError, "selects no layer"),
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
    "mask of none": ({"units": {1: [False] * 3}}, ValueError, "selects no unit"),
    "units of floats": ({"units": {1: [0.5]}}, TypeError, "index array"),
    "layer key twice": ({"units": {1: 1, -1: 2}}, ValueError, "key -1.* each once"),
    "slice of none": ({"units": {1: slice(3, 9)}}, ValueError, "selects no unit"),
    "array of arrays": ({"units": {1: [[0, 1]]}}, TypeError, "index array"),
    "too many of a layer": ({"units": {1: 4}}, ValueError, r"units\[1\]=4 .* at most 3"),
    "fraction of a layer": ({"units": {1: 1.5}}, ValueError, r"units\[1\]=1.5 .* \(0, 1\]"),
    "layer not chosen": ({"units": {0: 1}}, ValueError, "key 0.* layers selected"),
    "layer key of a kind": ({"units": {"last": 1}}, ValueError, "key 'last'"),
    "not a selector": ({"units": StandardScaler()}, TypeError, "without get_support"),
    "selector of none": ({"units": SelectKBest(k=0)}, ValueError, "selected no unit"),
    "score of a kind": ({"unit_score": "beauty"}, ValueError, "'unit_score' parameter"),
    "output of a kind": ({"output": "odds"}, ValueError, "'output' parameter"),
}


@pytest.mark.parametrize("kind", SELECTIONS)
@pytest.mark.filterwarnings("ignore:k=0")
def test_invalid_selections_are_refused(kind):
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
def test_labels_are_required_where_a_selection_needs_them(choice):
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
def test_invalid_parameters_of_a_stack_are_refused(parameters, error, match):
    fitted = clone(DBN).fit(X).set_params(**parameters)
    unchanged(fitted, lambda: fitted.fit(X), error, match)


def test_a_frozen_network_is_not_trained_further():
    dbn = DBNTransformer(pretrained=FrozenEstimator(clone(DBN).fit(X))).fit(X)
    unchanged(dbn, lambda: dbn.partial_fit(X), ValueError, "partial_fit would train the frozen")


def test_a_frozen_network_refuses_other_columns():
    dbn = DBNTransformer(pretrained=FrozenEstimator(clone(DBN).fit(X)))
    with pytest.raises(ValueError, match="feature names"):
        dbn.fit(X[list("abcd")])


def test_another_number_of_units_is_refused_when_training_continues():
    rbm = clone(RBM).fit(X).set_params(n_components=5)
    unchanged(rbm, lambda: rbm.partial_fit(X), ValueError, "n_components=5, but .* 4 hidden")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_layer_sizes_are_refused_when_training_continues(method):
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
def test_inverse_transform_refuses_features_of_another_width(estimator):
    fitted = clone(estimator).fit(X)
    with pytest.raises(ValueError, match=r"X has 2 columns, but transform gives [34]"):
        fitted.inverse_transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="X contains NaN"):
        fitted.inverse_transform(np.full((1, 4 if estimator is RBM else 3), np.nan))


@pytest.mark.parametrize("bounds", [(0, None), (2, 1), (1, 4)])
def test_layer_subsets_refuses_invalid_sizes(bounds):
    with pytest.raises(ValueError, match="1 <= min_size <= max_size <= n_layers"):
        layer_subsets(3, min_size=bounds[0], max_size=bounds[1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_another_unit_type_is_refused_when_training_continues(method, side):
    rbm = clone(RBM).set_params(warm_start=True).fit(X).set_params(**{side: "gaussian"})
    unchanged(rbm, lambda: getattr(rbm, method)(X), ValueError, f"{side}='gaussian'")


DAYS = pd.Series(pd.date_range("2020", periods=30))
DATES = {
    "a number and a date": (X[["a"]].assign(day=DAYS), "dates in column 'day'"),
    "dates alone": (DAYS.to_frame("day"), "dates in column 'day'"),
    "one missing": (DAYS.where(DAYS.index != 3).to_frame("day"), "dates in column 'day'"),
    "with a time zone": (DAYS.dt.tz_localize("UTC").to_frame("day"), "dates in column 'day'"),
    "objects": (X.assign(day=[datetime.date(2020, 1, 1)] * 30), "dates in column 'day'"),
    "periods": (X.assign(day=DAYS.dt.to_period("M")), "dates in column 'day'"),
    "polars": (pl.DataFrame({"a": range(30), "day": DAYS.tolist()}), "dates in column 'day'"),
    "durations": (X.assign(age=DAYS - DAYS[0]), "durations in column 'age'"),
    "array": (DAYS.to_numpy()[:, None], "dates in column 0"),
    "array of objects": (
        np.array([[1.0, np.datetime64("2020")]] * 30, dtype=object),
        "dates in column 1",
    ),
    "lists": ([[0.5, datetime.timedelta(1)]] * 30, "durations in column 1"),
    "dask": (da.from_array(DAYS.to_numpy()[:, None]), "dates in column 0"),
}


@pytest.mark.parametrize("kind", DATES)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_columns_of_dates_are_named(kind, method):
    rows, message = DATES[kind]
    with pytest.raises(ValueError, match=f"X has {message}, and units take numbers"):
        getattr(clone(RBM), method)(rows)


def test_dates_are_named_by_transform_and_score_too():
    fitted = clone(DBN).fit(X)
    rows = X.assign(c=DAYS)
    unchanged(fitted, lambda: fitted.transform(rows), ValueError, "X has dates in column 'c'")
    unchanged(fitted, lambda: fitted.score(rows), ValueError, "X has dates in column 'c'")


@pytest.mark.parametrize("y", [DAYS, DAYS - DAYS[0], DAYS.dt.date.tolist(), DAYS.to_numpy()])
def test_dates_are_refused_as_targets_and_weights(y):
    with pytest.raises(ValueError, match="y has dates or durations, not numbers"):
        DBNRegressor(RBM, n_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight must hold a number for each row"):
        clone(RBM).fit(X, sample_weight=y)


@pytest.mark.parametrize("make", [np.asarray, list], ids=["array", "list"])
def test_images_are_refused_and_the_message_shows_how_to_flatten_them(make):
    images = rng.random((6, 4, 4))
    message = r"X has shape \(6, 4, 4\).*RBMTransformer.*X.reshape\(len\(X\), -1\)"
    with pytest.raises(ValueError, match=message):
        clone(RBM).fit(make(images))


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame], ids=["array", "frame"])
@pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
def test_half_precision_becomes_single(estimator, make):
    half = X.to_numpy().astype(np.float16)
    fitted = clone(estimator).fit(make(half))
    assert fitted.transform(make(half)).dtype == np.float32
    assert fitted._runs[0].machine.W[0].dtype == np.float32
    expected = clone(estimator).fit(half.astype(np.float32))
    np.testing.assert_array_equal(fitted.transform(make(half)), expected.transform(half))


LONG = ["a" * 200] * 3000
WIDE = X.rename(columns={"c": "c" * 100_000})
TEXT = X.assign(c="x" * 100_000)
CLASSES = np.arange(30) % 2
MESSAGES = {
    "text": lambda: clone(RBM).fit(TEXT.to_numpy()),
    "text in use": lambda: clone(RBM).fit(X).transform(TEXT),
    "name of a column": lambda: clone(RBM).set_params(visible="bernoulli").fit(WIDE * 9),
    "names of columns": lambda: clone(RBM).fit(X).transform(WIDE),
    "weight": lambda: clone(RBM).fit(X, sample_weight=LONG),
    "targets": lambda: DBNRegressor(RBM).fit(X, LONG),
    "parameter": lambda: clone(RBM).set_params(visible=LONG[0] * 9).fit(X),
    "parameter of a kind": lambda: clone(RBM).set_params(n_iter=LONG).fit(X),
    "sizes": lambda: DBNTransformer(LONG).fit(X),
    "sizes of a machine": lambda: DBMTransformer([2] * 9999 + [0]).fit(X),
    "other sizes": lambda: (
        clone(DBN).partial_fit(X).set_params(hidden_layer_sizes=[3] * 99).partial_fit(X)
    ),
    "templates": lambda: clone(DBN).set_params(rbm=LONG).fit(X),
    "template": lambda: DBMTransformer(rbm=LONG).fit(X),
    "pretrained": lambda: DBNTransformer(pretrained=LONG).fit(X),
    "layers": lambda: clone(DBN).set_params(layers=[9] * 9999).fit(X),
    "kind of layers": lambda: clone(DBN).set_params(layers=LONG).fit(X),
    "layer": lambda: clone(DBN).set_params(layers=10**999).fit(X),
    "units": lambda: clone(DBN).set_params(units=LONG).fit(X),
    "number of units": lambda: clone(DBN).set_params(units=10**999).fit(X),
    "key of units": lambda: clone(DBN).set_params(units={LONG[0] * 9: 1}).fit(X),
    "transformer": lambda: DBNClassifier(LONG).fit(X, CLASSES),
    "fine_tune": lambda: DBNClassifier(RBM, fine_tune=LONG).fit(X, CLASSES),
    "unlabeled": lambda: DBNClassifier(RBM, unlabeled=LONG).fit(X, CLASSES),
    "label": lambda: DBNClassifier(RBM, n_iter=1).partial_fit(
        X, np.array(LONG[:30]), classes=[*map(str, range(9999))]
    ),
    "classes": lambda: (
        DBNClassifier(RBM, n_iter=1)
        .partial_fit(X, CLASSES, classes=range(999))
        .partial_fit(X, CLASSES, classes=range(9999))
    ),
    "class weights": lambda: DBNClassifier(
        RBM, class_weight=dict.fromkeys(range(999), -1.0)
    ).fit(X, CLASSES),
    "method": lambda: clone(RBM).fit(X).log_partition(LONG[0] * 9),
    "temperatures": lambda: clone(RBM).fit(X).log_partition("ais", temperatures=LONG[0] * 9),
    "draws": lambda: clone(RBM).fit(X).sample(10**999, given=X),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_no_message_is_as_long_as_the_input(kind):
    with pytest.raises((ValueError, TypeError)) as caught:
        MESSAGES[kind]()
    assert 20 < len(str(caught.value)) <= 300


def test_a_short_value_is_shown_as_it_is():
    for value in ("text", 7, None, (4, 0), [0.5] * 9, {"a": 1}, np.arange(3), RBM):
        assert shown(value) == " ".join(repr(value).split())
    assert shown("x" * 999).startswith("'xxx")
    assert "..." in shown("x" * 999)
    assert len(shown([[LONG] * 99] * 99)) <= 70


SUBCLASS = """
import numpy as np
from sklearn_dbn import RBMTransformer
class Mine(RBMTransformer):
    pass
fitted = Mine(3, n_iter=1).fit(np.random.rand(20, 4))
assert "components_" in dir(fitted)
assert "Mine" in fitted._repr_mimebundle_()["text/html"]
print("fine")
"""
NOTEBOOK = f"""
import types, sys
module = types.ModuleType("__main__")
sys.modules["__main__"] = module
exec({SUBCLASS!r}, module.__dict__)
"""


@pytest.mark.parametrize("code", [SUBCLASS, NOTEBOOK], ids=["standard input", "notebook"])
def test_a_class_without_a_source_file_has_a_dir_and_an_html_repr(code):
    ran = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True)
    assert ran.stdout == "fine\n", ran.stderr


@pytest.mark.parametrize("name", ["batch_size", "n_chains", "n_components", "n_iter"])
def test_true_is_the_integer_that_it_is_validated_as(name):
    X = np.random.default_rng(0).random((20, 4))
    one, true = (
        RBMTransformer(**{"n_components": 3, "n_iter": 2, "random_state": 0, name: value}).fit(
            X
        )
        for value in (1, True)
    )
    assert np.array_equal(one.components_, true.components_)
