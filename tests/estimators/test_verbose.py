"""What `verbose` prints: who trains, which layer, which pass."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

X = np.random.default_rng(0).random((20, 5))
y = np.arange(20) % 2
RBM, LOUD = RBMTransformer(n_components=3, n_iter=2), RBMTransformer(n_iter=2, verbose=1)
DBN = ["layer 0, pass 1", "layer 0, pass 2", "layer 1, pass 1", "layer 1, pass 2"]
DBM = [*DBN, "pass 1", "pass 2"]
PASSES = ["pass 1", "pass 2"]


def of(name, passes):
    return [f"[{name}] {line}" for line in passes]


CASES = {
    "rbm": (RBMTransformer(3, n_iter=2, verbose=1), of("RBMTransformer", PASSES)),
    "dbn": (DBNTransformer((4, 3), rbm=RBM, verbose=1), of("DBNTransformer", DBN)),
    "dbn, template": (DBNTransformer((4, 3), rbm=LOUD), of("DBNTransformer", DBN)),
    "dbn, second template": (
        DBNTransformer((4, 3), rbm=[RBM, LOUD]),
        of("DBNTransformer", DBN[2:]),
    ),
    "dbm": (DBMTransformer((4, 3), rbm=RBM, verbose=1), of("DBMTransformer", DBM)),
    "dbm, template": (DBMTransformer((4, 3), rbm=LOUD), of("DBMTransformer", DBM)),
    "dbm, first template": (
        DBMTransformer((4, 3), rbm=RBM, pretrain_rbm=LOUD),
        of("DBMTransformer", DBN),
    ),
    "classifier": (
        DBNClassifier(DBNTransformer((4, 3), rbm=RBM), n_iter=2, verbose=1),
        of("DBNTransformer", DBN) + of("DBNClassifier", PASSES),
    ),
    "regressor": (
        DBNRegressor(DBMTransformer((4, 3), rbm=RBM), n_iter=2, verbose=1),
        of("DBMTransformer", DBM) + of("DBNRegressor", PASSES),
    ),
    "frozen": (
        DBNClassifier(
            FrozenEstimator(DBNTransformer((4, 3), rbm=RBM).fit(X)), n_iter=2, verbose=1
        ),
        of("DBNClassifier", PASSES),
    ),
    "quiet": (DBNClassifier(DBNTransformer((4, 3), rbm=RBM), n_iter=2), []),
}


def lines(capsys):
    return [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("kind", CASES)
def test_each_pass_has_a_line_that_names_its_training(kind, capsys):
    model, expected = CASES[kind]
    model.fit(X, y)
    assert lines(capsys) == expected
    if hasattr(model, "transformer_"):
        assert model.transformer_.verbose == 0


def test_chunks_have_a_line_for_each_layer(capsys):
    DBNTransformer((4, 3), rbm=RBM, verbose=1).partial_fit(X).partial_fit(X)
    DBMTransformer((4, 3), rbm=RBM, verbose=1).partial_fit(X)
    expected = [f"layer {layer}, pass {n}" for n in (1, 2) for layer in (0, 1)]
    assert lines(capsys) == of("DBNTransformer", expected) + of("DBMTransformer", ["pass 1"])


@pytest.mark.parametrize("kind", [DBNTransformer, DBMTransformer])
def test_what_is_printed_is_no_part_of_the_key(kind, tmp_path, capsys):
    model = kind((4, 3), rbm=RBM, memory=tmp_path, random_state=0).fit(X)
    model.set_params(verbose=1).fit(X)
    assert lines(capsys) == []
