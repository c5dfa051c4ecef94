"""What any type of unit must satisfy; ``CASES`` has a row for each type."""

import math

import numpy as np
import pytest
import scipy.stats
from helpers.unit_types import CASES, TYPES
from scipy.integrate import quad

from sklearn_dbn._random import Stream
from sklearn_dbn.units import UNITS, UnitMoments, UnitType

FIELD = np.array([[-3.0, 0.4, 1.5], [0.0, -0.7, 2.5]])
EPS = 1e-5

cases = pytest.mark.parametrize("name", CASES)
real_cases = pytest.mark.parametrize("name", ["gaussian"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def unit_and_par(name, dtype=np.float64):
    return TYPES[name], np.array(CASES[name][0], dtype=dtype)


def listed(unit):
    """The states of one unit, or ``None`` where there are too many."""
    found = unit.states(1)
    return found[0].values[:, 0].tolist() if found else None


def expectation(unit, par, field, function):
    """Sum or integral of function(x) exp(-energy(x) + (field - bias) x) for a single unit."""

    def integrand(x):
        energy = unit.energy(np.array([[float(x)]]), par[:, None])[0]
        return function(x) * math.exp(-energy + (field - par[0]) * x)

    states = listed(unit)
    if states is None:
        return quad(integrand, *unit.support, epsabs=1e-12, epsrel=1e-10)[0]
    return sum(map(integrand, states))


def expectations(unit, par, function):
    """``expectation`` for each entry of FIELD."""
    return np.array(
        [
            [expectation(unit, par[:, j], field, function) for j, field in enumerate(row)]
            for row in FIELD
        ]
    )


def test_every_unit_type_is_in_the_table():
    assert set(CASES) == set(TYPES)
    assert all(TYPES[name].name == name for name in TYPES)


@cases
def test_initial_units_have_no_bias_and_a_mean_that_is_possible(name):
    unit, par = unit_and_par(name)
    initial = unit.initial(np.zeros(3))
    assert initial.shape == par.shape
    np.testing.assert_array_equal(initial[0], 0)
    mean = unit.mean(initial[:1], initial)
    assert np.all((unit.support[0] <= mean) & (mean <= unit.support[1]))


@cases
def test_log_partition_is_the_log_of_the_integral_of_the_density(name):
    unit, par = unit_and_par(name)
    total = expectations(unit, par, lambda x: 1.0)
    np.testing.assert_allclose(
        unit.log_partition(FIELD, par), np.log(total).sum(axis=1), rtol=1e-8
    )


@cases
def test_log_partition_of_known_columns_is_that_of_these_alone(name):
    unit, par = unit_and_par(name)
    known = np.array([[True, False, True], [False, False, False]])
    expected = [unit.log_partition(FIELD[0, [0, 2]], par[:, [0, 2]]), 0]
    np.testing.assert_allclose(unit.log_partition(FIELD, par, known), expected)
    # One field for all rows.
    same = [unit.log_partition(FIELD[0], par, row) for row in known]
    np.testing.assert_allclose(unit.log_partition(FIELD[:1], par, known), same)


def change_of_log_partition(unit, field, par, back, start_par, with_mean=True):
    """Changes of the sums, in float64, by the contract and as a difference."""
    mean = unit.mean(field, par) if with_mean else None
    actual = unit.log_partition_change(field, par, back.copy(), start_par, mean)
    field, par, back, start_par = (x.astype(float) for x in (field, par, back, start_par))
    change = unit.log_partition(field, par) - unit.log_partition(field + back, start_par)
    return actual, change


@cases
@dtypes
@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("length", [0.0, 1e-3, 0.3, 1.0, 5.0, 30.0])
def test_log_partition_change_is_a_difference_of_sums(name, dtype, length, with_mean):
    unit, par = unit_and_par(name, dtype)
    rng = np.random.default_rng(0)
    start_par = unit.between(par, (par + 0.5).astype(dtype), 0.3)
    # Up to where the mean is rounded to 0 or 1 even in float64.
    field = rng.uniform(-40, 40, (50, 3)).astype(dtype)
    back = (length * rng.uniform(-1, 1, (50, 3))).astype(dtype)
    before = [x.copy() for x in (field, par, start_par)]
    actual, expected = change_of_log_partition(unit, field, par, back, start_par, with_mean)
    assert actual.dtype == dtype
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=200 * tolerance)
    for x, y in zip((field, par, start_par), before, strict=True):
        np.testing.assert_array_equal(x, y)


@dtypes
@pytest.mark.parametrize("length", [30.0, 300.0, 1000.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_long_changes_of_a_saturated_bernoulli_unit_are_accurate(dtype, length, sign):
    unit, par = unit_and_par("bernoulli", dtype)
    field = np.array([[20.0, -20.0, 0.0]], dtype=dtype)
    back = np.full_like(field, sign * length)
    actual, expected = change_of_log_partition(unit, field, par, back, par)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@cases
def test_the_energy_between_two_is_their_mixture(name):
    unit, par = unit_and_par(name)
    end = par[:, ::-1] + 0.4
    x = unit.sample(np.tile(FIELD, (5, 1)), par, Stream(3))
    for share in (0.0, 0.25, 0.9, 1.0):
        between = unit.between(par, end, share)
        assert between.shape == par.shape
        expected = (1 - share) * unit.energy(x, par) + share * unit.energy(x, end)
        np.testing.assert_allclose(unit.energy(x, between), expected)


@cases
def test_mean_and_variance_are_those_of_the_density(name):
    unit, par = unit_and_par(name)
    total = expectations(unit, par, lambda x: 1.0)
    mean = expectations(unit, par, lambda x: x) / total
    square = expectations(unit, par, lambda x: x * x) / total
    np.testing.assert_allclose(unit.mean(FIELD, par), mean, rtol=1e-7, atol=1e-9)
    for given in (None, unit.mean(FIELD, par)):
        np.testing.assert_allclose(
            unit.variance(FIELD, par, given), square - mean**2, rtol=1e-7
        )


@cases
def test_mean_is_the_derivative_of_log_partition(name):
    unit, par = unit_and_par(name)
    slope = []
    for e in EPS * np.eye(3):
        above, below = (unit.log_partition(FIELD + step, par) for step in (e, -e))
        slope.append((above - below) / (2 * EPS))
    np.testing.assert_allclose(unit.mean(FIELD, par), np.stack(slope, axis=1), atol=1e-8)


@cases
@pytest.mark.parametrize("with_mean", [True, False])
def test_pullback_is_the_derivative_of_the_mean(name, with_mean):
    unit, par = unit_and_par(name)
    delta = np.array([[0.3, -1.0, 2.0], [1.5, 0.2, -0.4]])
    slope = []
    for e in EPS * np.eye(3):
        above, below = (unit.mean(FIELD + step, par) for step in (e, -e))
        slope.append(np.sum(delta * (above - below), axis=1) / (2 * EPS))
    mean = unit.mean(FIELD, par) if with_mean else None
    actual = unit.pullback(delta.copy(), FIELD, par, mean)
    np.testing.assert_allclose(actual, np.stack(slope, axis=1), atol=1e-8)


@cases
def test_mode_minimises_the_energy(name):
    unit, par = unit_and_par(name)

    def energy(x):
        return unit.energy(x, par) - np.sum((FIELD - par[0]) * x, axis=1)

    mode = unit.mode(FIELD, par)
    low, high = unit.support
    for j in range(mode.shape[1]):
        for other in listed(unit) or [mode[:, j] - 0.01, mode[:, j] + 0.01]:
            x = mode.copy()
            x[:, j] = other
            assert np.all(energy(mode) <= energy(x) + 1e-12)
    assert np.all((mode >= low) & (mode <= high))


@cases
@dtypes
@pytest.mark.parametrize("way", ["field", "mean"])
def test_draws_have_the_moments_the_support_and_the_dtype(name, dtype, way):
    unit, par = unit_and_par(name, dtype)
    n = 100_000
    # A spin has the probabilities of a Bernoulli unit of twice the field.
    field = FIELD[:1] / (2 if name == "spin" else 1)
    field = np.repeat(field.astype(dtype), n, axis=0)
    mean, var = unit.mean(field, par)[0], unit.variance(field, par)[0]
    given = unit.mean(field, par) if way == "mean" else None
    x = unit.sample(field.copy(), par, Stream(0), given)
    assert x.dtype == dtype
    assert x.shape == (n, 3)
    low, high = unit.support
    states = listed(unit)
    assert np.all((x >= low) & (x <= high)) if states is None else set(x.flat) == set(states)
    # Five standard errors of a mean, and of the variance of a normal variable.
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - mean), 5 * np.sqrt(var / n))
    np.testing.assert_array_less(np.abs(x.var(axis=0) - var), 5 * var * np.sqrt(2 / n))
    correlation = np.corrcoef(x.T) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


@cases
@pytest.mark.parametrize("way", ["field", "mean"])
def test_draws_follow_the_density_and_not_only_its_moments(name, way):
    unit, par = unit_and_par(name)
    n, field = 20_000, np.array([-3.0, 0.4, 1.5])
    reference = CASES[name][1](unit.mean(field, par), par)
    rows = np.tile(field, (n, 1))
    x = unit.sample(rows, par, Stream(1), unit.mean(rows, par) if way == "mean" else None)
    for quantile in (0.05, 0.3, 0.5, 0.8, 0.99):
        at = reference.ppf(quantile)
        p = reference.cdf(at)
        # One in the million for 30 comparisons, and never less than one draw.
        tolerance = 5 * np.sqrt(p * (1 - p) / n) + 1 / n
        np.testing.assert_array_less(np.abs(np.mean(x <= at, axis=0) - p), tolerance)


@cases
def test_independent_units_have_the_given_moments(name):
    unit, _ = unit_and_par(name)
    mean = np.array([0.2, 0.5, 0.9])
    par = unit.independent(UnitMoments(mean, np.array([0.3, 1.0, 2.5])))
    assert par.shape == unit.initial(mean).shape
    np.testing.assert_allclose(unit.mean(par[0], par), mean)
    if name == "gaussian":
        np.testing.assert_allclose(unit.variance(par[0], par), [0.3, 1.0, 2.5])


@cases
def test_independent_units_are_finite_for_constant_columns(name):
    unit, _ = unit_and_par(name)
    constant = UnitMoments(np.array([0.0, 1.0]), np.zeros(2))
    assert np.all(np.isfinite(unit.independent(constant)))


@cases
def test_par_gradient_without_offset_is_the_slope_of_the_mean_of_minus_the_energy(name):
    unit, par = unit_and_par(name)
    x = unit.sample(np.tile(FIELD, (5, 1)), par, Stream(2))
    weight = np.random.default_rng(0).uniform(-1, 1, len(x))
    gradient = unit.par_gradient(weight @ x, x, weight, np.zeros(3), par)
    for index in np.ndindex(par.shape):
        step = np.zeros_like(par)
        step[index] = EPS
        slope = weight @ (unit.energy(x, par - step) - unit.energy(x, par + step)) / (2 * EPS)
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


@cases
def test_project_leaves_possible_parameters_and_makes_others_finite(name):
    unit, par = unit_and_par(name)
    before = par.copy()
    unit.project(par)
    np.testing.assert_array_equal(par, before)
    par[1:] = 1e4
    unit.project(par)
    assert np.all(np.isfinite(unit.log_partition(FIELD, par)))
    assert np.all(unit.variance(FIELD, par) > 0)


@real_cases
def test_a_preconditioned_step_of_visible_units_is_shorter_and_keeps_its_signs(name):
    unit, par = unit_and_par(name)
    before = np.random.default_rng(0).uniform(-1, 1, par.shape)
    step = before.copy()
    unit.precondition(step, par, np.zeros(3), False)
    assert np.all(step * before > 0)
    assert np.all(np.abs(step) <= np.abs(before))


def test_above_a_precision_of_one_the_step_of_a_gaussian_unit_is_that_of_the_precision():
    unit, par = unit_and_par("gaussian")
    step = np.ones_like(par)
    unit.precondition(step, par, np.zeros(3), False)
    # With p = exp(zeta), a step dp = d/dp makes dzeta = dp / p = (d/dzeta) / p^2, here of the
    # third unit alone: exp(-3) for zeta = 1.5.
    np.testing.assert_allclose(step[1], [1, 1, 0.049787068], rtol=1e-7)
    np.testing.assert_array_equal(step[0], 1)


@real_cases
def test_curvature_is_the_second_derivative_of_the_energy(name):
    unit, par = unit_and_par(name)
    eps = 1e-3
    for j, x in enumerate([-0.7, 0.2, 1.3]):
        energy = unit.energy(np.array([[x - eps], [x], [x + eps]]), par[:, j : j + 1])
        slope = np.diff(energy) / eps
        assert unit.curvature(par)[j] == pytest.approx((slope[1] - slope[0]) / eps, rel=1e-6)


@real_cases
def test_rescaling_keeps_the_density_up_to_the_jacobian(name):
    unit, par = unit_and_par(name)
    shift, scale = np.array([1.0, -2.0, 0.0]), np.array([0.5, 3.0, 1.0])
    x = np.random.default_rng(0).standard_normal((4, 3))

    def log_density(x, par):
        return -unit.energy(x, par) - unit.log_partition(par[0], par)

    np.testing.assert_allclose(
        log_density(x * scale + shift, unit.rescale(par, shift, scale)),
        log_density(x, par) - np.log(scale).sum(),
    )


@cases
def test_means_stand_for_their_distribution_in_the_gradient(name):
    """The expected gradient of drawn rows is that of rows that are conditional means."""
    unit, par = unit_and_par(name)
    weight, offset = np.array([0.3, 0.9, -0.5]), np.array([0.1, -0.4, 0.7])
    state = unit.sample(FIELD[:1].copy(), par, Stream(0))
    mean = unit.mean(FIELD, par)
    x = np.concatenate([mean, state])
    actual = unit.par_gradient(weight @ x, x, weight, offset, par, FIELD)
    n = 100_000
    draws = unit.sample(np.repeat(FIELD, n, axis=0), par, Stream(1))
    many = np.concatenate([draws, state])
    each = np.append(np.repeat(weight[:2] / n, n), weight[2])
    expected = unit.par_gradient(each @ many, many, each, offset, par)
    np.testing.assert_allclose(actual, expected, atol=0.02)
    if name == "gaussian":
        # The squares of the means are something else.
        alone = unit.par_gradient(weight @ x, x, weight, offset, par)
        assert np.all(np.abs(alone[1] - actual[1]) > 0.5)


def test_uncertainty_of_a_bernoulli_unit_is_its_entropy():
    unit, par = unit_and_par("bernoulli")
    expected = scipy.stats.bernoulli(unit.mean(FIELD, par)).entropy()
    for mean in (None, unit.mean(FIELD, par)):
        np.testing.assert_allclose(unit.uncertainty(FIELD, par, mean), expected)


@dtypes
def test_a_certain_bernoulli_unit_has_no_entropy(dtype):
    unit, par = unit_and_par("bernoulli", dtype)
    field = np.array([[-np.inf, np.inf, 0.0]], dtype=dtype)
    np.testing.assert_allclose(unit.uncertainty(field, par), [[0.0, 0.0, np.log(2)]], rtol=1e-6)


def information(name):
    """By the contract, over equally likely rows of FIELD; and means and parameters."""
    unit, par = unit_and_par(name)
    means, left = unit.mean(FIELD, par), unit.uncertainty(FIELD, par).mean(axis=0)
    return unit.information(means.mean(axis=0), means.var(axis=0), left), means, par


def test_information_of_a_bernoulli_unit_is_what_the_input_takes_from_its_entropy():
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
@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3), (2, 4, 3)], ids=str)
def test_functions_of_the_field_keep_its_shape_and_dtype(name, dtype, shape):
    unit, par = unit_and_par(name, dtype)
    field = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    before = field.copy()
    for function in (unit.mean, unit.variance, unit.mode, unit.uncertainty):
        value = function(field, par)
        assert value.shape == shape
        assert value.dtype == dtype
        alone = function(field[..., 1:], par[:, 1:])
        np.testing.assert_allclose(value[..., 1:], alone, rtol=1e-6)
    np.testing.assert_array_equal(field, before)
    mean = unit.mean(field, par)
    for value in (unit.energy(mean, par), unit.log_partition(field, par)):
        assert value.shape == shape[:-1]
        assert value.dtype == dtype
    assert unit.sample(field.copy(), par, Stream(0), mean.copy()).shape == shape
    assert unit.sample(field, par, Stream(0)).shape == shape


