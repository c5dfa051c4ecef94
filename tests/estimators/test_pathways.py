"""Separate pathways below a joint layer: fits, rows that lack a modality, and draws of it."""

import numpy as np
import pandas as pd
import pytest
from helpers import exact
from helpers.training import make_settings
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.machine import PathwayWeights
from sklearn_dbn.training import coordinates
from sklearn_dbn.units import Blocks

RBM = RBMTransformer(n_iter=3)
# Parameters of a training that learns how the pathways depend on each other.
WELL = {"rbm__n_iter": 100, "rbm__n_gibbs_steps": 5, "rbm__sparsity_target": None}
SIZES = ({"bits": 5, "reals": 4}, 6)
PATHWAYS = {"bits": slice(0, 4), "reals": [4, 5, 6]}
deep = pytest.mark.parametrize("kind", [DBNTransformer, DBMTransformer])


def pairs(n_rows=150, seed=0, noise=0.1):
    """Bits of one of two patterns, and real numbers about one of two means, which agree."""
    rng = np.random.default_rng(seed)
    which = rng.integers(2, size=n_rows)
    bits = np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[which] ^ (rng.random((n_rows, 4)) < noise)
    reals = 2.0 * (2 * which[:, None] - 1) + rng.standard_normal((n_rows, 3))
    return np.hstack([bits, reals]), which


X, y = pairs()


def lacking(rows, columns):
    rows = rows.copy()
    rows[:, columns] = np.nan
    return rows


def make(kind, sizes=SIZES, **changes):
    model = kind(sizes, pathways=PATHWAYS, rbm=clone(RBM), random_state=0)
    return model.set_params(**changes)


@deep
def test_each_pathway_has_units_of_its_own_kind_and_weights(kind):
    model = make(kind).fit(X)
    assert [unit.name for unit, _ in model._stack[0].units[0].blocks] == [
        "bernoulli",
        "gaussian",
    ]
    first = model.rbms_[0].components_.T if kind is DBNTransformer else model.weights_[0]
    assert first.shape == (7, 9)
    assert not first[:4, 5:].any()
    assert not first[4:, :5].any()
    assert first[:4, :5].all()
    assert first[4:, 5:].all()
    assert model.transform(X).shape == (150, 15)
    names = model.get_feature_names_out()
    assert [names[i] for i in (0, 5, 8, 9)] == [
        "layer0_bits_unit0",
        "layer0_reals_unit0",
        "layer0_reals_unit3",
        "layer1_unit0",
    ]


@deep
def test_columns_of_pathways_may_be_anywhere_in_a_frame_of_any_kinds(kind):
    frame = pd.DataFrame(X[:, [4, 0, 5, 1, 6, 2, 3]], columns=list("abcdefg"))
    frame["job"] = pd.Categorical(np.where(y, "nurse", "cook"), ["cook", "nurse", "none"])
    pathways = {"p": ["b", "d", "job", "f"], "q": ["g", "e", "c", "a"]}
    rows = frame.copy()
    rows.loc[:9, pathways["p"]] = None
    model = kind(({"q": 3, "p": 4}, 5), pathways=pathways, rbm=RBM, random_state=0).fit(rows)
    p, q = (unit for unit, _ in model._stack[0].units[0].blocks)
    assert isinstance(p, Blocks)
    assert p.name == "bernoulli+categorical"
    assert q.name == "bernoulli+gaussian"
    filled = model.impute(rows)
    assert list(filled.columns) == list(frame.columns)
    pd.testing.assert_frame_equal(filled[10:], frame[10:])
    assert set(filled["job"]) <= {"cook", "nurse", "none"}
    assert model.sample(4, random_state=0)["job"].dtype == frame["job"].dtype


@deep
def test_the_order_of_the_columns_changes_nothing_else(kind):
    order = np.array([3, 6, 0, 4, 1, 5, 2])
    places = np.argsort(order)
    moved = {"bits": places[:4], "reals": places[4:]}
    plain, other = make(kind).fit(X), make(kind, pathways=moved).fit(X[:, order])
    np.testing.assert_array_equal(plain.transform(X), other.transform(X[:, order]))


@deep
@pytest.mark.parametrize("gap", ["none", "reals", "some"])
def test_without_a_joint_layer_the_score_is_that_of_separate_machines(kind, gap):
    """The sum over the pathways, of complete rows and of observed entries."""
    model = make(kind, ({"bits": 5, "reals": 4},)).fit(X)
    run = model._bottom_run
    joint, weights = run.average, run.average.W[0]
    assert isinstance(weights, PathwayWeights)
    rows = X[:20].copy()
    if gap == "reals":
        rows = lacking(rows, PATHWAYS["reals"])
    elif gap == "some":
        rows[:, 1] = rows[:, 5] = np.nan
    v = run.columns.states(rows)
    expected = -(~np.isnan(v) @ run.log_scale())
    for rbm, at, _ in joint.pathways():
        separate = exact.Machine(rbm.units, rbm.par, rbm.W)
        expected = expected + exact.log_p_of_known(separate, v[:, at])
    np.testing.assert_allclose(model.score_samples(rows), expected, atol=0.02)


