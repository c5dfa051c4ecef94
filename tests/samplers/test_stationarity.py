"""Each kernel must leave the exact distribution of a small machine as it is.

All chains start from independent draws of the enumerated target, so that however slowly a
kernel mixes, a correct one shows the target after any number of sweeps. What is measured is
the distance of 20,000 chains from the target, in units of the distance that as many exact
draws have on average. Correct kernels measure about 1; the wrong ones below, which are run
here as well so that the power of the test is tested too, measure more than 2.
"""

import itertools

import numpy as np
import pytest
from helpers import exact
from helpers.unit_types import undrawn

from sklearn_dbn._random import Stream
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import (
    SAMPLERS,
    Chains,
    ContrastiveDivergence,
    ParallelTempering,
    PersistentContrastiveDivergence,
    TemperedChains,
    _tempering,
    gibbs,
)
from sklearn_dbn.units import UnitMoments

N_CHAINS = 20_000
THRESHOLD = 2.0
# Strong coupling is what gives the test its power; a Gaussian layer bounds it from above,
# as the machine has to have a distribution.
KINDS = {
    "bernoulli-bernoulli": ((5, 3), 1.5),
    "bernoulli-gaussian": ((5, 3), 1.0),
    "gaussian-bernoulli": ((5, 3), 0.8),
    "gaussian-gaussian": ((3, 2), 0.6),
    "bernoulli-bernoulli-bernoulli": ((4, 3, 2), 2.0),
}
# A layer between two others, in all types and depths.
DEEP_SCALES = {
    "bernoulli-gaussian-gaussian": 0.9,
    "gaussian-bernoulli-bernoulli": 0.8,
    "gaussian-gaussian-gaussian": 0.8,
    "bernoulli-bernoulli-bernoulli-bernoulli": 1.2,
    "bernoulli-gaussian-gaussian-gaussian": 1.3,
    "gaussian-bernoulli-bernoulli-bernoulli": 0.8,
    "gaussian-gaussian-gaussian-gaussian": 0.9,
}
DEEP_KINDS = {kind: (exact.DEEP_KINDS[kind][1], scale) for kind, scale in DEEP_SCALES.items()}
# Types with other states than 0 and 1.
FINITE_KINDS = {
    "spin-bernoulli": ((4, 3), 1.0),
    "spin-gaussian": ((4, 2), 0.5),
    "spin-spin": ((4, 3), 0.6),
    "categorical-bernoulli": ((2, 3), 1.5),
    "categorical-gaussian": ((2, 2), 1.0),
    "categorical-spin": ((2, 3), 1.0),
    "ordinal-bernoulli": ((2, 3), 1.2),
    "ordinal-gaussian": ((2, 2), 0.6),
    "ordinal-spin": ((2, 3), 0.8),
    "count-bernoulli": ((2, 3), 1.2),
    "count-gaussian": ((2, 2), 0.6),
    "count-spin": ((2, 3), 0.8),
    "binomial-bernoulli": ((2, 3), 1.2),
    "binomial-gaussian": ((2, 2), 0.6),
    "binomial-spin": ((2, 3), 0.8),
    "bernoulli-categorical": ((4, 2), 1.5),
    "bernoulli-ordinal": ((4, 2), 1.2),
    "categorical+ordinal+bernoulli-bernoulli-bernoulli": ((4, 3, 2), 1.2),
}
# One of each visible and hidden type, and two of them, for what takes longer.
FEW = ["categorical-bernoulli", "categorical+ordinal+bernoulli-bernoulli-bernoulli"]
SOME = [*FEW, "spin-spin", "ordinal-gaussian", "count-spin", "binomial-bernoulli"]
SOME += ["bernoulli-categorical", "bernoulli-ordinal"]


def make_machine(kind, scale=None):
    sizes, usual = (KINDS | DEEP_KINDS | FINITE_KINDS)[kind]
    return exact.make_machine(kind.split("-"), sizes, scale=scale or usual)


def start(machine, n_chains, seed=0):
    """Exact draws of the even layers; the odd ones are unknown, as after a sweep."""
    states = exact.sample(machine, n_chains, np.random.default_rng(seed))
    return [x if layer % 2 == 0 else None for layer, x in enumerate(states)]


def by_gibbs(machine, states, n_sweeps, rng):
    return gibbs(machine, Chains(states), n_sweeps, rng).states


def by_pcd(machine, states, n_sweeps, rng):
    sampler = PersistentContrastiveDivergence(n_sweeps)
    return sampler.step(machine, Chains(states), rng)[0].states


