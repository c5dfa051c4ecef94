"""Machines with layers of several unit types, against brute force and finite differences."""

import itertools

import numpy as np
import pytest
from helpers import exact
from helpers.training import make_settings, train

from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.data._gaps import initial_states, redraw
from sklearn_dbn.likelihood import (
    exact_log_partition,
    log_partition,
    log_probability,
)
from sklearn_dbn.machine import (
    Machine,
    fill_in,
    free_energy_bound,
    mean_field,
    mean_field_sweeps,
)
from sklearn_dbn.samplers import SAMPLERS, Chains
from sklearn_dbn.training import rows_to_record, start

KINDS = exact.MIXED_KINDS
kinds = pytest.mark.parametrize("kind", KINDS)
DEEP = [kind for kind, (names, _) in KINDS.items() if len(names) > 2]
# An RBM whose visible layer has several types, with hidden units of each.
VISIBLE = [kind for kind, (names, _) in KINDS.items() if "+" in names[0]]
RBMS = [kind for kind in VISIBLE if kind not in DEEP]


def make(kind, **given):
    return exact.make_machine(*KINDS[kind], **given)


def states_of(machine, n_rows=7, seed=1):
    return exact.sample(machine, n_rows, np.random.default_rng(seed))


def even(machine, states):
    return [x if layer in machine.even else None for layer, x in enumerate(states)]


@kinds
def test_energies_are_those_of_the_definition(kind):
    machine = make(kind)
    states = states_of(machine)
    np.testing.assert_allclose(machine.energy(states), exact.energy(machine, states))
    for kept, summed in ((machine.even, machine.odd), (machine.odd, machine.even)):
        known = {layer: states[layer] for layer in kept}
        given = [known.get(layer) for layer in range(len(states))]
        actual = machine.free_energy(given, summed)
        np.testing.assert_allclose(actual, -exact.log_weight(machine, known), rtol=1e-10)


@kinds
def test_means_are_the_exact_conditional_means(kind):
    machine = make(kind)
    states = states_of(machine)
    for layers in (machine.odd, machine.even):
        filled, fields = machine.conditionals(layers, states)
        for layer in layers:
            np.testing.assert_array_equal(fields[layer], machine.field(layer, states))
            expected = exact.conditional_mean(machine, layer, states)
            np.testing.assert_allclose(filled[layer], expected, atol=1e-14)


@kinds
@pytest.mark.parametrize("by_field", [True, False])
def test_gradient_is_the_slope_of_the_exact_log_likelihood(kind, by_field):
    machine = make(kind)
    v = exact.sample(make(kind, seed=1), 4, np.random.default_rng(2))[0]
    (data, p), (model, q) = exact.data_rows(machine, v), exact.model_rows(machine)
    pairs = zip(data, model, strict=True)
    both = [None if x is None else np.concatenate([x, y]) for x, y in pairs]
    states, fields = machine.conditionals(machine.odd, both)
    gradient = machine.gradient(
        exact.with_spare_rows(states),
        np.concatenate([p, -q]),
        [np.zeros(par.shape[1]) for par in machine.par],
        fields if by_field else None,
    )
    for x, slope, real in zip(machine.arrays(), gradient.arrays(), free(machine), strict=True):
        for i in np.ndindex(x.shape):
            if not real[i]:
                assert slope[i] == 0
                continue
            before, ends = x[i], []
            for step in (1e-5, -1e-5):
                x[i] = before + step
                ends.append(exact.log_p(machine, v).mean())
            x[i] = before
            assert slope[i] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)


def free(machine):
    """Which entries of each array are parameters, and not rows that a block does not have."""
    masks = []
    for unit, par in zip(machine.units, machine.par, strict=True):
        mask = np.zeros(par.shape, dtype=bool)
        for block, at in exact.blocks_of(unit, par.shape[1]):
            mask[: len(block.initial(par[0, at])), at] = True
        masks.append(mask)
    return [*masks, *(np.ones(W.shape, dtype=bool) for W in machine.W)]


@kinds
@pytest.mark.parametrize("block_bytes", [1, 200, 2**19])
def test_the_exact_log_partition_is_that_of_brute_force(kind, block_bytes):
    machine = make(kind)
    actual = exact_log_partition(machine, block_bytes=block_bytes)
    assert actual == pytest.approx(exact.log_Z(machine), rel=1e-12)


