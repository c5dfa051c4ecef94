"""Deep Boltzmann machines and fine-tuned estimators on a cluster of two worker processes."""

import os

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from helpers.training import Callback
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

import sklearn_dbn.data._dask as _dask
from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

rng = np.random.default_rng(0)
GREY = rng.random((70, 8))
WEIGHT = rng.random(70) + 0.5
WEIGHT[[3, 40]] = 0


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    # Any free port, as another process may have a cluster too.
    here = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(processes=True, **here) as cluster:
        with distributed.Client(cluster) as client:
            yield client


def spread(X, chunks=(25, 25, 20)):
    return da.from_array(X, chunks=(chunks, X.shape[1]))


def template(**changes):
    return RBMTransformer(batch_size=20, n_iter=2).set_params(**changes)


def dbm(**changes):
    return DBMTransformer((5, 4, 3), rbm=template(), random_state=0).set_params(**changes)


def assert_close(fitted, expected):
    """The same parameters, means of units and chains, but for rounding."""
    run, other = fitted._run, expected._run
    for machine, same in ((run.machine, other.machine), (run.average, other.average)):
        for x, y in zip(machine.arrays(), same.arrays(), strict=True):
            np.testing.assert_allclose(x, y, 1e-8, 1e-10)
    for x, y in zip(run.activity, other.activity, strict=True):
        np.testing.assert_allclose(x, y, 1e-8)
    for of_layer, same in zip(fitted._statistics, expected._statistics, strict=True):
        np.testing.assert_allclose(of_layer.sums, same.sums, 1e-8, 1e-10)
    for units, same in zip(fitted.selected_units_, expected.selected_units_, strict=True):
        assert np.array_equal(units, same)


@pytest.mark.parametrize(
    "changes",
    [
        {"pretrain": None, "units": 4},
        {"pretrain": "first_layer", "inference": "single_pass", "unit_score": "variance"},
        {"pretrain": "doubled", "negative_phase": "partial_mean_field"},
        {"rbm__early_stopping": True, "rbm__validation_fraction": 0.2, "rbm__momentum": 0.5},
        {"rbm__centered": False, "rbm__sparsity_target": 0.2, "n_mean_field_steps": 0},
    ],
    ids=["none", "first layer", "doubled", "early stopping", "sparsity"],
)
def test_a_machine_is_that_of_one_process(client, changes):
    machine = dbm(**changes)
    expected = clone(machine).fit(GREY, sample_weight=WEIGHT)
    weight = da.from_array(WEIGHT, chunks=10)
    assert_close(clone(machine).fit(spread(GREY), sample_weight=weight), expected)


def test_a_machine_of_real_columns_with_gaps_chunk_after_chunk(client):
    X = np.where(GREY < 0.2, np.nan, 30 * GREY)
    expected, fitted = dbm(rbm__hidden="gaussian"), dbm(rbm__hidden="gaussian")
    assert_close(fitted.fit(spread(X, (1, 69))), expected.fit(X))
    expected, fitted = dbm(), dbm()
    for rows in (slice(0, 40), slice(40, 70)):
        expected.partial_fit(X[rows])
        fitted.partial_fit(spread(X[rows], ({40: (20, 20), 30: (29, 1)}[len(X[rows])])))
    assert_close(fitted, expected)


LABELS = np.where(GREY[:, 0] > 0.5, "high", np.where(GREY[:, 1] > 0.5, "wide", "low"))
SOME = np.where(np.arange(70) % 3, LABELS, None)
GAPS = np.where(GREY < 0.2, np.nan, GREY)


def dbn(**changes):
    return DBNTransformer((5, 4), rbm=template(), **changes)


def network(estimator):
    network = estimator._tuning.network
    return network.parameters() | network.input_means


