"""Deep Boltzmann machines and fine-tuned estimators on a cluster of two worker processes."""

import os

import dask.array as da
import numpy as np
import pytest
from helpers.training import Callback
from sklearn.base import clone

from sklearn_dbn import DBMTransformer, RBMTransformer

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


class Kills(Callback):
    """Ends a worker process after the first pass; its nanny starts another one."""

    def __init__(self, client):
        self.client = client

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            worker = next(iter(self.client.scheduler_info()["workers"]))
            self.client.run(os._exit, 1, workers=[worker], on_error="ignore")


def test_a_killed_worker_does_not_end_the_training_of_a_machine(client):
    machine = dbm(pretrain=None, rbm__n_iter=4)
    expected = clone(machine).fit(GREY)
    assert_close(clone(machine).set_callbacks(Kills(client)).fit(spread(GREY)), expected)
    client.wait_for_workers(2, timeout=60)