@cases
def test_parameters_keep_the_dtype(name):
    unit, par = unit_and_par(name, np.float32)
    mean, ones = np.full(3, 0.4, dtype=np.float32), np.ones(3, dtype=np.float32)
    assert unit.independent(UnitMoments(mean, ones)).dtype == np.float32
    assert unit.initial(mean).dtype == np.float32
    assert unit.between(par, par, 0.3).dtype == np.float32
    x = np.zeros((2, 3), dtype=np.float32)
    assert unit.par_gradient(ones[:2] @ x, x, ones[:2], mean, par).dtype == np.float32
    assert unit.present(x.copy(), Stream(0)).dtype == np.float32
    assert unit.rescale(par, mean, ones).dtype == np.float32


def test_a_bernoulli_unit_is_presented_with_draws_of_the_grey_levels():
    grey = np.tile(np.array([0.0, 0.3, 1.0]), (50_000, 1))
    v = UNITS["bernoulli"].present(grey.copy(), Stream(0))
    assert set(v.flat) == {0.0, 1.0}
    np.testing.assert_allclose(v.mean(axis=0), [0.0, 0.3, 1.0], atol=0.01)


def test_a_gaussian_unit_is_presented_with_the_value():
    v = FIELD.copy()
    np.testing.assert_array_equal(UNITS["gaussian"].present(v, Stream(0)), FIELD)


