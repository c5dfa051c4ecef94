"""Columns with levels: likelihoods, scores of counts, and features of mixed tables.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_levels.py --data FOLDER

- ``mushroom``: 100 hidden units on the rows of `debd_mushrooms`, one-hot columns as Bernoulli
  units and as categories: nats of a test row, and the share of drawn rows that are valid.
- ``protein``: 100 hidden units on lattice proteins (the last 10,000 rows test) and 50 on WW
  domains (training rows, weighted), beside independent sites and the published machines with
  rectified hidden units (Tubiana, Cocco, Monasson 2019, eLife 8:e39397, and their notebooks).
- ``scores``: held-out nats of a row with counts 0 .. 16 of digits, 0 .. 6 of `mfeat` and of the
  counts of tables, for the scores k, sqrt(k) and log(1 + k) of the count k.
- ``features``: percent of right predictions of five folds from the features of an
  `RBMTransformer` and a `DBNTransformer` into LogisticRegression, beside one-hot and scaled
  columns, and HistGradientBoosting.
- ``steps``: the time of a step on 30 categories of 10 levels beside its bare products.

Each case is a row of JSON; an interrupted run resumes. `--only` restricts it.
"""

import itertools
import os
import time

import numpy as np
from _data import Record, arguments, cpu_since, load
from bench_tables import read, target_of
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.optim import SCHEDULES, Ascent, Sparsity
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training._loop import _step
from sklearn_dbn.training._run import start
from sklearn_dbn.training._settings import TrainingSettings
from sklearn_dbn.units import UNITS, Count

NAME = "bench_levels"
SCORES = {"k": lambda k: k, "sqrt(k)": np.sqrt, "log(1 + k)": np.log1p}


def variables(bits):
    """The ends of the groups of adjacent columns of which each row has exactly one."""
    ends = [0]
    for stop in range(1, bits.shape[1] + 1):
        if (bits[:, ends[-1] : stop].sum(axis=1) == 1).all():
            ends.append(stop)
    assert ends[-1] == bits.shape[1]
    return list(itertools.pairwise(ends))


def gap(estimator):
    """The difference of the forward and the reverse estimate of log Z."""
    found = estimator.log_partition()
    return found.forward.value - found.reverse.value


def mushroom(folder, kind, sparsity):
    data = load(folder, "debd_mushrooms")
    groups = variables(np.concatenate([data[x] for x in ("train", "valid", "test")]))
    if kind == "categorical":
        data = {
            part: np.stack([data[part][:, a:b].argmax(axis=1) for a, b in groups], axis=1)
            for part in ("train", "test")
        }
    target = "auto" if sparsity else None
    rbm = RBMTransformer(100, visible=kind, sparsity_target=target, random_state=0)
    rbm.fit(data["train"].astype(np.float32))
    drawn = rbm.sample(1000, random_state=0)
    valid = 1.0
    if kind == "bernoulli":
        valid = np.mean(np.all([drawn[:, a:b].sum(axis=1) == 1 for a, b in groups], axis=0))
    nats = rbm.score(data["test"].astype(np.float32))
    return {"nats": nats, "gap": gap(rbm), "valid_rows": float(valid)}


def protein(folder, family, n_iter, weight_decay):
    data = load(folder, f"protein_{family}")
    X = data["X"].astype(np.float32)
    train, test, weight = X, X, data.get("weight")
    if family == "lattice":
        train, test = X[:-10_000], X[-10_000:]
    rbm = RBMTransformer(
        100 if family == "lattice" else 50,
        visible="categorical",
        n_iter=n_iter,
        weight_decay=weight_decay,
        sparsity_target=None,
        random_state=0,
    )
    begin = os.times()
    rbm.fit(train, sample_weight=weight)
    seconds = cpu_since(begin)
    scores = rbm.score_samples(test)
    nats = np.average(scores, weights=weight if family == "ww" else None)
    return {"nats": float(nats), "gap": gap(rbm), "cpu_of_fit": seconds}


def counts_of(folder, name):
    if name == "digits":
        return load_digits().data
    if name == "mfeat":
        return load(folder, "mfeat")["pix"].astype(float)
    frame, kinds = read(folder, name, 0)
    frame = frame[[column for column, kind in kinds.items() if kind == "real"]].dropna()
    whole = [c for c in frame if (frame[c] >= 0).all() and (frame[c] % 1 == 0).all()]
    return frame[[c for c in whole if 1 < frame[c].max() <= 100]].to_numpy(float)


def scores(folder, data, score):
    X = counts_of(folder, data).astype(np.float32)
    train, test = train_test_split(X, random_state=0)
    scaled = type("Scaled", (Count,), {"_score": lambda self, k: SCORES[score](k)})
    given, UNITS["count"] = UNITS["count"], scaled()
    try:
        rbm = RBMTransformer(64, visible="count", sparsity_target=None, random_state=0)
        return {"columns": X.shape[1], "nats": rbm.fit(train).score(test)}
    finally:
        UNITS["count"] = given


