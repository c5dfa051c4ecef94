"""Annealed importance sampling of small machines, against the brute force of ``exact``.

Of 300 random machines both ways come within three standard errors of log Z in at least 98 %;
wrong versions, which are run here as well so that the power of the test is tested too, in far
fewer.
"""

import numpy as np
import pytest
from helpers import exact
from helpers.unit_types import undrawn

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import (
    anneal,
    base_rates,
    equilibrate,
    estimate,
    log_mean_exp,
    log_partition_of_base,
    place_temperatures,
)
from sklearn_dbn.likelihood._annealing import increments
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import independent
from sklearn_dbn.units import UNITS

N_MACHINES, N_CHAINS = 300, 200
KINDS = [*(names for names, _ in exact.PAIRS), ("bernoulli",) * 3]
# Types with other states than 0 and 1, and layers of several types.
OTHERS = [
    ("spin", "spin"),
    ("categorical", "bernoulli"),
    ("ordinal", "gaussian"),
    ("count", "spin"),
    ("binomial", "bernoulli"),
    ("bernoulli", "categorical"),
    ("spin", "ordinal", "bernoulli"),
    ("categorical+ordinal+gaussian", "bernoulli"),
]
groups = pytest.mark.parametrize("kinds", [KINDS, OTHERS], ids=["bits", "others"])
ALL = exact.KINDS | exact.FINITE_KINDS | exact.MIXED_KINDS | exact.PATHWAY_KINDS
BETAS = np.linspace(0, 1, 15)
parities = pytest.mark.parametrize("summed", ["odd", "even"])


