"""Labels as people write them, and rows that have none."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest, f_classif

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.data import labels_of

NAN = float("nan")
OBJECT = {"dtype": object}
TEXT, NUMBERS = ["a", "b", "a"], [0, 1, 0]


def text(mark):
    return [*TEXT, mark]


def numbers(mark):
    return [*NUMBERS, mark]


# Labels of which the last is none, the `unlabeled` that marks it, and the dtype of the others.
ACCEPTED = {
    "list, -1": (text(-1), -1, object),
    "list, None": (text(None), "auto", object),
    "list, NaN": (text(NAN), NAN, object),
    "array, -1": (np.array(text(-1), **OBJECT), -1, object),
    "array, numpy's -1": (np.array(text(np.int64(-1)), **OBJECT), -1, object),
    "array, auto -1": (np.array(text(-1), **OBJECT), "auto", object),
    "array, None": (np.array(text(None), **OBJECT), "auto", object),
    "array, None as NaN": (np.array(text(None), **OBJECT), NAN, object),
    "array, NA": (np.array(text(pd.NA), **OBJECT), pd.NA, object),
    "array, NaT": (np.array(text(pd.NaT), **OBJECT), "auto", object),
    "strings, empty": (np.array(text("")), "", np.dtype("U1")),
    "strings of NumPy 2": (
        np.array(text(None), dtype=np.dtypes.StringDType(na_object=None)),
        "auto",
        object,
    ),
    "object series": (pd.Series(text(NAN), **OBJECT), NAN, object),
    "str series": (pd.Series(text(None)), "auto", object),
    "string series": (pd.Series(text(pd.NA), dtype="string"), pd.NA, object),
    "category": (pd.Series(text(None), dtype="category"), "auto", object),
    "frame": (pd.DataFrame({"y": text(None)})["y"], "auto", object),
    "polars": (pl.Series(text(None)), "auto", object),
    "polars, category": (pl.Series(text(None), dtype=pl.Categorical), "auto", object),
    "polars, a word": (pl.Series(text("none")), "none", np.dtype("U4")),
    "integers": (np.array(numbers(-1)), -1, int),
    "integers, auto": (np.array(numbers(-1)), "auto", int),
    "integers, list": (numbers(None), "auto", int),
    "integers, object": (np.array(numbers(None), **OBJECT), "auto", int),
    "integers, Int64": (pd.Series(numbers(pd.NA), dtype="Int64"), "auto", int),
    "integers, polars": (pl.Series(numbers(None)), "auto", int),
    "integers, categories": (pd.Series(numbers(None), dtype="category"), "auto", float),
    "floats": (np.array(numbers(NAN)), NAN, float),
    "floats, auto": (np.array(numbers(NAN)), "auto", float),
    "floats, -1": (np.array(numbers(-1.0)), -1, float),
    "truth": (pd.Series([True, False, True, None], dtype="boolean"), "auto", bool),
    "indicators": (np.array([[0, 1], [1, 1], [0, 0], [-1, -1]]), -1, int),
    "indicators, NaN": (np.array([[0, 1], [1, 1], [0, 0], [NAN, NAN]]), "auto", float),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_the_last_row_has_no_label(kind):
    y, unlabeled, dtype = ACCEPTED[kind]
    labels, known = labels_of(y, unlabeled)
    assert list(known) == [True, True, True, False]
    assert labels.dtype == dtype
    rows = np.random.default_rng(0).random((4, 3))
    model = DBNClassifier(RBMTransformer(2, n_iter=1), n_iter=1, unlabeled=unlabeled)
    model.fit(rows, y)
    assert model.classes_.tolist() in ([0, 1], ["a", "b"])
    assert set(model.predict(rows).ravel()) <= {*TEXT, *NUMBERS}
    if np.ndim(labels) == 1:
        # In chunks, where the mark may be among the classes too.
        clone(model).partial_fit(rows, y, classes=[*sorted({*labels}), labels[0]])


@pytest.mark.parametrize(
    ("y", "unlabeled"),
    [
        (np.array(["a", "-1"]), "auto"),
        (np.array(["a", "nan"]), "auto"),
        (np.array(["a", "auto"]), None),
        (np.array(["a", "auto"]), "auto"),
        (np.array([1.0, -1.0]), "auto"),
        (np.array([1, -1]), None),
        (np.array([1, 255], dtype=np.uint8), "auto"),
        (np.array([[0, 0], [1, 1]]), 0),
        (sp.csr_array([[0, 0], [1, 1]]), -1),
    ],
)
def test_valid_labels_are_accepted(y, unlabeled):
    labels, known = labels_of(y, unlabeled)
    assert known.all()
    np.testing.assert_array_equal(labels, y.toarray() if sp.issparse(y) else y)


REFUSED = {
    "text of a number": (["a", "-1"], -1, r"y holds '-1', which is text.* set unlabeled='-1'"),
    "text of a float": (["a", "-1.0"], -1, r"y holds '-1.0'.* set unlabeled='-1.0'"),
    "text of NaN": (["a", "nan"], NAN, r"y holds 'nan', .* set unlabeled='nan'"),
    "number of a text": ([0, -1], "-1", r"y holds -1, which is no text.* set unlabeled=-1"),
    "None by default": (["a", None], None, r"y contains NaN: None in row 1.* unlabeled='auto'"),
    "NaN by default": ([0.0, NAN], None, r"y contains NaN: nan in row 1.* unlabeled='auto'"),
    "NA by default": (pd.Series([0, pd.NA], dtype="Int64"), None, r"<NA> in row 1"),
    "None beside a mark": (np.array(["a", -1, None], **OBJECT), -1, "None in row 2"),
    "some labels of a row": (np.array([[0, 1], [NAN, 1]]), "auto", "none of them with"),
    "text and numbers": (["a", 1], "auto", "y mixes text such as 'a' with 1"),
    "several marks": (["a", "b"], ["a"], r"unlabeled=\['a'\] must be one label"),
    "no rows": ("abc", None, "y has 0 dimensions"),
    "unsigned": (np.array([0, 255], dtype=np.uint8), -1, "holds 255 in its place"),
    "long labels": (["x" * 999, 1], "auto", "y mixes text"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_invalid_label_is_refused_by_one_sentence(kind):
    y, unlabeled, match = REFUSED[kind]
    with pytest.raises(ValueError, match=match) as refused:
        labels_of(y, unlabeled)
    assert len(str(refused.value)) <= 300


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.sampled_from(["a", "b", "-1"]), st.none(), st.just(-1))),
    st.sampled_from([list, np.array]),
)
def test_auto_finds_what_is_missing_among_text(y, kind):
    if not any(isinstance(label, str) for label in y):
        y = [*y, "a"]
    if kind is np.array:
        y = np.array(y, dtype=object)
    labels, known = labels_of(y, "auto")
    assert list(known) == [isinstance(label, str) for label in y]
    assert list(labels) == [label for label in y if isinstance(label, str)]


ROWS = np.random.default_rng(0).integers(0, 2, (30, 6)).astype(float)
NAMES = [f"column {i}" for i in range(6)]
KINDS = {
    **{
        kind.__name__: kind for kind in (sp.csr_array, sp.csc_array, sp.coo_array, sp.dia_array)
    },
    **{kind.__name__: kind for kind in (sp.bsr_array, sp.lil_array, sp.dok_array)},
    "matrix": sp.coo_matrix,
    "list": np.ndarray.tolist,
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES, index=np.arange(30) + 100),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_units_are_chosen_by_the_labelled_rows_of_any_container(kind):
    y = np.array(["a", "b", None] * 10, dtype=object)
    known = np.arange(30) % 3 < 2
    dbn = DBNTransformer((5, 4), rbm=RBMTransformer(n_iter=2), layers="all", random_state=0)
    dbn.set_params(units=SelectKBest(f_classif, k=3))
    model = DBNClassifier(dbn, n_iter=1, unlabeled="auto", random_state=0)
    plain = clone(model).fit(ROWS, y)
    rows = KINDS[kind](ROWS)
    model.fit(rows, y)
    np.testing.assert_allclose(model.predict_proba(rows), plain.predict_proba(ROWS))
    by_hand = plain.transformer_.select(ROWS[known], y[known].astype(str))
    for units, others in zip(
        model.transformer_.selected_units_, by_hand.selected_units_, strict=True
    ):
        np.testing.assert_array_equal(units, others)
