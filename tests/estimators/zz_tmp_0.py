"""Data frames with columns of different kinds, in every estimator."""

import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers.counting import CountedRBM
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

rng = np.random.default_rng(0)
N = 40
JOBS = ["clerk", "cook", "nurse"]
SIZES = ["small", "middle", "large"]
COLUMNS = {
    "age": rng.normal(40, 9, N),
    "job": rng.choice(JOBS, N),
    "size": rng.choice(SIZES, N),
    "owner": rng.random(N) > 0.4,
    "visits": rng.poisson(2, N),
    "height": rng.normal(1.7, 0.1, N),
}
GAPS = rng.random((N, len(COLUMNS))) < 0.15
ENCODED = ["age", "job_clerk", "job_cook", "job_nurse", "size", "owner", "visits", "height"]
# One kind is named, and the dtypes decide about the other columns.
RBM = RBMTransformer(4, n_iter=2, visible={"count": ["visits"]}, random_state=0)
GENERATORS = {
    "rbm": RBM,
    "dbn": DBNTransformer((4, 3), rbm=clone(RBM), random_state=0),
    "dbm": DBMTransformer((4, 3), rbm=clone(RBM), random_state=0),
}
TUNED = {
    "classifier": DBNClassifier(GENERATORS["dbn"], n_iter=2, random_state=0),
    "regressor": DBNRegressor(GENERATORS["rbm"], n_iter=2, random_state=0),
}
ALL = GENERATORS | TUNED
Y = (COLUMNS["age"] > 40) * 1.0


def pandas_frame():
    size = pd.Categorical(COLUMNS["size"], SIZES, ordered=True)
    X = pd.DataFrame(COLUMNS | {"size": size}, index=[f"row {i}" for i in range(N)])
    return X.astype({"owner": "boolean", "visits": "Int64", "job": "str"}).mask(GAPS)


def polars_frame():
    schema = {
        "age": pl.Float64,
        "job": pl.String,
        "size": pl.Enum(SIZES),
        "owner": pl.Boolean,
        "visits": pl.Int64,
        "height": pl.Float64,
    }
    columns = {
        name: [None if gap else x for x, gap in zip(values.tolist(), gaps, strict=True)]
        for (name, values), gaps in zip(COLUMNS.items(), GAPS.T, strict=True)
    }
    return pl.DataFrame(columns, schema=schema)


FRAMES = {"pandas": pandas_frame(), "polars": polars_frame()}
X = FRAMES["pandas"]


def fitted(name, rows=X):
    return clone(ALL[name]).fit(rows, Y)


def gaps_of(frame):
    columns = [frame[name].to_list() for name in frame.columns]
    return np.array([[x is None or x is pd.NA or x != x for x in c] for c in columns]).T


def check_rows(rows, like):
    """Columns, dtypes and values are those that rows of ``like`` may have."""
    assert type(rows) is type(like)
    assert list(rows.columns) == list(like.columns)
    assert list(rows.dtypes) == list(like.dtypes)
    assert not gaps_of(rows).any()
    values = {name: set(rows[name].to_list()) for name in rows.columns}
    assert values["job"] <= set(JOBS)
    assert values["size"] <= set(SIZES)
    assert values["owner"] <= {False, True}
    assert all(abs(x - 1.7) < 1 for x in values["height"])
    assert all(type(x) is int and x >= 0 for x in values["visits"])


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("name", GENERATORS)
def test_generators_give_rows_as_the_user_had_them(name, library):
    rows = FRAMES[library]
    generator = fitted(name, rows)
    check_rows(generator.sample(20, n_gibbs_steps=5, random_state=0), rows)
    made = {
        "impute": generator.impute(rows, n_gibbs_steps=5),
        "draw": generator.sample(given=rows, n_gibbs_steps=5, random_state=0),
        "reconstruct": generator.reconstruct(rows),
    }
    features = generator.transform(rows)
    # Features with the row labels of the rows, as set_output gives them.
    framed = pd.DataFrame(features, index=X.index) if library == "pandas" else features
    made["inverse"] = generator.inverse_transform(framed)
    for found in made.values():
        check_rows(found, rows)
        if library == "pandas":
            assert found.index.equals(rows.index)
    for way in ("impute", "draw"):
        observed = ~GAPS.T
        for column, seen in zip(rows.columns, observed, strict=True):
            one, other = made[way][column].to_list(), rows[column].to_list()
            assert [one[i] for i in np.flatnonzero(seen)] == [
                other[i] for i in np.flatnonzero(seen)
            ]


