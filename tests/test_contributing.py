"""The unit type that docs/extend/unit-type.md walks through is one."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import sklearn_dbn.data._validation
from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.units import UNITS

FIELD = np.array([[-2.0, 0.1, 1.5]])


@pytest.fixture
def spin():
    guide = (Path(__file__).parents[1] / "docs/extend/unit-type.md").read_text()
    source = re.search(r'```python\n("""Units that point.*?)```', guide, re.DOTALL)[1]
    scope = {"__name__": "sklearn_dbn.units._spin", "__package__": "sklearn_dbn.units"}
    exec(source, scope)
    return scope["Spin"]()


def test_functions_follow_from_the_sum_over_two_states(spin):
    eps = 1e-6
    up, down = np.exp(FIELD), np.exp(-FIELD)
    np.testing.assert_allclose(spin.log_partition(FIELD, None), np.log(up + down))
    np.testing.assert_allclose(spin.mean(FIELD, None), (up - down) / (up + down))
    slope = (spin.mean(FIELD + eps, None) - spin.mean(FIELD - eps, None)) / (2 * eps)
    np.testing.assert_allclose(spin.variance(spin.mean(FIELD, None), None), slope, rtol=1e-6)
    actual = spin.log_partition_change(FIELD, spin.mean(FIELD, None), None, 0 * FIELD + 1, None)
    np.testing.assert_allclose(actual, np.log((up + down) / (np.e * up + down / np.e)).sum())
    par = spin.independent(np.array([-0.5, 0.0, 0.9]), None)
    np.testing.assert_allclose(spin.mean(par, par)[0], [-0.5, 0.0, 0.9])
    many = np.repeat(FIELD, 100_000, axis=0)
    for draw in (
        spin.sample(many.copy(), None, Stream(0)),
        spin.draw(spin.mean(many, None), None, Stream(1)),
    ):
        assert set(np.unique(draw)) == {-1.0, 1.0}
        np.testing.assert_allclose(draw.mean(axis=0), spin.mean(FIELD, None)[0], atol=0.02)


def test_it_trains_as_hidden_units(spin, monkeypatch):
    monkeypatch.setitem(UNITS, "spin", spin)
    constraint = RBMTransformer._parameter_constraints | {"hidden": [str]}
    monkeypatch.setattr(RBMTransformer, "_parameter_constraints", constraint)
    assert sklearn_dbn.data._validation.UNITS is UNITS
    X = load_digits().data[:100] / 16
    H = RBMTransformer(5, hidden="spin", n_iter=3, random_state=0).fit_transform(X)
    assert ((-1 <= H) & (H <= 1)).all()
    assert H.min() < 0 < H.max()
