"""Methods on the rows of dask collections: lazy results with the same partitions."""

import tracemalloc
import warnings

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

rng = np.random.default_rng(0)
GREY = rng.random((70, 8))
GAPS = np.where(GREY < 0.2, np.nan, GREY)
LABELS = np.where(GREY[:, 0] > 0.5, "high", "low")
CHUNKS = (25, 0, 25, 20)
GENERATOR = (
    "transform",
    "score_samples",
    "score_bound",
    "free_energy",
    "impute",
    "reconstruct",
)
CLASSIFIER = (
    "transform",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
)


@pytest.fixture(autouse=True)
def in_this_process():
    # Another test may have left a cluster, which would be the scheduler.
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def fitted():
    rbm = RBMTransformer(5, n_iter=2, batch_size=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dbn = DBNTransformer((5, 4), rbm=rbm, passthrough=True, random_state=0).fit(GREY)
        return {
            "rbm": rbm.fit(GREY),
            "dbn": dbn,
            "dbm": DBMTransformer((5, 4), rbm=rbm, random_state=0).fit(GREY),
            "classifier": DBNClassifier(dbn, n_iter=2, random_state=0).fit(GREY, LABELS),
            "regressor": DBNRegressor(dbn, n_iter=2, random_state=0).fit(GREY, GREY[:, 0]),
        }


class Computed(Exception):
    pass


def uncomputed(X):
    """A dask array of the chunks of ``X`` that fails when it is computed."""

    def fail(block):
        raise Computed

    return X.map_blocks(fail, dtype=X.dtype, meta=X._meta)


def spread(X):
    return da.from_array(X, chunks=(CHUNKS, 3))


def same(lazy, expected, chunks=CHUNKS):
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == expected.dtype
    assert lazy.chunks == (chunks, *((n,) for n in expected.shape[1:]))
    found = lazy.compute()
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, 1e-9, 1e-12)
    else:
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("rbm", GENERATOR),
        ("dbn", GENERATOR),
        ("dbm", GENERATOR),
        ("classifier", CLASSIFIER),
        ("regressor", ("transform", "predict")),
    ],
)
@pytest.mark.parametrize("X", [GREY, GAPS.astype(np.float32)], ids=["grey", "gaps"])
def test_results_are_lazy_and_those_of_the_rows_in_memory(fitted, name, methods, X):
    for method in methods:
        call = getattr(fitted[name], method)
        lazy = call(uncomputed(spread(X)))
        assert lazy.shape == call(X).shape
        with pytest.raises(Computed):
            lazy.compute()
        same(call(spread(X)), call(X))


def test_scores_are_means_over_all_rows(fitted):
    y = da.from_array(LABELS, chunks=30)
    for X in (GREY, GAPS):
        found = fitted["dbn"].score(spread(X))
        assert isinstance(found, float)
        assert found == pytest.approx(fitted["dbn"].score(X))
    weight = da.from_array(GREY[:, 1], chunks=30)
    found = fitted["classifier"].score(spread(GREY), y, sample_weight=weight)
    assert isinstance(found, float)
    assert found == fitted["classifier"].score(GREY, LABELS, sample_weight=GREY[:, 1])
    found = fitted["regressor"].score(spread(GREY), da.from_array(GREY[:, 0], chunks=30))
    assert found == pytest.approx(fitted["regressor"].score(GREY, GREY[:, 0]))


def test_sparse_partitions_stay_sparse(fitted):
    X = np.where(GREY > 0.5, GREY, 0)
    chunked = da.from_array(X, chunks=(CHUNKS, 8)).map_blocks(sp.csr_array)
    lazy = fitted["dbn"].transform(chunked)
    assert sp.issparse(lazy._meta)
    found = sp.vstack([lazy.blocks[i].compute() for i in range(lazy.numblocks[0])])
    np.testing.assert_allclose(found.toarray(), fitted["dbn"].transform(X), 1e-9)


def test_unknown_numbers_of_rows(fitted):
    X = spread(GREY)
    X = X[X[:, 0] > 0.3]
    expected = fitted["dbn"].transform(GREY[GREY[:, 0] > 0.3])
    np.testing.assert_allclose(fitted["dbn"].transform(X).compute(), expected, 1e-9)


def test_errors_are_raised_at_the_call(fitted):
    dbn = fitted["dbn"]
    with pytest.raises(ValueError, match=r"X has 7 features.*expecting 8"):
        dbn.transform(spread(GREY)[:, :7])
    with pytest.raises(ValueError, match=r"draw=True with the dask Array X .*set draw=False"):
        dbn.impute(spread(GREY), draw=True)
    with pytest.raises(ValueError, match="n_gibbs_steps"):
        dbn.impute(spread(GREY), n_gibbs_steps=0)
    with pytest.raises(NotFittedError):
        RBMTransformer().transform(spread(GREY))
    for call in (lambda X: dbn.transform(X[:, 0]), lambda X: dbn.conditional_proba(X, 0)):
        with pytest.raises(TypeError, match=r"X is a dask Array, which .*pass X\.compute\(\)"):
            call(spread(GREY))


def test_a_later_fit_does_not_change_a_lazy_result(fitted):
    rbm = RBMTransformer(5, n_iter=1, random_state=0).fit(GREY)
    expected, lazy = rbm.transform(GREY), rbm.transform(spread(GREY))
    rbm.fit(1 - GREY)
    same(lazy, expected)


def test_output_in_frames(fitted):
    rbm = RBMTransformer(5, n_iter=1, random_state=0).set_output(transform="pandas")
    same(rbm.fit(GREY).transform(spread(GREY)), rbm.transform(GREY).to_numpy())
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(GREY, columns=list("abcdefgh"), index=np.arange(70) * 2)
    chunked = dd.from_pandas(frame, npartitions=3)
    expected = rbm.fit(frame).transform(frame)
    pd.testing.assert_frame_equal(rbm.transform(chunked).compute(), expected)
    rbm.set_output(transform="polars")
    np.testing.assert_allclose(rbm.transform(chunked).compute(), expected, 1e-9)


def test_frames_of_any_columns_are_read_partition_by_partition():
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(
        {
            "a": np.where(GREY[:, 0] < 0.2, np.nan, GREY[:, 0]),
            "b": GREY[:, 1] > 0.5,
            "job": pd.Categorical(
                np.array(["nurse", "cook", "smith"])[(3 * GREY[:, 2]).astype(int)]
            ),
        }
    )
    rbm = RBMTransformer(5, n_iter=2, random_state=0).fit(frame)
    chunked = dd.from_pandas(frame, npartitions=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lazy = rbm.transform(chunked), rbm.impute(chunked), rbm.score_samples(chunked)
    np.testing.assert_allclose(lazy[0].compute(), rbm.transform(frame), 1e-9)
    pd.testing.assert_frame_equal(lazy[1].compute(), rbm.impute(frame))
    np.testing.assert_allclose(lazy[2].compute(), rbm.score_samples(frame), 1e-9)
    assert rbm.score(chunked) == pytest.approx(rbm.score(frame))
    with pytest.raises(ValueError, match="feature names"):
        rbm.transform(chunked[["job", "a", "b"]])


def test_features_of_many_rows_need_the_memory_of_a_partition():
    X = da.random.default_rng(0).random((40_000, 16), chunks=(1000, 16))
    rbm = RBMTransformer(64, n_iter=1, random_state=0).fit(X[:200].compute())
    lazy = rbm.transform(X)
    tracemalloc.start()
    total = sum(float(block.sum().compute()) for block in lazy.blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < total < lazy.size
    assert peak < lazy.nbytes / 4
