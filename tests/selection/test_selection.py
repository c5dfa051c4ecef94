"""Properties of choosing layers and units."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.datasets import load_digits

from sklearn_dbn import DBNTransformer, RBMTransformer, layer_subsets
from sklearn_dbn.selection import UnitStatistics, resolve_layers, resolve_units
from sklearn_dbn.units import Bernoulli, Gaussian

X = load_digits().data[:40] / 16
SIZES = (7, 5, 6)
DBN = DBNTransformer(SIZES, rbm=RBMTransformer(n_iter=1), layers="all", random_state=0).fit(X)
ENDS = np.cumsum((0, *SIZES))
EVERYTHING = DBN.transform(X)

some_layers = st.permutations(range(3)).flatmap(
    lambda order: st.integers(1, 3).map(lambda n: order[:n])
)


@st.composite
def layers_and_units(draw):
    """A choice of layers with a specification of units, and what it stands for."""
    layers = draw(some_layers)
    spec, meant = {}, {}
    for layer in layers:
        size = SIZES[layer]
        index = draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True))
        kind = draw(st.sampled_from(["all", "index", "negative", "mask", "slice"]))
        key = draw(st.sampled_from([layer, layer - 3]))
        meant[layer] = index
        if kind == "all":
            meant[layer] = list(range(size))
        elif kind == "index":
            spec[key] = index
        elif kind == "negative":
            spec[key] = np.array(index) - size
        elif kind == "mask":
            spec[key] = [j in index for j in range(size)]
            meant[layer] = sorted(index)
        else:
            step = draw(st.sampled_from([1, 2, -1]))
            spec[key] = slice(None, None, step)
            meant[layer] = list(range(size))[::step]
    return list(layers), spec or None, meant


@given(layers_and_units())
def test_columns_names_and_indices_are_of_the_same_units(choice):
    layers, units, meant = choice
    view = DBN.select(layers=layers, units=units)
    columns = [ENDS[layer] + j for layer in layers for j in meant[layer]]
    np.testing.assert_array_equal(view.transform(X), EVERYTHING[:, columns])
    names = [f"layer{layer}_unit{j}" for layer in layers for j in meant[layer]]
    assert view.get_feature_names_out().tolist() == names
    assert view.selected_layers_.tolist() == layers
    assert [u.tolist() for u in view.selected_units_] == [meant[layer] for layer in layers]


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=13, max_size=13),
    st.one_of(st.integers(1, 13), st.floats(0.01, 1)),
)
def test_no_unselected_unit_scores_higher_than_a_selected_one(scores, spec):
    scores = np.array(scores)
    chosen, _ = resolve_units(spec, (2, 0), SIZES, lambda: [scores[:6], scores[6:]], None)
    index = np.concatenate([chosen[0], 6 + chosen[1]])
    n = spec if isinstance(spec, int) else max(1, round(spec * 13))
    assert len(index) == n
    left_out = np.delete(scores, index)
    assert scores[index].min() >= left_out.max(initial=-1)
    # Columns keep their order, whatever the scores.
    assert all((np.diff(part) > 0).all() for part in chosen)


@given(st.integers(1, 6), st.data())
def test_layers_may_be_named_in_any_way(n, data):
    wanted = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    negative = [i - n for i in wanted]
    mixed = [data.draw(st.sampled_from(pair)) for pair in zip(wanted, negative, strict=True)]
    assert resolve_layers(mixed, n) == resolve_layers(np.array(wanted), n) == tuple(wanted)
    assert resolve_layers("all", n) == resolve_layers(slice(None), n) == tuple(range(n))
    assert resolve_layers(-1, n) == (n - 1,)


@given(st.integers(1, 6), st.data())
def test_every_subset_is_there_once(n, data):
    low = data.draw(st.integers(1, n))
    high = data.draw(st.integers(low, n))
    subsets = layer_subsets(n, min_size=low, max_size=high)
    assert len(set(subsets)) == len(subsets)
    assert set(subsets) == {s for k in range(low, high + 1) for s in combinations(range(n), k)}


def test_unit_statistics_add_over_chunks():
    rng = np.random.default_rng(0)
    p, weight, par = rng.random((50, 4)), rng.random(50), np.zeros((1, 4))
    whole, parts = UnitStatistics(4), UnitStatistics(4)
    whole.add(Bernoulli(), par, logit(p), weight)
    for rows in np.array_split(np.arange(50), 7):
        parts.add(Bernoulli(), par, logit(p[rows]), weight[rows])
    np.testing.assert_allclose(whole.sums, parts.sums)
    np.testing.assert_allclose(whole.mean, np.average(p, axis=0, weights=weight))
    np.testing.assert_allclose(
        whole.variance, np.average((p - whole.mean) ** 2, axis=0, weights=weight)
    )


def test_information_is_the_mutual_information_over_an_enumerated_input():
    rng = np.random.default_rng(0)
    p, prior = rng.random((8, 3)), rng.dirichlet(np.ones(8))
    statistics = UnitStatistics(3)
    statistics.add(Bernoulli(), np.zeros((1, 3)), logit(p), prior)
    joint = np.stack([prior[:, None] * (1 - p), prior[:, None] * p])
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    expected = (joint * np.log(joint / independent)).sum(axis=(0, 1))
    np.testing.assert_allclose(statistics.information(Bernoulli(), np.zeros((1, 3))), expected)


@pytest.mark.parametrize("zeta", [-1.0, 0.0, 2.0])
def test_information_of_a_gaussian_unit_is_that_of_a_noisy_channel(zeta):
    mean = np.random.default_rng(0).normal(size=(500, 1))
    statistics, par = UnitStatistics(1), np.array([[0.0], [zeta]])
    statistics.add(Gaussian(), par, mean * np.exp(zeta), np.ones(500))
    expected = 0.5 * np.log(1 + mean.var() * np.exp(zeta))
    np.testing.assert_allclose(statistics.information(Gaussian(), par), expected)
