"""Training on a file: the memory it takes, and its speed compared with rows in memory.

    python benchmarks/bench_larger_than_memory.py

Writes a file of float32 rows to a temporary folder and fits an RBM to it, one pass in a process
of its own. The largest amount of anonymous memory of that process (RssAnon: memory that is not
mapped from a file) is sampled 100 times a second. In turn with that, the same fit to rows that
were read into memory beforehand, as many as `--in-memory` gigabytes hold. The speeds are of the
whole `fit`, checks included, in rows for each second and for each second of processor time,
which does not depend on other programs on the machine; the ratios are medians over the turns.
The file is in the page cache of the system, as it has just been written.
"""

import shutil
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from _data import arguments, save

from sklearn_dbn import RBMTransformer

N_COLUMNS, N_HIDDEN, BATCH_SIZE = 784, 64, 100
ROW = 4 * N_COLUMNS


def write(path, n_rows):
    """Binary rows in which neighbouring columns are similar, as in images."""
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, N_COLUMNS))
    rng = np.random.default_rng(0)
    levels = rng.random((10_000, N_COLUMNS // 28), dtype=np.float32).repeat(28, axis=1)
    block = levels > rng.random(levels.shape, dtype=np.float32)
    for start in range(0, n_rows, len(block)):
        part = X[start : start + len(block)]
        part[:] = block[: len(part)]
    X.flush()


def anonymous():
    """Bytes of anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("RssAnon is known on Linux alone.")


def fit(path, n_rows, in_memory):
    """Wall-clock and processor seconds of one pass; peak anonymous memory."""
    X = np.load(path, mmap_mode="r")[:n_rows]
    if in_memory:
        X = np.array(X)
    # Everything that is loaded and allocated once.
    RBMTransformer(8, n_iter=1).fit(X[:100])
    peak, done = [anonymous()], threading.Event()

    def look():
        while not done.wait(0.01):
            peak.append(max(peak.pop(), anonymous()))

    looking = threading.Thread(target=look)
    looking.start()
    start, began = time.perf_counter(), time.process_time()
    RBMTransformer(N_HIDDEN, batch_size=BATCH_SIZE, n_iter=1, random_state=0).fit(X)
    seconds, busy = time.perf_counter() - start, time.process_time() - began
    done.set()
    looking.join()
    return seconds, busy, peak[0]


def alone(*args):
    """`fit` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(fit, *args).result()


def of(rows, where, name):
    return [row[name] for row in rows if row["where"] == where]


def main():
    args = arguments(__doc__.splitlines()[0], gigabytes=4.0, in_memory=1.0, turns=3)
    sizes = {"file": args.gigabytes, "memory": args.in_memory}
    n_rows = {where: int(size * 1e9 / ROW) for where, size in sizes.items()}
    with tempfile.TemporaryDirectory() as folder:
        free = shutil.disk_usage(folder).free / 1e9
        if free < args.gigabytes + 1:
            raise SystemExit(f"{folder} has {free:.1f} GB left: give a smaller --gigabytes.")
        path = Path(folder, "X.npy")
        write(path, n_rows["file"])
        rows = []
        heads = ("rows in", "GB", "rows / s", "rows / s of CPU", "anonymous MB")
        print("".join(f"{head:>17}" for head in heads))
        for _ in range(args.turns):
            for where in ("memory", "file"):
                n = n_rows[where]
                seconds, busy, peak = alone(path, n, where == "memory")
                rows.append(
                    {
                        "where": where,
                        "gigabytes": sizes[where],
                        "rows_per_second": n / seconds,
                        "rows_per_cpu_second": n / busy,
                        "peak_anonymous_bytes": peak,
                    }
                )
                print(
                    f"{where:>17}{sizes[where]:>17.1f}{n / seconds:>17.0f}{n / busy:>17.0f}"
                    f"{peak / 1e6:>17.0f}",
                    flush=True,
                )
    found = {"peak_anonymous_bytes": max(of(rows, "file", "peak_anonymous_bytes"))}
    for speed in ("rows_per_second", "rows_per_cpu_second"):
        pairs = zip(of(rows, "file", speed), of(rows, "memory", speed), strict=True)
        found[f"ratio_of_{speed}"] = median(file / memory for file, memory in pairs)
    print(
        "\nspeed of the file beside memory: {ratio_of_rows_per_second:.2f} by the clock, "
        "{ratio_of_rows_per_cpu_second:.2f} by the processor".format(**found)
    )
    save("bench_larger_than_memory", rows, **found)


if __name__ == "__main__":
    main()
