"""Missing cells of mixed tables, beside the imputers of scikit-learn.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_tables.py --data FOLDER

A fifth of the observed cells of a table is deleted at random and filled in again, with default
parameters; rows are 920 to 3,000, seeds 0 to 2. `KNNImputer(10)` and `IterativeImputer` get
one-hot columns of the categories and ranks of ordered levels, standardised; the category is
that of the largest column. Figures are means over columns: the root mean squared error in
standard deviations of real columns and counts, and of the ranks of ordered levels, and the
share of wrong categories.

The energy distance is that between the imputed and the true rows, in the columns that the
imputers get, with mean imputation, the means and the draws of the machine.

Each case is a row of JSON; an interrupted run resumes. `--tables` and `--seeds` restrict it.
"""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from _data import Record, arguments, cpu_since
from scipy.spatial.distance import cdist
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sklearn_dbn import RBMTransformer

NAME = "bench_tables"
# Rows that are drawn, and columns that repeat others or identify rows.
TABLES = {
    "heart": (None, ["site"]),
    "german_credit": (None, []),
    "credit_scoring": (3000, []),
    "bfi": (None, []),
    "mushroom": (2000, ["veil_type"]),
    "adult": (2000, ["education_num", "native_country", "split"]),
}
KINDS = {"real": "real", "count": "real", "binary": "category", "categorical": "category"}
SHARE = 0.2


def about(folder, name):
    """What is known of a table: its file, its target and its columns."""
    return json.loads((Path(folder) / "tables/tables.json").read_text())[name]


def target_of(folder, name):
    return about(folder, name)["target"]


def read(folder, name, seed, part=None):
    """Rows of a table, and the kind of each column.

    ``part``: the number of rows and the columns that are left out, as in `TABLES`.
    """
    entry = about(folder, name)
    frame = pd.read_csv(Path(folder) / "tables" / entry["file"])
    n_rows, left_out = part or TABLES[name]
    kinds = {}
    for column, known in entry["columns_"].items():
        kinds[column] = KINDS.get(known["kind"], "ordinal")
        if kinds[column] != "real":
            text = frame[column]
            if pd.api.types.is_float_dtype(text):
                text = text.astype("Int64")
            levels = list(map(str, known["levels"]))
            frame[column] = pd.Categorical(
                text.astype("string"), levels, ordered=kinds[column] == "ordinal"
            )
    frame = frame.drop(columns=left_out, errors="ignore")
    if n_rows is not None:
        frame = frame.sample(n_rows, random_state=seed).reset_index(drop=True)
    return frame, {column: kinds[column] for column in frame}


def without(frame, rng):
    """The frame with a share of its observed cells deleted, and which they are."""
    deleted = (rng.random(frame.shape) < SHARE) & frame.notna().to_numpy()
    given = frame.copy()
    for i, column in enumerate(frame):
        given[column] = given[column].where(~deleted[:, i])
    return given, deleted


def numbers(frame, kinds):
    """Standardised columns for the imputers, with the columns of each column of the frame."""
    blocks = []
    for column, kind in kinds.items():
        if kind == "real":
            block = frame[[column]].to_numpy(float)
        else:
            codes = frame[column].cat.codes.to_numpy(float)
            codes[codes < 0] = np.nan
            n = len(frame[column].cat.categories)
            block = codes[:, None]
            if kind == "category" and n > 2:
                block = np.where(np.isnan(block), np.nan, block == np.arange(n))
        blocks.append(block)
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    return np.concatenate(blocks, axis=1), [slice(*x) for x in itertools.pairwise(ends)]


def decoded(X, places, kinds):
    """Numbers, ranks and categories of each column, from the columns of `numbers`."""
    found = []
    for place, kind in zip(places, kinds.values(), strict=True):
        block = X[:, place]
        if kind == "category":
            found.append(block.argmax(axis=1) if block.shape[1] > 1 else np.rint(block[:, 0]))
        else:
            found.append(block[:, 0])
    return np.column_stack(found)


def errors(found, true, deleted, kinds):
    """The mean error of the deleted cells of the columns of each kind."""
    of_kind = {kind: [] for kind in ("real", "category", "ordinal")}
    for j, kind in enumerate(kinds.values()):
        at = deleted[:, j]
        x, y = found[at, j], true[at, j]
        if kind == "category":
            of_kind[kind].append(np.mean(x != y))
        else:
            of_kind[kind].append(np.sqrt(np.mean((x - y) ** 2)) / np.nanstd(true[:, j]))
    return {kind: float(np.mean(x)) for kind, x in of_kind.items() if x}


def energy_distance(X, Y):
    """Of two samples of rows (Szekely, Rizzo 2013, doi:10.1016/j.jspi.2013.03.018)."""
    return float(2 * cdist(X, Y).mean() - cdist(X, X).mean() - cdist(Y, Y).mean())


def imputers():
    return {
        "mean": SimpleImputer(),
        "KNNImputer": KNNImputer(n_neighbors=10),
        "IterativeImputer": IterativeImputer(max_iter=10, random_state=0),
    }


SHOWN = ("real", "category", "ordinal", "energy_distance")


def main():
    options = arguments(
        "Missing cells of mixed tables.", tables=",".join(TABLES), seeds="0,1,2"
    )
    record = Record(NAME)
    for name in options.tables.split(","):
        rows = []
        for seed in map(int, options.seeds.split(",")):
            at = {"table": name, "seed": seed}
            rows.append(record(at, lambda at=at: case(options.data, machine=machine(), **at)))
        summarise(name, rows)


def machine():
    return RBMTransformer(random_state=0)


def summarise(name, rows):
    """Print the means over the seeds."""
    print(f"\n{name}", *SHOWN, sep="\t")
    for method in (*imputers(), "RBMTransformer", "RBMTransformer, draws"):
        found = [row[method] for row in rows if method in row]
        means = [np.mean([x.get(error, np.nan) for x in found]) for error in SHOWN]
        print(f"{method:22}", *(f"{x:.3f}" for x in means), sep="\t")


def case(folder, table, seed, machine):
    frame, kinds = read(folder, table, seed)
    given, deleted = without(frame, np.random.default_rng(seed))
    true, places = numbers(frame, kinds)
    columns, _ = numbers(given, kinds)
    mean, scale = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    scale[scale == 0] = 1
    values, row = decoded(true, places, kinds), {}
    whole = ~np.isnan(true).any(axis=1)
    rows, filled = ((true - mean) / scale)[whole][:1000], {}
    for method, imputer in imputers().items():
        start = os.times()
        try:
            X = imputer.fit_transform((columns - mean) / scale)
        except np.linalg.LinAlgError:
            # Its regressions may fail on one-hot columns of which others are sums.
            continue
        row[method] = errors(decoded(X * scale + mean, places, kinds), values, deleted, kinds)
        row[method]["seconds"] = cpu_since(start)
        filled[method] = X[whole][:1000]
    start = os.times()
    machine = machine.fit(given)
    for method, draw in (("RBMTransformer", False), ("RBMTransformer, draws", True)):
        X, _ = numbers(machine.impute(given, draw=draw), kinds)
        row[method] = errors(decoded(X, places, kinds), values, deleted, kinds)
        row[method]["seconds"] = cpu_since(start)
        filled[method] = ((X - mean) / scale)[whole][:1000]
    for method, X in filled.items():
        row[method]["energy_distance"] = energy_distance(X, rows)
    return row


if __name__ == "__main__":
    main()
