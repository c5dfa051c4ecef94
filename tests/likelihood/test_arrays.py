"""The likelihood on arrays that allow no more than the standard, on two devices."""

import numpy as np
import pytest
from helpers import exact

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import (
    anneal,
    base_rates,
    equilibrate,
    exact_log_partition,
    log_partition,
    log_weights,
    place_temperatures,
)
from sklearn_dbn.samplers import independent

xp = pytest.importorskip("array_api_strict")

pytestmark = [
    pytest.mark.parametrize("device_name", ["CPU_DEVICE", "device1"]),
    pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"]),
]
# One of each type whose states are listed.
SOME = ["spin-spin", "categorical-bernoulli", "ordinal-gaussian", "count-spin"]
SOME += ["binomial-bernoulli", f"{exact.FOUR}-bernoulli-bernoulli"]
KINDS = exact.KINDS | {kind: (exact.FINITE_KINDS | exact.MIXED_KINDS)[kind] for kind in SOME}
kinds = pytest.mark.parametrize("kind", exact.KINDS)
all_kinds = pytest.mark.parametrize("kind", KINDS)


def movers(device_name):
    """Two ways to make a machine and states: as they are, and on the device."""
    return [
        lambda x: x,
        lambda x: xp.asarray(x, device=xp.Device(device_name)),
    ]


@all_kinds
def test_exact_sum(kind, device_name, dtype):
    machine = exact.make_machine(*KINDS[kind], dtype=dtype)
    plain, moved = (
        exact_log_partition(machine.map(move), block_bytes=100) for move in movers(device_name)
    )
    assert moved == pytest.approx(plain, rel=1e-12)


@pytest.mark.slow
@all_kinds
@pytest.mark.parametrize("summed", ["odd", "even"])
def test_annealing_both_ways(kind, summed, device_name, dtype):
    machine = exact.make_machine(*KINDS[kind], dtype=dtype)
    summed = getattr(machine, summed)
    v = exact.sample(machine, 7, np.random.default_rng(0))[0].astype(dtype)
    mean, var = v.mean(axis=0), v.var(axis=0) + dtype(0.1)
    betas = np.linspace(0, 1, 6)

    def weights(move):
        there, rng = machine.map(move), Stream(0)
        base = base_rates(there, [move(mean)], [move(var)])
        kept = machine.even if summed == machine.odd else machine.odd
        start = independent(there, base, kept, 7, rng)
        end = equilibrate(there, [move(v), *[None] * (len(machine.par) - 1)], 3, rng)
        return np.concatenate(
            [
                anneal(there, base, betas, start, rng, summed),
                anneal(there, base, betas[::-1], end, rng, summed),
            ]
        )

    plain, moved = (weights(move) for move in movers(device_name))
    assert isinstance(moved, np.ndarray)
    assert moved.dtype == np.float64
    tolerance = 1e-3 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(moved, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@kinds
def test_placed_temperatures_and_the_result(kind, device_name, dtype):
    machine = exact.make_machine(*exact.KINDS[kind], dtype=dtype)
    states = [x.astype(dtype) for x in exact.sample(machine, 20, np.random.default_rng(0))]

    def results(move):
        there, rng = machine.map(move), Stream(0)
        betas = place_temperatures(there, there.par, rng, fewest=5, most=10)
        moved = [move(x) for x in states]
        result = log_partition(
            there, method="ais", rng=rng, states=moved, n_sweeps=1, n_chains=20, betas=betas
        )
        assert result.interval[0] < exact.log_Z(machine) < result.interval[1]
        return [result.value, result.standard_error, *betas]

    plain, moved = (results(move) for move in movers(device_name))
    np.testing.assert_allclose(moved, plain, rtol=1e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("top", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("bottom", ["bernoulli", "gaussian"])
def test_weights_of_a_stack(bottom, top, device_name, dtype):
    machines = [
        exact.make_machine((bottom, top), (4, 3), scale=0.3, dtype=dtype),
        exact.make_machine((top, "bernoulli", "bernoulli"), (3, 2, 2), scale=0.3, dtype=dtype),
    ]
    v = exact.sample(machines[0], 5, np.random.default_rng(0))[0].astype(dtype)
    plain, moved = (
        log_weights([m.map(move) for m in machines], move(v), 4, 0)
        for move in movers(device_name)
    )
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(moved, plain, rtol=tolerance, atol=tolerance)