def by_training_with_pcd(machine, states, n_sweeps, rng):
    """As training moves the chains, with the means of the odd layers from sweep to sweep."""
    sampler, chains = PersistentContrastiveDivergence(1), Chains(states)
    data = [None if x is None else x[:10] for x in states]
    for _ in range(n_sweeps):
        both, _, chains, _ = sampler.phases(machine, data, chains, rng)
    return [x[10 : 10 + N_CHAINS] for x in both]


def by_training_with_cd(machine, states, n_sweeps, rng):
    sampler = ContrastiveDivergence(n_sweeps)
    both = sampler.phases(machine, states, Chains(states), rng).states
    return [x[N_CHAINS : 2 * N_CHAINS] for x in both]


def with_hotter_chains(machine, states, seed=2):
    """``states`` beside exact draws at the other temperatures, for means of our own."""
    rng = np.random.default_rng(seed)
    means = [rng.uniform(0.1, 0.7, par.shape[1]) for par in machine.par]
    hotter = [
        start(at_temperature(machine, means, beta), len(states[0]), seed + k)
        for k, beta in enumerate(BETAS[1:])
    ]
    hotter = [None if x[0] is None else np.concatenate(x) for x in zip(*hotter, strict=True)]
    return TemperedChains(states, None, Chains(hotter), means)


def at_temperature(machine, means, beta):
    """The machine of energy (1 - beta) E_base + beta E."""
    par = []
    for unit, end, mean in zip(machine.units, machine.par, means, strict=True):
        base = end.copy()
        if unit.name == "gaussian":
            base[0] = mean * np.exp(end[1])
        elif unit.name == "bernoulli":
            base[0] = np.log(mean / (1 - mean))
        else:
            base[0] = unit.independent(UnitMoments(mean, mean))[0]
        par.append(unit.between(base, end, float(beta)))
    return Machine(machine.units, par, [beta * W for W in machine.W])


def by_tempering(machine, states, n_sweeps, rng):
    sampler = ParallelTempering(n_sweeps, len(BETAS))
    return sampler.step(machine, with_hotter_chains(machine, states), rng)[0].states


def by_training_with_tempering(machine, states, n_sweeps, rng):
    """As training does, but with means at beta = 0 that do not follow the data."""
    sampler, chains = ParallelTempering(1, len(BETAS)), with_hotter_chains(machine, states)
    data, means = [None if x is None else x[:10] for x in states], chains.base_means
    for _ in range(n_sweeps):
        chains = chains._replace(base_means=means)
        both, _, chains, _ = sampler.phases(machine, data, chains, rng)
    return [x[10 : 10 + N_CHAINS] for x in both]


# Three temperatures, so that there are pairs of both parities.
BETAS = np.linspace(1, 0, 3)
# These are also run with wrong machines. All but tempering make equal draws from equal streams,
# by different code.
KERNELS = {
    "gibbs": by_gibbs,
    "pcd": by_pcd,
    "training-pcd": by_training_with_pcd,
    "training-cd": by_training_with_cd,
    "tempering": by_tempering,
}
# Only the test of stationarity runs this one, as nearly all of its code is that of a step.
TRAINING_TEMPERING = {"training-tempering": by_training_with_tempering}


ALL_KERNELS = KERNELS | TRAINING_TEMPERING
WITHOUT_TEMPERING = [kernel for kernel in KERNELS if kernel != "tempering"]


def pairs(*groups):
    """All pairs of kinds and kernels of each group."""
    return pytest.mark.parametrize(
        ("kind", "kernel"),
        [pair for kinds, kernels in groups for pair in itertools.product(kinds, kernels)],
    )


def distance_of_states(machine, layers, states):
    """Total variation from the exact distribution of ``layers``, over its expectation."""
    x = np.concatenate([states[layer] for layer in layers], axis=1)
    table, p = exact.distribution(machine, layers)
    observed = exact.counts(table, x) / len(x)
    floor = np.sqrt(2 * p * (1 - p) / (np.pi * len(x)))
    return np.abs(observed - p).sum() / floor.sum()


def distance_of_moments(machine, layers, states):
    """Mean absolute error of the first and second moments, over its expectation."""
    mean, covariance = exact.moments(machine, layers)
    x = np.concatenate([states[layer] for layer in layers], axis=1)
    z = np.linalg.solve(np.linalg.cholesky(covariance), (x - mean).T)
    n, dim = z.shape[1], len(z)
    first = z.mean(axis=1)
    second = (z @ z.T / n - np.eye(dim)) / np.sqrt(1 + np.eye(dim))
    errors = np.concatenate([first, second[np.triu_indices(dim)]])
    return np.abs(errors).mean() / np.sqrt(2 / (np.pi * n))