@pytest.mark.parametrize("name", ALL)
def test_a_frame_of_numbers_is_its_array_to_the_bit(name):
    numbers = rng.normal(size=(N, 4))
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    estimator = clone(ALL[name])
    path = {"rbm": "visible", "classifier": "transformer__rbm__visible"}.get(
        name, "transformer__visible" if name == "regressor" else "rbm__visible"
    )
    estimator.set_params(**{path: "auto"})
    expected = clone(estimator).fit(numbers, Y).transform(numbers)
    for rows in (
        pd.DataFrame(numbers, columns=list("abcd")),
        pd.DataFrame(numbers, columns=list("abcd")).astype({"a": "Float64"}),
        pl.DataFrame(numbers, schema=list("abcd")),
    ):
        assert np.array_equal(clone(estimator).fit(rows, Y).transform(rows), expected)


KINDS = {"count": ["n"], "binomial": ["k"]}
LEVELS = {"t": JOBS, "o": SIZES, "n": [0, 1, 2], "b": [False, True], "k": [0, 1, 2]}
EVERY_ROW = pd.DataFrame(list(itertools.product(*LEVELS.values())), columns=list(LEVELS))
EVERY_ROW["o"] = pd.Categorical(EVERY_ROW["o"], SIZES, ordered=True)


@pytest.fixture(scope="module")
def tiny():
    """A machine whose visible states can be enumerated."""
    t, o, n, b, k = (EVERY_ROW[name] for name in LEVELS)
    near = 3.0 * np.where(b, t == "cook", t == "nurse") - 2 * abs(n - o.cat.codes)
    weight = np.exp(near - 2 * abs(k - n))
    rows = EVERY_ROW.sample(400, replace=True, weights=weight, random_state=0)
    return RBMTransformer(3, n_iter=50, visible=KINDS, random_state=0).fit(rows)


def log_p_by_enumeration(fitted):
    """log p of every row, from the energies of all joint states of both layers."""
    machine, columns = fitted._stack[0], fitted._bottom_run.columns
    v = columns.states(fitted._table.codes(EVERY_ROW, str))
    h = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    energy = machine.units[0].energy(v, machine.par[0])[:, None]
    log = v @ machine.W[0] @ h.T + h @ machine.par[1][0] - energy
    log = logsumexp(log, axis=1)
    return log - logsumexp(log)


def test_scores_of_all_rows_are_those_of_the_enumeration(tiny):
    score = tiny.score_samples(EVERY_ROW)
    np.testing.assert_allclose(score, log_p_by_enumeration(tiny), atol=1e-9)
    assert np.exp(score).sum() == pytest.approx(1)
    # It has learnt something.
    assert score.std() > 0.1


def test_scores_with_real_columns_integrate_to_one():
    rows = pd.DataFrame({"x": COLUMNS["age"], "t": COLUMNS["job"], "b": COLUMNS["owner"]})
    rbm = RBMTransformer(3, n_iter=10, random_state=0).fit(rows)
    grid = np.linspace(-60, 140, 1201)
    every = itertools.product(grid, JOBS, [False, True])
    density = np.exp(rbm.score_samples(pd.DataFrame(every, columns=list("xtb"))))
    assert density.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("column", LEVELS)
def test_a_conditional_probability_is_that_of_completed_rows(tiny, column):
    log_p = log_p_by_enumeration(tiny).reshape([len(x) for x in LEVELS.values()])
    axis = list(LEVELS).index(column)
    expected = np.moveaxis(softmax(log_p, axis=axis), axis, -1)
    proba = tiny.conditional_proba(EVERY_ROW.assign(**{column: None}), column)
    assert list(proba.columns) == list(map(str, LEVELS[column]))
    assert proba.index.equals(EVERY_ROW.index)
    expected = np.repeat(expected[..., None, :], log_p.shape[axis], axis=-2)
    expected = np.moveaxis(expected, -2, axis).reshape(proba.shape)
    np.testing.assert_allclose(proba, expected, atol=1e-9)
    # The entries of the column itself are not used.
    assert proba.equals(tiny.conditional_proba(EVERY_ROW, axis))
    free = [
        tiny.free_energy(EVERY_ROW.assign(**{column: pd.Series([x] * 162, dtype=dtype)}))
        for x in LEVELS[column]
        for dtype in [EVERY_ROW[column].dtype]
    ]
    np.testing.assert_allclose(proba, softmax(-np.array(free), axis=0).T, atol=1e-9)


