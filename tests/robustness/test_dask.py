"""A cluster of two worker processes: searches, and the training of one generator."""

import os
import sys
from concurrent.futures import CancelledError

import dask.array as da
import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import exact
from helpers.counting import FOLDER, CountedRBM
from helpers.training import Callback
from scipy.special import logit
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import sklearn_dbn.data._dask as _dask
import sklearn_dbn.data._gaps as _gaps
import sklearn_dbn.data._rows as _rows
from sklearn_dbn import (
    DBMTransformer,
    DBNTransformer,
    RBMTransformer,
    layer_subsets,
)
from sklearn_dbn._random import RowStream, Stream
from sklearn_dbn.data import Moments
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.samplers._chains import stack
from sklearn_dbn.selection import UnitStatistics
from sklearn_dbn.units import UNITS

rng = np.random.default_rng(0)
GREY = rng.random((70, 8))
REAL = GREY * 30 - 7
WEIGHT = rng.random(70) + 0.5
digits, labels = load_digits(return_X_y=True)
digits, labels = digits[:90] / 16, labels[:90]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where `CountedRBM` leaves a file for each training, in all processes."""
    folder = tmp_path_factory.mktemp("counted")
    with pytest.MonkeyPatch.context() as patch:
        # Before the workers start, which have this environment.
        patch.setenv(FOLDER, str(folder))
        yield folder


@pytest.fixture(scope="module")
def client(folder):
    distributed = pytest.importorskip("distributed")
    # Any free port, as another process may have a cluster too.
    here = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(processes=True, **here) as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.fixture
def count(folder):
    """How many machines were trained since the test began, in all processes."""
    before = len(list(folder.iterdir()))
    return lambda: len(list(folder.iterdir())) - before


def spread(X, chunks=(25, 25, 20)):
    return da.from_array(X, chunks=(chunks, X.shape[1]))


def rbm(**changes):
    return RBMTransformer(5, batch_size=20, random_state=0).set_params(**changes)


def equal(fitted, expected, rtol=1e-10):
    """The same parameters, chains and history, but for rounding."""
    for run, other in zip(fitted._runs, expected._runs, strict=True):
        for machine, same in ((run.machine, other.machine), (run.average, other.average)):
            for x, y in zip(machine.arrays(), same.arrays(), strict=True):
                assert x.dtype == y.dtype
                np.testing.assert_allclose(x, y, rtol, rtol)
        chains = run.chains.states[0], other.chains.states[0]
        np.testing.assert_allclose(*chains, rtol, rtol)
        for name, values in other.history.items():
            np.testing.assert_allclose(run.history[name], values, rtol)


@pytest.mark.parametrize(
    ("X", "changes"),
    [
        (GREY, {}),
        (GREY > 0.5, {"momentum": 0.5, "sparsity_target": 0.2, "n_gibbs_steps": 2}),
        (GREY, {"sample_inputs": False, "centered": False}),
        (REAL, {}),
        (GREY, {"hidden": "gaussian"}),
    ],
    ids=["grey", "sparsity and momentum", "means, not centred", "gaussian", "gaussian hidden"],
)
def test_workers_train_what_one_process_trains_on_the_same_rows(client, X, changes):
    X = X.astype(float)
    expected, fitted = rbm(**changes), rbm(**changes)
    for part in (slice(0, 45), slice(45, 70)):
        expected.partial_fit(X[part], sample_weight=WEIGHT[part])
        chunks = {45: (25, 20), 25: (1, 24)}[len(X[part])]
        fitted.partial_fit(
            spread(X[part], chunks), sample_weight=da.from_array(WEIGHT[part], chunks=10)
        )
    equal(fitted, expected)


def test_a_stack_is_the_stack_of_one_process(client):
    dbn = DBNTransformer((5, 4), rbm=rbm(n_iter=2), layers="all", units=6, random_state=0)
    expected, fitted = clone(dbn).fit(GREY), clone(dbn).fit(spread(GREY))
    equal(fitted, expected)
    for _ in range(2):
        expected.partial_fit(GREY)
        fitted.partial_fit(spread(GREY))
    equal(fitted, expected)
    for units, same in zip(fitted.selected_units_, expected.selected_units_, strict=True):
        assert np.array_equal(units, same)
    np.testing.assert_allclose(fitted.transform(GREY), expected.transform(GREY), 1e-10)


def test_a_frame_of_numbers_is_the_array_of_its_values(client):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(GREY, columns=list("abcdefgh")).assign(b=GREY[:, 1] > 0.5)
    frame["c"] = pd.Series(GREY[:, 2] > 0.3, dtype="Int64").mask(GREY[:, 2] < 0.1)
    numbers = frame.astype(float).to_numpy()
    dbn = DBNTransformer((5, 4), rbm=rbm(n_iter=2), random_state=0)
    for estimator in (rbm(n_iter=2), dbn):
        fitted = clone(estimator).fit(dd.from_pandas(frame, npartitions=3))
        equal(fitted, clone(estimator).fit(numbers))
        assert fitted.feature_names_in_.tolist() == list(frame)
        assert fitted.sample(2, n_gibbs_steps=2).dtypes.equals(frame.dtypes)
        with pytest.raises(ValueError, match="feature names"):
            fitted.partial_fit(dd.from_pandas(frame[frame.columns[::-1]], npartitions=2))
    single = dd.from_pandas(frame[["a", "d"]].astype("float32"), npartitions=2)
    assert rbm().partial_fit(single).components_.dtype == np.float32
    for column, message in (
        ("x", r"DataFrame with String in column 'h'.*X\.compute\(\)"),
        (pd.Timestamp("2020"), "X has dates in column 'h'"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            rbm().fit(dd.from_pandas(frame.assign(h=column), npartitions=2))


def test_single_precision_stays_single(client):
    X = GREY.astype(np.float32)
    equal(rbm().partial_fit(spread(X)), rbm().partial_fit(X), rtol=1e-4)


def test_the_partitions_do_not_change_the_result(client):
    X = np.where(GREY < 0.3, np.nan, GREY)
    expected = rbm(n_iter=2, early_stopping=True, validation_fraction=0.2).fit(X)
    columns_apart = da.from_array(X, chunks=(30, 3))
    # A partition without rows, and unknown lengths.
    unknown = da.concatenate([spread(X)[:25], spread(X)])
    unknown = unknown[da.concatenate([da.zeros(25), da.ones(70)]) > 0]
    kept = client.persist(spread(X, (1, 69)))
    # Rows of one partition are bits, and are drawn for as those of the others are.
    mixed = np.where(GREY < 0.5, 0, GREY)
    mixed[:25] = mixed[:25] > 0
    sparse = spread(mixed).map_blocks(sp.csr_array)
    for other in (columns_apart, kept, unknown):
        equal(clone(expected).fit(other), expected)
    dbn = DBNTransformer((5, 4), rbm=rbm(batch_size=35), random_state=0)
    equal(clone(dbn).partial_fit(sparse), clone(dbn).partial_fit(mixed))


@pytest.mark.parametrize("kept", [1 << 20, 0])
def test_gaps_are_drawn_for_as_in_one_process(client, kept, monkeypatch):
    monkeypatch.setattr(_gaps, "_KEPT", kept)
    X = np.where(GREY < 0.3, np.nan, GREY)
    # Some batches have no gap, and some parts of others.
    X[:60:2], X[40:60] = GREY[:60:2], GREY[40:60]
    sparse = np.where(GREY > 0.6, 0, X)
    for data, chunked in ((X, spread(X)), (sparse, spread(sparse).map_blocks(sp.csr_array))):
        dbn = DBNTransformer((5, 4), rbm=rbm(n_iter=3, batch_size=4), random_state=0)
        expected, fitted = clone(dbn).fit(data), clone(dbn).fit(chunked)
        equal(fitted, expected)
    normal = rbm(n_iter=3, visible="gaussian")
    equal(clone(normal).fit(spread(X)), clone(normal).fit(X))
    X[:, 2] = np.nan
    with pytest.warns(UserWarning, match="no observed value in column 2"):
        clone(normal).fit(spread(X))


def test_large_data_are_dealt_as_in_one_process(client, monkeypatch):
    monkeypatch.setattr(_rows, "_SHUFFLED_WHOLE", 2 << 10)
    monkeypatch.setattr(_rows, "_WINDOW", 2 << 10)
    monkeypatch.setattr(_rows, "_SHUFFLED_BLOCK", 256)
    equal(rbm(batch_size=10).partial_fit(spread(GREY)), rbm(batch_size=10).partial_fit(GREY))


def test_a_file_is_read_by_the_workers_that_train(client, tmp_path):
    np.save(tmp_path / "X.npy", GREY)
    X = da.from_array(np.load(tmp_path / "X.npy", mmap_mode="r"), chunks=(35, 8))
    equal(rbm().partial_fit(X), rbm().partial_fit(GREY))


def test_a_partition_at_a_time(client):
    X = client.persist(spread(GREY))
    expected, fitted = (
        DBNTransformer((5, 4), rbm=rbm(n_iter=1), random_state=0) for _ in range(2)
    )
    for block in X.blocks:
        fitted.partial_fit(block.compute())
    for part in np.split(GREY, [25, 50]):
        expected.partial_fit(part)
    np.testing.assert_allclose(fitted.transform(GREY), expected.transform(GREY), 1e-10)


def test_features_of_partitions(client):
    fitted = DBNTransformer((5, 4), rbm=rbm(n_iter=1), random_state=0).fit(spread(GREY))
    H = fitted.transform(spread(GREY))
    np.testing.assert_allclose(H.compute(), fitted.transform(GREY), rtol=1e-12)


def test_a_training_on_the_cluster_is_kept_and_found_again(client, count, tmp_path):
    template = CountedRBM(n_iter=1)
    dbn = DBNTransformer((5, 4), rbm=template, memory=str(tmp_path), random_state=0)
    first = clone(dbn).fit(spread(GREY))
    assert count() == 2
    again = clone(dbn).fit(client.persist(spread(GREY)))
    assert count() == 2
    assert np.array_equal(first.transform(GREY), again.transform(GREY))
    clone(dbn).fit(spread(GREY * 0.5))
    assert count() == 4


class Lost:
    """A client that loses workers: some answers, and what was sent before, are cancelled."""

    def __init__(self, client, calls):
        self.client, self.calls, self.n_calls, self.sent = client, calls, 0, []

    def __getattr__(self, name):
        return getattr(self.client, name)

    def scatter(self, x, **how):
        self.sent.append(self.client.scatter(x, **how))
        return self.sent[-1]

    def gather(self, futures):
        self.n_calls += 1
        if self.n_calls in self.calls:
            self.client.cancel(self.sent)
            self.sent.clear()
            raise CancelledError("lost dependencies")
        return self.client.gather(futures)


@pytest.mark.parametrize("calls", [[1, 2], [5], [11, 12], [15], [20], range(6, 60, 2)])
def test_lost_results_are_computed_again(client, monkeypatch, calls):
    template = DBNTransformer((5, 4), rbm=rbm(n_iter=2), random_state=0)
    expected = clone(template).fit(GREY)
    partitions = _dask.Partitions.__init__

    def lose(self, client, load):
        partitions(self, Lost(client, calls), load)

    monkeypatch.setattr(_dask.Partitions, "__init__", lose)
    equal(clone(template).fit(spread(GREY)), expected)


def test_repeated_loss_of_workers_ends_the_training_with_one_sentence(client, monkeypatch):
    fitted = rbm().fit(GREY)
    monkeypatch.setattr(Lost, "gather", lambda self, futures: self.client.gather(cancelled()))
    partitions = _dask.Partitions.__init__

    def lose(self, client, load):
        partitions(self, client, load)
        self.client = Lost(client, ())

    def cancelled():
        future = client.scatter(1)
        client.cancel(future)
        return [future]

    monkeypatch.setattr(_dask.Partitions, "__init__", lose)
    message = "^Workers of the dask cluster were lost 3 times in a row .*give them more memory"
    refused(lambda: fitted.partial_fit(spread(GREY)), RuntimeError, message, fitted)


class Loses(Callback):
    """Takes rows from the cluster at the end of a pass, or a worker."""

    def __init__(self, lose):
        self.lose = lose

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            self.lose()


def test_rows_that_the_cluster_lost_are_loaded_again(client, monkeypatch):
    expected = rbm(n_iter=4).fit(GREY)
    partitions, held = _dask.Partitions.__init__, []

    def keep(self, *args):
        partitions(self, *args)
        held.append(self)

    monkeypatch.setattr(_dask.Partitions, "__init__", keep)
    callback = Loses(lambda: client.cancel(held[0].blocks))
    equal(rbm(n_iter=4).set_callbacks(callback).fit(spread(GREY)), expected)
    assert held[0].n_losses


def test_a_killed_worker_does_not_end_the_training(client):
    expected = rbm(n_iter=4).fit(GREY)

    def kill():
        # Its nanny starts another one.
        worker = next(iter(client.scheduler_info()["workers"]))
        client.run(os._exit, 1, workers=[worker], on_error="ignore")

    callback = Loses(kill)
    equal(rbm(n_iter=4).set_callbacks(callback).fit(spread(GREY)), expected)
    client.wait_for_workers(2, timeout=60)


def refused(call, error, match, fitted):
    before = dict(vars(fitted))
    with pytest.raises(error, match=match):
        call()
    assert all(vars(fitted)[name] is value for name, value in before.items())


def test_what_needs_all_rows_is_refused_by_one_sentence(client):
    X = spread(GREY)
    fitted = rbm().fit(GREY)
    refused_samplers = [x for x in SAMPLERS if not SAMPLERS[x].independent_of_rows]
    assert {"cd", "tempering"} <= set(refused_samplers)
    for sampler in refused_samplers:
        fitted.set_params(sampler=sampler)
        refused(
            lambda: fitted.partial_fit(X), ValueError, "sampler=.*set sampler='pcd'", fitted
        )
    fitted.set_params(sampler="pcd")
    refused(
        lambda: fitted.conditional_proba(X, 0), TypeError, "X is a dask Array, which", fitted
    )
    wide = da.from_array(np.ones((30, 9)), chunks=10)
    refused(lambda: fitted.partial_fit(wide), ValueError, "9 features.*expecting 8", fitted)
    none = X[X[:, 0] > 2]
    refused(lambda: fitted.partial_fit(none), ValueError, "X has 0 rows in all", fitted)
    bad = GREY.copy()
    bad[60, 2] = 3
    message = "X has 3 in column 2, and visible='auto' gave bernoulli units at the first call"
    refused(lambda: fitted.partial_fit(spread(bad)), ValueError, message, fitted)
    bad[60, 2] = 1e200
    refused(lambda: fitted.partial_fit(spread(bad)), ValueError, "value beyond", fitted)
    bad[60, 2] = np.inf
    refused(lambda: fitted.partial_fit(spread(bad)), ValueError, "contains infinity", fitted)
    dbm = DBMTransformer((4, 3), pretrain_rbm=rbm(sampler="cd"), random_state=0)
    refused(lambda: dbm.fit(X), ValueError, "sampler='cd' needs the rows", dbm)
    dbn = DBNTransformer((4, 3), rbm=rbm(n_iter=1), units=SelectKBest(k=2)).set_params(units=2)
    dbn.fit(GREY).set_params(units=SelectKBest(k=2))
    message = r"units=.*stay on its workers: set units to a number.*X\.compute\(\)"
    refused(lambda: dbn.fit(X, labels[:70]), ValueError, message, dbn)


def no_cluster():
    raise ValueError("No clients found")


@pytest.mark.parametrize("missing", ["cluster", "distributed"])
def test_without_a_cluster_the_rows_are_not_loaded(missing, monkeypatch):
    if missing == "distributed":
        monkeypatch.setitem(sys.modules, "distributed", None)
    else:
        # That of the other tests may still be there.
        monkeypatch.setattr("distributed.Client.current", no_cluster)
    with pytest.raises(TypeError, match=r"call partial_fit.*start a distributed\.Client"):
        rbm().partial_fit(spread(GREY))


@pytest.fixture
def search(tmp_path):
    dbn = DBNTransformer(
        (6, 5), rbm=CountedRBM(n_iter=2), memory=str(tmp_path / "cache"), random_state=0
    )
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=200))
    grid = {"dbntransformer__layers": layer_subsets(2), "logisticregression__C": [0.1, 1]}
    return GridSearchCV(pipe, grid, cv=3)


def test_a_search_on_the_cluster_is_the_serial_search(client, search, count, tmp_path):
    with joblib.parallel_config("dask"):
        spread_out = clone(search).fit(digits, labels)
    # Each layer once for each fold and once for all rows, over all processes.
    assert count() == 2 * (3 + 1)
    serial = clone(search).set_params(
        estimator__dbntransformer__memory=str(tmp_path / "another")
    )
    # Workers have one BLAS thread each.
    with threadpool_limits(1, user_api="blas"):
        serial.fit(digits, labels)
    for name, scores in serial.cv_results_.items():
        if name.endswith("test_score"):
            assert np.array_equal(scores, spread_out.cv_results_[name])
    assert spread_out.best_params_ == serial.best_params_


def test_an_error_in_a_worker_of_a_search_is_reported(client, search):
    search.set_params(estimator__dbntransformer__rbm__learning_rate=1e30, error_score="raise")
    with joblib.parallel_config("dask"), pytest.raises(ValueError, match=r"1e\+30 diverged"):
        search.fit(digits, labels)


def test_progress_of_a_search_on_the_cluster(client, search, capsys):
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    with joblib.parallel_config("dask"):
        search.fit(digits, labels)
    shown = capsys.readouterr().out
    assert "DBNTransformer - layer 1 | CountedRBM - fit" in shown
    assert "100%" in shown


def parts_of(n_rows, n_parts=3):
    """Rows divided among a few parts, one of which has none."""
    owner = np.random.default_rng(1).integers(n_parts, size=n_rows)
    return [np.flatnonzero(owner == i) for i in range(n_parts + 1)]


def test_rows_of_a_batch_get_their_draws_wherever_they_are():
    p = np.random.default_rng(0).random((11, 3))
    draws = ("bernoulli", "bernoulli_logit", "normal")
    whole = Stream(0)
    expected = [getattr(whole, draw)(p.copy()) for draw in draws]
    after = whole.permutation(9)
    for places in parts_of(11):
        stream = Stream(0)
        share = RowStream(stream, 11, places)
        for draw, values in zip(draws, expected, strict=True):
            assert np.array_equal(getattr(share, draw)(p[places]), values[places])
        # The stream has moved on for the rows of the others too.
        assert np.array_equal(stream.permutation(9), after)


@pytest.mark.parametrize("kind", exact.KINDS)
def test_a_gradient_is_the_sum_of_those_of_its_parts_and_centred_later(kind):
    machine = exact.make_machine(*exact.KINDS[kind])
    rng = np.random.default_rng(0)
    x = [rng.random((11, par.shape[1])) for par in machine.par]
    weight, total = rng.random(11), 0.0
    push = [0 * x[0][0], *(rng.normal(size=y.shape[1]) for y in x[1:])]
    offsets = [rng.random(y.shape[1]) for y in x]
    if machine.units[0].name == "gaussian":
        offsets[0] *= 0
    nothing = [y[:0] for y in x]
    pushed = [y + up for y, up in zip(x, push, strict=True)]
    expected = machine.gradient(stack(pushed, nothing), weight, offsets)
    sums = machine.map(lambda y: 0 * y)
    for rows in parts_of(11):
        states = stack([y[rows] for y in x], nothing)
        part = machine.gradient(states, weight[rows], [0 * mu for mu in offsets])
        sums, total = sums.map(np.add, part), total + weight[rows].sum()
    sums = machine.centred(sums, total, push, offsets)
    for step in (sums, expected):
        machine.precondition(step, offsets)
    for y, same in zip(sums.arrays(), expected.arrays(), strict=True):
        np.testing.assert_allclose(y, same, atol=1e-12)


def test_moments_and_statistics_of_parts_merge_to_those_of_all_rows():
    unit, weight = UNITS["bernoulli"], WEIGHT
    bias = np.zeros((1, 8))

    def of(rows):
        moments, statistics = Moments(8), UnitStatistics(8)
        moments.add(GREY[rows], weight[rows])
        statistics.add(unit, bias, logit(GREY[rows]), weight[rows])
        return moments, statistics

    whole = of(np.arange(70))
    merged = [total.empty() for total in whole]
    for rows in parts_of(70):
        for total, part in zip(merged, of(rows), strict=True):
            total.merge(part)
    for name in ("count", "mean", "var"):
        np.testing.assert_allclose(getattr(merged[0], name), getattr(whole[0], name))
    np.testing.assert_allclose(merged[1].sums, whole[1].sums)
    assert merged[1].weight == pytest.approx(whole[1].weight)
