import numpy as np
import pytest
from helpers import exact
from helpers.training import make_settings, train

from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.optim import MomentumAscent, Sparsity
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training import Diverged, rows_to_record, start
from sklearn_dbn.training._run import observe
from sklearn_dbn.units import UNITS, Blocks

RBM_KINDS = ["-".join(names) for names, _ in exact.PAIRS]
kinds = pytest.mark.parametrize("kind", exact.KINDS)
rbms = pytest.mark.parametrize("kind", RBM_KINDS)


def make_run(kind, X, weight=None, **changes):
    names, sizes = exact.KINDS[kind]
    units = tuple(UNITS[name] for name in names)
    rows = Rows(X, np.ones(len(X)) if weight is None else weight, Columns(units[0]))
    settings = make_settings(**changes)
    return start(units, [(n,) for n in sizes], rows, settings, 20, Stream(0)), rows, settings


def data_of(kind, n_rows=40, seed=1):
    """Rows whose columns depend on one another: two noisy patterns, or a narrow normal."""
    rng = np.random.default_rng(seed)
    if kind.startswith("gaussian"):
        return rng.normal(size=(n_rows, 1)) * [1.0, 2.0] + 0.5 * rng.normal(size=(n_rows, 2))
    patterns = np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[rng.integers(2, size=n_rows)]
    return (patterns ^ (rng.uniform(size=patterns.shape) < 0.1)).astype(float)


@kinds
def test_initial_means_are_a_fixed_point_of_all_layers(kind):
    X = data_of(kind)
    run, _, _ = make_run(kind, X)
    states = [mean[None, :] for mean in run.activity]
    for layer, unit in enumerate(run.machine.units):
        mean = unit.mean(run.machine.field(layer, states), run.machine.par[layer])
        np.testing.assert_allclose(mean, states[layer], atol=1e-12)
        if layer > 0:
            neutral = {"bernoulli": 0.5, "gaussian": 0.0}[unit.name]
            np.testing.assert_allclose(mean, neutral, atol=1e-12)
    expected = 0 if run.columns.scale is not None else X.mean(axis=0)
    np.testing.assert_allclose(run.activity[0], expected, atol=1e-12)


def test_initial_fields_of_hidden_units_have_standard_deviation_one():
    X = (np.random.default_rng(0).uniform(size=(500, 60)) < 0.5).astype(float)
    units = (UNITS["bernoulli"],) * 2
    rows, settings = Rows(X, np.ones(500), Columns(units[0])), make_settings()
    run = start(units, [(60,), (400,)], rows, settings, 5, Stream(0))
    field = run.machine.field(1, [X, None])
    assert np.sqrt(np.mean(field**2)) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("sampler", SAMPLERS)
@rbms
def test_training_raises_the_exact_likelihood(kind, sampler):
    X = data_of(kind, 60)
    changes = {"sampler": SAMPLERS[sampler](1), "learning_rate": 0.1}
    run, rows, settings = make_run(kind, X, **changes)
    before = exact.log_p(run.result(), X).mean()
    for _ in train(run, rows, settings, 30, rows_to_record(run, rows)):
        pass
    assert exact.log_p(run.result(), X).mean() > before + 0.1


@rbms
def test_the_average_with_averaging_one_is_the_mean_over_all_passes(kind):
    run, rows, settings = make_run(kind, data_of(kind), averaging_fraction=1.0)
    passes = [
        run.machine.copy().arrays()
        for _ in train(run, rows, settings, 4, rows_to_record(run, rows))
    ]
    for average, *values in zip(run.average.arrays(), *passes, strict=True):
        np.testing.assert_allclose(average, np.mean(values, axis=0), atol=1e-12)


def test_the_average_with_little_averaging_is_the_last_pass():
    kind = RBM_KINDS[0]
    run, rows, settings = make_run(kind, data_of(kind), averaging_fraction=1e-12)
    for _ in train(run, rows, settings, 3, rows_to_record(run, rows)):
        pass
    for x, y in zip(run.average.arrays(), run.machine.arrays(), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in RBM_KINDS if kind.startswith("gaussian")])
def test_rescaled_columns_give_the_same_density(kind):
    X = data_of(kind)
    scale, shift = np.array([10.0, 0.01]), np.array([-3.0, 5.0])

    def fit(X):
        run, rows, settings = make_run(kind, X)
        for _ in train(run, rows, settings, 3, rows_to_record(run, rows)):
            pass
        return run.result()

    np.testing.assert_allclose(
        exact.log_p(fit(X * scale + shift), X * scale + shift),
        exact.log_p(fit(X), X) - np.log(scale).sum(),
        rtol=1e-6,
    )


