"""The method that ``log_partition`` takes, and its warnings."""

import warnings

import numpy as np
import pytest
from helpers import exact

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import (
    _partition,
    base_rates,
    exact_log_partition,
    log_mean_exp,
    log_partition,
)

BINARY = ("bernoulli", "bernoulli")
KINDS = exact.KINDS | exact.DEEP_KINDS | exact.FINITE_KINDS


def states_of(machine, n=60):
    return exact.sample(machine, n, np.random.default_rng(0))


@pytest.mark.parametrize("kind", exact.KINDS | exact.FINITE_KINDS)
def test_small_machines_are_summed(kind):
    machine = exact.make_machine(*KINDS[kind])
    result = log_partition(machine, rng=Stream(0))
    assert result.method == "exact"
    assert result.value == pytest.approx(exact.log_Z(machine))
    assert result.standard_error == 0
    assert result.interval == (result.value, result.value)
    assert result.forward is None
    assert result.reverse is None


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_agree_and_the_interval_covers_the_exact_value(kind):
    machine = exact.make_machine(*KINDS[kind])
    rng = Stream(0)
    result = log_partition(machine, method="ais", rng=rng, states=states_of(machine))
    forward, reverse = result.forward, result.reverse
    assert result.method == "ais"
    assert forward.n_chains == 100
    assert reverse.n_chains == 60
    for way in (forward, reverse):
        assert 0.5 * way.n_chains < way.effective_size <= way.n_chains + 1e-9
        assert result.interval[0] <= way.value - 3 * way.standard_error
        assert result.interval[1] >= way.value + 3 * way.standard_error
    assert result.value == pytest.approx((forward.value + reverse.value) / 2)
    error = np.hypot(forward.standard_error, reverse.standard_error) / 2
    assert result.standard_error == pytest.approx(error)
    assert result.interval[0] < exact.log_Z(machine) < result.interval[1]


def test_two_estimates_are_averaged_and_their_errors_added_in_quadrature(monkeypatch):
    # Weights of mean 1 and standard deviation 0.2, and the same around the factor e^2.
    noise = np.log(np.tile([0.8, 1.2], 50))
    weights = iter([noise, noise - 2])
    monkeypatch.setattr(_partition, "anneal", lambda *args: next(weights))
    machine = exact.make_machine(BINARY, (5, 4), scale=0.0)
    options = {"method": "ais", "rng": Stream(0), "states": states_of(machine), "betas": 5}
    with pytest.warns(RuntimeWarning, match="by forward and"):
        result = log_partition(machine, **options)
    # Without weights the base has the partition function of the machine.
    assert result.value == pytest.approx(exact.log_Z(machine) + 1)
    assert result.forward.standard_error == pytest.approx(0.02, rel=0.01)
    assert result.standard_error == pytest.approx(0.02 / 2**0.5, rel=0.01)


def test_from_twenty_one_units_on_auto_anneals_and_exact_still_sums():
    small = exact.make_machine(BINARY, (22, 20), scale=0.2)
    large = exact.make_machine(BINARY, (21, 21), scale=0.2)
    assert log_partition(small, rng=Stream(0)).method == "exact"
    result = log_partition(large, rng=Stream(0), states=[np.ones((100, 21)), None])
    assert result.method == "ais"
    summed = log_partition(large, method="exact", rng=Stream(0))
    assert summed.method == "exact"
    assert summed.value == exact_log_partition(large)
    assert result.interval[0] < summed.value < result.interval[1]


def test_without_states_annealing_runs_upwards_only():
    machine = exact.make_machine(BINARY, (5, 4))
    result = log_partition(machine, method="ais", rng=Stream(0), betas=30)
    assert result.reverse is None
    assert result.value == result.forward.value
    assert result.standard_error == result.forward.standard_error
    low, high = result.interval
    assert (low + high) / 2 == pytest.approx(result.value)
    assert high - low == pytest.approx(6 * result.standard_error)


@pytest.mark.parametrize("summed", ["odd", "even"])
def test_layers_to_sum_out_and_a_base_can_be_given(summed):
    machine = exact.make_machine(("bernoulli", "bernoulli", "bernoulli"), (4, 3, 2))
    mean = np.full(4, 0.4)
    base = base_rates(machine, [mean], [mean * (1 - mean)])
    result = log_partition(
        machine,
        base,
        "ais",
        rng=Stream(0),
        # The upper layer is not known, as beside rows of data.
        states=[states_of(machine)[0], None, None],
        betas=np.linspace(0, 1, 40) ** 2,
        summed=getattr(machine, summed),
    )
    assert result.interval[0] < exact.log_Z(machine) < result.interval[1]


def two_wells(depth, tilt):
    """Nearly all units on, or nearly all off as in the base; ``tilt`` prefers the former."""
    machine = exact.make_machine(BINARY, (8, 6), scale=0.0)
    machine.W[0][:] = depth
    machine.par[0][:] = -depth * 6 / 2
    machine.par[1][:] = -depth * 8 / 2
    machine.par[0][0, 0] += tilt
    return machine


