"""Parameters of templates inside an estimator, also of the default ones."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

rng = np.random.default_rng(0)
X, y = np.round(rng.random((40, 6))), np.arange(40) % 2
STACKS = [DBNTransformer, DBMTransformer]
TUNED = [DBNClassifier, DBNRegressor]


@pytest.mark.parametrize("kind", STACKS)
def test_a_parameter_of_the_default_template_set_to_its_default_changes_no_training(kind):
    none = kind((4, 3), random_state=0)
    put = clone(none).set_params(rbm__n_iter=RBMTransformer().n_iter)
    assert none.rbm is None
    assert put.rbm is not None
    assert np.array_equal(none.fit(X).transform(X), put.fit(X).transform(X))


def test_a_deep_boltzmann_machine_keeps_its_own_default():
    dbm = DBMTransformer().set_params(rbm__learning_rate=0.02)
    assert (dbm.rbm.n_gibbs_steps, dbm.rbm.learning_rate) == (5, 0.02)


def test_the_template_of_pretraining_has_the_parameters_of_the_machine():
    dbm = DBMTransformer().set_params(pretrain_rbm__n_iter=7, rbm__learning_rate=0.02)
    before = dbm.pretrain_rbm
    assert (before.n_iter, before.learning_rate, before.n_gibbs_steps) == (7, 0.02, 5)
    assert before is not dbm.rbm
    assert dbm.rbm.n_iter == RBMTransformer().n_iter
    dbm = DBMTransformer().set_params(pretrain_rbm__n_iter=7)
    assert dbm.rbm is None


@pytest.mark.parametrize("kind", TUNED)
def test_names_set_parameters_at_any_depth(kind):
    tuned = kind().set_params(transformer__layers="all", transformer__rbm__n_iter=3)
    assert tuned.transformer.layers == "all"
    assert tuned.transformer.rbm.n_iter == 3
    assert tuned.get_params()["transformer__rbm__n_iter"] == 3
    assert clone(tuned).transformer.rbm.n_iter == 3


def test_a_search_finds_its_parameters_below_a_default_template():
    dbn = DBNTransformer((4,), random_state=0)
    pipe = make_pipeline(dbn, LogisticRegression())
    grid = {"dbntransformer__rbm__n_iter": [1, 2]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert search.best_estimator_[0].rbm.n_iter == search.best_params_.popitem()[1]
    assert dbn.rbm is None
    grid = {"transformer__rbm__n_iter": [1, 2], "transformer__hidden_layer_sizes": [(3,)]}
    clf = DBNClassifier(n_iter=1, random_state=0)
    search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    assert search.best_estimator_.transformer_.rbms_[0].n_components == 3


@pytest.mark.parametrize("sequence", [list, tuple])
def test_templates_of_a_sequence_have_their_places(sequence):
    given = sequence(RBMTransformer(n_iter=n) for n in (1, 2))
    dbn = DBNTransformer((4, 3), rbm=given, random_state=0)
    before = copy.copy(given)
    dbn.set_params(rbm__1__n_iter=5, rbm__0=RBMTransformer(n_iter=4))
    assert type(dbn.rbm) is sequence
    assert [rbm.n_iter for rbm in dbn.rbm] == [4, 5]
    assert given == before
    assert dbn.rbm is not given
    # As in scikit-learn, a template itself is set where it is.
    assert dbn.rbm[1] is given[1]
    params = dbn.get_params()
    assert params["rbm__1"] is dbn.rbm[1]
    assert params["rbm__0__n_iter"] == 4
    assert "rbm__0" not in dbn.get_params(deep=False)
    assert [rbm.n_iter for rbm in clone(dbn).set_params(**params).rbm] == [4, 5]
    assert [rbm.n_iter_ for rbm in dbn.fit(X).rbms_] == [4, 5]
    assert "n_iter" in dbn._repr_html_()


def test_a_template_in_a_sequence_twice_is_set_once():
    one = RBMTransformer(n_iter=1)
    dbn = DBNTransformer((4, 3), rbm=[one] * 2).set_params(rbm__0__n_iter=2)
    assert [rbm.n_iter for rbm in dbn.rbm] == [2, 1]
    assert one.n_iter == 1


def test_a_search_over_one_template_of_a_sequence():
    templates = [RBMTransformer(n_iter=1), RBMTransformer(n_iter=2)]
    dbn = DBNTransformer((4, 3), rbm=templates, random_state=0)
    grid = {"dbntransformer__rbm__0__n_iter": [3, 4]}
    GridSearchCV(make_pipeline(dbn, LogisticRegression()), grid, cv=2).fit(X, y)
    assert [rbm.n_iter for rbm in dbn.rbm] == [1, 2]


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (DBNTransformer(), "rbm__learning_rat"),
        (DBMTransformer(), "rbm__learning_rat"),
        (DBMTransformer(), "pretrain_rbm__learning_rat"),
        (DBNTransformer(rbm=RBMTransformer()), "rbm__learning_rat"),
        (DBNTransformer(), "rmb__learning_rate"),
        (DBNTransformer(rbm=[RBMTransformer()]), "rbm__1"),
        (DBNTransformer(rbm=[RBMTransformer()]), "rbm__-1__n_iter"),
        (DBNTransformer(rbm=[RBMTransformer()]), "rbm__n_iter"),
        (DBNTransformer(rbm=[RBMTransformer()]), "rbm__0__learning_rat"),
        (DBNClassifier(), "transformer__learning_rate"),
        (DBNRegressor(), "transformer__rbm__learning_rat"),
    ],
)
def test_an_unknown_name_is_refused_and_changes_nothing(estimator, name):
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"Invalid parameter .* for .*estimator .*Valid param"):
        estimator.set_params(**{name: 0.1})
    assert vars(estimator) == before


def test_a_frozen_generator_stays_as_it_is():
    dbn = DBNTransformer((4,), rbm=RBMTransformer(n_iter=1)).fit(X)
    with pytest.raises(ValueError, match="frozen"):
        DBNClassifier(FrozenEstimator(dbn)).set_params(transformer__layers=0)
