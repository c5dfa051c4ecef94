"""What any type of unit must satisfy; ``CASES`` has a row for each type."""

import itertools
import math

import numpy as np
import pytest
from helpers.unit_types import CASES, OF_LEVELS, REAL, TYPES, all_states, alone, make
from scipy.integrate import quad

from sklearn_dbn._random import Stream
from sklearn_dbn.units import UNITS, UnitMoments, UnitType

EPS = 1e-5

cases = pytest.mark.parametrize("name", CASES)
real_cases = pytest.mark.parametrize("name", REAL)
finite_cases = pytest.mark.parametrize("name", [name for name in CASES if name not in REAL])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def drawn_rows(case, n=5):
    """States, ``n`` rows for each row of the fields."""
    return case.unit.sample(np.tile(case.field, (n, 1)), case.par, Stream(3))


def log_density(case, field, x):
    """Up to a constant."""
    return -case.unit.energy(x, case.par) + x @ (field - case.par[0])


def integral(case, field, i):
    """Sum or integral of exp(-energy(x) + (field - bias) x) over column of data ``i``."""
    known, n = case.known(i), case.par.shape[1]

    def density(value):
        x = np.zeros((1, n))
        x[0, case.columns[i]] = value
        energy = case.unit.energy(x, case.par, known)[0]
        return math.exp(-energy + x[0] @ (field - case.par[0]))

    if case.values[i] is None:
        return quad(density, *case.unit.support, epsabs=1e-12, epsrel=1e-10)[0]
    return sum(map(density, case.values[i]))


def derivative(function, x, eps=EPS):
    """Central differences of ``function`` along each column of ``x``, in the last axis."""
    steps = eps * np.eye(x.shape[1])
    return np.stack([(function(x + e) - function(x - e)) / (2 * eps) for e in steps], axis=-1)


def test_every_unit_type_is_in_the_table():
    assert list(CASES) == list(UNITS)
    assert all(TYPES[name].name == name for name in TYPES)


@cases
def test_initial_units_have_no_bias_and_a_mean_that_is_possible(name):
    unit, par, *_ = make(name)
    initial = unit.initial(np.zeros(par.shape[1]))
    assert initial.shape == par.shape
    np.testing.assert_array_equal(initial[0], 0)
    mean = unit.mean(initial[:1], initial)
    assert np.all((unit.support[0] <= mean) & (mean <= unit.support[1]))


@cases
def test_log_partition_is_the_log_of_the_integral_of_the_density(name):
    case = make(name)
    each = np.log([[integral(case, field, i) for i in range(3)] for field in case.field])
    actual = case.unit.log_partition(case.field, case.par)
    np.testing.assert_allclose(actual, each.sum(axis=1), rtol=1e-8)
    for i in range(3):
        actual = case.unit.log_partition(case.field, case.par, case.known(i))
        np.testing.assert_allclose(actual, each[:, i], rtol=1e-8)


@cases
def test_log_partition_and_energy_of_known_columns_are_those_of_these_alone(name):
    case = make(name)
    unit, par, field = case.unit, case.par, case.field
    known = np.array([case.known(0) | case.known(2), 0 * case.known(0) > 0])
    x = np.where(known, drawn_rows(case, 1), 0)
    log, energy = np.zeros((2, 2))
    for i in (0, 2):
        one, own = alone(name, i)
        at = case.columns[i]
        log[0] += one.log_partition(field[:1, at], own)[0]
        energy[0] += one.energy(x[:1, at], own)[0]
    np.testing.assert_allclose(unit.log_partition(field, par, known), log)
    np.testing.assert_allclose(unit.energy(x, par, known), energy)
    # One field for all rows.
    expected = unit.log_partition(np.repeat(field[:1], 2, axis=0), par, known)
    np.testing.assert_allclose(unit.log_partition(field[:1], par, known), expected)


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
    unit, par, *_ = make(name, dtype)
    rng = np.random.default_rng(0)
    start_par = unit.between(par, (par + 0.5).astype(dtype), 0.3)
    # Up to where the mean is rounded to 0 or 1 even in float64.
    field = rng.uniform(-40, 40, (50, par.shape[1])).astype(dtype)
    back = (length * rng.uniform(-1, 1, field.shape)).astype(dtype)
    before = [x.copy() for x in (field, par, start_par)]
    actual, expected = change_of_log_partition(unit, field, par, back, start_par, with_mean)
    assert actual.dtype == dtype
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=200 * tolerance)
    for x, y in zip((field, par, start_par), before, strict=True):
        np.testing.assert_array_equal(x, y)


