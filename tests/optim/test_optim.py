import numpy as np
import pytest
from helpers import exact

from sklearn_dbn.optim import SCHEDULES, Ascent, MomentumAscent, Sparsity, moving_average


def make_pair():
    """A machine and a step of the same shape."""
    kind = (("gaussian", "bernoulli"), (3, 2))
    return exact.make_machine(*kind), exact.make_machine(*kind, seed=1)


def scaled(machine, factor):
    return machine.map(lambda x: factor * x)


def filled(value):
    """A machine whose parameters all have one value."""
    return make_pair()[0].map(lambda x: np.full_like(x, value))


def assert_filled(machine, value):
    for x in machine.arrays():
        np.testing.assert_allclose(x, value, rtol=1e-14)


def assert_same(first, second):
    for x, y in zip(first.arrays(), second.arrays(), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "start", "middle", "end"),
    [("constant", 1, 1, 1), ("linear", 1, 0.5, 0), ("cosine", 1, 0.5, 0)],
)
def test_schedule_runs_between_its_end_values(name, start, middle, end):
    schedule = SCHEDULES[name]
    values = [schedule(t) for t in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(values, [start, middle, end], atol=1e-15)
    path = [schedule(t) for t in np.linspace(0, 1, 21)]
    assert np.all(np.diff(path) <= 0)


def test_every_schedule_is_tested():
    assert set(SCHEDULES) == {"constant", "linear", "cosine"}


def test_cosine_is_flat_at_both_ends():
    cosine, eps = SCHEDULES["cosine"], 1e-4
    assert cosine(0) - cosine(eps) < 1e-7
    assert cosine(1 - eps) - cosine(1) < 1e-7


def test_ascent_adds_the_step():
    machine, ascent = make_pair()
    expected = machine.map(lambda x, dx: x + dx, ascent)
    rule = Ascent()
    rule.update(machine, ascent, rule.start(machine))
    assert_same(machine, expected)


@pytest.mark.parametrize("make_rule", [Ascent, lambda decay: MomentumAscent(0.9, decay)])
def test_decay_shrinks_the_weights_and_no_bias(make_rule):
    machine, rule = filled(2.0), make_rule(0.3)
    rule.update(machine, filled(0.0), rule.start(machine))
    rule.shrink(machine, 0.5)
    # 15 % less.
    np.testing.assert_allclose(machine.W[0], 1.7)
    for par in machine.par:
        np.testing.assert_array_equal(par, 2.0)


def test_decay_in_small_steps_is_exponential():
    machine, rule = filled(2.0), Ascent(0.3)
    for _ in range(4000):
        rule.shrink(machine, 5e-4)
    # The solution of dW/dt = -0.3 W after a time of 2.
    np.testing.assert_allclose(machine.W[0], 2 * np.exp(-0.6), rtol=1e-4)


def test_momentum_sums_the_steps_geometrically():
    machine, rule = filled(0.0), MomentumAscent(0.8)
    memory = rule.start(machine)
    # Velocities of 1, 0.8 - 0.5 and 0.24 + 2, and their sums.
    for step, position in [(1.0, 1.0), (-0.5, 1.3), (2.0, 3.54)]:
        rule.update(machine, filled(step), memory)
        assert_filled(machine, position)


def test_momentum_of_nine_tenths_moves_ten_times_as_far():
    machine, ascent = make_pair()
    start, rule = machine.copy(), MomentumAscent(0.9)
    ascent = scaled(ascent, 1e-3)
    memory = rule.start(machine)
    for _ in range(400):
        before = machine.copy()
        rule.update(machine, ascent.copy(), memory)
    np.testing.assert_allclose(machine.W[0] - before.W[0], 10 * ascent.W[0])
    assert not np.array_equal(machine.W[0], start.W[0])


@pytest.mark.parametrize("rule", [Ascent(), MomentumAscent(0.5)], ids=["plain", "momentum"])
def test_an_update_ends_where_the_distribution_exists(rule):
    machine, ascent = make_pair()
    ascent.par[0][1] = 1e6
    rule.update(machine, ascent, rule.start(machine))
    assert np.all(np.isfinite(np.exp(machine.par[0][1])))
    assert np.all(machine.par[0][1] < 100)


def test_sparsity_pushes_activity_towards_the_target():
    push = Sparsity(0.2, 0.5).penalty_step(np.array([0.05, 0.2, 0.9]))
    np.testing.assert_allclose(push, [0.075, 0.0, -0.35])


def test_sparsity_push_is_the_slope_of_the_cross_entropy_in_the_field():
    target, cost, field, eps = 0.2, 0.5, np.array([-2.0, 0.3, 1.7]), 1e-6

    def penalty(field):
        q = 1 / (1 + np.exp(-field))
        return -cost * (target * np.log(q) + (1 - target) * np.log(1 - q))

    slope = (penalty(field + eps) - penalty(field - eps)) / (2 * eps)
    q = 1 / (1 + np.exp(-field))
    np.testing.assert_allclose(Sparsity(target, cost).penalty_step(q), -slope, atol=1e-8)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)])
def test_moving_average_is_the_weighted_mean_of_each_parameter(rate, expected):
    first = filled(2.0)
    assert_filled(moving_average(first, filled(6.0), rate), expected)
    assert_filled(first, 2.0)


def test_moving_average_of_two_machines_lies_on_the_line_between_them():
    first, second = make_pair()
    assert_same(moving_average(first, second, 0.0), first)
    assert_same(moving_average(first, second, 1.0), second)
    assert_same(moving_average(first, second, 0.25), moving_average(second, first, 0.75))


def test_moving_average_with_falling_rates_is_the_mean():
    machines = [exact.make_machine(("bernoulli",) * 2, (3, 2), seed=seed) for seed in range(4)]
    average = machines[0]
    for n, machine in enumerate(machines):
        average = moving_average(average, machine, 1 / (n + 1))
    np.testing.assert_allclose(average.W[0], np.mean([m.W[0] for m in machines], axis=0))
