"""Types that are made for the levels of their columns: from data to states and back."""

import itertools

import numpy as np
import pytest
from helpers.unit_types import CASES, OF_LEVELS, SHARES, all_states, blank, columns_of, make

from sklearn_dbn._random import Stream
from sklearn_dbn.machine import Machine
from sklearn_dbn.units import UNITS, UnitMoments

of_levels = pytest.mark.parametrize("name", OF_LEVELS)
finite = pytest.mark.parametrize("name", [name for name in OF_LEVELS if name != "categorical"])
learnt = pytest.mark.parametrize("name", ["ordinal", "count"])
counts = pytest.mark.parametrize("name", ["count", "binomial"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
# Numbers of levels of the columns of data.
LEVELS = [(3, 2, 4), (2, 2, 2), (5,), (1, 3), (2, 4, 3, 4, 2), (1,)]
levels = pytest.mark.parametrize("n_levels", LEVELS, ids=str)


def of(name, n_levels):
    rng = np.random.default_rng(0)
    return UNITS[name].fitted([rng.dirichlet(3 * np.ones(n)) for n in n_levels])


def all_rows(n_levels, dtype=float):
    """Every row of data of columns of so many levels."""
    return np.array(list(itertools.product(*map(range, n_levels))), dtype=dtype)


@of_levels
@levels
@dtypes
def test_rows_of_data_become_the_listed_states_and_come_back(name, n_levels, dtype):
    unit, v = of(name, n_levels), all_rows(n_levels, dtype)
    x = unit.encode(v)
    assert x.dtype == dtype
    n = x.shape[1]
    widths = unit.widths(len(n_levels))
    assert widths.sum() == n
    at = columns_of(unit, len(n_levels))
    assert [len(columns) for columns in at] == widths.tolist()
    listed = {tuple(variable.columns): variable.values for variable in unit.states(n)}
    assert sorted(np.concatenate(at)) == list(range(n))
    assert set(listed) == {tuple(columns) for columns in at}
    for i, columns in enumerate(at):
        states = listed[tuple(columns)]
        assert len(states) == n_levels[i]
        np.testing.assert_array_equal(x[:, columns], states.astype(dtype)[v[:, i].astype(int)])
    np.testing.assert_array_equal(unit.decode(x), v)


@of_levels
@levels
def test_missing_values_are_missing_states(name, n_levels):
    unit, v = of(name, n_levels), all_rows(n_levels)
    missing = np.random.default_rng(0).random(v.shape) < 0.5
    x = unit.encode(np.where(missing, np.nan, v))
    gaps = blank(unit, missing)
    np.testing.assert_array_equal(np.isnan(x), gaps)
    np.testing.assert_array_equal(x[~gaps], unit.encode(v)[~gaps])


@levels
def test_states_of_levels_are_one_column_for_each(n_levels):
    unit = of("categorical", n_levels)
    for variable in unit.states(sum(n_levels)):
        np.testing.assert_array_equal(variable.values, np.eye(len(variable.columns)))


@finite
def test_other_states_are_scores_of_mean_0_and_variance_1_over_the_training_rows(name):
    score = np.sqrt if name == "count" else np.asarray
    values = make(name).values
    for share, x in zip(SHARES, values, strict=True):
        expected = score(np.arange(len(share)))
        slope = (x[1, 0] - x[0, 0]) / (expected[1] - expected[0])
        np.testing.assert_allclose(x[:, 0], x[0, 0] + slope * expected)
        # Up to a little that is added to the shares.
        assert share @ x[:, 0] == pytest.approx(0, abs=0.01)
        assert share @ x[:, 0] ** 2 == pytest.approx(1, abs=0.01)


@of_levels
def test_units_of_the_moments_of_the_training_rows_have_their_shares(name):
    case = make(name)
    mean = np.empty(case.par.shape[1])
    for share, at, values in zip(SHARES, case.columns, case.values, strict=True):
        mean[at] = share @ values
    par = case.unit.independent(UnitMoments(mean, np.ones_like(mean)))
    alone = case._replace(par=par)
    for i, share in enumerate(SHARES):
        if name == "binomial":
            # Its shares are those of a binomial distribution of this mean.
            share = alone.distribution(par[0], i)
        np.testing.assert_allclose(alone.distribution(par[0], i), share, atol=2e-3)
        np.testing.assert_allclose(share @ case.values[i], mean[case.columns[i]], atol=1e-8)


@of_levels
def test_levels_without_training_rows_have_a_positive_probability(name):
    unit = UNITS[name].fitted([np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])])
    n = int(unit.widths(2).sum())
    mean = np.mean(unit.encode(np.array([[1.0, 2.0]])), axis=0)
    par = unit.independent(UnitMoments(mean, 0 * mean))
    for variable in unit.states(n):
        x = np.zeros((len(variable.values), n))
        x[:, variable.columns] = variable.values
        known = np.isin(np.arange(n), variable.columns)
        p = np.exp(-unit.energy(x, par, known) - unit.log_partition(par[:1], par, known))
        assert p.sum() == pytest.approx(1)
        assert np.all(p > 1e-9)
        assert p.max() > 0.98 or name == "binomial"


