"""Properties of the best units, by a score and by layer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif

from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn.selection import resolve_units

SIZES = (7, 5, 6)
X, y = load_digits(return_X_y=True)
X, y = X[:60] / 16, y[:60]
DBN = DBNTransformer(SIZES, rbm=RBMTransformer(n_iter=1), layers="all", random_state=0).fit(X)

# Few different values, so that ties are common.
some_scores = hnp.arrays(float, 18, elements=st.sampled_from([0.0, 0.5, 1.0]))


def resolve(units, layers, scores, columns=None, labels=None):
    parts = dict(zip(range(3), np.split(scores, np.cumsum(SIZES)[:-1]), strict=True))
    return resolve_units(
        units, layers, SIZES, lambda: [parts[i] for i in layers], columns, labels
    )[0]


@given(some_scores, st.permutations(range(3)), st.integers(1, 5), st.floats(0.01, 1))
def test_a_mapping_takes_the_best_of_each_layer(scores, layers, k, fraction):
    first, second, third = layers
    chosen = resolve({first: k, second - 3: fraction}, layers, scores)
    parts = np.split(scores, np.cumsum(SIZES)[:-1])
    assert len(chosen[0]) == k
    assert len(chosen[1]) == max(1, round(fraction * SIZES[second]))
    assert chosen[2].tolist() == list(range(SIZES[third]))
    for layer, index in zip((first, second), chosen, strict=False):
        assert (np.diff(index) > 0).all()
        left_out = np.delete(parts[layer], index)
        assert parts[layer][index].min() >= left_out.max(initial=-1)


@given(some_scores, st.integers(1, 18))
def test_among_equal_units_the_first_are_taken(scores, k):
    chosen = resolve(k, (0, 1, 2), scores)
    index = np.concatenate([u + shift for u, shift in zip(chosen, (0, 7, 12), strict=True)])
    last = scores[index].min()
    ties = np.flatnonzero(scores == last)
    assert set(ties[: np.sum(scores[index] == last)]) <= set(index)


@given(some_scores, st.integers(2, 18))
def test_more_units_keep_those_that_fewer_had(scores, k):
    fewer, more = (resolve(n, (2, 0, 1), scores) for n in (k - 1, k))
    assert all(set(a) <= set(b) for a, b in zip(fewer, more, strict=True))


@given(hnp.arrays(bool, 5).filter(np.any))
def test_a_mask_is_the_indices_of_its_true_entries(mask):
    scores = np.zeros(18)
    by_mask, by_index = (
        resolve({1: spec}, (1,), scores) for spec in (mask, np.flatnonzero(mask))
    )
    assert np.array_equal(by_mask[0], by_index[0])


def test_scores_are_not_computed_where_they_decide_nothing():
    def no_scores():
        raise AssertionError

    for units in (None, {0: [1]}, {0: slice(2), 1: [True] * 5}):
        resolve_units(units, (0, 1), SIZES, no_scores, no_scores)


@pytest.mark.parametrize(
    "selector",
    [SelectKBest(f_classif, k=5), VarianceThreshold(1e-3)],
    ids=["k best", "variance"],
)
@pytest.mark.parametrize("layers", ["all", [2, 0], 1])
def test_a_feature_selector_keeps_the_columns_that_it_would_keep(selector, layers):
    everything = DBN.select(layers=layers)
    H = everything.transform(X)
    view = DBN.select(X, y, layers=layers, units=selector)
    kept = selector.fit(H, y).get_support()
    np.testing.assert_array_equal(view.transform(X), H[:, kept])
    names = everything.get_feature_names_out()[kept]
    assert view.get_feature_names_out().tolist() == names.tolist()


def test_units_whose_score_does_not_exist_are_the_worst():
    scores = np.r_[np.full(3, np.nan), 0.1, 0.2]
    view = DBN.select(X, y, layers=1, units=2, unit_score=lambda H, y: (scores, scores))
    assert view.selected_units_[0].tolist() == [3, 4]
