"""Pathways that do not fit the columns or the layers: one sentence that names the remedy."""

import numpy as np
import pandas as pd
import pytest

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer

X = np.random.default_rng(0).random((20, 5))
FRAME = pd.DataFrame(X, columns=list("abcde"))
SPLIT = {"p": slice(0, 2), "q": slice(2, 5)}
SIZES = ({"p": 3, "q": 2}, 4)
deep = pytest.mark.parametrize("kind", [DBNTransformer, DBMTransformer])

CASES = {
    "no mapping": (SIZES, [0, 1], X, "pathways.*set it to a mapping from these to columns"),
    "a list": ((4,), [0, 1], X, r"pathways=\[0, 1\] must be a mapping"),
    "none": (SIZES, None, X, r"\['p', 'q'\] in layer 0, and pathways=None: set it"),
    "empty": ((4,), {}, X, "pathways={} must be a mapping"),
    "twice": (SIZES, {"p": [0, 1], "q": [1, 2, 3, 4]}, X, "column 1 for 'p' and for 'q'"),
    "left out": (SIZES, {"p": [0, 1], "q": [2, 3]}, X, "leaves out column 4: name each"),
    "more left out": (
        SIZES,
        {"p": ["a"], "q": ["c"]},
        FRAME,
        "out column 'b' and 2 others",
    ),
    "not there": (
        SIZES,
        {"p": ["a"], "q": ["z"]},
        FRAME,
        "does not name columns of X",
    ),
    "no columns": (
        SIZES,
        {"p": slice(0, 5), "q": []},
        X,
        "=.. has no columns",
    ),
    "other names": (
        ({"p": 3, "r": 2}, 4),
        SPLIT,
        X,
        "in layer 0, and pathways has",
    ),
    "one missing": (({"p": 3}, 4), SPLIT, X, "name the same in both"),
    "above joint": ((4, {"p": 3, "q": 2}), SPLIT, X, "layer 1, above the joint layer 0"),
    "zero units": (({"p": 3, "q": 0}, 4), SPLIT, X, "a positive int for each hidden layer"),
    "text units": (({"p": "3", "q": 2}, 4), SPLIT, X, "a positive int for each hidden layer"),
    "no units": (({}, 4), SPLIT, X, "a positive int for each hidden layer"),
}


@deep
@pytest.mark.parametrize("case", CASES)
def test_pathways_that_do_not_fit_are_refused(kind, case):
    sizes, pathways, rows, message = CASES[case]
    model = kind(sizes, pathways=pathways, rbm=RBMTransformer(n_iter=1))
    with pytest.raises((ValueError, TypeError), match=message) as error:
        model.fit(rows)
    assert "\n" not in str(error.value)
    assert not hasattr(model, "history_")


@deep
@pytest.mark.parametrize("share", [-0.1, 1.0, "half", None])
def test_a_share_of_presentations_is_below_1(kind, share):
    model = kind(SIZES, pathways=SPLIT, modality_dropout=share)
    with pytest.raises(ValueError, match="modality_dropout"):
        model.fit(X)


@deep
def test_other_kinds_of_fill_are_refused(kind):
    model = kind(SIZES, pathways=SPLIT, rbm=RBMTransformer(n_iter=1)).fit(X)
    with pytest.raises(ValueError, match="'fill' parameter"):
        model.select(fill="zero")


@deep
def test_a_call_that_fails_leaves_the_fit_as_it_was(kind):
    model = kind(SIZES, pathways=SPLIT, rbm=RBMTransformer(n_iter=1), random_state=0).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match="leaves out"):
        model.set_params(pathways={"p": [0], "q": [1]}).fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


@deep
def test_a_row_without_any_modality_is_given_the_mean_row(kind):
    model = kind(SIZES, pathways=SPLIT, rbm=RBMTransformer(n_iter=1), random_state=0).fit(X)
    H = model.transform(np.full((2, 5), np.nan))
    assert np.isfinite(H).all()
    np.testing.assert_array_equal(H[0], H[1])
    np.testing.assert_allclose(model.score_samples(np.full((1, 5), np.nan)), 0, atol=0.1)
