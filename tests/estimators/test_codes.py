"""Arrays and sparse matrices of codes, ratings and counts."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer

rng = np.random.default_rng(0)
N = 40
JOBS = rng.choice(["clerk", "cook", "nurse"], N)
AGES = rng.normal(40, 9, N)
Y = (AGES > 40) * 1.0


def test_codes_in_an_array_are_the_levels_of_a_frame():
    codes = np.column_stack([rng.integers(0, 3, N), rng.integers(0, 4, N), AGES])
    frame = pd.DataFrame(
        {
            "a": pd.Categorical.from_codes(codes[:, 0].astype(int), ["clerk", "cook", "nurse"]),
            "b": pd.Categorical.from_codes(codes[:, 1].astype(int), list("wxyz"), ordered=True),
            "c": codes[:, 2],
        }
    )
    rbm = RBMTransformer(4, n_iter=2, random_state=0)
    expected = clone(rbm).fit(frame)
    for array in (codes, np.asfortranarray(codes), codes.tolist(), sp.csr_array(codes)):
        of_codes = clone(rbm).set_params(visible={"categorical": [0], "ordinal": [1]})
        of_codes.fit(array)
        assert np.array_equal(of_codes.components_, expected.components_)
        assert np.array_equal(of_codes.transform(array), expected.transform(frame))


def test_arrays_of_text_and_of_one_kind(tmp_path):
    text = np.column_stack([JOBS, JOBS[::-1]])
    rbm = RBMTransformer(3, n_iter=2, visible="categorical", random_state=0).fit(text)
    expected = clone(rbm).fit(pd.DataFrame(text))
    assert np.array_equal(rbm.components_, expected.components_)
    assert set(rbm.sample(9, n_gibbs_steps=5)[:, 0]) <= {"clerk", "cook", "nurse"}
    numbers = rng.integers(0, 3, (N, 4))
    file = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=(N, 4))
    file[:] = numbers
    for kind in ("categorical", "ordinal", "count", "binomial"):
        rbm = RBMTransformer(3, n_iter=2, visible=kind, random_state=0)
        single = clone(rbm).fit(file)
        assert single.components_.dtype == single.transform(file).dtype == np.float32
        double = clone(rbm).fit(numbers)
        assert double.components_.dtype == np.float64
        assert np.isin(double.sample(20, n_gibbs_steps=5), [0, 1, 2]).all()


RATINGS = np.where(rng.random((N, 6)) < 0.6, 0, rng.integers(1, 6, (N, 6))).astype(float)
RATING_KINDS = ["categorical", "ordinal", "gaussian", {"ordinal": [0, 1], "gaussian": [2]}]


@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm", "classifier"])
@pytest.mark.parametrize("kind", RATING_KINDS, ids=str)
def test_ratings_that_are_not_stored_are_gaps_of_a_dense_array(name, kind):
    stored, dense = sp.csr_array(RATINGS), np.where(RATINGS == 0, np.nan, RATINGS)
    template = RBMTransformer(4, n_iter=2, visible=kind, random_state=0)
    if name == "rbm":
        estimator = template
    else:
        deep = DBMTransformer if name == "dbm" else DBNTransformer
        estimator = deep((4, 3), rbm=template, passthrough=True, random_state=0)
    if name == "classifier":
        estimator = DBNClassifier(estimator, n_iter=2, random_state=0)
    path = {"rbm": "missing", "classifier": "transformer__rbm__missing"}.get(
        name, "rbm__missing"
    )
    sparse = clone(estimator).set_params(**{path: "unstored"}).fit(stored, Y)
    other = clone(estimator).fit(dense, Y)
    methods = ["transform", "predict_proba", "score_samples", "reconstruct", "impute"]
    for method in [x for x in methods if hasattr(sparse, x)]:
        one, two = getattr(sparse, method)(stored), getattr(other, method)(dense)
        assert np.array_equal(one, two), method
    if hasattr(sparse, "impute"):
        assert np.array_equal(sparse.impute(stored)[RATINGS > 0], RATINGS[RATINGS > 0])
