"""The mean field, from the equations that it solves and the bound that it maximises."""

import itertools

import numpy as np
import pytest
from helpers import exact
from scipy.special import logsumexp

from sklearn_dbn.machine import free_energy_bound, mean_field, mean_field_sweeps, means_below

DEEP = exact.DEEP_KINDS | {
    "four": (("bernoulli",) * 5, (3, 3, 2, 2, 2)),
    "gaussian between": (("bernoulli", "gaussian", "bernoulli"), (4, 3, 2)),
    "gaussian top": (("bernoulli", "bernoulli", "gaussian"), (4, 3, 2)),
    "levels": (("categorical", "ordinal", "spin"), (2, 1, 2)),
    "categorical between": (("bernoulli", "categorical", "gaussian"), (4, 2, 2)),
    "levels top": (("spin", "bernoulli", "count", "categorical"), (3, 3, 2, 1)),
    "four below": ((exact.FOUR, "bernoulli", "bernoulli"), (5, 2, 2)),
    **{"-".join(names): (names, sizes) for names, sizes in exact.PATHWAYS[1:]},
}
TWO, THREE = "bernoulli-bernoulli-bernoulli", "bernoulli-bernoulli-bernoulli-bernoulli"
deep = pytest.mark.parametrize("kind", DEEP)
listed = pytest.mark.parametrize("kind", [TWO, THREE, "four", "levels", "levels top"])


def machine_and_rows(kind, n_rows=6, scale=0.6):
    names, sizes = DEEP[kind]
    machine = exact.make_machine(names, sizes, scale=scale)
    return machine, exact.sample(machine, n_rows, np.random.default_rng(0))[0]


@pytest.mark.parametrize("names", [names for names, _ in exact.PAIRS], ids="-".join)
def test_with_one_hidden_layer_it_is_the_posterior_and_takes_no_sweep(names):
    machine = exact.make_machine(names, (4, 3), scale=0.3)
    v = np.random.default_rng(0).random((5, 4))
    for max_sweeps in (0, 50):
        found = mean_field(machine, v, 1e-4, max_sweeps)
        assert np.array_equal(found.fields[1], machine.field(1, [v, None]))
        assert not found.n_sweeps.any()
        assert not found.residual.any()


@deep
def test_each_mean_is_the_conditional_mean_given_its_neighbours(kind):
    machine, v = machine_and_rows(kind)
    found = mean_field(machine, v, 1e-10, 5000)
    means = found.means(machine)
    for layer in range(1, len(means)):
        expected = exact.conditional_mean(machine, layer, [v, *means[1:]])
        np.testing.assert_allclose(means[layer], expected, atol=1e-8)
    assert (found.residual <= 1e-10).all()
    assert (found.n_sweeps > 1).all()


