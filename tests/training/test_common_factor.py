"""Columns with one common factor: it is found, and not all units learn it."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers.training import make_settings
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.training import start
from sklearn_dbn.training._common_factor import common_factor, leading_direction
from sklearn_dbn.training._run import observe
from sklearn_dbn.units import UNITS

LOADINGS = np.tile([0.95, -0.9, 0.8, 0.9, -0.95, 0.7, 0.9, 0.85], 3)


def one_factor(n_rows=2000, seed=0):
    """Standard columns, most of whose variance is that of a factor z by LOADINGS; and z."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_rows)
    noise = rng.normal(size=(n_rows, 24)) * np.sqrt(1 - LOADINGS**2)
    return z[:, None] * LOADINGS + noise, z


def independent(n_rows=2000):
    return np.random.default_rng(1).normal(size=(n_rows, 24))


def standard(X):
    rows = Rows(X, np.ones(X.shape[0]), Columns(UNITS["gaussian"]))
    dense = X.toarray() if sp.issparse(X) else X
    rows.presented = rows.presented.standardise(
        np.nanmean(dense, axis=0), np.nanstd(dense, axis=0)
    )
    return rows


def factor_of(rows, n_hidden=40):
    direction = leading_direction(rows)
    return None if direction is None else common_factor(direction, n_hidden, 1.0)


def begun(X, n_hidden=40, hidden="bernoulli", **changes):
    units = UNITS["gaussian"], UNITS[hidden]
    rows = Rows(X, np.ones(len(X)), Columns(units[0]))
    settings = make_settings(**({"learning_rate": None, "batch_size": 10} | changes))
    return (
        start(units, [(X.shape[1],), (n_hidden,)], rows, settings, 10, Stream(0)),
        rows,
        settings,
    )


def brightness(n_rows=400, side=14):
    """Images of three patterns, whose brightness varies most; and the patterns."""
    rng = np.random.default_rng(0)
    patterns, y = rng.normal(size=(3, side * side)), rng.integers(3, size=n_rows)
    noise = 0.3 * rng.normal(size=(n_rows, side * side))
    return 0.3 * patterns[y] + 3 * rng.normal(size=(n_rows, 1)) + noise, y


def grey_brightness(n_rows=300, side=14):
    """The same with grey levels, between 0 and 1."""
    rng = np.random.default_rng(0)
    patterns, y = rng.random((3, side * side)), rng.integers(3, size=n_rows)
    return np.clip(0.2 * patterns[y] + 0.8 * rng.random((n_rows, 1)), 0, 1), y


def spectra(n_columns=500, n_rows=60):
    """Three peaks of independent heights over a baseline of one height; the first height."""
    rng = np.random.default_rng(0)
    x, heights = np.linspace(0, 1, n_columns), rng.uniform(size=(n_rows, 3))
    peaks = np.stack([np.exp(-((x - c) ** 2) / 0.0018) for c in (0.2, 0.5, 0.8)])
    baseline = 0.3 * rng.normal(size=(n_rows, 1))
    noise = 0.02 * rng.normal(size=(n_rows, n_columns))
    return heights @ peaks + baseline + noise, heights[:, 0]


def score(model, head, X, y):
    return cross_val_score(make_pipeline(model, StandardScaler(), head), X, y, cv=3).mean()


@pytest.mark.parametrize("kind", ["dense", "sparse", "gaps"])
def test_the_factor_of_a_one_factor_model_is_found(kind):
    X, _ = one_factor()
    if kind == "sparse":
        X = sp.csr_array(X)
    elif kind == "gaps":
        X[np.random.default_rng(2).uniform(size=X.shape) < 0.05] = np.nan
    factor = factor_of(standard(X))
    sign = np.sign(factor.loadings[0])
    np.testing.assert_allclose(sign * factor.loadings, LOADINGS, atol=0.12)
    top = np.linalg.eigvalsh(np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2))[-1]
    assert factor.rest == pytest.approx(1 - top / 24, abs=0.06)


