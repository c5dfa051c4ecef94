"""Likelihood of rows with unknown entries, against enumeration."""

import numpy as np
import pytest
from helpers import exact
from scipy.special import logsumexp

from sklearn_dbn.likelihood import log_probability

ALL = {**exact.KINDS, **exact.DEEP_KINDS}


def without(v, n_unknown):
    v, rng = np.array(v), np.random.default_rng(2)
    for row in v:
        row[rng.permutation(len(row))[:n_unknown]] = np.nan
    return v


def drawn(machine, n_unknown, n_rows=8):
    return without(exact.sample(machine, n_rows, np.random.default_rng(1))[0], n_unknown)


@pytest.mark.parametrize("n_left", [0, 1, 3])
@pytest.mark.parametrize("kind", ALL)
def test_unknown_entries_are_summed_out(kind, n_left):
    machine = exact.make_machine(*ALL[kind])
    v = drawn(machine, max(0, machine.par[0].shape[1] - n_left))
    found = log_probability([machine], v, exact.log_Z(machine))
    np.testing.assert_allclose(found.value, exact.log_p_of_known(machine, v), atol=0.05)
    assert np.all(found.bound <= found.value + 1e-12)


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_posteriors_of_several_modes_are_covered(scale):
    machine = exact.make_machine(("bernoulli", "bernoulli"), (10, 6), scale=scale, seed=3)
    v = drawn(machine, 5, 20)
    found = log_probability([machine], v, exact.log_Z(machine))
    np.testing.assert_allclose(found.value, exact.log_p_of_known(machine, v), atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("bottom", ["bernoulli", "gaussian"])
def test_a_stack_is_summed_out_from_its_top(bottom):
    lower = exact.make_machine((bottom, "bernoulli"), (3, 3), scale=0.4)
    top = exact.make_machine(("bernoulli", "bernoulli"), (3, 2), scale=0.4, seed=5)
    v = drawn(lower, 2)
    h = exact.bits(3)
    # p(known) = sum_h p(known | h) p_top(h), and the unknown entries of p(v | h) sum to 1.
    field = h @ lower.W[0].T + lower.par[0][0]
    known = ~np.isnan(v)
    x = np.where(known, v, 0)
    if bottom == "bernoulli":
        each = x[:, None] * field - np.logaddexp(0, field)
    else:
        precision = np.exp(lower.par[0][1])
        each = -0.5 * precision * (x[:, None] - field / precision) ** 2
        each = each + 0.5 * np.log(precision / (2 * np.pi))
    log_given = np.sum(each * known[:, None], axis=-1)
    right = logsumexp(log_given + exact.log_p(top, h), axis=1)
    # The weights are unbiased: their mean over many seeds is the probability.
    log_z, seeds = exact.log_Z(top), range(100)
    found = [log_probability([lower, top], v, log_z, 100, seed).value for seed in seeds]
    mean = logsumexp(found, axis=0) - np.log(len(seeds))
    np.testing.assert_allclose(mean, right, atol=0.05)


@pytest.mark.parametrize("kind", ["bernoulli-bernoulli", "gaussian-bernoulli-bernoulli"])
def test_no_row_depends_on_other_rows(kind):
    machine = exact.make_machine(*ALL[kind])
    v = drawn(machine, 1)
    v[::2] = drawn(machine, 0)[::2]
    together = log_probability([machine], v, 0.0).value
    alone = [log_probability([machine], row[None, :], 0.0).value[0] for row in v]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert np.array_equal(log_probability([machine], v, 0.0).value, together)


@pytest.mark.parametrize("kind", exact.KINDS)
def test_float32_gives_float64_near_that_of_float64(kind):
    found = []
    for dtype in (np.float64, np.float32):
        machine = exact.make_machine(*exact.KINDS[kind], dtype=dtype)
        v = drawn(exact.make_machine(*exact.KINDS[kind]), 1).astype(dtype)
        found.append(log_probability([machine], v, 0.0).value)
    assert found[1].dtype == np.float64
    np.testing.assert_allclose(found[1], found[0], atol=0.02)
