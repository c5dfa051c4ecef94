"""The data sets of the panel, and the splits on which everything is scored."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _data import digits, load, mnist
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, StratifiedShuffleSplit

# Sets that come with scikit-learn; all others need the folder of the data.
BUNDLED = ("digits", "iris", "wine", "breast cancer", "diabetes")
# The larger ones are split once, as five folds would take an hour.
LARGE = 4000


@dataclass
class Problem:
    """Rows, their targets, and how they are split.

    ``regression``: whether y holds numbers.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    regression: bool = False

    def splits(self, n_folds=5, seed=1):
        """Training rows and test rows, ``n_folds`` times or, for a large set, once.

        The defaults were selected on the splits of ``seed`` 0; results are on those of 1.
        """
        if len(self.X) > LARGE:
            kind = ShuffleSplit if self.regression else StratifiedShuffleSplit
            return list(kind(1, test_size=0.2, random_state=seed).split(self.X, self.y))
        kind = KFold if self.regression else StratifiedKFold
        return list(kind(n_folds, shuffle=True, random_state=seed).split(self.X, self.y))


def problems(folder, names=()):
    """The problems of the panel whose data is found, those of ``names`` or all."""
    for name in names or NAMES:
        if name in BUNDLED:
            yield _bundled(name)
            continue
        found = _from_folder(folder, name)
        if found is not None:
            yield found


NAMES = (
    "digits",
    "iris",
    "wine",
    "breast cancer",
    "usps",
    "mnist 1000",
    "mnist 5000",
    "mnist 20000",
    "mfeat fou",
    "mfeat kar",
    "mfeat zer",
    "mfeat pix",
    "mushrooms",
    "adult",
    "german credit",
    "faces",
    "diabetes",
    "bfi, age",
    "german credit, amount",
)


def _bundled(name):
    if name == "digits":
        return Problem(name, *digits())
    loaders = {
        "iris": load_iris,
        "wine": load_wine,
        "breast cancer": load_breast_cancer,
        "diabetes": load_diabetes,
    }
    X, y = loaders[name](return_X_y=True)
    return Problem(name, X.astype(np.float32), y, name == "diabetes")


def _from_folder(folder, name):
    kind, _, rest = name.partition(" ")
    if kind == "mnist":
        images = mnist(folder)
        if images is None:
            return None
        # A quarter more, as a fifth is held out.
        rows = np.random.default_rng(0).permutation(60_000)[: int(rest) * 5 // 4]
        return Problem(name, images[0][rows], images[1][rows])
    if kind in ("usps", "mfeat", "faces"):
        data = load(folder, "olivetti_faces" if kind == "faces" else kind)
        if data is None:
            return None
        if kind == "usps":
            X = (data["X_train"].reshape(-1, 256) + 1000) / 2000
            rows = np.random.default_rng(0).permutation(len(X))[:3000]
            return Problem(name, X[rows].astype(np.float32), data["y_train"][rows])
        if kind == "faces":
            # Means of 2 x 2 pixels.
            X = data["X"].reshape(400, 32, 2, 32, 2).mean((2, 4)).reshape(400, -1) / 255
            return Problem(name, X.astype(np.float32), data["y"])
        X = data[rest].astype(np.float32)
        return Problem(name, X / 6 if rest == "pix" else X, data["y"])
    return _table(folder, name)


def _table(folder, name):
    files = {
        "mushrooms": ("mushroom", "edibility", 3000),
        "adult": ("adult", "income", 5000),
        "german credit": ("german_credit", "creditability", None),
        "bfi, age": ("bfi", "age", None),
        "german credit, amount": ("german_credit", "credit_amount", None),
    }
    table, target, n_rows = files[name]
    frame, kinds = _frame(folder, table)
    if frame is None:
        return None
    if n_rows is not None:
        frame = frame.iloc[np.random.default_rng(0).permutation(len(frame))[:n_rows]]
    frame = frame[frame[target].notna()]
    y = frame[target]
    regression = kinds[target] in ("real", "count")
    y = y.to_numpy(dtype=np.float64) if regression else np.unique(y, return_inverse=True)[1]
    frame = frame.drop(columns=[target, "split"], errors="ignore")
    return Problem(name, one_hot(frame, kinds), y, regression)


def _frame(folder, table):
    import pandas as pd

    path = Path(folder or "", "tables")
    if folder is None or not (path / "tables.json").exists():
        print(f"The table {table} is not there: give --data or set SKLEARN_DBN_DATA.")
        return None, None
    about = json.loads((path / "tables.json").read_text())[table]
    kinds = {column: more["kind"] for column, more in about["columns_"].items()}
    return pd.read_csv(path / about["file"]), kinds


def one_hot(frame, kinds):
    """Numbers unchanged, their gaps at the median; a column for each level of the others."""
    import pandas as pd

    columns = []
    for name in frame.columns:
        column = frame[name]
        if kinds[name] in ("real", "count", "ordinal") and pd.api.types.is_numeric_dtype(
            column
        ):
            columns.append(column.fillna(column.median()).to_numpy(np.float32)[:, None])
        else:
            columns.append(pd.get_dummies(column).to_numpy(np.float32))
    X = np.hstack(columns)
    return X[:, X.std(axis=0) > 0]