@of_levels
def test_a_column_of_one_level_is_always_at_it(name):
    unit = of(name, (1, 3))
    n = int(unit.widths(2).sum())
    par = unit.initial(np.zeros(n)) + 0.3
    field = np.random.default_rng(0).uniform(-3, 3, (5, n))
    at = columns_of(unit, 2)[0]
    state = unit.encode(np.zeros((1, 2)))[:, at]
    rows = unit.mean(field, par), unit.mode(field, par), unit.sample(field, par, Stream(0))
    for x in rows:
        np.testing.assert_allclose(x[:, at], np.repeat(state, 5, axis=0))
    assert np.all(unit.variance(field, par)[:, at] == 0)
    assert np.all(np.isfinite(unit.log_partition(field, par)))
    assert np.all(np.isfinite(unit.energy(unit.mean(field, par), par)))
    mean = np.full(n, 0.2)
    assert np.all(np.isfinite(unit.independent(UnitMoments(mean, mean))))
    step = np.ones_like(par)
    unit.precondition(step, par, mean, False)
    assert np.all(np.isfinite(step))


class Fixed(Stream):
    """Draws the number ``u``, or the largest below it if that is 1."""

    def __init__(self, u):
        self.u = u

    def _uniforms(self, shape, dtype):
        return np.full(shape, min(dtype(self.u), np.nextafter(dtype(1), dtype(0))))


@of_levels
@dtypes
@pytest.mark.parametrize("u", [0, 1])
def test_extreme_random_numbers_draw_a_state_that_is_possible(name, dtype, u):
    case = make(name, dtype)
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-1, 3, (3000, 1))
    field = (scale * rng.standard_normal((3000, case.par.shape[1]))).astype(dtype)
    x = case.unit.sample(field.copy(), case.par, Fixed(u))
    # In float64, as the terms are much larger than their sum.
    field, wide = field.astype(float), make(name)
    for i, values in enumerate(case.values):
        same = (x[:, case.columns[i]][:, None, :] == values.astype(dtype)).all(axis=2)
        assert np.all(same.sum(axis=1) == 1)
        state, known = np.zeros(field.shape), case.known(i)
        state[:, known] = values[same.argmax(axis=1)]
        log_p = np.sum(state * (field - wide.par[0]), axis=1)
        log_p -= wide.unit.energy(state, wide.par, known)
        log_p -= wide.unit.log_partition(field, wide.par, known)
        assert np.all(log_p > np.log(np.finfo(dtype).smallest_subnormal) - 1)


@pytest.mark.parametrize("name", ["categorical", "ordinal", "count"])
@dtypes
@pytest.mark.parametrize("way", ["field", "mean"])
def test_each_of_many_levels_has_its_share_of_the_random_numbers(name, dtype, way):
    unit, rng = UNITS[name].fitted([np.full(1000, 1e-3)]), np.random.default_rng(0)
    at = unit.widths(1)[0]
    par = unit.initial(np.zeros(at, dtype=dtype))
    # Rounding is different in each row.
    rows = np.repeat(rng.uniform(-9, 9, (30, 1)), at, axis=1).astype(dtype)
    if name != "categorical":
        rows *= 0
    mean = unit.mean(rows, par) if way == "mean" else None
    for level in (0, 1, 500, 998, 999):
        for u in (level + 0.1, level + 0.9):
            stream = Fixed(u / 1000)
            x = unit.sample(rows.copy(), par, stream, None if mean is None else mean + 0)
            np.testing.assert_array_equal(unit.decode(x), level)