def random_problem(index, kinds):
    """A machine, units to start from that are not its own, and which layers to sum out."""
    rng = np.random.default_rng(index)
    names = kinds[index % len(kinds)]
    # Larger ones of states that have a variance of 1 could not be enumerated.
    sizes = rng.integers(1, 5 if kinds == KINDS else 4, len(names))
    machine = exact.make_machine(names, sizes, scale=rng.uniform(0.2, 1.2), seed=index)
    machine.project()
    base = exact.make_machine(names, sizes, seed=index + N_MACHINES).par
    return machine, base, [machine.odd, machine.even][index // len(kinds) % 2]


def kept_by(machine, summed):
    return machine.even if summed == machine.odd else machine.odd


def up(machine, base, summed, seed, n_chains=N_CHAINS, betas=BETAS):
    rng = Stream(seed)
    states = independent(machine, base, kept_by(machine, summed), n_chains, rng)
    return anneal(machine, base, betas, states, rng, summed)


def down(machine, base, summed, seed, n_chains=N_CHAINS, betas=BETAS):
    states = exact.sample(machine, n_chains, np.random.default_rng(seed))
    states = [x.astype(par.dtype) for x, par in zip(states, machine.par, strict=True)]
    return anneal(machine, base, betas[::-1], states, Stream(seed), summed)


def forward(machine, base, summed, seed):
    start = log_partition_of_base(machine, base)
    return estimate(start, up(machine, base, summed, seed), 1)


def reverse(machine, base, summed, seed):
    start = log_partition_of_base(machine, base)
    return estimate(start, down(machine, base, summed, seed), -1)


def share_found(way, kinds, n_machines=N_MACHINES):
    """In how many machines log Z is found within three standard errors."""
    found = 0
    for index in range(n_machines):
        machine, base, summed = random_problem(index, kinds)
        result = way(machine, base, summed, index)
        found += abs(result.value - exact.log_Z(machine)) < 3 * result.standard_error
    return found / n_machines


@pytest.mark.slow
@groups
@pytest.mark.parametrize("way", [forward, reverse])
def test_log_z_is_found_within_three_standard_errors(way, kinds):
    assert share_found(way, kinds, N_MACHINES if kinds == KINDS else 160) >= 0.98


def without_base_rate(machine, base, summed, seed):
    start = log_partition_of_base(machine, machine.par)
    return estimate(start, up(machine, base, summed, seed), 1)


def in_falling_order(machine, base, summed, seed):
    start = log_partition_of_base(machine, base)
    return estimate(start, up(machine, base, summed, seed, betas=BETAS[::-1]), 1)


def in_rising_order(machine, base, summed, seed):
    start = log_partition_of_base(machine, base)
    return estimate(start, down(machine, base, summed, seed, betas=BETAS[::-1]), -1)


def with_the_sign_of_the_other_way(machine, base, summed, seed):
    start = log_partition_of_base(machine, base)
    return estimate(start, down(machine, base, summed, seed), 1)


def down_from_anywhere(machine, base, summed, seed):
    rng = Stream(seed)
    states = independent(machine, base, kept_by(machine, summed), N_CHAINS, rng)
    log_weights = anneal(machine, base, BETAS[::-1], states, rng, summed)
    return estimate(log_partition_of_base(machine, base), log_weights, -1)


def up_from_anywhere(machine, base, summed, seed):
    rng = Stream(seed)
    states = independent(machine, machine.par, kept_by(machine, summed), N_CHAINS, rng)
    log_weights = anneal(machine, base, BETAS, states, rng, summed)
    return estimate(log_partition_of_base(machine, base), log_weights, 1)


def of_means(way):
    def mutant(machine, base, summed, seed):
        units = tuple(map(undrawn, machine.units))
        return way(Machine(units, machine.par, machine.W), base, summed, seed)

    return mutant


def with_weights(factor, way):
    def mutant(machine, base, summed, seed):
        W = [factor * x for x in machine.W]
        return way(Machine(machine.units, machine.par, W), base, summed, seed)

    return mutant


def with_the_bias_twice(machine, base, summed, seed):
    biased = machine.copy()
    for par in biased.par:
        par[0] *= 2
    return forward(biased, base, summed, seed)


MUTANTS = {
    "base rate forgotten": without_base_rate,
    "temperatures falling on the way up": in_falling_order,
    "temperatures rising on the way down": in_rising_order,
    "wrong sign on the way down": with_the_sign_of_the_other_way,
    "way up not from the base": up_from_anywhere,
    "way down not from the model": down_from_anywhere,
    "means for states on the way up": of_means(forward),
    "means for states on the way down": of_means(reverse),
    "weights 20 % too large on the way up": with_weights(1.2, forward),
    "weights 20 % too small on the way up": with_weights(0.8, forward),
    "biases twice": with_the_bias_twice,
}


@pytest.mark.slow
@groups
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_version_is_detected(mutant, kinds):
    assert share_found(MUTANTS[mutant], kinds, 64) < 0.9


@pytest.mark.parametrize("names", [*KINDS, *OTHERS], ids="-".join)
@parities
def test_weights_are_unbiased_with_few_temperatures(names, summed):
    """Their mean is Z / Z_base on the way up and the inverse of it on the way down."""
    machine = exact.make_machine(names, (3, 2, 2)[: len(names)], scale=0.4)
    base = [par + 0.1 for par in machine.par]
    summed = getattr(machine, summed)
    log_ratio = exact.log_Z(machine) - log_partition_of_base(machine, base)
    few = np.array([0.0, 0.3, 1.0])
    for way, expected in ((up, log_ratio), (down, -log_ratio)):
        log_weights = way(machine, base, summed, 0, n_chains=40_000, betas=few)
        value, error, _ = log_mean_exp(log_weights)
        assert error < 0.02
        assert abs(value - expected) < 4 * error


@parities
def test_annealing_upwards_underestimates_and_downwards_overestimates(summed):
    machine = exact.make_machine(("bernoulli", "bernoulli"), (4, 3), scale=1.0)
    log_z = exact.log_Z(machine)
    start = log_partition_of_base(machine, machine.par)
    for way, sign in ((up, 1), (down, -1)):
        log_weights = way(
            machine,
            machine.par,
            getattr(machine, summed),
            0,
            n_chains=8000,
            betas=np.array([0.0, 0.5, 1.0]),
        )
        values = start + sign * log_mean_exp(log_weights.reshape(-1, 4))[0]
        error = values.std() / np.sqrt(len(values))
        assert sign * (log_z - values.mean()) > 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*exact.KINDS, "categorical-spin", "count-gaussian"])