def features(folder, data, method):
    frame, _ = read(folder, data, 0, (None, ["split"]))
    y = frame.pop(target_of(folder, data)).astype(str).to_numpy()
    category = make_column_selector(dtype_include="category")
    number = make_column_selector(dtype_include="number")
    one_hot = make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
            ),
            category,
        ),
        (SimpleImputer(), number),
        sparse_threshold=0,
    )
    head = LogisticRegression(max_iter=3000)
    model = {
        "one-hot": lambda: make_pipeline(one_hot, StandardScaler(), head),
        "HistGradientBoosting": lambda: HistGradientBoostingClassifier(random_state=0),
        "RBMTransformer": lambda: make_pipeline(RBMTransformer(random_state=0), head),
        "DBNTransformer": lambda: make_pipeline(DBNTransformer(random_state=0), head),
    }[method]()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = 100 * cross_val_score(model, frame, y, cv=folds, error_score="raise")
    return {"right": float(found.mean()), "standard_error": float(found.std() / 5**0.5)}


def steps():
    """Medians of interleaved runs, in milliseconds."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, (2000, 30)).astype(np.float32)
    bits = (rng.random((2000, 300)) < 0.1).astype(np.float32)
    timed = {
        "categorical": step_on(codes, UNITS["categorical"].fitted([np.full(10, 0.1)] * 30)),
        "bernoulli": step_on(bits, UNITS["bernoulli"]),
        "products": products(rng),
    }
    found = {name: [] for name in timed}
    for _ in range(100):
        for name, function in timed.items():
            begin = time.perf_counter()
            for _ in range(5):
                function()
            found[name].append((time.perf_counter() - begin) / 5)
    row = {name: 1e3 * float(np.median(x)) for name, x in found.items()}
    least = {name: min(x) for name, x in found.items()}
    row["ratio"] = row["categorical"] / row["products"]
    row["ratio_of_least"] = least["categorical"] / least["products"]
    return row


def step_on(X, unit):
    weight = np.ones(len(X), np.float32)
    rows = Rows(X, weight, Columns(unit))
    settings = TrainingSettings(
        sampler=SAMPLERS["pcd"](1),
        update=Ascent(1e-3),
        schedule=SCHEDULES["constant"],
        learning_rate=0.01,
        batch_size=100,
        averaging_fraction=0.1,
        centered=True,
        sparsity=Sparsity(0.1, 0.1),
    )
    units, index = (unit, UNITS["bernoulli"]), np.arange(100)
    run = start(units, [(300,), (256,)], rows, settings, 100, Stream(0))

    def step():
        v = rows.present(index, run.rng)
        _step(run, v, weight[:100], rows, settings, settings.sampler, 1e-3)

    return step


def products(rng):
    """The three products of a step: down, up for data and chains, and the gradient."""
    shapes = [(300, 256), (100, 256), (204, 300), (204, 256)]
    W, h, v, means = (rng.random(shape, dtype=np.float32) for shape in shapes)
    return lambda: (W @ h.T, v @ W, v.T @ means)


def main():
    options = arguments("Columns with levels.", only="mushroom,protein,scores,features,steps")
    record, folder = Record(NAME), options.data
    parts = options.only.split(",")
    if "mushroom" in parts:
        for kind in ("bernoulli", "categorical"):
            for sparsity in (True, False):
                case = {"part": "mushroom", "kind": kind, "sparsity": sparsity}
                record(case, lambda k=kind, s=sparsity: mushroom(folder, k, s))
    if "protein" in parts:
        for family, n_iter, decay in (
            ("lattice", "auto", 1e-3),
            ("lattice", 30, 1e-4),
            ("ww", "auto", 1e-3),
            ("ww", 200, 1e-4),
        ):
            case = {"family": family, "n_iter": n_iter, "weight_decay": decay}
            record({"part": "protein", **case}, lambda c=case: protein(folder, **c))
    if "scores" in parts:
        for data in ("digits", "mfeat", "adult", "heart", "german_credit", "credit_scoring"):
            for score in SCORES:
                case = {"data": data, "score": score}
                record({"part": "scores", **case}, lambda c=case: scores(folder, **c))
    if "features" in parts:
        for data in ("german_credit", "adult"):
            for method in (
                "one-hot",
                "HistGradientBoosting",
                "RBMTransformer",
                "DBNTransformer",
            ):
                case = {"data": data, "method": method}
                record({"part": "features", **case}, lambda c=case: features(folder, **c))
    if "steps" in parts:
        record({"part": "steps"}, steps)


if __name__ == "__main__":
    main()