def same_network(fitted, expected):
    """The same parameters, means of inputs, record and generator, but for rounding."""
    found = network(fitted)
    for name, x in network(expected).items():
        assert x.dtype == found[name].dtype
        np.testing.assert_allclose(found[name], x, 1e-8, 1e-9, err_msg=name)
    for name, values in expected.history_.items():
        np.testing.assert_allclose(fitted.history_[name], values, 1e-8)
    tuned = fitted.fine_tuned_transformer_, expected.fine_tuned_transformer_
    for machine, same in zip(*(transformer._stack for transformer in tuned), strict=True):
        for x, y in zip(machine.arrays(), same.arrays(), strict=True):
            np.testing.assert_allclose(x, y, 1e-8, 1e-9)


DEFAULTS = {"n_iter": 3, "batch_size": 20, "random_state": 0}


@pytest.mark.parametrize(
    ("X", "y", "weight", "changes"),
    [
        (GREY, LABELS, WEIGHT, {}),
        (GREY, SOME, None, {"unlabeled": "auto"}),
        (GREY, SOME, WEIGHT, {"unlabeled": "auto", "dropout": 0.2, "hidden_dropout": 0.3}),
        (GREY, LABELS, None, {"early_stopping": True, "validation_fraction": 0.2}),
        (GREY, LABELS, None, {"generative_weight": 0.1, "virtual_adversarial_eps": 0.1}),
        (GREY, SOME, WEIGHT, {"unlabeled": "auto", "generative_weight": 0.1, "max_norm": 1.5}),
        (GAPS, LABELS, None, {"transformer": dbm(random_state=None), "dropout": 0.1}),
        (GREY, LABELS, None, {"centered": False, "fine_tune": "head", "solver": "sgd"}),
        (GREY, LABELS, WEIGHT, {"solver": "lbfgs", "class_weight": "balanced"}),
    ],
    ids=[
        "defaults",
        "virtual adversarial",
        "dropout",
        "early stopping",
        "generative",
        "generative without labels",
        "top-down with gaps",
        "head",
        "all rows at once",
    ],
)
def test_a_classifier_is_that_of_one_process(client, X, y, weight, changes):
    model = DBNClassifier(dbn(), **DEFAULTS).set_params(**changes)
    expected = clone(model).fit(X, y, sample_weight=weight)
    y = da.from_array(y, chunks=30)
    weight = None if weight is None else da.from_array(weight, chunks=10)
    fitted = clone(model).fit(spread(X, (1, 40, 29)), y, sample_weight=weight)
    same_network(fitted, expected)
    # Computed on the workers.
    assert np.array_equal(fitted.predict(spread(X)).compute(), expected.predict(X))


def test_a_regressor_and_its_chunks_are_those_of_one_process(client):
    y = GREY[:, :2] @ [[1.0, -3.0], [2.0, 5.0]]
    model = DBNRegressor(dbn(), adversarial_eps=0.1, weight_decay=0.01, **DEFAULTS)
    expected, fitted = clone(model).fit(GREY, y), clone(model)
    same_network(fitted.fit(spread(GREY), da.from_array(y, chunks=30)), expected)
    for rows in (slice(0, 40), slice(20, 70)):
        expected.partial_fit(GREY[rows], y[rows])
        fitted.partial_fit(da.from_array(GREY[rows], chunks=15), y[rows])
    same_network(fitted, expected)


def test_a_frozen_generator_and_a_warm_start_on_the_cluster(client):
    frozen = FrozenEstimator(dbn(random_state=0).fit(GREY))
    model = DBNClassifier(frozen, warm_start=True, **DEFAULTS)
    expected, fitted = clone(model), clone(model)
    for _ in range(2):
        expected.fit(GREY, LABELS)
        fitted.fit(spread(GREY), LABELS)
    same_network(fitted, expected)
    with pytest.raises(ValueError, match="X has 7 features"):
        fitted.fit(spread(GREY[:, :7]), LABELS)