@rbms
def test_observing_new_rows_leaves_the_distribution(kind):
    X, other = data_of(kind), data_of(kind, seed=2)
    run, rows, settings = make_run(kind, X)
    for _ in train(run, rows, settings, 2, rows_to_record(run, rows)):
        pass
    expected = exact.log_p(run.result(), X)

    def moving():
        columns = run.columns
        if columns.scale is None:
            return run.machine
        return run.machine.rescale(columns.shift, columns.scale)

    expected_moving = exact.log_p(moving(), X)
    observe(run, Rows(other, np.ones(len(other)), Columns(run.machine.units[0])))
    np.testing.assert_allclose(exact.log_p(run.result(), X), expected)
    np.testing.assert_allclose(exact.log_p(moving(), X), expected_moving)
    both = np.concatenate([X, other])
    if run.columns.scale is None:
        np.testing.assert_allclose(run.activity[0], both.mean(axis=0))
    else:
        np.testing.assert_allclose(run.columns.shift, both.mean(axis=0))
        np.testing.assert_allclose(run.columns.scale, both.std(axis=0))


def test_moving_averages_of_the_hidden_means_follow_the_data():
    kind = RBM_KINDS[0]
    X = np.repeat(np.array([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]), [9, 1], axis=0)
    run, rows, settings = make_run(kind, X, learning_rate=1e-9, batch_size=10)
    target = run.machine.means([1], [X, None])[1].mean(axis=0)
    for _ in train(run, rows, settings, 1, rows_to_record(run, rows)):
        pass
    share = (run.activity[1] - 0.5) / (target - 0.5)
    np.testing.assert_allclose(share, 0.01, rtol=1e-6)
    for _ in train(run, rows, settings, 500, rows_to_record(run, rows)):
        pass
    np.testing.assert_allclose(run.activity[1], target, atol=0.01)


@pytest.mark.parametrize("kind", ["bernoulli-gaussian", "gaussian-gaussian"])
def test_real_valued_hidden_units_keep_their_variance(kind):
    run, rows, settings = make_run(kind, data_of(kind))
    for _ in train(run, rows, settings, 3, rows_to_record(run, rows)):
        pass
    np.testing.assert_array_equal(run.result().par[1][1], 0)


def test_sparsity_brings_the_mean_activity_near_its_target():
    kind = RBM_KINDS[0]
    X = data_of(kind, 50)
    activities = []
    for sparsity in (None, Sparsity(0.1, 2.0)):
        run, rows, settings = make_run(kind, X, sparsity=sparsity)
        for _ in train(run, rows, settings, 100, rows_to_record(run, rows)):
            pass
        activities.append(run.machine.means([1], [X, None])[1].mean(axis=0))
    free, pushed = np.abs(np.array(activities) - 0.1)
    assert pushed.mean() < free.mean() / 2


@pytest.mark.parametrize(("n_columns", "expected"), [(10, 0.1), (60, 1 / 15), (200, 0.02)])
def test_the_automatic_learning_rate_is_one_over_the_spread_of_the_data(n_columns, expected):
    # Half of the rows of each column are 1, so that its variance is a quarter.
    X = np.repeat([0.0, 1.0], 150)[:, None] * np.ones(n_columns)
    X = np.random.default_rng(0).permuted(X, axis=0)
    units, weight = (UNITS["bernoulli"],) * 2, np.ones(300)
    settings = make_settings(learning_rate=None)
    run = start(
        units, [(n_columns,), (3,)], Rows(X, weight, Columns(units[0])), settings, 5, Stream(0)
    )
    # At most 0.1, so that a few columns do not make for long steps.
    assert run.rate(settings) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("real", "hidden", "n_sweeps", "factor"),
    [
        (0, "bernoulli", 1, 10.0),
        (0, "gaussian", 2, 0.5),
        (0, "spin", 1, 1.0),
        (1, "bernoulli", 1, 1.0),
        (1, "bernoulli", 5, 0.2),
    ],
)
def test_the_automatic_rate_of_levels_falls_with_the_sweeps(real, hidden, n_sweeps, factor):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (300, 12)).astype(float)
    unit = UNITS["ordinal"].fitted([np.full(4, 0.25)] * (12 - real))
    if real:
        X[:, 0] = rng.standard_normal(300)
        unit = Blocks([UNITS["gaussian"], unit], [[0], range(1, 12)])
    settings = make_settings(
        sampler=SAMPLERS["pcd"](n_sweeps), learning_rate=None, batch_size=50
    )
    rows = Rows(X, np.ones(300), Columns(unit))
    run = start((unit, UNITS[hidden]), [(12,), (3,)], rows, settings, 5, Stream(0))
    # Each column has the variance 1.
    assert run.limits[0].spread == pytest.approx(12, rel=0.05)
    assert run.rate(settings) == pytest.approx(factor / run.limits[0].spread)


