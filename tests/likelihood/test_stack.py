"""Stacks of machines, against the brute force of ``exact`` over all their hidden layers."""

import itertools

import numpy as np
import pytest
from helpers import exact
from scipy.special import logsumexp

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import (
    log_mean_exp,
    log_probability,
    log_weight,
    log_weights,
    propose,
)

# Units and sizes of each machine, the lowest first.
STACKS = {
    "one": [(("bernoulli", "bernoulli"), (4, 3))],
    "two": [(("bernoulli", "bernoulli"), (4, 3)), (("bernoulli", "bernoulli"), (3, 2))],
    "three": [
        (("bernoulli", "bernoulli"), (4, 3)),
        (("bernoulli", "bernoulli"), (3, 3)),
        (("bernoulli", "bernoulli"), (3, 2)),
    ],
    "gaussian below": [
        (("gaussian", "bernoulli"), (3, 3)),
        (("bernoulli", "bernoulli"), (3, 2)),
    ],
    "gaussian on top": [
        (("bernoulli", "bernoulli"), (4, 3)),
        (("bernoulli", "gaussian"), (3, 2)),
    ],
    "gaussian between": [
        (("bernoulli", "gaussian"), (4, 2)),
        (("gaussian", "bernoulli"), (2, 3)),
    ],
    "deep on top": [
        (("bernoulli", "bernoulli"), (4, 3)),
        (("bernoulli",) * 3, (3, 2, 2)),
    ],
    "deep alone": [(("gaussian", "bernoulli", "bernoulli"), (3, 2, 2))],
    "four below": [
        ((exact.FOUR, "bernoulli"), (5, 3)),
        (("bernoulli", "bernoulli"), (3, 2)),
    ],
    "spins between": [
        (("categorical", "spin"), (2, 3)),
        (("spin", "bernoulli"), (3, 2)),
    ],
    "levels between": [
        (("binomial", "ordinal"), (2, 2)),
        (("ordinal", "categorical"), (2, 1)),
        (("categorical", "bernoulli"), (1, 2)),
    ],
    "gaussian above levels": [
        (("count", "bernoulli"), (3, 3)),
        (("bernoulli", "gaussian"), (3, 2)),
    ],
    "deep above levels": [
        (("categorical+ordinal+bernoulli", "bernoulli"), (4, 3)),
        (("bernoulli",) * 3, (3, 2, 2)),
    ],
}
# Those whose posteriors are all known in one step and can be enumerated.
ENUMERABLE = [k for k in STACKS if "deep" not in k and k != "gaussian between"]
stacks = pytest.mark.parametrize("stack", STACKS)


def make_stack(name, dtype=np.float64, scale=0.8):
    return [
        exact.make_machine(*spec, scale=scale, seed=i, dtype=dtype)
        for i, spec in enumerate(STACKS[name])
    ]


def rows(machine, n=5, dtype=np.float64):
    return exact.sample(machine, n, np.random.default_rng(7))[0].astype(dtype)


def log_p_given(machine, layer, x, other, y):
    """log p(x_layer = x | x_other = y), a row of x for each of y."""
    return exact.log_weight(machine, {layer: x, other: y}) - exact.log_weight(
        machine, {other: y}
    )


def enumerated(machines, v):
    """For each row all its hidden states: their log weights log p Z / q, and log q."""
    tables = [exact.states_of(machine, 1) for machine in machines[:-1]]
    log_w, log_q = [], []
    for index in itertools.product(*(range(len(table)) for table in tables)):
        x, w, q = v, 0.0, 0.0
        for machine, table, i in zip(machines[:-1], tables, index, strict=True):
            h = np.tile(table[i], (len(v), 1))
            w = w + log_p_given(machine, 0, x, 1, h)
            q = q + log_p_given(machine, 1, h, 0, x)
            x = h
        log_w.append(w + exact.log_weight(machines[-1], {0: x}) - q)
        log_q.append(q + np.zeros(len(v)))
    return np.array(log_w).T, np.array(log_q).T


def exact_log_p(machines, v):
    log_w, log_q = enumerated(machines, v)
    return logsumexp(log_w + log_q, axis=1) - exact.log_Z(machines[-1])


def exact_bound(machines, v):
    log_w, log_q = enumerated(machines, v)
    return np.sum(np.exp(log_q) * log_w, axis=1) - exact.log_Z(machines[-1])


@pytest.mark.parametrize("stack", ["three", "spins between", "levels between"])
def test_the_reference_is_a_distribution(stack):
    machines = make_stack(stack)
    v = exact.states_of(machines[0], 0)
    assert np.exp(exact_log_p(machines, v)).sum() == pytest.approx(1)
    np.testing.assert_allclose(np.exp(enumerated(machines, v)[1]).sum(axis=1), 1)