def test_joint_weights_of_zero_give_the_score_of_separate_machines():
    model = make(DBMTransformer).fit(X)
    machine = model._run.average
    machine.W[1][...] = 0
    model._estimates.clear()
    run = model._bottom_run
    v, expected = run.columns.states(X[:20]), -run.log_scale().sum()
    for rbm, at, _ in machine.pathways():
        separate = exact.Machine(rbm.units, rbm.par, rbm.W)
        expected = expected + exact.log_p(separate, v[:, at])
    np.testing.assert_allclose(model.score_samples(X[:20]), expected, atol=0.1)


@deep
def test_each_pathway_has_the_learning_rate_of_a_machine_of_its_own(kind):
    model = make(kind, ({"bits": 5, "reals": 4},)).fit(X)
    sizes = ((5, PATHWAYS["bits"]), (4, PATHWAYS["reals"]))
    separate = [
        make(kind, n, pathways=None).fit(X[:, columns])._bottom_run for n, columns in sizes
    ]
    settings = make_settings(learning_rate=None)
    rates = [run.rate(settings) for run in separate]
    run = model._bottom_run
    assert run.rate(settings) == min(rates)
    scale = coordinates(run.machine, run.limits, settings, None)
    np.testing.assert_allclose(scale[[0, 4]], [(min(rates) / rate) ** 0.5 for rate in rates])
    assert scale[0] < 0.8


@deep
def test_a_modality_is_inferred_from_the_other(kind):
    """Also below a second layer of pathways."""
    for sizes in (SIZES, ({"bits": 5, "reals": 4}, {"reals": 4, "bits": 4}, 6)):
        model = make(kind, sizes, **WELL).fit(X)
        filled = model.impute(lacking(X, PATHWAYS["bits"]))
        share = np.mean((filled[:, :4] > 0.5) == np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[y])
        assert share > 0.9
        filled = model.impute(lacking(X, PATHWAYS["reals"]))
        assert np.mean((filled[:, 4:] > 0) == (y[:, None] == 1)) > 0.8


@deep
@pytest.mark.parametrize("fill", ["mean_field", "draws"])
def test_features_of_rows_that_lack_a_modality_depend_on_the_other_one(kind, fill):
    model = make(kind, fill=fill, layers=[1], **WELL)
    model.fit(X)
    head = LogisticRegression().fit(model.transform(X), y)
    for columns in PATHWAYS.values():
        assert head.score(model.transform(lacking(X, columns)), y) > 0.85


@deep
@pytest.mark.parametrize("output", ["probability", "logit", "binary"])
def test_no_feature_depends_on_other_rows(kind, output):
    model = make(kind, fill="draws", output=output).fit(X)
    rows = X[:8].copy()
    rows[0:2, :4] = np.nan
    rows[2:4, 4:] = np.nan
    rows[4, [1, 5]] = np.nan
    together = model.transform(rows)
    alone = np.vstack([model.transform(row[None]) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-9)
    np.testing.assert_array_equal(
        together[5:], model.select(fill="mean_field").transform(rows)[5:]
    )


def test_features_of_draws_are_averages_over_the_conditional_distribution():
    """Of a machine that is small enough to sum over the states of the missing modality."""
    bits = {"first": slice(0, 3), "second": slice(3, 6)}
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.integers(2, size=(200, 2)), 3, axis=1) ^ (rng.random((200, 6)) < 0.2)
    for kind in (DBNTransformer, DBMTransformer):
        model = kind(
            ({"first": 3, "second": 3}, 2),
            pathways=bits,
            rbm=RBMTransformer(n_iter=60, sparsity_target=None),
            random_state=0,
        ).fit(rows.astype(float))
        row = np.array([[1.0, 1, 0, np.nan, np.nan, np.nan]])
        complete = np.hstack([np.repeat(row[:, :3], 8, axis=0), exact.bits(3)])
        log_p = model.score_samples(complete)
        p = np.exp(log_p - logsumexp(log_p))
        expected = p @ model.transform(complete)
        found = [model.select(fill=fill).transform(row)[0] for fill in ("draws", "mean_field")]
        assert np.abs(found[0] - expected).max() < 0.15


