"""Mean and standard deviation of targets, chunk by chunk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_dbn.fine_tuning import TargetScale

ROWS = st.lists(
    st.tuples(st.floats(-1, 1, width=32), st.floats(0.125, 8, width=16)), min_size=1, max_size=9
)


def scale_of(rows, unit=1.0):
    values, weight = np.array(rows).T
    return TargetScale.of(values[:, None] * unit, weight)


@given(st.lists(ROWS, min_size=1, max_size=4), st.sampled_from([1e-290, 1e-3, 1.0, 1e290]))
def test_chunks_give_the_moments_of_all_rows_in_any_unit(chunks, unit):
    merged = scale_of(chunks[0], unit)
    for chunk in chunks[1:]:
        merged = merged.merged(scale_of(chunk, unit))
    values, weight = np.array([row for chunk in chunks for row in chunk]).T
    mean = np.average(values, weights=weight)
    std = np.sqrt(np.average((values - mean) ** 2, weights=weight))
    assert merged.count == pytest.approx(weight.sum())
    assert merged.mean[0] / unit == pytest.approx(mean, abs=1e-14)
    assert merged.std[0] / unit == pytest.approx(std, abs=1e-14)


@given(ROWS, ROWS)
def test_a_change_of_scale_leaves_the_values(first, second):
    old = scale_of(first)
    new = old.merged(scale_of(second))
    ratio, shift = old.change(new)
    values = np.array(second)[:, :1]
    np.testing.assert_allclose(
        old.standard(values) * ratio + shift, new.standard(values), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -1e299, 1e-310])
def test_constant_targets_have_scale_1(value):
    scale = TargetScale.of(np.full((7, 1), value), np.arange(1.0, 8))
    assert scale.flat[0]
    assert scale.scale[0] == 1
