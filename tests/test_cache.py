"""Layers are trained once, and an entry of a cache is used only after a check."""

import os
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from helpers.caching import remembered
from helpers.counting import CountedRBM
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNTransformer,
    RBMTransformer,
    layer_subsets,
)

X, y = load_digits(return_X_y=True)
X, y = X[:90] / 16, y[:90]


@pytest.fixture
def dbn(tmp_path, count):
    rbm = CountedRBM(n_iter=2)
    cache = str(tmp_path / "cache")
    return DBNTransformer((6, 5, 4), rbm=rbm, memory=cache, random_state=0)


@pytest.mark.slow
def test_a_search_with_memory_has_the_result_of_one_without(dbn):
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=200))
    scores = []
    for memory in (dbn.memory, None):
        grid = {
            "dbntransformer__layers": layer_subsets(3),
            "dbntransformer__memory": [memory],
        }
        search = GridSearchCV(pipe, grid, cv=3).fit(X, y)
        scores.append(search.cv_results_["mean_test_score"])
    assert np.array_equal(*scores)


def test_no_choice_of_features_trains_again(dbn, count):
    dbn.fit(X)
    assert count() == 3
    for choice in (
        {"layers": [2, 0]},
        {"units": 0.5},
        {"units": {-1: [0]}, "layers": -1},
        {"unit_score": f_classif, "units": 3},
        {"passthrough": True},
        {"output": "logit"},
        {"rbm__verbose": 0},
    ):
        clone(dbn).set_params(**choice).fit(X, y)
    assert count() == 0


def test_a_deeper_stack_trains_its_new_layers_alone(dbn, count):
    dbn.fit(X)
    count()
    clone(dbn).set_params(hidden_layer_sizes=(6, 5, 4, 3, 2)).fit(X)
    assert count() == 2
    clone(dbn).set_params(hidden_layer_sizes=(6,)).fit(X)
    assert count() == 0


@pytest.mark.parametrize(
    ("change", "n_trained"),
    [
        ({"random_state": 1}, 3),
        ({"rbm__learning_rate": 0.01}, 3),
        ({"hidden_layer_sizes": (6, 7, 4)}, 2),
        ({"hidden_layer_sizes": (6, 5, 7)}, 1),
        ({"rbm": [CountedRBM(n_iter=2), CountedRBM(n_iter=3), CountedRBM(n_iter=2)]}, 2),
        ({"rbm": [CountedRBM(n_iter=2), CountedRBM(n_iter=2), CountedRBM(n_iter=3)]}, 1),
    ],
)
def test_a_changed_parameter_trains_its_layer_and_those_above(dbn, count, change, n_trained):
    dbn.fit(X)
    count()
    clone(dbn).set_params(**change).fit(X)
    assert count() == n_trained


def test_other_rows_or_weights_train_again(dbn, count):
    dbn.fit(X)
    count()
    clone(dbn).fit(X[:-1])
    assert count() == 3
    clone(dbn).fit(X, sample_weight=np.arange(90))
    assert count() == 3
    clone(dbn).fit(X.astype(np.float32))
    assert count() == 3


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_without_an_integer_seed_nothing_is_kept(dbn, count, tmp_path, random_state):
    for _ in range(2):
        with pytest.warns(UserWarning, match="saves nothing with random_state=") as caught:
            clone(dbn).set_params(random_state=random_state).fit(X)
        assert sum("memory=" in str(w.message) for w in caught) == 1
    assert count() == 6
    assert not (tmp_path / "cache").exists()


def test_a_training_that_goes_on_is_not_kept(dbn, count, tmp_path):
    for _ in range(2):
        clone(dbn).set_params(warm_start=True).fit(X)
    assert count() == 6
    assert not (tmp_path / "cache").exists()


def test_a_kept_layer_is_the_trained_layer(dbn):
    plain = clone(dbn).set_params(memory=None).fit(X)
    first, second = clone(dbn).fit(X), clone(dbn).fit(X)
    for fitted in (first, second):
        assert np.array_equal(fitted.transform(X), plain.transform(X))
        assert fitted.history_ == plain.history_
    first.partial_fit(X)
    plain.partial_fit(X)
    assert np.array_equal(first.transform(X), plain.transform(X))