@deep
def test_draws_of_a_modality_have_both_modes_of_its_posterior(kind):
    """Two patterns of bits for the same reals: half of the draws have each."""
    rng = np.random.default_rng(0)
    which = rng.integers(3, size=300)
    bits = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]])[which]
    bits = bits ^ (rng.random(bits.shape) < 0.03)
    reals = 2.0 * ((which < 2)[:, None] * 2 - 1) + rng.standard_normal((300, 2))
    rows = np.hstack([bits, reals])
    model = kind(
        ({"bits": 20, "reals": 8}, 12),
        pathways={"bits": slice(6), "reals": slice(6, 8)},
        rbm=RBMTransformer(n_iter=150, sampler="tempering"),
        random_state=0,
    ).fit(rows)
    given = np.tile([*[np.nan] * 6, 2.5, 2.5], (400, 1))
    drawn = model.sample(given=given, random_state=0)
    first = np.mean(drawn[:, :3].sum(axis=1) > drawn[:, 3:6].sum(axis=1))
    assert 0.25 < first < 0.75
    # The mean field shows one of them, or a blend.
    assert np.mean(np.abs(drawn[:, :3].sum(axis=1) - drawn[:, 3:6].sum(axis=1)) >= 2) > 0.8


@deep
def test_layers_are_searched_without_another_training(kind, tmp_path, monkeypatch):
    pipe = make_pipeline(make(kind, memory=tmp_path), LogisticRegression())
    name = kind.__name__.lower()
    grid = {f"{name}__layers": [[0], [1], [0, 1]], f"{name}__units": [None, 4]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.9
    first = clone(pipe[0]).fit(X).transform(X)

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("sklearn_dbn.training.MachineLoop.train", refuse)
    np.testing.assert_array_equal(clone(pipe[0]).fit(X).transform(X), first)
    for changed in (
        {"modality_dropout": 0.2},
        {"hidden_layer_sizes": ({"bits": 4, "reals": 5}, 6)},
        {"pathways": {"bits": slice(0, 3), "reals": slice(3, 7)}},
    ):
        with pytest.raises(AssertionError, match="trained again"):
            clone(pipe[0]).set_params(**changed).fit(X)


def test_modality_dropout_leaves_the_layers_below_the_joint_one_as_they_are(tmp_path):
    plain, dropped = (make(DBNTransformer, modality_dropout=x).fit(X) for x in (0.0, 0.5))
    np.testing.assert_array_equal(plain.rbms_[0].components_, dropped.rbms_[0].components_)
    assert np.any(plain.rbms_[1].components_ != dropped.rbms_[1].components_)


@deep
def test_training_rows_may_lack_a_modality(kind):
    """Unpaired rows train their own pathway, and pairs the joint layer."""
    rows = X.copy()
    rows[:50, :4] = np.nan
    rows[50:100, 4:] = np.nan
    model = make(kind, **WELL).fit(rows)
    filled = model.impute(lacking(X[100:], PATHWAYS["bits"]))[:, :4]
    share = np.mean((filled > 0.5) == np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[y[100:]])
    assert share > 0.85


@deep
@pytest.mark.parametrize(
    "changes",
    [{"generative_weight": 0.1}, {"solver": "lbfgs"}, {"max_norm": 1.0, "weight_decay": 0.1}],
)
def test_pathways_are_fine_tuned(kind, changes):
    model = DBNClassifier(make(kind), random_state=0, n_iter=20, **changes).fit(X, y)
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.predict_proba(lacking(X, PATHWAYS["bits"]))).all()
    tuned = model.fine_tuned_transformer_._stack[0].W[0]
    before = make(kind).fit(X)._stack[0].W[0]
    for after, part in zip(tuned.parts, before.parts, strict=True):
        assert np.any(after != part)


@deep
def test_partial_fit_and_warm_start_go_on_with_the_pathways(kind):
    model = make(kind).partial_fit(X[:80]).partial_fit(X[80:])
    assert model.transform(X).shape == (150, 15)
    model = make(kind, warm_start=True).fit(X)
    before = model._stack[0].W[0].parts[1].copy()
    assert np.any(model.fit(X)._stack[0].W[0].parts[1] != before)
    with pytest.raises(ValueError, match="layers of"):
        model.set_params(hidden_layer_sizes=({"bits": 4, "reals": 5}, 6)).fit(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@deep
def test_precision_is_kept(kind, dtype):
    model = make(kind, fill="draws").fit(X.astype(dtype))
    assert model.transform(lacking(X.astype(dtype), [4, 5, 6])).dtype == dtype
    assert all(part.dtype == dtype for part in model._stack[0].W[0].parts)
