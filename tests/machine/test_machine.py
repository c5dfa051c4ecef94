import itertools

import numpy as np
import pytest
from helpers import exact

from sklearn_dbn._random import Stream
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import PersistentContrastiveDivergence
from sklearn_dbn.units import UNITS

KINDS = exact.KINDS | exact.FINITE_KINDS
KINDS |= {"pathways": exact.PATHWAYS[0]}
kinds = pytest.mark.parametrize("kind", KINDS)


def machine_and_states(kind, n_rows=7):
    names, sizes = KINDS[kind]
    machine = exact.make_machine(names, sizes)
    return machine, exact.sample(machine, n_rows, np.random.default_rng(1))


def test_the_reference_agrees_with_a_sum_written_out_by_hand():
    a, b, W = [0.3, -0.2], [0.5], [[1.1], [-0.7]]
    machine = Machine((UNITS["bernoulli"],) * 2, [np.array([a]), np.array([b])], [np.array(W)])
    weight = {
        (v0, v1): sum(
            np.exp(a[0] * v0 + a[1] * v1 + b[0] * h + v0 * W[0][0] * h + v1 * W[1][0] * h)
            for h in (0, 1)
        )
        for v0, v1 in itertools.product((0, 1), repeat=2)
    }
    expected = np.array(list(weight.values())) / sum(weight.values())
    table, p = exact.distribution(machine, [0])
    np.testing.assert_array_equal(table, list(weight))
    np.testing.assert_allclose(p, expected)


def test_the_reference_agrees_with_a_sum_over_levels_written_out_by_hand():
    units = [exact.make_unit(name, 1) for name in ("categorical", "ordinal")]
    # Three levels of each; the states of the second are real numbers.
    a, (b, *base) = np.array([0.3, -0.2, 0.1]), [0.5, -0.4, 0.2, 0.9]
    W, states = np.array([1.1, -0.7, 0.4]), units[1].states(1)[0].values[:, 0]
    par = [a[None, :], np.array([[b], *([x] for x in base)])]
    machine = Machine(tuple(units), par, [W[:, None]])
    weight = {
        (v, h): np.exp(a[v] + b * states[h] + base[h] + W[v] * states[h])
        for v, h in itertools.product(range(3), repeat=2)
    }
    expected = np.array(list(weight.values())) / sum(weight.values())
    table, p = exact.distribution(machine, [0, 1])
    rows = [[*(np.arange(3.0) == v), states[h]] for v, h in weight]
    np.testing.assert_array_equal(table, rows)
    np.testing.assert_allclose(p, expected)
    assert exact.log_Z(machine) == pytest.approx(np.log(sum(weight.values())))


@kinds
def test_the_reference_integrates_to_one(kind):
    machine, _ = machine_and_states(kind)
    assert exact.model_rows(machine)[1].sum() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("kind", [k for k in exact.KINDS if k.startswith("gaussian")])
def test_the_moments_of_the_reference_are_those_of_its_density(kind):
    machine, _ = machine_and_states(kind)
    (v, _), p = exact.model_rows(machine)
    mean, covariance = exact.moments(machine, [0])
    np.testing.assert_allclose(p @ v, mean, rtol=1e-9)
    np.testing.assert_allclose((p * (v - mean).T) @ (v - mean), covariance, rtol=1e-9)


@kinds
def test_energy_is_the_quadratic_form_of_its_definition(kind):
    machine, states = machine_and_states(kind)
    np.testing.assert_allclose(machine.energy(states), exact.energy(machine, states))


@kinds
def test_free_energy_sums_the_odd_layers_out_or_the_even_ones(kind):
    machine, states = machine_and_states(kind)
    for kept, summed in (
        (machine.even, ()),
        (machine.even, (machine.odd,)),
        (machine.odd, (machine.even,)),
    ):
        known = {layer: states[layer] for layer in kept}
        given = [known.get(layer) for layer in range(len(states))]
        actual = machine.free_energy(given, *summed)
        np.testing.assert_allclose(actual, -exact.log_weight(machine, known), rtol=1e-10)


@kinds
def test_field_is_minus_the_slope_of_the_energy_without_the_curvature(kind):
    machine, states = machine_and_states(kind)
    form, x = exact.Form(machine), np.concatenate(states, axis=1)
    slope = form.theta - x @ (form.A - np.diag(np.diag(form.A)))
    for layer, columns in enumerate(form.layers):
        given = [None if other == layer else s for other, s in enumerate(states)]
        np.testing.assert_allclose(machine.field(layer, given), slope[:, columns])


