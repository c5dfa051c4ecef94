"""Warnings of trainings that have not converged, and none of those that have."""

import warnings

import numpy as np
import pytest
from helpers.training import Callback
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn.machine import Machine
from sklearn_dbn.training import loss_still_falls
from sklearn_dbn.training._convergence import Straightness
from sklearn_dbn.units import UNITS

DIGITS = load_digits().data / 16
WINE, KIND = load_wine(return_X_y=True)
NOT_CONVERGED = "has not converged after"


def warnings_of(function, *args, **kwargs):
    """Messages of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    assert all(w.category is ConvergenceWarning for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("X", "seed"), [(DIGITS, 0), (WINE, 1), (load_diabetes().data, 2), (load_iris().data, 0)]
)
def test_defaults_converge(X, seed):
    assert warnings_of(RBMTransformer(random_state=seed).fit, X) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "n"), [({"n_iter": 3}, 3), ({"learning_rate": 1e-5, "n_iter": 20}, 20)]
)
def test_few_passes_and_short_steps_do_not_converge(changes, n):
    (message,) = warnings_of(RBMTransformer(**changes, random_state=0).fit, DIGITS)
    assert message == (
        f"The training has not converged after {n} passes, as its weights still move in one "
        "direction: raise n_iter or learning_rate."
    )


@pytest.mark.slow
def test_the_warning_marks_machines_that_more_passes_improve():
    """Of the same data and parameters; the seeds differ in how soon iris is learnt."""
    X = load_iris().data
    for seed in (5, 6):
        rbm = RBMTransformer(random_state=seed)
        warned = len(warnings_of(rbm.fit, X)) == 1
        longer = RBMTransformer(n_iter=200, random_state=seed).fit(X)
        assert warned == (longer.score(X) > rbm.score(X) + 5)


@pytest.mark.parametrize("n_iter", [1, 2, 3, 5])
def test_convergence_is_judged_for_any_number_of_passes(n_iter):
    rbm = RBMTransformer(16, n_iter=n_iter, learning_rate=1e-4, random_state=0)
    with pytest.warns(ConvergenceWarning, match=NOT_CONVERGED):
        rbm.fit(WINE)


def test_single_chunks_are_not_judged():
    rbm = RBMTransformer(16, learning_rate=1e-5, random_state=0)
    assert warnings_of(rbm.partial_fit, WINE) == []
    assert warnings_of(DBNTransformer((4,), rbm=rbm, random_state=0).partial_fit, WINE) == []
    assert warnings_of(DBMTransformer((4, 3), rbm=rbm, random_state=0).partial_fit, WINE) == []
    assert warnings_of(RBMTransformer(4, n_iter=0, random_state=0).fit, WINE) == []


def test_the_warning_about_a_layer_names_its_number():
    rbm = RBMTransformer(n_iter=3)
    messages = warnings_of(DBNTransformer((16, 8), rbm=rbm, random_state=0).fit, DIGITS)
    assert [message[:47] for message in messages] == [
        f"The training of layer {i} has not converged after" for i in (0, 1)
    ]


@pytest.mark.slow
def test_the_joint_training_is_judged_and_not_what_comes_before():
    rbm, before = RBMTransformer(n_iter=50), RBMTransformer(n_iter=3)
    dbm = DBMTransformer((16, 8), rbm=rbm, pretrain_rbm=before, random_state=0)
    assert warnings_of(dbm.fit, DIGITS[:500]) == []
    (message,) = warnings_of(clone(dbm).set_params(rbm__n_iter=3).fit, DIGITS[:500])
    assert message.startswith("The training has not converged after 3 passes")


class StopAfter(Callback):
    def __init__(self, n):
        self.n = n

    def on_fit_task_end(self, estimator, context):
        self.n -= context.task_name == "epoch"
        return self.n == 0


def test_a_stopped_training_is_not_judged():
    rbm = RBMTransformer(8, learning_rate=1e-5, n_iter=4, random_state=0)
    assert warnings_of(rbm.set_callbacks(StopAfter(2)).fit, DIGITS) == []
    # It rises and falls by chance alone.
    rbm = RBMTransformer(
        8,
        learning_rate=1e-9,
        n_iter=40,
        early_stopping=True,
        n_iter_no_change=1,
        random_state=0,
    )
    assert warnings_of(rbm.fit, DIGITS[:100]) == []
    assert rbm.n_iter_ < 40
    classifier = DBNClassifier(
        FrozenEstimator(RBMTransformer(8, n_iter=1, random_state=0).fit(WINE)),
        n_iter=4,
        random_state=0,
    )
    assert warnings_of(clone(classifier).set_callbacks(StopAfter(2)).fit, WINE, KIND) == []
    assert len(warnings_of(classifier.fit, WINE, KIND)) == 1


def test_going_on_is_judged_by_the_passes_of_the_last_fit():
    rbm = RBMTransformer(16, n_iter=3, warm_start=True, random_state=0)
    assert len(warnings_of(rbm.fit, WINE)) == 1
    assert warnings_of(rbm.set_params(n_iter=100).fit, WINE) == []


def test_a_machine_from_memory_is_not_judged_again(tmp_path):
    rbm = RBMTransformer(8, n_iter=3, memory=str(tmp_path), random_state=0)
    assert len(warnings_of(clone(rbm).fit, WINE)) == 1
    assert warnings_of(clone(rbm).fit, WINE) == []


class DieAfter(StopAfter):
    def on_fit_task_end(self, estimator, context):
        if super().on_fit_task_end(estimator, context):
            raise RuntimeError


@pytest.mark.slow
@pytest.mark.parametrize("after", [2, 15, 16])
def test_a_training_that_was_cut_short_is_judged_as_a_whole(tmp_path, after):
    for rate, n in ((1e-5, 1), ("auto", 0)):
        rbm = RBMTransformer(64, n_iter=30, learning_rate=rate, random_state=0)
        assert len(warnings_of(clone(rbm).fit, WINE)) == n
        rbm.set_params(memory=str(tmp_path))
        with pytest.raises(RuntimeError):
            clone(rbm).set_callbacks(DieAfter(after)).fit(WINE)
        assert len(warnings_of(rbm.fit, WINE)) == n
        assert rbm._run.straightness is None


def machines_along(points):
    """Machines whose two weights are those points of a plane."""
    units = (UNITS["bernoulli"],) * 2
    par = [np.zeros((1, 1)), np.zeros((1, 2))]
    return [Machine(units, par, [np.array([point], dtype=float)]) for point in points]


def moves_straight(points, n_steps=10):
    begin, *machines = machines_along(points)
    straightness, before = Straightness(len(machines), begin.W), None
    for machine in machines:
        straightness.end_pass(before, machine)
        before = machine
    return straightness.moves_straight(before, n_steps)


def test_weights_on_a_straight_path_have_not_converged_and_weights_that_return_have():
    straight = [(i, 0) for i in range(11)]
    back = [(i, 0) for i in range(6)] + [(5 + i % 2, i % 3) for i in range(1, 6)]
    assert moves_straight(straight)
    assert not moves_straight(back)
    # However straight, it has become short.
    assert not moves_straight(
        [(i, 0) for i in range(6)] + [(5 + i / 20, 0) for i in range(1, 6)]
    )
    # 3, 4, 5: straightness is the way from end to end over the length of the passes.
    first, edge = [(0, 0), (0, 0), (0, 0), (0, 0), (0, 0)], (3, 4)
    assert moves_straight([*first, (3, 0), edge, edge, edge])
    assert not moves_straight([*first, (3, 0), (3, 0), (3, 4), (3, 3)])


def test_of_few_passes_the_number_of_steps_decides():
    for end in ((2, 0), (1, 1)):
        assert moves_straight([(0, 0), (1, 0), end], n_steps=1000)
        assert not moves_straight([(0, 0), (1, 0), end], n_steps=1001)
    assert not moves_straight([(0, 0), (1, 0), (1.05, 0)])
    assert moves_straight([(i, 0) for i in range(9)], n_steps=1001)


def test_a_loss_still_falls_by_what_the_second_half_did():
    assert loss_still_falls([0.9, 0.8, 0.7, 0.6], 1.0)
    assert not loss_still_falls([0.5, 0.1, 0.09, 0.08], 1.0)
    assert not loss_still_falls([1.0, 1.0, 1.0, 0.9999], 1.0)
    # From above the base rate, as with a generator that is already there.
    assert not loss_still_falls([3.0, 1.2, 1.1, 1.0], 1.0)
    assert loss_still_falls([0.5], 1.0)
    assert loss_still_falls([0.9, 0.6], 1.0)
    assert not loss_still_falls([], 1.0)


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(RBMTransformer(32, random_state=0).fit(WINE))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"n_iter": 3}, "its loss still falls: raise n_iter or learning_rate."),
        ({"n_iter": 1}, "its loss still falls: raise n_iter or learning_rate."),
        ({"learning_rate": 1e-5}, "its loss still falls: raise n_iter or learning_rate."),
        ({"solver": "lbfgs", "n_iter": 3}, "scipy made all n_iter iterations: raise n_"),
        ({"solver": "cg", "n_iter": 3}, "scipy made all n_iter iterations: raise n_iter."),
        ({"solver": "lbfgs", "n_iter": 500}, None),
        ({"early_stopping": True, "n_iter_no_change": 5, "n_iter": 100}, None),
        ({"n_iter": 0}, None),
    ],
)
def test_fine_tunings_are_judged_by_their_loss(frozen, changes, expected):
    messages = warnings_of(DBNClassifier(frozen, **changes, random_state=0).fit, WINE, KIND)
    if expected is None:
        assert messages == []
    else:
        (message,) = messages
        assert message.startswith("The fine-tuning has not converged after")
        assert expected in message


def test_regressors_are_judged_too(frozen):
    y = WINE[:, 0]
    assert warnings_of(DBNRegressor(frozen, random_state=0).fit, WINE, y) == []
    assert len(warnings_of(DBNRegressor(frozen, n_iter=2, random_state=0).fit, WINE, y)) == 1
    chunk = DBNRegressor(frozen, random_state=0)
    assert warnings_of(chunk.partial_fit, WINE, y) == []
