"""Trainings that stop where the likelihood of held-out rows does."""

import copy

import numpy as np
import pytest
from helpers import exact
from helpers.counting import CountedRBM
from helpers.training import Callback, make_settings, train
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.likelihood import exact_log_partition
from sklearn_dbn.machine import Machine
from sklearn_dbn.training import rows_to_record, start
from sklearn_dbn.training._early_stopping import EarlyStopping
from sklearn_dbn.training._held_out import begin_early_stopping
from sklearn_dbn.units import UNITS

KINDS = exact.KINDS | exact.DEEP_KINDS
GREY = load_digits().data / 16
BITS = (GREY > 0.5).astype(float)
# 80 rows to train on, 20 to stop by, and more passes than are good for them.
FEW = {"n_components": 12, "n_iter": 200, "learning_rate": 0.3, "validation_fraction": 0.2}
NAME = "validation_log_likelihood"


def held_out(machine, missing, log_scale=0.0, n_rows=1000):
    """Rows of ``machine`` that are held out of the training of units without weights."""
    base = Machine(machine.units, machine.par, [0 * W for W in machine.W])
    rng = np.random.default_rng(2)
    v, weight = exact.sample(machine, n_rows, rng)[0], rng.random(n_rows)
    missing = rng.random(v.shape) < 0.4 if missing else None
    log_scale = np.full(v.shape[1], log_scale)
    given = v if missing is None else np.where(missing, np.nan, v)
    stopping = EarlyStopping(3, given, missing, weight / weight.sum(), log_scale, Stream(0))
    stopping._start(base)
    return stopping, base, given, weight


def moved(stopping, old, new):
    assert stopping._follow(old, new)
    return stopping.log_likelihood()


@pytest.mark.slow
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_is_that_of_what_is_known_of_the_rows(kind, missing, monkeypatch):
    monkeypatch.setattr("sklearn_dbn.training._early_stopping._N_CHAINS", 10_000)
    first, second = (exact.make_machine(*KINDS[kind], scale=0.4, seed=i) for i in (0, 1))
    stopping, base, v, weight = held_out(first, missing)
    log_p = exact.log_p_of_known if missing else exact.log_p
    for old, new in ((base, first), (first, second)):
        found, expected = moved(stopping, old, new), np.average(log_p(new, v), weights=weight)
        assert found == pytest.approx(expected, abs=0.06)


def test_the_scale_of_the_columns_counts_where_an_entry_is_known():
    machine = exact.make_machine(*KINDS["gaussian-bernoulli"])
    for missing in (False, True):
        plain, base, v, weight = held_out(machine, missing)
        scaled, *_ = held_out(machine, missing, log_scale=2.0)
        known = np.average((~np.isnan(v)).sum(axis=1), weights=weight)
        difference = moved(plain, base, machine) - moved(scaled, base, machine)
        assert difference == pytest.approx(2 * known)


@pytest.mark.slow
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_over_a_whole_training_it_stays_within_tenths_of_a_nat(visible):
    unit = UNITS[visible]
    X = BITS if visible == "bernoulli" else load_wine().data
    rows, settings = Rows(X, np.ones(len(X)), Columns(unit)), make_settings(learning_rate=0.03)
    units, sizes = (unit, UNITS["bernoulli"]), [X.shape[1], 16]
    run = start(units, [(n,) for n in sizes], rows, settings, 10, Stream(0))
    held = rows.hold_out(0.1, run.rng)
    recorded = rows_to_record(run, rows, held)
    begin_early_stopping(run, rows, held, 100)
    expected = []
    for _ in train(run, rows, settings, 30, recorded):
        machine = run.average
        free = machine.free_energy([rows.means(held), None])
        log_p = -free.mean() - exact_log_partition(machine) - run.log_scale().sum()
        expected.append(log_p)
    error = np.array(run.history[NAME]) - expected
    assert np.abs(error).max() < 0.5
    assert np.abs(error - error[0]).max() < 0.5
    # The training itself moves by much more.
    assert np.ptp(expected) > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_few_rows_are_better_modelled_by_the_machine_that_stopped(seed):
    X, others = BITS[:100], BITS[100:]
    whole = RBMTransformer(**FEW, random_state=seed).fit(X)
    stopped = clone(whole).set_params(early_stopping=True).fit(X)
    assert stopped.n_iter_ < 100
    assert stopped.score(others) > whole.score(others) + 0.5


