"""The gradient of the exact likelihood, with both phases computed and none drawn."""

import numpy as np
import pytest
from helpers import exact
from helpers.training import FixedChains, make_settings, train

from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.machine import Machine, blocks, like
from sklearn_dbn.training import rows_to_record, start
from sklearn_dbn.units import UNITS

BERNOULLI_VISIBLE = [kind for kind in exact.KINDS if kind.startswith("bernoulli")]
kinds = pytest.mark.parametrize("kind", exact.KINDS | exact.FINITE_KINDS)
ALL = exact.KINDS | exact.DEEP_KINDS | exact.FINITE_KINDS | exact.PATHWAY_KINDS
all_kinds = pytest.mark.parametrize("kind", ALL)


def machine_and_data(kind, n_rows=5):
    names, sizes = ALL[kind]
    machine = exact.make_machine(names, sizes)
    # From another machine: at the maximum of the likelihood all gradients would be 0.
    teacher = exact.make_machine(names, sizes, seed=1)
    return machine, exact.sample(teacher, n_rows, np.random.default_rng(2))[0]


def phases(machine, v, weight=1.0):
    """States and weights of both phases, as training stacks them: data, then model."""
    (data, p), (model, q) = exact.data_rows(machine, v), exact.model_rows(machine)
    p = (p.reshape(len(v), -1).T * weight).T.ravel()
    states = machine.means(machine.odd, _stacked(data, model))
    return states, np.concatenate([p / p.sum(), -q])


def _stacked(data, model):
    pairs = zip(data, model, strict=True)
    return [None if x is None else np.concatenate([x, y]) for x, y in pairs]


def zero_offsets(machine):
    return [np.zeros(par.shape[1]) for par in machine.par]


def some_offsets(machine):
    rng = np.random.default_rng(3)
    return [rng.uniform(0.2, 0.8, par.shape[1]) for par in machine.par]


def flatten(machine):
    return np.concatenate([x.ravel() for x in machine.arrays()])


def unflatten(vector, like):
    ends = np.cumsum([x.size for x in like.arrays()])[:-1]
    parts = iter(np.split(vector, ends))
    return like.map(lambda x: next(parts).reshape(x.shape))


def derivative(function, x, eps=1e-5):
    """Central differences of ``function`` along each entry of ``x``, in the last axis."""
    return np.stack(
        [(function(x + e) - function(x - e)) / (2 * eps) for e in eps * np.eye(len(x))],
        axis=-1,
    )


