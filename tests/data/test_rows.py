import numpy as np
import pytest
import scipy.sparse as sp
from helpers import exact
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Moments, Rows
from sklearn_dbn.data._values import is_binary
from sklearn_dbn.units import HIDDEN, UNITS

# Rows of [0, 1] that hold their own number.
X = np.arange(1, 24)[:, None] / 32 * np.ones(3)


def row_numbers(v):
    return (v[:, 0] * 32).round().astype(int) - 1


def plain_rows(X, weight=None, **options):
    """Rows as they are, without draws."""
    weight = np.ones(X.shape[0]) if weight is None else weight
    return Rows(X, weight, Columns(UNITS["bernoulli"]), sample=False, **options)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 22, 23, 24, 100])
def test_a_pass_presents_each_row_once_in_batches_that_differ_by_at_most_one(batch_size):
    batches = [v for v, *_ in plain_rows(X).batches(batch_size, Stream(0))]
    sizes = [len(v) for v in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size
    assert len(sizes) == -(-23 // batch_size)
    order = np.concatenate([row_numbers(v) for v in batches])
    assert sorted(order) == list(range(23))


def test_passes_take_the_rows_in_different_orders():
    rows, rng = plain_rows(X), Stream(0)
    first, second = (
        np.concatenate([row_numbers(v) for v, *_ in rows.batches(5, rng)]) for _ in range(2)
    )
    assert list(first) != list(second)
    assert list(first) != list(range(23))


def test_rows_of_weight_zero_are_never_presented_and_others_keep_their_weight():
    weight = np.arange(23.0) % 4
    seen = {}
    for v, w, _ in plain_rows(X, weight).batches(5, Stream(0)):
        seen.update(zip(row_numbers(v), w, strict=True))
    assert seen == {i: w for i, w in enumerate(weight) if w}


@pytest.mark.parametrize(("fraction", "n_held"), [(0.25, 5), (0.001, 1), (0.999, 19)], ids=str)
def test_held_out_rows_are_apart_from_the_rest(fraction, n_held):
    weight = np.ones(23)
    weight[:3] = 0
    rows = plain_rows(X, weight)
    held = rows.hold_out(fraction, Stream(0))
    assert len(held) == n_held
    assert len(rows) == 20 - n_held
    presented = np.concatenate([row_numbers(v) for v, *_ in rows.batches(4, Stream(0))])
    assert sorted([*held, *presented]) == list(range(3, 23))


def test_of_a_single_row_none_is_held_out():
    rows = plain_rows(X[:1])
    assert len(rows.hold_out(0.5, Stream(0))) == 0
    assert len(rows) == 1


def test_grey_levels_are_drawn_anew_at_each_presentation():
    grey = np.tile([0.0, 0.25, 1.0], (20_000, 1))
    rows = Rows(grey, np.ones(20_000), Columns(UNITS["bernoulli"]))
    index, rng = np.arange(20_000), Stream(0)
    first, second = rows.present(index, rng), rows.present(index, rng)
    assert set(first.flat) == {0.0, 1.0}
    np.testing.assert_allclose(first.mean(axis=0), grey[0], atol=0.02)
    np.testing.assert_allclose(np.mean(first * second, axis=0), grey[0] ** 2, atol=0.02)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("unit", HIDDEN)
def test_presenting_rows_leaves_the_data_as_they_were(unit, sample, container):
    data = container(X)
    rows = Rows(data, np.ones(23), Columns(UNITS[unit]), sample=sample)
    for v, *_ in rows.batches(5, Stream(0)):
        v *= -1
    np.testing.assert_array_equal(data.toarray() if sp.issparse(data) else data, X)


def test_standardised_rows_have_mean_zero_and_variance_one():
    rng = np.random.default_rng(0)
    data = rng.normal([1.0, -3.0], [0.1, 4.0], size=(50, 2))
    rows = Rows(data, np.ones(50), Columns(UNITS["gaussian"]))
    rows.presented = rows.presented.standardise(data.mean(axis=0), data.std(axis=0))
    v = np.concatenate([v for v, *_ in rows.batches(7, Stream(0))])
    np.testing.assert_allclose(v.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(v.std(axis=0), 1)
    np.testing.assert_allclose(
        rows.means(np.array([4, 2])), (data[[4, 2]] - data.mean(axis=0)) / data.std(axis=0)
    )


@pytest.mark.parametrize("unit", HIDDEN)
def test_rows_above_a_machine_are_draws_whose_means_are_its_hidden_means(unit):
    machine = exact.make_machine(("bernoulli", unit), (3, 2))
    v = np.repeat(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), 20_000, axis=0)
    rows = Rows(v, np.ones(len(v)), Columns(UNITS[unit]), [machine])
    assert rows.n_columns == 2
    expected = machine.means([1], [v, None])[1]
    np.testing.assert_allclose(rows.means(np.arange(len(v))), expected)
    drawn = rows.present(np.arange(len(v)), Stream(0)).reshape(2, -1, 2)
    np.testing.assert_allclose(drawn.mean(axis=1), expected[::20_000], atol=0.04)
    field = machine.field(1, [v, None])[::20_000]
    variance = UNITS[unit].variance(field, machine.par[1])
    np.testing.assert_allclose(drawn.var(axis=1), variance, rtol=0.05)


def test_grey_levels_are_drawn_before_they_reach_a_machine_above():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (3, 2), scale=4)
    v = np.full((40_000, 3), 0.5)
    rows = Rows(v, np.ones(len(v)), Columns(UNITS["bernoulli"]), [machine])
    h = rows.present(np.arange(len(v)), Stream(0))
    states = exact.bits(3)
    expected = machine.means([1], [states, None])[1].mean(axis=0)
    np.testing.assert_allclose(h.mean(axis=0), expected, atol=0.012)
    # The mean of the hidden units is not their mean given the mean of the visible ones.
    assert np.abs(rows.means(np.array([0]))[0] - expected).max() > 0.03


@pytest.mark.parametrize("lower", [0, 1, 2])
def test_sparse_rows_are_the_dense_ones(lower):
    rng = np.random.default_rng(0)
    dense = rng.uniform(size=(30, 4)) * (rng.uniform(size=(30, 4)) < 0.4)
    machines = [
        exact.make_machine(("bernoulli", "bernoulli"), sizes) for sizes in [(4, 3), (3, 5)]
    ][:lower]
    weight = rng.uniform(0.5, 2, size=30)

    def results(data):
        rows = Rows(data, weight, Columns(UNITS["bernoulli"]), machines)
        moments = Moments(rows.n_columns)
        for block, w in rows.blocks(7):
            moments.add(block, w)
        batches = [v for v, *_ in rows.batches(4, Stream(0))]
        return [*batches, rows.means(np.array([3, 20])), moments.mean, moments.var]

    for x, y in zip(results(sp.csr_array(dense)), results(dense), strict=True):
        assert isinstance(x, np.ndarray)
        np.testing.assert_allclose(x, y, atol=1e-12)


def test_blocks_hold_all_rows_in_order():
    weight = np.arange(1.0, 24.0)
    blocks = list(plain_rows(X, weight).blocks(10))
    assert [len(x) for x, _ in blocks] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in blocks]), X)
    np.testing.assert_array_equal(np.concatenate([w for _, w in blocks]), weight)


