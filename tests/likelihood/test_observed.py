"""Likelihood of rows with unknown entries, against enumeration."""

import numpy as np
import pytest
from helpers import exact
from helpers.unit_types import blank
from scipy.special import logsumexp

from sklearn_dbn.likelihood import log_probability

OF_FOUR = {kind: x for kind, x in exact.MIXED_KINDS.items() if x[0][0] == exact.FOUR}
ALL = {**exact.KINDS, **exact.DEEP_KINDS, **exact.FINITE_KINDS, **OF_FOUR}
ALL |= exact.PATHWAY_KINDS


def drawn(machine, n_left, n_rows=8):
    """Rows of which ``n_left`` columns of data are known."""
    v, rng = (
        exact.sample(machine, n_rows, np.random.default_rng(1))[0],
        np.random.default_rng(2),
    )
    n = exact.n_columns(machine)
    missing = np.array([rng.permutation(n) >= n_left for _ in v])
    return np.where(blank(machine.units[0], missing), np.nan, v)


@pytest.mark.parametrize("n_left", [0, 1, 3])
@pytest.mark.parametrize("kind", ALL)
def test_unknown_entries_are_summed_out(kind, n_left):
    machine = exact.make_machine(*ALL[kind])
    v = drawn(machine, n_left)
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
@pytest.mark.parametrize("bottom", ["bernoulli", "gaussian", exact.FOUR])
def test_a_stack_is_summed_out_from_its_top(bottom):
    lower = exact.make_machine((bottom, "bernoulli"), (4, 3), scale=0.4)
    top = exact.make_machine(("bernoulli", "bernoulli"), (3, 2), scale=0.4, seed=5)
    v = drawn(lower, 2)
    # p(known) = sum_h p(known | h) p_top(h).
    log_p = []
    for h, p in zip(*exact.distribution(top, [0]), strict=True):
        given = np.repeat(h[None], len(v), axis=0)
        log_given = exact.log_weight(lower, {0: v, 1: given})
        log_p.append(log_given - exact.log_weight(lower, {1: given}) + np.log(p))
    right = logsumexp(log_p, axis=0)
    # The weights are unbiased: their mean over many seeds is the probability.
    log_z, seeds = exact.log_Z(top), range(100)
    found = [log_probability([lower, top], v, log_z, 100, seed).value for seed in seeds]
    mean = logsumexp(found, axis=0) - np.log(len(seeds))
    np.testing.assert_allclose(mean, right, atol=0.05)


@pytest.mark.parametrize(
    "kind",
    ["bernoulli-bernoulli", "gaussian-bernoulli-bernoulli", "categorical-spin", *OF_FOUR],
)
def test_no_row_depends_on_other_rows(kind):
    machine = exact.make_machine(*ALL[kind])
    v = drawn(machine, exact.n_columns(machine) - 1)
    v[::2] = drawn(machine, exact.n_columns(machine))[::2]
    together = log_probability([machine], v, 0.0).value
    alone = [log_probability([machine], row[None, :], 0.0).value[0] for row in v]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert np.array_equal(log_probability([machine], v, 0.0).value, together)


@pytest.mark.parametrize("kind", exact.KINDS | exact.FINITE_KINDS)
def test_float32_gives_float64_near_that_of_float64(kind):
    found = []
    for dtype in (np.float64, np.float32):
        machine = exact.make_machine(*ALL[kind], dtype=dtype)
        v = drawn(exact.make_machine(*ALL[kind]), 1).astype(dtype)
        found.append(log_probability([machine], v, 0.0).value)
    assert found[1].dtype == np.float64
    np.testing.assert_allclose(found[1], found[0], atol=0.02)