def distance(kernel, machine, moved_by, n_sweeps, seed=0, states=None):
    """How far from the distribution of ``machine`` the kernel of ``moved_by`` leads."""
    states, rng = states or start(machine, N_CHAINS, seed), Stream(seed + 1)
    states = kernel(moved_by, states, n_sweeps, rng)
    layers = list(machine.even)
    if machine.units[0].name == "gaussian" != machine.units[1].name:
        states = machine.sample(machine.odd, states, rng)
        layers = range(len(machine.units))
    real = [i for i in layers if machine.units[i].name == "gaussian"]
    listed = [i for i in layers if i not in real]
    found = [distance_of_moments(machine, real, states)] if real else []
    return max(found + ([distance_of_states(machine, listed, states)] if listed else []))


@pytest.mark.parametrize("kind", KINDS)
def test_exact_draws_are_about_one_unit_away(kind):
    machine = make_machine(kind)
    start_again = [distance(by_gibbs, machine, machine, 0, seed) for seed in range(5)]
    assert 0.6 < np.mean(start_again) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("n_sweeps", [1, 4, 16])
@pytest.mark.parametrize("kernel", ALL_KERNELS)
@pytest.mark.parametrize("kind", [*KINDS, *DEEP_KINDS])
def test_the_exact_distribution_is_stationary(kind, kernel, n_sweeps):
    machine = make_machine(kind)
    assert distance(ALL_KERNELS[kernel], machine, machine, n_sweeps) < THRESHOLD


@pytest.mark.slow
@pairs((FINITE_KINDS, WITHOUT_TEMPERING), (SOME, ["tempering", "training-tempering"]))
def test_the_exact_distribution_of_other_types_is_stationary(kind, kernel):
    machine = make_machine(kind)
    assert distance(ALL_KERNELS[kernel], machine, machine, 6) < THRESHOLD


@pytest.mark.slow
@pairs((KINDS, KERNELS), (SOME, ["gibbs"]), (FEW, ["tempering"]))
def test_chains_from_any_start_reach_the_exact_distribution(kind, kernel):
    machine = make_machine(kind, 0.3)
    exact_draws = start(machine, N_CHAINS)
    far = [x if x is None else np.repeat(x[:1], N_CHAINS, axis=0) for x in exact_draws]
    assert distance(KERNELS[kernel], machine, machine, 30, states=far) < THRESHOLD


@pytest.mark.parametrize("sampler", SAMPLERS.values())
@pytest.mark.parametrize("kind", [*KINDS, *SOME])
def test_chains_begin_as_units_without_neighbours(kind, sampler):
    machine = make_machine(kind)
    alone = Machine(machine.units, machine.par, [0 * W for W in machine.W])
    states = sampler(1).init(machine, N_CHAINS, Stream(0)).states
    assert distance(by_gibbs, alone, alone, 0, states=states) < THRESHOLD


@pytest.mark.parametrize("sampler", SAMPLERS.values())
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_makes_all_its_sweeps(kind, sampler):
    machine = make_machine(kind)
    once, thrice = sampler(1), sampler(3)
    chains, rng = thrice.init(machine, 50, Stream(0)), Stream(1)
    expected = thrice.step(machine, chains, Stream(1))[0]
    for _ in range(3):
        chains, _ = once.step(machine, chains, rng)
    for layer in machine.even:
        np.testing.assert_array_equal(chains.states[layer], expected.states[layer])


@pytest.mark.parametrize("sampler", SAMPLERS.values())
@pytest.mark.parametrize("kind", [*KINDS, *SOME])
def test_phases_hold_the_data_first_and_the_means_of_the_odd_layers(kind, sampler):
    machine, sampler = make_machine(kind), sampler(1)
    data = [x if x is None else x[:7] for x in start(machine, 7)]
    before = [x if x is None else x.copy() for x in data]
    chains = sampler.init(machine, 11, Stream(0))
    states, fields, chains, _ = sampler.phases(machine, data, chains, Stream(1))
    for layer in machine.even:
        np.testing.assert_array_equal(states[layer][:7], before[layer])
        np.testing.assert_array_equal(data[layer], before[layer])
        n_rows = len(chains.states[layer])
        np.testing.assert_array_equal(states[layer][7 : 7 + n_rows], chains.states[layer])
        assert not states[layer][7 + n_rows :].any()
        assert len(states[layer]) >= 7 + n_rows + 2
        assert not np.array_equal(states[layer][7:14], before[layer])
    for layer in machine.odd:
        expected = machine.means([layer], states)[layer]
        np.testing.assert_allclose(
            states[layer][: 7 + n_rows], expected[: 7 + n_rows], rtol=1e-12
        )
        given = machine.field(layer, states)
        np.testing.assert_allclose(fields[layer][: 7 + n_rows], given[: 7 + n_rows], rtol=1e-12)


