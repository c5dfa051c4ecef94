"""Bad tables: one sentence names the column or the parameter, what it has, and what to do."""

import re

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer

rng = np.random.default_rng(0)
N = 30
X = pd.DataFrame(
    {
        "age": rng.normal(size=N),
        "job": rng.choice(["clerk", "cook", "nurse"], N),
        "size": pd.Categorical(rng.choice(["s", "m"], N), ["s", "m", "l"], ordered=True),
        "owner": rng.random(N) > 0.5,
        "visits": rng.poisson(2, N),
    }
)
CODES = rng.integers(0, 3, (N, 4))
RATINGS = sp.csr_array(CODES * 1.0)
RBM = RBMTransformer(3, n_iter=1, random_state=0)


NUMBERS = np.random.default_rng(0).random((8, 2))


def fit(rows=X, visible="auto", **parameters):
    return clone(RBM).set_params(visible=visible, **parameters).fit(rows)


def ragged():
    return [["a", "b"], ["c"]]


# What is fitted, and the whole message.
IN_FIT = {
    "a column for two kinds": (
        lambda: fit(visible={"categorical": ["job"], "ordinal": ["size", "job"]}),
        "visible names column 'job' for 'categorical' and for 'ordinal': name each column "
        "once.",
    ),
    "a column twice by name and position": (
        lambda: fit(visible={"count": [-1], "binomial": slice("owner", "visits")}),
        "visible names column 'visits' for 'count' and for 'binomial': name each column once.",
    ),
    "a name that is not there": (
        lambda: fit(visible={"ordinal": ["size", "site"]}),
        "visible['ordinal']=['size', 'site'] does not name columns of X, which has 5 columns: "
        "give names, positions, a mask, a slice or a function of X, as for ColumnTransformer.",
    ),
    "a position that is not there": (
        lambda: fit(CODES, {"count": [4]}),
        "visible['count']=[4] does not name columns of X, which has 4 columns: give names, "
        "positions, a mask, a slice or a function of X, as for ColumnTransformer.",
    ),
    "names for an array": (
        lambda: fit(CODES, {"count": "visits"}),
        "visible['count']='visits' does not name columns of X, which has 4 columns: give "
        "names, positions, a mask, a slice or a function of X, as for ColumnTransformer.",
    ),
    "a mask that is too short": (
        lambda: fit(visible={"count": [True, False]}),
        "visible['count']=[True, False] does not name columns of X, which has 5 columns: give "
        "names, positions, a mask, a slice or a function of X, as for ColumnTransformer.",
    ),
    "a slice with a step": (
        lambda: fit(visible={"count": slice("age", "visits", 2)}),
        "visible['count']=slice('age', 'visits', 2) does not name columns of X, which has 5 "
        "columns: give names, positions, a mask, a slice or a function of X, as for "
        "ColumnTransformer.",
    ),
    "an unknown kind": (
        lambda: fit(visible={"categoric": ["job"]}),
        "visible has the key 'categoric', and the types of columns are 'bernoulli', "
        "'gaussian', 'spin', 'categorical', 'ordinal', 'count', 'binomial': use one of them.",
    ),
    "negative counts": (
        lambda: fit(X.assign(visits=X.visits % 3 - 2), {"count": ["visits"]}),
        "Negative values in data passed to X, with -2 in column 'visits', and count units take "
        "whole numbers from 0: name that column for 'gaussian' or 'categorical' in visible.",
    ),
    "counts that are not whole": (
        lambda: fit(X.assign(visits=0.5), {"binomial": ["visits"]}),
        "X has 0.5 in column 'visits', and binomial units take whole numbers from 0: name that "
        "column for 'gaussian' or 'categorical' in visible.",
    ),
    "text as counts": (
        lambda: fit(X.assign(job="two"), {"count": ["job"]}),
        "X has 'two' in column 'job', and count units take whole numbers from 0: convert that "
        "column to numbers, or name it for 'categorical' in visible.",
    ),
    "more trials than there may be": (
        lambda: fit(X.assign(visits=2000), {"binomial": ["visits"]}),
        "X has the count 2000 in column 'visits', and binomial units may have at most 1000 "
        "trials: name that column for 'gaussian' or 'count'.",
    ),
    "levels of text and numbers": (
        lambda: fit(X.assign(job=["cook", 3] * 15)),
        "X has values of the types int and str in column 'job', which have no common order: "
        "make them all text, for instance with astype(str).",
    ),
    "a key as a category": (
        lambda: fit(pd.DataFrame({"id": [f"id {i}" for i in range(10_000)]})),
        "X has 10000 levels in column 'id', and a column may have 1000: leave it out, or put "
        "rare levels together, for instance with OrdinalEncoder(max_categories=50).",
    ),
    "text as real numbers": (
        lambda: fit(X.assign(job="cook"), {"gaussian": ["job"]}),
        "X has 'cook' in column 'job', and gaussian units take numbers: name that column for "
        "'categorical' or 'ordinal' in visible.",
    ),
    "three levels as bits": (
        lambda: fit(visible={"bernoulli": ["size"]}),
        "X has 3 levels in column 'size', and bernoulli units have two states: name that "
        "column for 'categorical' or 'ordinal' in visible.",
    ),
    "numbers that are no bits": (
        lambda: fit(visible={"bernoulli": ["visits"]}),
        "X has values outside [0, 1] in column 'visits', which bernoulli units cannot take: "
        "scale that column, for instance with MinMaxScaler, or name it for 'gaussian' in "
        "visible.",
    ),
    "numbers that are no spins": (
        lambda: fit(visible={"spin": ["visits"]}),
        "X has values outside [-1, 1] in column 'visits', which spin units cannot take: scale "
        "that column, for instance with MinMaxScaler, or name it for 'gaussian' in visible.",
    ),
    "infinity as a category": (
        lambda: fit(X.assign(age=np.inf), {"categorical": ["age"]}),
        "Input X contains infinity or a value too large for float64 in column 'age': scale "
        "that column, or give NaN where the value is missing.",
    ),
    "lists in cells": (
        lambda: fit(X.assign(job=[["cook"]] * N)),
        "X has ['cook'] in column 'job', and each value of the argument must be a string or a "
        "number: make it text, for instance with astype(str), or leave it out.",
    ),
    "structs in cells": (
        lambda: fit(pl.DataFrame({"a": [{"b": 1}], "t": ["x"]})),
        "X has {'b': 1} in column 'a', and each value of the argument must be a string or a "
        "number: make it text, for instance with astype(str), or leave it out.",
    ),
    "complex numbers": (
        lambda: fit(X.assign(age=1j)),
        "Complex data not supported: give the real and the imaginary part of column 'age' as "
        "two columns.",
    ),
    "dates beside text": (
        lambda: fit(X.assign(day=pd.Timestamp("2020", tz="UTC"))),
        "X has dates in column 'day', and units take numbers: convert that column, for "
        "instance to days since the first, or leave it out.",
    ),
    "a name for two columns": (
        lambda: fit(pd.concat([X, X[["job"]]], axis=1)),
        "X has more than one column with the name 'job': give each column a name of its own.",
    ),
    "a name for two columns, after fit": (
        lambda: fit(NUMBERS).transform(pd.DataFrame(NUMBERS, columns=["a", "a"])),
        "X has more than one column with the name 'a': give each column a name of its own.",
    ),
    "text in a column that was not in fit": (
        lambda: fit(pd.DataFrame(NUMBERS[:, :1], columns=["a"])).transform(
            pd.DataFrame([[0.5, "text"]], columns=["a", "b"])
        ),
        "X has the text 'text' in column 1, which had numbers in fit: give numbers.",
    ),
    "names of two types": (
        lambda: fit(X.rename(columns={"job": 7})),
        "X has names of columns that are text, and others that are not: make all of them text, "
        "with X.columns = X.columns.astype(str).",
    ),
    "rows of different lengths": (
        lambda: fit(ragged(), "categorical"),
        "X has rows of different lengths: give each row a value for every column, and None "
        "where it is missing.",
    ),
    "one row of text": (
        lambda: fit(["cook", "nurse"], "categorical"),
        "X has shape (2,), and RBMTransformer takes a row for each sample: Reshape your data, "
        "by X.reshape(1, -1) if it is one row.",
    ),
    "a column of text": (
        lambda: fit(X["job"]),
        "X has shape (30,), and RBMTransformer takes a row for each sample: Reshape your data, "
        "by X.reshape(1, -1) if it is one row.",
    ),
    "a series of polars": (
        lambda: fit(pl.Series(["cook", "nurse"])),
        "X has shape (2,), and RBMTransformer takes a row for each sample: Reshape your data, "
        "by X.reshape(1, -1) if it is one row.",
    ),
    "no rows": (
        lambda: fit(X.iloc[:0], {"count": ["visits"]}),
        "X has 0 sample(s) (shape=(0, 5)) while a minimum of 1 is required by RBMTransformer: "
        "give at least one row.",
    ),
    "no columns": (
        lambda: fit(X[[]]),
        "X has 0 feature(s) (shape=(30, 0)) while a minimum of 1 is required by "
        "RBMTransformer: give at least one column.",
    ),
    "a lazy frame": (
        lambda: fit(pl.DataFrame({"a": ["x"]}).lazy()),
        "X is a LazyFrame, whose rows are not computed yet: pass X.collect().",
    ),
    "unstored values of a frame": (
        lambda: fit(missing="unstored"),
        "missing='unstored' needs a sparse X, got DataFrame: give a CSR matrix of the observed "
        "values, or set missing='nan'.",
    ),
    "text in an array": (
        lambda: fit(X[["job"]].to_numpy(dtype=object)),
        f"X has the text {X.job[0]!r} in column 0, and here units take numbers: give a data "
        "frame, set visible='categorical', or leave it out.",
    ),
    "sparse columns of pandas": (
        lambda: fit(pd.DataFrame({"a": pd.arrays.SparseArray([0.5, np.nan])})),
        "X has sparse columns whose fill value is not 0: convert it with X.sparse.to_dense().",
    ),
    "levels on a cluster": (
        lambda: fit(da.from_array(CODES), "categorical"),
        "X is a dask Array, and visible='categorical' needs its rows in memory: pass "
        "X.compute(), or set visible='auto'.",
    ),
    "kinds on a cluster": (
        lambda: fit(da.from_array(CODES), {"gaussian": [0]}),
        "X is a dask Array, and visible={'gaussian': [0]} needs its rows in memory: pass "
        "X.compute(), or set visible='auto'.",
    ),
    "ratings on a cluster": (
        lambda: fit(da.from_array(CODES), missing="unstored"),
        "X is a dask Array, and missing='unstored' needs its rows in memory: pass X.compute(), "
        "or set missing='nan'.",
    ),
}
FITTED = fit(visible={"binomial": ["visits"]})
MOST = int(X.visits.max())
IN_USE = {
    "more successes than trials": (
        lambda: FITTED.transform(X.assign(visits=90)),
        f"X has 90 in column 'visits', and the binomial units have {MOST} trials, the largest "
        "value in fit: fit on rows with that value, or use 'count'.",
    ),
    "negative counts": (
        lambda: FITTED.score_samples(X.assign(visits=-1)),
        "Negative values in data passed to X, with -1 in column 'visits', and binomial units "
        "take whole numbers from 0: name that column for 'gaussian' or 'categorical' in "
        "visible.",
    ),
    "text where there were numbers": (
        lambda: FITTED.impute(X.assign(age="old")),
        "X has 'old' in column 'age', which had numbers in fit: give numbers.",
    ),
    "text where there were only numbers": (
        lambda: fit(X[["age"]]).transform(pd.DataFrame({"age": ["old"]})),
        "X has the text 'old' in column 'age', which had numbers in fit: give numbers.",
    ),
    "dates where there were levels": (
        lambda: FITTED.partial_fit(X.assign(job=pd.Timestamp("2020"))),
        "X has dates in column 'job', and units take numbers: convert that column, for "
        "instance to days since the first, or leave it out.",
    ),
    "sets where there were levels": (
        lambda: FITTED.transform(X.assign(job=[{1}] * N)),
        "X has {1} in column 'job', and each value of the argument must be a string or a "
        "number: make it text, for instance with astype(str), or leave it out.",
    ),
    "rows of a cluster": (
        lambda: FITTED.partial_fit(da.zeros((N, 5))),
        "X is a dask Array, and the columns have levels or kinds of their own, for which rows "
        "must be in memory: pass X.compute().",
    ),
    "a column that is not there": (
        lambda: FITTED.conditional_proba(X, "jobs"),
        "column='jobs' is no column of X: the columns are ['age', 'job', 'size', 'owner', "
        "'visits'].",
    ),
    "a position that is not there": (
        lambda: fit(CODES, "count").conditional_proba(CODES, 4),
        "column=4 is no column of X: the columns have positions below 4.",
    ),
    "levels of a real column": (
        lambda: FITTED.conditional_proba(X, "age"),
        "column='age' has real-valued units, which have no levels: call impute(X) for its "
        "mean, or sample(given=X) for draws.",
    ),
    "too few columns": (
        lambda: fit(CODES, "count").transform(CODES[:, :3]),
        "X has 3 features, but RBMTransformer is expecting 4 features as input.",
    ),
}