@parities
def test_float32_gives_weights_in_float64_near_those_of_float64(kind, summed):
    names, sizes = ALL[kind]
    machine = exact.make_machine(names, sizes)
    single = exact.make_machine(names, sizes, dtype=np.float32)
    betas = np.linspace(0, 1, 200)
    for way in (up, down):
        low = way(single, single.par, getattr(single, summed), 0, n_chains=300, betas=betas)
        high = way(machine, machine.par, getattr(machine, summed), 0, n_chains=300, betas=betas)
        assert low.dtype == high.dtype == np.float64
        value, error, _ = log_mean_exp(low)
        other, other_error, _ = log_mean_exp(high)
        assert abs(value - other) < 4 * np.hypot(error, other_error)


def test_small_steps_add_up_in_more_digits_than_float32_has():
    """Without weights every chain has the same weight on each path: the ratio of the Z."""
    machine = exact.make_machine(("bernoulli", "bernoulli"), (300, 4), scale=0.0)
    machine = machine.map(lambda x: x.astype(np.float32))
    machine.par[0] += 3
    base = [par.astype(np.float32) for par in (machine.par[0] - 3, machine.par[1])]
    start, end = (log_partition_of_base(machine, par) for par in (base, machine.par))
    rng = Stream(0)
    states = independent(machine, base, machine.odd, 5, rng)
    log_weights = anneal(
        machine, base, np.linspace(0, 1, 2000), states, rng, summed=machine.even
    )
    np.testing.assert_allclose(log_weights, end - start, atol=0.01)