def test_a_conditional_probability_with_other_gaps_is_near_the_enumeration(tiny):
    log_p = log_p_by_enumeration(tiny).reshape([len(x) for x in LEVELS.values()])
    # Of t, given o and b.
    expected = np.moveaxis(softmax(logsumexp(log_p, axis=(2, 4)), axis=0), 0, -1)
    rows = EVERY_ROW.query("t == 'cook' and n == 0 and k == 0").assign(n=np.nan, k=np.nan)
    proba = tiny.conditional_proba(rows, "t").to_numpy()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(proba, expected.reshape(6, 3), atol=0.02)
    assert np.ptp(expected.reshape(6, 3), axis=0).max() > 0.1


@pytest.mark.parametrize("column", LEVELS)
def test_an_imputed_value_is_that_of_the_enumeration(tiny, column):
    proba = tiny.conditional_proba(EVERY_ROW, column).to_numpy()
    imputed = tiny.impute(EVERY_ROW.assign(**{column: None}), n_gibbs_steps=1500)
    found = np.array([LEVELS[column].index(x) for x in imputed[column]])
    if column in "tb":
        expected, margin = proba.argmax(axis=1), np.ptp(np.sort(proba)[:, -2:], axis=1) / 2
    else:
        mean = proba @ np.arange(3)
        expected, margin = np.rint(mean), abs(0.5 - mean % 1)
    clear = margin > 0.2
    assert np.array_equal(found[clear], expected[clear])
    assert len(set(expected[clear])) > 1


@pytest.mark.parametrize("name", GENERATORS)
def test_conditional_probabilities_sum_to_one(name):
    proba = fitted(name).conditional_proba(X, "job")
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert proba.index.equals(X.index)
    of_polars = fitted(name, FRAMES["polars"]).conditional_proba(FRAMES["polars"], "job")
    np.testing.assert_allclose(of_polars.to_numpy(), proba.to_numpy(), atol=1e-12)
    assert of_polars.columns == list(proba.columns)


def test_scores_of_columns_are_means_of_their_log_probabilities(tiny):
    rows = EVERY_ROW.iloc[::5].reset_index(drop=True)
    rows["t"] = rows["t"].mask(rows.index % 4 == 1)
    found = tiny.score_by_column(rows)
    for index, (column, levels) in enumerate(LEVELS.items()):
        proba = tiny.conditional_proba(rows, column).to_numpy()
        at = [levels.index(x) if x in levels else -1 for x in rows[column]]
        log_p = np.log(proba[np.arange(len(rows)), at])[np.array(at) >= 0]
        assert found[index] == pytest.approx(log_p.mean())
    none = tiny.score_by_column(rows.assign(k=np.nan))
    assert np.isnan(none).tolist() == [False] * 4 + [True]


def test_the_score_of_a_real_column_is_its_log_density():
    rows = pd.DataFrame({"x": COLUMNS["age"], "t": COLUMNS["job"]})
    rbm = RBMTransformer(3, n_iter=10, random_state=0).fit(rows)
    grid = np.linspace(-60, 140, 2001)
    expected = []
    for x, t in rows.head(8).itertuples(index=False):
        free = rbm.free_energy(pd.DataFrame({"x": [x, *grid], "t": t}))
        expected.append(-free[0] - logsumexp(-free[1:]) - np.log(grid[1] - grid[0]))
    assert rbm.score_by_column(rows.head(8))[0] == pytest.approx(np.mean(expected), abs=1e-2)


def test_the_order_of_columns_does_not_decide_what_is_learnt():
    rows = pd.DataFrame({"t": COLUMNS["job"], "u": COLUMNS["job"], "x": COLUMNS["age"] / 9})
    rows["x"] += 3 * (rows["t"] == "cook")
    scores = []
    for order in itertools.permutations(rows):
        rbm = RBMTransformer(4, n_iter=80, random_state=0)
        scores.append(rbm.fit(rows[list(order)]).score(rows[list(order)]))
    # In nats; a machine that learns columns apart has 1.1 less.
    assert np.ptp(scores) < 0.25