@rbms
def test_training_a_copy_leaves_the_original_unchanged(kind):
    run, rows, settings = make_run(kind, data_of(kind), update=MomentumAscent(0.5))
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))

    def everything(run):
        velocity, moments = run.velocity.arrays(), [run.moments.mean, run.moments.var]
        machines = [*run.machine.arrays(), *run.average.arrays()]
        return [*machines, *velocity, *moments, *run.activity, *run.chains.states]

    before = [x.copy() for x in everything(run)]
    first, second = run.copy(), run.copy()
    next(train(first, rows, settings, 1, rows_to_record(first, rows)))
    observe(first, Rows(data_of(kind, seed=2), np.ones(40), Columns(run.machine.units[0])))
    for x, y in zip(everything(run), before, strict=True):
        np.testing.assert_array_equal(x, y)
    assert run.n_passes == len(run.history["weight_norm"]) == 1
    rows.presented = rows.presented.standardise(run.columns.shift, run.columns.scale)
    next(train(second, rows, settings, 1, rows_to_record(second, rows)))
    assert second.history == first.history


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_training_that_leaves_the_range_of_the_dtype_is_reported():
    kind = RBM_KINDS[0]
    run, rows, settings = make_run(kind, data_of(kind), learning_rate=1e308)
    with pytest.raises(Diverged):
        list(train(run, rows, settings, 5, rows_to_record(run, rows)))


@rbms
def test_each_pass_adds_one_record_to_the_history(kind):
    run, rows, settings = make_run(kind, data_of(kind))
    held_out = rows.hold_out(0.2, run.rng)
    for n_passes, _ in enumerate(
        train(run, rows, settings, 3, rows_to_record(run, rows, held_out)), start=1
    ):
        assert run.n_passes == n_passes
        assert {len(values) for values in run.history.values()} == {n_passes}
    assert "free_energy_gap" in run.history
    W = run.average.W[0]
    assert run.history["weight_norm"][-1] == pytest.approx(np.linalg.norm(W))


def test_free_energy_gap_is_the_difference_of_the_likelihoods_of_training_and_held_out_rows():
    kind = RBM_KINDS[0]
    X = data_of(kind, 30)
    run, rows, settings = make_run(kind, X)
    held_out = rows.hold_out(0.3, run.rng)
    for _ in train(run, rows, settings, 2, rows_to_record(run, rows, held_out)):
        pass
    log_p = exact.log_p(run.average, X)
    gap = log_p[rows.index].mean() - log_p[held_out].mean()
    assert run.history["free_energy_gap"][-1] == pytest.approx(gap)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_step_of_any_sampler_reports_is_in_the_history(name):
    class Reporting(SAMPLERS[name]):
        steps = []

        def step(self, machine, chains, rng):
            chains, info = super().step(machine, chains, rng)
            self.steps.append(float(len(self.steps)))
            return chains, info | {"steps_before": self.steps[-1]}

        def _move(self, *args):
            data, chains, info = super()._move(*args)
            self.steps.append(float(len(self.steps)))
            return data, chains, info | {"steps_before": self.steps[-1]}

    X = data_of("bernoulli-bernoulli", 20)
    units = (UNITS["bernoulli"],) * 2
    rows = Rows(X, np.ones(20), Columns(units[0]))
    settings = make_settings(sampler=Reporting(1), batch_size=5)
    run = start(units, [(4,), (3,)], rows, settings, 5, Stream(0))
    for _ in train(run, rows, settings, 2, rows_to_record(run, rows)):
        pass
    assert Reporting.steps == [float(i) for i in range(8)]
    assert run.history["steps_before"] == [1.5, 5.5]
