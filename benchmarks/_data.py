"""Real data for the benchmarks, from a folder that is not part of the project."""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import joblib
import numpy as np
import scipy
import sklearn
from sklearn.datasets import load_digits

RESULTS = Path(__file__).parent / "results"

# What the networks of benchmarks on MNIST are trained without, by default.
PLAIN_NETWORK = {
    "adversarial_eps": 0,
    "virtual_adversarial_eps": 0,
    "centered": False,
    "label_smoothing": 0.0,
}


def arguments(description, **options):
    """Command line of a benchmark: the folder of the data, and its other options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SKLEARN_DBN_DATA"),
        help="folder of the .npz files (default: $SKLEARN_DBN_DATA)",
    )
    for name, default in options.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            help="%(default)s",
        )
    return parser.parse_args()


def load(folder, name):
    """Arrays of one file, bit-packed ones unpacked; None, with a message, if it is missing."""
    path = Path(folder or "", f"{name}.npz")
    if folder is None or not path.exists():
        where = path if folder else "no folder: give --data or set SKLEARN_DBN_DATA"
        print(f"{name} is not there ({where}); going on without it.")
        return None
    with np.load(path) as file:
        data = dict(file)
    if "n_vars" in data:
        count = int(data.pop("n_vars"))
        for part in ("train", "valid", "test"):
            data[part] = np.unpackbits(data[part], axis=1, count=count).astype(np.float32)
    return data


def digits():
    """The digits that scikit-learn ships, grey levels in [0, 1]."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def save(name, rows, **more):
    """Write the figures as JSON, with the machine and the versions of the run."""
    machine = {
        "processor": _processor(),
        "cores": joblib.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "default"),
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine, **more, "rows": rows}, indent=1) + "\n")
    print(f"\nfigures: benchmarks/results/{path.name}")


def saved(name):
    """The rows of an earlier run; none if there was no run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


class Record:
    """The rows of a file of results; a case in it is not computed again.

    Without ``resume`` nothing is read or written.
    """

    def __init__(self, name, resume=True):
        self.name, self.resume = name, resume
        self.rows = saved(name) if resume else []

    def __call__(self, case, compute):
        """The row of ``case``: what ``compute()`` gives, a dict, and the seconds it took."""
        for row in self.rows:
            if all(row.get(key) == value for key, value in case.items()):
                return row
        start = time.perf_counter()
        found = compute()
        row = {**case, **found, "seconds": round(time.perf_counter() - start, 2)}
        print(row, flush=True)
        if self.resume:
            # Another process may compute other cases.
            self.rows = saved(self.name)
        self.rows.append(row)
        if self.resume:
            save(self.name, self.rows)
        return row


def mnist(folder):
    """Grey levels in [0, 1] and labels, of training and of test digits; ``None`` without."""
    images = load(folder, "mnist")
    if images is None:
        return None
    parts = [
        (images[f"X_{part}"].reshape(-1, 784) / 255).astype(np.float32)
        for part in ("train", "test")
    ]
    return parts[0], images["y_train"], parts[1], images["y_test"]


def cpu_since(start):
    """Seconds of CPU since ``start = os.times()``."""
    end = os.times()
    return end.user + end.system - start.user - start.system


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