@kinds
def test_the_annealed_log_partition_is_that_of_brute_force(kind):
    machine = make(kind)
    states = even(machine, states_of(machine, 200))
    found = log_partition(
        machine, method="ais", rng=Stream(0), states=states, betas=100, n_chains=400
    )
    assert found.standard_error < 0.1
    assert abs(found.value - exact.log_Z(machine)) < 4 * found.standard_error + 0.02


@kinds
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_leave_the_distribution_as_it_is(kind, sampler):
    machine, n = make(kind), 10_000
    before = even(machine, states_of(machine, n))
    sampler, rng = SAMPLERS[sampler](1), Stream(3)
    data = [None if x is None else x[:5] for x in before]
    chains = Chains(before)
    if not sampler.independent_of_rows and sampler.persistent:
        chains = sampler.init(machine, n, rng)
        for _ in range(30):
            chains, _ = sampler.step(machine, chains, rng)
    if not sampler.persistent:
        data = before
    for _ in range(3):
        _, _, chains, _ = sampler.phases(machine, data, chains, rng)
    exact_draws = states_of(machine, 100_000, seed=5)
    for layer in machine.even:
        x, y = chains.states[layer], exact_draws[layer]
        products = [z[:, :, None] * z[:, None, :] for z in (x, y)]
        for a, b in ((x, y), products):
            error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
            # An entry of a product that is always the same has no error.
            assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) <= 5 * error + 1e-12)


@pytest.mark.parametrize("kind", DEEP)
def test_each_sweep_of_the_mean_field_raises_the_bound(kind):
    machine = make(kind)
    v = states_of(machine)[0]
    bounds = [-free_energy_bound(machine, *mean_field_sweeps(machine, v, n)) for n in range(8)]
    for lower, upper in itertools.pairwise(bounds):
        assert (upper >= lower - 1e-12).all()
    assert (bounds[-1] < exact.log_weight(machine, {0: v}) + 1e-12).all()
    found = mean_field(machine, v, 1e-9, 5000)
    means = found.means(machine)
    means[0] = v
    for layer in range(1, len(means)):
        np.testing.assert_allclose(
            machine.means([layer], means)[layer], means[layer], atol=1e-6
        )


@pytest.mark.parametrize("kind", RBMS)
def test_the_bound_is_exact_with_one_hidden_layer(kind):
    machine = make(kind)
    v = states_of(machine)[0]
    actual = -free_energy_bound(machine, *mean_field_sweeps(machine, v, 3))
    np.testing.assert_allclose(actual, exact.log_weight(machine, {0: v}))


@kinds
@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_projection_moves_weights_between_real_columns_alone(kind, factor):
    machine = make(kind)
    for W in machine.W:
        W *= factor
    before = machine.copy()
    machine.project()
    for layer, (W, old) in enumerate(zip(machine.W, before.W, strict=True)):
        below, above = (
            exact.is_gaussian(machine.units[i], machine.par[i].shape[1])
            for i in (layer, layer + 1)
        )
        real = below[:, None] & above
        np.testing.assert_array_equal(W[~real], old[~real])
        if factor > 1 and real.any():
            assert not np.array_equal(W[real], old[real])
    form = exact.Form(machine)
    precision = form.A[np.ix_(form.gaussian, form.gaussian)]
    assert np.all(np.linalg.eigvalsh(precision) > 0)
    if factor == 1:
        expected = before.arrays()
        for x, y in zip(machine.arrays(), expected, strict=True):
            np.testing.assert_allclose(x, y)


def test_weights_that_are_too_large_in_many_directions_shrink_between_real_columns_alone():
    machine = exact.make_machine((exact.BOTH, exact.BOTH), (16, 16))
    machine.W[0] += 5 * np.eye(16)
    before = machine.copy()
    machine.project()
    real = exact.is_gaussian(machine.units[0], 16)
    real = real[:, None] & real
    np.testing.assert_array_equal(machine.W[0][~real], before.W[0][~real])
    form = exact.Form(machine)
    precision = form.A[np.ix_(form.gaussian, form.gaussian)]
    assert np.all(np.linalg.eigvalsh(precision) > 0)


def test_projection_lowers_the_largest_couplings_of_real_columns_and_no_others():
    machine = exact.make_machine((exact.BOTH, exact.BOTH), (6, 6), scale=0.8)

    def couplings():
        left, right = (np.exp(-0.5 * par[1, 3:]) for par in machine.par)
        return np.linalg.svd(left[:, None] * machine.W[0][3:, 3:] * right)[1]

    before = couplings()
    assert before[0] > 0.9 > 0.7 > before[-1]
    machine.project()
    np.testing.assert_allclose(couplings(), np.minimum(before, 0.8), rtol=1e-6)