@kinds
def test_means_are_the_exact_conditional_means(kind):
    machine, states = machine_and_states(kind)
    for layers in (machine.odd, machine.even):
        filled = machine.means(layers, states)
        for layer in layers:
            expected = exact.conditional_mean(machine, layer, states)
            np.testing.assert_allclose(filled[layer], expected, atol=1e-14)


@pytest.mark.parametrize(
    "names",
    [
        ("gaussian", "bernoulli"),
        ("gaussian", "gaussian"),
        ("gaussian", "bernoulli", "bernoulli"),
    ],
    ids="-".join,
)
def test_rescaling_keeps_the_density_up_to_the_jacobian(names):
    machine = exact.make_machine(names, (3, 4, 2)[: len(names)], scale=0.4)
    shift, scale = np.array([1.0, -2.0, 0.5]), np.array([0.5, 3.0, 1.0])
    v = exact.sample(machine, 6, np.random.default_rng(2))[0]
    np.testing.assert_allclose(
        exact.log_p(machine.rescale(shift, scale), v * scale + shift),
        exact.log_p(machine, v) - np.log(scale).sum(),
    )


def relative_norm(machine):
    """Spectral norm of the weights between Gaussian layers whose precisions are 1."""
    below, above = (np.exp(-0.5 * par[1]) for par in machine.par)
    return np.linalg.norm(below[:, None] * machine.W[0] * above, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (6, 5), (30, 20)], ids=str)
def test_projection_moves_gaussian_layers_to_where_the_density_exists(sizes, dtype):
    names = ("gaussian", "gaussian")
    machine = exact.make_machine(names, sizes, dtype=dtype)
    machine.W[0] *= 4 / relative_norm(machine)
    machine.project()
    assert relative_norm(machine) < 0.95
    assert machine.W[0].dtype == dtype
    exact.log_Z(machine)


def test_projection_changes_no_other_direction_than_the_one_that_is_too_strong():
    machine = exact.make_machine(("gaussian", "gaussian"), (5, 4))
    left, right = (np.exp(0.5 * par[1]) for par in machine.par)
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, 3)))[0] for n in (5, 4))

    def weights(norms):
        return left[:, None] * ((U * norms) @ V.T) * right

    machine.W[0] = weights([3.0, 0.5, 0.2])
    machine.project()
    strongest = relative_norm(machine)
    np.testing.assert_allclose(machine.W[0], weights([strongest, 0.5, 0.2]), atol=1e-6)


@pytest.mark.parametrize(
    "W",
    [[[2.0], [-2.0]], [[2.0, -2.0], [-2.0, 2.0]], [[0.0, 3.0], [0.0, -3.0], [0.0, 0.0]]],
    ids=["column", "square", "with-zeros"],
)
def test_projection_finds_directions_in_which_the_weights_cancel(W):
    W = np.array(W)
    par = [np.zeros((2, n)) for n in W.shape]
    machine = Machine((UNITS["gaussian"],) * 2, par, [W])
    machine.project()
    assert relative_norm(machine) < 0.95


@kinds
def test_projection_leaves_a_machine_that_exists(kind):
    machine = exact.make_machine(*KINDS[kind], scale=0.3)
    before = machine.copy()
    machine.project()
    for x, y in zip(machine.arrays(), before.arrays(), strict=True):
        np.testing.assert_array_equal(x, y)


@kinds
def test_a_copy_shares_no_memory(kind):
    machine, _ = machine_and_states(kind)
    copy = machine.copy()
    for x, y in zip(machine.arrays(), copy.arrays(), strict=True):
        np.testing.assert_array_equal(x, y)
        assert not np.shares_memory(x, y)


@kinds
def test_map_visits_each_parameter_beside_its_counterpart(kind):
    machine, _ = machine_and_states(kind)
    difference = machine.map(lambda x, y: x - y, machine)
    assert all(not x.any() for x in difference.arrays())
    assert [x.shape for x in difference.arrays()] == [x.shape for x in machine.arrays()]


@kinds
def test_a_sweep_leaves_parameters_and_the_old_states_as_they_were(kind):
    machine, _ = machine_and_states(kind)
    sampler = PersistentContrastiveDivergence(2)
    chains = sampler.init(machine, 5, Stream(0))
    before = [x.copy() for x in machine.arrays()]
    old = [chains.states[layer].copy() for layer in machine.even]
    sampler.step(machine, chains, Stream(1))
    for x, y in zip(machine.arrays(), before, strict=True):
        np.testing.assert_array_equal(x, y)
    for layer, x in zip(machine.even, old, strict=True):
        np.testing.assert_array_equal(chains.states[layer], x)