@pytest.mark.parametrize("kind", ALL)
def test_equal_seeds_give_equal_weights_and_nothing_given_is_changed(kind):
    machine = exact.make_machine(*ALL[kind])
    base = [par + 0.1 for par in machine.par]
    states = exact.sample(machine, 6, np.random.default_rng(0))
    given = [*machine.arrays(), *base, *states]
    before = [x.copy() for x in given]
    results = [anneal(machine, base, BETAS[::-1], states, Stream(3)) for _ in range(2)]
    np.testing.assert_array_equal(*results)
    assert len(np.unique(results[0])) > 1
    for x, y in zip(given, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_base_rates_are_those_of_the_known_layers_and_else_the_machines_own():
    machine = exact.make_machine(("gaussian", "bernoulli", "bernoulli"), (2, 3, 2))
    mean, var = np.array([0.5, -1.0]), np.array([0.2, 2.0])
    base = base_rates(machine, [mean], [var])
    unit = UNITS["gaussian"]
    np.testing.assert_allclose(unit.mean(base[0][0], base[0]), mean)
    np.testing.assert_allclose(unit.variance(base[0][0], base[0]), var)
    assert base[1] is machine.par[1]
    assert base[2] is machine.par[2]
    upper = np.array([0.1, 0.2, 0.7])
    base = base_rates(machine, [None, upper], [None, upper * (1 - upper)])
    assert base[0] is machine.par[0]
    np.testing.assert_allclose(UNITS["bernoulli"].mean(base[1][0], base[1]), upper)


@pytest.mark.parametrize("names", [*KINDS, *OTHERS], ids="-".join)
def test_independent_states_have_the_moments_of_the_base(names):
    machine = exact.make_machine(names, (3, 2, 2)[: len(names)])
    states = independent(machine, machine.par, machine.odd, 20_000, Stream(0))
    for layer, (x, unit, par) in enumerate(
        zip(states, machine.units, machine.par, strict=True)
    ):
        if layer % 2 == 0:
            assert x is None
            continue
        var = unit.variance(par[:1], par)[0]
        np.testing.assert_array_less(
            np.abs(x.mean(axis=0) - unit.mean(par[:1], par)[0]), 5 * np.sqrt(var / len(x))
        )


@pytest.mark.parametrize(
    "names", [x for x in [*KINDS, *OTHERS] if "gaussian" not in "".join(x)], ids="-".join
)
@pytest.mark.parametrize("known", [True, False])
def test_equilibrated_states_of_all_layers_follow_the_model(names, known):
    machine = exact.make_machine(names, (3, 2, 2)[: len(names)], scale=0.5)
    rng = np.random.default_rng(0)
    states = exact.sample(machine, 20_000, rng)
    if not known:
        states = [np.ones_like(states[0]), *[None] * (len(names) - 1)]
    layers = list(range(len(names)))
    moved = equilibrate(machine, states, 0 if known else 30, Stream(1))
    x = np.concatenate(moved, axis=1)
    table, p = exact.distribution(machine, layers)
    share = exact.counts(table, x) / len(x)
    np.testing.assert_array_less(np.abs(share - p), 5 * np.sqrt(p / len(x)) + 1e-4)


def test_temperatures_are_placed_so_that_the_weights_spread_as_asked():
    machine = exact.make_machine(("bernoulli", "bernoulli"), (60, 30), scale=0.3)
    spreads = []
    for wanted in (0.4, 0.2):
        betas = place_temperatures(machine, machine.par, Stream(0), deviation=wanted)
        assert betas[0] == 0
        assert betas[-1] == 1
        assert np.all(np.diff(betas) > 0)
        spreads.append(up(machine, machine.par, machine.odd, 1, 400, betas).std())
        assert 0.5 * wanted < spreads[-1] < 1.5 * wanted
        assert len(betas) > 50


def test_chains_that_do_not_equilibrate_get_more_temperatures():
    """Neighbouring steps then have errors of one sign, more than their sum of squares."""
    machine = exact.make_machine(("bernoulli", "bernoulli"), (16, 12), scale=0.0)
    machine.W[0][:], machine.par[0][:], machine.par[1][:] = 0.5, -3.0, -4.0
    base = [0 * par for par in machine.par]
    betas = place_temperatures(machine, base, Stream(0), deviation=0.2)
    rng = Stream(5)
    states = independent(machine, base, machine.even, 400, rng)
    steps = np.stack(list(increments(machine, base, betas, states, rng)))
    spread = steps.sum(axis=0).std()
    assert spread > 1.3 * np.sqrt(steps.var(axis=1).sum())
    assert 0.12 < spread < 0.27


def test_temperatures_are_dense_where_the_energy_varies():
    """From units that spread far too widely, nearly all of the change is at the start."""
    machine = exact.make_machine(("gaussian", "bernoulli"), (10, 5), scale=0.1)
    base = [par.copy() for par in machine.par]
    base[0][1] -= 4
    betas = place_temperatures(machine, base, Stream(0), deviation=0.8)
    assert betas[len(betas) // 2] < 0.3
    even = np.linspace(0, 1, len(betas))
    placed, spaced = (
        up(machine, base, machine.odd, 1, 400, way).std() for way in (betas, even)
    )
    assert placed < 0.8 * spaced
    rng = Stream(2)
    states = independent(machine, base, machine.even, 400, rng)
    steps = np.stack(list(increments(machine, base, betas, states, rng)))
    first, *_, last = np.array_split(steps.std(axis=1), 5)
    assert 0.5 < first.mean() / last.mean() < 2


@pytest.mark.parametrize(("fewest", "most"), [(7, 9), (30, 1000)])
def test_the_number_of_temperatures_has_bounds(fewest, most):
    machine = exact.make_machine(("bernoulli", "bernoulli"), (20, 10), scale=1.0)
    betas = place_temperatures(
        machine, machine.par, Stream(0), deviation=1e-3, fewest=fewest, most=most
    )
    assert len(betas) == most
    alone = exact.make_machine(("bernoulli", "bernoulli"), (20, 10), scale=0.0)
    betas = place_temperatures(alone, alone.par, Stream(0), fewest=fewest, most=most)
    np.testing.assert_allclose(betas, np.linspace(0, 1, fewest))
