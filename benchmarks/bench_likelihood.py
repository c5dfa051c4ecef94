"""Test log-likelihood of binarised MNIST, and missing quarters imputed.

    OPENBLAS_NUM_THREADS=2 python benchmarks/bench_likelihood.py

An RBM of 500 hidden units and a DBN of 500 and 2000, on the published split, with the training
time of each. Published (log Z by forward annealing): RBM of 500, CD-25 -86.34; DBN 500-2000,
bound -86.22, estimate -84.55 (Salakhutdinov, Murray 2008, doi:10.1145/1390156.1390266). Here
log Z is the mean of forward and reverse annealing, `gap` their difference; forward annealing
alone gives too high a score. The DBN's first layer is the RBM. Settings were selected on the
validation rows.

Then the lower right quarter of 1,000 test images is deleted, and imputed by the RBM's
conditional mean, by the column means and by `KNNImputer(5)`, in nats for each deleted pixel.
Trained machines are cached with the results, so an interrupted run resumes.
"""

import time
import warnings

import numpy as np
from _data import RESULTS, arguments, digits, load, save, saved
from sklearn.impute import KNNImputer

from sklearn_dbn import DBNTransformer, RBMTransformer

NAME = "bench_likelihood"
DENSE = {"weight_decay": 2e-4, "batch_size": 100, "sparsity_target": None}
FIRST = {"learning_rate": 0.3, "n_iter": 300, **DENSE}
SECOND = {"learning_rate": 0.1, "n_iter": 60, **DENSE}
TEMPERATURES = 20_000
# Probabilities of 0 and 1 have an infinite loss, and five neighbours often agree.
CLIP = 0.01


def scores(model, data):
    """Mean log-likelihood in nats of each part, and the precision of log Z."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.log_partition("ais", temperatures=TEMPERATURES)
    # The scores use this log Z, instead of another estimate.
    model._estimates["log_z"] = found.value
    row = {"gap": found.reverse.value - found.forward.value, "error": found.standard_error}
    for part in ("valid", "test"):
        row[part] = model.score(data[part])
    row["test_bound"] = float(model.score_bound(data["test"]).mean())
    return row


def trained(data):
    rbms = [RBMTransformer(**FIRST), RBMTransformer(**SECOND)]
    sizes = (500, 2000) if data["train"].shape[1] == 784 else (64, 64)
    models = [
        DBNTransformer(
            sizes[:depth], rbm=rbms[:depth], memory=str(RESULTS / "cache"), random_state=0
        )
        for depth in (1, 2)
    ]
    for model in models:
        start = time.perf_counter()
        model.fit(data["train"])
        yield model, time.perf_counter() - start


def log_loss(p, bits):
    p = np.clip(p, CLIP, 1 - CLIP)
    return float(-np.mean(bits * np.log(p) + (1 - bits) * np.log(1 - p)))


def imputation(rbm, data):
    """Nats for each deleted pixel of test images."""
    side = round(data["train"].shape[1] ** 0.5)
    quarter = np.zeros((side, side), dtype=bool)
    quarter[side // 2 :, side // 2 :] = True
    quarter = quarter.ravel()
    test = data["test"][np.random.default_rng(0).permutation(len(data["test"]))[:1000]]
    gaps = np.where(quarter, np.nan, test)
    bits = test[:, quarter]
    neighbours = KNNImputer(n_neighbors=5).fit(data["train"])
    start = time.perf_counter()
    filled = rbm.impute(gaps)
    seconds = time.perf_counter() - start
    return {
        "RBM": log_loss(filled[:, quarter], bits),
        "column means": log_loss(np.tile(data["train"].mean(0)[quarter], (len(bits), 1)), bits),
        "5 neighbours": log_loss(neighbours.transform(gaps)[:, quarter], bits),
        "seconds": seconds,
    }


def main():
    args = arguments(__doc__.splitlines()[0])
    data = load(args.data, "binarized_mnist")
    if data is None:
        X = (digits()[0] > 0.5).astype(np.float32)
        data = {"train": X[:1200], "valid": X[1200:1500], "test": X[1500:]}
    done = {row["model"]: row for row in (saved(NAME) if args.data else [])}
    rows = []
    for model, seconds in trained(data):
        name = "-".join(map(str, model._sizes))
        if name not in done:
            done[name] = {"model": name, "seconds": seconds} | scores(model, data)
        rows.append(done[name])
        print({k: round(v, 2) if isinstance(v, float) else v for k, v in done[name].items()})
        if len(rows) == 1:
            if "missing quarter" not in done:
                filled = imputation(model, data)
                done["missing quarter"] = {"model": "missing quarter"} | filled
            rows.append(done["missing quarter"])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()})
        save(NAME, rows, settings=[FIRST, SECOND])


if __name__ == "__main__":
    main()
