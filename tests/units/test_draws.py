"""Draws of any type of unit against its reference, and states made from values."""

import numpy as np
import pytest
from helpers.unit_types import CASES, REAL, make

from sklearn_dbn._random import CommonStream, RowStream, Stream
from sklearn_dbn.units import UNITS

cases = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
ways = pytest.mark.parametrize("way", ["field", "mean"])


def shares_of(values, x):
    """The share of the rows of ``x`` in each state; each row must be one of them."""
    found = (x[:, None, :] == values.astype(x.dtype)).all(axis=2)
    assert np.all(found.sum(axis=1) == 1)
    return found.mean(axis=0)


def assert_drawn(case, field, x):
    """Rows of draws have the distribution of the reference, independently in each column."""
    n = len(x)
    mean, var = case.moments(field)
    # Five standard errors, and never less than one draw.
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - mean), 5 * np.sqrt(var / n) + 1 / n)
    for i, values in enumerate(case.values):
        reference = case.distribution(field, i)
        if values is None:
            for p in (0.05, 0.3, 0.5, 0.8, 0.99):
                share = np.mean(x[:, case.columns[i]] <= reference.ppf(p))
                assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / n) + 1 / n
        else:
            shares = shares_of(values, x[:, case.columns[i]])
            error = np.sqrt(reference * (1 - reference) / n)
            # 16 bits of a draw of Bernoulli units.
            np.testing.assert_array_less(np.abs(shares - reference), 5 * error + 1 / n + 1e-5)
    deviation = (x - mean) / np.sqrt(var)
    products = deviation.T @ deviation / n
    for at in case.columns:
        products[np.ix_(at, at)] = 0
    assert np.abs(products).max() < 5 / np.sqrt(n)


@cases
@dtypes
@ways
def test_draws_have_the_distribution_of_the_reference_and_the_dtype(name, dtype, way):
    case = make(name, dtype)
    # The rarest states have a probability of a few thousandths.
    field = case.field[1] / 2
    rows = np.repeat(field[None], 100_000, axis=0)
    mean = case.unit.mean(rows, case.par) if way == "mean" else None
    x = case.unit.sample(rows, case.par, Stream(0), mean)
    assert x.dtype == dtype
    assert_drawn(case, field.astype(float), x)


@pytest.mark.parametrize("name", [name for name in CASES if name not in REAL])
@dtypes
def test_draws_at_extreme_fields_are_the_only_likely_state(name, dtype):
    case = make(name, dtype)
    rows = np.repeat(1e4 * case.field[:1], 1000, axis=0)
    for mean in (None, case.unit.mean(rows, case.par)):
        x = case.unit.sample(rows.copy(), case.par, Stream(0), mean)
        np.testing.assert_array_equal(x, case.unit.mode(rows, case.par))


@cases
@dtypes
@ways
def test_draws_of_a_common_stream_have_the_distribution_over_seeds(name, dtype, way):
    case = make(name, dtype)
    field = case.field[1] / 2
    draws = []
    for seed in range(1500):
        rows = np.stack([field, field])
        mean = case.unit.mean(rows, case.par) if way == "mean" else None
        x = case.unit.sample(rows, case.par, CommonStream(seed), mean)
        np.testing.assert_array_equal(x[0], x[1])
        draws.append(x[0])
    assert_drawn(case, field.astype(float), np.array(draws))


@cases
@dtypes
@ways
def test_a_row_of_a_common_stream_does_not_depend_on_other_rows(name, dtype, way):
    case = make(name, dtype)
    rows = np.random.default_rng(0).standard_normal((20, case.par.shape[1])).astype(dtype)

    def draw(rows):
        mean = case.unit.mean(rows, case.par) if way == "mean" else None
        return case.unit.sample(rows.copy(), case.par, CommonStream(5), mean)

    alone = np.concatenate([draw(rows[[i]]) for i in range(20)])
    np.testing.assert_array_equal(draw(rows), alone)
    assert draw(rows).dtype == dtype


@cases
@dtypes
@ways
def test_rows_of_a_minibatch_get_the_draws_that_all_rows_would_get(name, dtype, way):
    case = make(name, dtype)
    rows = np.random.default_rng(0).standard_normal((20, case.par.shape[1])).astype(dtype)
    mean = case.unit.mean(rows, case.par) if way == "mean" else None
    places = np.array([1, 2, 7, 19])
    some = mean if mean is None else mean[places]
    stream, row_stream = Stream(3), Stream(3)
    expected = case.unit.sample(rows.copy(), case.par, stream, mean)
    row_stream = RowStream(row_stream, 20, places)
    actual = case.unit.sample(rows[places], case.par, row_stream, some)
    np.testing.assert_array_equal(actual, expected[places])
    # And the stream has advanced as far.
    again = case.unit.sample(rows.copy(), case.par, stream)
    actual = case.unit.sample(rows[places], case.par, row_stream)
    np.testing.assert_array_equal(actual, again[places])


@cases
def test_present_leaves_states_as_they_are(name):
    case = make(name)
    states = case.unit.sample(np.repeat(case.field, 20, axis=0), case.par, Stream(2))
    np.testing.assert_array_equal(case.unit.present(states.copy(), Stream(0)), states)


@pytest.mark.parametrize(("name", "low"), [("bernoulli", 0.0), ("spin", -1.0)])
def test_grey_levels_are_presented_with_draws_of_this_mean(name, low):
    grey = np.tile(np.array([low, 0.3, 1.0]), (50_000, 1))
    v = UNITS[name].present(grey.copy(), Stream(0))
    assert set(v.flat) == {low, 1.0}
    np.testing.assert_allclose(v.mean(axis=0), [low, 0.3, 1.0], atol=0.02)