def test_the_machine_is_the_average_after_the_best_pass():
    rbm = RBMTransformer(**FEW, learning_rate_schedule="constant", random_state=0)
    stopped = clone(rbm).set_params(early_stopping=True, n_iter_no_change=4).fit(BITS[:100])
    history = stopped.history_[NAME]
    best = int(np.argmax(history))
    assert len(history) == stopped.n_iter_ == best + 1 + 4
    # The way is that of a training which is not stopped.
    plain = rbm.set_params(n_iter=best + 1).fit(BITS[:100])
    assert NAME not in plain.history_
    for x, y in zip(
        [*stopped._run.average.arrays(), *stopped._run.machine.arrays()],
        [*plain._run.average.arrays(), *plain._run.machine.arrays()],
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(stopped.components_, plain.components_)
    assert stopped._run.stopping is None


def test_a_training_that_still_improves_is_not_stopped():
    rbm = RBMTransformer(16, n_iter=4, early_stopping=True, random_state=0).fit(BITS)
    assert rbm.n_iter_ == 4
    assert np.argmax(rbm.history_[NAME]) == 3


def test_a_tenth_is_held_out_where_no_share_is_given():
    fitted = [
        RBMTransformer(
            4, n_iter=1, early_stopping=True, validation_fraction=x, random_state=0
        ).fit(BITS[:100])
        for x in (0.0, 0.1, 0.3)
    ]
    assert fitted[0].history_ == fitted[1].history_ != fitted[2].history_
    assert "free_energy_gap" in fitted[0].history_


def test_rows_of_weight_zero_do_not_change_early_stopping():
    X, weight = BITS[:100].copy(), np.ones(100)
    weight[::2] = 0
    rbm = RBMTransformer(8, n_iter=3, early_stopping=True, random_state=0)
    first = clone(rbm).fit(X, sample_weight=weight)
    X[::2] = 1 - X[::2]
    assert first.history_ == clone(rbm).fit(X, sample_weight=weight).history_


def test_training_goes_on_from_the_best_pass():
    rbm = RBMTransformer(**FEW, early_stopping=True, warm_start=True, random_state=0)
    rbm.fit(BITS[:100])
    before, n_before = rbm.components_.copy(), rbm.n_iter_
    rbm.set_params(learning_rate=1e-12, n_iter=3).fit(BITS[:100])
    assert rbm.n_iter_ == n_before + 3
    assert len(rbm.history_[NAME]) == rbm.n_iter_
    # An average moves towards the parameters of that pass, not of the last one.
    assert np.linalg.norm(rbm.components_ - before) < 0.1 * np.linalg.norm(before)
    rbm.partial_fit(BITS[:50])
    assert np.isnan(rbm.history_[NAME][-1])


@pytest.mark.slow
@pytest.mark.parametrize("data", ["bits", "real", "gaps"])
@pytest.mark.parametrize("kind", [DBNTransformer, DBMTransformer])
def test_stacks_record_a_likelihood_of_each_pass(kind, data):
    X = GREY * 30 if data == "real" else BITS
    if data == "gaps":
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    rbm = RBMTransformer(n_iter=5, early_stopping=True)
    model = kind((6, 4), rbm=rbm, random_state=0).fit(X)
    histories = model.history_ if kind is DBNTransformer else [model.history_]
    for history in histories:
        assert len(history[NAME]) == 5
        assert np.isfinite(history[NAME]).all()
    seen = model.rbms_[0] if kind is DBNTransformer else model
    assert histories[0][NAME][-1] == pytest.approx(seen.score(X[::5]), rel=0.1)
    assert all(run.stopping is None for run in model._runs)


def test_each_layer_of_a_stack_is_stopped_on_its_own():
    rbm = RBMTransformer(**FEW, early_stopping=True, n_iter_no_change=3)
    dbn = DBNTransformer((12, 8), rbm=rbm, random_state=1).fit(BITS[:100])
    assert all(3 < layer.n_iter_ < 200 for layer in dbn.rbms_)
    assert dbn.rbms_[0].n_iter_ != dbn.rbms_[1].n_iter_


def test_a_joint_training_is_stopped_by_its_template():
    rbm = RBMTransformer(**FEW, early_stopping=True, n_iter_no_change=3)
    before = RBMTransformer(n_iter=3)
    dbm = DBMTransformer((12, 8), rbm=rbm, pretrain_rbm=before, random_state=0)
    dbm.fit(BITS[:100])
    assert dbm.n_iter_ < 200
    assert dbm.n_iter_ == np.argmax(dbm.history_[NAME]) + 1 + 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", [RBMTransformer, DBNTransformer, DBMTransformer])
def test_a_stopped_training_is_complete_and_is_cached(kind, tmp_path, count):
    rbm = CountedRBM(**FEW, early_stopping=True, n_iter_no_change=3)
    asked = {"memory": str(tmp_path), "random_state": 0}
    if kind is not RBMTransformer:
        model = kind((12, 8), rbm=rbm, **asked)
    else:
        model = rbm.set_params(**asked)
    first = clone(model).fit(BITS[:100])
    trained = count()
    again = clone(model).fit(BITS[:100])
    assert count() == 0
    assert trained == {RBMTransformer: 1, DBNTransformer: 2, DBMTransformer: 0}[kind]
    assert len(list(tmp_path.rglob("*.part*"))) == 0
    np.testing.assert_array_equal(first.transform(BITS), again.transform(BITS))
    assert first.n_iter_ if kind is not DBNTransformer else True


class Stop(Callback):
    """Stops after a number of passes, or raises an error there."""

    def __init__(self, after, error=None):
        self.after, self.error, self.n = after, error, 0

    def on_fit_task_end(self, estimator, context):
        self.n += context.task_name == "epoch"
        if self.n == self.after and context.task_name == "epoch":
            if self.error is not None:
                raise self.error
            return True
        return False


def test_a_callback_that_stops_leaves_the_best_pass_and_nothing_in_memory(tmp_path):
    rbm = RBMTransformer(**FEW, early_stopping=True, memory=str(tmp_path), random_state=0)
    rbm.set_callbacks(Stop(3)).fit(BITS[:100])
    assert rbm.n_iter_ == 3
    assert rbm._run.stopping is None
    whole = RBMTransformer(**FEW, early_stopping=True, memory=str(tmp_path), random_state=0)
    assert whole.fit(BITS[:100]).n_iter_ > 3


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("after", [3, "last"])
def test_a_training_that_was_cut_short_ends_with_the_same_bits(tmp_path, after, gaps):
    X = BITS[:100]
    if gaps:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    rbm = RBMTransformer(**FEW, early_stopping=True, random_state=0)
    expected = clone(rbm).fit(X)
    after = expected.n_iter_ if after == "last" else after
    rbm.set_params(memory=str(tmp_path))
    with pytest.raises(RuntimeError):
        clone(rbm).set_callbacks(Stop(after, RuntimeError())).fit(X)
    found = clone(rbm).fit(X)
    assert found.history_ == expected.history_
    for x, y in zip(found._run.machine.arrays(), expected._run.machine.arrays(), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(found.components_, expected.components_)


def test_an_interrupted_training_keeps_its_best_pass():
    rbm = RBMTransformer(**FEW, early_stopping=True, random_state=0)
    with pytest.raises(KeyboardInterrupt, match="keeps the 5 whole passes"):
        rbm.set_callbacks(Stop(5, KeyboardInterrupt())).fit(BITS[:100])
    assert rbm.n_iter_ == 5
    assert rbm._run.stopping is None


def test_early_stopping_needs_a_held_out_row():
    rbm = RBMTransformer(4, early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match="early_stopping=True needs a row to train on"):
        rbm.fit(BITS[:1])
    rbm.set_params(n_iter=2).fit(BITS[:2])
    assert np.isfinite(rbm.history_[NAME]).all()


def test_no_pass_and_single_chunks_stop_nothing():
    rbm = RBMTransformer(4, n_iter=0, early_stopping=True, random_state=0).fit(BITS[:20])
    assert rbm.history_ == {}
    assert NAME not in rbm.partial_fit(BITS[:20]).history_


def test_single_precision_stays_single():
    rbm = RBMTransformer(6, n_iter=3, early_stopping=True, random_state=0)
    rbm.fit(GREY[:100].astype(np.float32))
    assert {x.dtype for x in rbm._run.average.arrays()} == {np.dtype(np.float32)}


def test_a_copy_of_a_run_is_not_moved_with_it():
    X = BITS[:60]
    rows, settings = Rows(X, np.ones(60), Columns(UNITS["bernoulli"])), make_settings()
    run = start((UNITS["bernoulli"],) * 2, [(64,), (5,)], rows, settings, 5, Stream(0))
    held = rows.hold_out(0.2, run.rng)
    recorded = rows_to_record(run, rows, held)
    begin_early_stopping(run, rows, held, 10)
    for _ in train(run, rows, settings, 2, recorded):
        pass
    apart = run.copy()
    before = copy.deepcopy(vars(apart.stopping.partition))
    for _ in train(run, rows, settings, 2, recorded):
        pass
    np.testing.assert_array_equal(before["states"][0], apart.stopping.partition.states[0])
    assert before["log_z"] == apart.stopping.partition.log_z
    for _ in train(apart, rows, settings, 2, recorded):
        pass
    assert apart.history == run.history
