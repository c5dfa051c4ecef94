"""Processes that share a cache train each layer once, also after one of them was killed."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
from helpers.counting import CountedRBM, fit_stack, fit_together
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sklearn_dbn import DBNTransformer, layer_subsets

X, y = load_digits(return_X_y=True)
X, y = X[:90] / 16, y[:90]


@pytest.mark.parametrize(
    ("backend", "n_jobs"), [("sequential", 1), ("loky", 2), ("threading", 2)]
)
def test_a_search_trains_each_fold_once(tmp_path, count, backend, n_jobs):
    rbm, cache = CountedRBM(n_iter=2), str(tmp_path / "cache")
    dbn = DBNTransformer((6, 5, 4), rbm=rbm, memory=cache, random_state=0)
    pipe = make_pipeline(dbn, LogisticRegression(max_iter=200))
    grid = {
        "dbntransformer__layers": layer_subsets(3),
        "dbntransformer__units": [None, 0.5],
        "logisticregression__C": [0.1, 1],
    }
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        GridSearchCV(pipe, grid, cv=5).fit(X, y)
    assert count() == 3 * (5 + 1)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_processes_that_need_the_same_layer_at_once_train_it_once(count, tmp_path, backend):
    cache, meeting = str(tmp_path / "cache"), tmp_path / "meeting"
    meeting.mkdir()
    calls = [joblib.delayed(fit_together)(cache, X, str(meeting), 2) for _ in range(2)]
    results = joblib.Parallel(n_jobs=2, backend=backend)(calls)
    assert count() == 2
    assert np.array_equal(*results)


def test_a_worker_process_gets_the_bits_of_this_one(count):
    worker = joblib.Parallel(n_jobs=2, backend="loky")(
        [joblib.delayed(fit_stack)(None, X) for _ in range(2)]
    )
    # Workers have one BLAS thread each.
    with threadpool_limits(1, user_api="blas"):
        here = fit_stack(None, X)
    assert np.array_equal(worker[0], here)
    assert np.array_equal(worker[1], here)


def test_a_killed_training_blocks_no_other(count, tmp_path):
    cache = str(tmp_path / "cache")
    # The second layer hangs, with the lock held, until the process is killed.
    code = (
        "import sys, time, numpy as np\n"
        "from helpers import counting\n"
        "fit = counting.CountedRBM._fit_rows\n"
        "def hang(self, *how):\n"
        "    if self.n_components == 5:\n"
        "        print('hangs', flush=True)\n"
        "        time.sleep(60)\n"
        "    return fit(self, *how)\n"
        "counting.CountedRBM._fit_rows = hang\n"
        "counting.fit_stack(sys.argv[1], np.load(sys.argv[2]))\n"
    )
    np.save(tmp_path / "X.npy", X)
    arguments = [sys.executable, "-c", code, cache, str(tmp_path / "X.npy")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"hangs\n"
        process.kill()
    assert count() == 1
    assert np.array_equal(fit_stack(cache, X), fit_stack(None, X))
    # The first layer was there already; both are trained again without a cache.
    assert count() == 1 + 2
