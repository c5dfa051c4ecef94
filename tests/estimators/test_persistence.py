"""A fitted estimator goes to a file and comes back as it was."""

import copy
import io
import pickle
import subprocess
import sys
import types

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skops.io
from helpers.interrupted import state
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest, SelectPercentile, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skops.io.exceptions import UntrustedTypesFoundException

from sklearn_dbn import (
    TRUSTED_TYPES,
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn._random import TorchDraws
from sklearn_dbn._stored import StoredArray
from sklearn_dbn.units import UNITS, Blocks

X, y = load_digits(return_X_y=True)
X, y = X[:80] / 16, y[:80]
RBM = RBMTransformer(5, n_iter=2)
DBN = DBNTransformer((5, 4), rbm=RBM)
DBM = DBMTransformer((5, 4), rbm=RBM)
# Grey levels as categories and ordered levels. The first column is 0 everywhere.
KINDS = {
    "categorical": [2, 3],
    "ordinal": slice(10, 14),
    "count": [0],
    "binomial": [32],
    "spin": [20],
    "gaussian": [21],
}
MIXED = RBMTransformer(5, n_iter=2, visible=KINDS)
FRAME = pd.DataFrame({"job": ["cook", "nurse", None, "clerk"] * 20, "age": X[:, 20]})
FROZEN = FrozenEstimator(clone(DBN).set_params(random_state=0).fit(X))
PATHWAYS = {"p": slice(0, 3), "q": slice(3, None)}
FORMS = {
    "rbm": RBMTransformer(5, n_iter=2, momentum=0.5, validation_fraction=0.1),
    "tempering": RBMTransformer(5, n_iter=2, sampler="tempering"),
    "cd": RBMTransformer(5, n_iter=2, sampler="cd", sparsity_target=0.1),
    "gaussian": RBMTransformer(5, n_iter=2, visible="gaussian", hidden="gaussian"),
    "mixed": MIXED,
    "mixed dbm": DBMTransformer((5, 4), rbm=MIXED, passthrough=True),
    "pathways": DBNTransformer(({"p": 3, "q": 4}, 4), pathways=PATHWAYS, rbm=RBM),
    "pathways dbm": DBMTransformer(
        ({"p": 3, "q": 4}, 4), pathways=PATHWAYS, rbm=RBM, modality_dropout=0.2, fill="draws"
    ),
    "pathways classifier": DBNClassifier(
        DBNTransformer(({"p": 3, "q": 4}, 4), pathways=PATHWAYS, rbm=RBM), n_iter=2
    ),
    "mixed classifier": DBNClassifier(DBNTransformer((5, 4), rbm=MIXED), n_iter=2),
    "dbn": DBNTransformer((5, 4), rbm=[RBM, RBM], layers="all", passthrough=True),
    "slice": DBNTransformer((5, 4), rbm=RBM, layers=slice(0, 2), units={0: slice(1, 3)}),
    "mask": DBNTransformer((5, 4), rbm=RBM, units={-1: np.arange(4) > 1}, output="logit"),
    "selector": DBNTransformer((5, 4), rbm=RBM, units=SelectPercentile()),
    "pretrained": DBNTransformer(pretrained=FROZEN, units=2),
    "dbm": DBMTransformer((5, 4), rbm=RBM, layers=[1, 0], units=0.5),
    "dbm gaussian": DBMTransformer((5, 4), rbm=RBMTransformer(n_iter=1, hidden="gaussian")),
    "dbm first_layer": DBMTransformer(
        (5, 4), rbm=RBM, pretrain="first_layer", pretrain_rbm=RBM
    ),
    "classifier": DBNClassifier(DBN, n_iter=3, early_stopping=True, dropout=0.2),
    "centred": DBNClassifier(DBM, n_iter=2, centered=True, hidden_dropout=0.2),
    "pulled": DBNClassifier(DBN, n_iter=2, generative_weight=0.1, max_norm=2.0),
    "frozen": DBNClassifier(FROZEN, n_iter=2, solver="sgd", fine_tune=(0.0, 0.5)),
    "full batch": DBNClassifier(DBM, n_iter=2, solver="lbfgs"),
    "unlabeled": DBNClassifier(RBM, n_iter=2, unlabeled=9, class_weight={1: 2.0}),
    "regressor": DBNRegressor(DBM, n_iter=2, tie_weights=False),
    "regressor untied": DBNRegressor(
        DBN, n_iter=2, generative_weight=0.1, top_down_input=False
    ),
}
# Types of other packages that skops lists too.
OF_OTHERS = {"sklearn.feature_selection._univariate_selection.f_classif"}


@pytest.fixture(autouse=True)
def _state_of_several_types(monkeypatch):
    """`state` takes unit types that it finds in UNITS for their names."""
    monkeypatch.setattr("helpers.interrupted.UNITS", UNITS | {"several": Blocks([], [])})


def fitted(name, rows=X):
    return clone(FORMS[name]).set_params(random_state=0).fit(rows, y)


def answers(estimator, rows):
    """Results of the methods of a fitted estimator, as arrays."""
    methods = ("transform", "predict", "predict_proba", "score_samples")
    found = [getattr(estimator, name)(rows) for name in methods if hasattr(estimator, name)]
    if hasattr(estimator, "sample"):
        found.append(estimator.sample(3, n_gibbs_steps=5, random_state=1))
    return [x.toarray() if sp.issparse(x) else np.asarray(x) for x in found]


def same(one, other, rows=X):
    pairs = zip(answers(one, rows), answers(other, rows), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def through_skops(estimator):
    return skops.io.loads(skops.io.dumps(estimator), trusted=[*TRUSTED_TYPES, *OF_OTHERS])


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "load", [through_skops, through_pickle, through_joblib, copy.deepcopy, copy.copy]
)
@pytest.mark.parametrize("name", FORMS)
def test_a_saved_estimator_is_restored(name, load):
    estimator = fitted(name)
    again = load(estimator)
    assert type(again) is type(estimator)
    assert vars(again).keys() == vars(estimator).keys()
    assert same(again, estimator)
    if hasattr(estimator, "_tuning") or hasattr(estimator, "_run"):
        assert state(again) == state(estimator)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm", "classifier", "regressor"])
def test_estimators_of_any_kind_of_rows_are_restored(name, form, dtype):
    rows = form(X.astype(dtype))
    estimator = fitted(name, rows)
    assert same(through_skops(estimator), estimator, rows)


# A frozen generator is not trained, and L-BFGS takes no chunks.
@pytest.mark.parametrize("name", sorted(FORMS.keys() - {"pretrained", "full batch"}))
@pytest.mark.parametrize("load", [through_skops, through_pickle, through_joblib])
def test_training_goes_on_as_if_nothing_had_been_saved(name, load):
    estimator = fitted(name)
    again = load(estimator)
    for part in (slice(0, 30), slice(30, 80)):
        estimator.partial_fit(X[part], y[part])
        again = load(again.partial_fit(X[part], y[part]))
    assert state(again) == state(estimator)
    assert same(again, estimator)


@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm", "classifier", "regressor"])
@pytest.mark.parametrize("load", [through_skops, through_pickle, through_joblib])
def test_with_memory_and_started_by_chunks(name, load, tmp_path):
    estimator = clone(FORMS[name]).set_params(random_state=0)
    holder = "transformer__memory" if hasattr(estimator, "transformer") else "memory"
    estimator.set_params(**{holder: str(tmp_path)}).fit(X, y)
    assert same(load(estimator), estimator)
    estimator = clone(FORMS[name]).set_params(random_state=0)
    first = {"classes": np.unique(y)} if name == "classifier" else {}
    estimator.partial_fit(X[:40], y[:40], **first)
    again = load(estimator).partial_fit(X[40:], y[40:])
    assert state(again) == state(estimator.partial_fit(X[40:], y[40:]))


@pytest.mark.slow
def test_a_new_process_goes_on_with_the_bits_of_this_one(tmp_path):
    names = ["rbm", "dbn", "dbm", "centred", "pulled", "regressor"]
    estimators = {name: fitted(name) for name in names}
    (tmp_path / "pickle").write_bytes(pickle.dumps(estimators))
    joblib.dump(estimators, tmp_path / "joblib")
    skops.io.dump(estimators, tmp_path / "skops")
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    code = (
        "import joblib, numpy as np, pickle, skops.io\n"
        "from pathlib import Path\n"
        "from sklearn_dbn import TRUSTED_TYPES\n"
        "rows = np.load('rows.npz')\n"
        "loaded = {\n"
        "    'pickle': pickle.loads(Path('pickle').read_bytes()),\n"
        "    'joblib': joblib.load('joblib'),\n"
        "    'skops': skops.io.load('skops', trusted=TRUSTED_TYPES),\n"
        "}\n"
        "for estimators in loaded.values():\n"
        "    for estimator in estimators.values():\n"
        "        estimator.partial_fit(rows['X'], rows['y'])\n"
        "Path('after').write_bytes(pickle.dumps(loaded))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=tmp_path)
    after = pickle.loads((tmp_path / "after").read_bytes())
    for name, estimator in estimators.items():
        here = state(estimator.partial_fit(X, y))
        assert {kind: state(found[name]) for kind, found in after.items()} == {
            "pickle": here,
            "joblib": here,
            "skops": here,
        }


def test_the_list_of_trusted_types_is_exact():
    untrusted = set()
    for estimator in [*map(fitted, FORMS), clone(RBM).fit(FRAME)]:
        untrusted |= set(skops.io.get_untrusted_types(data=skops.io.dumps(estimator)))
    # tests/estimators/test_array_api.py has fits on arrays of other libraries.
    elsewhere = {f"{kind.__module__}.{kind.__qualname__}" for kind in (StoredArray, TorchDraws)}
    assert (untrusted - OF_OTHERS) | elsewhere == set(TRUSTED_TYPES)
    assert TRUSTED_TYPES == sorted(set(TRUSTED_TYPES))


@pytest.mark.parametrize("load", [through_skops, through_pickle, through_joblib, copy.deepcopy])
@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm"])
def test_an_estimator_of_a_frame_is_restored_with_its_levels(name, load):
    estimator = fitted(name, FRAME)
    again = load(estimator)
    assert again._table == estimator._table
    assert same(again, estimator, FRAME)
    pd.testing.assert_frame_equal(again.impute(FRAME), estimator.impute(FRAME))
    with pytest.warns(UserWarning, match="'pilot' in column 'job'"):
        again.partial_fit(FRAME.assign(job="pilot"), y)


def test_untrusted_types_are_not_loaded():
    data = skops.io.dumps(fitted("rbm"))
    less = [name for name in TRUSTED_TYPES if not name.endswith("Stream")]
    with pytest.raises(UntrustedTypesFoundException, match="Stream"):
        skops.io.loads(data, trusted=less)


def test_a_pipeline_and_an_estimator_without_a_fit():
    selector = SelectKBest(f_classif, k=3)
    dbn = clone(DBN).set_params(layers="all", units=selector, random_state=0)
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=500)).fit(X, y)
    assert np.array_equal(through_skops(pipe).predict(X), pipe.predict(X))
    for form in FORMS.values():
        assert repr(through_skops(form)) == repr(form)