@pytest.mark.parametrize("kind", VISIBLE)
def test_only_real_columns_are_rescaled(kind):
    machine = make(kind)
    v, n = states_of(machine)[0], machine.par[0].shape[1]
    real = exact.is_gaussian(machine.units[0], n)
    shift, scale = np.where(real, 1.5, 0.0), np.where(real, 0.4, 1.0)
    moved = machine.rescale(shift, scale)
    np.testing.assert_allclose(
        exact.log_p(moved, v * scale + shift), exact.log_p(machine, v) - np.log(scale).sum()
    )
    np.testing.assert_array_equal(moved.par[0][:, ~real], machine.par[0][:, ~real])


@pytest.mark.parametrize("kind", RBMS)
def test_known_entries_have_their_exact_probability(kind):
    machine = make(kind)
    v = states_of(machine)[0]
    v[1:5] = exact.with_gaps(machine, v[1:5])
    found = log_probability([machine], v, exact.log_Z(machine), n_samples=1000)
    expected = exact.log_p_of_known(machine, v)
    assert np.all(found.standard_error < 0.05)
    assert np.all(np.abs(found.value - expected) < 4.5 * found.standard_error + 1e-9)


@pytest.mark.parametrize("kind", VISIBLE)
def test_missing_entries_are_filled_by_their_mean_field(kind):
    machine = make(kind)
    v = states_of(machine)[0]
    missing = np.isnan(exact.with_gaps(machine, v))
    filled = fill_in(machine, np.where(missing, np.nan, v))
    np.testing.assert_array_equal(filled[~missing], v[~missing])
    states = mean_field_sweeps(machine, filled, 500)[0]
    states = machine.means([0], machine.means(machine.odd, states))
    np.testing.assert_allclose(filled[missing], states[0][missing], atol=1e-2)
    rng = Stream(0)
    drawn = initial_states(machine, len(v), rng)
    drawn[0] = np.where(missing, drawn[0], v)
    redrawn = redraw(machine, drawn, np.flatnonzero(missing), 3, rng)[0]
    np.testing.assert_array_equal(redrawn[~missing], v[~missing])
    for columns, values in machine.units[0].states(v.shape[1]):
        exact.counts(values, redrawn[:, columns])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", [kind for kind in RBMS if KINDS[kind][0][0] == exact.BOTH])
def test_training_standardises_the_real_columns_and_learns(kind, sampler):
    units, sizes = make(kind).units, KINDS[kind][1]
    real = exact.is_gaussian(units[0], sizes[0])
    # Two groups of rows, which all columns tell apart.
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=(300, 1))
    flipped = group ^ (rng.random((300, sizes[0])) < 0.1)
    X = np.where(real, 5 + 6 * group + rng.standard_normal((300, sizes[0])), flipped)
    settings = make_settings(sampler=SAMPLERS[sampler](2), learning_rate=0.05)
    rows = Rows(X, np.ones(len(X)), Columns(units[0]))
    run = start(units, [(n,) for n in sizes], rows, settings, 10, Stream(0))
    np.testing.assert_allclose(run.columns.shift, np.where(real, X.mean(axis=0), 0))
    np.testing.assert_allclose(run.columns.scale, np.where(real, X.std(axis=0), 1))
    np.testing.assert_allclose(run.activity[0], np.where(real, 0, X.mean(axis=0)), atol=1e-12)
    before = exact.log_p(run.machine, run.columns.states(X)).mean()
    for _ in train(run, rows, settings, 15, rows_to_record(run, rows)):
        pass
    assert exact.log_p(run.average, run.columns.states(X)).mean() > before + 0.1
    np.testing.assert_allclose(
        exact.log_p(run.result(), X),
        exact.log_p(run.average, run.columns.states(X)) - run.log_scale().sum(),
    )


def test_columns_in_another_order_make_the_same_machine():
    machine = make(RBMS[0])
    order = np.array([2, 3, 0, 1])
    first, second = (unit for unit, _ in machine.units[0].blocks)
    turned = type(machine.units[0])([second, first], [[0, 1], [2, 3]])
    twin = Machine(
        (turned, machine.units[1]),
        [machine.par[0][:, order], machine.par[1]],
        [machine.W[0][order]],
    )
    v = states_of(machine)[0]
    np.testing.assert_allclose(
        twin.free_energy([v[:, order], None]), machine.free_energy([v, None])
    )
    assert exact_log_partition(twin) == pytest.approx(exact_log_partition(machine))
