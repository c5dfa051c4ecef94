"""Draws of a population against machines whose states are all known."""

import numpy as np
import pytest
from helpers import exact
from scipy.linalg import hadamard
from scipy.stats import chi2

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import base_rates, equilibrate, exact_log_partition, population

KINDS = exact.KINDS | exact.DEEP_KINDS
KINDS |= {"categorical-spin": exact.FINITE_KINDS["categorical-spin"]}
FOUR = f"{exact.FOUR}-bernoulli-bernoulli"
KINDS |= {FOUR: exact.MIXED_KINDS[FOUR]}
# Rows of 32 bits of which any two differ in 16.
PATTERNS = (hadamard(32)[:8] > 0).astype(float)


def near(patterns, n_rows, flips=0.02):
    """Rows that differ from a pattern in few bits."""
    rng = np.random.default_rng(0)
    n_patterns, n_bits = patterns.shape
    flipped = rng.random((n_rows, n_bits)) < flips
    return np.abs(patterns[rng.integers(0, n_patterns, n_rows)] - flipped)


def shares(rows, patterns, weight=None):
    """The weight of the rows that are nearest to each pattern; by default their number."""
    nearest = np.abs(rows[:, None] - patterns).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, weight, minlength=len(patterns))


def distance(counts, masses):
    """The statistic of the chi-squared test."""
    expected = counts.sum() * masses
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.fixture(scope="module", params=["pcd", "tempering"])
def separated(request):
    """A machine with eight modes that no chain leaves, and their masses."""
    # With longer steps the annealing itself misses some of the mass.
    steps = {"batch_size": 10, "learning_rate": 0.1, "n_iter": 20, "sparsity_target": None}
    rbm = RBMTransformer(12, sampler=request.param, random_state=0, **steps)
    rbm.fit(near(PATTERNS, 1000))
    h, machine, rng = exact.bits(12), rbm._run.average, np.random.default_rng(0)
    p = np.exp(-machine.free_energy([None, h], machine.even) - exact_log_partition(machine))
    # Rows without a Markov chain: enough of them that their own noise does not count.
    means = machine.means([0], [None, h[rng.choice(len(p), 200_000, p=p / p.sum())]])[0]
    return rbm, shares((rng.random(means.shape) < means) * 1.0, PATTERNS) / len(means)


@pytest.mark.slow
def test_draws_have_the_exact_share_of_each_mode(separated):
    rbm, masses = separated
    for seed in range(10):
        counts = shares(rbm.sample(2000, random_state=seed), PATTERNS)
        assert distance(counts, masses) < chi2.isf(1e-4, 7)


@pytest.mark.slow
def test_chains_of_the_training_do_not_have_the_exact_shares(separated):
    rbm, masses = separated
    machine, chains = rbm._run.average, rbm._run.chains.states[0]
    start = [np.repeat(chains, 200, axis=0), None]
    drawn = equilibrate(machine, start, 200, Stream(0))[0]
    assert distance(shares(drawn, PATTERNS), masses) > chi2.isf(1e-4, 7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_draws_of_any_machine_have_its_moments(kind):
    machine = exact.make_machine(*KINDS[kind])
    states = population(machine, base_rates(machine), 20_000, 100, Stream(0))
    known = exact.sample(machine, 20_000, np.random.default_rng(0))
    drawn, known = (np.concatenate(x, axis=1) for x in (states, known))
    error = 6 * np.sqrt(known.var(axis=0) / len(known)) + 0.01
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - known.mean(axis=0)), error)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(known.T), atol=0.15, rtol=0.1)


@pytest.mark.slow
def test_a_single_row_is_weighted_too():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (4, 3), scale=1.5)
    base = base_rates(machine)
    rows = np.concatenate([population(machine, base, 1, 20, Stream(i))[0] for i in range(1000)])
    known = exact.sample(machine, 20_000, np.random.default_rng(0))[0]
    np.testing.assert_allclose(rows.mean(axis=0), known.mean(axis=0), atol=0.07)


def test_without_a_step_the_base_is_drawn():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (4, 3))
    base = base_rates(machine, [np.array([0.2, 0.4, 0.6, 0.8])])
    v, _ = population(machine, base, 20_000, 0, Stream(0))
    np.testing.assert_allclose(v.mean(axis=0), [0.2, 0.4, 0.6, 0.8], atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "deep",
    [
        DBNTransformer((16, 8), rbm=RBMTransformer(n_iter=20), random_state=0),
        DBMTransformer((16, 6), rbm=RBMTransformer(n_iter=20), random_state=0),
    ],
    ids=["DBN", "DBM"],
)
def test_deep_generators_draw_their_modes(deep):
    patterns, rows = (hadamard(8)[:4] > 0).astype(float), exact.bits(8)
    deep.fit(near(patterns, 500, 0.03))
    masses = shares(rows, patterns, np.exp(deep.score_samples(rows)))
    counts = shares(deep.sample(4000, random_state=0), patterns)
    # The score of a deep generator is an estimate itself.
    np.testing.assert_allclose(counts / 4000, masses / masses.sum(), atol=0.04)
