"""Columns of Bernoulli units: values outside [0, 1] by rounding, and values further outside."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from helpers.training import peak_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from sklearn.preprocessing import MinMaxScaler

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn.data import Moments
from sklearn_dbn.data._values import ROUNDING

RBM = RBMTransformer(3, n_iter=2, random_state=0)
GENERATORS = {
    "RBM": RBM,
    "RBM of means": clone(RBM).set_params(sample_inputs=False, validation_fraction=0.3),
    "DBN": DBNTransformer((3, 2), rbm=RBM, passthrough=True, random_state=0),
    "DBM": DBMTransformer((3, 2), rbm=RBM, units=SelectKBest(k=2), random_state=0),
}
TUNED = {
    "classifier": DBNClassifier(RBM, n_iter=2, random_state=0),
    "regressor": DBNRegressor(DBMTransformer((3, 2), rbm=RBM), n_iter=2, random_state=0),
}
Y = np.arange(12) % 2
rng = np.random.default_rng(0)
GREY = rng.random((12, 4))
GREY[rng.random((12, 4)) < 0.3] = 0
GREY[rng.random((12, 4)) < 0.3] = 1
generators = pytest.mark.parametrize("name", GENERATORS)


def gaps(X):
    X = X.copy()
    X[::3, 1] = np.nan
    return X


# What each method makes of rows; those that may have gaps are shown some.
SCORES = ["score_samples", "score", "score_bound", "free_energy"]
USES = {
    "transform": lambda fitted, X: fitted.transform(gaps(X)),
    "reconstruct": lambda fitted, X: fitted.reconstruct(X),
    "impute": lambda fitted, X: fitted.impute(gaps(X), n_gibbs_steps=5),
    "impute, drawn": lambda fitted, X: fitted.impute(gaps(X), draw=True, n_gibbs_steps=5),
    "sample": lambda fitted, X: fitted.sample(given=gaps(X), n_gibbs_steps=5, random_state=0),
    "mean_field": lambda fitted, X: fitted.mean_field(X).means[0],
    "select": lambda fitted, X: fitted.select(X, Y, units=SelectKBest(k=1)).transform(X),
    "predict": lambda fitted, X: fitted.predict(gaps(X)),
    "predict_proba": lambda fitted, X: fitted.predict_proba(X),
    "predict_log_proba": lambda fitted, X: fitted.predict_log_proba(X),
    "decision_function": lambda fitted, X: fitted.decision_function(X),
}


def uses_of(fitted):
    # The features of `SelectKBest` are chosen with labels, and so are not to be scored.
    return {k: use for k, use in USES.items() if hasattr(fitted, k.partition(",")[0])}


def results(model, rows, make=np.asarray):
    """What training on the rows and all methods give."""
    with warnings.catch_warnings():
        # Columns without variance have no F score.
        warnings.simplefilter("ignore")
        fitted = clone(model).fit(make(rows), Y)
        again = (
            clone(model).partial_fit(make(rows), Y, **chunk(model)).partial_fit(make(rows), Y)
        )
        found = [again.transform(rows)]
        found += [use(fitted, rows) for use in uses_of(fitted).values()]
    if hasattr(fitted, "_tuning"):
        found += fitted._tuning.network.parameters().values()
    if hasattr(fitted, "select"):
        found += [statistics.mean for statistics in fitted._statistics]
    if hasattr(fitted, "free_energy"):
        found += [getattr(fitted, method)(rows) for method in SCORES]
        found += [x for run in fitted._runs for x in run.average.arrays()]
    return found


def chunk(model):
    return {"classes": [0, 1]} if isinstance(model, DBNClassifier) else {}


@settings(deadline=None, max_examples=4)
@given(
    seed=st.integers(0, 999),
    dtype=st.sampled_from([np.float32, np.float64]),
    sparse=st.booleans(),
)
@pytest.mark.parametrize("name", [*GENERATORS, *TUNED])
def test_values_outside_by_rounding_are_clipped_in_every_method(name, seed, dtype, sparse):
    by = np.random.default_rng(seed).uniform(0, 0.9 * ROUNDING, (12, 4))
    model = (GENERATORS | TUNED)[name]
    rows = (GREY + np.where(GREY == 1, by, 0) - np.where(GREY == 0, by, 0)).astype(dtype)
    make = sp.csr_array if sparse else np.asarray
    for x, y in zip(
        results(model, rows, make), results(model, rows.clip(0, 1), make), strict=True
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("tuned", TUNED)
def test_a_network_on_a_frozen_generator_clips_rounding_errors_too(tuned):
    rows = np.where(GREY == 1, 1 + 5e-7, GREY)
    frozen = FrozenEstimator(clone(TUNED[tuned].transformer).fit(GREY))
    fitted, expected = (
        clone(TUNED[tuned]).set_params(transformer=frozen).fit(x, Y)
        for x in (rows, rows.clip(0, 1))
    )
    np.testing.assert_array_equal(fitted.predict(rows), expected.predict(GREY))
    stack = FrozenEstimator(clone(GENERATORS["DBN"]).fit(GREY))
    fitted, expected = (
        DBNTransformer(pretrained=stack, units=0.5).fit(x) for x in (rows, rows.clip(0, 1))
    )
    np.testing.assert_array_equal(fitted.transform(rows), expected.transform(rows.clip(0, 1)))
    for seen, same in zip(fitted._statistics, expected._statistics, strict=True):
        np.testing.assert_array_equal(seen.mean, same.mean)
    with pytest.raises(ValueError, match=r"X has 3 in column 0.*fitted generator"):
        clone(TUNED[tuned]).set_params(transformer=frozen).fit(beyond(3), Y)
    with pytest.raises(ValueError, match=r"X has 3 in column 0.*fitted generator"):
        DBNTransformer(pretrained=stack).fit(beyond(3))


@settings(deadline=None, max_examples=50)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_folds_that_were_scaled_have_units_of_one_type(scale, shift, seed, dtype):
    noise = np.random.default_rng(seed).normal(size=(15, 6))
    # Columns whose own range is no smaller than their rounding allows.
    offset = shift if dtype == np.float64 else np.clip(shift, -scale, scale)
    table = (noise * scale + offset).astype(dtype)
    rbm = clone(RBM).set_params(n_iter=0)
    for fold, _ in KFold(3).split(table):
        scaled = MinMaxScaler().fit_transform(table[fold])
        assert rbm.fit(scaled).visible_type_ == "bernoulli"
        assert rbm.set_params(visible="bernoulli").fit(scaled).visible_type_ == "bernoulli"
        rbm.set_params(visible="auto")


@pytest.mark.parametrize(("end", "units"), [(1 + 2e-6, "gaussian"), (-2e-6, "gaussian")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_unit_type_depends_on_more_than_rounding(end, units, dtype):
    assert clone(RBM).fit(beyond(end).astype(dtype)).visible_type_ == units


def beyond(value, column=0):
    rows = GREY.copy()
    rows[5, column] = value
    return rows


@generators
@pytest.mark.parametrize("method", SCORES)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_rows_out_of_range_have_no_likelihood(name, method, make):
    X = GREY * 0.5 + 0.25
    fitted = clone(GENERATORS[name]).fit(X, Y)
    low, high = X[:, 2].min(), X[:, 2].max()
    message = rf"X has -7 in column 2, which had {low:.3g} to {high:.3g} in training.*clip=True"
    with pytest.raises(ValueError, match=message):
        getattr(fitted, method)(make(beyond(-7, 2)))


@pytest.mark.parametrize("name", [*GENERATORS, *TUNED])
def test_methods_warn_once_of_rows_out_of_range(name):
    fitted = clone((GENERATORS | TUNED)[name]).fit(GREY, Y)
    rows = np.clip(beyond(1.25, 3), 0, 1.25)
    rows[7, 3] = -40
    for use in uses_of(fitted).values():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            use(fitted, GREY)
            earlier = {str(x.message) for x in caught}
            del caught[:]
            use(fitted, rows)
        new = [x for x in caught if str(x.message) not in earlier]
        # `select` and the features of what it gives are two calls.
        assert len(new) == 1 + (use is USES["select"])
        assert all(x.category is UserWarning for x in new)
        assert "X has -40 in column 3, which had 0 to 1 in training" in str(new[0].message)


@pytest.mark.parametrize("name", ["DBN", "DBM"])
def test_a_score_of_units_gets_the_clipped_rows(name):
    seen = []

    def score(H, y):
        seen.append(H)
        return H.var(axis=0)

    model = clone(GENERATORS[name]).set_params(units=2, unit_score=score)
    rows = np.where(GREY == 1, 1 + 5e-7, GREY)
    model.fit(rows)
    model.fit(rows.clip(0, 1))
    model.partial_fit(rows)
    model.fit(rows.clip(0, 1)).partial_fit(rows.clip(0, 1))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[2], seen[4])


def test_a_row_does_not_depend_on_what_is_wrong_with_others():
    fitted = clone(RBM).fit(GREY)
    rows = np.where(GREY == 1, 1 + 5e-7, GREY)
    with pytest.warns(UserWarning, match="X has 9"):
        together = fitted.transform(np.vstack([rows, beyond(9)]))
    np.testing.assert_allclose(together[:12], fitted.transform(rows), rtol=1e-13)


@generators
def test_rows_of_weight_zero_do_not_decide_the_unit_type(name):
    weight = np.ones(14)
    weight[[0, 13]] = 0
    binary = GREY.round()
    for bad in (np.full(4, 0.3), np.full(4, 50.0), np.full(4, -1e6)):
        rows = np.vstack([bad, binary, bad])
        fitted = clone(GENERATORS[name]).set_params(**no_labels(name))
        expected = clone(fitted).fit(binary)
        for make in (np.asarray, sp.csr_array):
            fitted.fit(make(rows), sample_weight=weight)
            assert fitted._runs[0].machine.units[0].name == "bernoulli"
            np.testing.assert_allclose(fitted.transform(binary), expected.transform(binary))
            moments = fitted._runs[0].moments
            assert (moments.low.min(), moments.high.max()) == (0, 1)


def no_labels(name):
    return {"units": None} if name == "DBM" else {}


@generators
def test_auto_is_decided_at_the_first_call(name):
    model = clone(GENERATORS[name]).set_params(**no_labels(name))
    message = "X has 2.5 in column 1, and visible='auto' gave bernoulli units at the first call"
    with pytest.raises(ValueError, match=message):
        clone(model).partial_fit(GREY).partial_fit(beyond(2.5, 1))
    with pytest.raises(ValueError, match=message):
        clone(model).set_params(warm_start=True).fit(GREY).fit(beyond(2.5, 1))


def test_upper_layers_have_no_range():
    rows = GREY * 40 - 20
    rbm = clone(RBM).set_params(hidden="gaussian")
    dbn = DBNTransformer((3, 2), rbm=rbm, random_state=0).fit(rows)
    assert np.isfinite(dbn.score_samples(rows * 3)).all()
    assert np.isfinite(dbn.transform(rows * 3)).all()


@settings(deadline=None, max_examples=30)
@given(
    X=arrays(
        float, (9, 2), elements=st.one_of(st.floats(-9, 9), st.just(np.nan), st.just(0.0))
    ),
    weight=arrays(float, 9, elements=st.sampled_from([0.0, 0.5, 2.0])),
    cut=st.integers(1, 8),
    sparse=st.booleans(),
)
def test_moments_record_the_range_of_rows_with_positive_weight(X, weight, cut, sparse):
    make = sp.csr_array if sparse else np.asarray
    parts = [Moments(2), Moments(2)]
    for moments, rows in zip(parts, (slice(cut), slice(cut, None)), strict=True):
        moments.add(make(X[rows]), weight[rows])
    parts[0].merge(parts[1])
    for column in (0, 1):
        x = X[:, column][(weight > 0) & ~np.isnan(X[:, column])]
        assert parts[0].low[column] == x.min(initial=np.inf)
        assert parts[0].high[column] == x.max(initial=-np.inf)


def test_files_with_rounding_errors_are_not_copied_whole(tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (20_000, 500))
    X[:] = np.random.default_rng(0).random(500, dtype=np.float32)
    X[7, 7] = 1 + 5e-7
    rbm = RBMTransformer(4, n_iter=1, batch_size=100, random_state=0)
    tuned = DBNClassifier(rbm, n_iter=1, batch_size=100, random_state=0)
    y = np.arange(len(X)) % 2
    rbm.fit(X[:500])
    tuned.fit(X[:500], y[:500])
    assert peak_of(lambda: rbm.fit(X)) < 0.5 * X.nbytes
    assert peak_of(lambda: tuned.fit(X, y)) < 0.5 * X.nbytes


@generators
def test_stored_values_of_one_cell_are_added_up(name):
    model = clone(GENERATORS[name]).set_params(**no_labels(name))
    dense = GREY.round()
    plain = sp.csr_array(dense)
    twice = sp.csr_array(
        (np.repeat(plain.data * 0.5, 2), np.repeat(plain.indices, 2), plain.indptr * 2),
        shape=plain.shape,
    )
    before = twice.data.copy()
    fitted, expected = clone(model).fit(twice), clone(model).fit(dense)
    for method in ("transform", "score_samples", "reconstruct"):
        x, y = getattr(fitted, method)(twice), getattr(expected, method)(dense)
        x = x.toarray() if sp.issparse(x) else x
        np.testing.assert_allclose(x, y)
    # Stored within the range, and outside of it together.
    twice.data *= 1.4
    assert clone(model).fit(twice)._runs[0].machine.units[0].name == "gaussian"
    with pytest.raises(ValueError, match=r"X has 1\.4 in column"):
        fitted.score_samples(twice)
    np.testing.assert_array_equal(twice.data, before * 1.4)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_small_real_values_are_no_rounding_errors(make):
    X = np.random.default_rng(0).normal(size=(2000, 3)) * 1e-9
    rbm = RBMTransformer(2, n_iter=1, random_state=0)
    assert rbm.fit(make(X)).visible_type_ == "gaussian"
    # Nor beside a column of grey levels; but for a column that is always the same they are.
    X[:, 0] = np.random.default_rng(1).random(2000)
    assert rbm.fit(make(X)).visible_type_ == "gaussian"
    X[:, 1:] = -1e-9
    assert rbm.fit(make(X)).visible_type_ == "bernoulli"
    # A row of weight 0 makes no column wide.
    X[:, 1] = np.linspace(-1e-9, 1e-9, 2000)
    X[0, 1] = 1
    weight = np.arange(2000) > 0
    assert rbm.fit(make(X), sample_weight=weight).visible_type_ == "gaussian"
    assert rbm.fit(make(X)).visible_type_ == "bernoulli"