@of_levels
def test_an_estimate_is_the_likeliest_level_or_the_mean_position_of_ordered_ones(name):
    case = make(name)
    unit, n = case.unit, case.par.shape[1]
    summary = unit.summary(case.field, case.par)
    given = unit.summary(case.field, case.par, unit.mean(case.field, case.par))
    np.testing.assert_allclose(given, summary, rtol=1e-12)
    assert summary.shape == (2, unit.summary_width(n))
    shares = [[case.distribution(field, i) for field in case.field] for i in range(3)]

    def expected(p):
        return np.argmax(p) if name == "categorical" else np.arange(len(p)) @ p

    each = [[expected(p) for p in of_column] for of_column in shares]
    np.testing.assert_allclose(unit.estimate(summary), np.transpose(each), rtol=1e-10)
    # Of the mixture of both distributions.
    both = [[expected(np.mean(of_column, axis=0)) for of_column in shares]]
    actual = unit.estimate(summary.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(actual, both, rtol=1e-10)
    np.testing.assert_array_equal(unit.measured(summary, np.zeros(n), np.ones(n)), summary)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "spin"])
def test_an_estimate_of_other_types_is_the_mean(name):
    unit, par, field, *_ = make(name)
    summary = unit.summary(field, par)
    np.testing.assert_array_equal(unit.estimate(summary), unit.mean(field, par))
    np.testing.assert_array_equal(unit.measured(summary, 2.0, 3.0), 3 * summary + 2)


@pytest.mark.parametrize("name", CASES)
def test_weights_that_all_levels_share_are_removed_and_change_only_a_bias(name):
    case = make(name)
    rng = np.random.default_rng(0)
    n = case.par.shape[1]
    W = rng.standard_normal((n, 2))
    projected = W.copy()
    case.unit.project_weights(projected)
    if name != "categorical":
        np.testing.assert_array_equal(projected, W)
        return
    for at in case.columns:
        np.testing.assert_allclose(projected[at].sum(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(np.ptp(projected[at] - W[at], axis=0), 0, atol=1e-14)
    again = projected.copy()
    case.unit.project_weights(again)
    np.testing.assert_allclose(again, projected, atol=1e-14)
    # The fields of the layer above differ by the same in all states.
    x = all_states(case.unit.states(n), n)
    change = x @ W - x @ projected
    np.testing.assert_allclose(change, np.repeat(change[:1], len(x), axis=0), atol=1e-13)
    upper = [np.zeros((1, 2)), change[:1]]
    machines = [
        Machine((case.unit, UNITS["bernoulli"]), [case.par, par], [weights])
        for par, weights in zip(upper, (W, projected), strict=True)
    ]
    free = [machine.free_energy([x, None]) for machine in machines]
    np.testing.assert_allclose(free[0], free[1], atol=1e-12)


@learnt
def test_a_step_of_a_base_measure_has_no_part_that_the_bias_has_or_that_has_no_effect(name):
    case = make(name)
    before = np.random.default_rng(0).standard_normal(case.par.shape)
    step = before.copy()
    case.unit.precondition(step, case.par, np.zeros(3), False)
    np.testing.assert_array_equal(step[0], before[0])
    for i, values in enumerate(case.values):
        n = len(values)
        # What is taken away is a constant and a multiple of the states, and the rest has none.
        plane = np.concatenate([np.ones((n, 1)), values], axis=1)
        old, new = before[1 : n + 1, i], step[1 : n + 1, i]
        np.testing.assert_allclose(plane.T @ new, 0, atol=1e-12)
        fit = np.linalg.lstsq(plane, old - new, rcond=None)[0]
        np.testing.assert_allclose(plane @ fit, old - new, atol=1e-12)


def test_a_step_of_a_fixed_base_measure_stays_as_it_is():
    case = make("binomial")
    step = np.ones_like(case.par)
    case.unit.precondition(step, case.par, np.zeros(3), False)
    np.testing.assert_array_equal(step, 1)


@counts
def test_counts_are_counts_and_levels_are_levels(name):
    assert UNITS[name].takes == "counts"
    assert {UNITS[other].takes for other in ("categorical", "ordinal")} == {"levels"}


@of_levels
def test_a_type_that_is_fitted_leaves_the_one_in_the_table(name):
    before = UNITS[name]
    fitted = before.fitted(SHARES)
    assert type(fitted) is type(before)
    assert fitted is not before
    assert len(before.n_levels) == 0
    assert len(fitted.states(int(fitted.widths(3).sum()))) == 3


@pytest.mark.parametrize("name", ["ordinal", "count", "binomial"])
def test_a_level_that_no_row_has_is_not_far_away(name):
    unit = UNITS[name].fitted([np.eye(7)[3], np.array([1.0, 0.0])])
    states = unit.encode(np.array([[0.0, 0.0], [6.0, 1.0], [3.0, np.nan]]))
    assert np.nanmax(np.abs(states)) < 12
    np.testing.assert_array_equal(np.isnan(states), [[0, 0], [0, 0], [0, 1]])
