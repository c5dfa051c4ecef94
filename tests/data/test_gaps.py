"""Training on rows with missing entries: maximum likelihood of the observed ones."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import exact
from helpers.interrupted import state
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import sklearn_dbn.data._gaps as _gaps
import sklearn_dbn.data._rows as _rows
import sklearn_dbn.training._loop as loop
from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.data._gaps import count_gaps, initial_states, redraw
from sklearn_dbn.units import UNITS

RNG = np.random.default_rng(0)
COMMON = 0.7 * RNG.normal(size=(1500, 1)) + 0.7 * RNG.normal(size=(1500, 6))
GAPPY = np.where(RNG.random(COMMON.shape) < 0.5, np.nan, COMMON)
SHORT = RBMTransformer(8, n_iter=4)
ESTIMATORS = {
    "rbm": RBMTransformer(8, n_iter=20, random_state=0),
    "dbn": DBNTransformer((8, 6), rbm=RBMTransformer(n_iter=12), random_state=0),
    "dbm": DBMTransformer((8, 6), rbm=RBMTransformer(n_iter=12), random_state=0),
}
QUICK = {
    "rbm": clone(SHORT).set_params(random_state=0),
    "dbn": DBNTransformer((5, 4), rbm=SHORT, random_state=0),
    "dbm": DBMTransformer((5, 4), rbm=SHORT, random_state=0),
}
of_all = pytest.mark.parametrize("name", QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", exact.KINDS | exact.DEEP_KINDS)
def test_draws_given_what_is_observed_have_the_distribution_of_the_model(kind):
    machine = exact.make_machine(*(exact.KINDS | exact.DEEP_KINDS)[kind])
    n = 20_000
    v = exact.sample(machine, n, np.random.default_rng(0))[0]
    missing = np.random.default_rng(1).random(v.shape) < 0.6
    # From observed entries of their own distribution, and starts that are independent of them.
    rng = Stream(0)
    even = initial_states(machine, n, rng)
    even[0] = np.where(missing, even[0], v)
    drawn = redraw(machine, even, np.flatnonzero(missing), 100, rng)[0]
    assert np.array_equal(drawn[~missing], v[~missing])
    if machine.units[0].name == "gaussian":
        mean, covariance = exact.moments(machine, [0])
        deviation = drawn - mean
        products = deviation[:, :, None] * deviation[:, None, :]
        for found, expected in ((deviation, 0), (products, covariance)):
            error = found.std(axis=0) / n**0.5
            assert np.all(np.abs(found.mean(axis=0) - expected) < 4.5 * error)
    else:
        table, p = exact.distribution(machine, [0])
        code = 2 ** np.arange(table.shape[1])
        counts = np.bincount((drawn @ code).astype(int), minlength=len(p))
        expected = n * p[np.argsort(table @ code)]
        assert chi2.sf(np.sum((counts - expected) ** 2 / expected), len(p) - 1) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_columns_with_gaps_keep_their_variance_and_their_correlations(name):
    samples = clone(ESTIMATORS[name]).fit(GAPPY).sample(2000, random_state=0)
    np.testing.assert_allclose(samples.std(axis=0).mean(), COMMON.std(axis=0).mean(), rtol=0.07)
    above = np.triu_indices(6, 1)
    assert np.corrcoef(samples.T)[above].mean() > 0.3


def test_bits_that_are_mostly_missing_are_likelier_than_by_their_shares():
    X = (COMMON > 0).astype(float)
    gappy = np.where(np.random.default_rng(1).random(X.shape) < 0.7, np.nan, X)
    rbm = RBMTransformer(8, n_iter=30, random_state=0).fit(gappy)
    assert rbm.score(X) > -6 * np.log(2) + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_training_on_few_observed_entries_stays_finite(kept, call, monkeypatch):
    if not kept:
        monkeypatch.setattr(_gaps, "_KEPT", -1)
    rng = np.random.default_rng(0)
    X = 0.7 * rng.normal(size=(1000, 1)) + 0.7 * rng.normal(size=(1000, 30))
    X[rng.random(X.shape) < 0.9] = np.nan
    rbm = RBMTransformer(64, n_iter=10, random_state=0)
    for _ in range(1 if call == "fit" else 10):
        getattr(rbm, call)(X)
    assert 0.9 < rbm.sample(1000, random_state=0).std() < 1.1


@of_all
def test_gaps_in_rows_of_weight_zero_change_no_bit(name):
    weight = np.ones(100)
    weight[::10] = 0
    holes = COMMON[:100].copy()
    holes[::10, 2] = np.nan
    whole, same = (
        clone(QUICK[name]).fit(X, sample_weight=weight) for X in (COMMON[:100], holes)
    )
    for x, y in zip(whole._runs, same._runs, strict=True):
        assert all(map(np.array_equal, x.average.arrays(), y.average.arrays()))


@of_all
def test_a_fitted_estimator_holds_nothing_of_the_size_of_its_rows(name):
    fitted = clone(QUICK[name]).fit(GAPPY[:100])
    assert [run.gaps for run in fitted._runs] == [None] * len(fitted._runs)


# A pass has ten steps; the first layer of "dbm" is trained alone before all of them are.
@pytest.mark.parametrize(
    ("name", "n_steps"), [("rbm", 25), ("dbn", 65), ("dbm", 25), ("dbm", 105)]
)
def test_a_training_cut_short_in_a_pass_ends_with_the_same_bits(
    name, n_steps, tmp_path, monkeypatch
):
    whole = state(clone(QUICK[name]).fit(GAPPY[:100]))
    step, made = loop._step, []

    def fails(*args):
        made.append(1)
        if len(made) == n_steps:
            raise RuntimeError("cut short")
        return step(*args)

    kept = clone(QUICK[name]).set_params(memory=str(tmp_path))
    monkeypatch.setattr(loop, "_step", fails)
    with pytest.raises(RuntimeError, match="cut short"):
        kept.fit(GAPPY[:100])
    assert list(tmp_path.rglob("*.part*"))
    assert state(kept.fit(GAPPY[:100])) == whole


@of_all
@pytest.mark.parametrize("make", [sp.csr_array, np.asfortranarray], ids=["sparse", "columns"])
def test_rows_with_gaps_train_alike_however_they_are_stored(name, make):
    X = np.where(RNG.random((80, 6)) < 0.4, 0, GAPPY[:80])
    whole, same = (clone(QUICK[name]).fit(x) for x in (X, make(X)))
    for x, y in zip(whole._stack, same._stack, strict=True):
        for a, b in zip(x.arrays(), y.arrays(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8)


def test_gaps_are_counted_row_by_row():
    X = GAPPY.copy()
    X[3] = 1
    # A column may have several states.
    widths = np.array([3, 1, 1, 2, 1, 1])
    expected = (np.isnan(X) * widths).sum(axis=1)
    assert np.array_equal(count_gaps(X, widths), expected)
    sparse = sp.csr_array(X)
    assert np.array_equal(count_gaps(sparse, widths), expected)
    # An entry that is stored in two parts.
    twice = sp.csr_array((np.full(2, np.nan), [1, 1], [0, 0, 2]), shape=(2, 3))
    assert np.array_equal(count_gaps(twice, widths[:3]), [0, 1])


def numbered(sample, visible="gaussian"):
    """Rows whose first column is their number, some of them with gaps in the others."""
    X = np.tile(np.arange(60.0)[:, None] / 64, (1, 5))
    X[np.random.default_rng(0).random(X.shape) < 0.4] = np.nan
    X[:, 0], X[::4] = np.arange(60) / 64, np.arange(0, 60, 4)[:, None] / 64
    rows = Rows(X, np.ones(60), Columns(UNITS[visible]), sample=sample)
    rows.bottom = exact.make_machine((visible, "bernoulli"), (5, 3))
    return X, rows


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("windows", [False, True])
def test_draws_belong_to_their_rows_and_observed_entries_are_unchanged(
    windows, sample, monkeypatch
):
    if windows:
        for name, size in (("_SHUFFLED_WHOLE", 0), ("_WINDOW", 800), ("_SHUFFLED_BLOCK", 200)):
            monkeypatch.setattr(_rows, name, size)
    X, rows = numbered(sample)
    gaps, rng, before = rows.gaps(new=True), Stream(0), None
    for _ in range(3):
        drawn = np.empty_like(X)
        for v, *_ in rows.batches(7, rng, gaps):
            drawn[np.round(v[:, 0] * 64).astype(int)] = v
        gaps.end_pass()
        known = ~np.isnan(X)
        assert np.array_equal(drawn[known], X[known])
        assert np.array_equal(gaps.states[0], drawn[~known])
        assert before is None or not np.any(drawn[~known] == before[~known])
        before = drawn


def test_gaps_of_bits_are_bits_though_inputs_are_not_sampled():
    X, rows = numbered(False, "bernoulli")
    v = np.concatenate([v for v, *_ in rows.batches(7, Stream(0), rows.gaps(new=True))])
    index = np.round(v[:, 0] * 64).astype(int)
    known = ~np.isnan(X[index])
    assert np.array_equal(v[known], X[index][known])
    assert set(v[~known]) == {0.0, 1.0}


@of_all
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_columns_without_a_value_are_named_once(name, call):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(GAPPY[:60].copy(), columns=["a" * 500, *"bcdef"])
    X.loc[1:, "c"] = np.nan
    weight = np.ones(60)
    weight[0] = 0
    with pytest.warns(UserWarning, match="no observed value in column 'c', from") as caught:
        getattr(clone(QUICK[name]), call)(X, sample_weight=weight)
    assert sum("no observed value" in str(w.message) for w in caught) == 1
    X.iloc[:, 0] = np.nan
    with pytest.warns(UserWarning, match=r"column 'aaa.* and in 1 others") as caught:
        getattr(clone(QUICK[name]), call)(X, sample_weight=weight)
    assert len(str(caught[0].message)) < 300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = GAPPY[:60].copy()
        fitted = getattr(clone(QUICK[name]), call)(rows)
        rows[:, 1] = np.nan
        # Columns that had values in earlier chunks give no warning.
        fitted.partial_fit(rows)
