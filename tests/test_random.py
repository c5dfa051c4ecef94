import numpy as np
import pytest
from scipy.special import expit, logit

from sklearn_dbn._random import CommonStream, RowStream, Stream, layer_seed, seed_of

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
# Half of the distance between two probabilities that differ in 16 bits.
ROUNDING = 0.5 / 65536


@dtypes
@pytest.mark.parametrize("way", ["bernoulli", "bernoulli_logit"])
@pytest.mark.parametrize("p", [0.0, 2e-5, 0.1, 0.5, 0.9999, 1.0])
def test_bernoulli_frequency_is_p_to_16_bits(p, way, dtype):
    n = 2_000_000
    with np.errstate(divide="ignore"):
        argument = p if way == "bernoulli" else np.clip(logit(p), -100, 100)
    draw = getattr(Stream(0), way)(np.full(n, argument, dtype=dtype))
    assert draw.dtype == dtype
    assert set(np.unique(draw)) <= {0.0, 1.0}
    if p in (0.0, 1.0):
        assert np.all(draw == p)
    else:
        error = abs(draw.mean(dtype=np.float64) - p)
        assert 0 < draw.mean() < 1
        assert error < ROUNDING + 5 * np.sqrt(p * (1 - p) / n)


class EveryWord:
    """In the place of the bit generator: each 16-bit number once."""

    def random_raw(self, n_words):
        assert n_words == 65536 // 4
        return np.arange(65536, dtype=np.uint16).view(np.uint64)


@dtypes
@pytest.mark.parametrize("way", ["bernoulli", "bernoulli_logit"])
@pytest.mark.parametrize("p", [0.0, 2e-5, 0.1, 0.3, 0.5, 0.9999, 1.0])
def test_bernoulli_rounds_p_to_the_nearest_level(p, way, dtype):
    stream = Stream(0)
    stream._generator = type("Generator", (), {"bit_generator": EveryWord()})
    with np.errstate(divide="ignore"):
        argument = p if way == "bernoulli" else np.clip(logit(p), -100, 100)
    draw = getattr(stream, way)(np.full(65536, argument, dtype=dtype))
    # float32 itself resolves probabilities near 1 to 6e-8, a 256th of a level.
    assert abs(draw.mean(dtype=np.float64) - p) <= ROUNDING * 1.01


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 3), (2, 3, 7), (0, 4)], ids=str)
def test_bernoulli_draws_any_shape(shape):
    p = np.random.default_rng(0).uniform(size=shape)
    draw = Stream(0).bernoulli(p.copy())
    assert draw.shape == shape
    assert np.all((draw == 0) | (draw == 1))
    np.testing.assert_array_equal(Stream(0).bernoulli(np.zeros(shape)), np.zeros(shape))
    np.testing.assert_array_equal(Stream(0).bernoulli(np.ones(shape)), np.ones(shape))


def test_bernoulli_draws_of_one_word_and_of_two_calls_are_independent():
    stream, n = Stream(0), 100_000
    x = np.concatenate([stream.bernoulli(np.full((n, 5), 0.5)) for _ in range(2)], axis=1)
    correlation = np.corrcoef(x.T) - np.eye(10)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


def test_bernoulli_and_its_logit_form_make_the_same_draw():
    field = np.random.default_rng(0).normal(scale=4, size=(50, 7))
    np.testing.assert_array_equal(
        Stream(3).bernoulli_logit(field.copy()), Stream(3).bernoulli(expit(field))
    )


@dtypes
def test_normal_draws_have_moments_shape_and_dtype(dtype):
    x = Stream(0).normal(np.empty((50_000, 2), dtype=dtype))
    assert x.dtype == dtype
    assert x.shape == (50_000, 2)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(x.T), np.eye(2), atol=0.03)


def test_a_permutation_holds_each_number_once():
    order = Stream(0).permutation(20)
    assert sorted(order) == list(range(20))
    assert list(order) != list(range(20))


