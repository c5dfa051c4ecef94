"""Update rules of a descent against their papers."""

import numpy as np

from sklearn_dbn.optim import Adam, Momentum


def test_adam_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    x = {"x": rng.standard_normal((3, 2))}
    expected, m, v = x["x"].copy(), 0.0, 0.0
    rule = Adam()
    memory = rule.start(x)
    for t in range(1, 431):
        g = rng.standard_normal((3, 2))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected -= 0.01 * m / (1 - 0.9**t) / np.sqrt(v / (1 - 0.999**t))
        rule.update(x, {"x": g * rule.scale(0.02, memory)}, 0.02, {"x": 0.5}, memory)
        np.testing.assert_allclose(x["x"], expected, rtol=1e-9)


def test_adam_does_not_move_what_has_no_gradient():
    x = {"x": np.ones(3, dtype=np.float32)}
    rule = Adam()
    memory = rule.start(x)
    for _ in range(420):
        rule.update(x, {"x": np.zeros(3, dtype=np.float32)}, 0.1, {"x": 1.0}, memory)
    assert np.array_equal(x["x"], np.ones(3))


def test_momentum_adds_up_steps():
    x = {"x": np.zeros(2)}
    rule = Momentum(0.5)
    memory = rule.start(x)
    for _ in range(3):
        rule.update(x, {"x": rule.scale(0.2, memory) * np.ones(2)}, 0.2, {"x": 0.5}, memory)
    np.testing.assert_allclose(x["x"], -0.1 * (1 + 1.5 + 1.75))


def test_large_arrays_move_as_small_ones_do():
    rng = np.random.default_rng(0)
    g = rng.standard_normal(100_000)
    whole, part = {"x": np.zeros(100_000)}, {"x": np.zeros(10)}
    for rule in (Adam(), Momentum(0.9)):
        for x, grad in ((whole, g), (part, g[-10:])):
            rule.update(x, {"x": grad.copy()}, 0.1, {"x": 0.3}, rule.start(x))
        assert np.array_equal(whole["x"][-10:], part["x"])
