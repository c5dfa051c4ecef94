"""Many fits leave no memory behind, and many threads use one estimator."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

X, y = load_digits(return_X_y=True)
X, y = (X[:60] / 16).astype(np.float32), y[:60]
WIDTH = 64
RBM = RBMTransformer(WIDTH, n_iter=1, batch_size=30)
ESTIMATORS = {
    "rbm": RBM,
    "tempering": RBMTransformer(
        WIDTH, n_iter=1, batch_size=30, sampler="tempering", n_temperatures=2
    ),
    "gaussian": RBMTransformer(WIDTH, n_iter=1, batch_size=30, visible="gaussian"),
    "dbn": DBNTransformer((WIDTH, 12), rbm=RBM, layers="all", units=0.5),
    "dbm": DBMTransformer((WIDTH, 12), rbm=RBM, layers="all", passthrough=True),
    "classifier": DBNClassifier(DBNTransformer((WIDTH, 12), rbm=RBM), n_iter=1),
    "regressor": DBNRegressor(DBMTransformer((WIDTH, 12), rbm=RBM), n_iter=1),
}


def resident():
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="cannot see its memory")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_hundreds_of_fits_leave_memory_flat(name, tmp_path):
    """A hundred fits leave no object for each of them, and no array of weights."""
    estimator = clone(ESTIMATORS[name])
    if hasattr(estimator, "memory"):
        estimator.set_params(memory=str(tmp_path))

    def work():
        for i in range(100):
            # Some are trained and some are found in memory, the last of them too.
            estimator.set_params(random_state=i % 60).fit(X, y).transform(X)
        gc.collect()
        return resident(), len(gc.get_objects())

    leaves = []
    bytes_before, objects_before = work()
    # What leaks does so in each hundred; what the allocator takes for good, in one of them.
    for _ in range(4):
        bytes_after, objects_after = work()
        leaves.append((bytes_after - bytes_before, objects_after - objects_before))
        if leaves[-1][0] < 100 * 64 * WIDTH * 4 and leaves[-1][1] < 50:
            return
        bytes_before, objects_before = bytes_after, objects_after
    pytest.fail(f"bytes and objects left by each hundred fits: {leaves}")


def questions_for(estimator):
    """Questions to a fitted estimator, each of which has one answer."""
    rows = X[:20]
    questions = [lambda: estimator.transform(rows)]
    if isinstance(estimator, DBNClassifier):
        questions += [lambda: estimator.predict_proba(rows)]
    elif isinstance(estimator, DBNRegressor):
        questions += [lambda: estimator.predict(rows)]
    else:
        gaps = rows.copy()
        gaps[:, ::3] = np.nan
        H = estimator.transform(rows)
        questions += [
            lambda: estimator.score_samples(rows),
            lambda: estimator.score_bound(rows),
            lambda: estimator.sample(20, n_gibbs_steps=5, random_state=3),
            lambda: estimator.sample(given=gaps, n_gibbs_steps=5, random_state=3),
            lambda: estimator.impute(gaps, n_gibbs_steps=5),
            lambda: estimator.transform(gaps),
            lambda: estimator.reconstruct(rows),
            lambda: estimator.inverse_transform(H),
        ]
    return questions


@pytest.mark.parametrize("name", ESTIMATORS)
def test_eight_threads_get_the_results_of_one(name):
    estimator = clone(ESTIMATORS[name]).set_params(random_state=0).fit(X, y)
    alone = [question() for question in questions_for(estimator)]
    # The partition function is not yet known when all of them want it.
    estimator = clone(estimator).fit(X, y)
    questions, barrier = questions_for(estimator), Barrier(8)

    def ask(first):
        barrier.wait(timeout=60)
        found = {}
        # Each begins with another question, so that different ones run at the same time.
        for i in range(3 * len(questions)):
            which = (first + i) % len(questions)
            found[which, i] = questions[which]()
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    for found in answers:
        for (which, _), answer in found.items():
            assert np.array_equal(answer, alone[which])


def test_threads_that_fit_share_nothing():
    def fit(seed):
        return clone(ESTIMATORS["dbm"]).set_params(random_state=seed).fit(X).transform(X)

    alone = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    assert all(map(np.array_equal, alone, together))