def test_a_cached_layer_does_not_depend_on_its_template(dbn, count, capsys):
    clone(dbn).set_params(rbm__verbose=1).fit(X)
    count()
    capsys.readouterr()
    quiet = clone(dbn).fit(X)
    assert count() == 0
    assert [rbm.verbose for rbm in quiet.rbms_] == [0, 0, 0]
    quiet.partial_fit(X)
    assert capsys.readouterr().out == ""


def test_a_cached_machine_has_no_columns_of_another_fit(tmp_path):
    pd = pytest.importorskip("pandas")
    rbm = RBMTransformer(4, n_iter=2, random_state=0, memory=tmp_path)
    old, new = (pd.DataFrame(X[:, :2], columns=list(names)) for names in ("ab", "cd"))
    found = [clone(rbm).fit(rows) for rows in (old, new)]
    assert [list(one.feature_names_in_) for one in found] == [["a", "b"], ["c", "d"]]
    assert np.array_equal(found[1].transform(new), found[0].transform(old))
    # The names decide nothing, so the second fit found the machine of the first.
    assert len(kept_in(tmp_path)) == 1
    assert not hasattr(clone(rbm).fit(np.ascontiguousarray(old)), "feature_names_in_")
    assert len(kept_in(tmp_path)) == 1


class Locked(RBMTransformer):
    """An RBM with attributes of its own, which no pickle takes."""

    def fit(self, X, y=None, sample_weight=None):
        self.lock_, self._lock = threading.Lock(), threading.Lock()
        return super().fit(X, y, sample_weight)


def test_what_training_did_not_make_is_not_kept(tmp_path, capsys):
    for n_passes in (2, 0):
        rbm = Locked(4, n_iter=2, random_state=0, memory=tmp_path, verbose=1).fit(X)
        assert rbm.lock_.acquire(blocking=False)
        assert capsys.readouterr().out.count("pass") == n_passes


def test_what_cannot_be_pickled_gives_a_warning(tmp_path, count):
    with pytest.warns(RuntimeWarning, match=r"key could not be saved \(.*lock.*continues"):
        result = remembered(str(tmp_path), "key", lambda progress: threading.Lock())
    assert result.acquire(blocking=False)


@pytest.mark.skipif(sys.platform == "win32", reason="has no sparse files")
def test_an_entry_that_has_grown_huge_is_trained_again(dbn, count, tmp_path):
    right = clone(dbn).fit(X).transform(X)
    os.truncate(kept_in(tmp_path / "cache")[0], 2**40)
    count()
    with pytest.warns(RuntimeWarning, match="too large for the memory.*trained again"):
        assert np.array_equal(clone(dbn).fit(X).transform(X), right)
    assert count() == 1


def test_the_flags_of_a_sparse_array_are_no_part_of_the_rows(dbn, count):
    first = sp.csr_array(np.round(X))
    rows = sp.csr_array((first.data, first.indices, first.indptr), shape=first.shape)
    clone(dbn).fit(rows)
    # scipy keeps in the array that it is sorted.
    assert rows.has_sorted_indices
    assert rows.has_canonical_format
    clone(dbn).fit(rows)
    clone(dbn).fit(first.copy())
    assert count() == 3


@pytest.mark.parametrize(
    "equal",
    [
        {"random_state": np.int64(0)},
        {"rbm__momentum": 0},
        {"rbm__momentum": np.float32(0)},
        {"rbm__weight_decay": np.float64(1e-3)},
        {"rbm__centered": np.bool_(True)},
        {"rbm__n_iter": np.int16(2)},
        {"rbm__hidden": np.str_("bernoulli")},
        {"hidden_layer_sizes": [np.int32(6), 5, 4]},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_parameters_are_one_training(dbn, count, equal, dtype):
    """And as they train the same numbers, it does not matter who is kept."""
    rows = X.astype(dtype)
    first = clone(dbn).fit(rows)
    assert count() == 3
    clone(dbn).set_params(**equal).fit(rows)
    assert count() == 0
    again = clone(dbn).set_params(memory=None, **equal).fit(rows)
    for one, other in zip(first.rbms_, again.rbms_, strict=True):
        assert other.components_.dtype == dtype
        assert np.array_equal(one.components_, other.components_)


def test_a_fine_tuning_takes_no_precision_from_its_parameters():
    rows = X.astype(np.float32)
    clf = DBNClassifier(RBMTransformer(4, n_iter=1), n_iter=2, random_state=0)
    clf.set_params(label_smoothing=0.1, learning_rate=0.01).fit(rows, y)
    numpy_s = {
        name: np.float64(getattr(clf, name))
        for name in ("learning_rate", "weight_decay", "label_smoothing")
    }
    other = clone(clf).set_params(n_iter=np.int64(2), **numpy_s).fit(rows, y)
    assert other.predict_proba(rows).dtype == np.float32
    assert np.array_equal(clf.predict_proba(rows), other.predict_proba(rows))


def test_an_invalid_folder_is_named(dbn):
    with pytest.raises(ValueError, match=r"^memory='a\\x00b' has a null character"):
        dbn.set_params(memory="a\0b").fit(X)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)])
