"""What types of units report of a layer: idle columns, uncertainty and information."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers.unit_types import CASES, make

from sklearn_dbn.units import UNITS

cases = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def test_uncertainty_of_a_bernoulli_unit_is_its_entropy():
    unit, par, field, *_ = make("bernoulli")
    expected = scipy.stats.bernoulli(unit.mean(field, par)).entropy()
    for mean in (None, unit.mean(field, par)):
        np.testing.assert_allclose(unit.uncertainty(field, par, mean), expected)


@dtypes
def test_a_certain_bernoulli_unit_has_no_entropy(dtype):
    unit, par, *_ = make("bernoulli", dtype)
    field = np.array([[-np.inf, np.inf, 0.0]], dtype=dtype)
    np.testing.assert_allclose(unit.uncertainty(field, par), [[0.0, 0.0, np.log(2)]], rtol=1e-6)


def information(name):
    """By the contract, over two equally likely rows; and means and parameters."""
    unit, par, field, *_ = make(name)
    means, left = unit.mean(field, par), unit.uncertainty(field, par).mean(axis=0)
    return unit.information(means.mean(axis=0), means.var(axis=0), left), means, par


def test_information_of_a_bernoulli_unit_is_the_fall_of_its_entropy():
    actual, means, _ = information("bernoulli")
    marginal = scipy.stats.bernoulli(means.mean(axis=0)).entropy()
    expected = marginal - scipy.stats.bernoulli(means).entropy().mean(axis=0)
    np.testing.assert_allclose(actual, expected)


def test_information_of_a_gaussian_unit_is_that_of_a_normal_of_the_total_variance():
    actual, means, par = information("gaussian")
    total = means.var(axis=0) + np.exp(-par[1])
    marginal = scipy.stats.norm(0, np.sqrt(total)).entropy()
    expected = marginal - scipy.stats.norm(0, np.exp(-0.5 * par[1])).entropy()
    np.testing.assert_allclose(actual, expected)


@cases
def test_information_about_the_input_is_positive(name):
    assert np.all(information(name)[0] > 0)


@cases
@dtypes
def test_a_unit_that_is_certain_in_all_rows_has_no_information(name, dtype):
    unit, par, field, *_ = make(name, dtype)
    # One level of each variable is far above its others.
    field = np.repeat(1e4 * field[:1], 2, axis=0)
    mean = unit.mean(field, par)
    uncertainty = unit.uncertainty(field, par).mean(axis=0)
    found = unit.information(mean.mean(axis=0), mean.var(axis=0), uncertainty)
    np.testing.assert_array_equal(found, 0)
    assert found.dtype == dtype


@pytest.mark.parametrize(("name", "factor"), [("bernoulli", 1), ("spin", 2)])
def test_idle_units_of_two_states_are_almost_never_or_almost_always_in_the_second(name, factor):
    with np.errstate(divide="ignore"):
        field = scipy.special.logit(np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.9]])) / factor
    dead, saturated = UNITS[name].idle(field, None)
    np.testing.assert_array_equal(dead, [True, False, False])
    np.testing.assert_array_equal(saturated, [False, True, False])


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("bernoulli", "spin")])
def test_other_units_are_dead_where_their_mean_hardly_moves_and_never_saturated(name):
    unit, par, field, *_ = make(name)
    for rows, expected in ((field[:1] + np.array([[0], [1e-3]]), True), (field, False)):
        dead, saturated = unit.idle(rows, par)
        np.testing.assert_array_equal(dead, expected)
        assert not saturated.any()
