"""What a training of a network presents, moves, and leaves alone."""

import copy
import dataclasses

import numpy as np
import pytest
from helpers.networks import (
    LAYERS,
    N_ROWS,
    SIZES,
    check_gradient,
    make_examples,
    make_network,
    make_settings,
    passes,
    run,
)
from scipy.special import expit, softmax

from sklearn_dbn._random import Stream
from sklearn_dbn.fine_tuning import (
    GenerativeTerm,
    Inputs,
    Logistic,
    Softmax,
    Squared,
    Targets,
    Tuning,
    split_validation,
    training_rows_of,
)
from sklearn_dbn.fine_tuning._adversarial import _of_length, presented, virtual_adversarial_rows
from sklearn_dbn.machine import Machine
from sklearn_dbn.optim import Momentum
from sklearn_dbn.samplers import PersistentContrastiveDivergence
from sklearn_dbn.units import UNITS


def flipped(network):
    """The network for columns whose bits are turned: 1 is 0 there and 0 is 1."""
    twin = copy.deepcopy(network)
    twin.par[0][0] += twin.gain[0] * twin.W[0].sum(axis=0)
    twin.W[0] *= -1
    return twin


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_centred_training_is_invariant_to_flipping_the_bits(solver):
    regular = {
        "dropout": 0.3,
        "hidden_dropout": 0.2,
        "adversarial_eps": 0.1,
        "weight_decay": 0.1,
    }
    for centered in (True, False):
        settings = make_settings(
            solver=solver, centered=centered, max_norm=1.5, **regular, learning_rate=0.05
        )
        network = make_network(gain=2.0)
        data, twin = make_examples(network), flipped(network)
        mirrored = dataclasses.replace(
            data, inputs=Inputs(1 - data.inputs.X, data.inputs.top_down)
        )
        run(Tuning(network, Stream(0), []), settings, data, 4)
        run(Tuning(twin, Stream(0), []), settings, mirrored, 4)
        expected = flipped(network).parameters()
        furthest = max(
            np.abs(x - expected[name]).max() for name, x in twin.parameters().items()
        )
        assert furthest < 1e-9 if centered else furthest > 0.01


def test_inputs_rest_at_their_running_mean():
    network = make_network(augmented=True)
    data = make_examples(network)
    settings = make_settings(centered=True, batch_size=N_ROWS, learning_rate=1e-4)
    run(Tuning(network, Stream(0), []), settings, data, 1)
    X = data.inputs.X
    data.inputs.X = X**2
    run(Tuning(network, Stream(0), []), settings, data, 500)
    tape = network.forward(*data.inputs.take(slice(None)))
    received = {"W0": X**2, "W2": tape.means[1], "head": tape.means[2]}
    received["A1"] = data.inputs.top_down[1]
    for name, x in received.items():
        mean = np.average(x, axis=0, weights=data.weight)
        np.testing.assert_allclose(network.input_means[name], mean, atol=0.01)
    assert np.abs((X - X**2).mean(axis=0)).max() > 0.1


def test_the_loss_of_adversarial_rows_rises_by_the_gradient_norm_times_the_length():
    length, losses = 1e-3, []
    for eps in (0.0, length):
        network = make_network()
        data = make_examples(network)
        tuning = Tuning(network, Stream(0), [])
        settings = make_settings(adversarial_eps=eps, learning_rate=1e-12)
        run(tuning, settings, data, 1)
        losses.append(tuning.history["loss"][0])
    v, above = data.inputs.take(slice(None))
    tape = network.forward(v, above)
    _, delta = settings.loss(tape.outputs, data.target)
    steepest = np.linalg.norm(network.input_gradient(tape, delta), axis=1)
    expected = length * np.average(steepest, weights=data.weight)
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(
    ("loss", "predicted"), [(Softmax(), softmax), (Logistic(), expit), (Squared(), np.array)]
)
def test_with_one_output_the_virtual_adversarial_direction_is_the_gradient(
    loss, predicted, augmented
):
    network = make_network(augmented)
    # Of two classes and of one label alike one number counts.
    network.head = network.head[:, : 2 if isinstance(loss, Softmax) else 1].copy()
    network.intercept = network.intercept[: network.head.shape[1]]
    v, above = make_examples(network).inputs.take(slice(None))
    settings = make_settings(loss=loss, virtual_adversarial_eps=1e-4)
    moved, target = virtual_adversarial_rows(network, settings, v, above, Stream(0))
    tape = network.forward(v, above)
    options = {"axis": 1} if isinstance(loss, Softmax) else {}
    np.testing.assert_allclose(target, predicted(tape.outputs, **options))
    delta = np.ones_like(tape.outputs)
    delta[:, 1:] = -1
    slope = network.input_gradient(tape, delta)
    cosine = np.einsum("ij,ij->i", moved - v, slope) / np.linalg.norm(slope, axis=1)
    np.testing.assert_allclose(np.abs(cosine), 1e-4, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(moved - v, axis=1), 1e-4)


