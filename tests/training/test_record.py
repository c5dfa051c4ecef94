"""What a pass leaves in the history."""

import warnings

import numpy as np
import pytest
from helpers import exact
from helpers.training import make_settings, train
from sklearn.exceptions import ConvergenceWarning

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training import rows_to_record, start, swing_of_last_half
from sklearn_dbn.training._record import RecordedRows, record_of
from sklearn_dbn.units import UNITS

N_COLUMNS = 6


def rows(n, seed=0):
    return (np.random.default_rng(seed).random((n, N_COLUMNS)) < 0.5).astype(float)


def machine_of(W, b=0.0):
    par = [np.zeros((1, N_COLUMNS)), np.full((1, W.shape[1]), b)]
    return Machine((UNITS["bernoulli"],) * 2, par, [W])


def redundant(machine, v):
    return record_of(machine, RecordedRows(v, None), 0)["redundant_units"]


@pytest.fixture
def W():
    return np.random.default_rng(1).normal(size=(N_COLUMNS, 5))


def test_units_of_different_fields_are_not_redundant(W):
    assert redundant(machine_of(W), rows(200)) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_copies_of_a_unit_are_redundant_and_the_first_of_them_is_not(W, sign):
    again = sign * W[:, [1, 1, 4]]
    assert redundant(machine_of(np.hstack([W, again])), rows(200)) == 3


def test_the_order_of_the_units_does_not_change_the_count(W):
    many = np.tile(W, 100)
    order = np.random.default_rng(2).permutation(many.shape[1])
    assert redundant(machine_of(many), rows(100)) == 495
    assert redundant(machine_of(many[:, order]), rows(100)) == 495


def test_units_that_are_never_or_always_on_are_not_redundant(W):
    for b in (-15.0, 15.0):
        assert redundant(machine_of(np.hstack([W, W]), b), rows(200)) == 0


def test_units_without_weights_are_not_redundant(W):
    assert redundant(machine_of(0 * W), rows(200)) == 0


def test_redundancy_is_zero_on_fewer_than_ten_rows(W):
    twice = machine_of(np.hstack([W, W]))
    assert redundant(twice, rows(9)) == 0
    assert redundant(twice, rows(10)) == 5


def test_the_units_of_each_layer_are_compared_with_those_of_their_own(W):
    first = np.hstack([W, W[:, :2]])
    upper = np.random.default_rng(3).normal(size=(7, 3))
    # Copies of a unit are none where the layer above sends them something else.
    upper[5:, :] = upper[:2, :]
    upper = np.hstack([upper, upper[:, :1]])
    par = [np.zeros((1, n)) for n in (N_COLUMNS, 7, 4)]
    assert redundant(Machine((UNITS["bernoulli"],) * 3, par, [first, upper]), rows(200)) == 3


@pytest.mark.parametrize("kind", ["-".join(names) for names, _ in exact.PAIRS])
def test_the_swing_is_the_change_of_the_likelihoods_of_rows_beside_their_mean(kind):
    names, sizes = exact.KINDS[kind]
    units = tuple(UNITS[name] for name in names)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, sizes[0]))
    if names[0] == "bernoulli":
        X = (X > 0).astype(float)
    rows, settings = Rows(X, np.ones(60), Columns(units[0])), make_settings()
    run = start(units, [(n,) for n in sizes], rows, settings, 20, Stream(0))
    recorded = rows_to_record(run, rows)
    passes = train(run, rows, settings, 3, recorded)
    log_p = [exact.log_p(run.machine, recorded.trained)]
    log_p += [exact.log_p(run.machine, recorded.trained) for _ in passes]
    expected = np.diff(log_p, axis=0).std(axis=1)
    np.testing.assert_allclose(run.history["free_energy_swing"], expected, rtol=1e-8)


def test_a_training_that_is_cut_into_two_has_the_swings_of_one():
    X, swings = rows(60).astype(float), []
    for cuts in ([4], [2, 2]):
        units = (UNITS["bernoulli"],) * 2
        data, settings = Rows(X, np.ones(60), Columns(units[0])), make_settings()
        run = start(units, [(N_COLUMNS,), (4,)], data, settings, 20, Stream(0))
        recorded = rows_to_record(run, data)
        for n in cuts:
            for _ in train(run, data, settings, n, recorded):
                pass
        swings.append(run.history["free_energy_swing"])
    np.testing.assert_array_equal(*swings)


def test_a_swing_is_too_large_beyond_five_nats_and_beyond_the_spread_of_the_rows():
    early = [100.0] * 5
    narrow, wide = np.array([-1.0, 1.0]), np.array([-7.0, 7.0])
    assert swing_of_last_half([*early, 6.0, 8.0, 6.0, 8.0, 6.0], narrow) == pytest.approx(
        np.sqrt((3 * 36 + 2 * 64) / 5)
    )
    assert swing_of_last_half([*early, 6.0, 8.0, 6.0, 8.0, 6.0], wide) is None
    assert swing_of_last_half([*early, *[4.9] * 5], narrow) is None
    assert swing_of_last_half([100.0] * 9, narrow) is None


def far_patterns(n_rows=500):
    """Eight patterns of 40 bits with few errors: no chain gets from one to another."""
    rng = np.random.default_rng(0)
    patterns = (rng.random((8, 40)) < 0.5).astype(float)
    return np.abs(patterns[rng.integers(8, size=n_rows)] - (rng.random((n_rows, 40)) < 0.03))


STEEP = {"n_components": 16, "n_iter": 10, "batch_size": 5, "learning_rate": 0.3}


@pytest.mark.parametrize("kind", [RBMTransformer, DBNTransformer, DBMTransformer])
def test_persistent_chains_that_do_not_mix_give_one_warning(kind):
    model = RBMTransformer(**STEEP, random_state=0)
    if kind is not RBMTransformer:
        model = kind((16, 16), rbm=model, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(far_patterns())
    assert [w.category for w in caught] == [ConvergenceWarning]
    message = str(caught[0].message)
    assert "chains" in message
    assert "sampler='tempering'" in message
    assert len(message) <= 300


def test_the_warning_about_tempered_chains_does_not_recommend_tempering():
    rbm = RBMTransformer(**STEEP, sampler="tempering", n_temperatures=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="set a lower learning_rate"):
        rbm.fit(far_patterns())


def test_chains_that_start_at_the_data_have_no_swing():
    rbm = RBMTransformer(**STEEP, sampler="cd", random_state=0).fit(far_patterns())
    assert "free_energy_swing" not in rbm.history_
    assert not SAMPLERS["cd"].persistent


def test_without_a_pass_there_is_no_swing():
    rbm = RBMTransformer(n_iter=0, random_state=0).fit(far_patterns())
    assert rbm.history_ == {}
