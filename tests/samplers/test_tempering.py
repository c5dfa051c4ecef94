"""Swaps of states between temperatures: how many, of what, and what they are good for."""

import pickle

import numpy as np
import pytest
from helpers import exact
from helpers.training import make_settings, train
from sklearn.datasets import load_digits

from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import (
    Chains,
    ParallelTempering,
    PersistentContrastiveDivergence,
    TemperedChains,
)
from sklearn_dbn.training import rows_to_record, start
from sklearn_dbn.units import UNITS, UnitMoments

SOME = ["spin-spin", "categorical-bernoulli", "ordinal-gaussian", "bernoulli-ordinal"]
KINDS = exact.KINDS | {kind: exact.FINITE_KINDS[kind] for kind in SOME}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def X():
    return load_digits().data[:60, 16:32] / 16


@pytest.fixture
def rbm():
    return RBMTransformer(
        8, sampler="tempering", n_temperatures=4, n_iter=3, n_chains=5, random_state=0
    )


def two_modes():
    """Eight visible units, most of them on or most of them off; the latter more often."""
    W = np.full((8, 2), 4.0)
    return Machine(
        (UNITS["bernoulli"],) * 2, [np.full((1, 8), -4.1), np.full((1, 2), -16.0)], [W]
    )


def share_on(v):
    return np.mean(v.sum(axis=1) > 4)


@pytest.mark.parametrize("n_sweeps", [30, 60])
def test_chains_that_swap_find_the_other_mode_and_others_do_not(n_sweeps):
    machine, n_chains = two_modes(), 2000
    v, p = exact.distribution(machine, [0])
    expected = p[v.sum(axis=1) > 4].sum()
    assert 0.25 < expected < 0.35
    # The modes are all that there is.
    assert p[abs(v.sum(axis=1) - 4) < 2].sum() < 1e-3
    off = Chains([np.zeros((n_chains, 8)), None])
    stuck, _ = PersistentContrastiveDivergence(n_sweeps).step(machine, off, Stream(0))
    assert share_on(stuck.states[0]) < 0.01
    moved, _ = ParallelTempering(n_sweeps).step(machine, off, Stream(0))
    error = np.sqrt(expected * (1 - expected) / n_chains)
    assert abs(share_on(moved.states[0]) - expected) < 4 * error


@kinds
def test_the_swap_rate_is_that_of_exact_draws(kind):
    machine, n_chains = exact.make_machine(*KINDS[kind]), 50_000
    means = [np.full(x.shape[1], 0.3) for x in machine.par]
    par = [x.copy() for x in machine.par]
    for unit, x, mean in zip(machine.units, par, means, strict=True):
        if unit.name == "gaussian":
            x[0] = mean * np.exp(x[1])
        elif unit.name == "bernoulli":
            x[0] = np.log(mean / (1 - mean))
        else:
            x[0] = unit.independent(UnitMoments(mean, mean))[0]
    base = Machine(machine.units, par, [0 * W for W in machine.W])
    draws = [
        exact.sample(m, n_chains, np.random.default_rng(k))
        for k, m in enumerate((machine, base))
    ]
    even = [{layer: x[layer] for layer in machine.even} for x in draws]
    log = np.array([[exact.log_weight(m, x) for x in even] for m in (machine, base)])
    expected = np.exp(np.minimum(0, log[0, 1] + log[1, 0] - log[0, 0] - log[1, 1])).mean()
    states, hotter = ([x if k % 2 == 0 else None for k, x in enumerate(d)] for d in draws)
    chains = TemperedChains(states, None, Chains(hotter), means)
    _, info = ParallelTempering(3, 2).step(machine, chains, Stream(0))
    assert 0.1 < expected < 0.98
    assert info["swap_rate"] == pytest.approx(expected, abs=0.01)


@kinds
@pytest.mark.parametrize("n_temperatures", [2, 3, 6])
def test_rows_of_all_layers_are_swapped_together(kind, n_temperatures):
    machine, n_chains = exact.make_machine(*KINDS[kind]), 7
    sampler = ParallelTempering(2, n_temperatures)
    chains = sampler.init(machine, n_chains, Stream(0))
    chains, info = sampler.step(machine, chains, Stream(1))
    assert info["swap_rate"] > 0
    states = [np.concatenate(x) for x in zip(chains.states, chains.hotter.states, strict=True)]
    beta = np.repeat(np.linspace(1, 0, n_temperatures), n_chains)[:, None]
    for layer in machine.odd:
        unit, par = machine.units[layer], machine.par[layer]
        var = unit.variance(par[:1], par)[0]
        base = unit.independent(UnitMoments(chains.base_means[layer], var))[0]
        field = (1 - beta) * base + beta * machine.field(layer, states)
        expected = unit.mean(field, par)
        np.testing.assert_allclose(states[layer], expected, rtol=1e-10)


@kinds
def test_training_moves_the_chains_as_a_step_does(kind):
    machine, sampler = exact.make_machine(*KINDS[kind]), ParallelTempering(2, 4)
    chains = sampler.init(machine, 6, Stream(0))
    data = exact.sample(machine, 5, np.random.default_rng(0))
    data = [x if layer % 2 == 0 else None for layer, x in enumerate(data)]
    _, _, moved, info = sampler.phases(machine, data, chains, Stream(1))
    expected, expected_info = sampler.step(machine, chains, Stream(1))
    assert info == expected_info
    for x, y in zip(
        [*moved.states, *moved.hotter.states],
        [*expected.states, *expected.hotter.states],
        strict=True,
    ):
        np.testing.assert_allclose(x, y, rtol=1e-10)


