"""The numerics on arrays that allow no more than the standard, on two devices, against NumPy.

The second device of array_api_strict stands for a GPU: no array on it combines with one on
the host, nor becomes a NumPy array unasked.
"""

import numpy as np
import pytest
from helpers import exact
from helpers.training import make_settings, train

from sklearn_dbn._array_api import namespace, sigmoid, softplus, take, to_numpy
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.data._values import is_binary
from sklearn_dbn.optim import MomentumAscent, Sparsity
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training import rows_to_record, start
from sklearn_dbn.training._run import observe
from sklearn_dbn.units import HIDDEN, UNITS, UnitMoments

xp = pytest.importorskip("array_api_strict")

DEVICES = ["CPU_DEVICE", "device1"]
pytestmark = [
    pytest.mark.parametrize("device_name", DEVICES),
    pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"]),
]
kinds = pytest.mark.parametrize("kind", exact.KINDS)


def move(x, device_name):
    """``x`` on the device of that name."""
    return None if x is None else xp.asarray(x, device=xp.Device(device_name))


def fetch(x):
    """``x`` in NumPy, by the means of array_api_strict alone."""
    return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))


def move_machine(machine, device_name):
    return machine.map(lambda x: move(x, device_name))


def assert_agree(actual, expected, device_name):
    """Same values, same dtype, and still on its device."""
    assert actual.device == xp.Device(device_name)
    actual = fetch(actual)
    assert actual.dtype == expected.dtype
    rtol = 1e-4 if expected.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


def assert_machines_agree(actual, expected, device_name):
    for x, y in zip(actual.arrays(), expected.arrays(), strict=True):
        assert_agree(x, y, device_name)


def machine_and_states(kind, dtype):
    names, sizes = exact.KINDS[kind]
    machine = exact.make_machine(names, sizes, dtype=dtype)
    states = exact.sample(machine, 6, np.random.default_rng(0))
    return machine, [x.astype(dtype) for x in states]


def test_arrays_come_back_to_numpy(device_name, dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    back = to_numpy(move(x, device_name))
    assert isinstance(back, np.ndarray)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, x)


def test_array_functions_agree_with_numpy(device_name, dtype):
    x = np.array([[-100.0, -1.0, 0.0], [0.5, 3.0, 100.0]], dtype=dtype)
    moved = move(x, device_name)
    assert namespace(moved) is not np
    for function in (sigmoid, softplus):
        assert_agree(function(moved), function(x), device_name)
    index = np.array([1, 0, 1])
    assert_agree(take(moved, index), x[index], device_name)
    assert is_binary(move(np.eye(2, dtype=dtype), device_name))
    assert not is_binary(moved)


@kinds
def test_functions_of_a_machine(kind, device_name, dtype):
    machine, states = machine_and_states(kind, dtype)
    moved = move_machine(machine, device_name)
    moved_states = [move(x, device_name) for x in states]
    assert_agree(moved.energy(moved_states), machine.energy(states), device_name)
    assert_agree(moved.free_energy(moved_states), machine.free_energy(states), device_name)
    for layers in (machine.odd, machine.even):
        expected = machine.means(layers, states)
        for x, y in zip(moved.means(layers, moved_states), expected, strict=True):
            assert_agree(x, y, device_name)
    assert_machines_agree(moved.copy(), machine, device_name)


@kinds
def test_gradient(kind, device_name, dtype):
    machine, states = machine_and_states(kind, dtype)
    weight = np.array([0.5, 0.25, 0.25, -0.5, -0.25, -0.25], dtype=dtype)
    offsets = [np.full(p.shape[1], 0.4, dtype=dtype) for p in machine.par]
    states = exact.with_spare_rows(states)
    actual = move_machine(machine, device_name).gradient(
        [move(x.copy(), device_name) for x in states],
        move(weight, device_name),
        [move(x, device_name) for x in offsets],
    )
    assert_machines_agree(actual, machine.gradient(states, weight, offsets), device_name)


