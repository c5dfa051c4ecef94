"""Unit types on arrays that allow no more than the standard, on two devices."""

import numpy as np
import pytest
from helpers.unit_types import CASES, TYPES, all_values, arguments, make

from sklearn_dbn._array_api import to_numpy
from sklearn_dbn.units import Blocks

xp = pytest.importorskip("array_api_strict")


@pytest.mark.parametrize("device_name", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", [*CASES, "all"])
def test_all_functions_agree_with_those_of_numpy(name, dtype, device_name):
    if name == "all":
        units = list(TYPES.values())
        unit = Blocks(units, np.arange(3 * len(units)).reshape(-1, 3))
        n = int(unit.widths(3 * len(units)).sum())
        par = np.random.default_rng(0).uniform(-1, 1, unit.initial(np.zeros(n)).shape)
        given = arguments(par.astype(dtype), 3 * len(units))
    else:
        unit, given = TYPES[name], arguments(make(name, dtype).par, 3)
    there = xp.Device(device_name)
    expected = all_values(unit, given)
    actual = all_values(unit, given, like=lambda x: xp.asarray(x.copy(), device=there))
    assert actual.keys() == expected.keys()
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    for key, value in actual.items():
        assert value.device == there, key
        found = to_numpy(value)
        assert found.dtype == expected[key].dtype, key
        np.testing.assert_allclose(
            found, expected[key], rtol=tolerance, atol=tolerance, err_msg=key
        )