@pytest.mark.parametrize(
    ("call", "message"),
    [*IN_FIT.values(), *IN_USE.values()],
    ids=[*IN_FIT, *(f"{kind}, in use" for kind in IN_USE)],
)
def test_the_message_is_one_sentence_with_the_remedy(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == message
    assert len(message) <= 300
    # A full stop is at the end, or within a name, and no other package has raised the error.
    assert re.fullmatch(r"[^.]+(\.\S[^.]*)*\.", message)
    assert caught.traceback[-1].path.as_posix().count("/sklearn_dbn/") or "features" in message


@pytest.mark.parametrize("kind", IN_USE)
def test_a_failure_leaves_a_fitted_estimator_as_it_was(kind):
    before, features = dict(vars(FITTED)), FITTED.transform(X)
    with pytest.raises((ValueError, TypeError)):
        IN_USE[kind][0]()
    assert vars(FITTED) == before
    assert np.array_equal(FITTED.transform(X), features)


@pytest.mark.parametrize(
    "estimator",
    [
        DBNTransformer((3, 2), rbm=clone(RBM)),
        DBMTransformer((3, 2), rbm=clone(RBM)),
        DBNClassifier(DBNTransformer(3, rbm=clone(RBM)), n_iter=1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_templates_give_the_same_errors(estimator):
    path = "transformer__rbm__" if hasattr(estimator, "transformer") else "rbm__"
    y = np.arange(N) % 2
    for visible, column in (({"count": "age"}, "age"), ({"gaussian": ["job"]}, "job")):
        estimator = clone(estimator).set_params(**{f"{path}visible": visible})
        with pytest.raises(ValueError, match=f"in column '{column}', and .* units take"):
            estimator.fit(X, y)
        assert not hasattr(estimator, "_table")
    estimator.set_params(**{f"{path}visible": "count"})
    with pytest.raises(TypeError, match=r"dask Array.*visible='count'.*X\.compute\(\)"):
        estimator.fit(da.from_array(CODES), y)


def test_an_error_names_the_columns_of_this_fit_and_not_of_the_last():
    estimator = clone(RBM).fit(X)
    with pytest.raises(ValueError, match="part of column 'other'"):
        estimator.fit(pd.DataFrame({"other": [1j], "job": "cook"}))
    with pytest.raises(ValueError, match="in column 0"):
        estimator.fit(np.array([["2020-01-01"]], dtype="datetime64[D]"))
    assert estimator.feature_names_in_.tolist() == list(X)


def test_long_values_and_names_are_cut():
    name, text = "c" * 5000, "x" * 5000
    wide = pd.DataFrame({name: [text, "y"] * 5, "t": ["a", "b"] * 5})
    for call in (
        lambda: fit(wide, {"gaussian": [name]}),
        lambda: fit(wide, {"count": [name]}),
        lambda: fit(wide, {"ordinal": [text]}),
        lambda: fit(wide, {text: [name]}),
        lambda: fit(wide.assign(t=[[text] * 500] * 10)),
        lambda: fit(wide).conditional_proba(wide, text),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert 20 < len(str(caught.value)) <= 300
    with pytest.warns(UserWarning, match="taken as missing") as seen:
        fit(wide).transform(wide.assign(t=text))
    assert len(str(seen[0].message)) <= 300
