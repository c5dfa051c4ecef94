"""An update and a transform of a deep Boltzmann machine, and the products they need.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_deep_step.py

784-500-1000 units, minibatches and chains of 100 rows, 5 sweeps of the mean field and 5 Gibbs
sweeps. The time of an update is that of a pass, with its record, divided by its updates. Work
that is done once in a fit is left out, as the time of its last sweeps depends on the machine.
For `transform` the machine is trained for a few passes first, and its products are those of
each row's own sweeps, in blocks of 512 rows. Ratios are medians over turns in which both run.
"""

import itertools
import time
from statistics import median

import numpy as np
from _data import arguments, digits, load, save

from sklearn_dbn import DBMTransformer, RBMTransformer

SIZES, BATCH, SWEEPS, BLOCK = (500, 1000), 100, 5, 512


class Clock:
    """A callback that records the seconds of each pass."""

    def __init__(self):
        self.seconds = []

    def setup(self, estimator, context):
        self.seconds = []

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begin = time.perf_counter()

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.seconds.append(time.perf_counter() - self.begin)


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def matrices(n_columns, n_rows):
    rng = np.random.default_rng(0)
    sizes = (n_columns, *SIZES)
    W = [rng.random(shape, dtype=np.float32) for shape in itertools.pairwise(sizes)]
    return W, [rng.random((n_rows, n), dtype=np.float32) for n in sizes]


def step_products(n_columns, n_steps):
    """The products of one update, ``n_steps`` times."""
    (W, V), (v2, h2, g2) = matrices(n_columns, 2 * BATCH)
    v, h, g = v2[:BATCH], h2[:BATCH], g2[:BATCH]
    for _ in range(n_steps):
        for _ in range(1 + SWEEPS):
            h @ V
        for _ in range(SWEEPS):
            g @ V.T
        for _ in range(SWEEPS):
            h @ W.T, h @ V
        for _ in range(SWEEPS - 1):
            v @ W, g @ V.T
        v2 @ W, g2 @ V.T
        v2.T @ h2, h2.T @ g2


def transform_products(n_columns, n_rows, n_sweeps):
    """A first pass over all rows, and ``n_sweeps`` sweeps over rows in total."""
    (W, V), (v, h, g) = matrices(n_columns, BLOCK)
    for _ in range(round(n_rows / BLOCK)):
        v @ W, h @ V
    for _ in range(round(n_sweeps / BLOCK)):
        g @ V.T, h @ V


def main():
    args = arguments(__doc__.splitlines()[0], turns=5)
    data = load(args.data, "binarized_mnist")
    X = (digits()[0] > 0.5).astype(np.float32) if data is None else data["train"][:10_000]
    rbm = RBMTransformer(
        learning_rate=0.05, n_gibbs_steps=SWEEPS, batch_size=BATCH, n_iter=3, random_state=0
    )
    dbm = DBMTransformer(SIZES, rbm=rbm, n_mean_field_steps=SWEEPS, random_state=0).fit(X)
    n_sweeps = dbm.mean_field(X).n_sweeps
    n_steps = -(-len(X) // BATCH)
    steps, transforms = [], []
    clock = Clock()
    passes = DBMTransformer(SIZES, rbm=rbm.set_params(n_iter=2), pretrain=None, random_state=0)
    passes.set_callbacks(clock)
    for _ in range(args.turns):
        passes.fit(X)
        step = median(clock.seconds)
        steps.append((step / n_steps, step / seconds(step_products, X.shape[1], n_steps)))
        taken = seconds(dbm.transform, X)
        bare = seconds(transform_products, X.shape[1], len(X), n_sweeps.sum())
        transforms.append((taken, taken / bare))
    rows = []
    for name, values in (("step", steps), ("transform", transforms)):
        figures = [median(x) for x in zip(*values, strict=True)]
        rows.append({"case": name, "seconds": figures[0], "excess": figures[1]})
        print(f"{name:<10} {figures[0]:.4f} s, {figures[1]:.2f} times the bare products")
    save("bench_deep_step", rows, sweeps=float(n_sweeps.mean()))


if __name__ == "__main__":
    main()
