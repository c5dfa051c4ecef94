"""Draws of missing entries given the observed ones, against enumeration."""

import numpy as np
import pytest
from helpers import exact
from scipy.special import logsumexp

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import conditional_draws, pass_down

N = 10_000
# Units and sizes of each machine, the lowest first; all visible columns have listed states.
STACKS = {
    "bits": [(("bernoulli", "bernoulli"), (4, 3))],
    "spins": [(("spin", "gaussian"), (3, 2))],
    "levels": [(("categorical+ordinal+bernoulli", "bernoulli"), (4, 3))],
    "levels, deep": [(("categorical+count+spin", "bernoulli", "ordinal"), (4, 3, 1))],
    "binomial above bits": [(("binomial", "spin"), (2, 3)), (("spin", "bernoulli"), (3, 2))],
    "levels above levels": [
        (("categorical+ordinal", "categorical"), (3, 1)),
        (("categorical", "bernoulli"), (1, 2)),
    ],
    "pathways in a machine": [
        (("bernoulli|ordinal", "bernoulli", "spin"), ((3, 1), (2, 1), 2))
    ],
    "pathways": [
        (("bernoulli|categorical", "bernoulli"), ((2, 1), (2, 2))),
        (("bernoulli", "bernoulli"), ((2, 2), 2)),
    ],
    "pathways of two layers, below two": [
        (("spin|bernoulli", "bernoulli"), ((2, 1), (2, 1))),
        (("bernoulli", "spin"), ((2, 1), (1, 2))),
        (("spin", "bernoulli"), ((1, 2), 2)),
        (("bernoulli", "bernoulli"), (2, 2)),
    ],
}
stacks = pytest.mark.parametrize("stack", STACKS)


def make_stack(name):
    return [exact.make_machine(*spec, seed=i) for i, spec in enumerate(STACKS[name])]


def distribution(machines):
    """Every visible row and its probability, from the definition of a stack."""
    *lower, top = machines
    states, p = exact.distribution(top, [0])
    for machine in reversed(lower):
        below = exact.states_of(machine, 0)
        pairs = [np.repeat(below, len(states), axis=0), np.tile(states, (len(below), 1))]
        joint = exact.log_weight(machine, dict(enumerate(pairs))).reshape(len(below), -1)
        given = joint - logsumexp(joint, axis=0)
        states, p = below, np.exp(given) @ p
    np.testing.assert_allclose(p.sum(), 1)
    return states, p


def assert_drawn(table, p, x):
    share = exact.counts(table, x) / len(x)
    np.testing.assert_array_less(np.abs(share - p), 5 * np.sqrt(p / len(x)) + 1e-4)


@stacks
def test_rows_are_completed_from_their_distribution(stack):
    """Exact draws, of which any part is drawn anew given the rest, are still exact draws."""
    machines = make_stack(stack)
    table, p = distribution(machines)
    rng = np.random.default_rng(0)
    v = table[rng.choice(len(p), N, p=p / p.sum())]
    missing = np.isnan(exact.with_gaps(machines[0], v))
    # Chains start anywhere, so that a wrong kernel could not stay where it is right.
    start = np.where(missing, table[rng.integers(len(table), size=N)], v)
    *_, (drawn, _) = conditional_draws(machines, start, missing, 30, Stream(0))
    np.testing.assert_array_equal(drawn[~missing], v[~missing])
    assert_drawn(table, p, drawn)
    assert np.mean(drawn[missing] == start[missing]) < 0.9


@stacks
def test_summaries_average_to_the_conditional_mean_of_what_is_missing(stack):
    """Of one row: the mean over draws of the layer above is that over the exact posterior."""
    machines = make_stack(stack)
    table, p = distribution(machines)
    row = exact.with_gaps(machines[0], table[[len(table) // 2]], share=0.6, seed=1)
    missing = np.repeat(np.isnan(row), 4000, axis=0)
    assert missing[0].any()
    start = np.where(missing, table[0], np.repeat(row, 4000, axis=0))
    sums, n_sweeps = 0.0, 30
    for sweep, (_, summary) in enumerate(
        conditional_draws(machines, start, missing, n_sweeps, Stream(1))
    ):
        sums = sums + (summary.mean(axis=0) if sweep >= 10 else 0.0)
    observed = np.all((table == row) | np.isnan(row), axis=1)
    posterior = np.where(observed, p, 0) / p[observed].sum()
    unit = machines[0].units[0]
    found = unit.estimate(sums[None] / (n_sweeps - 10))
    decoded = unit.decode(table)
    values = np.isnan(unit.encode(np.where(np.eye(decoded.shape[1]), np.nan, 0.0)))
    for column, states in enumerate(values):
        if not missing[0, states].all():
            continue
        x = decoded[:, column]
        shares = np.array([posterior[x == level].sum() for level in np.unique(x)])
        if states.sum() > 1:
            expected = np.argmax(shares)
        else:
            expected = shares @ np.unique(x)
        assert found[0, column] == pytest.approx(expected, abs=0.03)


@stacks
def test_rows_are_drawn_given_the_visible_layer_of_the_last_machine(stack):
    machines = make_stack(stack)
    table, p = distribution(machines)
    upper, q = exact.distribution(machines[-1], [0])
    states = upper[np.random.default_rng(0).choice(len(q), N, p=q / q.sum())]
    assert_drawn(table, p, pass_down(machines, states, Stream(0)))