@deep
def test_damping_changes_the_path_and_not_the_result(kind):
    machine, v = machine_and_rows(kind)
    plain, damped = (mean_field(machine, v, 1e-9, 5000, damping=d) for d in (0.0, 0.7))
    for x, y in zip(plain.fields[1:], damped.fields[1:], strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
    assert (damped.n_sweeps > plain.n_sweeps).all()
    assert (damped.residual <= 1e-9).all()


def test_the_first_pass_doubles_the_input_from_below_except_at_the_top():
    machine, v = machine_and_rows(THREE)
    (b1, b2, b3), (W0, W1, W2) = (par[0] for par in machine.par[1:]), machine.W

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    first = b1 + 2 * v @ W0
    second = b2 + 2 * sigmoid(first) @ W1
    third = b3 + sigmoid(second) @ W2
    found = mean_field(machine, v, 1e-4, 0)
    for field, expected in zip(found.fields[1:], (first, second, third), strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-12)
    assert np.isnan(found.residual).all()


@deep
def test_a_row_does_not_depend_on_its_batch(kind):
    machine, v = machine_and_rows(kind, 40, scale=0.7)
    together = mean_field(machine, v, 1e-7)
    for i, row in enumerate(v):
        alone = mean_field(machine, row[None], 1e-7)
        assert alone.n_sweeps[0] == together.n_sweeps[i]
        for x, y in zip(alone.fields[1:], together.fields[1:], strict=True):
            np.testing.assert_allclose(x[0], y[i], atol=1e-12)


def test_converged_rows_are_not_swept_again(monkeypatch):
    machine, v = machine_and_rows(TWO, 40, scale=1.0)
    n_rows = []
    original = type(machine).field

    def counting(self, layer, states):
        n_rows.append(len(states[1]))
        return original(self, layer, states)

    monkeypatch.setattr(type(machine), "field", counting)
    found = mean_field(machine, v)
    assert len(set(found.n_sweeps)) > 1
    assert sum(n_rows) == found.n_sweeps.sum()


def test_many_rows_pass_through_a_working_set(monkeypatch):
    machine, v = machine_and_rows(TWO, 60, scale=1.0)
    whole = mean_field(machine, v)
    monkeypatch.setattr("sklearn_dbn.machine._mean_field._ROWS", 7)
    some = mean_field(machine, v)
    assert np.array_equal(some.n_sweeps, whole.n_sweeps)
    np.testing.assert_allclose(some.residual, whole.residual, atol=1e-12)
    for x, y in zip(some.fields[1:], whole.fields[1:], strict=True):
        np.testing.assert_allclose(x, y, atol=1e-12)


def test_the_residual_shows_that_sweeps_did_not_suffice():
    machine, v = machine_and_rows(TWO, scale=1.5)
    found = mean_field(machine, v, 1e-12, 2)
    assert (found.n_sweeps == 2).all()
    assert (found.residual > 1e-12).all()


def test_no_rows_have_no_mean_field():
    machine, v = machine_and_rows(TWO)
    found = mean_field(machine, v[:0])
    assert [x.shape for x in found.fields[1:]] == [(0, 3), (0, 2)]
    assert found.n_sweeps.shape == found.residual.shape == (0,)


@deep
def test_each_sweep_raises_the_bound_and_it_stays_below_the_likelihood(kind):
    machine, v = machine_and_rows(kind, scale=1.0)
    bounds = [-free_energy_bound(machine, *mean_field_sweeps(machine, v, n)) for n in range(8)]
    for before, after in itertools.pairwise(bounds):
        assert (after >= before - 1e-12).all()
    assert (bounds[-1] > bounds[0] + 1e-4).any()
    assert (bounds[-1] < exact.log_weight(machine, {0: v})).all()


@listed
def test_the_bound_is_the_energy_and_the_entropy_of_independent_units(kind):
    machine, v = machine_and_rows(kind)
    found = mean_field(machine, v, 1e-12, 5000)
    means = found.means(machine)
    means[0] = v
    layers = range(1, len(means))
    hidden, _ = exact.distribution(machine, layers)
    widths = [par.shape[1] for par in machine.par[1:]]
    hidden = np.split(hidden, np.cumsum(widths)[:-1], axis=1)
    # The distribution of each layer given the means of its neighbours is their distribution.
    log_q = np.zeros((len(v), len(hidden[0])))
    for i, (row, each) in enumerate(zip(v, log_q, strict=True)):
        for layer in layers:
            x = [np.repeat(mean[[i]], len(each), axis=0) for mean in means]
            x[layer] = hidden[layer - 1]
            states = exact.states_of(machine, layer)
            x_all = [np.repeat(mean[[i]], len(states), axis=0) for mean in means]
            x_all[layer] = states
            each -= exact.energy(machine, x) + logsumexp(-exact.energy(machine, x_all))
        q = np.exp(each)
        assert q.sum() == pytest.approx(1)
        energy = exact.energy(machine, [np.repeat(row[None], len(q), axis=0), *hidden])
        expected = q @ (energy + each)
        actual = free_energy_bound(machine, means, found.fields)[i]
        assert actual == pytest.approx(expected, abs=1e-9)


def test_layers_without_couplings_have_the_exact_posterior():
    machine, v = machine_and_rows(THREE)
    machine.W[1][...] = machine.W[2][...] = 0
    energy = free_energy_bound(machine, *mean_field_sweeps(machine, v, 1))
    np.testing.assert_allclose(-energy, exact.log_weight(machine, {0: v}), atol=1e-12)


@deep
def test_layers_below_are_the_mean_field_given_the_one_above(kind):
    machine, _ = machine_and_rows(kind)
    for layer in range(1, len(machine.par)):
        above = np.random.default_rng(0).random((4, machine.par[layer].shape[1]))
        below = means_below(machine, layer, above)
        x = [*below, above]
        part = type(machine)(
            machine.units[: layer + 1], machine.par[: layer + 1], machine.W[:layer]
        )
        assert len(below) == layer
        for i in range(layer):
            expected = exact.conditional_mean(part, i, x)
            np.testing.assert_allclose(below[i], expected, atol=1e-3)


def test_it_is_the_same_with_another_array_library(monkeypatch):
    # So that rows wait for others to arrive.
    monkeypatch.setattr("sklearn_dbn.machine._mean_field._ROWS", 7)
    xp = pytest.importorskip("array_api_strict")
    machine, v = machine_and_rows(THREE, 20)
    other = machine.map(xp.asarray)
    expected, actual = mean_field(machine, v), mean_field(other, xp.asarray(v))
    assert np.array_equal(expected.n_sweeps, actual.n_sweeps)
    for x, y in zip(expected.fields[1:], actual.fields[1:], strict=True):
        np.testing.assert_allclose(x, np.asarray(y), atol=1e-12)
