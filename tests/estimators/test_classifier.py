"""DBNClassifier: what it learns, what it does not change, and its errors."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.machine import mean_field

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
RBM = RBMTransformer(n_iter=5)
DBN = DBNTransformer((24, 16), rbm=RBM, random_state=0).fit(X)
DBM = DBMTransformer((24, 16), rbm=RBM, random_state=0, layers="all").fit(X)
DEEP_DBM = DBMTransformer((20, 16, 12), rbm=RBM, random_state=0).fit(X)
FROZEN = {
    "rbm": RBMTransformer(24, n_iter=5, random_state=0).fit(X),
    "dbn": DBN,
    "dbm": DBM,
    "dbm of three layers": DEEP_DBM,
    "gaussian dbn": DBNTransformer(
        (24, 16), rbm=RBMTransformer(n_iter=5, visible="gaussian"), random_state=0
    ).fit(X),
    "gaussian hidden": DBNTransformer(
        (24, 16), rbm=RBMTransformer(n_iter=3, hidden="gaussian"), random_state=0
    ).fit(X),
}


def classifier(generator=DBN, **parameters):
    plain = {"n_iter": 4, "random_state": 0}
    return DBNClassifier(FrozenEstimator(generator), **(plain | parameters))


def arrays_of(generator):
    return [x for machine in generator._stack for x in machine.arrays()]


def same(one, other):
    pairs = zip(arrays_of(one), arrays_of(other), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "cg"])
def test_it_learns(solver):
    rate = {"adam": 0.01, "sgd": 0.1}.get(solver, 0.01)
    clf = classifier(solver=solver, learning_rate=rate, n_iter=40).fit(X[:300], y[:300])
    assert clf.score(X[300:], y[300:]) > 0.8
    assert clf.history_["loss"][-1] < 0.5 * clf.history_["loss"][0]
    assert clf.n_iter_ == len(clf.history_["loss"]) <= 40


@pytest.mark.parametrize("kind", FROZEN)
def test_without_a_pass_the_features_are_those_of_the_generator(kind):
    generator = FROZEN[kind]
    clf = classifier(generator, n_iter=0, top_down_input=False).fit(X, y)
    expected = generator.transform(X)
    if "dbm" in kind:
        swept = copy.copy(generator).set_params(inference="single_pass")
        expected = swept.transform(X)
    np.testing.assert_allclose(clf.transform(X), expected, atol=1e-10)
    pairs = zip(arrays_of(clf.fine_tuned_transformer_), arrays_of(generator), strict=True)
    assert all(np.allclose(x, z, rtol=1e-12) for x, z in pairs)
    p = clf.predict_proba(X)
    np.testing.assert_allclose(p, (np.bincount(y) + 1)[None] / (len(y) + 10) + 0 * p)


def test_the_augmented_network_starts_at_an_update_of_the_mean_field():
    for generator in (DBM, DEEP_DBM):
        clf = classifier(generator, n_iter=0).fit(X, y)
        machine = generator._machine
        states = mean_field(machine, X, tolerance=1e-4).means(machine)
        states[0] = X
        for layer in range(1, len(states)):
            states[layer] = machine.means([layer], states)[layer]
        view = generator.select(layers="all", units=None)
        clf.transformer_ = view
        np.testing.assert_allclose(clf.transform(X), np.hstack(states[1:]), atol=1e-10)


@pytest.mark.parametrize("kind", FROZEN)
@pytest.mark.parametrize("weight", [0.0, 0.01])
def test_the_pretrained_generator_is_unchanged_and_the_tuned_one_is_complete(kind, weight):
    generator = FROZEN[kind]
    before = [x.copy() for x in arrays_of(generator)]
    clf = classifier(generator, generative_weight=weight).fit(X, y)
    assert all(map(np.shares_memory, arrays_of(clf.transformer_), arrays_of(generator)))
    assert all(map(np.array_equal, before, arrays_of(generator)))
    tuned = clf.fine_tuned_transformer_
    assert not same(tuned, generator)
    assert tuned.sample(3, n_gibbs_steps=2, random_state=0).shape == (3, 64)
    assert tuned.transform(X).shape == generator.transform(X).shape
    assert tuned.reconstruct(X).shape == X.shape
    assert "log_z" not in tuned._estimates
    for old, new in zip(generator._stack, tuned._stack, strict=True):
        assert np.array_equal(old.par[0], new.par[0]) == (weight == 0)
    if "dbm" not in kind and kind != "gaussian hidden":
        np.testing.assert_allclose(tuned.transform(X), clf.transform(X), atol=1e-8)


def test_the_tuned_generator_can_be_trained_further():
    clf = classifier().fit(X, y)
    tuned = clf.fine_tuned_transformer_
    features = tuned.transform(X)
    tuned.partial_fit(X)
    assert not np.array_equal(tuned.transform(X), features)
    np.testing.assert_array_equal(clf.transform(X), features)


@pytest.mark.parametrize(
    ("fine_tune", "moved"),
    [
        ("all", [True, True]),
        ("head", [False, False]),
        (1, [False, True]),
        (0, [False, False]),
        ((1.0, 0.0), [True, False]),
        ([0, 0.5], [False, True]),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_frozen_layers_stay_as_they_are(fine_tune, moved, solver):
    if solver == "lbfgs" and fine_tune == [0, 0.5]:
        fine_tune = [0, 1]
    for kind in ("dbn", "gaussian dbn"):
        clf = classifier(FROZEN[kind], fine_tune=fine_tune, solver=solver).fit(X, y)
        stacks = zip(FROZEN[kind]._stack, clf.fine_tuned_transformer_._stack, strict=True)
        for changed, (old, new) in zip(moved, stacks, strict=True):
            assert np.array_equal(old.W[0], new.W[0]) != changed
            assert np.array_equal(old.par[1], new.par[1]) != changed


def test_a_factor_is_one_on_the_learning_rate():
    for solver in ("adam", "sgd"):
        one = classifier(fine_tune=(1.0, 1.0), solver=solver).fit(X, y)
        assert same(
            one.fine_tuned_transformer_,
            classifier(solver=solver).fit(X, y).fine_tuned_transformer_,
        )
        small = classifier(fine_tune=(1e-3, 1.0), solver=solver).fit(X, y)
        far, near = (
            np.abs(c.fine_tuned_transformer_.rbms_[0].components_ - DBN.rbms_[0].components_)
            for c in (one, small)
        )
        assert 0 < near.max() < 0.01 * far.max()


def test_untied_weights_leave_the_generator_as_it_was():
    clf = classifier(tie_weights=False).fit(X, y)
    assert same(clf.fine_tuned_transformer_, DBN)
    assert not np.allclose(clf.transform(X), DBN.transform(X))
    tied = classifier().fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), tied.predict_proba(X))


@pytest.mark.slow
def test_the_generative_gradient_keeps_the_generator():
    B = (X > 0.5).astype(float)
    rbm = RBMTransformer(16, n_iter=20, random_state=0).fit(B)
    score = {}
    for weight in (0.0, 0.1):
        clf = classifier(rbm, n_iter=60, learning_rate=0.03, generative_weight=weight)
        score[weight] = clf.fit(B, y).fine_tuned_transformer_.score(B)
    assert score[0.1] > score[0.0] + 10
    assert score[0.1] > rbm.score(B) - 10


def test_equal_seeds_give_equal_results():
    clf = DBNClassifier(
        DBNTransformer((8, 6), rbm=RBM),
        n_iter=2,
        dropout=0.2,
        generative_weight=0.01,
        random_state=3,
        early_stopping=True,
    )
    one, two = clf.fit(X, y), clone(clf).fit(X, y)
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    assert one.history_ == two.history_
    other = clone(clf).set_params(random_state=4).fit(X, y)
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_folds_and_settings_share_the_pretraining(tmp_path):
    dbn = DBNTransformer((8, 6), rbm=RBM, memory=str(tmp_path))
    clf = DBNClassifier(dbn, n_iter=1, random_state=0)
    GridSearchCV(clf, {"learning_rate": [0.01, 0.1], "transformer__layers": [0, 1]}, cv=2).fit(
        X, y
    )
    entries = [path for path in tmp_path.rglob("*") if path.is_file() and not path.suffix]
    # Two layers and two fine-tunings of each fold, which features are chosen or not; and
    # those of the best setting on all rows.
    assert len(entries) == 2 * (2 + 2) + (2 + 1)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_invalid_class_weights_are_refused(weight):
    clf = DBNClassifier(RBM, class_weight={0: weight})
    with pytest.raises(ValueError, match=r"class_weight=.* finite weight that is not negative"):
        clf.fit(X, y)


def test_strings_are_classes_and_keep_their_order():
    names = np.array(["b", "a", "c"])[y % 3]
    clf = classifier().fit(X, names)
    assert list(clf.classes_) == ["a", "b", "c"]
    best = clf.predict_proba(X).argmax(axis=1)
    assert np.array_equal(clf.predict(X), clf.classes_[best])
    np.testing.assert_allclose(
        np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-6
    )


def test_two_classes_have_one_score():
    clf = classifier().fit(X, y > 4)
    p = clf.predict_proba(X)
    np.testing.assert_allclose(clf.decision_function(X), np.log(p[:, 1] / p[:, 0]), rtol=1e-6)
    assert clf.predict(X).dtype == bool


def test_a_single_class_is_predicted():
    clf = classifier().fit(X, np.full(len(X), 7))
    assert (clf.predict(X) == 7).all()
    assert clf.predict_proba(X).shape == (len(X), 1)


@pytest.mark.slow
def test_several_labels_of_each_row():
    A, B = make_multilabel_classification(200, 12, n_classes=4, random_state=0)
    A = A / A.max()
    dbn = DBNTransformer((16,), rbm=RBM)
    clf = DBNClassifier(
        dbn, n_iter=60, learning_rate=0.02, label_smoothing=0.05, random_state=0
    )
    predicted = clf.fit(A, B).predict(A)
    assert (predicted == B).mean() > 0.8
    np.testing.assert_array_equal(predicted, clf.predict_proba(A) > 0.5)
    np.testing.assert_array_equal(clone(clf).fit(A, sp.csr_array(B)).predict(A), predicted)
    np.testing.assert_allclose(
        np.exp(clf.predict_log_proba(A)), clf.predict_proba(A), rtol=1e-6
    )
    balanced = clone(clf).set_params(class_weight="balanced").fit(A, B)
    assert not np.array_equal(balanced.decision_function(A), clf.decision_function(A))


def test_rows_without_a_label_train_the_generator_alone():
    some = np.where(np.arange(len(y)) % 4, -1, y)
    rows = np.flatnonzero(some >= 0)
    dbn = DBNTransformer((24, 16), rbm=RBM, random_state=0)
    none = {"adversarial_eps": 0, "virtual_adversarial_eps": 0}
    clf = DBNClassifier(dbn, unlabeled=-1, n_iter=4, random_state=0, **none).fit(X, some)
    assert list(clf.classes_) == list(range(10))
    assert same(clf.transformer_, DBN)
    frozen = classifier(unlabeled=-1, **none).fit(X[rows], y[rows].astype(np.uint8))
    np.testing.assert_array_equal(clf.predict_proba(X), frozen.predict_proba(X))
    pulled = classifier(unlabeled=-1, generative_weight=0.01, **none).fit(X, some)
    assert not np.array_equal(pulled.predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_without_a_label_improve_the_classifier(seed):
    rng = np.random.default_rng(seed)
    B = np.arange(300) % 2
    A = (B[:, None] == (np.arange(30) < 15)) ^ (rng.random((300, 30)) < 0.33)
    A = A.astype(float)
    some = np.where(np.arange(300) < 6, B, -1)
    rbm = RBMTransformer(16, n_iter=5, random_state=0).fit(A)
    settings = {"n_iter": 300, "learning_rate": 0.01, "virtual_adversarial_eps": 0.3}
    with_others = classifier(rbm, unlabeled=-1, **settings).fit(A, some)
    alone = classifier(rbm, **settings).fit(A[:6], B[:6])
    assert with_others.score(A, B) > alone.score(A, B) + 0.03


def test_weights_of_rows_and_of_classes():
    weight = np.where(y == 3, 20.0, 1.0)
    settings = {"n_iter": 10, "learning_rate": 0.003}
    by_row = classifier(**settings).fit(X, y, sample_weight=weight)
    by_class = classifier(class_weight={3: 20.0}, **settings).fit(X, y)
    np.testing.assert_allclose(by_row.predict_proba(X), by_class.predict_proba(X))
    plain = classifier(**settings).fit(X, y)
    assert (by_row.predict(X) == 3).sum() > (plain.predict(X) == 3).sum()
    none = classifier().fit(X, y, sample_weight=(y != 3).astype(float))
    assert (none.predict(X) != 3).all()


def test_the_best_pass_on_the_validation_part_is_kept():
    clf = classifier(
        early_stopping=True, n_iter=60, n_iter_no_change=3, learning_rate=0.05
    ).fit(X, y)
    assert clf.n_iter_ < 60
    keys = list(
        zip(
            clf.history_["validation_score"],
            -np.array(clf.history_["validation_loss"]),
            strict=True,
        )
    )
    assert keys.index(max(keys)) == len(keys) - 4
    scipys = classifier(early_stopping=True, solver="lbfgs", n_iter=50).fit(X, y)
    assert scipys.n_iter_ == len(scipys.history_["validation_score"])


@pytest.mark.parametrize("option", ["virtual_adversarial_eps", "generative_weight"])
def test_held_out_rows_are_not_trained_on_without_their_label_either(option):
    few, some = X[:50], np.where(np.arange(50) < 40, y[:50] % 2, -1)
    settings = {"early_stopping": True, "validation_fraction": 0.25, "n_iter": 1}
    # An automatic length looks at all rows.
    settings |= {"virtual_adversarial_eps": 0, option: 0.3}
    clf = classifier(unlabeled=-1, batch_size=5, **settings)
    learned = clf.fit(few, some).predict_proba(X)
    n_unchanged = 0
    for i in range(40):
        moved = few.copy()
        moved[i] = 1 - moved[i]
        n_unchanged += np.array_equal(clf.fit(moved, some).predict_proba(X), learned)
    assert n_unchanged == 10


def test_features_follow_the_selection_of_the_transformer():
    dbn = DBN.select(layers="all", units=5, passthrough=True)
    clf = classifier(dbn).fit(X, y)
    names = clf.get_feature_names_out()
    assert list(names) == list(dbn.get_feature_names_out())
    assert clf.transform(X).shape == (len(X), 5 + 64)
    tuned = clf.fine_tuned_transformer_.transform(X)
    np.testing.assert_allclose(clf.transform(X), tuned, atol=1e-10)
    assert isinstance(clf.set_output(transform="pandas").transform(X), pd.DataFrame)


def test_warm_start_goes_on():
    clf = classifier(warm_start=True, learning_rate_schedule="constant").fit(X, y)
    first = clf.history_["loss"][-1]
    clf.fit(X, y)
    assert clf.n_iter_ == 8
    assert clf.history_["loss"][-1] < first
    assert all(map(np.array_equal, arrays_of(clf.transformer_), arrays_of(DBN)))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_continues_uncentred_after_centred_training(solver):
    clf = classifier(warm_start=True, centered=True, hidden_dropout=0.2).fit(X, y)
    twin = copy.deepcopy(clf)
    twin._tuning.network.input_means = {}
    plain = {"centered": False, "hidden_dropout": 0.0, "solver": solver}
    for one in (clf, twin):
        one.set_params(**plain).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), twin.predict_proba(X))
    assert clf.history_ == twin.history_


def test_chunks_go_on():
    clf = classifier()
    for start in range(0, 400, 100):
        part = slice(start, start + 100)
        classes = np.arange(10) if start == 0 else None
        clf.partial_fit(X[part], y[part], classes=classes)
    assert clf.n_iter_ == 4
    assert clf.predict_proba(X).shape == (400, 10)


def test_callbacks_see_the_passes_and_may_stop():
    class Recorder:
        def __init__(self):
            self.events = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.events.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            self.events.append(f"end {context.task_name}")
            if context.task_name == "epoch":
                assert fitted_estimator.predict(X).shape == (400,)
            return self.events.count("end epoch") == 2

        def teardown(self, estimator, context):
            pass

    for solver in ("adam", "lbfgs"):
        recorder = Recorder()
        clf = DBNClassifier(
            DBNTransformer((8,), rbm=RBM), solver=solver, n_iter=9, random_state=0
        )
        clf.set_callbacks(recorder).fit(X, y)
        assert clf.n_iter_ == 2
        assert recorder.events == [
            "begin fit",
            *["begin pretraining", "end pretraining"],
            *["begin epoch", "end epoch"] * 2,
            "end fit",
        ]


def test_verbose_prints_the_passes(capsys):
    classifier(verbose=1, n_iter=2).fit(X, y)
    assert capsys.readouterr().out.count("[DBNClassifier] pass") == 2


def test_float32_stays():
    clf = DBNClassifier(DBNTransformer((8, 6), rbm=RBM), n_iter=2, generative_weight=0.01)
    clf.fit(X.astype(np.float32), y)
    assert clf.transform(X).dtype == clf.predict_proba(X).dtype == np.float32
    assert {x.dtype for x in arrays_of(clf.fine_tuned_transformer_)} == {np.dtype(np.float32)}


def test_sparse_rows_and_gaps():
    clf = classifier().fit(sp.csr_array(X), y)
    np.testing.assert_allclose(clf.predict_proba(X), classifier().fit(X, y).predict_proba(X))
    gaps = X.copy()
    gaps[::3, 10] = np.nan
    assert np.isfinite(classifier().fit(gaps, y).predict_proba(gaps)).all()


BAD = {
    "labels of the wrong length": (lambda c: c.fit(X, y[:-1]), ValueError, "y has 399 labels"),
    "no label": (
        lambda c: c.set_params(unlabeled=-1).fit(X, np.full(400, -1)),
        ValueError,
        "y has no label but what unlabeled=",
    ),
    "no y": (lambda c: c.fit(X, None), ValueError, "requires y"),
    "NaN in y": (lambda c: c.fit(X, np.where(y == 3, np.nan, y)), ValueError, "y contains NaN"),
    "numbers": (lambda c: c.fit(X, y + 0.5), ValueError, "use DBNRegressor"),
    "unfitted": (
        lambda c: c.set_params(transformer=FrozenEstimator(clone(DBN))).fit(X, y),
        NotFittedError,
        "DBNTransformer frozen in transformer is not fitted",
    ),
    "not a generator": (
        lambda c: c.set_params(transformer=StandardScaler()).fit(X, y),
        TypeError,
        "transformer must be an RBMTransformer",
    ),
    "late label": (lambda c: c.partial_fit(X, y + 1), ValueError, "label .*10.* not among"),
    "other classes": (
        lambda c: c.partial_fit(X, y, classes=[1, 2]),
        ValueError,
        "leave them out|not among",
    ),
    "labels of another kind": (
        lambda c: c.partial_fit(X, np.eye(10, dtype=int)[y]),
        ValueError,
        "one label for each row",
    ),
    "balanced chunks": (
        lambda c: c.set_params(class_weight="balanced").partial_fit(X, y),
        ValueError,
        "class_weight='balanced' needs all labels",
    ),
    "too many layers": (
        lambda c: c.set_params(fine_tune=3).fit(X, y),
        ValueError,
        "fine_tune=3 must be .* up to 2",
    ),
    "rates of too few layers": (
        lambda c: c.set_params(fine_tune=[1.0]).fit(X, y),
        ValueError,
        "or 2 factors",
    ),
    "rates without steps": (
        lambda c: c.set_params(fine_tune=[0.5, 1], solver="cg").fit(X, y),
        ValueError,
        "factors of 0 and 1 alone",
    ),
    "dropout without batches": (
        lambda c: c.set_params(dropout=0.5, solver="cg").fit(X, y),
        ValueError,
        "dropout=0.5 needs minibatches",
    ),
    "adversarial without batches": (
        lambda c: c.set_params(adversarial_eps=0.5, solver="lbfgs").fit(X, y),
        ValueError,
        "adversarial_eps=0.5 needs minibatches",
    ),
    "virtual without bounds": (
        lambda c: c.set_params(virtual_adversarial_eps=1e30).fit(X, y),
        ValueError,
        "diverged in pass 1",
    ),
    "centred without batches": (
        lambda c: c.set_params(centered=True, solver="lbfgs").fit(X, y),
        ValueError,
        "centered=True needs minibatches",
    ),
    "virtual without batches": (
        lambda c: c.set_params(virtual_adversarial_eps=0.5, solver="cg").fit(X, y),
        ValueError,
        "virtual_adversarial_eps=0.5 needs minibatches",
    ),
    "several labels for none": (
        lambda c: c.set_params(unlabeled=[-1, -2]).fit(X, y),
        ValueError,
        r"unlabeled=\[-1, -2\] must be one label",
    ),
    "no label in bytes": (
        lambda c: c.set_params(unlabeled=-1).fit(X, np.where(y, y, -1).astype(np.uint8)),
        ValueError,
        "y is of uint8, which has no unlabeled=-1, and holds 255 in its place",
    ),
    "untied pull": (
        lambda c: c.set_params(generative_weight=1, tie_weights=False).fit(X, y),
        ValueError,
        "generative_weight=1 needs tied weights",
    ),
    "solver": (lambda c: c.set_params(solver="newton").fit(X, y), ValueError, "'solver'"),
    "rate": (
        lambda c: c.set_params(learning_rate=1e30, solver="sgd").fit(X, y),
        ValueError,
        r"learning_rate=1e\+30 diverged.*try learning_rate=1e\+29",
    ),
    "validation of nothing": (
        lambda c: c.set_params(early_stopping=True).fit(X[:1], y[:1]),
        ValueError,
        "validation_fraction=0.1 of n_samples=1",
    ),
    "weights of nothing": (
        lambda c: c.set_params(unlabeled=-1).fit(
            X, np.r_[0, [-1] * 399], sample_weight=np.r_[0, [1] * 399]
        ),
        ValueError,
        "sample_weight is zero for all rows",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_invalid_input_is_refused_by_one_sentence_and_changes_nothing(kind):
    call, error, match = BAD[kind]
    clf = classifier(n_iter=1).fit(X, y)
    fitted = {k: v for k, v in vars(clf).items() if k.endswith("_") or k.startswith("_")}
    p = clf.predict_proba(X)
    with pytest.raises(error, match=match) as caught:
        call(clf)
    now = {k: v for k, v in vars(clf).items() if k.endswith("_") or k.startswith("_")}
    assert now.keys() == fitted.keys()
    assert all(now[k] is v for k, v in fitted.items())
    assert np.array_equal(clf.predict_proba(X), p)
    assert "\n" not in str(caught.value) or kind == "NaN in y"


def test_the_first_chunk_names_all_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"label .*9.* not among the classes"):
        classifier().partial_fit(X, y, classes=np.arange(9))


def test_solvers_of_all_rows_have_no_chunks():
    assert not hasattr(classifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        classifier(solver="cg").partial_fit(X, y)
    assert "call fit, or set solver='adam'" in str(caught.value.__cause__)