def test_virtual_adversarial_rows_diverge_more_than_rows_moved_at_random():
    network, loss, rng = make_network(), Softmax(), Stream(0)
    v, above = make_examples(network).inputs.take(slice(None))
    length = 1.0
    settings = make_settings(virtual_adversarial_eps=length)
    moved, target = virtual_adversarial_rows(network, settings, v, above, rng)

    def divergence(rows):
        return loss(network.outputs(rows, above), target)[0].sum()

    there = divergence(moved)
    assert there > divergence(2 * v - moved)
    for _ in range(20):
        assert there > divergence(v + _of_length(length, rng.normal(v)))


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_a_step_goes_down_the_loss_of_rows_moved_and_unmoved(eps, free):
    network = make_network(augmented=True)
    data = make_examples(network)
    more = make_examples(network, seed=2)
    if free:
        # Fewer rows with a target than there are for what needs none.
        data = data.take(np.arange(4))
        data.all_rows = more.inputs, more.weight
    settings = make_settings(
        solver="sgd",
        momentum=0.0,
        batch_size=N_ROWS,
        adversarial_eps=eps,
        virtual_adversarial_eps=0.3,
    )
    before, rng = copy.deepcopy(network), Stream(0)
    n_rows = len(data.target)
    index = rng.permutation(n_rows)
    given = *data.inputs.take(index), data.target[index], data.weight[index]
    drawn = (rng.uniform(N_ROWS) * N_ROWS).astype(int) if free else index
    v, above_drawn = data.all_rows[0].take(drawn) if free else data.inputs.take(drawn)
    share = (more.weight * n_rows / N_ROWS if free else data.weight)[drawn]
    rows, above, target, weight = presented(
        before, settings, given, (v, above_drawn, share), copy.deepcopy(rng)
    )
    for i in (0, 1):
        np.testing.assert_array_equal(above[i], np.concatenate([given[1][i], above_drawn[i]]))
    run(Tuning(network, Stream(0), []), settings, data, 1)

    def value():
        return weight @ Softmax()(before.outputs(rows, above), target)[0] / n_rows

    moved, rate = network.parameters(), settings.learning_rate
    check_gradient(
        before.parameters(),
        {name: (x - moved[name]) / rate for name, x in before.parameters().items()},
        value,
    )


@pytest.mark.parametrize("fraction", [None, 0.3])
def test_weights_of_all_rows_have_the_dtype_of_the_targets(fraction):
    data = make_examples(make_network(), dtype=np.float32)
    known = np.arange(5)
    weight = np.ones(5, dtype=np.float32)
    targets = Targets(known, data.target[known], np.zeros(3), weight, None)
    examples = training_rows_of(data.inputs, targets, np.arange(1.0, N_ROWS + 1), relative=True)
    if fraction:
        examples, _ = split_validation(examples, targets, fraction, Stream(0))
    assert examples.weight.dtype == examples.all_rows[1].dtype == np.float32


def test_rows_without_a_target_are_no_part_of_the_recorded_loss():
    losses = []
    for length in (0.0, 0.3):
        network = make_network()
        tuning = Tuning(network, Stream(0), [])
        settings = make_settings(virtual_adversarial_eps=length, learning_rate=1e-12)
        run(tuning, settings, make_examples(network), 1)
        losses.append(tuning.history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1.0, 1e30])
def test_a_step_has_its_length_whatever_the_size_of_the_gradient(size):
    x = np.array([[3 * size, 0.0, -4 * size], [0.0, 0.0, 0.0]], dtype=np.float32)
    step = _of_length(2.5, x)
    np.testing.assert_allclose(step, [[1.5, 0, -2], [0, 0, 0]], rtol=1e-4)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "cg"])