METHODS = {
    "transform": lambda e, rows: e.transform(rows),
    "predict": lambda e, rows: e.predict(rows),
    "score_samples": lambda e, rows: e.score_samples(rows),
    "impute": lambda e, rows: e.impute(rows, n_gibbs_steps=2).to_numpy(),
    "reconstruct": lambda e, rows: e.reconstruct(rows).to_numpy(),
    "conditional_proba": lambda e, rows: e.conditional_proba(rows, "job").to_numpy(),
}


@pytest.mark.parametrize("name", ALL)
def test_new_levels_are_missing_values_with_one_warning(name):
    estimator, new = fitted(name), X.assign(job=["pilot", "judge"] * (N // 2))
    for method in [x for x in METHODS if hasattr(estimator, x)]:
        with pytest.warns(UserWarning, match="'judge' in column 'job'.*nor was 1 more") as seen:
            found = METHODS[method](estimator, new)
        assert len(seen) == 1
        assert np.array_equal(found, METHODS[method](estimator, X.assign(job=None)))


@pytest.mark.parametrize("name", ALL)
def test_later_chunks_have_the_levels_of_the_first(name):
    def first():
        given = {"classes": [0, 1]} if name == "classifier" else {}
        return clone(ALL[name]).partial_fit(X, Y, **given)

    table = first()._table
    # A chunk without some of the levels has the positions of the first call.
    one = first().partial_fit(X[:9], Y[:9])
    assert one._table == table
    new = X[9:20].assign(job="pilot")
    with pytest.warns(UserWarning, match="'pilot'") as seen:
        one.partial_fit(new, Y[9:20])
    assert len(seen) == 1
    other = first().partial_fit(X[:9], Y[:9]).partial_fit(new.assign(job=None), Y[9:20])
    assert np.array_equal(one.transform(X), other.transform(X))


def test_a_frozen_generator_gives_its_levels_with_one_warning():
    source, new = fitted("dbn"), X.assign(job="pilot")
    for estimator in (
        DBNTransformer(pretrained=FrozenEstimator(source)),
        DBNClassifier(FrozenEstimator(source), n_iter=1, random_state=0),
    ):
        with pytest.warns(UserWarning, match="'pilot'") as seen:
            estimator.fit(new, Y)
        assert len(seen) == 1
        assert estimator._table == source._table
        with pytest.raises(ValueError, match="feature names"):
            clone(estimator).fit(X[X.columns[::-1]], Y)


def test_whole_numbers_are_named_once():
    whole = rng.integers(0, 4, (N, 3))
    with_gaps = pd.DataFrame(whole).astype("Int64").mask(whole == 1)
    rbm = RBMTransformer(2, n_iter=1)
    for rows in (whole, with_gaps, sp.csr_array(whole)):
        for estimator in (rbm, DBNTransformer(2, rbm=rbm), DBNClassifier(rbm, n_iter=1)):
            with pytest.warns(UserWarning, match="whole numbers up to 3.*'count'") as seen:
                estimator.fit(rows, Y)
            assert len([x for x in seen if x.category is UserWarning]) == 1


@pytest.mark.parametrize("name", ALL)
def test_no_row_depends_on_others_and_columns_have_the_order_of_fit(name):
    estimator = fitted(name)
    whole = estimator.transform(X)
    parts = [estimator.transform(X.iloc[[i]]) for i in range(N)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)
    assert estimator.n_features_in_ == 6
    assert estimator.feature_names_in_.tolist() == list(COLUMNS)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(X[X.columns[::-1]])


def test_rows_of_weight_zero_do_not_count():
    rows, weight = pd.concat([X[:10], X]), np.r_[np.zeros(10), np.ones(N)]
    one = clone(RBM).fit(rows, sample_weight=weight)
    np.testing.assert_allclose(one.components_, clone(RBM).fit(X).components_, atol=1e-10)


def test_the_cache_depends_on_kinds_and_levels(tmp_path, count):
    rbm = CountedRBM(n_iter=1, visible={"count": ["visits"]})
    dbn = DBNTransformer((4, 3), rbm=rbm, memory=str(tmp_path / "cache"), random_state=0)
    features = clone(dbn).fit(X).transform(X)
    assert count() == 2
    same = clone(dbn).set_params(rbm__visible={"count": lambda X: [4]}, passthrough=True).fit(X)
    assert np.array_equal(same.transform(X)[:, :7], features)
    assert count() == 0
    for changes, rows in (
        ({"rbm__visible": "auto"}, X),
        ({"rbm__visible": {"count": ["visits"], "ordinal": ["job"]}}, X),
        ({}, X.assign(size=X["size"].cat.add_categories("huge"))),
        ({}, X.assign(job=X["job"].replace("cook", "clerk"))),
    ):
        clone(dbn).set_params(**changes).fit(rows)
        assert count() == 2


@pytest.mark.parametrize("name", ["dbn", "dbm"])
@pytest.mark.parametrize("library", FRAMES)
def test_passthrough_columns_are_named_by_their_levels(name, library):
    rows = FRAMES[library]
    generator = clone(ALL[name]).set_params(passthrough=True).fit(rows)
    names = generator.get_feature_names_out()[-8:]
    assert names.tolist() == ENCODED
    passed = generator.transform(rows)[:, -8:]
    assert not np.isnan(passed).any()
    assert np.isin(passed[:, 1:4], [0, 1]).all()
    assert (passed[:, 1:4].sum(axis=1) == 1).all()
    framed = generator.set_output(transform=library).transform(rows)
    assert type(framed) is type(rows)
    assert list(framed.columns[-8:]) == names.tolist()
    back = generator.inverse_transform(framed.to_numpy())
    for column, gaps in zip(rows.columns, GAPS.T, strict=True):
        pairs = zip(back[column].to_list(), rows[column].to_list(), gaps, strict=True)
        assert all(one == other for one, other, gap in pairs if not gap)


def test_a_selection_and_a_copy_of_a_pipeline():
    generator = fitted("dbn")
    view = generator.select(layers=0, units=2, passthrough=True, output="logit")
    assert view.transform(X).shape == (N, 10)
    assert view.get_feature_names_out()[2:].tolist() == ENCODED
    pipe = make_pipeline(generator, LogisticRegression()).fit(X, Y)
    again = pickle.loads(pickle.dumps(pipe))
    assert np.array_equal(again.predict_proba(X), pipe.predict_proba(X))


def test_kinds_are_a_parameter_of_a_search():
    pipe = make_pipeline(clone(ALL["dbn"]), LogisticRegression())
    grid = ["auto", {"count": ["visits"]}, {"categorical": ["size"], "ordinal": ["job"]}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(pipe, {"dbntransformer__rbm__visible": grid}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["dbntransformer__rbm__visible"] in grid


def test_classes_are_learnt_from_categories_with_gaps():
    rows = pd.concat([X] * 8, ignore_index=True)
    rows["job"] = pd.Series(rng.choice(JOBS, len(rows)), dtype="str")
    y = np.where(rows["job"] == "cook", "yes", "no")
    classifier = DBNClassifier(DBNTransformer((16,), rbm=clone(RBM)), random_state=0)
    classifier.fit(rows, y)
    assert classifier.score(rows, y) > 0.98
    gone = classifier.predict_proba(rows.assign(job=None))
    assert 0.1 < gone[:, 1].mean() < 0.6
    regressor = DBNRegressor(DBNTransformer((16,), rbm=clone(RBM)), random_state=0)
    assert regressor.fit(rows, (y == "yes") * 5.0).score(rows, (y == "yes") * 5.0) > 0.9


@pytest.mark.parametrize("name", ALL)
def test_the_repr_shows_the_kinds_and_a_failure_changes_nothing(name):
    estimator = fitted(name)
    text = estimator._repr_html_()
    assert "visits" in text
    before, features = dict(vars(estimator)), estimator.transform(X)
    for rows in (X.assign(visits=-1), X.assign(age="old"), X.assign(age=np.inf)):
        for method in (estimator.transform, lambda rows: estimator.partial_fit(rows, Y)):
            with pytest.raises(ValueError, match=r"in column '(visits|age)'"):
                method(rows)
    assert vars(estimator) == before
    assert np.array_equal(estimator.transform(X), features)