def test_layers_given_as_pretrained_on_the_cluster(client):
    frozen = FrozenEstimator(dbn(random_state=0).fit(GREY))
    model = DBNTransformer(pretrained=frozen, units=4)
    expected = clone(model).fit(1 - GREY, sample_weight=WEIGHT)
    fitted = clone(model).fit(spread(1 - GREY), sample_weight=WEIGHT)
    for of_layer, same in zip(fitted._statistics, expected._statistics, strict=True):
        np.testing.assert_allclose(of_layer.sums, same.sums, 1e-8, 1e-10)
    np.testing.assert_allclose(fitted.transform(GREY), expected.transform(GREY), 1e-8)


def test_automatic_minibatches_are_larger_on_the_cluster(client):
    generator = dbn(random_state=0).fit(GREY)
    for estimator, name in (
        (RBMTransformer(4, n_iter=1), "array"),
        (DBNClassifier(FrozenEstimator(generator), n_iter=1), "labels"),
    ):
        y = None if name == "array" else LABELS
        assert clone(estimator).fit(GREY, y).batch_size_ == 10
        assert clone(estimator).fit(spread(GREY), y).batch_size_ == 50


def test_frames_and_series_are_their_values(client):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(GREY, columns=list("abcdefgh")).assign(y=LABELS, w=WEIGHT)
    spread_out = dd.from_pandas(frame, npartitions=3)
    model, columns = DBNClassifier(dbn(), **DEFAULTS), list("abcdefgh")
    expected = clone(model).fit(frame[columns], frame["y"], sample_weight=frame["w"])
    fitted = clone(model).fit(
        spread_out[columns], spread_out["y"], sample_weight=spread_out["w"]
    )
    same_network(fitted, expected)
    assert fitted.feature_names_in_.tolist() == columns
    assert fitted.transformer_.feature_names_in_.tolist() == columns
    with pytest.raises(ValueError, match="feature names"):
        clone(model).set_params(transformer=FrozenEstimator(fitted.transformer_)).fit(
            spread_out[columns[::-1]], LABELS
        )


class Loses(Callback):
    """Calls a function at the end of the second pass."""

    def __init__(self, lose):
        self.lose = lose

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            self.lose()


def kills(client):
    """A callback that ends a worker process; its nanny starts another one."""

    def kill():
        worker = next(iter(client.scheduler_info()["workers"]))
        client.run(os._exit, 1, workers=[worker], on_error="ignore")

    return Loses(kill)


def test_a_killed_worker_does_not_end_the_training_of_a_machine(client):
    machine = dbm(pretrain=None, rbm__n_iter=4)
    expected = clone(machine).fit(GREY)
    assert_close(clone(machine).set_callbacks(kills(client)).fit(spread(GREY)), expected)
    client.wait_for_workers(2, timeout=60)


def test_a_killed_worker_does_not_end_the_training_of_a_classifier(client):
    frozen = FrozenEstimator(dbm().fit(GREY))
    model = DBNClassifier(frozen, **DEFAULTS).set_params(n_iter=4)
    expected = clone(model).fit(GREY, LABELS)
    same_network(clone(model).set_callbacks(kills(client)).fit(spread(GREY), LABELS), expected)
    client.wait_for_workers(2, timeout=60)


def test_inputs_that_the_cluster_lost_are_computed_again(client, monkeypatch):
    frozen = FrozenEstimator(dbm().fit(GREY))
    model = DBNClassifier(frozen, **DEFAULTS)
    expected, mapped, held = clone(model).fit(GREY, LABELS), _dask.Partitions.mapped, []

    def keep(self, *args):
        held.extend([self, mapped(self, *args)])
        return held[-1]

    def lose():
        for parts in held:
            client.cancel(parts.blocks)

    monkeypatch.setattr(_dask.Partitions, "mapped", keep)
    callback = Loses(lose)
    same_network(clone(model).set_callbacks(callback).fit(spread(GREY), LABELS), expected)
    assert held[1].n_losses
