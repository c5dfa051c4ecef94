"""Layers of several unit types: the types side by side, and nothing else."""

import numpy as np
import pytest
from helpers.unit_types import CASES, TYPES

from sklearn_dbn._random import Stream
from sklearn_dbn.units import Blocks, UnitMoments

N_ROWS = 7
# Types and numbers of columns of a layer.
LAYERS = {
    "one": ["bernoulli"],
    "one real": ["gaussian"],
    "two": ["bernoulli", "gaussian"],
    "two alike": ["bernoulli", "bernoulli"],
    "three": ["gaussian", "spin", "bernoulli"],
}
layers = pytest.mark.parametrize("names", LAYERS.values(), ids=LAYERS)
single = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def blocks(names):
    return Blocks([TYPES[name] for name in names], np.arange(3 * len(names)).reshape(-1, 3))


def parameters(names, dtype=np.float64):
    """Of each block, and of the layer."""
    alone = [np.array(CASES[name][0], dtype=dtype) for name in names]
    par = np.zeros((max(map(len, alone)), 3 * len(names)), dtype=dtype)
    for i, x in enumerate(alone):
        par[: len(x), 3 * i : 3 * i + 3] = x
    return alone, par


def arguments(n, dtype=np.float64, seed=0):
    """Arrays of rows, (N_ROWS, n), and of columns, (n,), of which functions need some."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((4, N_ROWS, n)).astype(dtype)
    columns = rng.uniform(0.1, 0.9, (4, n)).astype(dtype)
    return rows, columns


def all_values(unit, par, rows, columns, only_columns=False):
    """What each function of the contract gives, by name. Nothing that is given changes."""
    (field, back, delta, noise), (mean, var, offset, scale) = rows.copy(), columns.copy()
    x = unit.sample(field.copy(), par, Stream(5)) if not only_columns else unit.mode(field, par)
    weight = np.linspace(-1, 1, N_ROWS).astype(par.dtype)
    moments = UnitMoments(mean, var, scale)
    end = unit.between(par, par[:, ::-1] if not only_columns else 1.5 * par, 0.3)
    projected, step = 30 * par, 0.1 * par
    unit.project(projected)
    unit.precondition(step, par, offset, False)
    hidden_step = 0.1 * par
    unit.precondition(hidden_step, par, offset, True)
    known = noise > 0
    curvature, standard = unit.curvature(par), unit.standard(moments)
    values = {
        "independent": unit.independent(moments),
        "energy": unit.energy(x, par),
        "log_partition": unit.log_partition(field, par),
        "log_partition of known": unit.log_partition(field, par, known),
        "change": unit.log_partition_change(field, par, back.copy(), end),
        "change with mean": unit.log_partition_change(
            field, par, back.copy(), end, unit.mean(field, par)
        ),
        "between": end,
        "mean": unit.mean(field, par),
        "variance": unit.variance(field, par),
        "variance with mean": unit.variance(field, par, unit.mean(field, par)),
        "mode": unit.mode(field, par),
        "pullback": unit.pullback(delta.copy(), field, par),
        "initial": unit.initial(mean),
        "par_gradient": unit.par_gradient(weight @ x, x, weight, offset, par, field[:3]),
        "project": projected,
        "precondition": step,
        "precondition hidden": hidden_step,
        "rescale": unit.rescale(par, offset, scale),
        "uncertainty": unit.uncertainty(field, par),
        "information": unit.information(mean, var, scale),
        "dead": unit.idle(field, par)[0],
        "saturated": unit.idle(field, par)[1],
    }
    if curvature is not None:
        values["curvature"] = curvature
    if standard is not None:
        values["shift"], values["scale"] = standard
    for variable in unit.states(len(mean)):
        values[f"states of {variable.columns[0]}"] = variable.values
    if not only_columns:
        values["sample"] = unit.sample(field.copy(), par, Stream(3))
        values["sample with mean"] = unit.sample(
            field.copy(), par, Stream(3), unit.mean(field, par)
        )
        values["present"] = unit.present(mean + 0 * field, Stream(4))
    return values


@single
@dtypes
def test_a_layer_of_one_block_is_the_bare_unit_to_the_bit(name, dtype):
    (_, par), (rows, columns) = parameters([name], dtype), arguments(3, dtype)
    expected = all_values(TYPES[name], par, rows, columns)
    actual = all_values(blocks([name]), par, rows, columns)
    assert actual.keys() == expected.keys()
    for key, value in actual.items():
        assert value.dtype == expected[key].dtype
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    for key in ("name", "on_or_off", "quadratic"):
        alone = getattr(TYPES[name], key)
        assert getattr(blocks([name]), key) == (alone or key == "quadratic")


SUMS = ("energy", "log_partition", "log_partition of known", "change", "change with mean")
# Parameters, with rows of 0 where other blocks have more.
PADDED = ("independent", "between", "initial", "par_gradient", "rescale", "project")
PADDED += ("precondition", "precondition hidden")


@layers
@dtypes
def test_a_layer_has_what_its_blocks_have_side_by_side(names, dtype):
    alone, par = parameters(names, dtype)
    rows, columns = arguments(3 * len(names), dtype)
    actual = all_values(blocks(names), par, rows, columns, only_columns=True)
    for i, (name, own) in enumerate(zip(names, alone, strict=True)):
        at = slice(3 * i, 3 * i + 3)
        expected = all_values(TYPES[name], own, rows[..., at], columns[:, at], True)
        for key in actual:
            if key in SUMS or key.startswith("states"):
                continue
            part = actual[key][..., at]
            if key in expected:
                n_par = len(expected[key]) if key in PADDED else None
                np.testing.assert_array_equal(part[:n_par], expected[key], err_msg=key)
                if key in PADDED:
                    np.testing.assert_array_equal(part[n_par:], 0)
            else:
                np.testing.assert_array_equal(part, 1 if key == "scale" else 0, err_msg=key)


@layers
def test_sums_are_those_over_the_blocks(names):
    alone, par = parameters(names)
    rows, columns = arguments(3 * len(names))
    actual = all_values(blocks(names), par, rows, columns, only_columns=True)
    for key in SUMS:
        expected = 0
        for i, (name, own) in enumerate(zip(names, alone, strict=True)):
            at = slice(3 * i, 3 * i + 3)
            expected += all_values(TYPES[name], own, rows[..., at], columns[:, at], True)[key]
        np.testing.assert_allclose(actual[key], expected, rtol=1e-13, err_msg=key)


def test_permuted_blocks_have_permuted_columns():
    names = LAYERS["three"]
    order = [2, 0, 1]
    columns_of = np.concatenate([np.arange(3 * i, 3 * i + 3) for i in order])
    (_, par), (rows, columns) = parameters(names), arguments(9)
    before = all_values(blocks(names), par, rows, columns, only_columns=True)
    permuted = blocks([names[i] for i in order])
    after = all_values(
        permuted, par[:, columns_of], rows[..., columns_of], columns[:, columns_of], True
    )
    for key, value in before.items():
        if key in SUMS:
            np.testing.assert_allclose(after[key], value, rtol=1e-13, err_msg=key)
        elif not key.startswith("states"):
            np.testing.assert_array_equal(after[key], value[..., columns_of], err_msg=key)


@layers
def test_draws_of_each_block_have_its_distribution(names):
    unit, (_, par), n = blocks(names), parameters(names), 50_000
    field = np.linspace(-1, 1, 3 * len(names))
    for given in (None, unit.mean(field[None, :], par)):
        rows = np.repeat(field[None, :], n, axis=0)
        mean = None if given is None else np.repeat(given, n, axis=0)
        x = unit.sample(rows, par, Stream(0), mean)
        var = unit.variance(field, par)
        error = np.sqrt(var / n)
        assert np.all(np.abs(x.mean(axis=0) - unit.mean(field, par)) < 5 * error)
        np.testing.assert_allclose(x.var(axis=0), var, rtol=0.1)
        correlation = np.corrcoef(x.T) - np.eye(len(field))
        assert np.abs(correlation).max() < 5 / np.sqrt(n)


@layers
def test_states_of_all_columns_but_the_real_ones_are_listed(names):
    unit = blocks(names)
    listed = [int(c) for variable in unit.states(3 * len(names)) for c in variable.columns]
    real = np.repeat([name == "gaussian" for name in names], 3)
    assert listed == np.flatnonzero(~real).tolist()
    assert unit.quadratic
    curvature = unit.curvature(parameters(names)[1])
    np.testing.assert_array_equal(real, 0 * real if curvature is None else curvature > 0)


def test_the_support_of_a_layer_is_that_of_each_column():
    low, high = blocks(LAYERS["three"]).support
    np.testing.assert_array_equal(low, [-np.inf] * 3 + [-1] * 3 + [0] * 3)
    np.testing.assert_array_equal(high, [np.inf] * 3 + [1] * 6)


def test_a_layer_is_on_or_off_where_all_its_blocks_are():
    assert blocks(LAYERS["two alike"]).on_or_off
    assert not blocks(LAYERS["two"]).on_or_off
