"""Types that are others in a special case, or in other coordinates."""

import numpy as np
import pytest
import scipy.stats
from helpers.unit_types import SHARES, columns_of
from scipy.special import expit

from sklearn_dbn.units import UNITS, Blocks

BERNOULLI = UNITS["bernoulli"]
# Two columns of two levels.
TWO = [np.array([0.3, 0.7]), np.array([0.9, 0.1])]
N = 6


def rows(n, seed=0):
    return np.random.default_rng(seed).uniform(-4, 4, (N, n))


def functions(unit, par, field, back, delta):
    """Values of the functions of the field, by name."""
    mean = unit.mean(field, par)
    return {
        "log_partition": unit.log_partition(field, par),
        "change": unit.log_partition_change(field, par, back.copy(), par),
        "change with mean": unit.log_partition_change(field, par, back.copy(), par, mean),
        "mean": mean,
        "variance": unit.variance(field, par),
        "pullback": unit.pullback(delta.copy(), field, par),
        "mode": unit.mode(field, par),
    }


@pytest.mark.parametrize("n_trials", [1, 2, 7, 40])
def test_a_binomial_unit_has_the_binomial_distribution_at_any_field(n_trials):
    share = np.random.default_rng(0).dirichlet(np.ones(n_trials + 1))
    unit = UNITS["binomial"].fitted([share])
    values, k = unit.states(1)[0].values[:, 0], np.arange(n_trials + 1)
    rise = values[1] - values[0]
    par, field = np.array([[0.4]]), np.linspace(-15, 15, 31)[:, None] / rise
    p = expit(rise * field)
    expected = scipy.stats.binom(n_trials, p)
    np.testing.assert_allclose(unit.summary(field, par), expected.pmf(k), atol=1e-13)
    np.testing.assert_allclose(
        unit.mean(field, par), values[0] + rise * expected.mean(), atol=1e-12
    )
    np.testing.assert_allclose(
        unit.variance(field, par), rise**2 * expected.var(), rtol=1e-9, atol=1e-13
    )
    np.testing.assert_allclose(unit.estimate(unit.summary(field, par)), expected.mean())
    # The sum over k of C(n, k) exp(field s_k), with s_k = s_0 + rise k.
    log = field * values[0] + n_trials * np.logaddexp(0, rise * field)
    np.testing.assert_allclose(unit.log_partition(field, par), log[:, 0], rtol=1e-12)


@pytest.mark.parametrize("with_mean", [True, False])
def test_a_variable_of_two_levels_is_a_bernoulli_unit_of_the_difference_of_its_fields(
    with_mean,
):
    unit = UNITS["categorical"].fitted(TWO)
    par, field, delta = np.zeros((1, 4)), rows(4), rows(4, 1)
    first, second = np.stack(columns_of(unit, 2), axis=1)
    one, own, slope = (
        x[:, second] - x[:, first] for x in (field, np.array([[0.3, -1.0, 0.4, 2.0]]), delta)
    )
    mean = unit.mean(field, par)
    expected = BERNOULLI.mean(one, own)
    np.testing.assert_allclose(mean[:, second], expected, rtol=1e-12)
    np.testing.assert_allclose(mean[:, first], 1 - expected, rtol=1e-12)
    log = BERNOULLI.log_partition(one, own) + field[:, first].sum(axis=1)
    np.testing.assert_allclose(unit.log_partition(field, par), log, rtol=1e-12)
    given = mean if with_mean else None
    variance = BERNOULLI.variance(one, own)
    np.testing.assert_allclose(
        unit.variance(field, par, given)[:, second], variance, rtol=1e-10
    )
    pulled = unit.pullback(delta.copy(), field, par, given)
    np.testing.assert_allclose(pulled[:, second], slope * variance, rtol=1e-10)
    np.testing.assert_allclose(pulled[:, first], -slope * variance, rtol=1e-10)
    np.testing.assert_array_equal(unit.mode(field, par)[:, second], BERNOULLI.mode(one, own))


@pytest.mark.parametrize("name", ["ordinal", "count", "binomial"])
def test_a_column_of_two_levels_is_a_bernoulli_unit_up_to_an_affine_change(name):
    unit = UNITS[name].fitted(TWO)
    par = unit.initial(np.zeros(2)) + np.array([0.2, -0.7])
    low, high = np.stack([x.values[:, 0] for x in unit.states(2)], axis=1)
    base = par[2] - par[1] if len(par) > 1 else 0.0
    rise, field, back, delta = high - low, rows(2), rows(2, 1) / 4, rows(2, 2)
    found = functions(unit, par, field, back, delta)
    # A state is low + rise x, with x 0 or 1.
    expected = functions(BERNOULLI, None, rise * field + base, rise * back, rise * delta)
    own = par[1] if len(par) > 1 else 0.0
    expected["log_partition"] += np.sum(low * field + own, axis=1)
    for change in ("change", "change with mean"):
        expected[change] -= back @ low
    for linear in ("mean", "mode"):
        expected[linear] = low + rise * expected[linear]
    expected["variance"] *= rise**2
    expected["pullback"] *= rise
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


def test_a_spin_is_a_bernoulli_unit_of_twice_the_field():
    field, back, delta = rows(3), rows(3, 1) / 4, rows(3, 2)
    par = np.zeros((1, 3))
    found = functions(UNITS["spin"], par, field, back, delta)
    # A state is 2 x - 1.
    expected = functions(BERNOULLI, par, 2 * field, 2 * back, 2 * delta)
    expected["log_partition"] -= field.sum(axis=1)
    for change in ("change", "change with mean"):
        expected[change] += back.sum(axis=1)
    for linear in ("mean", "mode"):
        expected[linear] = 2 * expected[linear] - 1
    expected["variance"] *= 4
    expected["pullback"] *= 2
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


def test_columns_of_different_numbers_of_levels_are_those_of_equal_ones_side_by_side():
    shares = [*SHARES, SHARES[1], SHARES[0]]
    together = UNITS["categorical"].fitted(shares)
    # Of 4, of 2 and of 3 levels, in an order of its own.
    columns = [np.array([2]), np.array([3, 1]), np.array([0, 4])]
    parts = [UNITS["categorical"].fitted([shares[i] for i in x]) for x in columns]
    apart = Blocks(parts, columns)
    # Where the columns of states of one are in the other.
    order = np.empty(14, dtype=int)
    for at, there in zip(columns_of(together, 5), columns_of(apart, 5), strict=True):
        order[there] = at
    par, field, back, delta = np.zeros((1, 14)), rows(14), rows(14, 1) / 4, rows(14, 2)
    found = functions(together, par, field, back, delta)
    expected = functions(apart, par[:, order], field[:, order], back[:, order], delta[:, order])
    for key, value in expected.items():
        actual = found[key] if found[key].ndim == 1 else found[key][:, order]
        np.testing.assert_allclose(actual, value, rtol=1e-10, atol=1e-14, err_msg=key)
    values = np.random.default_rng(0).integers([3, 2, 4, 2, 3], size=(20, 5)).astype(float)
    x = together.encode(values)
    np.testing.assert_array_equal(x[:, order], apart.encode(values))
    np.testing.assert_array_equal(apart.decode(x[:, order]), values)
    np.testing.assert_allclose(
        together.energy(x, field[:1]), apart.energy(x[:, order], field[:1, order])
    )
