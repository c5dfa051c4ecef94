"""DBMTransformer: several layers that are trained and inferred together."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import exact
from helpers.training import FixedChains, make_settings, train
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_dbn.estimators._stack as _stack
from sklearn_dbn import DBMTransformer, RBMTransformer
from sklearn_dbn._random import Stream, layer_seed
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.machine import mean_field_sweeps
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training import drive, rows_to_record, start
from sklearn_dbn.units import UNITS

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
X, y = DIGITS[:120], LABELS[:120]
RBM = RBMTransformer(n_iter=2)


@pytest.fixture
def dbm():
    return DBMTransformer((7, 6, 5), rbm=RBM, layers="all", random_state=0)


@pytest.fixture
def made(monkeypatch):
    """The runs that a fit trains, one after the other."""
    runs = []

    def watching(run, *args, **options):
        runs.append(run)
        return drive(run, *args, **options)

    for module in ("_dbm", "_pretraining"):
        monkeypatch.setattr(f"sklearn_dbn.estimators.{module}.drive", watching)
    return runs


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def two_patterns(n_rows=80, seed=0):
    """Bits of four columns that depend on one another."""
    rng = np.random.default_rng(seed)
    patterns = np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[rng.integers(2, size=n_rows)]
    return (patterns ^ (rng.uniform(size=patterns.shape) < 0.1)).astype(float)


def small_dbm(n_layers, n_iter=60, **changes):
    """A fitted machine with few enough units to sum over all states of."""
    rbm = RBMTransformer(n_iter=n_iter, learning_rate=0.1, weight_decay=0, n_gibbs_steps=5)
    sizes = (3, 3, 2)[:n_layers]
    dbm = DBMTransformer(sizes, rbm=rbm, pretrain=None, random_state=0)
    dbm.set_params(**changes)
    return dbm.fit(two_patterns())


def steep_dbm(n_layers):
    """One whose layers are strongly coupled."""
    dbm = small_dbm(n_layers)
    for W in dbm._machine.W[1:]:
        W[...] = 2.5 * np.sign(W)
    return dbm


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "template",
    [
        RBMTransformer(n_iter=3),
        RBMTransformer(n_iter=2, visible="gaussian", momentum=0.5, sampler="cd"),
        RBMTransformer(n_iter=2, hidden="gaussian", sampler="tempering", n_temperatures=3),
        RBMTransformer(n_iter=2, validation_fraction=0.2, sparsity_target=0.1),
    ],
    ids=str,
)
def test_with_one_hidden_layer_it_is_the_rbm(template, call):
    rbm = clone(template).set_params(n_components=9, random_state=3)
    dbm = DBMTransformer(9, rbm=template, random_state=3)
    for model in (rbm, dbm):
        getattr(model, call)(X)
    assert np.array_equal(dbm.weights_[0].T, rbm.components_)
    assert np.array_equal(dbm.intercepts_[0], rbm.intercept_visible_)
    assert np.array_equal(dbm.intercepts_[1], rbm.intercept_hidden_)
    assert np.array_equal(dbm.transform(X), rbm.transform(X))
    assert dbm.history_ == rbm.history_
    assert (dbm.n_iter_, dbm.learning_rate_) == (rbm.n_iter_, rbm.learning_rate_)
    gappy = X.copy()
    gappy[::3, 10:40] = np.nan
    assert np.array_equal(dbm.transform(gappy), rbm.transform(gappy))
    H = rbm.transform(X)
    assert np.array_equal(dbm.inverse_transform(H), rbm.inverse_transform(H))
    assert np.array_equal(dbm.reconstruct(X), rbm.reconstruct(X))
    assert np.array_equal(dbm.score_samples(X[:9]), rbm.score_samples(X[:9]))
    options = {"n_gibbs_steps": 3, "random_state": 0}
    assert np.array_equal(dbm.sample(5, **options), rbm.sample(5, **options))
    assert np.array_equal(dbm.impute(gappy[:5], **options), rbm.impute(gappy[:5], **options))


@pytest.mark.parametrize("output", ["probability", "logit", "binary"])
def test_features_are_the_mean_field_of_both_neighbours(dbm, output):
    dbm.set_params(tol=1e-9, output=output).fit(X)
    W, b = dbm.weights_, dbm.intercepts_
    h = dbm.mean_field(X).means
    fields = [X @ W[0] + h[1] @ W[1].T + b[1], h[0] @ W[1] + h[2] @ W[2].T + b[2]]
    fields.append(h[1] @ W[2] + b[3])
    shown = {"probability": sigmoid, "logit": np.asarray, "binary": lambda f: (f > 0) * 1.0}
    for layer, field in enumerate(fields):
        np.testing.assert_allclose(sigmoid(field), h[layer], atol=1e-7)
        features = dbm.select(layers=layer).transform(X)
        np.testing.assert_allclose(features, shown[output](field), atol=1e-6)
    order = dbm.select(layers=[2, 0]).transform(X)
    np.testing.assert_allclose(order[:, :5], dbm.select(layers=2).transform(X))


def test_a_single_pass_doubles_the_input_from_below(dbm):
    single = dbm.set_params(inference="single_pass").fit(X)
    W, b = single.weights_, single.intercepts_
    h = sigmoid(2 * X @ W[0] + b[1])
    np.testing.assert_allclose(single.transform(X)[:, :7], h)
    h = sigmoid(2 * h @ W[1] + b[2])
    np.testing.assert_allclose(single.transform(X)[:, 7:13], h)
    np.testing.assert_allclose(single.transform(X)[:, 13:], sigmoid(h @ W[2] + b[3]))
    assert np.isnan(single.mean_field(X).residual).all()


def test_a_row_does_not_depend_on_its_batch():
    dbm = DBMTransformer((40, 30), rbm=RBMTransformer(n_iter=10), random_state=0)
    dbm.set_params(layers="all", pretrain="doubled").fit(DIGITS[:400])
    alone = np.vstack([dbm.transform(row[None]) for row in X])
    np.testing.assert_allclose(alone, dbm.transform(X), atol=1e-10)
    counts = dbm.mean_field(X)
    assert len(set(counts.n_sweeps)) > 1
    assert (counts.residual <= dbm.tol).all()


def test_sweeps_that_do_not_suffice_are_reported(dbm):
    dbm.fit(X)
    late = dbm.set_params(max_mean_field_steps=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="sweeps were too few for 120 rows"):
        late.transform(X)


@pytest.mark.parametrize("n_layers", [2, 3])
def test_a_step_follows_the_mean_field_and_the_chains(n_layers):
    """The gradient of the bound on log p(v), less that of log Z over the given chains."""
    v, sizes = exact.bits(4)[[1, 3, 6]], [4, 3, 3, 2][: n_layers + 1]
    chains = [exact.bits(n)[: 2**2] if i % 2 == 0 else None for i, n in enumerate(sizes)]
    settings = make_settings(
        sampler=FixedChains(chains), batch_size=3, centered=False, n_mean_field_steps=500
    )
    units = (UNITS["bernoulli"],) * len(sizes)
    rows = Rows(v, np.ones(3), Columns(units[0]))
    run = start(units, [(n,) for n in sizes], rows, settings, 4, Stream(0))
    before = run.machine.copy()
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))
    dbm = small_dbm(n_layers, n_iter=0, tol=1e-12, max_mean_field_steps=5000)
    dbm._run.average = before
    data, model = [v, *dbm.mean_field(v).means], before.means(before.odd, chains)
    for layer in range(n_layers):
        dW = data[layer].T @ data[layer + 1] / 3 - model[layer].T @ model[layer + 1] / 4
        moved = run.machine.W[layer] - before.W[layer]
        np.testing.assert_allclose(moved, 0.1 * dW, atol=1e-9)
        db = data[layer].mean(axis=0) - model[layer].mean(axis=0)
        moved = run.machine.par[layer][0] - before.par[layer][0]
        np.testing.assert_allclose(moved, 0.1 * db, atol=1e-9)


def test_a_partial_mean_field_takes_means_for_the_states_of_the_chains():
    """Of the even layers above the visible one, given the means of the odd ones."""
    v, sizes = exact.bits(4)[[1, 3, 6]], [4, 3, 3, 2]
    chains = [exact.bits(n)[: 2**2] if i % 2 == 0 else None for i, n in enumerate(sizes)]
    settings = make_settings(
        sampler=FixedChains(chains), batch_size=3, centered=False, partial_mean_field=True
    )
    rows = Rows(v, np.ones(3), Columns(UNITS["bernoulli"]))
    run = start((UNITS["bernoulli"],) * 4, [(n,) for n in sizes], rows, settings, 4, Stream(0))
    before = run.machine.copy()
    next(train(run, rows, settings, 1, rows_to_record(run, rows)))
    data = [*before.means(before.odd, mean_field_sweeps(before, v, 0)[0])]
    model = before.means([2], before.means(before.odd, chains))
    assert not np.array_equal(model[2], chains[2])
    for layer in range(3):
        dW = data[layer].T @ data[layer + 1] / 3 - model[layer].T @ model[layer + 1] / 4
        moved = run.machine.W[layer] - before.W[layer]
        np.testing.assert_allclose(moved, 0.1 * dW, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pretrain", [None, "first_layer", "doubled"])
@pytest.mark.parametrize("n_layers", [2, 3])
def test_training_raises_the_exact_likelihood_of_other_rows(n_layers, pretrain, sampler):
    negative_phase = "partial_mean_field" if sampler == "pcd" and pretrain else "sampled"
    test = two_patterns(300, seed=1)
    before = small_dbm(n_layers, n_iter=0)
    rbm = clone(before.rbm).set_params(n_iter=60, sampler=sampler, n_temperatures=3)
    after = small_dbm(n_layers, rbm=rbm, pretrain=pretrain, negative_phase=negative_phase)
    gain = [exact.log_p(dbm._machine, test).mean() for dbm in (before, after)]
    assert gain[1] > gain[0] + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("pretrain", [None, "first_layer", "doubled"])
def test_units_of_all_layers_vary(pretrain):
    rbm = RBMTransformer(n_iter=15, n_gibbs_steps=5)
    dbm = DBMTransformer((64, 48), rbm=rbm, layers="all", pretrain=pretrain, random_state=0)
    H = dbm.fit_transform(DIGITS)
    dead = (H.mean(axis=0) < 0.01) | (H.mean(axis=0) > 0.99)
    assert dead.mean() < 0.05
    assert dbm.history_["dead_units"][-1] + dbm.history_["saturated_units"][-1] < 6
    for layer, spread in ((0, 0.1), (1, 0.02)):
        features = dbm.select(layers=layer).transform(DIGITS)
        assert np.median(features.std(axis=0)) > spread
        head = LogisticRegression(max_iter=2000).fit(features[:1200], LABELS[:1200])
        assert head.score(features[1200:], LABELS[1200:]) > 0.6


def test_the_record_counts_the_idle_units_of_all_layers(dbm):
    fitted = dbm.set_params(rbm=RBMTransformer(n_iter=1, sparsity_target=0.1)).fit(X)
    norm = np.sqrt(sum(np.sum(W**2) for W in fitted._run.average.W))
    assert fitted.history_["weight_norm"][-1] == pytest.approx(norm)
    fitted._run.machine.par[2][0] -= 100
    assert fitted.set_params(warm_start=True).fit(X).history_["dead_units"][-1] >= 6


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [2, 3])
def test_scores_come_to_the_exact_ones(n_layers, monkeypatch):
    dbm = steep_dbm(n_layers)
    v = exact.bits(4)
    log_p = exact.log_p(dbm._machine, v)
    found = dbm.log_partition()
    assert found.method == "exact"
    assert found.value == pytest.approx(exact.log_Z(dbm._machine))
    assert np.abs(dbm.score_samples(v) - log_p).max() < 0.3
    monkeypatch.setattr(_stack, "_N_DRAWS", 20_000)
    np.testing.assert_allclose(dbm.score_samples(v), log_p, atol=0.02)
    bound = dbm.score_bound(v)
    assert (bound < log_p + 0.01).all()
    assert (bound < log_p - 0.01).any()
    np.testing.assert_allclose(dbm.free_energy(v) + found.value, -log_p, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [2, 3])
def test_the_partition_function_by_annealing(n_layers):
    dbm = steep_dbm(n_layers)
    found = dbm.log_partition("ais", n_chains=500)
    assert found.value == pytest.approx(exact.log_Z(dbm._machine), abs=0.1)


def shares(rows, states):
    powers = 2 ** np.arange(rows.shape[1])
    codes = np.bincount((rows @ powers).astype(int), minlength=2 ** rows.shape[1])
    return codes[(states @ powers).astype(int)] / len(rows)


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [2, 3])
def test_samples_and_missing_entries_come_from_the_model(n_layers):
    dbm = steep_dbm(n_layers)
    v = exact.bits(4)
    p = np.exp(exact.log_p(dbm._machine, v))
    drawn = dbm.sample(20_000, n_gibbs_steps=100, random_state=0)
    np.testing.assert_allclose(shares(drawn, v), p, atol=0.015)
    p = p * ((v[:, 1] == 1) & (v[:, 3] == 0))
    given = np.tile([np.nan, 1.0, np.nan, 0.0], (20_000, 1))
    drawn = dbm.sample(given=given, n_gibbs_steps=100, random_state=0)
    np.testing.assert_allclose(shares(drawn, v), p / p.sum(), atol=0.015)
    mean = dbm.impute(given[:1], n_gibbs_steps=20_000)[0]
    np.testing.assert_allclose(mean, p @ v / p.sum(), atol=0.02)


def test_the_features_of_a_row_with_gaps_are_its_mean_field(dbm):
    dbm.set_params(tol=1e-8).fit(DIGITS[:400])
    gappy = X[:20].copy()
    gappy[:, 20:44] = np.nan
    H = dbm.transform(gappy)
    W, b = dbm.weights_[0], dbm.intercepts_
    v = np.where(np.isnan(gappy), sigmoid(H[:, :7] @ W.T + b[0]), gappy)
    np.testing.assert_allclose(dbm.transform(v), H, atol=1e-3)
    alone = np.vstack([dbm.transform(row[None]) for row in gappy])
    np.testing.assert_allclose(alone, H, atol=1e-10)


def test_pretraining_doubles_weights_and_halves_the_input_from_two_layers(dbm, made):
    fitted = dbm.set_params(
        rbm=RBMTransformer(n_iter=0), pretrain="doubled", pretrain_rbm=RBMTransformer(n_iter=3)
    ).fit(X)
    first, second, third, joint = made
    v, h1, h2, h3 = (np.random.default_rng(0).random((4, n)) for n in (64, 7, 6, 5))
    states = [v, h1, h2, h3]
    pairs = [(first, 0, 1), (second, 1, 2), (third, 2, 3)]
    fields = [
        (run.average.field(0, states[a:]), run.average.field(1, states[a:]))
        for run, a, _ in pairs
    ]
    machine = joint.machine
    np.testing.assert_allclose(machine.field(0, states), fields[0][0])
    np.testing.assert_allclose(machine.field(1, states), (fields[0][1] + fields[1][0]) / 2)
    np.testing.assert_allclose(machine.field(2, states), (fields[1][1] + fields[2][0]) / 2)
    np.testing.assert_allclose(machine.field(3, states), fields[2][1])
    W, b = first.average.W[0], first.average.par[1][0]
    np.testing.assert_allclose(fields[0][1], 2 * v @ W + b)
    np.testing.assert_allclose(fields[2][1], h2 @ third.average.W[0] + third.average.par[1][0])
    assert [run.n_passes for run in made] == [3, 3, 3, 0]
    assert np.array_equal(fitted.weights_[0], machine.W[0])


def test_added_layers_leave_the_field_of_the_first_one_at_rest(dbm, made):
    before = RBMTransformer(n_iter=3, learning_rate=0.1, sparsity_target=None)
    dbm.set_params(rbm=RBMTransformer(n_iter=0), pretrain_rbm=before, pretrain="first_layer")
    dbm.fit(X)
    first, joint = made
    machine, rbm = joint.machine, first.average
    seed = layer_seed(0, 0)
    alone = clone(before).set_params(n_components=7, random_state=seed).fit(X)
    np.testing.assert_allclose(machine.W[0], alone.components_.T)
    np.testing.assert_allclose(machine.par[0], alone._machine.par[0])
    h1 = joint.activity[1]
    np.testing.assert_allclose(h1, first.activity[1])
    rest = [X, np.tile(h1, (len(X), 1)), np.full((len(X), 6), 0.5), np.full((len(X), 5), 0.5)]
    np.testing.assert_allclose(machine.field(1, rest), rbm.field(1, [X, None]))
    for layer in (2, 3):
        np.testing.assert_allclose(machine.field(layer, rest), 0, atol=1e-12)
        assert 0 < np.abs(machine.W[layer - 1]).max() < 0.3


@pytest.mark.parametrize("pretrain", ["first_layer", "doubled"])
@pytest.mark.parametrize(("before", "after"), [("pcd", "pcd"), ("cd", "pcd"), ("pcd", "cd")])
def test_chains_start_from_those_of_the_first_layer(pretrain, before, after):
    first = RBMTransformer(n_iter=1, sampler=before, n_chains=5)
    joint = RBMTransformer(n_iter=0, sampler=after, n_chains=12)
    dbm = DBMTransformer((7, 6, 5), rbm=joint, pretrain=pretrain, pretrain_rbm=first)
    states = dbm.set_params(random_state=0).fit(X)._run.chains.states
    assert [x if x is None else x.shape for x in states] == [(12, 64), None, (12, 6), None]
    assert np.array_equal(np.unique(states[2]), [0, 1])
    n_first = len(np.unique(states[0], axis=0))
    assert n_first == 5 if before == "pcd" else 5 < n_first <= 10
    assert abs(states[0].mean() - X.mean()) < 0.1


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_going_on_leaves_earlier_selections_alone(dbm, call):
    dbm.set_params(warm_start=True).fit(X)
    view = dbm.select(units=6, unit_score="variance")
    before = view.transform(X)
    getattr(dbm, call)(X[::-1] ** 2)
    assert np.array_equal(view.transform(X), before)
    assert np.array_equal(view.select(units=6).transform(X), before)
    assert dbm.n_iter_ == view.n_iter_ + (2 if call == "fit" else 1)
    assert len(dbm.history_["weight_norm"]) == dbm.n_iter_


def test_partial_fit_goes_on_over_chunks(dbm):
    for part in np.array_split(X, 5):
        assert dbm.partial_fit(part) is dbm
    assert dbm.n_iter_ == 5
    variance = dbm.select(layers=0).transform(X).var(axis=0)
    best = dbm.select(layers=0, units=2, unit_score="variance").selected_units_[0]
    assert set(best) <= set(np.argsort(-variance)[:4])


def test_a_pickled_machine_continues_as_the_original_does(dbm):
    loaded = pickle.loads(pickle.dumps(dbm.fit(X)))
    assert np.array_equal(loaded.partial_fit(X).transform(X), dbm.partial_fit(X).transform(X))


@pytest.mark.parametrize("inference", ["mean_field", "single_pass"])
def test_a_machine_is_trained_once(dbm, inference, tmp_path, monkeypatch):
    trained = []

    def counting(*args, **options):
        trained.append(1)
        return drive(*args, **options)

    monkeypatch.setattr("sklearn_dbn.estimators._dbm.drive", counting)
    dbm.set_params(memory=str(tmp_path), inference=inference, pretrain=None)
    pipe = make_pipeline(dbm, LogisticRegression(max_iter=300))
    grid = {"dbmtransformer__layers": [0, 1, "all"], "dbmtransformer__units": [None, 3]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert len(trained) == 3
    without = clone(search.best_estimator_).set_params(dbmtransformer__memory=None).fit(X, y)
    assert len(trained) == 4
    assert np.array_equal(without.predict(X), search.predict(X))
    whole = clone(dbm).fit(X)
    assert len(trained) == 4
    other = {"mean_field": "single_pass", "single_pass": "mean_field"}[inference]
    found = clone(dbm).set_params(inference=other).fit(X)
    assert len(trained) == 4
    fresh = clone(found).set_params(memory=None).fit(X)
    assert np.array_equal(found._statistics[0].sums, fresh._statistics[0].sums)
    assert not np.array_equal(found._statistics[0].sums, whole._statistics[0].sums)
    clone(dbm).set_params(n_mean_field_steps=1).fit(X)
    assert len(trained) == 6


def test_what_is_trained_before_is_part_of_the_key(dbm, made, tmp_path):
    dbm.set_params(memory=str(tmp_path), pretrain="first_layer").fit(X)
    others = [
        {"pretrain": None},
        {"pretrain": "doubled"},
        {"pretrain_rbm": RBMTransformer(n_iter=1)},
        {"negative_phase": "partial_mean_field"},
    ]
    weights = [dbm.weights_[0]]
    for other in others:
        n_before = len(made)
        weights.append(clone(dbm).set_params(**other).fit(X).weights_[0])
        assert len(made) > n_before, other
    assert len({W.tobytes() for W in weights}) == len(weights)
    n_before = len(made)
    same = RBMTransformer(n_iter=2, random_state=7, verbose=0, n_components=256)
    assert np.array_equal(
        clone(dbm).set_params(pretrain_rbm=same).fit(X).weights_[0], weights[0]
    )
    assert len(made) == n_before


def test_scores_discount_old_rows(dbm):
    dbm.partial_fit(X)
    for _ in range(3):
        dbm.partial_fit(np.tile(X, (100, 1)))
    assert all(seen.weight < 25_000 for seen in dbm._statistics)


class Stop:
    """Stops at the end of the first pass."""

    def setup(self, estimator, context):
        self.names, self.shapes = [], []

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.names.append(context.task_name)
        if fitted_estimator is not None:
            self.shapes.append(fitted_estimator.transform(X).shape)
        return self.stop and context.task_name == "epoch"

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("stop", [False, True])
def test_each_pass_is_a_task_and_what_a_callback_stops_is_not_kept(dbm, stop, tmp_path):
    callback = Stop()
    callback.stop = stop
    dbm.set_params(
        memory=str(tmp_path),
        hidden_layer_sizes=(7, 6),
        pretrain="doubled",
        pretrain_rbm=RBMTransformer(n_iter=1),
    )
    clone(dbm).set_callbacks(callback).fit(X)
    passes = ["epoch"] if stop else ["epoch"] * 2
    assert callback.names == ["pass", "layer 0", "pass", "layer 1", *passes, "fit"]
    assert callback.shapes == [(120, 13)] * (len(passes) + 1)
    assert clone(dbm).fit(X).n_iter_ == 2


def test_units_are_selected_as_from_a_stack(dbm):
    dbm.fit(X, y)
    names = dbm.get_feature_names_out()
    assert names[[0, 7, -1]].tolist() == ["layer0_unit0", "layer1_unit0", "layer2_unit4"]
    p = dbm.transform(X)

    def entropy(p):
        return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    information = entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
    best = dbm.select(units=5)
    assert set(best.get_feature_names_out()) == set(names[np.argsort(-information)[:5]])
    chosen = dbm.select(X, y, units=SelectKBest(f_classif, k=3)).transform(X)
    assert chosen.shape == (120, 3)
    sparse = dbm.select(passthrough=True).transform(sp.csr_array(X))
    np.testing.assert_allclose(sparse.toarray(), np.hstack([p, X]), atol=1e-12)


@pytest.mark.slow
def test_inverse_transform_takes_any_selection_and_is_close_to_the_rows():
    rbm = RBMTransformer(n_iter=60)
    dbm = DBMTransformer((40, 30), rbm=rbm, pretrain="doubled", random_state=0).fit(X)
    for layers, share in (("all", 0.4), (0, 0.4), (1, 0.8)):
        view = dbm.select(layers=layers)
        error = ((view.inverse_transform(view.transform(X)) - X) ** 2).mean()
        assert error < share * ((X - X.mean(axis=0)) ** 2).mean(), layers
    top = dbm.select(layers=-1)
    np.testing.assert_allclose(
        top.inverse_transform(top.transform(X)), dbm.reconstruct(X), atol=1e-3
    )
    assert dbm.select(units=4).inverse_transform(np.full((2, 4), 0.5)).shape == (2, 64)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_sparse_rows_and_float32(dbm, visible):
    dbm.set_params(rbm=RBMTransformer(n_iter=2, visible=visible))
    dense, sparse = (clone(dbm).fit(rows) for rows in (X, sp.csr_array(X)))
    np.testing.assert_allclose(dense.transform(X), sparse.transform(X), atol=1e-6)
    narrow = clone(dbm).fit(X.astype(np.float32))
    assert narrow.transform(X.astype(np.float32)).dtype == np.float32
    arrays = [*narrow._run.machine.arrays(), *narrow._run.activity, *narrow.weights_]
    assert {x.dtype for x in arrays} == {np.dtype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_real_valued_layers_in_a_row_keep_a_distribution(visible):
    rng = np.random.default_rng(0)
    rows = rng.random((60, 4)) if visible == "bernoulli" else rng.normal(size=(60, 4))
    rbm = RBMTransformer(visible=visible, hidden="gaussian", learning_rate=0.2, n_iter=40)
    dbm = DBMTransformer((4, 4, 4), rbm=rbm, random_state=0).fit(rows)
    form = exact.Form(dbm._machine)
    hidden = form.gaussian
    assert np.linalg.eigvalsh(form.A[np.ix_(hidden, hidden)]).min() > 0
    assert np.isfinite(dbm.transform(rows)).all()


def test_impossible_parameters_are_refused(dbm):
    with pytest.raises(TypeError, match="rbm must be an RBMTransformer or None"):
        clone(dbm).set_params(rbm=[RBM, RBM]).fit(X)
    with pytest.raises(TypeError, match="pretrain_rbm must be an RBMTransformer or None"):
        clone(dbm).set_params(pretrain_rbm=3).fit(X)
    with pytest.raises(ValueError, match="hidden_layer_sizes=\\(3, 0\\) must hold"):
        clone(dbm).set_params(hidden_layer_sizes=(3, 0)).fit(X)
    gaussian = RBMTransformer(hidden="gaussian")
    with pytest.raises(ValueError, match="pretrain='doubled', but with hidden='gaussian'"):
        clone(dbm).set_params(rbm=gaussian, pretrain="doubled").fit(X)
    with pytest.raises(ValueError, match="'inference' parameter"):
        clone(dbm).set_params(inference="exact").fit(X)
    dbm.fit(X)
    before = dbm.transform(X)
    with pytest.raises(ValueError, match=r"has layers of \[7, 6, 5\] units"):
        dbm.set_params(hidden_layer_sizes=(7, 6)).partial_fit(X)
    with pytest.raises(ValueError, match="visible='gaussian', but the fitted machine"):
        dbm.set_params(
            hidden_layer_sizes=(7, 6, 5), rbm=RBMTransformer(visible="gaussian")
        ).partial_fit(X)
    with pytest.raises(ValueError, match="diverged in pass"):
        with np.errstate(all="ignore"):
            clone(dbm).set_params(rbm=RBMTransformer(learning_rate=1e300)).fit(X)
    assert np.array_equal(dbm.transform(X), before)