@kinds
def test_float32_stays_float32(kind):
    machine, sampler = exact.make_machine(*KINDS[kind], dtype=np.float32), ParallelTempering()
    chains = sampler.init(machine, 5, Stream(0))
    data = [x if layer % 2 == 0 else None for layer, x in enumerate(chains.states)]
    both, _, chains, _ = sampler.phases(machine, data, chains, Stream(1))
    for x in [*both, *chains.states, *chains.hotter.states, *chains.base_means]:
        assert x.dtype == np.float32


@pytest.mark.parametrize("names", [names for names, _ in exact.PAIRS], ids="-".join)
def test_the_means_at_the_highest_temperature_are_those_of_the_data(names):
    # Columns with means of 0.25, 0.5 and 0.75.
    X = (np.arange(40)[:, None] % 4 < [1, 2, 3]).astype(float)
    units = tuple(UNITS[name] for name in names)
    settings = make_settings(sampler=ParallelTempering(), learning_rate=1e-9, batch_size=40)
    rows = Rows(X, np.ones(40), Columns(units[0]))
    run = start(units, [(3,), (2,)], rows, settings, 5, Stream(0))
    for mean, expected in zip(run.chains.base_means, run.activity, strict=True):
        np.testing.assert_allclose(mean, expected, atol=1e-12)
    before = [np.full(3, 0.5), np.full(2, 0.2)]
    run.chains = run.chains._replace(base_means=before)
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))
    v = rows.means(rows.index)
    states = run.machine.means([1], [v, None])
    # They move by a hundredth of the way to the means of the data.
    if names[0] == "bernoulli":
        moved = run.chains.base_means[0]
        np.testing.assert_allclose(moved, [0.4975, 0.5, 0.5025], atol=1e-6)
    for mean, old, x in zip(run.chains.base_means, before, states, strict=True):
        np.testing.assert_allclose(100 * (mean - old), x.mean(axis=0) - old, atol=1e-4)


def test_the_history_has_a_swap_rate_for_each_pass(rbm, X):
    rates = rbm.fit(X).partial_fit(X).history_["swap_rate"]
    assert len(rates) == rbm.n_iter_ == 4
    assert all(0 < rate < 1 for rate in rates)
    assert len(set(rates)) > 1
    assert "swap_rate" not in rbm.set_params(sampler="pcd").fit(X).history_
    rates = rbm.set_params(sampler="tempering").partial_fit(X).history_["swap_rate"]
    assert np.isnan(rates).tolist() == [True] * 3 + [False]


def test_the_swap_rate_is_the_mean_over_the_steps_of_a_pass():
    class Counted(ParallelTempering):
        rates = []

        def phases(self, *args):
            phases = super().phases(*args)
            self.rates.append(phases.info["swap_rate"])
            return phases

    names, sizes = exact.PAIRS[0]
    units = tuple(UNITS[name] for name in names)
    settings = make_settings(sampler=Counted(2, 3))
    rows = Rows(exact.bits(4), np.ones(16), Columns(units[0]))
    run = start(units, [(n,) for n in sizes], rows, settings, 4, Stream(0))
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))
    assert len(Counted.rates) == 4
    assert run.history["swap_rate"] == [pytest.approx(np.mean(Counted.rates))]


def test_a_pickle_and_a_copy_go_on_as_the_original_does(rbm, X):
    rbm.fit(X)
    run = rbm._run
    before = pickle.dumps(run.chains)
    again = pickle.loads(pickle.dumps(rbm)).partial_fit(X)
    expected = rbm.partial_fit(X)
    assert pickle.dumps(run.chains) == before
    assert np.array_equal(again.components_, expected.components_)
    assert again.history_ == expected.history_


def test_a_copy_is_complete_and_shares_no_memory(rbm, X):
    chains = rbm.fit(X)._run.chains
    copied = rbm._run.copy().chains
    pairs = [(chains.hotter[i], copied.hotter[i]) for i in range(2)]
    pairs += [(chains[i], copied[i]) for i in (0, 1, 3)]
    for states, others in pairs:
        for x, y in zip(states, others, strict=True):
            if x is None:
                assert y is None
                continue
            np.testing.assert_array_equal(x, y)
            assert not np.shares_memory(x, y)


@pytest.mark.parametrize("change", [{"n_temperatures": 2}, {"n_temperatures": 7}])
def test_the_number_of_temperatures_can_change_on_the_way(rbm, X, change):
    rbm.fit(X).set_params(**change).partial_fit(X)
    n_hotter = 5 * (change["n_temperatures"] - 1)
    assert {len(x) for x in rbm._run.chains.hotter.states} == {n_hotter}
    assert {len(x) for x in rbm._run.chains.states} == {5}
    # Samples come from the chains of the model alone.
    assert rbm.sample(3, random_state=0).shape == (3, X.shape[1])


def test_one_temperature_is_too_few(rbm, X):
    with pytest.raises(ValueError, match="n_temperatures"):
        rbm.set_params(n_temperatures=1).fit(X)