@pytest.mark.parametrize("sampler", SAMPLERS)
@kinds
def test_samplers_draw_the_same(kind, sampler, device_name, dtype):
    machine, states = machine_and_states(kind, dtype)
    sampler = SAMPLERS[sampler](2)
    even = [x if layer % 2 == 0 else None for layer, x in enumerate(states)]

    def run(machine, data):
        rng = Stream(0)
        chains = sampler.init(machine, 3, rng)
        chains, _ = sampler.step(machine, chains, rng)
        both, _, chains, _ = sampler.phases(machine, data, chains, rng)
        return [*both, *chains.states]

    moved = run(move_machine(machine, device_name), [move(x, device_name) for x in even])
    for x, y in zip(moved, run(machine, even), strict=True):
        assert_agree(x, y, device_name)


@pytest.mark.parametrize("unit", HIDDEN)
def test_functions_of_the_units(unit, device_name, dtype):
    unit = UNITS[unit]
    mean = np.array([0.2, 0.5, 0.7], dtype=dtype)
    var = np.array([0.5, 1.0, 2.0], dtype=dtype)
    x = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]], dtype=dtype)

    def results(mean, var, x):
        par = unit.independent(UnitMoments(mean, var))
        unit.project(par)
        return [
            par,
            unit.mode(x, par),
            unit.variance(x, par),
            unit.uncertainty(x, par),
            unit.information(mean, var, var * 0.1),
            unit.pullback(x + 1, x, par),
            unit.log_partition(x, par),
            unit.log_partition(x, par, x > 0),
            unit.log_partition_change(x, par, x * 0.5, par),
            unit.par_gradient(mean + 0, x, mean[:2], mean, par, x[:1, :]),
            unit.present(x * 0.5, Stream(0)),
            unit.sample(x + 0, par, Stream(0)),
            unit.sample(x + 0, par, Stream(0), unit.mean(x, par)),
            unit.initial(mean),
            *unit.idle(x, par),
            unit.rescale(par, mean, var),
        ]

    moved = results(*(move(a, device_name) for a in (mean, var, x)))
    for actual, expected in zip(moved, results(mean, var, x), strict=True):
        assert_agree(actual, expected, device_name)


@pytest.mark.parametrize("unit", HIDDEN)
def test_rows_and_what_a_lower_machine_makes_of_them(unit, device_name, dtype):
    rng = np.random.default_rng(0)
    X, weight = rng.uniform(size=(9, 4)).astype(dtype), np.ones(9, dtype=dtype)
    machine = exact.make_machine(("bernoulli", unit), (4, 3), dtype=dtype)

    def results(X, weight, machine):
        rows = Rows(X, weight, Columns(machine.units[0]), [machine])
        (means, _), (rest, _) = rows.blocks(5)
        v, w, _ = next(rows.batches(4, Stream(0)))
        return [means, rest, v, w, rows.means(np.array([3, 1]))]

    moved = results(
        move(X, device_name), move(weight, device_name), move_machine(machine, device_name)
    )
    for actual, expected in zip(moved, results(X, weight, machine), strict=True):
        assert_agree(actual, expected, device_name)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("names", "sizes"), exact.PAIRS, ids=["-".join(names) for names, _ in exact.PAIRS]
)
def test_a_whole_training(names, sizes, sampler, device_name, dtype):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(14, sizes[0])).astype(dtype)
    weight = rng.uniform(0.5, 1.5, size=14).astype(dtype)
    units = tuple(UNITS[name] for name in names)

    def run(convert):
        settings = make_settings(
            sampler=SAMPLERS[sampler](1),
            update=MomentumAscent(0.5, decay=0.01),
            learning_rate=0.05,
            sparsity=Sparsity(0.3, 0.1) if names[1] == "bernoulli" else None,
        )
        rows = Rows(convert(X), convert(weight), Columns(units[0]))
        stream = Stream(0)
        run = start(units, [(n,) for n in sizes], rows, settings, 5, stream)
        held_out = rows.hold_out(0.2, stream)
        for _ in train(run, rows, settings, 2, rows_to_record(run, rows, held_out)):
            pass
        observe(run, Rows(convert(0.5 * X), convert(weight), Columns(units[0])))
        return run

    moved, expected = run(lambda x: move(x, device_name)), run(lambda x: x)
    assert_machines_agree(moved.machine, expected.machine, device_name)
    assert_machines_agree(moved.result(), expected.result(), device_name)
    assert moved.history.keys() == expected.history.keys()
    for name, values in moved.history.items():
        np.testing.assert_allclose(values, expected.history[name], rtol=1e-3, atol=1e-4)
