"""Scores, samples and missing values of fitted generators, against enumeration."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import exact
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import sklearn_dbn.estimators._stack as _stack
from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer

DIGITS = load_digits().data[:200] / 16
GENERATORS = [
    RBMTransformer(12, n_iter=3, random_state=0),
    DBNTransformer((12, 8), rbm=RBMTransformer(n_iter=3), random_state=0),
    DBMTransformer((12, 8), rbm=RBMTransformer(n_iter=3), random_state=0),
]
generators = pytest.mark.parametrize("generator", GENERATORS, ids=["RBM", "DBN", "DBM"])


def small_data(visible, n_rows=80):
    """Rows of four columns that depend on one another."""
    rng = np.random.default_rng(0)
    cause = rng.random((n_rows, 1)) < 0.5
    if visible == "bernoulli":
        return (rng.random((n_rows, 4)) < np.where(cause, 0.85, 0.2)).astype(float)
    return 2 + np.where(cause, 1.5, -1.5) * [1, 1, -1, 0.5] + rng.normal(size=(n_rows, 4))


def small_stack(n_layers):
    """A fitted stack of Bernoulli units, few enough to sum over all states of."""
    rbm = RBMTransformer(n_iter=60, learning_rate=0.3, weight_decay=0)
    sizes = (3, 3, 2)[:n_layers]
    return DBNTransformer(sizes, rbm=rbm, random_state=0).fit(small_data("bernoulli"))


def steep_stack(n_layers):
    """One whose recognition distribution is far from the posterior of its hidden layers."""
    stack = small_stack(n_layers)
    for rbm in stack.rbms_:
        rbm._machine.W[0][...] *= 1.2
        rbm._machine.par[1][0] -= 0.7
    return stack


def distribution(estimator):
    """Every state of the visible layer and its probability, from the definition of a stack."""
    *lower, top = estimator._stack
    states = exact.bits(top.par[0].shape[1])
    log = exact.log_p(top, states)
    for machine in reversed(lower):
        below = exact.bits(machine.par[0].shape[1])
        field = states @ machine.W[0].T + machine.par[0][0]
        given = below @ field.T - np.logaddexp(0, field).sum(axis=1)
        states, log = below, logsumexp(given + log, axis=1)
    p = np.exp(log)
    np.testing.assert_allclose(p.sum(), 1)
    return states, p


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_score_of_an_rbm_is_the_exact_log_likelihood(visible, hidden):
    X = small_data(visible)[:, :2]
    rbm = RBMTransformer(3, visible=visible, hidden=hidden, n_iter=20, random_state=0).fit(X)
    log_p = exact.log_p(rbm._machine, X)
    np.testing.assert_allclose(rbm.score_samples(X), log_p, atol=1e-8)
    np.testing.assert_allclose(rbm.score_bound(X), log_p, atol=1e-8)
    assert rbm.score(X) == pytest.approx(log_p.mean())
    assert rbm.log_partition().method == "exact"


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [2, 3])
def test_the_score_of_a_stack_comes_to_the_exact_one(n_layers, monkeypatch):
    stack = small_stack(n_layers)
    v, p = distribution(stack)
    monkeypatch.setattr(_stack, "_N_DRAWS", 20_000)
    np.testing.assert_allclose(stack.score_samples(v), np.log(p), atol=0.02)
    assert np.all(stack.score_bound(v) < np.log(p) + 0.01)
    assert np.all(stack.score_bound(v) <= stack.score_samples(v))


@generators
def test_free_energy_and_score_differ_by_the_partition_function(generator):
    fitted = clone(generator).fit(DIGITS)
    log_z = fitted.log_partition().value
    np.testing.assert_allclose(
        fitted.score_samples(DIGITS), -fitted.free_energy(DIGITS) - log_z, rtol=1e-10
    )


@generators
def test_positive_log_likelihoods_of_bits_give_a_warning(generator):
    fitted = clone(generator).fit(DIGITS)
    # As if annealing had missed all but a small part.
    fitted._estimates["log_z"] = fitted.log_partition().value - 100
    with pytest.warns(RuntimeWarning, match="binary rows cannot have more than 0"):
        fitted.score_samples(DIGITS[:5])
    fitted.free_energy(DIGITS[:5])


@generators
def test_no_score_depends_on_its_batch_or_on_the_call(generator):
    fitted = clone(generator).fit(DIGITS)
    together = fitted.score_samples(DIGITS)
    alone = np.concatenate([fitted.score_samples(DIGITS[[i]]) for i in range(5)])
    np.testing.assert_allclose(together[:5], alone, rtol=1e-9)
    assert np.array_equal(fitted.score_samples(DIGITS), together)
    sparse = fitted.score_samples(sp.csr_array(DIGITS))
    np.testing.assert_allclose(sparse, together, rtol=1e-9)
    assert together.dtype == np.float64
    assert clone(generator).fit(DIGITS.astype("f")).score_samples(DIGITS).dtype == np.float64


@generators
def test_the_partition_function_is_found_once_for_a_training(generator, monkeypatch):
    calls = []
    original = type(generator).log_partition

    def counting(self, *args, **options):
        calls.append(1)
        return original(self, *args, **options)

    monkeypatch.setattr(type(generator), "log_partition", counting)
    fitted = clone(generator).fit(DIGITS)
    for _ in range(3):
        before = fitted.score(DIGITS)
    assert len(calls) == 1
    if hasattr(generator, "select"):
        fitted.select(layers="all").score(DIGITS)
        assert len(calls) == 1
    fitted.partial_fit(DIGITS)
    assert fitted.score(DIGITS) != before
    assert len(calls) == 2


@pytest.mark.slow
@generators
def test_the_likelihood_chooses_parameters(generator):
    prefix = "" if isinstance(generator, RBMTransformer) else "rbm__"
    grid = {f"{prefix}n_iter": [0, 10]}
    search = GridSearchCV(generator, grid, cv=2).fit(DIGITS)
    assert search.best_params_ == {f"{prefix}n_iter": 10}
    pipe = make_pipeline(MinMaxScaler(clip=True), generator)
    assert np.isfinite(cross_val_score(pipe, DIGITS, cv=2)).all()


def fill(given, states):
    """Which states agree with the known entries of a row."""
    known = ~np.isnan(given)
    return np.all(states[:, known] == given[known], axis=1)


def shares(rows, states):
    """How often each state is among the rows."""
    powers = 2 ** np.arange(rows.shape[1])
    codes = np.bincount((rows @ powers).astype(int), minlength=2 ** rows.shape[1])
    return codes[(states @ powers).astype(int)] / len(rows)


GIVEN = [np.nan, 1.0, np.nan, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("call", ["sample", "impute"])
def test_missing_entries_are_drawn_from_their_conditional_distribution(n_layers, call):
    fitted = steep_stack(n_layers)
    v, p = distribution(fitted)
    p = p * fill(np.array(GIVEN), v)
    given = np.tile(GIVEN, (20_000, 1))
    options = {"n_gibbs_steps": 100, "random_state": 1}
    if call == "sample":
        drawn = fitted.sample(given=given, **options)
    else:
        drawn = fitted.impute(given, draw=True, **options)
    np.testing.assert_allclose(shares(drawn, v), p / p.sum(), atol=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [1, 2])
def test_missing_entries_are_filled_with_their_conditional_mean(n_layers):
    fitted = steep_stack(n_layers)
    v, p = distribution(fitted)
    p = p * fill(np.array(GIVEN), v)
    mean = (p / p.sum()) @ v
    filled = fitted.impute([GIVEN], n_gibbs_steps=20_000)[0]
    np.testing.assert_allclose(filled, mean, atol=0.02)


@pytest.mark.parametrize("visible", ["gaussian"])
def test_real_values_are_filled_in_from_the_others(visible):
    X = small_data(visible, 2000)
    rbm = RBMTransformer(8, n_iter=20, random_state=0).fit(X)
    gappy = X[:300].copy()
    gappy[:, 1] = np.nan
    error = np.mean((rbm.impute(gappy) - X[:300]) ** 2, axis=0)
    assert error[1] < 0.75 * X[:, 1].var()
    assert not error[[0, 2, 3]].any()


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [1, 2])
def test_samples_come_from_the_model(n_layers):
    fitted = small_stack(n_layers)
    v, p = distribution(fitted)
    drawn = fitted.sample(20_000, n_gibbs_steps=100, random_state=0)
    np.testing.assert_allclose(shares(drawn, v), p, atol=0.015)


def test_samples_are_in_the_units_of_the_data():
    X = small_data("gaussian") * [1, 100, 1e-3, 1] + [0, 5, 0, -3]
    rbm = RBMTransformer(8, n_iter=30, random_state=0).fit(X)
    drawn = rbm.sample(4000, random_state=0)
    np.testing.assert_allclose((drawn.mean(0) - X.mean(0)) / X.std(0), 0, atol=0.3)
    np.testing.assert_allclose(drawn.std(0) / X.std(0), 1, atol=0.3)


@generators
def test_draws_follow_the_seed(generator):
    fitted = clone(generator).fit(DIGITS)
    first, again, other = (fitted.sample(5, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert fitted.sample().shape == (1, 64)
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))


def gappy(X, share=0.3):
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < share] = np.nan
    return X


@generators
@pytest.mark.parametrize("call", ["impute", "transform", "reconstruct"])
def test_filling_in_is_for_each_row_on_its_own(generator, call):
    fitted = clone(generator).fit(DIGITS)
    X = gappy(DIGITS[:10])
    method = getattr(fitted, call)
    together = method(X)
    alone = np.concatenate([method(row[None, :]) for row in X])
    np.testing.assert_allclose(together, alone, atol=1e-10)
    assert np.array_equal(method(X), together)
    assert np.isfinite(together).all()


@generators
def test_known_entries_stay_and_the_input_too(generator):
    fitted = clone(generator).fit(DIGITS.astype(np.float32))
    X = gappy(DIGITS[:10]).astype(np.float32)
    before = X.copy()
    for filled in (
        fitted.impute(X),
        fitted.impute(X, draw=True),
        fitted.sample(given=X, n_gibbs_steps=3),
    ):
        known = ~np.isnan(X)
        assert np.array_equal(filled[known], X[known])
        assert filled.dtype == np.float32
        assert np.isfinite(filled).all()
    np.testing.assert_array_equal(X, before)
    assert np.array_equal(fitted.impute(DIGITS[:3]), DIGITS[:3].astype(np.float32))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_features_of_a_row_with_gaps_are_its_mean_field(scale):
    rbm = RBMTransformer(12, n_iter=5, random_state=0).fit(DIGITS * scale)
    X = gappy(DIGITS[:20] * scale)
    H = rbm.transform(X)
    v = np.where(np.isnan(X), rbm.inverse_transform(H), X)
    # Filled in by their features, the rows have the same features.
    np.testing.assert_allclose(rbm.transform(v), H, atol=1e-3)


@generators
def test_only_gaps_cost_a_mean_field(generator):
    fitted = clone(generator).fit(DIGITS)
    X = DIGITS.copy()
    X[3, 5] = np.nan
    H = fitted.transform(X)
    others = np.delete(np.arange(len(X)), 3)
    np.testing.assert_allclose(H[others], fitted.transform(DIGITS)[others], atol=1e-12)
    sparse = fitted.transform(sp.csr_array(X))
    np.testing.assert_allclose(sparse, H, atol=1e-12)


def test_filling_in_beats_the_column_means():
    X = (load_digits().data > 8).astype(float)
    train, test = X[:1400], X[1400:]
    rbm = RBMTransformer(64, n_iter=20, random_state=0).fit(train)
    gaps = test.copy()
    gaps[:, 36:52] = np.nan
    p = np.clip(rbm.impute(gaps)[:, 36:52], 1e-3, 1 - 1e-3)
    q = np.clip(train.mean(axis=0)[36:52], 1e-3, 1 - 1e-3)
    bits = test[:, 36:52]

    def loss(p):
        return -np.mean(bits * np.log(p) + (1 - bits) * np.log(1 - p))

    assert loss(p) < 0.75 * loss(q)


@pytest.mark.slow
def test_training_on_gaps_is_better_than_on_column_means():
    X = (load_digits().data > 8).astype(float)
    train, test = X[:1200], X[1200:]
    holes = gappy(train, 0.4)
    means = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    rbm = RBMTransformer(32, n_iter=10, random_state=0)
    scores = [clone(rbm).fit(rows).score(test) for rows in (train, holes, means)]
    complete, known, filled = scores
    assert known > filled + 0.3 * (complete - filled)


@pytest.mark.slow
@generators
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_gaps_in_training(generator, scale, make, call):
    X = gappy(DIGITS * scale)
    X[:, 9] = np.nan
    fitted = clone(generator)
    with pytest.warns(UserWarning, match="no observed value in column 9, from"):
        getattr(fitted, call)(make(X))
    X[0, 9] = 1
    getattr(fitted, call)(make(X))
    assert fitted.transform(X).shape == fitted.transform(DIGITS).shape
    for machine in fitted._stack:
        assert all(np.isfinite(x).all() for x in machine.arrays())
    for trained in getattr(fitted, "rbms_", [fitted]):
        assert all(np.isfinite(values).all() for values in trained.history_.values())
    assert np.isfinite(fitted.impute(X[:5], n_gibbs_steps=5)).all()


@pytest.mark.parametrize("generator", GENERATORS[:2], ids=["RBM", "DBN"])
def test_a_reconstruction_goes_up_and_down(generator):
    fitted = clone(generator).fit(DIGITS)
    states = DIGITS
    for machine in fitted._stack:
        states = machine.means([1], [states, None])[1]
    for machine in reversed(fitted._stack):
        states = machine.means([0], [None, states])[0]
    np.testing.assert_allclose(fitted.reconstruct(DIGITS), states)


@generators
def test_impossible_draws_are_refused(generator):
    fitted = clone(generator).fit(DIGITS)
    with pytest.raises(ValueError, match="n_samples=2 and given= cannot both be set"):
        fitted.sample(2, given=DIGITS)
    with pytest.raises(ValueError, match="X has 63 features"):
        fitted.impute(DIGITS[:, 1:])
    with pytest.raises(ValueError, match="infinity"):
        fitted.impute(np.where(np.arange(64) == 7, np.inf, DIGITS))


WRONG = {
    "sample": [
        {"n_samples": 0},
        {"n_samples": -3},
        {"n_samples": 1.5},
        {"n_samples": "a"},
        {"n_gibbs_steps": 0},
        {"n_gibbs_steps": "3"},
        {"random_state": "seed"},
    ],
    "impute": [
        {"n_gibbs_steps": 0},
        {"n_gibbs_steps": -1},
        {"draw": "yes"},
        {"random_state": -1},
    ],
    "log_partition": [
        {"method": "quick"},
        {"temperatures": 1},
        {"temperatures": "many"},
        {"n_chains": 0},
        {"n_gibbs_steps": -1},
    ],
}


@generators
@pytest.mark.parametrize(
    ("call", "wrong"), [(call, wrong) for call, several in WRONG.items() for wrong in several]
)
def test_parameters_of_methods_are_validated(generator, call, wrong):
    fitted = clone(generator).fit(DIGITS[:20])
    given = (gappy(DIGITS[:5]),) if call == "impute" else ()
    (name,) = wrong
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {call} must be"):
        getattr(fitted, call)(*given, **wrong)


@pytest.mark.slow
@generators
def test_rows_with_gaps_are_scored_by_what_is_known(generator):
    fitted = clone(generator).fit(DIGITS)
    X = gappy(DIGITS[:20])
    together = fitted.score_samples(X)
    alone = np.concatenate([fitted.score_samples(row[None, :]) for row in X])
    np.testing.assert_allclose(together, alone, rtol=1e-9)
    np.testing.assert_allclose(fitted.score_samples(sp.csr_array(X)), together, rtol=1e-9)
    assert np.all(together > fitted.score_samples(DIGITS[:20]))
    assert np.all(fitted.score_bound(X) <= together)
    log_z = fitted.log_partition().value
    np.testing.assert_allclose(together, -fitted.free_energy(X) - log_z, rtol=1e-10)
    # A row without a known entry is certain.
    nothing = fitted.score_samples(np.full((1, 64), np.nan))
    np.testing.assert_allclose(nothing, 0, atol=1.0)


def test_a_search_chooses_by_the_likelihood_of_what_is_known():
    rbm = RBMTransformer(12, random_state=0)
    search = GridSearchCV(rbm, {"n_iter": [0, 10]}, cv=2).fit(gappy(DIGITS))
    assert search.best_params_ == {"n_iter": 10}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("depth", [1, 2])
def test_densities_of_known_entries_are_per_unit_of_their_columns(kind, depth):
    # Powers of 2 leave all bits of the standardised columns as they are.
    X, scale = small_data("gaussian", 200), 2.0 ** np.array([3, -4, 1, 13])
    rbm = RBMTransformer(hidden=kind, n_iter=10)
    fitted = [
        DBNTransformer((5, 3)[:depth], rbm=rbm, random_state=0).fit(rows)
        for rows in (X, X * scale)
    ]
    rows = gappy(X[:20], 0.4)
    found = [g.score_samples(v) for g, v in zip(fitted, (rows, rows * scale), strict=True)]
    moved = ~np.isnan(rows) @ np.log(scale)
    np.testing.assert_allclose(found[0] - moved, found[1], atol=1e-6)


MEASURED = [
    RBMTransformer(24, n_iter=3, random_state=0),
    RBMTransformer(6, n_iter=3, hidden="gaussian", random_state=0),
    RBMTransformer(6, n_iter=3, sampler="tempering", random_state=0),
    DBNTransformer((24, 6), rbm=RBMTransformer(n_iter=3), random_state=0),
    DBMTransformer((6, 4), rbm=RBMTransformer(n_iter=3), random_state=0),
]


@pytest.fixture(scope="module")
def correlated():
    rng = np.random.default_rng(0)
    return rng.normal(size=(150, 10)) @ rng.normal(size=(10, 10)) / 3


@pytest.mark.slow
@pytest.mark.parametrize("generator", MEASURED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6, 1e9])
def test_no_likelihood_depends_on_the_units_of_the_columns(generator, dtype, scale, correlated):
    X, Y = correlated.astype(dtype), (correlated * scale).astype(dtype)
    here, there = clone(generator).fit(X), clone(generator).fit(Y)
    moved = 10 * np.log(scale)
    atol = 0.3 if dtype == np.float32 else 0.05
    assert there.score(Y) == pytest.approx(here.score(X) - moved, abs=atol)
    rows = [gappy(v[:20], 0.3) for v in (X, Y)]
    n_known = np.sum(~np.isnan(rows[0]), axis=1)
    expected = here.score_samples(rows[0]) - n_known * np.log(scale)
    np.testing.assert_allclose(there.score_samples(rows[1]), expected, atol=atol)
    np.testing.assert_allclose(there.transform(Y), here.transform(X), atol=0.02)
    for call in ("reconstruct", "impute"):
        first, second = (getattr(g, call)(v) for g, v in zip((here, there), rows, strict=True))
        np.testing.assert_allclose(second / scale, first, atol=0.05)
    drawn = [g.sample(200, random_state=0) for g in (here, there)]
    np.testing.assert_allclose(drawn[1].std(axis=0) / scale, drawn[0].std(axis=0), rtol=0.2)


@pytest.mark.parametrize("offset", [200, 1600, 1e5])
def test_float32_columns_far_from_zero_are_scored_as_those_near_it(offset, correlated):
    rbm = RBMTransformer(8, n_iter=5, random_state=0)
    near = rbm.fit(correlated).score(correlated)
    # What float32 can hold of a column so far away.
    X = (correlated + offset).astype(np.float32)
    assert rbm.fit(X).score(X) == pytest.approx(near, abs=0.3)
    assert rbm.transform(X).std(axis=0).min() > 0.01


@pytest.mark.slow
@generators
def test_blocks_of_rows_hold_little_at_once(generator, monkeypatch):
    fitted = clone(generator).fit(DIGITS)
    X = gappy(DIGITS)
    calls = {
        "transform": fitted.transform,
        "score_samples": fitted.score_samples,
        "reconstruct": fitted.reconstruct,
        "impute": lambda X: fitted.impute(X, n_gibbs_steps=5),
    }
    whole = {name: call(X) for name, call in calls.items()}
    monkeypatch.setattr("sklearn_dbn.estimators._stack._BLOCK_VALUES", 64 * 7)
    for name, call in calls.items():
        np.testing.assert_allclose(call(X), whole[name], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@generators
@pytest.mark.parametrize("call", ["transform", "score_samples", "sample"])
def test_memory_is_that_of_the_result_and_a_block(generator, call, monkeypatch):
    fitted = clone(generator).fit(DIGITS[:, :20])
    fitted._estimates["log_z"] = 1e3
    X = np.tile(DIGITS[:, :20], (25, 1))
    given, options = (X,), {}
    if call == "sample":
        X[::500, 3] = np.nan
        given, options = (), {"given": X, "n_gibbs_steps": 2}
    monkeypatch.setattr("sklearn_dbn.estimators._stack._BLOCK_VALUES", 20 * 50)
    tracemalloc.start()
    try:
        result = getattr(fitted, call)(*given, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * result.nbytes + 5e5
