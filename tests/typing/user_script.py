"""What a user writes, with the types that a checker is to find.

The test in this folder runs mypy on it, and then the script; `assert_type` does nothing then.
"""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
    layer_subsets,
)


def main() -> None:
    X = np.random.default_rng(0).random((40, 6))
    y = np.arange(40) % 2

    rbm = RBMTransformer(4, visible="bernoulli", sampler="pcd", n_iter=2, random_state=0)
    assert_type(rbm.fit(X), RBMTransformer)
    assert_type(rbm.transform(X).shape, tuple[Any, ...])
    assert_type(rbm.components_.shape, tuple[Any, ...])
    assert_type(rbm.visible_variance_ is None, bool)
    assert_type(rbm.history_, dict[str, list[float]])
    assert_type(rbm.n_iter_, int)
    assert_type(rbm.log_partition("exact").value, float)
    assert_type(rbm.score(X), float)
    assert_type(rbm.n_features_in_, int)

    dbn = DBNTransformer((5, 4), rbm=rbm, layers="all", output="logit", random_state=0)
    assert_type(dbn.fit(X, y), DBNTransformer)
    assert_type(dbn.select(layers=0, units=2), DBNTransformer)
    assert_type(dbn.rbms_, list[RBMTransformer])
    assert_type(dbn.selected_layers_.tolist()[0], Any)
    assert_type(len(dbn.selected_units_), int)
    assert_type(dbn.fit_transform(X).shape, tuple[Any, ...])
    assert_type(dbn.sample(3, random_state=0).shape, tuple[Any, ...])
    assert_type(layer_subsets(2), list[tuple[int, ...]])

    dbm = DBMTransformer((5, 4), rbm=RBMTransformer(n_iter=2), pretrain=None, random_state=0)
    assert_type(dbm.fit(X).move_to(X), DBMTransformer)
    assert_type(dbm.weights_[0].shape, tuple[Any, ...])

    classifier = DBNClassifier(dbn, solver="adam", n_iter=2, random_state=0)
    assert_type(classifier.fit(X, y), DBNClassifier)
    assert_type(classifier.partial_fit(X, y), DBNClassifier)
    assert_type(classifier.predict(X).shape, tuple[Any, ...])
    assert_type(classifier.predict_proba(X).shape, tuple[Any, ...])
    assert_type(classifier.classes_.shape, tuple[Any, ...])
    assert_type(classifier.transformer_.score_samples(X).shape, tuple[Any, ...])

    regressor = DBNRegressor(rbm, fine_tune="head", n_iter=2, random_state=0)
    assert_type(regressor.fit(X, X[:, 0]).predict(X).shape, tuple[Any, ...])
    assert_type(regressor.learning_rate_, float)
