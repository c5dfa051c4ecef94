"""Real data for the benchmarks, from a folder that is not part of the project."""

import argparse
import json
import os
import platform
from pathlib import Path

import joblib
import numpy as np
import scipy
import sklearn
from sklearn.datasets import load_digits

RESULTS = Path(__file__).parent / "results"


def arguments(description, **options):
    """Command line of a benchmark: the folder of the data, and what else it takes."""
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
    """Arrays of one file, bit-packed ones unpacked; None, with a word, if it is not there."""
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
    """Write the figures as JSON, with the machine and the versions that they are from."""
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
    """The rows of an earlier run, none where there was none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