VERSION = "sklearn_dbn.estimators._base.__version__"


@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm", "classifier", "regressor"])
@pytest.mark.parametrize("kind", ["pickle", "skops"])
def test_a_file_of_a_newer_version_is_refused(name, kind, monkeypatch):
    estimator = fitted(name)
    dump = pickle.dumps if kind == "pickle" else skops.io.dumps

    def load(data):
        if kind == "pickle":
            return pickle.loads(data)
        return skops.io.loads(data, trusted=TRUSTED_TYPES)

    monkeypatch.setattr(VERSION, "99.1")
    data = dump(estimator)
    load(data)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"saved by sklearn_dbn 99\.1, .* older .*: install"):
        load(data)
    monkeypatch.setattr(VERSION, "0.0.1")
    older = dump(estimator)
    monkeypatch.undo()
    assert same(load(older), estimator)


def test_a_newer_version_may_have_classes_that_are_not_here(monkeypatch):
    newer = types.ModuleType("sklearn_dbn._newer")
    exec("class Kept: pass", vars(newer))
    monkeypatch.setitem(sys.modules, "sklearn_dbn._newer", newer)
    monkeypatch.setattr(VERSION, "99.1")
    estimator = fitted("rbm")
    estimator._kept = newer.Kept()
    data = pickle.dumps(estimator)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"saved by sklearn_dbn 99\.1"):
        pickle.loads(data)


def test_the_version_is_no_attribute():
    estimator = fitted("rbm")
    for load in (through_pickle, through_skops, copy.copy, copy.deepcopy):
        assert vars(load(estimator)).keys() == vars(estimator).keys()
    assert joblib.hash(estimator) == joblib.hash(copy.copy(estimator))
