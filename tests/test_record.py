"""What a pass leaves in the history."""

import numpy as np
import pytest

from sklearn_dbn._machine import Machine
from sklearn_dbn._record import Watched, record_of
from sklearn_dbn.units import UNITS

N_COLUMNS = 6


def rows(n, seed=0):
    return (np.random.default_rng(seed).random((n, N_COLUMNS)) < 0.5).astype(float)


def machine_of(W, b=0.0):
    par = [np.zeros((1, N_COLUMNS)), np.full((1, W.shape[1]), b)]
    return Machine((UNITS["bernoulli"],) * 2, par, [W])


def redundant(machine, v):
    return record_of(machine, Watched(v, None), 0)["redundant_units"]


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


def test_units_without_weights_have_nothing_to_say(W):
    assert redundant(machine_of(0 * W), rows(200)) == 0


def test_few_rows_say_nothing_about_redundancy(W):
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
