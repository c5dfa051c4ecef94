"""DBNTransformer: the stack, and what is selected from it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn._random import layer_seed

DIGITS, LABELS = load_digits(return_X_y=True)
X, y = DIGITS[:120] / 16, LABELS[:120]
RBM = RBMTransformer(n_iter=2)


@pytest.fixture
def dbn():
    return DBNTransformer((7, 6, 5), rbm=RBM, layers="all", random_state=0)


def per_layer(fitted, X=X, output="probability"):
    """Features of each layer, by hand."""
    layers, rows = [], X
    for rbm in fitted.rbms_:
        field = rows @ rbm.components_.T + rbm.intercept_hidden_
        rows = 1 / (1 + np.exp(-field))
        shown = {"probability": rows, "logit": field, "binary": (field > 0) * 1.0}
        layers.append(shown[output])
    return layers


@pytest.mark.parametrize("output", ["probability", "logit", "binary"])
@pytest.mark.parametrize("layers", [0, -1, [2, 0], slice(None, None, -1), "all"])
def test_columns_are_the_chosen_layers_in_the_order_given(dbn, layers, output):
    dbn.set_params(layers=layers, output=output).fit(X)
    order = np.arange(3)[layers] if not isinstance(layers, str) else np.arange(3)
    blocks = [per_layer(dbn, output=output)[i] for i in np.atleast_1d(order)]
    np.testing.assert_allclose(dbn.transform(X), np.hstack(blocks), rtol=1e-7, atol=1e-12)
    assert dbn.selected_layers_.tolist() == np.atleast_1d(order).tolist()


def test_the_first_layer_is_an_rbm_with_the_seed_of_the_layer(dbn):
    alone = RBMTransformer(7, n_iter=2, random_state=layer_seed(0, 0)).fit(X)
    assert np.array_equal(dbn.fit(X).rbms_[0].components_, alone.components_)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_a_stack_on_means_is_a_chain_of_rbms(dbn, hidden):
    """Where nothing is sampled on the way up, each layer can be fitted by hand."""
    template = RBMTransformer(n_iter=3, sample_inputs=False, hidden=hidden)
    dbn.set_params(rbm=template).fit(X)
    rows, visible = X, "bernoulli"
    for layer, rbm in enumerate(dbn.rbms_):
        alone = clone(template).set_params(
            n_components=dbn.hidden_layer_sizes[layer],
            visible=visible,
            random_state=layer_seed(0, layer),
        )
        np.testing.assert_allclose(rbm.components_, alone.fit(rows).components_, atol=1e-10)
        rows, visible = alone.transform(rows), hidden
    np.testing.assert_allclose(dbn.select(layers=-1).transform(X), rows, atol=1e-10)


def test_upper_layers_learn_from_samples_of_the_layer_below(dbn):
    sampled = clone(dbn).fit(X).rbms_[1]._run
    means = dbn.set_params(rbm=RBMTransformer(n_iter=2, sample_inputs=False)).fit(X)
    assert means.rbms_[1].history_ != sampled.history


def test_layers_have_seeds_of_their_own(dbn):
    first, second = dbn.set_params(hidden_layer_sizes=(64, 64)).fit(X).rbms_
    assert not np.allclose(first.components_, second.components_, atol=0.05)


def test_a_layer_does_not_depend_on_those_above(dbn):
    shallow = clone(dbn).set_params(hidden_layer_sizes=(7, 6)).fit(X)
    deep = dbn.fit(X)
    for a, b in zip(shallow.rbms_, deep.rbms_, strict=False):
        assert np.array_equal(a.components_, b.components_)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_unit_type_of_a_layer_is_the_visible_type_of_the_next(dbn, hidden):
    dbn.set_params(rbm=clone(RBM).set_params(hidden=hidden)).fit(X * 2)
    assert [rbm.visible_type_ for rbm in dbn.rbms_] == ["gaussian", hidden, hidden]
    assert np.isfinite(dbn.transform(X)).all()


def test_each_layer_may_have_a_template_of_its_own(dbn):
    templates = [RBMTransformer(n_iter=n) for n in (1, 2, 3)]
    assert [r.n_iter_ for r in dbn.set_params(rbm=templates).fit(X).rbms_] == [1, 2, 3]
    assert all(not hasattr(t, "components_") for t in templates)


def test_units_by_mapping_by_count_and_by_fraction(dbn):
    layers = per_layer(dbn.fit(X))
    mapping = {0: [3, 1], 1: np.arange(6) % 2 == 0, -1: slice(1, 3)}
    picked = [layers[0][:, [3, 1]], layers[1][:, [0, 2, 4]], layers[2][:, 1:3]]
    np.testing.assert_allclose(dbn.select(units=mapping).transform(X), np.hstack(picked))
    assert dbn.select(units=4).transform(X).shape == (120, 4)
    assert dbn.select(units=0.5).transform(X).shape == (120, 9)
    assert dbn.select(units={0: 2, 1: 0.5}).transform(X).shape == (120, 2 + 3 + 5)


def test_the_best_units_by_variance_are_those_that_vary_most(dbn):
    dbn.set_params(units=5, unit_score="variance").fit(X)
    variance = np.hstack(per_layer(dbn)).var(axis=0)
    kept = np.hstack(dbn.transform(X).var(axis=0))
    np.testing.assert_allclose(np.sort(kept), np.sort(variance)[-5:])


def test_information_is_the_mutual_information_of_unit_and_input(dbn):
    dbn.set_params(units=5).fit(X)
    p = np.hstack(per_layer(dbn))

    def entropy(p):
        return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    information = entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
    chosen = np.concatenate(
        [u + [0, 7, 13][layer] for layer, u in zip(range(3), dbn.selected_units_, strict=True)]
    )
    assert set(chosen) == set(np.argsort(-information)[:5])


def test_score_functions_and_selectors_get_the_labels(dbn):
    by_function = clone(dbn).set_params(units=4, unit_score=f_classif).fit(X, y)
    by_selector = clone(dbn).set_params(units=SelectKBest(f_classif, k=4)).fit(X, y)
    assert np.array_equal(by_function.transform(X), by_selector.transform(X))
    everything = dbn.fit(X)
    with pytest.raises(ValueError, match="pass X, and y"):
        everything.select(units=SelectKBest(f_classif, k=4))
    view = everything.select(X, y, units=SelectKBest(f_classif, k=4))
    assert np.array_equal(view.transform(X), by_selector.transform(X))


def test_names_are_those_of_the_columns(dbn):
    frame = pd.DataFrame(X, columns=[f"p{j}" for j in range(64)])
    dbn.set_params(layers=[2, 0], units={2: [4, 0], 0: [1]}, passthrough=True)
    out = dbn.set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns[:3]) == ["layer2_unit4", "layer2_unit0", "layer0_unit1"]
    assert list(out.columns[3:]) == list(frame.columns)
    np.testing.assert_array_equal(out["p20"], frame["p20"])


def test_names_of_the_input_may_be_given_later(dbn):
    dbn.set_params(layers=2, passthrough=True).fit(X)
    names = [f"p{j}" for j in range(64)]
    assert dbn.get_feature_names_out(names)[5:].tolist() == names
    assert dbn.get_feature_names_out()[5:].tolist() == [f"x{j}" for j in range(64)]
    with pytest.raises(ValueError, match="input_features"):
        dbn.get_feature_names_out(names[1:])


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_stock_selectors_find_layers_by_name(dbn, container):
    if container == "pandas":
        some = make_column_selector(pattern="^layer[02]_")
    else:
        some = [f"layer0_unit{j}" for j in range(7)] + [f"layer2_unit{j}" for j in range(5)]
    columns = make_column_transformer(("passthrough", some))
    pipe = make_pipeline(dbn.set_output(transform=container), columns)
    chosen = pipe.fit_transform(X)
    np.testing.assert_array_equal(chosen, pipe[0].select(layers=[0, 2]).transform(X))


def test_a_selector_of_units_is_searched_with_the_labels_of_the_pipeline(dbn):
    dbn.set_params(units=SelectKBest(f_classif), layers="all")
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=500))
    search = GridSearchCV(pipe, {"dbntransformer__units__k": [1, 8]}, cv=2).fit(X, y)
    fitted = search.best_estimator_[0]
    assert search.best_params_ == {"dbntransformer__units__k": 8}
    assert sum(map(len, fitted.selected_units_)) == fitted.unit_selector_.k == 8
    assert not hasattr(fitted.units, "scores_")


def test_passthrough_of_sparse_rows_is_sparse(dbn):
    dbn.set_params(passthrough=True).fit(X)
    out = dbn.transform(sp.csr_array(X))
    assert sp.issparse(out)
    np.testing.assert_allclose(out.toarray(), dbn.transform(X))


@pytest.mark.parametrize(
    "selection",
    [
        {"layers": [2, 0], "units": 4, "output": "logit"},
        {"layers": 1, "units": {1: 0.5}, "unit_score": "variance", "passthrough": True},
        {"layers": slice(1, None), "units": 0.3, "output": "binary"},
    ],
    ids=str,
)
def test_select_gives_what_a_fit_with_that_selection_gives(dbn, selection):
    view = clone(dbn).fit(X).select(**selection)
    fitted = clone(dbn).set_params(**selection).fit(X)
    assert np.array_equal(view.transform(X), fitted.transform(X))
    assert view.get_params(deep=False).keys() == fitted.get_params(deep=False).keys()
    assert view.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_selections_of_a_selection_start_from_the_same_layers(dbn):
    dbn.fit(X)
    narrow = dbn.select(layers=0, units=2)
    assert np.array_equal(
        narrow.select(layers="all", units=None).transform(X), dbn.transform(X)
    )


def test_select_leaves_the_fitted_stack_alone(dbn, monkeypatch):
    dbn.fit(X)
    before = dbn.transform(X)
    monkeypatch.setattr(RBMTransformer, "_fit_rows", None)
    view = dbn.select(layers=1, units=3, output="logit", passthrough=True)
    assert view.transform(X).shape == (120, 3 + 64)
    assert (dbn.layers, dbn.units, dbn.output) == ("all", None, "probability")
    assert np.array_equal(dbn.transform(X), before)
    with pytest.raises(ValueError, match="'output' parameter"):
        dbn.select(output="odds")


@pytest.mark.parametrize("sizes", [(40,), (40, 30), (40, 30, 20)])
def test_inverse_transform_is_close_to_the_rows(sizes):
    rbm = RBMTransformer(n_iter=60)
    dbn = DBNTransformer(sizes, rbm=rbm, random_state=0).fit(X)
    error = ((dbn.inverse_transform(dbn.transform(X)) - X) ** 2).mean()
    assert error < 0.5 * ((X - X.mean(axis=0)) ** 2).mean()


def test_inverse_transform_takes_any_selection(dbn):
    dbn.fit(X)
    for selection in (
        {"layers": [1, 0]},
        {"layers": 2, "units": 3},
        {"layers": "all", "units": 0.5},
        {"output": "binary"},
        {"layers": [2, 1], "units": {1: [5, 0]}},
    ):
        view = dbn.select(**selection)
        back = view.inverse_transform(view.transform(X))
        assert back.shape == X.shape
        assert (0 <= back).all()
        assert (back <= 1).all()
    # With all units of the first layer given, the layers above change nothing.
    first = dbn.select(layers=0)
    np.testing.assert_allclose(
        dbn.inverse_transform(dbn.transform(X)), first.inverse_transform(first.transform(X))
    )
    logit = dbn.select(output="logit")
    np.testing.assert_allclose(
        logit.inverse_transform(logit.transform(X)), dbn.inverse_transform(dbn.transform(X))
    )
    passed = dbn.select(passthrough=True)
    assert np.array_equal(passed.inverse_transform(passed.transform(X)), X)


def test_inverse_transform_goes_down_layer_by_layer(dbn):
    top = dbn.fit(X).select(layers=-1)
    rows = top.transform(X)
    for rbm in reversed(dbn.rbms_):
        rows = rbm.inverse_transform(rows)
    np.testing.assert_allclose(top.inverse_transform(top.transform(X)), rows)


@pytest.mark.parametrize("layer", [0, 2])
def test_units_that_were_not_selected_are_set_to_their_mean(dbn, layer):
    whole = dbn.fit(X).select(layers=layer)
    part = whole.select(units={layer: [4, 1]})
    H = np.tile(whole.transform(X).mean(axis=0), (len(X), 1))
    H[:, [4, 1]] = part.transform(X)
    np.testing.assert_allclose(
        part.inverse_transform(part.transform(X)), whole.inverse_transform(H)
    )


@pytest.mark.parametrize("output", ["logit", "binary"])
def test_real_valued_units_are_their_own_states(dbn, output):
    dbn.set_params(rbm=RBMTransformer(n_iter=2, hidden="gaussian")).fit(X)
    view = dbn.select(output=output)
    assert np.array_equal(dbn.transform(X), dbn.select(output="binary").transform(X))
    part = {"layers": 2, "units": {2: [3, 0]}}
    shown, plain = view.select(**part), dbn.select(**part)
    np.testing.assert_allclose(
        shown.inverse_transform(shown.transform(X)), plain.inverse_transform(plain.transform(X))
    )
    np.testing.assert_allclose(
        view.inverse_transform(view.transform(X)), dbn.inverse_transform(dbn.transform(X))
    )


def test_a_pretrained_stack_is_never_trained(dbn, monkeypatch):
    source = dbn.fit(X)
    monkeypatch.setattr(RBMTransformer, "_fit_rows", None)
    frozen = DBNTransformer(pretrained=FrozenEstimator(source), layers=[0, 2], units=0.5)
    pipe = make_pipeline(frozen, LogisticRegression(max_iter=500))
    grid = {"dbntransformer__layers": [0, 1, "all"], "dbntransformer__units": [None, 2]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    fitted = search.best_estimator_[0]
    pairs = zip(fitted.rbms_, source.rbms_, strict=True)
    assert all(a._machine is b._machine for a, b in pairs)


def test_a_pretrained_stack_scores_its_units_on_the_rows_of_fit(dbn):
    frozen = FrozenEstimator(dbn.fit(X))
    few = DBNTransformer(pretrained=frozen, layers=0, units=3, unit_score="variance").fit(
        X[:20]
    )
    variance = dbn.select(layers=0).transform(X[:20]).var(axis=0)
    assert few.selected_units_[0].tolist() == sorted(np.argsort(-variance)[:3])


def test_a_row_does_not_depend_on_its_batch(dbn):
    dbn.set_params(passthrough=True).fit(X)
    alone = np.vstack([dbn.transform(row[None]) for row in X])
    np.testing.assert_allclose(alone, dbn.transform(X), rtol=1e-12)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_sparse_rows_give_what_dense_rows_give(dbn, visible):
    dbn.set_params(rbm=RBMTransformer(n_iter=2, visible=visible))
    for call in ("fit", "partial_fit"):
        dense, sparse = (getattr(clone(dbn), call)(rows) for rows in (X, sp.csr_array(X)))
        np.testing.assert_allclose(dense.transform(X), sparse.transform(X), atol=1e-9)


def test_a_pickled_stack_continues_as_the_original_does(dbn):
    loaded = pickle.loads(pickle.dumps(dbn.fit(X)))
    assert np.array_equal(loaded.partial_fit(X).transform(X), dbn.partial_fit(X).transform(X))


def test_the_first_chunk_scores_its_units(dbn):
    dbn.partial_fit(X)
    variance = dbn.transform(X).var(axis=0)
    best = dbn.select(units=5, unit_score="variance").transform(X).var(axis=0)
    np.testing.assert_allclose(np.sort(best), np.sort(variance)[-5:])


def test_partial_fit_goes_on_over_chunks(dbn):
    for _ in range(2):
        for part in np.array_split(X, 5):
            assert dbn.partial_fit(part) is dbn
    assert [rbm.n_iter_ for rbm in dbn.rbms_] == [10, 10, 10]
    view = dbn.select(units=4)
    before = view.transform(X)
    dbn.partial_fit(X)
    assert np.array_equal(view.transform(X), before)


def test_warm_start_goes_on_and_adds_layers(dbn):
    dbn.set_params(hidden_layer_sizes=(7, 6), warm_start=True).fit(X)
    dbn.set_params(hidden_layer_sizes=(7, 6, 5)).fit(X)
    assert [rbm.n_iter_ for rbm in dbn.rbms_] == [4, 4, 2]


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_going_on_leaves_earlier_selections_alone(dbn, call):
    dbn.set_params(warm_start=True).fit(X)
    view = dbn.select(units=6, unit_score="variance")
    before, history = view.transform(X), [rbm.n_iter_ for rbm in view.rbms_]
    rows_seen = [statistics.weight for statistics in view._statistics]
    getattr(dbn, call)(X[::-1] ** 2)
    assert np.array_equal(view.transform(X), before)
    assert np.array_equal(view.select(units=6).transform(X), before)
    assert [rbm.n_iter_ for rbm in view.rbms_] == history
    assert [statistics.weight for statistics in view._statistics] == rows_seen
    assert not np.array_equal(dbn.transform(X), view.select(units=None).transform(X))


def test_going_on_keeps_the_dtype_and_the_columns(dbn):
    for go_on in (clone(dbn).partial_fit, clone(dbn).set_params(warm_start=True).fit):
        go_on(X.astype(np.float32))
        runs = [rbm._run for rbm in go_on(X).rbms_]
        arrays = [x for run in runs for x in (*run.machine.arrays(), *run.activity)]
        assert {x.dtype for x in arrays} == {np.dtype(np.float32)}
        with pytest.raises(ValueError, match="X has 63 features"):
            go_on(X[:, 1:])


def test_training_parameters_may_change_between_chunks(dbn):
    dbn.partial_fit(X)
    before = dbn.transform(X)
    # A step of next to nothing leaves the features where they were.
    dbn.set_params(
        rbm=RBMTransformer(learning_rate=1e-12, averaging_fraction=1e-9)
    ).partial_fit(X)
    moved = np.abs(dbn.transform(X) - before).max()
    dbn.set_params(rbm=RBMTransformer(learning_rate=0.1)).partial_fit(X)
    assert np.abs(dbn.transform(X) - before).max() > 10 * moved


def test_scores_discount_old_rows():
    rng = np.random.default_rng(0)
    rbm = RBMTransformer(batch_size=2000)
    dbn = DBNTransformer((3,), rbm=rbm, units=1, random_state=0)
    for _ in range(6):
        dbn.partial_fit(rng.random((5000, 2)))
    # Each chunk takes a third from the weight of those before it.
    assert 10_000 < dbn._statistics[0].weight < 15_000


def test_only_proportions_of_weights_count_in_fit(dbn):
    weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    # A power of two, which leaves every other bit as it is.
    some, more = (clone(dbn).fit(X, sample_weight=w) for w in (weight, 1024 * weight))
    assert np.array_equal(some.transform(X), more.transform(X))


def test_training_parameters_are_searched_like_any_nested_one(dbn):
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=500))
    grid = {"dbntransformer__rbm__learning_rate": [0.01, 0.1]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert search.best_estimator_[0].rbms_[0].learning_rate_ in (0.01, 0.1)


def test_float32_stays_float32(dbn):
    narrow = X.astype(np.float32)
    for fitted in (clone(dbn).fit(narrow), clone(dbn).partial_fit(narrow)):
        H = fitted.select(passthrough=True).transform(narrow)
        assert H.dtype == np.float32
        assert fitted.inverse_transform(fitted.transform(narrow)).dtype == np.float32
        assert {rbm.components_.dtype for rbm in fitted.rbms_} == {np.dtype(np.float32)}


def test_weights_count_in_every_layer(dbn):
    weight = np.r_[np.ones(60), np.zeros(60)]
    other = np.where(weight[:, None] > 0, X, 0.9)
    first, second = (clone(dbn).fit(rows, sample_weight=weight) for rows in (X, other))
    for a, b in zip(first.rbms_, second.rbms_, strict=True):
        assert np.array_equal(a.components_, b.components_)