def test_idle_bernoulli_units_are_almost_never_or_almost_always_on():
    with np.errstate(divide="ignore"):
        field = scipy.special.logit(np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.9]]))
    dead, saturated = UNITS["bernoulli"].idle(field, None)
    np.testing.assert_array_equal(dead, [True, False, False])
    np.testing.assert_array_equal(saturated, [False, True, False])


def test_idle_gaussian_units_hardly_move_beside_their_noise():
    par = np.array([[0.0, 0.0], [0.0, 0.0]])
    dead, saturated = UNITS["gaussian"].idle(np.array([[1.0, 1.0], [1.001, 3.0]]), par)
    np.testing.assert_array_equal(dead, [True, False])
    assert not saturated.any()


class OnlyRequired(UnitType):
    """The required functions of another type, and the defaults of all others."""

    def __init__(self, unit):
        self.unit = unit


for function in UnitType.__abstractmethods__:

    def passed_on(self, *args, _function=function, **kwargs):
        return getattr(self.unit, _function)(*args, **kwargs)

    setattr(OnlyRequired, function, passed_on)
OnlyRequired.__abstractmethods__ = frozenset()


@pytest.mark.parametrize("name", ["bernoulli", "spin"])
@dtypes
@pytest.mark.parametrize("length", [1e-3, 0.3, 30.0])
def test_defaults_of_the_base_class_give_what_a_type_gives_itself(name, dtype, length):
    unit, par = unit_and_par(name, dtype)
    plain, field = OnlyRequired(unit), FIELD.astype(dtype)
    back = np.full_like(field, length)
    actual = plain.log_partition_change(field, par, back.copy(), par)
    assert actual.dtype == dtype
    exact = [x.astype(float) for x in (field, par, back)]
    expected = unit.log_partition(exact[0], exact[1])
    expected -= unit.log_partition(exact[0] + exact[2], exact[1])
    np.testing.assert_allclose(actual, expected, rtol=1e-6 if dtype == np.float32 else 1e-10)
    np.testing.assert_array_equal(plain.between(par, par + 1, 0.25), par + 0.25)
    delta = np.ones_like(field)
    expected = unit.pullback(delta.copy(), field, par)
    np.testing.assert_array_equal(plain.pullback(delta, field, par), expected)
    np.testing.assert_array_equal(plain.uncertainty(field, par), unit.variance(field, par))
    assert plain.states(3) == []
    assert plain.curvature(par) is plain.standard(None) is None


def test_a_unit_by_default_is_dead_where_its_mean_hardly_moves_and_never_saturated():
    unit, par = unit_and_par("bernoulli")
    field = np.array([[0.0, -1.0, 9.0], [0.001, 2.0, 9.0]])
    dead, saturated = OnlyRequired(unit).idle(field, par)
    np.testing.assert_array_equal(dead, [True, False, True])
    assert not saturated.any()


def test_a_type_without_a_required_function_cannot_be_made():
    class Incomplete(UnitType):
        pass

    with pytest.raises(TypeError, match="log_partition"):
        Incomplete()


@cases
@dtypes
def test_a_unit_that_is_certain_in_all_rows_has_no_information(name, dtype):
    unit, par = unit_and_par(name, dtype)
    field = np.full((2, 3), 1e3, dtype=dtype)
    mean = unit.mean(field, par)
    uncertainty = unit.uncertainty(field, par).mean(axis=0)
    found = unit.information(mean.mean(axis=0), mean.var(axis=0), uncertainty)
    np.testing.assert_array_equal(found, 0)
    assert found.dtype == dtype
