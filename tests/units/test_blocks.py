"""Layers of several unit types: the types side by side, and nothing else."""

import itertools

import numpy as np
import pytest
from helpers.unit_types import (
    CASES,
    OF_LEVELS,
    SHARES,
    TYPES,
    all_values,
    arguments,
    columns_of,
    make,
)

from sklearn_dbn._random import Stream
from sklearn_dbn.units import Blocks

# Types of a layer; each has three columns of data.
LAYERS = {
    "one": ["bernoulli"],
    "one real": ["gaussian"],
    "one of levels": ["categorical"],
    "two": ["bernoulli", "gaussian"],
    "two alike": ["bernoulli", "bernoulli"],
    "two of levels": ["ordinal", "categorical"],
    "all": list(CASES),
}
layers = pytest.mark.parametrize("names", LAYERS.values(), ids=LAYERS)
single = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def blocks(names):
    return Blocks([TYPES[name] for name in names], np.arange(3 * len(names)).reshape(-1, 3))


def layer(names, dtype=np.float64):
    """The type, its arguments, and the columns of states of each block."""
    alone = [make(name, dtype).par for name in names]
    ends = np.cumsum([0, *(x.shape[1] for x in alone)])
    at = [slice(*end) for end in itertools.pairwise(ends)]
    par = np.zeros((max(map(len, alone)), ends[-1]), dtype=dtype)
    for x, columns in zip(alone, at, strict=True):
        par[: len(x), columns] = x
    return blocks(names), arguments(par, 3 * len(names)), at


def parts(names, given, at):
    """Each type of a layer and its arguments alone."""
    for i, (name, columns) in enumerate(zip(names, at, strict=True)):
        data = slice(3 * i, 3 * i + 3)
        yield TYPES[name], given.of(len(make(name).par), columns, data)


@single
@dtypes
def test_a_layer_of_one_block_is_the_bare_unit_to_the_bit(name, dtype):
    unit, given, _ = layer([name], dtype)
    before = [x.copy() for x in given]
    expected = all_values(TYPES[name], given)
    actual = all_values(unit, given)
    assert actual.keys() == expected.keys()
    for key, value in actual.items():
        assert value.dtype == expected[key].dtype
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    for x, y in zip(given, before, strict=True):
        np.testing.assert_array_equal(x, y)
    n = given.par.shape[1]
    for variable, other in zip(unit.states(n), TYPES[name].states(n), strict=True):
        for x, y in zip(variable, other, strict=True):
            np.testing.assert_array_equal(x, y)
    for key in ("name", "on_or_off", "quadratic"):
        alone = getattr(TYPES[name], key)
        assert getattr(blocks([name]), key) == (alone or key == "quadratic")


SUMS = ("energy", "energy of known", "log_partition", "log_partition of known", "change")
SUMS += ("change with mean",)
# Parameters, with rows of 0 where other blocks have more.
PADDED = ("independent", "between", "initial", "par_gradient", "rescale", "project")
PADDED += ("precondition", "precondition hidden")
# Of columns of data, and of summaries; all others are of columns of states.
DATA, SUMMARIES = ("estimate", "decode"), ("summary", "measured")


def assert_equal(actual, expected, key):
    if key == "par_gradient":
        # A product of matrices, which may add up in another order.
        tolerance = 8 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=key)


@layers
@dtypes
def test_a_layer_has_what_its_blocks_have_side_by_side(names, dtype):
    unit, given, at = layer(names, dtype)
    actual, n_summary = all_values(unit, given, drawn=False), 0
    for i, (part, own) in enumerate(parts(names, given, at)):
        expected = all_values(part, own, drawn=False)
        width = part.summary_width(own.par.shape[1])
        places = dict.fromkeys(DATA, slice(3 * i, 3 * i + 3))
        places |= dict.fromkeys(SUMMARIES, slice(n_summary, n_summary + width))
        n_summary += width
        for key, value in actual.items():
            if key in SUMS:
                continue
            value = value[..., places.get(key, at[i])]
            if key in expected:
                n_par = len(expected[key]) if key in PADDED else None
                assert_equal(value[:n_par], expected[key], key)
                if key in PADDED:
                    np.testing.assert_array_equal(value[n_par:], 0)
            else:
                np.testing.assert_array_equal(value, 1 if key == "scale" else 0, err_msg=key)
    assert unit.summary_width(given.par.shape[1]) == n_summary


@layers
def test_sums_are_those_over_the_blocks(names):
    unit, given, at = layer(names)
    actual = all_values(unit, given, drawn=False)
    each = [all_values(part, own, drawn=False) for part, own in parts(names, given, at)]
    for key in SUMS:
        expected = sum(values[key] for values in each)
        np.testing.assert_allclose(actual[key], expected, rtol=1e-12, err_msg=key)


def permuted(names, order):
    """A layer and its arguments with its blocks in another order, and where columns are."""
    unit, given, at = layer(names)
    states = np.concatenate([np.arange(at[i].start, at[i].stop) for i in order])
    data = [unit.columns[i] for i in order]
    return Blocks([TYPES[names[i]] for i in order], data), given, states