def assert_same(first, second, **tolerance):
    for x, y in zip(first.arrays(), second.arrays(), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


@all_kinds
def test_gradient_is_the_slope_of_the_exact_log_likelihood(kind):
    machine, v = machine_and_data(kind)
    gradient = exact.gradient(machine, *phases(machine, v), zero_offsets(machine))
    slope = derivative(lambda x: exact.log_p(unflatten(x, machine), v).mean(), flatten(machine))
    np.testing.assert_allclose(flatten(gradient), slope, atol=1e-7)


def own_gradient(machine, of, layers, offsets):
    """From the distribution of a machine ``of`` over ``layers``, with means of the others."""
    table, p = exact.distribution(of, layers)
    states, start = [None] * len(machine.par), 0
    for layer in layers:
        width = machine.par[layer].shape[1]
        states[layer] = table[:, start : start + width]
        start += width
    others = machine.odd if layers == machine.even else machine.even
    states, fields = machine.conditionals(others, states)
    return flatten(machine.gradient(exact.with_spare_rows(states), p, offsets, fields))


@pytest.mark.parametrize("kind", [kind for kind in ALL if "gaussian" not in kind])
def test_the_gradient_vanishes_at_the_distribution_of_the_machine_alone(kind):
    """States and means of either parity give the same, and those of other machines do not."""
    machine = exact.make_machine(*ALL[kind])
    for offsets in (zero_offsets(machine), some_offsets(machine)):
        by_even, by_odd = (
            own_gradient(machine, machine, layers, offsets)
            for layers in (machine.even, machine.odd)
        )
        np.testing.assert_allclose(by_even, by_odd, atol=1e-12)
        for wrong in wrong_machines(machine):
            other = own_gradient(machine, wrong, machine.even, offsets)
            assert np.abs(other - by_odd).max() > 1e-3


def wrong_machines(machine):
    """Weights that are too large, and layers with another bias or another base measure."""
    yield machine.map(lambda x: 1.2 * x)
    for layer, par in enumerate(machine.par):
        for row in range(len(par)):
            wrong = machine.copy()
            wrong.par[layer][row, 0] += 0.4
            yield wrong


def to_centred(machine, offsets):
    """The parameters of the same machine, written for deviations from the offsets.

    Its biases are the fields when all units are at their offsets; there is no other change.
    """
    return _move_biases(machine, offsets, 1)


def from_centred(machine, offsets):
    return _move_biases(machine, offsets, -1)


def _move_biases(machine, offsets, sign):
    moved = machine.copy()
    for layer, W in enumerate(machine.W):
        moved.par[layer][0] += sign * exact.matrix(W) @ offsets[layer + 1]
        moved.par[layer + 1][0] += sign * offsets[layer] @ exact.matrix(W)
    for unit, par, offset in zip(moved.units, moved.par, offsets, strict=True):
        real = exact.is_gaussian(unit, par.shape[1])
        if real.any():
            par[0] -= sign * real * np.exp(par[1]) * offset
    return moved


@all_kinds
def test_centred_gradient_is_the_plain_one_in_centred_coordinates(kind):
    machine, v = machine_and_data(kind)
    states, weight = phases(machine, v)
    offsets = some_offsets(machine)
    plain = flatten(exact.gradient(machine, states, weight, zero_offsets(machine)))
    centred = flatten(to_centred(machine, offsets))
    jacobian = derivative(
        lambda x: flatten(from_centred(unflatten(x, machine), offsets)), centred
    )
    # The chain rule on the way there, and to first order on the way back.
    expected = jacobian @ (jacobian.T @ plain)
    actual = flatten(exact.gradient(machine, states, weight, offsets))
    np.testing.assert_allclose(actual, expected, atol=1e-8)


@all_kinds
def test_balanced_gradient_is_the_plain_one_in_units_of_the_deviations(kind):
    machine, v = machine_and_data(kind)
    states, weight = phases(machine, v)
    offsets = some_offsets(machine)
    deviation = np.linspace(0.3, 2.0, machine.par[0].shape[1])

    def scaled(machine, factor):
        parts = [factor[at, None] * part for part, at, _ in blocks(machine.W[0])]
        return Machine(machine.units, machine.par, [like(machine.W[0], parts), *machine.W[1:]])

    def from_scaled(x):
        return flatten(from_centred(scaled(unflatten(x, machine), 1 / deviation), offsets))

    plain = flatten(exact.gradient(machine, states, weight, zero_offsets(machine)))
    jacobian = derivative(from_scaled, flatten(scaled(to_centred(machine, offsets), deviation)))
    actual = flatten(exact.gradient(machine, states, weight, offsets, deviation))
    np.testing.assert_allclose(actual, jacobian @ (jacobian.T @ plain), atol=1e-8)
    # Parts that were summed without offsets elsewhere.
    sums = exact.gradient(machine, states, weight, zero_offsets(machine))
    sums = machine.centred(sums, weight.sum(), [0.0] * len(offsets), offsets, deviation)
    real = [unit.quadratic for unit in machine.units]
    if not any(real):
        np.testing.assert_allclose(flatten(sums), actual, atol=1e-8)


@pytest.mark.parametrize("kind", ["bernoulli-bernoulli", "gaussian-bernoulli"])
def test_centred_gradient_of_an_rbm_is_the_documented_recombination(kind):
    machine, v = machine_and_data(kind)
    (v, h), weight = phases(machine, v)
    mu, lam = some_offsets(machine)
    gradient = exact.gradient(machine, [v, h], weight, [mu, lam])
    dW = (weight[:, None] * (v - mu)).T @ (h - lam)
    np.testing.assert_allclose(gradient.W[0], dW, atol=1e-12)
    np.testing.assert_allclose(gradient.par[1][0], weight @ h - dW.T @ mu, atol=1e-12)
    da = weight @ v - dW @ lam
    if kind.startswith("gaussian"):
        precision = np.exp(machine.par[0][1])
        dzeta = -0.5 * precision * (weight @ (v - mu) ** 2)
        np.testing.assert_allclose(gradient.par[0][1], dzeta, atol=1e-12)
        da += precision * mu * dzeta
    np.testing.assert_allclose(gradient.par[0][0], da, atol=1e-12)


def flip(machine, layer):
    """The same distribution over 1 - x_l: also how an update of the parameters changes."""
    flipped = machine.copy()
    flipped.par[layer][0] *= -1
    if layer > 0:
        flipped.W[layer - 1] *= -1
        flipped.par[layer - 1][0] += machine.W[layer - 1].sum(axis=1)
    if layer < len(machine.W):
        flipped.W[layer] *= -1
        flipped.par[layer + 1][0] += machine.W[layer].sum(axis=0)
    return flipped


@pytest.mark.parametrize("kind", BERNOULLI_VISIBLE)
def test_flipping_the_bits_gives_the_same_distribution_on_flipped_data(kind):
    machine, v = machine_and_data(kind)
    np.testing.assert_allclose(
        exact.log_p(flip(machine, 0), 1 - v), exact.log_p(machine, v), rtol=1e-12
    )


@pytest.mark.parametrize("kind", BERNOULLI_VISIBLE)
def test_flipping_the_data_flips_the_centred_update_and_not_the_plain_one(kind):
    machine, v = machine_and_data(kind)
    twin = flip(machine, 0)
    states, weight = phases(machine, v)
    mirrored = twin.means(twin.odd, [1 - states[0], *states[1:]])
    offsets = some_offsets(machine)
    centred = exact.gradient(machine, states, weight, offsets)
    centred_twin = exact.gradient(twin, mirrored, weight, [1 - offsets[0], *offsets[1:]])
    assert_same(centred_twin, flip(centred, 0), atol=1e-12)

    plain = exact.gradient(machine, states, weight, zero_offsets(machine))
    plain_twin = exact.gradient(twin, mirrored, weight, zero_offsets(machine))
    assert np.abs(plain_twin.par[1][0] - flip(plain, 0).par[1][0]).max() > 0.01


@pytest.mark.parametrize("layer", [1, 2])
def test_flipping_hidden_units_flips_the_centred_update(layer):
    machine, v = machine_and_data("-".join(exact.DEEP[0]))
    twin = flip(machine, layer)
    states, weight = phases(machine, v)
    offsets = some_offsets(machine)
    mirrored, turned = list(states), list(offsets)
    mirrored[layer], turned[layer] = 1 - states[layer], 1 - offsets[layer]
    np.testing.assert_allclose(twin.means(twin.odd, mirrored)[1], mirrored[1])
    assert_same(
        exact.gradient(twin, mirrored, weight, turned),
        flip(exact.gradient(machine, states, weight, offsets), layer),
        atol=1e-12,
    )


@pytest.mark.parametrize("condition", [False, True], ids=["gradient", "preconditioned"])
@pytest.mark.parametrize("kind", ["gaussian-bernoulli", "gaussian-gaussian"])
def test_moving_the_origin_of_the_data_moves_the_centred_update_with_it(kind, condition):
    machine, v = machine_and_data(kind)
    states, weight = phases(machine, v)
    mu, lam = some_offsets(machine)
    shift = np.array([2.0, -1.0])
    twin = machine.rescale(shift, np.ones(2))
    moved = twin.means(twin.odd, [states[0] + shift, None])
    step = preconditioned if condition else exact.gradient
    gradient = step(machine, states, weight, [mu, lam])
    update = step(twin, moved, weight, [mu + shift, lam])
    eps = 1e-5

    def after(step):
        return machine.map(lambda x, dx: x + step * dx, gradient).rescale(shift, np.ones(2))

    expected = after(eps).map(lambda x, y: (x - y) / (2 * eps), after(-eps))
    assert_same(update, expected, atol=1e-8)


def preconditioned(machine, states, weight, offsets):
    step = exact.gradient(machine, states, weight, offsets)
    machine.precondition(step, offsets)
    return step


@kinds
def test_a_preconditioned_step_is_uphill_and_leaves_the_step_of_the_weights(kind):
    machine, v = machine_and_data(kind)
    states, weight = phases(machine, v)
    slope = flatten(exact.gradient(machine, states, weight, zero_offsets(machine)))
    for offsets in (zero_offsets(machine), some_offsets(machine)):
        gradient = exact.gradient(machine, states, weight, offsets)
        step = preconditioned(machine, states, weight, offsets)
        assert slope @ flatten(step) > 0
        for dW, dW_before in zip(step.W, gradient.W, strict=True):
            np.testing.assert_array_equal(dW, dW_before)
        if kind.endswith("gaussian"):
            # The scale of hidden units is in the weights already.
            np.testing.assert_array_equal(step.par[1][1], 0)


@pytest.mark.parametrize("kind", BERNOULLI_VISIBLE)
def test_flipping_the_data_flips_the_preconditioned_step(kind):
    machine, v = machine_and_data(kind)
    twin = flip(machine, 0)
    states, weight = phases(machine, v)
    mirrored = twin.means(twin.odd, [1 - states[0], *states[1:]])
    offsets = some_offsets(machine)
    assert_same(
        preconditioned(twin, mirrored, weight, [1 - offsets[0], *offsets[1:]]),
        flip(preconditioned(machine, states, weight, offsets), 0),
        atol=1e-12,
    )


@kinds
def test_a_row_of_weight_two_is_two_rows(kind):
    machine, v = machine_and_data(kind)
    repeats = np.array([1, 2, 0, 3, 1])
    offsets = some_offsets(machine)
    weighted = exact.gradient(machine, *phases(machine, v, repeats), offsets)
    repeated = exact.gradient(machine, *phases(machine, np.repeat(v, repeats, axis=0)), offsets)
    assert_same(weighted, repeated, atol=1e-12)


@pytest.mark.parametrize("n_chains", [1, 4, 9])
def test_a_training_step_averages_each_phase_over_its_own_weight(n_chains):
    v = exact.bits(3)[[1, 3, 6]]
    weight = np.array([1.0, 2.0, 0.5])
    chains = exact.bits(4)[:n_chains, :3]
    settings = make_settings(
        sampler=FixedChains([chains, None]),
        schedule=lambda progress: 0.5,
        batch_size=4,
        centered=False,
    )
    units = (UNITS["bernoulli"], UNITS["bernoulli"])
    rows = Rows(v, weight, Columns(units[0]))
    run = start(units, [(3,), (2,)], rows, settings, n_chains, Stream(0))
    before = run.machine.copy()
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))
    h, h_chains = (before.means([1], [x, None])[1] for x in (v, chains))
    dW = (weight / weight.sum() * v.T) @ h - chains.T @ h_chains / n_chains
    # 3.5 of the 4 rows that a full batch has, at half the learning rate.
    step = 0.1 * 0.5 * 3.5 / 4
    np.testing.assert_allclose(run.machine.W[0] - before.W[0], step * dW, rtol=1e-9)