def test_equal_seeds_draw_equally_and_others_do_not():
    like = np.empty(8)
    np.testing.assert_array_equal(Stream(5).normal(like), Stream(5).normal(like))
    assert not np.array_equal(Stream(5).normal(like), Stream(6).normal(like))


def test_an_integer_is_its_own_seed_and_a_random_state_is_drawn_from():
    assert seed_of(7) == 7
    assert seed_of(np.int64(7)) == 7
    assert seed_of(np.random.RandomState(0)) == seed_of(np.random.RandomState(0))
    state = np.random.RandomState(0)
    assert seed_of(state) != seed_of(state)


def test_layers_have_seeds_of_their_own():
    seeds = [layer_seed(seed, layer) for seed in range(5) for layer in range(5)]
    assert len(set(seeds)) == 25
    assert seeds == [layer_seed(seed, layer) for seed in range(5) for layer in range(5)]


@dtypes
def test_uniform_draws_have_moments_shape_and_dtype(dtype):
    like = np.empty((50_000, 2), dtype=dtype)
    x = Stream(0).uniform_like(like)
    assert x.dtype == dtype
    assert x.shape == like.shape
    assert np.all((x >= 0) & (x < 1))
    np.testing.assert_allclose(x.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.cov(x.T), np.eye(2) / 12, atol=0.002)
    np.testing.assert_array_equal(Stream(0).uniform_like(like), x)


WAYS = ["bernoulli", "bernoulli_logit", "normal", "uniform_like"]


@dtypes
@pytest.mark.parametrize("way", WAYS)
def test_rows_of_a_common_stream_share_their_draws(way, dtype):
    row = np.linspace(0.1, 0.9, 5000, dtype=dtype)
    x = getattr(CommonStream(0), way)(np.stack([row, row, 0.5 * row]))
    assert x.dtype == dtype
    np.testing.assert_array_equal(x[0], x[1])
    if way in ("normal", "uniform_like"):
        np.testing.assert_array_equal(x[0], x[2])
    else:
        assert set(np.unique(x)) == {0, 1}
        assert np.all(x[2] <= x[0])
    assert len(np.unique(x)) > 1
    # The next draw is another one, and so is that of another seed.
    stream = CommonStream(0)
    draws = [getattr(stream, way)(row[None].copy()) for _ in range(2)]
    assert np.any(draws[0] != draws[1])
    assert np.any(getattr(CommonStream(1), way)(row[None].copy()) != draws[0])


def test_rows_of_a_common_stream_have_the_distribution_over_the_columns():
    p = np.full((1, 50_000), 0.3)
    x = CommonStream(0).uniform_like(p)
    np.testing.assert_allclose([x.mean(), x.var()], [0.5, 1 / 12], atol=0.005)
    assert CommonStream(0).bernoulli(p.copy()).mean() == pytest.approx(0.3, abs=0.01)
    x = CommonStream(0).normal(p)
    np.testing.assert_allclose([x.mean(), x.var()], [0, 1], atol=0.02)


class AlmostOne:
    """In the place of the generator: the largest number below 1."""

    def random(self, shape):
        return np.full(shape, np.nextafter(1.0, 0.0))


@dtypes
def test_the_largest_draw_of_a_common_stream_is_below_one(dtype):
    stream = CommonStream(0)
    stream._generator = AlmostOne()
    ones = np.ones((2, 3), dtype=dtype)
    assert np.all(stream.uniform_like(ones) < 1)
    # What is certain happens.
    np.testing.assert_array_equal(stream.bernoulli(ones.copy()), 1)


@dtypes
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_of_some_rows_gives_what_all_rows_would_get(way, dtype):
    p = np.random.default_rng(0).uniform(0.1, 0.9, (10, 3)).astype(dtype)
    places = np.array([0, 4, 5, 9])
    stream, twin = Stream(0), Stream(0)
    rows = RowStream(twin, 10, places)
    for _ in range(2):
        expected = getattr(stream, way)(p.copy())[places]
        np.testing.assert_array_equal(getattr(rows, way)(p[places]), expected)
