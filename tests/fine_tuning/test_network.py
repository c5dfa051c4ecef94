"""The network's gradients against finite differences, and what it leaves out."""

import copy

import numpy as np
import pytest
from helpers.networks import LAYERS, check_gradient, make_examples, make_network, put_at_rest

from sklearn_dbn._random import Stream
from sklearn_dbn.fine_tuning import Logistic, Softmax, Squared


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("loss", [Softmax(), Logistic(), Squared()])
def test_the_gradient_of_every_loss_is_that_of_finite_differences(loss, augmented, hidden):
    network = make_network(augmented, 1.0 if augmented else 2.0, hidden)
    data = make_examples(network, loss)
    if not isinstance(loss, Squared):
        data.target = loss.smooth(data.target, 0.2)

    def value():
        return data.inputs.loss_and_gradient(network, loss, data.target, data.weight, LAYERS)

    check_gradient(network.parameters(LAYERS), value()[1], lambda: value()[0])


@pytest.mark.parametrize(("augmented", "gain"), [(True, 1.0), (True, 2.0), (False, 2.0)])
def test_the_gradient_under_dropout_is_that_of_the_thinned_network(augmented, gain):
    network, loss = make_network(augmented, gain), Softmax()
    data = make_examples(network)
    v, above = data.inputs.take(slice(None))

    def tape():
        return network.forward(v, above, 0.3, 0.5, Stream(3))

    def value():
        return loss(tape().outputs, data.target)[0].sum()

    passed = tape()
    _, delta = loss(passed.outputs, data.target)
    check_gradient(network.parameters(LAYERS), network.backward(passed, delta, LAYERS), value)
    check_gradient({"v": v}, {"v": network.input_gradient(passed, delta)}, value)


@pytest.mark.parametrize(("augmented", "gain"), [(True, 1.0), (False, 2.0)])
def test_the_centred_gradient_is_that_at_a_fixed_output_for_inputs_at_rest(augmented, gain):
    network, loss = make_network(augmented, gain), Softmax()
    data = make_examples(network)
    put_at_rest(network)
    v, above = data.inputs.take(slice(None))

    def passed(network):
        return network.forward(v, above, 0.3, 0.5, Stream(3))

    def value(network):
        return loss(passed(network).outputs, data.target)[0].sum()

    tape = passed(network)
    _, delta = loss(tape.outputs, data.target)
    for name, x in network.backward(tape, delta, LAYERS).items():
        for i in np.ndindex(x.shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = copy.deepcopy(network)
                before = moved.fields_at_means(LAYERS)
                moved.parameters()[name][i] += step
                moved.correct_biases(LAYERS, before)
                values.append(value(moved))
            assert x[i] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)
    check_gradient({"v": v}, {"v": network.input_gradient(tape, delta)}, lambda: value(network))


@pytest.mark.parametrize("centered", [False, True])
def test_dropout_keeps_what_every_layer_receives_on_average(centered):
    network = make_network(hidden="gaussian", augmented=True)
    data = make_examples(network)
    if centered:
        put_at_rest(network)
    v, above = data.inputs.take(np.zeros(40_000, dtype=int))
    thinned = network.forward(v, above, 0.2, 0.4, Stream(0)).outputs
    plain = network.outputs(v[:1], [q if q is None else q[:1] for q in above])
    standard_error = thinned.std(axis=0) / 200
    assert (np.abs(thinned.mean(axis=0) - plain[0]) < 4 * standard_error).all()
    assert thinned.std(axis=0).min() > 0


def test_dropout_of_nothing_draws_nothing():
    network = make_network()
    v, above = make_examples(network).inputs.take(slice(None))
    assert np.array_equal(network.forward(v, above).outputs, network.outputs(v, above))


def test_a_large_batch_is_the_sum_of_its_blocks(monkeypatch):
    network, loss = make_network(True), Softmax()
    data = make_examples(network)
    args = (network, loss, data.target, data.weight, LAYERS)
    whole, gradient = data.inputs.loss_and_gradient(*args)
    monkeypatch.setattr("sklearn_dbn.fine_tuning._network._BLOCK_ROWS", 3)
    value, parts = data.inputs.loss_and_gradient(*args)
    assert value == pytest.approx(whole)
    for name, x in gradient.items():
        np.testing.assert_allclose(parts[name], x, atol=1e-12)


def test_max_norm_bounds_the_incoming_weights_of_every_unit():
    network = make_network(augmented=True)
    before = copy.deepcopy(network)
    network.limit((0, 2), 1.5)
    for layer in (0, 2):
        arrays = [x for x in (network.W[layer], network.A[layer]) if x is not None]
        norm = np.sqrt(sum((x**2).sum(axis=0) for x in arrays))
        assert norm.max() <= 1.5 + 1e-12
        old = np.sqrt((before.W[layer] ** 2).sum(axis=0))
        assert np.array_equal(network.W[layer][:, norm < 1.49], before.W[layer][:, norm < 1.49])
        assert old.max() > 1.5
    assert np.array_equal(network.W[1], before.W[1])
    assert np.sqrt((network.head**2).sum(axis=0)).max() <= 1.5 + 1e-12