def stronger(factor):
    def mutate(machine):
        return Machine(machine.units, machine.par, [factor * W for W in machine.W])

    return mutate


def biased(layer):
    def mutate(machine):
        machine = machine.copy()
        n = machine.par[layer].shape[1]
        step = np.full(n, 0.4)
        for columns, _ in machine.units[layer].states(n):
            # The same for all levels of a variable would change nothing.
            step[columns[1:]] = 0
        machine.par[layer][0] += step
        return machine

    return mutate


def hidden_undrawn(machine):
    units = list(machine.units)
    units[1] = undrawn(units[1])
    return Machine(tuple(units), machine.par, machine.W)


def noisier(machine):
    machine = machine.copy()
    for unit, par in zip(machine.units, machine.par, strict=True):
        if unit.name == "gaussian":
            par[1] -= 0.2
    return machine


def less_middling(machine):
    """Base measures that are changed where the bias could not make the same change."""
    machine = machine.copy()
    for unit, par in zip(machine.units, machine.par, strict=True):
        for block, at in exact.blocks_of(unit, par.shape[1]):
            if block.name in ("ordinal", "count"):
                par[2, at] -= 1.0
    return machine


MUTANTS = {
    "weights 10 % too large": stronger(1.1),
    "weights 30 % too large": stronger(1.3),
    "visible biases too large": biased(0),
    "hidden biases too large": biased(1),
    "hidden means for states": hidden_undrawn,
    "variances 20 % too large": noisier,
    "middle levels too rare": less_middling,
}


def mutants_of(kind):
    """Those that change the machine."""
    for mutant, mutate in MUTANTS.items():
        machine = make_machine(kind)
        before = machine.units, machine.copy()
        wrong = mutate(machine)
        same = zip(wrong.arrays(), before[1].arrays(), strict=True)
        if wrong.units != before[0] or any(np.any(x != y) for x, y in same):
            yield mutant


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kernel", "mutant"),
    [
        (kind, kernel, mutant)
        for kinds, kernels in (
            ([*KINDS, *DEEP_KINDS], KERNELS),
            (SOME, ["gibbs"]),
            (FEW, ["tempering"]),
        )
        for kind in kinds
        for kernel in kernels
        for mutant in mutants_of(kind)
    ],
)
def test_a_wrong_kernel_is_detected(kind, kernel, mutant):
    machine, n_sweeps = make_machine(kind), 6 if kind in FINITE_KINDS else 16
    assert distance(KERNELS[kernel], machine, MUTANTS[mutant](machine), n_sweeps) > THRESHOLD


@pytest.mark.parametrize("kind", [*KINDS, *SOME])
def test_the_distribution_at_each_temperature_is_stationary(kind):
    machine = make_machine(kind)
    chains = with_hotter_chains(machine, start(machine, N_CHAINS))
    moved, _ = ParallelTempering(4, len(BETAS)).step(machine, chains, Stream(1))
    for k, beta in enumerate(BETAS[1:]):
        rows = slice(k * N_CHAINS, (k + 1) * N_CHAINS)
        states = [
            x[rows] if layer % 2 == 0 else None for layer, x in enumerate(moved.hotter.states)
        ]
        cooled = at_temperature(machine, chains.base_means, beta)
        assert distance(by_gibbs, cooled, cooled, 0, states=states) < THRESHOLD


class SwappedTheWrongWay(_tempering._Path):
    """Accepts what makes the states less likely."""

    def log_weight(self, *args):
        return -super().log_weight(*args)


class BlindToTheBiases(_tempering._Path):
    """Takes all temperatures to differ in the odd layers alone."""

    def log_weight(self, states, *args):
        return super().log_weight([x if x is None else 0 * x for x in states], *args)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [SwappedTheWrongWay, BlindToTheBiases])
@pytest.mark.parametrize("kind", [*KINDS, *FEW])
def test_a_wrong_swap_is_detected(kind, wrong, monkeypatch):
    machine = make_machine(kind)
    monkeypatch.setattr(_tempering, "_Path", wrong)
    assert distance(by_tempering, machine, machine, 16) > THRESHOLD


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 2])
def test_a_swap_that_omits_a_layer_is_detected(left, monkeypatch):
    # The sweeps repair it, so what the last swap breaks has to be large.
    machine = exact.make_machine(("bernoulli",) * 3, (2, 3, 2), scale=3.0)
    assert distance(by_tempering, machine, machine, 16) < THRESHOLD
    taken = _tempering._rows_in_order

    def taken_but_one(states, order):
        moved = taken(states, order)
        moved[left] = states[left]
        return moved

    monkeypatch.setattr(_tempering, "_rows_in_order", taken_but_one)
    assert distance(by_tempering, machine, machine, 16) > THRESHOLD