def weighted_moments(x, weight):
    mean = np.average(x, axis=0, weights=weight)
    return mean, np.average((x - mean) ** 2, axis=0, weights=weight)


numbers = st.floats(-100, 100, width=32)
weights = st.one_of(st.just(0.0), st.floats(0.01, 10))


@settings(deadline=None, max_examples=60)
@given(
    x=arrays(np.float64, (12, 2), elements=numbers),
    weight=arrays(np.float64, 12, elements=weights),
    cuts=st.lists(st.integers(1, 11), max_size=4, unique=True).map(sorted),
)
def test_moments_merged_over_chunks_are_those_of_all_rows_at_once(x, weight, cuts):
    assume(weight.any())
    moments = Moments(2)
    for part, w in zip(np.split(x, cuts), np.split(weight, cuts), strict=True):
        moments.add(part, w)
    mean, var = weighted_moments(x, weight)
    assert moments.count == pytest.approx(weight.sum())
    np.testing.assert_allclose(moments.mean, mean, atol=1e-9)
    np.testing.assert_allclose(moments.var, var, atol=1e-7)


def test_a_weight_of_two_in_the_moments_is_two_rows():
    x = np.random.default_rng(0).normal(size=(5, 2))
    repeats = np.array([1, 2, 0, 3, 1])
    weighted, repeated = Moments(2), Moments(2)
    weighted.add(x, repeats.astype(float))
    repeated.add(np.repeat(x, repeats, axis=0), np.ones(7))
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.var, repeated.var)


def test_moments_of_float32_columns_far_from_zero_keep_their_variance():
    x = (1e4 + np.random.default_rng(0).normal(size=(4000, 2))).astype(np.float32)
    moments = Moments(2)
    for part in np.split(x, 4):
        moments.add(part, np.ones(1000, dtype=np.float32))
    np.testing.assert_allclose(moments.var, x.astype(np.float64).var(axis=0), rtol=1e-6)


def test_constant_columns_have_scale_one():
    moments = Moments(3)
    moments.add(np.array([[0.1, 0.0, 1.0], [0.1, 0.0, 3.0], [0.1, 0.0, 5.0]]), np.ones(3))
    np.testing.assert_allclose(moments.scale(), [1, 1, np.sqrt(8 / 3)])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_grey_levels_are_not_binary(container):
    assert is_binary(container(np.eye(3)))
    assert not is_binary(container(np.eye(3) * 0.5))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_moments_are_those_of_what_is_known(make):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(30, 4)) + 3, rng.random(30)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[:, 2] = np.nan
    moments = Moments(4)
    for part in (slice(0, 7), slice(7, 8), slice(8, 30)):
        moments.add(make(X[part]), weight[part])
    for column in (0, 1, 3):
        known = ~np.isnan(X[:, column])
        x, w = X[known, column], weight[known]
        mean = np.average(x, weights=w)
        np.testing.assert_allclose(moments.mean[column], mean)
        np.testing.assert_allclose(moments.var[column], np.average((x - mean) ** 2, weights=w))
    assert moments.scale()[2] == 1