@pytest.mark.parametrize("stack", ENUMERABLE)
def test_the_weight_of_every_hidden_state_is_p_over_q(stack):
    machines = make_stack(stack)
    v = rows(machines[0])
    log_w, _ = enumerated(machines, v)
    tables = [exact.states_of(machine, 1) for machine in machines[:-1]]
    for column, hidden in enumerate(itertools.product(*tables)):
        hidden = [np.tile(h, (len(v), 1)) for h in hidden]
        np.testing.assert_allclose(log_weight(machines, v, hidden), log_w[:, column])


@pytest.mark.parametrize("stack", ENUMERABLE)
def test_proposals_follow_q(stack):
    machines = make_stack(stack)
    v = np.repeat(rows(machines[0], 1), 40_000, axis=0)
    _, log_q = enumerated(machines, v[:1])
    hidden, _ = propose(machines, v, Stream(0))
    assert len(hidden) == len(machines) - 1
    if hidden:
        tables = [exact.states_of(machine, 1) for machine in machines[:-1]]
        table = np.array([np.concatenate(h) for h in itertools.product(*tables)])
        share = exact.counts(table, np.concatenate(hidden, axis=1)) / len(v)
        q = np.exp(log_q[0])
        np.testing.assert_array_less(np.abs(share - q), 5 * np.sqrt(q / len(v)) + 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stack", ENUMERABLE)
def test_estimate_and_bound_tend_to_their_expectations(stack):
    machines = make_stack(stack)
    v, n = rows(machines[0]), 2000
    log_z = exact.log_Z(machines[-1])
    result = log_probability(machines, v, log_z, n, 0)
    truth, bound = exact_log_p(machines, v), exact_bound(machines, v)
    assert np.all(bound <= truth + 1e-12)
    spread = np.std(log_weights(machines, v, n, 0), axis=1) / np.sqrt(n)
    np.testing.assert_array_less(np.abs(result.bound - bound), 4 * spread + 1e-9)
    np.testing.assert_array_less(np.abs(result.value - truth), 4 * result.standard_error + 1e-9)
    if len(machines) > 1:
        assert np.all(truth - bound > 0.02)
        assert np.all(result.bound < result.value)
        assert np.all(result.standard_error < 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stack", ["deep on top", "deep alone", "gaussian between", "deep above levels"]
)
def test_stacks_whose_posterior_is_not_enumerated_integrate_to_one(stack):
    """Over all rows the estimates add up to one, and they are exact for a machine alone."""
    machines = make_stack(stack, scale=0.5)
    log_z, n = exact.log_Z(machines[-1]), 2000
    if len(machines) == 1:
        v = rows(machines[0])
        result = log_probability(machines, v, log_z, n, 0)
        truth = exact.log_p(machines[0], v)
        assert np.all(result.standard_error > 0)
        np.testing.assert_array_less(np.abs(result.value - truth), 4 * result.standard_error)
        assert np.all(result.bound < result.value)
        assert np.all(truth - result.bound < 0.2)
    else:
        log_w = log_weights(machines, exact.states_of(machines[0], 0), n, 0) - log_z
        value, error, _ = log_mean_exp(logsumexp(log_w, axis=0))
        assert error < 0.06
        assert abs(value) < 4 * error


@stacks
def test_the_weight_of_a_row_does_not_depend_on_other_rows(stack):
    machines = make_stack(stack)
    v = rows(machines[0], 9)
    together = log_weights(machines, v, 6, 0)
    for block_bytes in (1, 3 * 8 * 4):
        blocks = log_weights(machines, v, 6, 0, block_bytes=block_bytes)
        np.testing.assert_allclose(blocks, together, rtol=1e-12)
    turned = log_weights(machines, v[::-1], 6, 0)[::-1]
    np.testing.assert_allclose(turned, together, rtol=1e-12)
    alone = log_weights(machines, v[4:5], 6, 0)
    np.testing.assert_allclose(alone, together[4:5], rtol=1e-12)


@stacks
def test_equal_seeds_give_equal_weights_and_the_rows_stay_as_they_were(stack):
    machines = make_stack(stack)
    v = rows(machines[0])
    before = v.copy()
    first, second, other = (log_weights(machines, v, 8, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(v, before)
    assert (first != other).any() == (stack != "one")
    # More draws go on from the same ones.
    np.testing.assert_array_equal(log_weights(machines, v, 11, 0)[:, :8], first)


@stacks
def test_float32_gives_float64_near_that_of_float64(stack):
    v = rows(make_stack(stack)[0])
    low, high = (
        log_weights(make_stack(stack, dtype), v.astype(dtype), 50, 0)
        for dtype in (np.float32, np.float64)
    )
    assert low.dtype == high.dtype == np.float64
    np.testing.assert_allclose(low, high, atol=1e-4)
