"""What training allocates: the precision it was given, and little of it."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers.training import make_settings, peak_of, train

from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.optim import Ascent, MomentumAscent, Sparsity
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training import rows_to_record as choose
from sklearn_dbn.training import start
from sklearn_dbn.units import HIDDEN, UNITS


class RecordedRows(np.ndarray):
    """An array that notes the dtype of every array that is made from it."""

    seen = set()

    def __array_finalize__(self, source):
        # Single numbers may have any precision, and NumPy's own mean of columns divides them
        # by way of float64.
        caller = sys._getframe(1).f_code.co_filename
        if self.size > 1 and not caller.endswith("_methods.py"):
            RecordedRows.seen.add((self.dtype, self.ndim))


def watch(run):
    """Put watched arrays in the place of those that a step reads."""
    for machine in (run.machine, run.average):
        machine.par = [x.view(RecordedRows) for x in machine.par]
        machine.W = [x.view(RecordedRows) for x in machine.W]
    run.activity = [x.view(RecordedRows) for x in run.activity]


@pytest.mark.parametrize("visible", HIDDEN)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "update", [Ascent(0.1), MomentumAscent(0.5)], ids=["plain", "momentum"]
)
def test_float32_is_never_made_float64(visible, hidden, sampler, update):
    rng = np.random.default_rng(0)
    X, weight = rng.random((40, 6), dtype=np.float32), rng.random(40, dtype=np.float32)
    units = (UNITS[visible], UNITS[hidden])
    settings = make_settings(
        sampler=SAMPLERS[sampler](2),
        update=update,
        sparsity=Sparsity(0.1, 0.1) if hidden == "bernoulli" else None,
    )
    rows = Rows(X.view(RecordedRows), weight.view(RecordedRows), Columns(units[0]))
    run = start(units, [(6,), (4,)], rows, settings, 5, Stream(0))
    watch(run)
    RecordedRows.seen.clear()
    for _ in train(run, rows, settings, 2, choose(run, rows, np.arange(5))):
        pass
    # Swaps weigh each chain by one number in float64.
    least = 2 if sampler == "tempering" else 1
    dtypes = {dtype for dtype, ndim in RecordedRows.seen if ndim >= least}
    assert np.dtype(np.float32) in dtypes
    assert np.dtype(np.float64) not in dtypes


@pytest.mark.slow
def test_sparse_rows_are_made_dense_a_minibatch_at_a_time():
    X = sp.random(4000, 20_000, density=0.01, format="csr", dtype=np.float32, random_state=0)
    X.data[:] = 1
    rbm = RBMTransformer(8, n_iter=1, batch_size=20, visible="bernoulli", random_state=0)
    rbm.fit(X[:200])  # what is allocated once for all
    given = X.data.nbytes + X.indices.nbytes
    parameters, batch = 4 * 20_000 * 8, 4 * 20_000 * 20
    # Beside the rows: parameters, their average and their step; a few minibatches.
    assert peak_of(lambda: rbm.fit(X)) < 0.5 * given + 10 * parameters + 12 * batch


def test_dense_rows_are_not_copied():
    X = np.random.default_rng(0).random((20_000, 100), dtype=np.float32)
    rbm = RBMTransformer(4, n_iter=1, batch_size=100, random_state=0)
    rbm.fit(X[:200])
    assert peak_of(lambda: rbm.fit(X)) < 0.5 * X.nbytes


def test_wide_dense_rows_are_looked_through_in_small_blocks():
    X = np.random.default_rng(0).random((500, 20_000), dtype=np.float32)
    rbm = RBMTransformer(4, n_iter=1, batch_size=10, random_state=0)
    rbm.fit(X[:20])
    assert peak_of(lambda: rbm.fit(X)) < X.nbytes
