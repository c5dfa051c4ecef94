"""Scores of the units of a fitted stack, against all that the definition sums over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn.selection import SCORES, UnitStatistics
from sklearn_dbn.units import Bernoulli, Gaussian

# Every input there is, so that a mean over the rows is an expectation.
INPUTS = ((np.arange(2**5)[:, None] >> np.arange(5)) & 1).astype(float)
DBN = DBNTransformer(
    (4, 3), rbm=RBMTransformer(n_iter=30, batch_size=4), layers="all", random_state=0
).fit(INPUTS)


def mutual_information(p):
    """I(h; v) in nats, from the joint table of a unit and equally likely inputs."""
    joint = np.stack([1 - p, p]) / len(p)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return (joint * np.log(joint / independent)).sum()


def test_the_most_informative_units_are_those_of_an_enumerated_model():
    p = DBN.transform(INPUTS)
    exact = np.array([mutual_information(column) for column in p.T])
    scores = [
        SCORES["information"](statistics, *DBN._unit(layer))
        for layer, statistics in enumerate(DBN._statistics)
    ]
    np.testing.assert_allclose(np.concatenate(scores), exact, rtol=1e-10)
    best = DBN.select(units=2)
    names = DBN.get_feature_names_out()[np.sort(np.argsort(-exact)[:2])]
    assert best.get_feature_names_out().tolist() == names.tolist()


@pytest.mark.parametrize("unit", [Bernoulli(), Gaussian()], ids=["bernoulli", "gaussian"])
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_statistics_add_over_chunks_in_any_order(unit, n_rows, n_chunks, seed):
    rng = np.random.default_rng(seed)
    par = np.array([[0.0] * 3, [0.5, 0.0, -0.5]])[: len(unit.initial(np.zeros(3)))]
    p, weight = rng.random((n_rows, 3)), rng.uniform(0.1, 2, n_rows)
    whole, parts = UnitStatistics(3), UnitStatistics(3)
    whole.add(unit, par, p, weight)
    for rows in np.array_split(rng.permutation(n_rows), n_chunks):
        parts.add(unit, par, p[rows], weight[rows])
    for name in ("mean", "variance", "weight"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), atol=1e-12)
    np.testing.assert_allclose(
        whole.information(unit, par), parts.information(unit, par), atol=1e-12
    )


def test_weights_count_as_repetitions_do():
    rng = np.random.default_rng(0)
    p, times = logit(rng.random((20, 3))), rng.integers(0, 4, 20)
    weighted, repeated = UnitStatistics(3), UnitStatistics(3)
    weighted.add(Bernoulli(), np.zeros((1, 3)), p, times.astype(float))
    repeated.add(
        Bernoulli(), np.zeros((1, 3)), np.repeat(p, times, axis=0), np.ones(times.sum())
    )
    np.testing.assert_allclose(weighted.sums, repeated.sums)


def test_forgotten_rows_count_less():
    statistics, par = UnitStatistics(1), np.zeros((1, 1))
    statistics.add(Bernoulli(), par, logit(np.full((8, 1), 0.2)), np.ones(8))
    statistics.scale(0.25)
    statistics.add(Bernoulli(), par, logit(np.full((2, 1), 0.8)), np.ones(2))
    np.testing.assert_allclose(statistics.mean, [0.5])
    # The same factor on all rows does not change the score.
    alone = UnitStatistics(1)
    alone.add(Bernoulli(), par, logit(np.array([[0.1], [0.9]])), np.ones(2))
    before = alone.information(Bernoulli(), par)
    alone.scale(0.1)
    np.testing.assert_allclose(alone.information(Bernoulli(), par), before)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_information_is_never_negative_nor_above_one_bit(n_rows, seed):
    rng = np.random.default_rng(seed)
    p = rng.choice([0.0, 1e-300, 0.5, 1.0, rng.random()], (n_rows, 3))
    statistics, par = UnitStatistics(3), np.zeros((1, 3))
    statistics.add(Bernoulli(), par, logit(p), np.ones(n_rows))
    information = statistics.information(Bernoulli(), par)
    assert (information >= 0).all()
    assert (information <= np.log(2) + 1e-12).all()