@pytest.mark.parametrize("X", [independent(), np.zeros((20, 3))], ids=["normal", "constant"])
def test_independent_columns_have_no_common_factor(X):
    rows = Rows(X, np.ones(len(X)), Columns(UNITS["gaussian"]))
    assert factor_of(rows) is None


def test_two_factors_of_the_same_size_are_no_common_one():
    X = one_factor()[0]
    X[:, 12:] = one_factor(seed=3)[0][:, 12:]
    assert factor_of(standard(X)) is None


@pytest.mark.parametrize("n_rows", [1, 2, 9])
def test_few_rows_show_no_factor(n_rows):
    X = one_factor(n_rows)[0]
    rows = Rows(X, np.ones(n_rows), Columns(UNITS["gaussian"]))
    assert factor_of(rows) is None


def test_units_of_the_factor_switch_on_at_levels_of_it_and_others_are_uncorrelated_with_it():
    X, z = one_factor()
    run, rows, _ = begun(X)
    H = run.machine.means([1], [rows.means(rows.index), None])[1]
    with_z = np.abs(np.corrcoef(H.T, z)[-1, :-1])
    n = factor_of(rows).n_units
    assert 2 <= n < 10
    # The outermost switch in few rows.
    assert with_z[:n].min() > 0.4
    assert with_z[n:].max() < 0.15
    quantiles = 1 - (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(H[:, :n].mean(axis=0), quantiles, atol=0.06)
    np.testing.assert_allclose(run.activity[1][:n], quantiles)
    # The visible means follow the factor, with the error of n levels.
    v = run.machine.means([0], [None, H])[0]
    assert np.corrcoef(v[:, 0], z * np.sign(LOADINGS[0]))[0, 1] > 0.9


def test_units_of_bits_follow_the_factor_too():
    rng = np.random.default_rng(0)
    p = 0.5 + 0.4 * rng.uniform(-1, 1, size=(2000, 1))
    X = np.clip(p + 0.05 * rng.normal(size=(2000, 60)), 0, 1)
    units = (UNITS["bernoulli"],) * 2
    rows, settings = (
        Rows(X, np.ones(2000), Columns(units[0])),
        make_settings(learning_rate=None),
    )
    run = start(units, [(60,), (40,)], rows, settings, 200, Stream(0))
    # What is drawn has the variance of the grey levels and that of the draws.
    assert run.limits[0].rest == pytest.approx(1 - X.var(axis=0).sum() / (60 * 0.25), abs=0.05)
    v = run.machine.means([0], run.machine.means([1], [X, None]))[0]
    assert np.corrcoef(v.mean(axis=1), p[:, 0])[0, 1] > 0.9
    assert v.std(axis=0).min() > 0.15
    chains = run.chains.states[0]
    assert set(np.unique(chains)) <= {0, 1}
    assert chains.mean(axis=1).std() > 2 * np.sqrt(0.25 / 60)


def test_chains_start_at_levels_of_the_factor():
    run, _, _ = begun(one_factor()[0])
    expected = np.outer(LOADINGS, LOADINGS)
    np.fill_diagonal(expected, 1)
    correlation = np.corrcoef(run.chains.states[0].T)
    assert np.abs(correlation - expected).mean() < np.abs(expected - np.eye(24)).mean() / 2


def test_the_learning_rate_follows_what_the_factor_leaves():
    X = one_factor()[0]
    run, _, settings = begun(X)
    assert 0 < run.limits[0].rest < 0.5
    assert run.rate(settings) == pytest.approx(run.limits[0].rest / 24)
    observe(run, Rows(one_factor(seed=4)[0], np.ones(2000), Columns(UNITS["gaussian"])))
    assert run.rate(settings) == pytest.approx(run.limits[0].rest / 24, rel=1e-6)


@pytest.mark.parametrize(
    ("X", "hidden"), [(independent(), "bernoulli"), (one_factor()[0], "gaussian")]
)
def test_other_machines_start_from_random_weights(X, hidden):
    run, _, settings = begun(X, hidden=hidden)
    if hidden == "bernoulli":
        expected = Stream(0).normal(np.empty((24, 40))) / np.sqrt(24)
        np.testing.assert_allclose(run.machine.W[0], expected, rtol=1e-12)
    assert run.limits[0].rest == 1
    assert run.rate(settings) == pytest.approx(1 / 24)


def test_few_columns_start_from_random_weights():
    X = one_factor()[0]
    assert begun(X[:, :9])[0].limits[0].rest == 1
    assert begun(X[:, :11])[0].limits[0].rest < 0.5


def test_three_hidden_units_are_too_few_for_a_factor():
    rows = standard(one_factor()[0])
    assert factor_of(rows, 3) is None
    assert factor_of(rows, 4).n_units == 1


@pytest.mark.slow
@pytest.mark.parametrize("images", [brightness, grey_brightness])
def test_features_of_images_of_different_brightness_classify_the_patterns(images):
    X, y = images()
    rbm = RBMTransformer(64, n_iter=20, random_state=0)
    assert score(rbm, LogisticRegression(), X, y) > 0.95
    assert rbm.fit(X).history_["redundant_units"][-1] < 15


@pytest.mark.slow
@pytest.mark.parametrize("pretrain", [None, "doubled", "first_layer"])
def test_features_of_deep_machines_classify_the_patterns(pretrain):
    X, y = brightness()
    rbm = RBMTransformer(n_iter=5)
    dbm = DBMTransformer((48, 16), rbm=rbm, pretrain=pretrain, layers=0, random_state=0)
    assert score(dbm, LogisticRegression(), X, y) > 0.95
    if pretrain is None:
        dbn = DBNTransformer((48, 48), rbm=rbm, layers=1, random_state=0)
        assert score(dbn, LogisticRegression(), X, y) > 0.9


@pytest.mark.slow
def test_features_of_spectra_with_different_baselines_predict_a_concentration():
    X, y = spectra()
    rbm = RBMTransformer(64, random_state=0)
    assert score(rbm, RidgeCV(np.logspace(-3, 3, 7)), X, y) > 0.8
    assert rbm.fit(X).history_["redundant_units"][-1] < 10


def test_rounding_errors_of_equal_rows_are_no_factor():
    X = np.tile(np.random.default_rng(0).random(500, dtype=np.float32), (300, 1))
    X[7, 7] += 1e-7
    rbm = RBMTransformer(4, n_iter=1, batch_size=100, random_state=0).fit(X)
    assert np.isfinite(rbm.components_).all()


def test_the_share_of_the_leading_direction_is_that_of_the_largest_eigenvalue():
    X = one_factor()[0]
    rows = standard(X)
    eigenvalues = np.linalg.eigvalsh(np.cov(rows.means(rows.index).T))
    share = eigenvalues[-1] / eigenvalues.sum()
    assert leading_direction(rows).share == pytest.approx(share, abs=0.03)


def few_columns(n_rows=150):
    """Four columns, most of whose variance lies in one direction."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 1)) + 0.5 * rng.normal(size=(n_rows, 4))


def test_steps_on_few_real_columns_shrink_with_the_number_of_hidden_units():
    X = few_columns()
    settings = make_settings(learning_rate=None, batch_size=10)
    rates = [begun(X, n)[0].rate(settings) for n in (4, 256, 512)]
    assert rates[0] == 0.1
    # Correlations of 0.8 give a share of 3.4 / 4, and 1 / (2.5 * 256 * 0.85^2).
    assert rates[1] == pytest.approx(0.00216, rel=0.05)
    assert rates[2] == pytest.approx(rates[1] / 2)


@pytest.mark.slow
def test_many_hidden_units_on_few_real_columns_model_them():
    X = few_columns()
    normal = -0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(X.T))[1]
    rbm = RBMTransformer(256, random_state=0).fit(X)
    # Steps eight times as long leave a score of nats below.
    assert rbm.score(X) > normal - 1.5
    assert rbm.visible_variance_.min() > 0.01 * X.var(axis=0).min()