def test_directions_that_disagree_give_a_warning_and_the_interval_covers_both():
    machine, states = two_wells(1.5, 3), [np.ones((100, 8)), None]
    with pytest.warns(RuntimeWarning, match=r"by forward .* by reverse .* more temperatures"):
        result = log_partition(machine, method="ais", rng=Stream(0), states=states, betas=30)
    assert result.forward.value < exact.log_Z(machine) - 2
    assert result.interval[0] < result.forward.value < result.interval[1]
    assert result.interval[0] < result.reverse.value < result.interval[1]
    assert result.interval[0] < exact.log_Z(machine) < result.interval[1]


@pytest.mark.parametrize("noisy", [0, 1])
@pytest.mark.parametrize("of_the_limit", [0.9, 1.1])
def test_the_limit_is_three_standard_errors_of_both_and_a_little(
    monkeypatch, noisy, of_the_limit
):
    noise = np.log(np.tile([0.8, 1.2], 50))
    value, error, _ = log_mean_exp(noise)
    apart = of_the_limit * (3 * float(error) + 0.05)
    weights = [np.zeros(100), np.full(100, apart)]
    weights[noisy] = weights[noisy] + noise - value
    results = iter(weights)
    monkeypatch.setattr(_partition, "anneal", lambda *args: next(results))
    machine = exact.make_machine(BINARY, (5, 4))

    def run():
        return log_partition(
            machine, method="ais", rng=Stream(0), states=states_of(machine), betas=5
        )

    if of_the_limit < 1:
        result = run()
    else:
        with pytest.warns(RuntimeWarning, match="by forward and"):
            result = run()
    assert result.reverse.value - result.forward.value == pytest.approx(-apart)


def test_states_are_swept_before_they_are_used():
    machine, unlikely = two_wells(0.4, 2), [np.zeros((100, 8)), None]

    def reverse(n_sweeps):
        return log_partition(
            machine,
            method="ais",
            rng=Stream(0),
            states=unlikely,
            betas=30,
            n_sweeps=n_sweeps,
        ).reverse

    with pytest.warns(RuntimeWarning, match="more sweeps"):
        started = reverse(0)
    swept = reverse(20)
    log_z = exact.log_Z(machine)
    assert abs(started.value - log_z) > 6 * started.standard_error
    assert abs(swept.value - log_z) < 3 * swept.standard_error


def test_directions_that_agree_give_no_warning():
    machine = exact.make_machine(BINARY, (5, 4))
    for seed in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            log_partition(
                machine, method="ais", rng=Stream(seed), states=states_of(machine), betas=20
            )


def test_equal_seeds_give_equal_results():
    machine = exact.make_machine(BINARY, (5, 4))
    first, second, other = (
        log_partition(machine, method="ais", rng=Stream(seed), states=states_of(machine))
        for seed in (0, 0, 1)
    )
    assert first == second
    assert first.value != other.value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "annealing"}, "method='annealing' is unknown; use one of auto, exact, ais"),
        ({"betas": "many"}, "betas='many' is unknown"),
        ({"betas": 1}, "betas=1 is too few"),
        ({"betas": [0, 0.5]}, "betas must rise from 0 to 1"),
        ({"betas": [1, 0.5, 0]}, "betas must rise from 0 to 1"),
        ({"betas": [0, 0.7, 0.5, 1]}, "betas must rise from 0 to 1"),
        ({"betas": [0, np.nan, 1]}, "betas must rise from 0 to 1"),
        ({"betas": [[0, 1]]}, "betas must rise from 0 to 1"),
    ],
)
def test_invalid_arguments_are_refused(given, message):
    machine = exact.make_machine(BINARY, (5, 4))
    with pytest.raises(ValueError, match=message):
        log_partition(machine, **{"method": "ais", "rng": Stream(0)} | given)


@pytest.mark.parametrize("loud", [0, 1])
def test_the_layers_that_leave_less_variance_are_summed_out(loud, monkeypatch):
    machine = exact.make_machine(("bernoulli",) * 3, (4, 4, 3))
    runs = []

    def annealed(machine, base, betas, chains, rng, summed):
        runs.append((len(betas), list(summed)))
        return np.random.default_rng(0).normal(size=50) * (1 + (summed[0] == loud))

    monkeypatch.setattr(_partition, "anneal", annealed)
    log_partition(machine, method="ais", betas=7, rng=Stream(0))
    assert runs[:2] == [(100, [1]), (100, [0, 2])]
    assert runs[2:] == [(7, [0, 2] if loud else [1])]


def test_with_one_hidden_layer_it_is_the_hidden_one(monkeypatch):
    runs, original = [], _partition.anneal

    def annealed(*args):
        runs.append(list(args[-1]))
        return original(*args)

    monkeypatch.setattr(_partition, "anneal", annealed)
    log_partition(exact.make_machine(BINARY, (4, 3)), method="ais", betas=7, rng=Stream(0))
    assert runs == [[1]]
