"""A step of fine-tuning beside scikit-learn's MLPClassifier and the matrix products it needs.

    python benchmarks/bench_fine_tuning_step.py

Seconds of an epoch, divided by its number of steps, of 784-500-500-2000-10 at batches of 100,
with Adam and with momentum, in float32 and with one BLAS thread; the three are run in turn, and
the ratios are medians over the turns. The bare products are those of a step: forward, back to
each hidden layer, and the gradient of each weight matrix.
"""

import itertools
import time
import warnings
from functools import partial
from statistics import median

import numpy as np
from _data import arguments, save
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer

SIZES = (784, 500, 500, 2000, 10)
BATCH, N_STEPS = 100, 150


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def products():
    rng = np.random.default_rng(0)
    x = [rng.random((BATCH, n), dtype=np.float32) for n in SIZES]
    W = [rng.random(shape, dtype=np.float32) for shape in itertools.pairwise(SIZES)]

    def run():
        for _ in range(N_STEPS):
            for below, weights in zip(x, W, strict=False):
                below @ weights
            for above, weights in zip(x[2:], W[1:], strict=True):
                above @ weights.T
            for below, above in itertools.pairwise(x):
                below.T @ above

    return run


def main():
    args = arguments(__doc__.splitlines()[0], turns=5)
    rng = np.random.default_rng(0)
    X = (rng.random((BATCH * N_STEPS, 784)) < 0.2).astype(np.float32)
    y = np.arange(len(X)) % 10
    rbm = RBMTransformer(n_iter=1, batch_size=BATCH)
    dbn = FrozenEstimator(DBNTransformer(SIZES[1:-1], rbm=rbm, random_state=0).fit(X[:500]))
    bare = products()
    rows = []
    print(f"{'solver':<10}{'step, ms':>10}{'MLPClassifier /':>17}{'/ products':>12}")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for solver in ("adam", "sgd"):
            settings = {"solver": solver, "batch_size": BATCH, "random_state": 0}
            ours = DBNClassifier(dbn, **settings).partial_fit(X, y, classes=np.arange(10))
            theirs = MLPClassifier(SIZES[1:-1], activation="logistic", max_iter=1, **settings)
            times = []
            for _ in range(args.turns):
                step = seconds(partial(ours.partial_fit, X, y))
                other = seconds(partial(theirs.fit, X, y))
                times.append((1e3 * step / N_STEPS, other / step, step / seconds(bare)))
            figures = (median(values) for values in zip(*times, strict=True))
            names = ("milliseconds", "speed", "excess")
            rows.append({"case": solver} | dict(zip(names, figures, strict=True)))
            line = "{case:<10}{milliseconds:>10.2f}{speed:>17.2f}{excess:>12.2f}"
            print(line.format(**rows[-1]), flush=True)
    save("bench_fine_tuning_step", rows)


if __name__ == "__main__":
    main()
