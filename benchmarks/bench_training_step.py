"""A PCD-1 update, that of scikit-learn's BernoulliRBM, and the matrix products it needs.

    python benchmarks/bench_training_step.py

Seconds of a pass of many updates, centring, averaging and history included, divided by the
number of updates; the three are run in turn, and the ratios are medians over the turns, with
one BLAS thread and with two. The products are those of an update: hidden fields of data and
chains, visible fields of the chains, and the gradient of the weights.
"""

import time
from functools import partial
from statistics import median

import numpy as np
import scipy.sparse as sp
from _data import arguments, digits, load, save
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits

from sklearn_dbn import RBMTransformer

SHAPES = [(10, 256), (100, 500), (256, 2000)]
# Rows, columns and hidden units of updates whose products take at most half of the time.
SMALL = [(10, 64, 256), (20, 64, 256), (10, 256, 256), (20, 256, 256)]


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def products(n_columns, n_hidden, batch_size, n_steps):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((n_columns, n_hidden), dtype=np.float32)
    v = rng.random((2 * batch_size, n_columns), dtype=np.float32)
    h = rng.random((2 * batch_size, n_hidden), dtype=np.float32)
    for _ in range(n_steps):
        v @ W
        h[:batch_size] @ W.T
        v.T @ h


def per_pass(model, X, passes):
    """Seconds of one pass, without the work done once for each fit."""
    once = seconds(lambda: model.set_params(n_iter=1).fit(X))
    more = seconds(lambda: model.set_params(n_iter=1 + passes).fit(X))
    return (more - once) / passes


def compare(title, X, batch_size, n_hidden, turns):
    """This package, scikit-learn and the products alone, in turn."""
    n_steps = -(-X.shape[0] // batch_size)
    passes = max(1, 150 // n_steps) if X.shape[1] < 20_000 else 1
    ours = RBMTransformer(n_hidden, batch_size=batch_size, random_state=0)
    theirs = BernoulliRBM(n_hidden, batch_size=batch_size, random_state=0)
    times = []
    for _ in range(turns):
        step = per_pass(ours, X, passes) / n_steps
        other = per_pass(theirs, X, passes) / n_steps
        bare = seconds(partial(products, X.shape[1], n_hidden, batch_size, n_steps)) / n_steps
        times.append((1e6 * step, other / step, step / bare))
    figures = (median(values) for values in zip(*times, strict=True))
    return {"case": title} | dict(
        zip(("microseconds", "speed", "excess"), figures, strict=True)
    )


def main():
    args = arguments(__doc__.splitlines()[0], turns=5)
    data = load(args.data, "binarized_mnist")
    X = (digits()[0] > 0.5).astype(np.float32) if data is None else data["train"][:10_240]
    rows = []
    print(f"{'':<26}{'threads':>8}{'step, us':>10}{'BernoulliRBM /':>16}{'/ products':>12}")
    cases = [(f"{b}, {X.shape[1]} x {h}", X, b, h) for b, h in SHAPES]
    wide = sp.random_array((2560, 20_000), density=0.01, format="csr", rng=0, dtype=np.float32)
    wide.data[:] = 1
    cases += [("100, 20000 x 256 sparse", wide, 100, 256)]
    cases += [("100, 20000 x 256 dense", wide.toarray(), 100, 256)]
    rng = np.random.default_rng(0)
    for batch_size, n_columns, n_hidden in SMALL:
        few = (rng.random((600 * batch_size, n_columns)) < 0.2).astype(np.float32)
        title = f"{batch_size}, {n_columns} x {n_hidden}"
        cases += [(title, few, batch_size, n_hidden)]
    for threads in (1, 2):
        with threadpool_limits(threads):
            for case in cases:
                rows.append(compare(*case, turns=args.turns) | {"threads": threads})
                print(
                    "{case:<26}{threads:>8}{microseconds:>10.0f}{speed:>16.2f}"
                    "{excess:>12.2f}".format(**rows[-1]),
                    flush=True,
                )
    save("bench_training_step", rows)


if __name__ == "__main__":
    main()
