"""log Z of a machine that moves, against enumeration."""

import itertools

import numpy as np
import pytest
from helpers import exact

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import TrackedPartition
from sklearn_dbn.likelihood._tracking import between
from sklearn_dbn.machine import Machine

KINDS = exact.KINDS | exact.DEEP_KINDS | exact.FINITE_KINDS | exact.MIXED_KINDS


def without_weights(machine):
    return Machine(machine.units, machine.par, [0 * W for W in machine.W])


def machines_of(kind):
    """A machine without weights, and two others."""
    first, second = (exact.make_machine(*KINDS[kind], seed=seed) for seed in (0, 1))
    return [without_weights(first), first, second]


def follow(machines, n_chains, seed=0):
    rng = Stream(seed)
    tracked, values = TrackedPartition.of_base(machines[0], n_chains, rng), []
    for old, new in itertools.pairwise(machines):
        steps = list(tracked.follow(old, new, rng))
        assert steps[-1] is new
        values.append(tracked.value)
    return tracked, values


@pytest.mark.parametrize("kind", KINDS)
def test_log_z_is_that_of_each_machine_on_the_way(kind):
    machines = machines_of(kind)
    _, values = follow(machines, 20_000)
    expected = [exact.log_Z(machine) for machine in machines[1:]]
    np.testing.assert_allclose(values, expected, atol=0.05)


@pytest.mark.parametrize("kind", exact.KINDS | exact.FINITE_KINDS)
def test_weighted_chains_are_draws_of_the_last_machine(kind):
    machines = machines_of(kind)
    tracked, _ = follow(machines, 20_000)
    weight = np.exp(tracked.log_weight)
    mean = weight @ tracked.states[0] / weight.sum()
    rows = exact.sample(machines[-1], 100_000, np.random.default_rng(0))[0]
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=0.05)


def test_a_small_change_takes_one_step_and_a_large_one_several():
    near, far = (exact.make_machine(*exact.DEEP, scale=scale) for scale in (0.01, 30.0))
    n_steps = []
    for machine in (near, far):
        tracked = TrackedPartition.of_base(without_weights(machine), 100, Stream(0))
        steps = list(tracked.follow(without_weights(machine), machine, Stream(1)))
        n_steps.append(len(steps))
    assert n_steps[0] == 1
    assert 8 < n_steps[1] <= 300


@pytest.mark.parametrize("kind", KINDS)
def test_energies_between_two_machines_are_mixtures(kind):
    _, first, second = machines_of(kind)
    states = exact.sample(first, 20, np.random.default_rng(0))
    mixed = 0.7 * exact.energy(first, states) + 0.3 * exact.energy(second, states)
    found = exact.energy(between(first, second, 0.3), states)
    np.testing.assert_allclose(found, mixed, atol=1e-10)
