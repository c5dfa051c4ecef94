"""The memory of a lazy transform of more rows than fit into it.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_lazy.py

Features of 10 million random rows of 50 columns, by a fitted RBM, as a lazy dask array of the
same chunks, of which the column means are computed: seconds, and the largest resident memory of
the process in MB, before and after. The rows would take 2,000 MB, the features 2,560.
"""

import resource
import time

import dask
import dask.array as da
import numpy as np
from _data import arguments, save

from sklearn_dbn import RBMTransformer

NAME = "bench_lazy"
N_COLUMNS, N_UNITS = 50, 64


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    args = arguments(__doc__.splitlines()[0], rows=10_000_000, chunk=50_000)
    rng = np.random.default_rng(0)
    rbm = RBMTransformer(N_UNITS, n_iter=2, random_state=0)
    rbm.fit(rng.random((2000, N_COLUMNS), dtype=np.float32))
    X = da.random.default_rng(0).random((args.rows, N_COLUMNS), dtype=np.float32)
    X = X.rechunk((args.chunk, N_COLUMNS))
    before = peak()
    H = rbm.transform(X)
    begin = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=2):
        mean = H.mean(axis=0).compute()
    row = {
        "rows": args.rows,
        "chunk": args.chunk,
        "seconds": round(time.perf_counter() - begin, 1),
        "peak_before": round(before),
        "peak": round(peak()),
        "mean": round(float(mean.mean()), 3),
    }
    print(row)
    save(NAME, [row])


if __name__ == "__main__":
    main()