def test_memory_without_a_seed_warns_once_a_fit(seed, tmp_path):
    rbm = RBMTransformer(4, n_iter=1)
    asked = {"memory": tmp_path, "random_state": seed}
    for estimator in (rbm, DBNTransformer((4, 3), rbm=rbm), DBMTransformer((4, 3), rbm=rbm)):
        for tuned in (estimator, DBNClassifier(clone(estimator), n_iter=1)):
            generator = tuned if tuned is estimator else tuned.transformer
            generator.set_params(**asked)
            with pytest.warns(UserWarning, match="memory= saves nothing") as caught:
                tuned.fit(X, y)
            assert sum("memory=" in str(w.message) for w in caught) == 1
    # A training that continues is never kept, and needs no warning.
    estimator.set_params(warm_start=True).fit(X)
    estimator.partial_fit(X)
    # The classifier hands its seed on.
    DBNClassifier(clone(rbm).set_params(**asked | {"random_state": None}), random_state=0).fit(
        X, y
    )


def test_a_training_that_fails_is_tried_once_and_not_kept(dbn, count):
    dbn.set_params(rbm__learning_rate=1e30)
    for _ in range(2):
        with pytest.raises(ValueError, match="diverged"):
            clone(dbn).fit(X)
        assert count() == 1


def test_a_memory_object_serves_as_well_as_a_folder(dbn, count, tmp_path):
    memory = joblib.Memory(tmp_path / "other", verbose=0)
    for _ in range(2):
        clone(dbn).set_params(memory=memory).fit(X)
    assert count() == 3


def kept_in(cache):
    """Files of finished trainings."""
    return [path for path in cache.rglob("*") if path.is_file() and not path.suffix]


def flip(data, place=None):
    place = len(data) // 2 if place is None else place
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [flip, lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"nonsense"],
    ids=["flipped bit", "cut short", "empty", "nonsense"],
)
def test_a_damaged_entry_is_trained_again_and_mended(dbn, count, tmp_path, damage):
    right = clone(dbn).fit(X).transform(X)
    count()
    entries = kept_in(tmp_path / "cache")
    assert len(entries) == 3
    entries[0].write_bytes(damage(entries[0].read_bytes()))
    with pytest.warns(RuntimeWarning, match="In the memory= folder the entry .* is damaged"):
        again = clone(dbn).fit(X).transform(X)
    assert count() == 1
    assert np.array_equal(again, right)
    clone(dbn).fit(X)
    assert count() == 0


def test_a_bit_that_flips_anywhere_changes_no_result(dbn, tmp_path):
    right = clone(dbn).fit(X).transform(X)
    entry = kept_in(tmp_path / "cache")[0]
    sound = entry.read_bytes()
    for place in np.linspace(0, len(sound) - 1, 25).astype(int):
        entry.write_bytes(flip(sound, place))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*is damaged", RuntimeWarning)
            assert np.array_equal(clone(dbn).fit(X).transform(X), right)


class StopAfter:
    """A callback that stops each training after some passes."""

    max_propagation_depth = None

    def __init__(self, passes):
        self.passes = passes

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id == self.passes - 1

    def teardown(self, estimator, context):
        pass


def test_a_training_that_was_stopped_is_not_kept(dbn, count):
    stopped = clone(dbn).set_callbacks(StopAfter(1)).fit(X)
    assert [rbm.n_iter_ for rbm in stopped.rbms_] == [1, 1, 1]
    count()
    assert [rbm.n_iter_ for rbm in clone(dbn).set_callbacks().fit(X).rbms_] == [2, 2, 2]
    assert count() == 3
