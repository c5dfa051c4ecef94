"""Estimators on arrays of other libraries: results, dtype and device, against NumPy.

The second device of array_api_strict stands for a GPU: no array on it combines with one on the
host, nor becomes a NumPy array unasked. PyTorch is tested where it is installed.
"""

import pickle

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.utils.estimator_checks import check_array_api_input

from sklearn_dbn import (
    TRUSTED_TYPES,
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn._array_api import is_torch_array, namespace, to_numpy
from sklearn_dbn._random import Stream
from sklearn_dbn._stored import restored, stored

strict = pytest.importorskip("array_api_strict")

DIGITS, LABELS = load_digits(return_X_y=True)
X = DIGITS[:120, 8:40] / 16
GAPS = X.copy()
GAPS[:6, :16] = np.nan
GAPS[6:9, 20] = np.nan
RBM = RBMTransformer(n_iter=2)
PATHWAYS = {"q": slice(16, 32), "p": slice(0, 16)}
SPLIT = ({"p": 6, "q": 5}, 4)
ESTIMATORS = {
    "rbm": RBMTransformer(8, n_iter=2, momentum=0.5, validation_fraction=0.1),
    "gaussian": RBMTransformer(6, visible="gaussian", n_iter=2),
    "tempering": RBMTransformer(6, sampler="tempering", n_iter=2, early_stopping=True),
    "count": RBMTransformer(6, visible={"count": [3], "gaussian": slice(4, 20)}, n_iter=2),
    "dbn": DBNTransformer((8, 5), rbm=RBM, units={0: 3}, output="logit"),
    "dbm": DBMTransformer((8, 5), rbm=RBM, passthrough=True),
    "dbn, pathways": DBNTransformer(
        SPLIT, pathways=PATHWAYS, rbm=RBM, modality_dropout=0.3, fill="draws"
    ),
    "dbm, pathways": DBMTransformer(SPLIT, pathways=PATHWAYS, rbm=RBM, modality_dropout=0.3),
}
estimators = pytest.mark.parametrize("name", ESTIMATORS)
PLACES = ["CPU_DEVICE", "device1", "torch"]
places = pytest.mark.parametrize("place", PLACES)
SMALL = DBNTransformer((8, 5), rbm=RBM)
NETWORKS = {
    "classifier": DBNClassifier(SMALL, n_iter=3, random_state=0),
    "regularised": DBNClassifier(
        DBMTransformer((8, 5), rbm=RBM),
        n_iter=3,
        dropout=0.1,
        max_norm=1.0,
        early_stopping=True,
        random_state=0,
    ),
    "pathways": DBNClassifier(
        DBNTransformer(SPLIT, pathways=PATHWAYS, rbm=RBM),
        n_iter=3,
        generative_weight=0.1,
        random_state=0,
    ),
    "full batch": DBNClassifier(SMALL, n_iter=3, solver="lbfgs", random_state=0),
    "regressor": DBNRegressor(SMALL, n_iter=3, solver="sgd", random_state=0),
}


def to(place, x, dtype=np.float64):
    """``x`` in the library and on the device of that name."""
    x = np.asarray(x, dtype=dtype)
    if place == "torch":
        return pytest.importorskip("torch").asarray(x)
    return strict.asarray(x, device=strict.Device(place))


def is_at(place, x):
    if place == "torch":
        return is_torch_array(x)
    return isinstance(x, type(to(place, 0.0))) and x.device == strict.Device(place)


@pytest.fixture
def draws_of_numpy(monkeypatch):
    """All libraries get the draws of NumPy, also those that have their own."""
    monkeypatch.setattr(Stream, "_own_draws", lambda self, like: None)


@pytest.fixture(autouse=True)
def _dispatch():
    # The oldest SciPy that scikit-learn dispatches with.
    pytest.importorskip("scipy", minversion="1.14")
    with config_context(array_api_dispatch=True):
        yield


def make(name):
    return clone(ESTIMATORS[name]).set_params(random_state=0)


METHODS = {
    "transform": lambda model, rows, gaps: model.transform(rows),
    "transform gaps": lambda model, rows, gaps: model.transform(gaps),
    "score_samples": lambda model, rows, gaps: model.score_samples(rows),
    "score gaps": lambda model, rows, gaps: model.score_samples(gaps[:4, :]),
    "score_bound": lambda model, rows, gaps: model.score_bound(rows),
    "free_energy": lambda model, rows, gaps: model.free_energy(rows),
    "sample": lambda model, rows, gaps: model.sample(4, n_gibbs_steps=10, random_state=0),
    "given": lambda model, rows, gaps: model.sample(
        given=gaps, n_gibbs_steps=5, random_state=0
    ),
    "impute": lambda model, rows, gaps: model.impute(gaps, n_gibbs_steps=10),
    "reconstruct": lambda model, rows, gaps: model.reconstruct(gaps),
    "inverse": lambda model, rows, gaps: model.inverse_transform(model.transform(rows)),
    "by column": lambda model, rows, gaps: model.score_by_column(rows[:3, :]),
}


@pytest.mark.parametrize(
    ("place", "dtype"),
    [("device1", np.float64), ("device1", np.float32), ("torch", np.float32)],
)
@estimators
def test_fits_and_results_are_those_of_numpy_in_place(name, dtype, place, draws_of_numpy):
    X_n, gaps_n = X.astype(dtype), GAPS.astype(dtype)
    if name == "count":
        X_n[:, 3], gaps_n[:, 3] = DIGITS[:120, 11], np.where(np.isnan(GAPS[:, 3]), np.nan, 1)
    rows, gaps = to(place, X_n, dtype), to(place, gaps_n, dtype)
    weight = np.arange(120) % 3
    host = make(name).fit(X_n, sample_weight=weight)
    model = make(name).fit(rows, sample_weight=to(place, weight, dtype))
    methods = METHODS
    if dtype == np.float32:
        methods = {key: METHODS[key] for key in ("transform", "score_samples", "impute")}
    tolerance = 2e-3 if dtype == np.float32 else 1e-7
    for method, call in methods.items():
        expected, found = call(host, X_n, gaps_n), call(model, rows, gaps)
        assert is_at(place, found), method
        found = to_numpy(found)
        assert found.dtype == expected.dtype, method
        assert found.shape == expected.shape, method
        share = np.mean(np.abs(found - expected) > tolerance * (1 + np.abs(expected)))
        # Single draws may differ by rounding.
        assert share < (0.02 if dtype == np.float32 else 1e-9), (method, share)
    pairs = zip(parameters_of(model), parameters_of(host), strict=True)
    for part, of_host in pairs:
        assert is_at(place, part)
        assert part.dtype == rows.dtype
        atol = 1e-4 if dtype == np.float32 else 1e-9
        assert_allclose(to_numpy(part), of_host, rtol=0, atol=atol)
    assert isinstance(model.score(rows), float)


def parameters_of(model):
    return [x for run in model._runs for x in run.average.arrays()]


@pytest.mark.parametrize("place", ["device1", "torch"])
@estimators
def test_training_goes_on_where_the_rows_are(name, place, draws_of_numpy):
    if name in ("tempering", "count"):
        pytest.skip("the others go on in the same way")
    host, model = make(name).partial_fit(GAPS[:60]), make(name)
    model.partial_fit(to(place, GAPS[:60])).partial_fit(to(place, GAPS[60:]))
    host.partial_fit(GAPS[60:])
    found = to_numpy(model.transform(to(place, X)))
    assert_allclose(found, host.transform(X), atol=1e-6)


@pytest.mark.parametrize("place", ["device1", "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_their_predictions_are_those_of_numpy_in_place(
    name, place, draws_of_numpy
):
    y = LABELS[:120].copy()
    weight = np.arange(120) % 4
    host = clone(NETWORKS[name]).fit(X, y, sample_weight=weight)
    rows, gaps = to(place, X), to(place, GAPS)
    model = clone(NETWORKS[name]).fit(rows, to(place, y, int), sample_weight=weight)
    methods = {"predict": rows, "transform": gaps}
    if name != "regressor":
        methods |= {"predict_proba": rows, "predict_log_proba": gaps, "decision_function": rows}
    for method, given in methods.items():
        expected = getattr(host, method)(X if given is rows else GAPS)
        found = getattr(model, method)(given)
        assert is_at(place, found), method
        assert_allclose(to_numpy(found), expected, atol=1e-5)
    assert model.score(rows, to(place, y, int)) == pytest.approx(host.score(X, y))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(to_numpy(again.predict(rows)), to_numpy(model.predict(rows)))
    back = model.move_to(X)
    assert_allclose(back.predict(X), host.predict(X), atol=1e-5)
    if name != "full batch":
        back.partial_fit(X, y)
        model.partial_fit(rows, to(place, y, int))
        host.partial_fit(X, y)
        assert_allclose(to_numpy(model.transform(rows)), host.transform(X), atol=1e-5)
        assert_allclose(back.transform(X), host.transform(X), atol=1e-5)


READS = ("__array__", "__bool__", "__float__", "__index__", "__int__", "item", "to_device")
STEPS = {
    "rbm": RBMTransformer(8, n_iter=2, sparsity_target=0.2),
    "dbn": DBNTransformer((8, 5), rbm=RBM),
    "dbm": DBMTransformer((8, 5), rbm=RBM),
    "classifier": DBNClassifier(
        SMALL,
        n_iter=2,
        dropout=0.1,
        max_norm=1.0,
        weight_decay=0.01,
        generative_weight=0.1,
        virtual_adversarial_eps=0.1,
    ),
}


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_reads_nothing_from_the_device(name, place, monkeypatch):
    """Two passes of 12 minibatches have no more reads than two of 4."""
    rows, n_reads = to(place, X), []
    for method in READS:
        if (original := getattr(type(rows), method, None)) is not None:

            def counted(*args, _original=original, **kwargs):
                n_reads[-1] += 1
                return _original(*args, **kwargs)

            monkeypatch.setattr(type(rows), method, counted)
    for batch_size in (30, 10):
        model = clone(STEPS[name]).set_params(random_state=0)
        sizes = [p for p in model.get_params() if p.endswith("batch_size")]
        model.set_params(**dict.fromkeys(sizes, batch_size))
        n_reads.append(0)
        model.fit(rows, *([LABELS[:120]] if name == "classifier" else []))
    # The mean field of the record, once for each pass, reads where to stop.
    assert 0 < n_reads[1] < n_reads[0] + 8


def test_labels_of_text_are_predicted_on_the_host():
    text = np.array(["even", "odd"])[LABELS[:120] % 2]
    rows = to("device1", X)
    model = clone(NETWORKS["classifier"]).fit(rows, text)
    found = model.predict(rows)
    assert isinstance(found, np.ndarray)
    assert set(found) <= {"even", "odd"}


@pytest.mark.parametrize("name", ["rbm", "dbn", "dbm", "classifier", "regressor"])
@places
def test_the_checks_of_scikit_learn_pass(name, place):
    library, device = ("torch", "cpu") if place == "torch" else ("array_api_strict", place)
    if place == "torch":
        pytest.importorskip("torch")
    model = make(name) if name in ESTIMATORS else clone(NETWORKS[name])
    if name == "dbn":
        model.set_params(units=None)
    check_array_api_input(
        name, model, library, device, "float32", check_sample_weight=True, check_values=False
    )


def test_pytorch_makes_its_own_draws_which_a_seed_fixes():
    rows = to("torch", X)
    first, second, other = (
        make("dbm").set_params(random_state=seed).fit(rows) for seed in (0, 0, 1)
    )
    assert_array_equal(first.transform(rows), second.transform(rows))
    assert np.any(to_numpy(first.transform(rows)) != to_numpy(other.transform(rows)))
    assert np.any(to_numpy(first.transform(rows)) != make("dbm").fit(X).transform(X))
    n = 40_000
    like = to("torch", np.full((n, 3), 0.3))
    u, z = Stream(0).uniform_like(like), Stream(0).normal(like)
    assert_allclose(to_numpy(u).mean(axis=0), 0.5, atol=0.01)
    assert_allclose(to_numpy(z).std(axis=0), 1.0, atol=0.02)
    field = np.full((n, 3), -0.8)
    for draw in (
        Stream(1).bernoulli(to("torch", np.full((n, 3), 0.3))),
        Stream(1).bernoulli_logit(to("torch", field)),
    ):
        assert set(np.unique(to_numpy(draw))) == {0.0, 1.0}
        assert_allclose(to_numpy(draw).mean(axis=0), 0.305, atol=0.02)


@pytest.mark.slow
def test_with_its_own_draws_pytorch_learns_as_much_as_numpy():
    """Likelihood and accuracy over five seeds, within their standard errors."""
    bits = (DIGITS[:600] > 8).astype(np.float32)
    train, test = bits[:400], bits[400:]
    found = []
    for seed in range(5):
        for rows, held_out in (
            (train, test),
            (to("torch", train, np.float32), to("torch", test, np.float32)),
        ):
            rbm = RBMTransformer(32, n_iter=15, random_state=seed).fit(rows)
            model = DBNClassifier(SMALL, n_iter=10, random_state=seed)
            model.fit(rows, LABELS[:400])
            accuracy = np.mean(to_numpy(model.predict(held_out)) == LABELS[400:600])
            found.append([rbm.score(held_out), 100 * accuracy])
    found = np.reshape(found, (5, 2, 2))
    difference = found[:, 0] - found[:, 1]
    error = np.sqrt(np.sum(np.var(found, axis=0, ddof=1), axis=0) / 5)
    np.testing.assert_array_less(np.abs(difference.mean(axis=0)), 4 * error)
    assert found[..., 0].min() > -32
    assert found[..., 1].min() > 50


@pytest.mark.parametrize("place", ["device1", "torch"])
def test_saved_estimators_are_restored_in_place(place):
    rows = to(place, X)
    model = make("dbn, pathways").fit(rows)
    expected = to_numpy(model.transform(rows))
    for again in (
        pickle.loads(pickle.dumps(model)),
        skops.io.loads(skops.io.dumps(model), trusted=[*TRUSTED_TYPES]),
    ):
        found = again.transform(rows)
        assert is_at(place, found)
        assert_array_equal(to_numpy(found), expected)
        again.partial_fit(rows)


def test_stored_arrays_without_their_library_become_arrays_of_numpy():
    x = to("device1", X)
    kept = stored({"a": [x, (x, 1)], "b": "text"})
    assert kept["a"][0] is kept["a"][1][0]
    again = restored(kept)
    assert is_at("device1", again["a"][0])
    assert again["a"][0] is again["a"][1][0]
    kept["a"][0].library = "no.such.library"
    assert_array_equal(restored(kept)["a"][0], X)
    plain = {"a": [X], "b": (1, 2)}
    assert stored(plain) is plain


@estimators
def test_a_fit_moves_to_another_library_and_back(name):
    if name == "count":
        pytest.skip("its rows are not those of the others")
    host = make(name).fit(X)
    moved = host.move_to(to("device1", X))
    found = moved.transform(to("device1", GAPS))
    assert is_at("device1", found)
    assert_allclose(to_numpy(found), host.transform(GAPS), atol=1e-9)
    back = moved.move_to(X)
    assert_array_equal(back.transform(X), host.transform(X))
    moved.partial_fit(to("device1", X))
    assert_array_equal(host.transform(X), back.transform(X))


def test_rows_that_are_elsewhere_are_refused():
    model = make("dbn").fit(to("device1", X))
    message = (
        r"DBNTransformer\.transform\(\) must use the same namespace .*X is an array of NumPy"
    )
    with pytest.raises(ValueError, match=message):
        model.transform(X)
    with pytest.raises(ValueError, match=r"Device\('CPU_DEVICE'\), and .* or call move_to"):
        model.transform(to("CPU_DEVICE", X))
    with config_context(array_api_dispatch=False):
        with pytest.raises(TypeError, match=r"NumPy cannot read it: set sklearn\.set_config"):
            make("dbn").fit(to("device1", X))
    with pytest.raises(TypeError, match="like must be an array of the library to move to"):
        model.move_to("cuda")


@pytest.mark.parametrize("visible", ["auto", "ordinal", {"categorical": [0]}])
@pytest.mark.parametrize("place", ["CPU_DEVICE", "torch"])
def test_without_dispatch_an_array_is_converted_with_its_dtype(place, visible):
    rows = to(place, np.round(4 * X) / 4, np.float32)
    with config_context(array_api_dispatch=False):
        model = make("rbm").set_params(visible=visible).fit(rows)
        assert model.components_.dtype == np.float32
        for result in (model.transform(rows), model.score_samples(rows), model.impute(rows)):
            assert isinstance(result, np.ndarray)


def test_whole_numbers_and_bits_become_floats():
    bits = strict.asarray(X > 0.5, device=strict.Device("device1"))
    model = make("rbm").fit(bits)
    assert model.components_.dtype == strict.float64


def test_selectors_scores_and_caches_work_on_the_device(tmp_path):
    rows, y = to("device1", X), to("device1", LABELS[:120])
    for changes in (
        {"units": SelectKBest(k=3)},
        {"units": 4, "unit_score": f_classif},
        {"units": 0.5, "unit_score": "variance"},
    ):
        changes |= {"output": "probability"}
        host = make("dbn").set_params(**changes).fit(X, LABELS[:120])
        model = make("dbn").set_params(**changes, memory=tmp_path).fit(rows, y)
        again = clone(model).fit(rows, y)
        for one, other in zip(host.selected_units_, again.selected_units_, strict=True):
            assert_array_equal(one, other)
        assert is_at("device1", again.transform(rows))
    assert namespace(model.rbms_[0].components_) is strict