@finite_cases
@dtypes
@pytest.mark.parametrize("length", [30.0, 300.0, 1000.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_long_changes_of_a_saturated_unit_are_accurate(name, dtype, length, sign):
    unit, par, *_ = make(name, dtype)
    # The signs of the levels of a variable are not all the same.
    field = np.resize([20.0, -20.0, 0.0, -20.0], (1, par.shape[1])).astype(dtype)
    back = sign * length * np.resize([1.0, 1.0, 1.0, -1.0, 0.3], field.shape).astype(dtype)
    actual, expected = change_of_log_partition(unit, field, par, back, par)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@cases
def test_the_energy_between_two_is_their_mixture(name):
    case = make(name)
    unit, par = case.unit, case.par
    end = par[:, ::-1] + 0.4
    x = drawn_rows(case)
    for share in (0.0, 0.25, 0.9, 1.0):
        between = unit.between(par, end, share)
        assert between.shape == par.shape
        expected = (1 - share) * unit.energy(x, par) + share * unit.energy(x, end)
        np.testing.assert_allclose(unit.energy(x, between), expected)


@finite_cases
def test_the_energy_between_two_adjacent_states_is_linear(name):
    case = make(name)
    unit, n = case.unit, case.par.shape[1]
    share = np.linspace(0, 1, 5)
    for i, values in enumerate(case.values):
        for low, high in itertools.pairwise(values):
            x = np.zeros((5, n))
            x[:, case.columns[i]] = low + share[:, None] * (high - low)
            energy = unit.energy(x, case.par, case.known(i))
            expected = energy[0] + share * (energy[-1] - energy[0])
            np.testing.assert_allclose(energy, expected, atol=1e-12)


@pytest.mark.parametrize("name", OF_LEVELS)
@dtypes
def test_means_that_are_rounded_have_the_energy_of_the_states_near_them(name, dtype):
    rng = np.random.default_rng(0)
    for n_levels in np.tile([2, 3, 5], 20):
        unit = UNITS[name].fitted([rng.dirichlet(np.ones(n)) for n in (n_levels, 7)])
        n = unit.widths(2).sum()
        par = unit.initial(np.zeros(n, dtype=dtype))
        par[0] = rng.uniform(-1, 1, n)
        field = np.linspace(0, 150, 700)[:, None] * rng.uniform(0.8, 1.2, n)
        mean = unit.mean(field.astype(dtype), par)
        energies = unit.energy(all_states(unit.states(n), n).astype(dtype), par)
        energy = unit.energy(mean, par)
        assert np.all((energies.min() < energy + 1e-4) & (energy < energies.max() + 1e-4))


@cases
def test_states_have_the_probabilities_of_independent_code(name):
    """Those that follow from the energy; and so the mean and the variance."""
    case = make(name)
    n = case.par.shape[1]
    for field in case.field:
        for i, values in enumerate(case.values):
            reference = case.distribution(field, i)
            real = values is None
            x = np.zeros((4 if real else len(values), n))
            x[:, case.columns[i]] = np.array([[-1.5], [0.0], [0.4], [2.0]]) if real else values
            expected = reference.logpdf(x[:, case.columns[i][0]]) if real else np.log(reference)
            log = log_density(case, field, x)
            np.testing.assert_allclose(log - log[0], expected - expected[0], atol=1e-10)
    mean, var = np.stack([case.moments(field) for field in case.field], axis=1)
    actual = case.unit.mean(case.field, case.par)
    np.testing.assert_allclose(actual, mean, rtol=1e-10, atol=1e-10)
    for given in (None, actual):
        actual = case.unit.variance(case.field, case.par, given)
        np.testing.assert_allclose(actual, var, rtol=1e-10)


@cases
def test_mean_is_the_derivative_of_log_partition(name):
    unit, par, field, *_ = make(name)
    slope = derivative(lambda x: unit.log_partition(x, par), field)
    np.testing.assert_allclose(unit.mean(field, par), slope, atol=1e-8)


@cases
@pytest.mark.parametrize("with_mean", [True, False])
def test_pullback_is_the_derivative_of_the_mean(name, with_mean):
    unit, par, field, *_ = make(name)
    delta = np.random.default_rng(1).uniform(-2, 2, field.shape)
    slope = derivative(lambda x: np.sum(delta * unit.mean(x, par), axis=1), field)
    mean = unit.mean(field, par) if with_mean else None
    before = [x.copy() for x in (field, par)]
    actual = unit.pullback(delta.copy(), field, par, mean)
    np.testing.assert_allclose(actual, slope, atol=1e-8)
    if with_mean:
        np.testing.assert_array_equal(mean, unit.mean(field, par))
    for x, y in zip((field, par), before, strict=True):
        np.testing.assert_array_equal(x, y)


@cases
def test_mode_minimises_the_energy(name):
    case = make(name)
    mode, (low, high) = case.unit.mode(case.field, case.par), case.unit.support
    for field, x in zip(case.field, mode, strict=True):
        best = log_density(case, field, x[None])[0]
        for at, values in zip(case.columns, case.values, strict=True):
            others = x[at] + [[-0.01], [0.01]] if values is None else values
            assert values is None or (values == x[at]).all(axis=1).any()
            for other in others:
                y = x.copy()
                y[at] = other
                assert best >= log_density(case, field, y[None])[0] - 1e-12
    assert np.all((mode >= low) & (mode <= high))


def given_moments(case):
    """Of a distribution that is not that of the training rows."""
    mean, var = np.empty(case.par.shape[1]), np.ones(case.par.shape[1])
    for i, values in enumerate(case.values):
        shares = np.arange(1.0, 2 if values is None else len(values) + 1)
        mean[case.columns[i]] = [0.4] if values is None else shares @ values / shares.sum()
        var[case.columns[i]] = 0.3 + i
    return UnitMoments(mean, var)


@cases
def test_independent_units_have_the_given_moments(name):
    case = make(name)
    unit, given = case.unit, given_moments(case)
    par = unit.independent(given)
    assert par.shape == case.par.shape
    np.testing.assert_allclose(unit.mean(par[:1], par)[0], given.mean, atol=1e-12)
    if name == "gaussian":
        np.testing.assert_allclose(unit.variance(par[:1], par)[0], given.var)
    else:
        with_parameters = case._replace(par=par)
        np.testing.assert_allclose(with_parameters.moments(par[0])[0], given.mean, atol=1e-12)


@cases
def test_the_deviation_is_that_of_the_variable_without_neighbours(name):
    case = make(name)
    unit, given = case.unit, given_moments(case)
    _, var = case._replace(par=unit.independent(given)).moments(unit.independent(given)[0])
    deviation = unit.deviation(given)
    for at in case.columns:
        np.testing.assert_allclose(deviation[at], np.sqrt(var[at].sum()))


@cases
@pytest.mark.parametrize("at", [0, -1])
def test_independent_units_are_finite_for_constant_columns(name, at):
    case = make(name)
    mean = np.full(case.par.shape[1], float(at))
    for columns, values in zip(case.columns, case.values, strict=True):
        if values is not None:
            mean[columns] = values[at]
    par = case.unit.independent(UnitMoments(mean, 0 * mean))
    assert np.all(np.isfinite(par))
    assert np.all(np.isfinite(case.unit.deviation(UnitMoments(mean, 0 * mean))))
    np.testing.assert_allclose(case.unit.mean(par[:1], par)[0], mean, atol=3e-3)


def slope_by_parameters(function, par):
    """Central differences of ``function``, of parameters, by each parameter."""
    slope = np.empty_like(par)
    for index in np.ndindex(par.shape):
        step = np.zeros_like(par)
        step[index] = EPS
        slope[index] = (function(par + step) - function(par - step)) / (2 * EPS)
    return slope


@cases
def test_par_gradient_is_the_slope_of_the_log_likelihood(name):
    """Of rows of states and, for a part of the rows, of what these are on average."""
    case = make(name)
    unit, par, field = case.unit, case.par, case.field
    mean, states = unit.mean(field, par), drawn_rows(case)
    weight = np.random.default_rng(0).uniform(-1, 1, 2 + len(states))
    zero = np.zeros(par.shape[1])

    def of_states(par):
        return -weight[2:] @ unit.energy(states, par)

    actual = unit.par_gradient(weight[2:] @ states, states, weight[2:], zero, par)
    slope = slope_by_parameters(of_states, par)
    np.testing.assert_allclose(actual, slope, atol=1e-8)

    def of_both(par):
        # The expected slope of minus the energy is that of the log of the partition function.
        return of_states(par) + weight[:2] @ unit.log_partition(field, par)

    x = np.concatenate([mean, states])
    actual = unit.par_gradient(weight @ x, x, weight, zero, par, field)
    slope = slope_by_parameters(of_both, par)
    # The field is given with the bias in it.
    slope[0] = weight @ x
    np.testing.assert_allclose(actual, slope, atol=1e-8)
    if len(par) > 1:
        # The states are something else than their means.
        wrong = unit.par_gradient(weight @ x, x, weight, zero, par)
        assert np.abs(wrong[1:] - slope[1:]).max() > 0.05


@cases
def test_means_stand_for_their_distribution_beside_an_offset(name):
    """The expected gradient of drawn rows is that of rows that are conditional means."""
    case = make(name)
    unit, par, field = case.unit, case.par, case.field
    weight = np.array([0.3, 0.9, -0.5])
    offset = np.random.default_rng(2).uniform(-0.5, 0.7, par.shape[1])
    state = unit.sample(field[:1].copy(), par, Stream(0))
    x = np.concatenate([unit.mean(field, par), state])
    actual = unit.par_gradient(weight @ x, x, weight, offset, par, field)
    n = 100_000
    draws = unit.sample(np.repeat(field, n, axis=0), par, Stream(1))
    many = np.concatenate([draws, state])
    each = np.append(np.repeat(weight[:2] / n, n), weight[2])
    expected = unit.par_gradient(each @ many, many, each, offset, par)
    np.testing.assert_allclose(actual, expected, atol=0.02)


@cases
def test_project_leaves_possible_parameters_and_makes_others_finite(name):
    unit, par, field, *_ = make(name)
    before = par.copy()
    unit.project(par)
    np.testing.assert_array_equal(par, before)
    par[1:] = 1e4
    unit.project(par)
    assert np.all(np.isfinite(unit.log_partition(field, par)))
    assert np.all(unit.variance(field, par) > 0)


@real_cases
def test_a_preconditioned_step_of_visible_units_is_shorter_and_keeps_its_signs(name):
    unit, par, *_ = make(name)
    before = np.random.default_rng(0).uniform(-1, 1, par.shape)
    step = before.copy()
    unit.precondition(step, par, np.zeros(3), False)
    assert np.all(step * before > 0)
    assert np.all(np.abs(step) <= np.abs(before))


def test_above_a_precision_of_one_the_step_of_a_gaussian_unit_is_that_of_the_precision():
    unit, par, *_ = make("gaussian")
    step = np.ones_like(par)
    unit.precondition(step, par, np.zeros(3), False)
    # With p = exp(zeta), a step dp = d/dp makes dzeta = dp / p = (d/dzeta) / p^2, here of the
    # third unit alone: exp(-3) for zeta = 1.5.
    np.testing.assert_allclose(step[1], [1, 1, 0.049787068], rtol=1e-7)
    np.testing.assert_array_equal(step[0], 1)


@cases
def test_curvature_is_the_second_derivative_of_the_energy(name):
    case = make(name)
    curvature, eps = case.unit.curvature(case.par), 1e-3
    assert (curvature is None) == (name not in REAL)
    for i, x in enumerate([] if curvature is None else [-0.7, 0.2, 1.3]):
        rows = np.zeros((3, 3))
        rows[:, i] = x - eps, x, x + eps
        slope = np.diff(case.unit.energy(rows, case.par)) / eps
        assert curvature[i] == pytest.approx((slope[1] - slope[0]) / eps, rel=1e-6)


@real_cases
def test_rescaling_keeps_the_density_up_to_the_jacobian(name):
    unit, par, *_ = make(name)
    shift, scale = np.array([1.0, -2.0, 0.0]), np.array([0.5, 3.0, 1.0])
    x = np.random.default_rng(0).standard_normal((4, 3))

    def log_density(x, par):
        return -unit.energy(x, par) - unit.log_partition(par[:1], par)

    np.testing.assert_allclose(
        log_density(x * scale + shift, unit.rescale(par, shift, scale)),
        log_density(x, par) - np.log(scale).sum(),
    )


@cases
@dtypes
def test_functions_of_the_field_keep_its_shape_and_dtype(name, dtype):
    case = make(name, dtype)
    unit, par, n = case.unit, case.par, case.par.shape[1]
    # Types with constants of each column take rows alone.
    rows_alone = [(1, n), (4, n)]
    for shape in rows_alone if name in OF_LEVELS else [*rows_alone, (n,), (2, 4, n)]:
        field = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        before = field.copy()
        for function in (unit.mean, unit.variance, unit.mode, unit.uncertainty):
            value = function(field, par)
            assert value.shape == shape
            assert value.dtype == dtype
            for i, at in enumerate(case.columns):
                one, own = alone(name, i)
                expected = getattr(one, function.__name__)(field[..., at], own.astype(dtype))
                np.testing.assert_allclose(value[..., at], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(field, before)
        mean = unit.mean(field, par)
        for value in (unit.energy(mean, par), unit.log_partition(field, par)):
            assert value.shape == shape[:-1]
            assert value.dtype == dtype
        for value in (unit.pullback(field.copy(), field, par), unit.summary(field, par)):
            assert value.dtype == dtype
        assert unit.sample(field.copy(), par, Stream(0), mean.copy()).shape == shape
        assert unit.sample(field, par, Stream(0)).shape == shape


@cases
@dtypes
def test_parameters_and_rows_keep_the_dtype(name, dtype):
    case = make(name, dtype)
    unit, par, n = case.unit, case.par, case.par.shape[1]
    mean, ones = np.full(n, 0.4, dtype=dtype), np.ones(n, dtype=dtype)
    assert unit.independent(UnitMoments(mean, ones)).dtype == dtype
    assert unit.deviation(UnitMoments(mean, ones)).dtype == dtype
    assert unit.initial(mean).dtype == dtype
    assert unit.between(par, par, 0.3).dtype == dtype
    x = np.zeros((2, n), dtype=dtype)
    weight = np.ones(2, dtype=dtype)
    for field in (None, x[:1]):
        gradient = unit.par_gradient(weight @ x, x, weight, mean, par, field)
        assert gradient.dtype == dtype
        assert gradient.shape == par.shape
    assert unit.present(x.copy(), Stream(0)).dtype == dtype
    assert unit.rescale(par, mean, ones).dtype == dtype
    values = np.zeros((2, 3), dtype=dtype)
    states, summary = unit.encode(values), unit.summary(x, par)
    assert states.dtype == unit.decode(states).dtype == dtype
    assert summary.dtype == unit.estimate(summary).dtype == dtype


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
    unit, par, field, *_ = make(name, dtype)
    plain = OnlyRequired(unit)
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


def test_a_type_without_a_required_function_cannot_be_made():
    class Incomplete(UnitType):
        pass

    with pytest.raises(TypeError, match="log_partition"):
        Incomplete()
