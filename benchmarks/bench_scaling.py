"""Cost of training as rows, columns, hidden units and layers double.

    python benchmarks/bench_scaling.py

Seconds of a fit and the peak memory of a fit, without that of the rows, with one BLAS thread
and with two; `cost` is the time divided by that of half the size, 2 where it is linear. Then
sparse rows compared with the same rows made dense; and two processes that train at once, with
the inner threads that joblib leaves them, compared with one of them alone.
"""

import time
import tracemalloc
from statistics import median

import joblib
import numpy as np
import scipy.sparse as sp
from _data import arguments, digits, load, save
from threadpoolctl import threadpool_limits

from sklearn_dbn import DBNTransformer, RBMTransformer

# rows, columns, hidden units, layers
START = (4000, 392, 256, 1)
AXES = ("rows", "columns", "units", "layers")


def model(n_hidden, n_layers, n_iter=2):
    rbm = RBMTransformer(batch_size=100, n_iter=n_iter)
    return DBNTransformer((n_hidden,) * n_layers, rbm=rbm, random_state=0)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function):
    """Peak memory of ``function``, in bytes."""
    tracemalloc.start()
    function()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held


def train_alone(X):
    return seconds(lambda: model(256, 1).fit(X))


def doublings(X, turns):
    """Each size twice as large as the one before it, measured in turn."""
    rows = []
    print(
        f"{'doubled':<10}{'threads':>8}{'size':>28}{'seconds':>9}{'cost':>7}{'MB':>7}{'x':>6}"
    )
    for axis, name in enumerate(AXES):
        sizes = [list(START), list(START), list(START)]
        sizes[1][axis] *= 2
        sizes[2][axis] *= 4 if name != "columns" else 2
        if name == "columns":
            sizes.pop()
        for threads in (1, 2):
            times = {i: [] for i in range(len(sizes))}
            with threadpool_limits(threads):
                for _ in range(turns):
                    for i, (n_rows, n_columns, n_hidden, n_layers) in enumerate(sizes):
                        part = np.ascontiguousarray(X[:n_rows, :n_columns])
                        stack = model(n_hidden, n_layers)
                        times[i].append(seconds(lambda m=stack, p=part: m.fit(p)))
                before = None
                for i, size in enumerate(sizes):
                    n_rows, n_columns, n_hidden, n_layers = size
                    part = np.ascontiguousarray(X[:n_rows, :n_columns])
                    stack = model(n_hidden, n_layers, n_iter=1)
                    held = peak(lambda m=stack, p=part: m.fit(p))
                    row = {"axis": name, "threads": threads, "size": size, "bytes": held}
                    row["seconds"] = median(times[i])
                    if before:
                        pairs = zip(times[i], times[i - 1], strict=True)
                        row["cost"] = median(now / half for now, half in pairs)
                        row["memory"] = held / before["bytes"]
                    rows.append(row)
                    before = row
                    shape = " x ".join(map(str, size))
                    print(
                        f"{name:<10}{threads:>8}{shape:>28}{row['seconds']:>9.2f}"
                        f"{row.get('cost', float('nan')):>7.2f}{held / 1e6:>7.1f}"
                        f"{row.get('memory', float('nan')):>6.2f}",
                        flush=True,
                    )
    return rows


def sparse_rows(turns):
    """20,000 columns, 1 % of the bits on: sparse and dense, and the memory that they take."""
    X = sp.random_array((20_000, 20_000), density=0.01, format="csr", rng=0, dtype=np.float32)
    X.data[:] = 1
    few = X[:2000]
    dense = few.toarray()
    rbm = RBMTransformer(256, batch_size=100, n_iter=1, visible="bernoulli", random_state=0)
    with threadpool_limits(1):
        ratios = [
            seconds(lambda: rbm.fit(few)) / seconds(lambda: rbm.fit(dense))
            for _ in range(turns)
        ]
        held = peak(lambda: rbm.fit(X))
    ratio = median(ratios)
    given = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    allowed = given + 4 * (20_000 * 256 + 100 * 20_000)
    total = (given + held) / allowed
    print(
        f"\nsparse / dense time {ratio:.2f}; (rows + held) / (rows + W + a batch) {total:.2f}"
    )
    return {"time": ratio, "memory": total, "held": held, "given": given}


def two_at_once(X, turns):
    """The time of a fit while another process trains, divided by that of a fit alone."""
    part = np.ascontiguousarray(X[: START[0], : START[1]])
    ratios = []
    with joblib.parallel_config("loky", inner_max_num_threads=1), joblib.Parallel(2) as workers:
        workers(joblib.delayed(train_alone)(part) for _ in range(2))
        for _ in range(turns):
            alone = workers([joblib.delayed(train_alone)(part)])[0]
            both = workers(joblib.delayed(train_alone)(part) for _ in range(2))
            ratios.append(max(both) / alone)
    ratio = median(ratios)
    print(f"two processes at once / one alone {ratio:.2f}")
    return ratio


def main():
    args = arguments(__doc__.splitlines()[0], turns=5)
    data = load(args.data, "binarized_mnist")
    if data is None:
        X = (np.tile(digits()[0], (10, 13)) > 0.5).astype(np.float32)[:16_000]
    else:
        X = data["train"][:16_000]
    rows = doublings(X, args.turns)
    sparse = sparse_rows(args.turns)
    together = two_at_once(X, args.turns)
    save("bench_scaling", rows, sparse=sparse, two_processes=together)


if __name__ == "__main__":
    main()
