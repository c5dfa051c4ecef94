"""RBMTransformer as its users meet it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM

from sklearn_dbn import RBMTransformer

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


@pytest.fixture
def rbm():
    return RBMTransformer(8, n_iter=3, random_state=0)


@pytest.fixture
def X():
    return DIGITS[:60]


def accuracy(H, n_train=1300):
    head = LogisticRegression(max_iter=1000).fit(H[:n_train], LABELS[:n_train])
    return head.score(H[n_train:], LABELS[n_train : len(H)])


@pytest.mark.parametrize(
    ("scale", "units"), [(1, "bernoulli"), (1.01, "gaussian"), (-1, "gaussian")]
)
def test_auto_takes_bernoulli_units_for_values_in_the_unit_interval(rbm, X, scale, units):
    assert rbm.fit(X * scale).visible_type_ == units


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_rows_give_what_dense_rows_give(X, visible, container):
    rbm = RBMTransformer(8, n_iter=3, visible=visible, random_state=0)
    dense, sparse = clone(rbm).fit(X), clone(rbm).fit(container(X))
    np.testing.assert_allclose(dense.components_, sparse.components_, atol=1e-10)
    np.testing.assert_allclose(dense.transform(X), sparse.transform(container(X)), atol=1e-10)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_sparse_chunks_give_what_dense_chunks_give(rbm, X, visible):
    dense, sparse = (clone(rbm).set_params(visible=visible) for _ in range(2))
    for part in np.array_split(X, 7):
        dense.partial_fit(part)
        sparse.partial_fit(sp.csr_array(part))
    np.testing.assert_allclose(dense.components_, sparse.components_, atol=1e-10)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_a_row_does_not_depend_on_its_batch(X, visible):
    rbm = RBMTransformer(8, n_iter=2, visible=visible, random_state=0).fit(X)
    alone = np.vstack([rbm.transform(row[None]) for row in X])
    np.testing.assert_allclose(alone, rbm.transform(X), rtol=1e-12)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("sampler", ["pcd", "cd"])
def test_float32_stays_float32(X, visible, hidden, sampler):
    rbm = RBMTransformer(
        8,
        visible=visible,
        hidden=hidden,
        sampler=sampler,
        n_iter=2,
        momentum=0.5,
        random_state=0,
    )
    X = X.astype(np.float32)
    for fitted in (clone(rbm).fit(X), clone(rbm).partial_fit(X), rbm.fit(X).partial_fit(X)):
        run = fitted._run
        arrays = [
            *run.machine.arrays(),
            *run.average.arrays(),
            *run.velocity.arrays(),
            *run.activity,
            *run.chains.states,
            fitted.components_,
            fitted.intercept_hidden_,
            fitted.intercept_visible_,
            fitted.transform(X),
            fitted.inverse_transform(fitted.transform(X)),
        ]
        assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


def test_equal_seeds_give_equal_bits(rbm, X):
    first, second = clone(rbm).fit(X), clone(rbm).fit(X)
    assert np.array_equal(first.components_, second.components_)
    assert not np.array_equal(
        first.components_, clone(rbm).set_params(random_state=1).fit(X).components_
    )


def test_a_random_state_instance_moves_on(X):
    state = np.random.RandomState(0)
    rbm = RBMTransformer(8, n_iter=1, random_state=state)
    first = rbm.fit(X).components_
    assert not np.array_equal(first, clone(rbm).fit(X).components_)
    again = RBMTransformer(8, n_iter=1, random_state=np.random.RandomState(0)).fit(X)
    assert np.array_equal(first, again.components_)


def test_partial_fit_returns_self_and_takes_any_number_of_rows(rbm, X):
    for n in (1, 7, 60):
        assert rbm.partial_fit(X[:n]) is rbm
    assert rbm.n_iter_ == 3
    assert np.isfinite(rbm.transform(X)).all()


def test_warm_start_goes_on(rbm, X):
    rbm.set_params(warm_start=True).fit(X)
    before = rbm.components_.copy()
    rbm.set_params(learning_rate=1e-12).fit(X)
    assert rbm.n_iter_ == 6
    assert len(rbm.history_["weight_norm"]) == 6
    # A tiny step from the last parameters, not a new start.
    assert np.linalg.norm(rbm.components_ - before) < 0.5 * np.linalg.norm(before)


@pytest.mark.parametrize(
    "change",
    [
        {"momentum": 0.5},
        {"sampler": "cd"},
        {"batch_size": 7},
        {"learning_rate_schedule": "constant"},
    ],
)
def test_training_parameters_may_change_on_the_way(rbm, X, change):
    for go_on in (
        clone(rbm).fit(X).set_params(**change).partial_fit,
        clone(rbm).set_params(warm_start=True).fit(X).set_params(**change).fit,
    ):
        assert np.isfinite(go_on(X).transform(X)).all()


def test_going_on_keeps_the_dtype_and_the_columns(rbm, X):
    for go_on in (clone(rbm).partial_fit, clone(rbm).set_params(warm_start=True).fit):
        assert go_on(X.astype(np.float32)) is go_on(X)
        fitted = go_on(X > 0.5)
        assert fitted.components_.dtype == np.float32
        with pytest.raises(ValueError, match="X has 63 features"):
            go_on(X[:, 1:])


def test_the_kind_of_units_stays_when_going_on(rbm, X):
    for go_on in (clone(rbm).partial_fit, clone(rbm).set_params(warm_start=True).fit):
        go_on(X * 2)
        # These alone would be taken for grey levels.
        assert go_on(X).visible_type_ == "gaussian"


def test_partial_fit_does_not_depend_on_the_schedule(rbm, X):
    fitted = [
        clone(rbm).set_params(learning_rate_schedule=schedule).partial_fit(X).components_
        for schedule in ("linear", "cosine", "constant")
    ]
    assert np.array_equal(fitted[0], fitted[1])
    assert np.array_equal(fitted[0], fitted[2])


@pytest.mark.parametrize(("n_chains", "expected"), [(None, 7), (3, 3), (20, 20)])
def test_there_are_as_many_chains_as_were_asked_for(rbm, X, n_chains, expected):
    rbm.set_params(n_chains=n_chains, batch_size=7).fit(X)
    assert {len(x) for x in rbm._run.chains.states if x is not None} == {expected}


def test_a_new_fit_does_not_depend_on_the_last_one(rbm, X):
    used = clone(rbm).fit(X * 30).partial_fit(X * 50).fit(X)
    fresh = clone(rbm).fit(X)
    assert np.array_equal(used.components_, fresh.components_)
    assert used.history_ == fresh.history_
    assert (used.n_iter_, used.visible_type_) == (3, "bernoulli")


def test_a_pickled_machine_continues_as_the_original_does(rbm, X):
    rbm.fit(X)
    loaded = pickle.loads(pickle.dumps(rbm))
    assert np.array_equal(rbm.partial_fit(X).components_, loaded.partial_fit(X).components_)


def test_partial_fit_does_not_change_earlier_attributes(rbm, X):
    rbm.fit(X)
    components, history = rbm.components_, rbm.history_
    before = components.copy(), len(history["weight_norm"])
    rbm.partial_fit(X)
    assert np.array_equal(components, before[0])
    assert len(history["weight_norm"]) == before[1]


def test_rows_of_weight_zero_change_nothing(rbm, X):
    weight = np.ones(60)
    weight[40:] = 0
    weighted = clone(rbm).fit(X, sample_weight=weight)
    assert np.allclose(weighted._run.moments.mean, X[:40].mean(axis=0))
    # Other values in rows of weight zero change no bit.
    other = np.where(weight[:, None] > 0, X, 0.999)
    assert np.array_equal(
        weighted.components_, clone(rbm).fit(other, sample_weight=weight).components_
    )


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"visible": "gaussian"}, {"sampler": "cd"}, {"validation_fraction": 0.2}],
    ids=str,
)
def test_rows_of_weight_zero_are_rows_left_out(rbm, X, call, parameters):
    rbm.set_params(**parameters)
    weighted = getattr(clone(rbm), call)(X, sample_weight=np.r_[np.ones(40), np.zeros(20)])
    left_out = getattr(clone(rbm), call)(X[:40])
    assert np.array_equal(weighted.components_, left_out.components_)
    assert weighted.history_ == left_out.history_


def test_only_proportions_of_weights_count_in_fit(rbm, X):
    weight = np.random.default_rng(0).uniform(1, 3, 60)
    np.testing.assert_allclose(
        clone(rbm).fit(X, sample_weight=weight).components_,
        clone(rbm).fit(X, sample_weight=1000 * weight).components_,
        atol=1e-6,
    )


@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_history_has_an_entry_for_each_pass(rbm, X, fraction):
    rbm.set_params(validation_fraction=fraction).fit(X)
    keys = {
        "reconstruction_error",
        "mean_activity",
        "dead_units",
        "saturated_units",
        "redundant_units",
        "free_energy_swing",
        "weight_norm",
    }
    assert set(rbm.history_) == keys | ({"free_energy_gap"} if fraction else set())
    assert all(len(v) == 3 and np.isfinite(v).all() for v in rbm.history_.values())


def test_the_history_of_passes_with_and_without_a_validation_part_has_one_length(rbm, X):
    rbm.set_params(warm_start=True, n_iter=2).fit(X)
    rbm.set_params(validation_fraction=0.2).fit(X).partial_fit(X)
    assert {len(v) for v in rbm.history_.values()} == {5}
    gap = rbm.history_["free_energy_gap"]
    assert np.array_equal(np.isnan(gap), [True, True, False, False, True])


@pytest.mark.parametrize("n_rows", [1, 2, 3])
@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_one_row_at_least_is_trained_on(rbm, X, n_rows, fraction):
    rbm.set_params(validation_fraction=fraction).fit(X[:n_rows])
    assert np.isfinite(rbm.components_).all()
    assert ("free_energy_gap" in rbm.history_) == (n_rows > 1)


def test_momentum_is_kept_between_chunks(rbm, X):
    rbm.set_params(momentum=0.9).partial_fit(X)
    before = rbm._run.machine.W[0].copy()
    # A tiny step: what moves the weights is the momentum.
    rbm.set_params(learning_rate=1e-12).partial_fit(X[:1])
    assert np.linalg.norm(rbm._run.machine.W[0] - before) > 1e-4


def test_overfitting_opens_the_free_energy_gap():
    rbm = RBMTransformer(
        64, n_iter=150, validation_fraction=0.5, learning_rate=0.1, random_state=0
    ).fit(DIGITS[:60])
    gap = rbm.history_["free_energy_gap"]
    assert gap[-1] > gap[0] + 1


def test_dataframes_keep_their_names(rbm, X):
    frame = pd.DataFrame(X, columns=[f"pixel {j}" for j in range(64)])
    rbm.set_output(transform="pandas").fit(frame)
    out = rbm.transform(frame)
    assert list(out.columns) == [f"rbmtransformer{j}" for j in range(8)]
    with pytest.raises(ValueError, match="feature names"):
        rbm.transform(frame[frame.columns[::-1]])


def test_polars_output(rbm, X):
    assert rbm.set_output(transform="polars").fit_transform(X).shape == (60, 8)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(
    "unusual",
    [
        lambda X: np.zeros_like(X),
        lambda X: np.where(np.arange(64) < 32, 1.0, X),
        lambda X: X[:1],
        lambda X: X[:, 20:21],
        lambda X: X[:3],
        lambda X: np.repeat(X[:1], 60, axis=0),
        lambda X: (X > 0.5).astype(int),
        lambda X: X > 0.5,
        np.asfortranarray,
        lambda X: [list(row) for row in X],
    ],
    ids=[
        "all zero",
        "constant columns",
        "one row",
        "one column",
        "fewer rows than a batch",
        "duplicate rows",
        "int",
        "bool",
        "Fortran order",
        "lists",
    ],
)
def test_unusual_data_give_finite_features(rbm, X, visible, unusual):
    X = unusual(X)
    for fitted in (clone(rbm).set_params(visible=visible).fit(X), clone(rbm).partial_fit(X)):
        H = fitted.transform(X)
        assert H.shape == (len(X), 8)
        assert np.isfinite(H).all()
        assert np.isfinite(fitted.inverse_transform(H)).all()


def test_read_only_rows_are_accepted(rbm, X):
    X = X.copy()
    X.flags.writeable = False
    before = X.copy()
    rbm.fit(X).partial_fit(X).transform(X)
    assert np.array_equal(X, before)


def test_a_last_batch_of_one_row_does_not_degrade_features():
    """BernoulliRBM falls from 0.70 to chance when n_samples % batch_size is 1."""
    scores = {}
    for n in (1300, 1301):
        rbm = RBMTransformer(64, n_iter=15, batch_size=50, learning_rate=0.2, random_state=0)
        scores[n] = accuracy(rbm.fit(DIGITS[:n]).transform(DIGITS))
    assert min(scores.values()) > 0.8
    assert abs(scores[1300] - scores[1301]) < 0.03
    reference = BernoulliRBM(64, n_iter=15, batch_size=50, learning_rate=0.2, random_state=0)
    assert accuracy(reference.fit(DIGITS[:1301]).transform(DIGITS)) < scores[1301]


@pytest.mark.slow
def test_rows_one_by_one_are_as_good_as_batches():
    rows = DIGITS[:700]
    order = np.random.default_rng(0).permutation(np.tile(np.arange(700), 6))
    single, whole = (RBMTransformer(32, random_state=0) for _ in range(2))
    for i in order:
        single.partial_fit(rows[i : i + 1])
    for part in order.reshape(-1, 10):
        whole.partial_fit(rows[part])
    scores = [accuracy(rbm.transform(DIGITS)) for rbm in (single, whole)]
    assert min(scores) > 0.8
    assert scores[0] > scores[1] - 0.03


def in_chunks(rbm, X):
    for part in np.split(X, [9, 10, 80]):
        rbm.partial_fit(part)
    return rbm


def gone_on(rbm, X):
    return rbm.set_params(warm_start=True).fit(X[:90]).fit(X[60:])


@pytest.mark.parametrize(
    "train", [RBMTransformer.fit, RBMTransformer.partial_fit, in_chunks, gone_on]
)
def test_real_values_may_be_in_any_unit(train):
    X = np.random.default_rng(0).normal(size=(200, 3)) @ np.diag([1.0, 2.0, 0.5])
    rbm = RBMTransformer(16, n_iter=10, random_state=0)
    unit, shift = np.array([1e3, 1e-3, 7.0]), np.array([5e3, -2.0, 0.0])
    plain = train(clone(rbm), X)
    other = train(clone(rbm), X * unit + shift)
    np.testing.assert_allclose(
        plain.transform(X), other.transform(X * unit + shift), rtol=1e-6, atol=1e-8
    )
    back = other.inverse_transform(other.transform(X * unit + shift))
    np.testing.assert_allclose(
        (back - shift) / unit, plain.inverse_transform(plain.transform(X)), atol=1e-6
    )


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e-3])
@pytest.mark.parametrize("n_first", [1, 2])
def test_a_small_first_chunk_does_not_degrade_real_valued_features(unit, n_first):
    """Its columns have no scale yet, or a poor one, which later chunks have to put right."""
    X = np.random.default_rng(0).normal(size=(400, 3)) * unit + 5 * unit
    rbm = RBMTransformer(16, visible="gaussian", random_state=0)
    rbm.partial_fit(X[:n_first])
    for part in np.array_split(X[n_first:], 40):
        rbm.partial_fit(part)
    H = rbm.transform(X)
    assert np.mean((H < 0.01) | (H > 0.99)) < 0.5


def test_the_noise_of_real_columns_is_learnt():
    rng = np.random.default_rng(0)
    cause = rng.integers(0, 2, (2000, 1))
    noise = np.array([0.7, 1.0])
    X = 4.0 * cause + rng.normal(size=(2000, 2)) * noise
    rbm = RBMTransformer(2, n_iter=60, random_state=0).fit(X)
    assert 0.5 * noise[0] ** 2 < rbm.visible_variance_[0] < 2 * noise[0] ** 2
    assert 0.5 * noise[1] ** 2 < rbm.visible_variance_[1] < 2 * noise[1] ** 2


def test_flipping_the_bits_changes_nothing_that_is_learnt():
    X = (DIGITS[:, 10:22] > 0.4).astype(float)

    def log_likelihood(rbm, X):
        h = (np.arange(2**6)[:, None] >> np.arange(6)) & 1
        a, b, W = rbm.intercept_visible_, rbm.intercept_hidden_, rbm.components_
        log_z = np.logaddexp.reduce(h @ b + np.logaddexp(0, h @ W + a).sum(axis=1))
        return (X @ a + np.logaddexp(0, X @ W.T + b).sum(axis=1)).mean() - log_z

    def spread(centered):
        plain, flipped = [], []
        for seed in range(3):
            rbm = RBMTransformer(6, n_iter=10, centered=centered, random_state=seed)
            plain.append(log_likelihood(clone(rbm).fit(X), X))
            flipped.append(log_likelihood(clone(rbm).fit(1 - X), 1 - X))
        return abs(np.mean(plain) - np.mean(flipped))

    assert spread(centered=True) < 0.05


def test_divergence_raises_an_error_and_changes_nothing(X):
    rbm = RBMTransformer(8, n_iter=3, random_state=0).fit(X)
    before = rbm.transform(X)
    rbm.set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30 diverged in pass 1: try learn"):
        rbm.fit(X)
    with pytest.raises(ValueError, match="diverged"):
        rbm.partial_fit(X)
    assert np.array_equal(rbm.transform(X), before)


def test_verbose_prints_a_line_for_each_pass(rbm, X, capsys):
    rbm.set_params(verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[RBMTransformer] pass 1: reconstruction_error ")
