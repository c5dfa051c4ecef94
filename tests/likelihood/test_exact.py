"""Partition functions by enumeration, against the brute force of ``exact``."""

import math

import numpy as np
import pytest
from helpers import exact

from sklearn_dbn.likelihood import enumerable, exact_log_partition, log_partition_of_base
from sklearn_dbn.machine import Machine
from sklearn_dbn.units import UNITS, Bernoulli, Variable

MORE = {
    "four layers": (("bernoulli",) * 4, (2, 3, 4, 2)),
    "five layers": (("bernoulli",) * 5, (2, 3, 1, 2, 3)),
    "bernoulli between": (("gaussian", "bernoulli", "gaussian"), (2, 3, 2)),
    "gaussian between": (("bernoulli", "gaussian", "bernoulli"), (3, 2, 2)),
    "wide above": (("bernoulli", "bernoulli"), (3, 9)),
    "real at both parities": (("gaussian", "gaussian", "bernoulli"), (2, 2, 2)),
    "bits at both parities": (
        ("bernoulli", "gaussian", "gaussian", "bernoulli"),
        (2, 2, 2, 3),
    ),
    "levels at both parities": (("ordinal", "spin", "categorical"), (1, 2, 1)),
    "real above levels": (("gaussian", "gaussian", "count", "spin"), (1, 2, 2, 1)),
    "four above": (("bernoulli", exact.FOUR), (3, 5)),
    "four on both sides": ((exact.FOUR, exact.FOUR), (4, 4)),
}
KINDS = exact.KINDS | exact.FINITE_KINDS | exact.MIXED_KINDS | MORE
KINDS |= exact.PATHWAY_KINDS
kinds = pytest.mark.parametrize("kind", KINDS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@kinds
@dtypes
@pytest.mark.parametrize("block_bytes", [1, 200, 2**19])
def test_the_sum_is_that_of_brute_force_in_blocks_of_any_size(kind, dtype, block_bytes):
    machine = exact.make_machine(*KINDS[kind], dtype=dtype)
    actual = exact_log_partition(machine, block_bytes=block_bytes)
    assert isinstance(actual, float)
    assert actual == pytest.approx(exact.log_Z(machine), rel=1e-12)


@kinds
def test_the_machine_is_unchanged(kind):
    machine = exact.make_machine(*KINDS[kind])
    before = machine.copy()
    exact_log_partition(machine)
    for x, y in zip(machine.arrays(), before.arrays(), strict=True):
        np.testing.assert_array_equal(x, y)


class Spin(Bernoulli):
    """Units that are -2 or 1: neither state has no energy."""

    def log_partition(self, field, par, observed=None):
        return np.logaddexp(-2 * field, field).sum(axis=-1)

    def states(self, n):
        return [Variable(np.array([j]), np.array([[-2.0], [1.0]])) for j in range(n)]


@pytest.mark.parametrize("block_bytes", [1, 100, 2**19])
def test_states_are_those_that_the_unit_lists(block_bytes):
    machine = exact.make_machine(("bernoulli",) * 3, (3, 4, 2))
    machine = Machine((Spin(),) * 3, machine.par, machine.W)
    x = -2 + 3 * exact.bits(9)
    energy = machine.energy([x[:, :3], x[:, 3:7], x[:, 7:]])
    actual = exact_log_partition(machine, block_bytes=block_bytes)
    assert actual == pytest.approx(np.log(np.exp(-energy).sum()), rel=1e-12)


def test_terms_that_overflow_and_vanish_add_up():
    par = [np.full((1, 3), 900.0), np.full((1, 2), -900.0)]
    machine = Machine((UNITS["bernoulli"],) * 2, par, [np.full((3, 2), 0.5)])
    assert exact_log_partition(machine, block_bytes=1) == pytest.approx(2700)


def test_without_weights_the_units_are_counted_one_by_one():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (30, 12), scale=0.0)
    expected = sum(np.logaddexp(0, par).sum() for par in machine.par)
    assert exact_log_partition(machine) == pytest.approx(expected, rel=1e-12)
    assert log_partition_of_base(machine, machine.par) == pytest.approx(expected, rel=1e-12)


def test_other_blocks_give_the_same_for_more_units_than_brute_force_could_take():
    machine = exact.make_machine(("bernoulli",) * 3, (9, 20, 6), scale=0.4)
    expected = exact_log_partition(machine)
    for block_bytes in (2**12, 2**16):
        actual = exact_log_partition(machine, block_bytes=block_bytes)
        assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("names", "sizes", "expected"),
    [
        (("bernoulli", "bernoulli"), (4, 3), (range(1, 2, 2), 3)),
        (("bernoulli", "bernoulli"), (3, 4), (range(0, 2, 2), 3)),
        (("gaussian", "bernoulli"), (2, 7), (range(1, 2, 2), 7)),
        (("bernoulli", "gaussian"), (7, 2), (range(0, 2, 2), 7)),
        (("bernoulli",) * 3, (4, 7, 2), (range(0, 3, 2), 6)),
        (("gaussian", "bernoulli", "bernoulli"), (2, 7, 2), (range(1, 3, 2), 7)),
        (("gaussian", "gaussian", "bernoulli"), (1, 1, 2), (range(3), 2)),
        (("gaussian", "gaussian"), (1, 1), (range(2), 0)),
        (("spin", "bernoulli"), (2, 3), (range(0, 2, 2), 2)),
        # Of 3 and of 2 levels.
        (("categorical", "bernoulli"), (2, 3), (range(0, 2, 2), np.log2(6))),
        (("bernoulli", "ordinal"), (2, 2), (range(0, 2, 2), 2)),
        (("binomial", "gaussian"), (1, 2), (range(0, 2, 2), np.log2(3))),
        ((exact.FOUR, "bernoulli"), (4, 9), (range(1, 2, 2), 9)),
        ((exact.FOUR, "gaussian"), (4, 2), (range(2), np.log2(3 * 3 * 2))),
    ],
)
def test_the_parity_of_the_fewest_states_is_enumerated(names, sizes, expected):
    layers, size = enumerable(exact.make_machine(names, sizes, scale=0.1))
    assert layers == expected[0]
    assert size == pytest.approx(expected[1])


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("bernoulli", "bernoulli"), (30, 26)),
        (("gaussian", "bernoulli"), (3, 26)),
        (("gaussian", "gaussian", "bernoulli"), (2, 2, 26)),
    ],
)
def test_what_cannot_be_enumerated_is_refused_with_the_sizes(names, sizes):
    machine = exact.make_machine(names, sizes, scale=0.1)
    even, odd = sum(sizes[::2]), sum(sizes[1::2])
    with pytest.raises(ValueError, match=rf"{even} even .* and {odd} odd .*max_units=25"):
        exact_log_partition(machine)


def test_fewer_units_can_be_asked_for():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (5, 4))
    with pytest.raises(ValueError, match="max_units=3"):
        exact_log_partition(machine, max_units=3)


def test_real_valued_layers_that_diverge_are_refused():
    machine = exact.make_machine(("gaussian", "gaussian"), (1, 1))
    machine.W[0][:] = 10
    with pytest.raises(ValueError, match="no partition function"):
        exact_log_partition(machine)
    machine.W[0][:] = 0
    assert math.isfinite(exact_log_partition(machine))