@pytest.mark.parametrize("factors", [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0)])
def test_frozen_layers_stay_as_they_are_to_the_bit(solver, factors):
    network = make_network(augmented=True)
    before, data = copy.deepcopy(network), make_examples(network)
    regular = {} if solver in ("lbfgs", "cg") else {"dropout": 0.2, "max_norm": 1.0}
    settings = make_settings(factors=factors, solver=solver, weight_decay=0.1, **regular)
    tuning = Tuning(network, Stream(0), [])
    run(tuning, settings, data, 3)
    for name, x in network.parameters().items():
        frozen = name[1:].isdigit() and not factors[int(name[1:])]
        assert np.array_equal(x, before.parameters()[name]) == frozen


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "cg"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_solver_lowers_the_loss_and_keeps_the_dtype(solver, dtype):
    network = make_network(dtype=dtype)
    data = make_examples(network, dtype=dtype)
    tuning = Tuning(network, Stream(0), [])
    run(tuning, make_settings(solver=solver), data, 60)
    losses = tuning.history["loss"]
    assert losses[-1] < 0.97 * losses[0]
    assert {x.dtype for x in network.parameters().values()} == {np.dtype(dtype)}
    assert len(losses) == tuning.n_passes


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_weight_decay_is_part_of_what_scipy_minimises(solver):
    network = make_network()
    data = make_examples(network)
    data.target = Softmax().smooth(data.target, 0.3)
    settings = make_settings(solver=solver, weight_decay=0.05)
    run(Tuning(network, Stream(0), []), settings, data, 3000)
    args = (network, Softmax(), data.target, data.weight, LAYERS)
    _, gradient = data.inputs.loss_and_gradient(*args)
    for name, x in network.parameters().items():
        penalty = 0.05 * x if x.ndim == 2 else 0.0
        np.testing.assert_allclose(gradient[name] + penalty, 0, atol=3e-4)


def make_pull(network, seed=4):
    """Machines on top of one another that share their weights with the network."""
    rng = np.random.default_rng(seed)
    machines, chains, offsets = [], [], []
    for layer, W in enumerate(network.W):
        visible = rng.standard_normal((1, SIZES[layer]))
        units = (UNITS["bernoulli"], UNITS["bernoulli"])
        machines.append(Machine(units, [visible, network.par[layer]], [W]))
        sampler = PersistentContrastiveDivergence()
        chains.append(sampler.init(machines[-1], 6, Stream(layer)))
        offsets.append([np.full(n, 0.5) for n in (SIZES[layer], SIZES[layer + 1])])
    return GenerativeTerm(machines, chains, offsets)


def make_pulled(network):
    pull = make_pull(network)
    return Tuning(network, Stream(0), pull.machines, pull)


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True])
def test_the_generative_term_adds_the_gradient_of_every_machine(balanced):
    network = make_network()
    pull, draws = make_pull(network), 4000
    v = (np.random.default_rng(0).random((N_ROWS, SIZES[0])) < 0.5).astype(float)
    total, rng = {}, Stream(0)
    for _ in range(draws):
        parameters = network.parameters(LAYERS) | pull.visible()
        gradient = {name: np.zeros_like(x) for name, x in parameters.items()}
        pull.add_to(gradient, v, np.ones(N_ROWS), 2.0, rng, balanced)
        for name, x in gradient.items():
            total[name] = total.get(name, 0) + x / draws
    machine = pull.machines[0]
    # The RBM is small enough to enumerate: <v> of the data less <v> of the model.
    states = np.array(np.meshgrid(*[[0.0, 1.0]] * SIZES[0])).reshape(SIZES[0], -1).T
    p = np.exp(-machine.free_energy([states, None]))
    p /= p.sum()
    means = [machine.means([1], [x, None])[1] for x in (v, states)]
    dW = v.T @ means[0] / N_ROWS - (states * p[:, None]).T @ means[1]
    dv, dh = v.mean(0) - p @ states, means[0].mean(0) - p @ means[1]
    centred = dW - 0.5 * dv[:, None] - 0.5 * dh
    np.testing.assert_allclose(total["W0"], -2 * centred, atol=0.02)
    # Where biases make up for the weights below, what is left is the difference of the means.
    makes_up = 0.0 if balanced else centred.sum(0) * 0.5
    np.testing.assert_allclose(total["b0"], -2 * (dh - makes_up), atol=0.04)
    np.testing.assert_allclose(total["a0"][0], -2 * (dv - centred.sum(1) * 0.5), atol=0.04)
    assert not total["head"].any()
    assert np.abs(total["W2"]).max() > 0.01


