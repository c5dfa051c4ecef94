"""fit is a tree of tasks: stack, layer, epoch."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBNTransformer, RBMTransformer

X, y = load_digits(return_X_y=True)
X, y = X[:60] / 16, y[:60]


class Recorder:
    """Records the tasks that begin and end."""

    def __init__(self, stop=lambda context: False):
        self.events, self.stop = [], stop

    def setup(self, estimator, context):
        self.events.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.events.append(f"end {context.task_name} {context.task_id}")
        if context.task_name == "epoch":
            rows = X if X.shape[1] == fitted_estimator.n_features_in_ else None
            assert rows is not None
            assert np.isfinite(fitted_estimator.transform(rows)).all()
        return self.stop(context)

    def teardown(self, estimator, context):
        self.events.append("teardown")


class Propagated(Recorder):
    max_propagation_depth = None


class Fitted:
    """Writes down whether the estimators that hooks are given can be used."""

    def __init__(self):
        self.shapes = {}

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        if fitted_estimator is not None:
            self.shapes[context.task_name] = fitted_estimator.transform(X).shape

    def teardown(self, estimator, context):
        pass


def epochs(n):
    return [f"{what} epoch {i}" for i in range(n) for what in ("begin", "end")]


def test_an_rbm_is_a_task_with_a_task_for_each_pass():
    recorder = Recorder()
    RBMTransformer(4, n_iter=2).set_callbacks(recorder).fit(X)
    assert recorder.events == [
        "setup",
        "begin fit 0",
        *epochs(2),
        "end fit 0",
        "teardown",
    ]


def test_partial_fit_is_one_pass():
    recorder = Recorder()
    RBMTransformer(4).set_callbacks(recorder).partial_fit(X)
    assert recorder.events[2:4] == epochs(1)


def test_a_stack_is_a_task_with_a_tree_for_each_layer():
    recorder = Propagated()
    dbn = DBNTransformer((5, 4), rbm=RBMTransformer(n_iter=2)).set_callbacks(recorder)
    layers = [f"{e}" for i in range(2) for e in (f"begin fit {i}", *epochs(2), f"end fit {i}")]
    expected = ["setup", "begin fit 0", *layers, "end fit 0", "teardown"]
    dbn.fit(X)
    assert recorder.events == expected
    recorder.events.clear()
    dbn.partial_fit(X)
    assert recorder.events.count("begin epoch 0") == 2
    assert recorder.events[-1] == "teardown"


def test_a_callback_of_the_stack_alone_gets_the_layers():
    recorder = Recorder()
    DBNTransformer((5, 4), rbm=RBMTransformer(n_iter=2)).set_callbacks(recorder).fit(X)
    assert "begin layer 1 1" in recorder.events
    assert "begin epoch 0" not in recorder.events


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_fitted_estimators_given_to_hooks_can_transform(call):
    seen = Fitted()
    getattr(RBMTransformer(4, n_iter=2).set_callbacks(seen), call)(X)
    assert seen.shapes == {"epoch": (60, 4), "fit": (60, 4)}
    seen = Fitted()
    dbn = DBNTransformer((5, 4), rbm=RBMTransformer(n_iter=2)).set_callbacks(seen)
    getattr(dbn, call)(X)
    assert seen.shapes["fit"] == (60, 9)


def test_tasks_nest_through_a_search_and_a_pipeline():
    recorder = Propagated()
    dbn = DBNTransformer((5, 4), rbm=RBMTransformer(n_iter=3), random_state=0)
    pipe = make_pipeline(StandardScaler(), dbn, LogisticRegression(max_iter=200))
    search = GridSearchCV(pipe, {"dbntransformer__layers": [0, 1]}, cv=2)
    search.set_callbacks(recorder).fit(X, y)
    n_fits = 2 * 2 + 1
    assert recorder.events.count("begin epoch 2") == n_fits * 2
    begun, ended = (
        sorted(e.removeprefix(what) for e in recorder.events if e.startswith(what))
        for what in ("begin", "end")
    )
    assert begun == ended
    assert (recorder.events[0], recorder.events[-1]) == ("setup", "teardown")


def test_a_callback_may_stop_the_training():
    stop = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 1)
    rbm = RBMTransformer(4, n_iter=9).set_callbacks(stop).fit(X)
    assert rbm.n_iter_ == 2
    assert len(rbm.history_["weight_norm"]) == 2


def test_a_callback_may_stop_the_stack():
    stop = Recorder(lambda context: context.task_name == "layer 1")
    dbn = DBNTransformer((5, 4, 3), rbm=RBMTransformer(n_iter=1)).set_callbacks(stop).fit(X)
    assert len(dbn.rbms_) == 2
    assert dbn.transform(X).shape == (60, 9)


def test_a_callback_may_stop_the_stack_at_a_layer_that_was_kept(tmp_path):
    rbm = RBMTransformer(n_iter=1)
    dbn = DBNTransformer((5, 4, 3), rbm=rbm, memory=str(tmp_path), random_state=0)
    for _ in range(2):
        stop = Recorder(lambda context: context.task_name == "layer 1")
        assert len(clone(dbn).set_callbacks(stop).fit(X).rbms_) == 2


def test_teardown_comes_after_an_error():
    recorder = Recorder()
    rbm = RBMTransformer(4, learning_rate=1e30).set_callbacks(recorder)
    with pytest.raises(ValueError, match="diverged"):
        rbm.fit(X)
    assert recorder.events[-1] == "teardown"
    assert not hasattr(rbm, "_callback_fit_ctx")


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_teardown_comes_after_an_error_in_a_layer(call):
    recorder = Propagated()
    templates = [RBMTransformer(n_iter=1), RBMTransformer(n_iter=1, learning_rate=1e30)]
    dbn = DBNTransformer((5, 4), rbm=templates).set_callbacks(recorder)
    with pytest.raises(ValueError, match="diverged"):
        getattr(dbn, call)(X)
    assert recorder.events.count("end epoch 0") == 1
    assert recorder.events[-1] == "teardown"
    assert not hasattr(dbn, "_callback_fit_ctx")


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_nests_from_the_search_to_the_epoch(tmp_path, capsys, n_jobs):
    dbn = DBNTransformer(
        (5, 4), rbm=RBMTransformer(n_iter=2), memory=str(tmp_path), random_state=0
    )
    pipe = make_pipeline(StandardScaler(), dbn, LogisticRegression(max_iter=200))
    search = GridSearchCV(pipe, {"dbntransformer__layers": [0, 1]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    printed = capsys.readouterr().out
    assert "DBNTransformer - layer 1 | RBMTransformer - fit" in printed
    assert "100%" in printed


def test_cached_layers_are_tasks_that_are_done_at_once(tmp_path):
    def fit():
        recorder = Propagated()
        rbm = RBMTransformer(n_iter=2)
        dbn = DBNTransformer((5, 4), rbm=rbm, memory=str(tmp_path), random_state=0)
        dbn.set_callbacks(recorder).fit(X)
        return recorder.events

    assert "end epoch 1" in fit()
    assert fit() == [
        "setup",
        "begin fit 0",
        "begin layer 0 0",
        "end layer 0 0",
        "begin layer 1 1",
        "end layer 1 1",
        "end fit 0",
        "teardown",
    ]
