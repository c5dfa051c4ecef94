"""An update of fine-tuning, scikit-learn's MLPClassifier, and the matrix products it needs.

    python benchmarks/bench_fine_tuning_step.py

Seconds of a pass, divided by its number of updates, of 784-500-500-2000-10 at minibatches of
100 and of smaller networks at smaller ones, with Adam and with momentum, in float32 and with
one BLAS thread; the three are run in turn, and the ratios are medians over the turns. The
products are those of an update: forward, back to each hidden layer, and the gradient of each
weight matrix.
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

# Rows of a minibatch, and sizes of the layers.
NETWORKS = [
    (100, (784, 500, 500, 2000, 10)),
    (10, (64, 256, 10)),
    (20, (64, 256, 10)),
    (10, (256, 256, 10)),
    (20, (256, 256, 10)),
]
N_STEPS = 150


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def products(batch_size, sizes):
    rng = np.random.default_rng(0)
    x = [rng.random((batch_size, n), dtype=np.float32) for n in sizes]
    W = [rng.random(shape, dtype=np.float32) for shape in itertools.pairwise(sizes)]

    def run():
        for _ in range(N_STEPS):
            for below, weights in zip(x, W, strict=False):
                below @ weights
            for above, weights in zip(x[2:], W[1:], strict=True):
                above @ weights.T
            for below, above in itertools.pairwise(x):
                below.T @ above

    return run


def compare(batch_size, sizes, solver, turns):
    """This package, scikit-learn and the products alone, in turn."""
    rng = np.random.default_rng(0)
    X = (rng.random((batch_size * N_STEPS, sizes[0])) < 0.2).astype(np.float32)
    y = np.arange(len(X)) % sizes[-1]
    rbm = RBMTransformer(n_iter=1, batch_size=batch_size)
    dbn = FrozenEstimator(DBNTransformer(sizes[1:-1], rbm=rbm, random_state=0).fit(X[:500]))
    bare = products(batch_size, sizes)
    settings = {"solver": solver, "batch_size": batch_size, "random_state": 0}
    ours = DBNClassifier(dbn, **settings).partial_fit(X, y, classes=np.arange(sizes[-1]))
    theirs = MLPClassifier(sizes[1:-1], activation="logistic", max_iter=1, **settings)
    times = []
    for _ in range(turns):
        step = seconds(partial(ours.partial_fit, X, y))
        other = seconds(partial(theirs.fit, X, y))
        times.append((1e3 * step / N_STEPS, other / step, step / seconds(bare)))
    figures = (median(values) for values in zip(*times, strict=True))
    names = ("milliseconds", "speed", "excess")
    return dict(zip(names, figures, strict=True))


def main():
    args = arguments(__doc__.splitlines()[0], turns=5)
    rows = []
    print(f"{'':<36}{'step, ms':>10}{'MLPClassifier /':>17}{'/ products':>12}")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (batch_size, sizes), solver in itertools.product(NETWORKS, ("adam", "sgd")):
            case = f"{batch_size}, {'-'.join(map(str, sizes))}, {solver}"
            rows.append({"case": case} | compare(batch_size, sizes, solver, args.turns))
            line = "{case:<36}{milliseconds:>10.3f}{speed:>17.2f}{excess:>12.2f}"
            print(line.format(**rows[-1]), flush=True)
    save("bench_fine_tuning_step", rows)


if __name__ == "__main__":
    main()
