"""BLAS has one thread for small products, and what the user set for all else."""

import threading

import numpy as np
import pytest
from helpers.training import make_settings, train
from threadpoolctl import ThreadpoolController, threadpool_limits

import sklearn_dbn.fine_tuning._loop as fine_tuning
import sklearn_dbn.training._loop as loop
from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer, training
from sklearn_dbn import _blas as blas
from sklearn_dbn._blas import blas_threads
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.units import UNITS

CONTROLLER = ThreadpoolController().select(user_api="blas")
SMALL, LARGE = [np.empty((64, 256))], [np.empty((64, 256)), np.empty((1000, 2000))]


def n_threads():
    return {library["num_threads"] for library in CONTROLLER.info()}


pytestmark = pytest.mark.skipif(not n_threads(), reason="no BLAS that can be limited")


@pytest.fixture(params=[1, 2, 3])
def own(request):
    """What the user has set."""
    with threadpool_limits(request.param, user_api="blas"):
        yield request.param
        assert n_threads() == {request.param}


def test_small_products_have_one_thread_and_large_ones_their_share(own):
    with blas_threads(20, SMALL):
        assert n_threads() == {1}
    assert n_threads() == {own}
    with blas_threads(5, LARGE):
        assert n_threads() == {min(own, 2)}
    with blas_threads(500, LARGE):
        assert n_threads() == {own}


def test_an_error_restores_the_threads(own):
    with pytest.raises(KeyError), blas_threads(20, SMALL):
        raise KeyError
    assert n_threads() == {own}


def test_the_lowest_limit_holds_until_the_last_one_ends():
    """Of two trainings in threads, none leaves the limit of the other behind."""
    with threadpool_limits(2, user_api="blas"):
        first, second = blas_threads(20, SMALL), blas_threads(20, SMALL)
        with blas_threads(500, LARGE):
            first.__enter__()
            second.__enter__()
            first.__exit__(None, None, None)
            assert n_threads() == {1}
            second.__exit__(None, None, None)
            assert n_threads() == {2}
        assert n_threads() == {2}


def test_concurrent_trainings_restore_the_number_of_threads(own):
    def train():
        for _ in range(200):
            with blas_threads(20, SMALL):
                pass

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_arrays_of_other_libraries_change_nothing():
    xp = pytest.importorskip("array_api_strict")
    with threadpool_limits(2, user_api="blas"), blas_threads(20, [xp.ones((2, 3))]):
        assert n_threads() == {2}


def test_arrays_of_pytorch_limit_its_own_threads():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with blas_threads(20, [torch.ones(64, 256)]):
            assert torch.get_num_threads() == 1
        with blas_threads(500, [torch.ones(1000, 2000)]):
            assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), blas_threads(20, [torch.ones(64, 256)]):
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def noting(monkeypatch, module, fails=False):
    """Let each step of ``module`` note how many threads there are."""
    seen, step = [], module._step

    def noted(*args):
        seen.append(n_threads())
        if fails:
            raise KeyError
        return step(*args)

    monkeypatch.setattr(module, "_step", noted)
    return seen


@pytest.mark.parametrize(("n_hidden", "most"), [(4, 1), (16, 2)])
def test_a_pass_of_training_limits_its_threads(n_hidden, most, own, monkeypatch):
    # 30 rows of data and 10 of chains, 8 columns and 16 units.
    monkeypatch.setattr(blas, "_PER_THREAD", 40 * 8 * 16 // 2)
    seen = noting(monkeypatch, loop)
    X = np.random.default_rng(0).random((30, 8), dtype=np.float32)
    settings = make_settings(batch_size=30)
    rows = Rows(X, np.ones(30, dtype=np.float32), Columns(UNITS["bernoulli"]))
    units = (UNITS["bernoulli"],) * 2
    run = training.start(units, [(8,), (n_hidden,)], rows, settings, 10, Stream(0))
    recorded = training.rows_to_record(run, rows)
    for _ in train(run, rows, settings, 2, recorded):
        # Where callbacks are called.
        assert n_threads() == {own}
    assert seen == [{min(own, most)}] * 2


@pytest.mark.parametrize(("n_hidden", "most"), [(4, 1), (16, 2)])
def test_a_pass_of_fine_tuning_limits_its_threads(n_hidden, most, own, monkeypatch):
    monkeypatch.setattr(blas, "_PER_THREAD", 30 * 8 * 16 // 2)
    seen = noting(monkeypatch, fine_tuning)
    X = np.random.default_rng(0).random((30, 8), dtype=np.float32)
    dbn = DBNTransformer((n_hidden,), rbm=RBMTransformer(n_iter=0))
    DBNClassifier(dbn, n_iter=2, batch_size=30, random_state=0).fit(X, X[:, 0] > 0.5)
    assert seen == [{min(own, most)}] * 2


@pytest.mark.parametrize("module", [loop, fine_tuning])
def test_a_training_that_fails_restores_the_threads(module, own, monkeypatch):
    noting(monkeypatch, module, fails=True)
    X = np.random.default_rng(0).random((20, 8), dtype=np.float32)
    rbm = RBMTransformer(4, n_iter=1 if module is loop else 0)
    dbn = DBNTransformer((4,), rbm=rbm)
    with pytest.raises(KeyError):
        DBNClassifier(dbn, n_iter=1, random_state=0).fit(X, X[:, 0] > 0.5)
    assert n_threads() == {own}