def test_the_generative_gradient_is_the_same_with_its_offsets_as_centres():
    steps = []
    for centered in (False, True):
        network = make_network()
        tuning, data = make_pulled(network), make_examples(network)
        if centered:
            halves = {f"W{i}": np.full(SIZES[i], 0.5) for i in LAYERS}
            tuning.network.input_means = halves | {"head": np.full(SIZES[-1], 0.5)}
        # No other gradient: the targets are the outputs of the network.
        outputs = network.outputs(*data.inputs.take(slice(None)))
        data.target = softmax(outputs, axis=1)
        settings = make_settings(
            solver="sgd", centered=centered, batch_size=N_ROWS, generative_weight=1.0
        )
        run(tuning, settings, data, 1)
        steps.append(tuning.parameters(list(LAYERS)))
    for name, x in steps[0].items():
        np.testing.assert_allclose(steps[1][name], x, atol=1e-12)
    assert not np.allclose(steps[0]["b1"], make_network().par[1][0], atol=1e-4)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_without_rows_for_it_the_generative_gradient_is_zero(solver):
    network = make_network()
    tuning, data = make_pulled(network), make_examples(network)
    free = np.ones(N_ROWS)
    data.all_rows = data.inputs, free
    settings = make_settings(
        solver=solver, momentum=0.5, batch_size=N_ROWS, generative_weight=1.0
    )
    epochs = passes(tuning, settings, data, 2)
    next(epochs)
    before = tuning.rule_state.first.views()["a0"].copy()
    free[:] = 0
    next(epochs)
    # The memory of the rule decays.
    left = 0.9 / np.sqrt(0.999) if solver == "adam" else 0.5
    np.testing.assert_allclose(tuning.rule_state.first.views()["a0"], left * before)
    assert before.any()


def test_the_generative_gradient_updates_the_arrays_of_the_network():
    network = make_network()
    tuning = make_pulled(network)
    settings = make_settings(generative_weight=0.1)
    run(tuning, settings, make_examples(network), 2)
    moved = tuning.copy()
    assert moved.network.W[1] is moved.generative_term.machines[1].W[0]
    assert moved.network.W[1] is not network.W[1]
    assert not np.array_equal(
        moved.generative_term.machines[0].par[0], make_pull(network).machines[0].par[0]
    )


def test_a_copy_continues_as_its_original_does():
    network = make_network()
    data, settings = make_examples(network), make_settings(hidden_dropout=0.5)
    layers = zip(network.units, network.par, network.W, strict=True)
    machines = [
        Machine([UNITS["bernoulli"], unit], [np.zeros((1, len(W))), par], [W])
        for unit, par, W in layers
    ]
    tuning = Tuning(network, Stream(0), machines)
    run(tuning, settings, data, 2)
    copied = tuning.copy()
    for one in (tuning, copied):
        run(one, settings, data, 2)
    assert np.array_equal(tuning.network.W[0], copied.network.W[0])
    assert tuning.history == copied.history


def test_the_best_pass_is_restored():
    network = make_network()
    data = make_examples(network)
    settings = make_settings(learning_rate=0.5)
    tuning = Tuning(network, Stream(0), [])
    run(tuning, settings, data, 12, validation=data)
    scores = list(
        zip(tuning.history["validation_score"], tuning.history["validation_loss"], strict=True)
    )
    best = max((score, -loss) for score, loss in scores)
    assert tuning.stopping.value == best
    tuning.restore_best()
    assert tuning.record(settings, 0.0, data)["validation_loss"] == pytest.approx(-best[1])


def test_settings_give_the_trained_layers_and_the_rule():
    assert make_settings(factors=(0.0, 2.0, 0.0)).layers == [1]
    assert isinstance(make_settings(solver="sgd").rule, Momentum)
    assert dataclasses.replace(make_settings(), solver="adam").rule.beta_1 == 0.9