def test_permuted_blocks_have_permuted_columns_of_states_and_the_same_data():
    names, order = LAYERS["all"], [2, 6, 3, 0, 5, 1, 4]
    other, given, states = permuted(names, order)
    unit, n_par = blocks(names), len(given.par)
    before = all_values(unit, given, drawn=False)
    after = all_values(other, given.of(n_par, states, slice(None)), drawn=False)
    for key, value in before.items():
        if key in SUMS:
            np.testing.assert_allclose(after[key], value, rtol=1e-12, err_msg=key)
        elif key in DATA:
            np.testing.assert_array_equal(after[key], value, err_msg=key)
        elif key not in SUMMARIES:
            assert_equal(after[key], value[..., states], key)
    np.testing.assert_array_equal(other.widths(21), unit.widths(21))


def test_columns_of_data_may_be_in_any_order():
    names, rng = LAYERS["all"], np.random.default_rng(0)
    columns = np.split(rng.permutation(21), 7)
    unit, sorted_ = Blocks([TYPES[name] for name in names], columns), blocks(names)
    values = rng.integers(2, size=(10, 21)).astype(float)
    values[rng.random(values.shape) < 0.3] = np.nan
    place = np.concatenate(columns)
    np.testing.assert_array_equal(unit.encode(values), sorted_.encode(values[:, place]))
    np.testing.assert_array_equal(unit.widths(21)[place], sorted_.widths(21))
    x = sorted_.encode(np.nan_to_num(values))
    np.testing.assert_array_equal(unit.decode(x)[:, place], sorted_.decode(x))
    for bound, other in zip(unit.support, sorted_.support, strict=True):
        np.testing.assert_array_equal(bound[place], other)


def test_the_column_of_states_of_a_column_of_data_is_found():
    columns = np.split(np.random.default_rng(0).permutation(21), 7)
    unit = Blocks(list(TYPES.values()), columns)
    for column, states in enumerate(columns_of(unit, 21)):
        if len(states) == 1:
            kind, at = unit.of_column(column)
            assert [at] == states.tolist()
            (block,) = np.flatnonzero([column in x for x in columns])
            assert kind is unit.blocks[block][0]
    with pytest.raises(IndexError):
        unit.of_column(21)


def same(first, second):
    pairs = zip(first.constants(), second.constants(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("name", OF_LEVELS)
def test_constants_tell_types_of_one_name_apart(name):
    unit = TYPES[name]
    assert same(unit, unit.fitted(SHARES))
    assert not same(unit, unit.fitted(SHARES[::-1]))
    layer, other = (Blocks([unit, unit], np.split(x, 2)) for x in (np.arange(6), np.arange(6)))
    assert same(layer, other)
    assert not same(layer, Blocks([unit, unit], np.split(np.arange(6)[::-1], 2)))
    assert not same(layer, Blocks([unit, unit.fitted(SHARES[::-1])], np.split(np.arange(6), 2)))


@layers
def test_draws_of_each_block_have_its_distribution(names):
    unit, given, at = layer(names)
    par, n = given.par, 50_000
    field = np.random.default_rng(3).uniform(-1, 1, par.shape[1])
    for way in (None, unit.mean(field[None, :], par)):
        rows = np.repeat(field[None, :], n, axis=0)
        x = unit.sample(
            rows, par, Stream(0), None if way is None else np.repeat(way, n, axis=0)
        )
        mean, var = unit.mean(field[None], par)[0], unit.variance(field[None], par)[0]
        assert np.all(np.abs(x.mean(axis=0) - mean) < 5 * np.sqrt(var / n))
        np.testing.assert_allclose(x.var(axis=0), var, rtol=0.1)
        correlation = np.corrcoef(x.T)
        for columns in at:
            correlation[columns, columns] = 0
        assert np.abs(correlation).max() < 5 / np.sqrt(n)


@layers
def test_states_of_all_columns_but_the_real_ones_are_listed(names):
    unit, given, at = layer(names)
    n = given.par.shape[1]
    listed = [int(c) for variable in unit.states(n) for c in variable.columns]
    widths = [columns.stop - columns.start for columns in at]
    real = np.repeat([name == "gaussian" for name in names], widths)
    assert sorted(listed) == np.flatnonzero(~real).tolist()
    assert unit.quadratic
    curvature = unit.curvature(given.par)
    np.testing.assert_array_equal(real, 0 * real if curvature is None else curvature > 0)
    for name, columns in zip(names, at, strict=True):
        own = TYPES[name].states(columns.stop - columns.start)
        here = [x for x in unit.states(n) if columns.start <= x.columns[0] < columns.stop]
        for variable, expected in zip(here, own, strict=True):
            np.testing.assert_array_equal(variable.columns, expected.columns + columns.start)
            np.testing.assert_array_equal(variable.values, expected.values)


def test_the_support_of_a_layer_is_that_of_each_column():
    low, high = blocks(["gaussian", "spin", "bernoulli"]).support
    np.testing.assert_array_equal(low, [-np.inf] * 3 + [-1] * 3 + [0] * 3)
    np.testing.assert_array_equal(high, [np.inf] * 3 + [1] * 6)


def test_a_layer_is_on_or_off_where_all_its_blocks_are():
    assert blocks(LAYERS["two alike"]).on_or_off
    assert not blocks(LAYERS["two"]).on_or_off
