"""Rows in a file are read where they lie, and train what they train in memory."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from helpers.training import peak_of
from sklearn.base import clone

import sklearn_dbn.data._rows as _rows
from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.units import UNITS

RBM = RBMTransformer(8, n_iter=1, batch_size=100, random_state=0)
ESTIMATORS = {
    "RBM": RBM,
    "DBN": DBNTransformer((8, 6), rbm=RBM, random_state=0),
    "DBM": DBMTransformer((8, 6), rbm=RBM, pretrain="first_layer", random_state=0),
    "classifier": DBNClassifier(RBM, n_iter=1, batch_size=100, random_state=0),
}
estimators = pytest.mark.parametrize("name", ESTIMATORS)
N_ROWS, N_COLUMNS = 50_000, 1000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """200 MB of grey levels; the first row lacks a value."""
    path = tmp_path_factory.mktemp("data") / "X.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, (N_ROWS, N_COLUMNS))
    block = np.random.default_rng(0).random((10_000, N_COLUMNS), dtype=np.float32)
    for start in range(0, N_ROWS, len(block)):
        X[start : start + len(block)] = block
    X[0, 0] = np.nan
    X.flush()
    return path


@pytest.fixture
def small_windows(monkeypatch):
    """Data of more than 2 kB are read in windows of 1 kB, and these in blocks of 128 bytes."""
    monkeypatch.setattr(_rows, "_SHUFFLED_WHOLE", 2 << 10)
    monkeypatch.setattr(_rows, "_WINDOW", 1 << 10)
    monkeypatch.setattr(_rows, "_SHUFFLED_BLOCK", 128)


def labels(n_rows):
    return np.arange(n_rows) % 2


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("RBM", "whole"),
        ("RBM", "some columns"),
        ("RBM", "with a gap"),
        ("DBN", "with a gap"),
        ("DBM", "with a gap"),
        # Fine-tuning fills all gaps before it starts.
        ("classifier", "whole"),
    ],
)
def test_a_file_is_never_copied_whole(file, name, view):
    X = np.load(file, mmap_mode="r")
    X = {"whole": X[1:], "some columns": X[1:, 1:], "with a gap": X}[view]
    model = clone(ESTIMATORS[name])
    model.fit(X[1:1000], labels(999))  # what is allocated once for all
    assert peak_of(lambda: model.fit(X, labels(len(X)))) < 0.2 * X.nbytes


def test_windows_of_a_large_file_are_all_that_is_in_memory(file, monkeypatch):
    monkeypatch.setattr(_rows, "_SHUFFLED_WHOLE", 1 << 20)
    monkeypatch.setattr(_rows, "_WINDOW", 16 << 20)
    X = np.load(file, mmap_mode="r")[1:]
    peak = peak_of(lambda: clone(RBM).fit(X))
    assert 16 << 20 < peak < 24 << 20


def test_sparse_data_in_files_are_not_copied_either(tmp_path):
    n_rows, n_columns, stored = 24_000, 4000, 400
    columns = np.tile(np.arange(stored, dtype=np.int32) * 10, n_rows)
    values = np.random.default_rng(0).random(n_rows * stored, dtype=np.float32)
    ends = np.arange(0, len(values) + 1, stored, dtype=np.int32)
    X = sp.csr_array((values, columns, ends), shape=(n_rows, n_columns))
    joblib.dump(X, tmp_path / "X.joblib")
    X = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert isinstance(X.data.base, np.memmap) or isinstance(X.data, np.memmap)
    model = clone(RBM)
    model.fit(X[:1000])
    assert peak_of(lambda: model.fit(X)) < 0.3 * (X.data.nbytes + X.indices.nbytes)


def test_infinity_in_a_large_file_is_found_without_a_copy(file):
    X = np.load(file, mmap_mode="c")
    X[-1, 3] = np.inf

    def fit():
        with pytest.raises(ValueError, match="Input X contains infinity"):
            clone(RBM).fit(X)

    assert peak_of(fit) < 0.1 * X.nbytes


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_a_wrong_value_deep_in_the_data_is_found_in_its_column(container):
    X = np.tile(np.arange(1.0, 11) / 10, (10_000, 1))
    X[9000, [4, 7]] = 2
    with pytest.raises(ValueError, match=r"outside \[0, 1\] in column 4"):
        RBMTransformer(visible="bernoulli").fit(container(X))


def open_files(X, folder):
    """The same rows from files, in each way of opening one."""
    np.save(folder / "X.npy", X)
    joblib.dump(X, folder / "X.joblib")
    raw = np.memmap(folder / "X.raw", X.dtype, "w+", shape=X.shape)
    raw[:] = X
    return {
        "numpy.load": np.load(folder / "X.npy", mmap_mode="r"),
        "joblib.load": joblib.load(folder / "X.joblib", mmap_mode="r"),
        "numpy.memmap": np.memmap(folder / "X.raw", X.dtype, "r", shape=X.shape),
        "by columns": np.memmap(folder / "F", X.dtype, "w+", shape=X.shape, order="F"),
    }


@pytest.mark.parametrize("large", [False, True], ids=["dealt whole", "in windows"])
@estimators
def test_a_file_trains_what_its_rows_train_in_memory(name, large, tmp_path, request):
    if large:
        request.getfixturevalue("small_windows")
    X = np.random.default_rng(0).random((150, 6), dtype=np.float32)
    files = open_files(X, tmp_path)
    files["by columns"][:] = X
    model = clone(ESTIMATORS[name])
    expected = clone(model).fit(X, labels(150)).transform(X)
    for opened in files.values():
        assert isinstance(opened, np.memmap)
        fitted = clone(model).fit(opened, labels(150))
        assert np.array_equal(fitted.transform(opened), expected)
        fitted.partial_fit(opened, labels(150))


def test_sparse_rows_in_windows_are_the_dense_ones(small_windows, tmp_path):
    bits = np.random.default_rng(0).random((300, 20)) < 0.3
    X = sp.csr_array(bits.astype(float))
    joblib.dump(X, tmp_path / "X.joblib")
    opened = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    rows = [Rows(x, np.ones(300), Columns(UNITS["bernoulli"])) for x in (X, opened)]
    first, second = ([v for v, *_ in r.batches(7, Stream(0))] for r in rows)
    for v, w in zip(first, second, strict=True):
        assert np.array_equal(v, w)
    assert np.concatenate(first).sum() == X.sum()


# Rows that hold their own number, 16 bytes each: a block has 8 of them and a window 64.
NUMBERED = np.arange(1.0, 501)[:, None] / 512 * np.ones(2)


def presented(weight=None, batch_size=10, held=0.0):
    weight = np.ones(500) if weight is None else weight
    rows = Rows(NUMBERED, weight, Columns(UNITS["gaussian"]))
    rng = Stream(0)
    apart = rows.hold_out(held, rng) if held else np.array([], dtype=int)
    batches = list(rows.batches(batch_size, rng))
    return [(v[:, 0] * 512 - 1).round().astype(int) for v, *_ in batches], apart, batches


def test_data_of_moderate_size_are_dealt_in_any_order():
    batches, _, _ = presented()
    order = np.concatenate(batches)
    assert np.array_equal(order, Stream(0).permutation(500))


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64, 100, 600])
def test_each_row_of_large_data_is_presented_once_with_its_weight(small_windows, batch_size):
    weight = np.arange(500.0) % 5
    batches, apart, given = presented(weight, batch_size, held=0.1)
    order = np.concatenate(batches)
    assert sorted([*order, *apart]) == np.flatnonzero(weight).tolist()
    assert np.array_equal(np.concatenate([w for _, w, _ in given]), weight[order])
    assert [total for *_, total in given] == [w.sum() for _, w, _ in given]
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-len(order) // batch_size)


def test_a_window_is_made_of_blocks_from_all_over_and_its_batches_mix_them(small_windows):
    batches, _, _ = presented(batch_size=8)
    for first in range(0, 56, 8):
        window = np.concatenate(batches[first : first + 8])
        blocks = np.unique(window // 8, return_counts=True)
        # Blocks are read whole, but for those that two windows share.
        assert np.sum(blocks[1] == 8) >= 6
        assert np.ptp(blocks[0]) > 20
    mixed = [len(np.unique(batch // 8)) for batch in batches]
    assert np.mean(mixed) > 4


def test_windows_are_presented_in_the_order_that_they_were_dealt_in(small_windows):
    order = np.concatenate(presented(batch_size=8)[0])
    rows = Rows(NUMBERED, np.ones(500), Columns(UNITS["gaussian"]))
    dealt = [index for index, _ in rows._windows(8, Stream(0))]
    assert len(dealt) == 8
    assert np.array_equal(np.concatenate(dealt), order)


def test_passes_over_large_data_differ(small_windows):
    rows, rng = Rows(NUMBERED, np.ones(500), Columns(UNITS["gaussian"])), Stream(0)
    first, second = (
        np.concatenate([v[:, 0] for v, *_ in rows.batches(10, rng)]) for _ in range(2)
    )
    assert np.mean(first == second) < 0.1


def test_rows_without_a_length_are_trained_on_as_they_come(tmp_path):
    X = np.random.default_rng(0).normal([1.0, -5.0, 30.0], [1.0, 0.1, 9.0], size=(203, 3))
    np.savetxt(tmp_path / "X.csv", X)

    def chunks(n_rows=40):
        with open(tmp_path / "X.csv") as lines:
            while len(chunk := np.loadtxt(lines, ndmin=2, max_rows=n_rows)):
                yield chunk
                if len(chunk) < n_rows:
                    return

    model = DBNTransformer((6, 5), rbm=RBMTransformer(batch_size=20), random_state=0)
    for chunk in chunks():
        model.partial_fit(chunk)
    first = model.rbms_[0]
    assert first.n_iter_ == 6
    # Columns are standardised by all rows so far, however many came at a time.
    np.testing.assert_allclose(first._run.columns.shift, X.mean(axis=0))
    np.testing.assert_allclose(first._run.columns.scale, X.std(axis=0))
    other = clone(model)
    for chunk in chunks(50):
        other.partial_fit(chunk)
    np.testing.assert_allclose(other.rbms_[0]._run.columns.scale, first._run.columns.scale)
    assert np.isfinite(model.transform(X)).all()
