"""Update rules of a descent against their papers."""

import numpy as np
import pytest

from sklearn_dbn.optim import Adam, Descent, Momentum


def descent_of(rule, parameters, factor=1.0):
    factors = dict.fromkeys(parameters, factor)
    return Descent(rule, parameters, factors, rule.start(parameters))


def follow(descent, gradient, rate):
    """A step along a gradient that is multiplied by its scale already."""
    for name, g in gradient.items():
        descent.gradient[name][...] = g
    descent.step(rate)


def test_adam_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    x = {"x": rng.standard_normal((3, 2))}
    expected, m, v = x["x"].copy(), 0.0, 0.0
    descent = descent_of(Adam(), x, 0.5)
    for t in range(1, 431):
        g = rng.standard_normal((3, 2))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected -= 0.01 * m / (1 - 0.9**t) / np.sqrt(v / (1 - 0.999**t))
        follow(descent, {"x": g * descent.scale(0.02)}, 0.02)
        np.testing.assert_allclose(x["x"], expected, rtol=1e-9)


def test_adam_does_not_move_what_has_no_gradient():
    x = {"x": np.ones(3, dtype=np.float32)}
    descent = descent_of(Adam(), x)
    for _ in range(420):
        follow(descent, {"x": 0}, 0.1)
    assert np.array_equal(x["x"], np.ones(3))


def test_momentum_adds_up_steps():
    x = {"x": np.zeros(2)}
    descent = descent_of(Momentum(0.5), x, 0.5)
    for _ in range(3):
        follow(descent, {"x": descent.scale(0.2)}, 0.2)
    np.testing.assert_allclose(x["x"], -0.1 * (1 + 1.5 + 1.75))


@pytest.mark.parametrize("rule", [Adam(), Momentum(0.9)], ids=["adam", "momentum"])
def test_each_parameter_moves_as_it_does_alone(rule):
    """Small ones share a segment, and large ones have several."""
    rng = np.random.default_rng(0)
    shapes = {"W0": (300, 250), "b0": (250,), "W1": (250, 7), "b1": (7,)}
    factors = {"W0": 1.0, "b0": 0.3, "W1": 2.0, "b1": 1.0}
    joint = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    alone = {name: x.copy() for name, x in joint.items()}
    descents = {k: descent_of(rule, {k: x}, factors[k]) for k, x in alone.items()}
    together = Descent(rule, joint, factors, rule.start(joint))
    for _ in range(3):
        gradient = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        follow(together, gradient, 0.1)
        for name, g in gradient.items():
            follow(descents[name], {name: g}, 0.1)
    for name, x in joint.items():
        assert np.array_equal(x, alone[name])
