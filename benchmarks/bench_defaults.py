"""Training parameters against one another, on sets of different size and kind.

    python benchmarks/bench_defaults.py --data FOLDER

Digits: five folds. USPS, and the first 10,000 training rows of MNIST: a fifth of the training
rows held out. On each of them a stack of three layers of 256 units gives the accuracy of
LogisticRegression(C=1) on the first layer, and of a scaled SVC(C=10) on each layer and on the
best subset of layers. DNA has no labels: 16 hidden units, and the exact log-likelihood of the
validation split in nats. No test split is looked at. It resumes where it stopped; delete the
JSON to start again.
"""

import time

import numpy as np
from _data import arguments, digits, load, save, saved
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_dbn import DBNTransformer, RBMTransformer, layer_subsets

CANDIDATES = {
    "defaults": {},
    "weight_decay=0": {"weight_decay": 0.0},
    "learning_rate=0.1": {"learning_rate": 0.1},
    "n_iter=25": {"n_iter": 25},
    "sampler='cd'": {"sampler": "cd"},
    "n_iter=100": {"n_iter": 100},
    "sample_inputs=False": {"sample_inputs": False},
    "centered=False": {"centered": False},
}
SEEDS = 3


def features(X, y, splits, parameters, seed=0):
    """Mean accuracies, and the seconds that one stack took to train."""
    scores, seconds = {}, []
    for train, test in splits:
        rbm = RBMTransformer(**parameters)
        dbn = DBNTransformer((256, 256, 256), rbm=rbm, layers="all", random_state=seed)
        start = time.perf_counter()
        dbn.fit(X[train])
        seconds.append(time.perf_counter() - start)
        below = [np.split(dbn.transform(X[part]), 3, axis=1) for part in (train, test)]
        head = LogisticRegression(max_iter=1000)
        accuracy = head.fit(below[0][0], y[train]).score(below[1][0], y[test])
        scores.setdefault("logistic regression, layer 1", []).append(accuracy)
        for layers in layer_subsets(3):
            H_train, H_test = (np.hstack([part[i] for i in layers]) for part in below)
            head = make_pipeline(StandardScaler(), SVC(C=10)).fit(H_train, y[train])
            name = "SVC, layer" + "".join(f" {layer + 1}" for layer in layers)
            scores.setdefault(name, []).append(head.score(H_test, y[test]))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    means["SVC, best subset"] = max(v for k, v in means.items() if k.startswith("SVC"))
    return means, float(np.median(seconds))


def log_likelihood(train, test, parameters):
    """Exact mean log-likelihood of an RBM of 16 hidden units, in nats."""
    start = time.perf_counter()
    rbm = RBMTransformer(16, **parameters, random_state=0).fit(train)
    seconds = time.perf_counter() - start
    W = rbm.components_.astype(np.float64)
    a, b = rbm.intercept_visible_.astype(np.float64), rbm.intercept_hidden_.astype(np.float64)
    h = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    log_z = logsumexp(h @ b + np.logaddexp(0, h @ W + a).sum(axis=1))
    free_energy = -test @ a - np.logaddexp(0, test @ W.T + b).sum(axis=1)
    return float(-free_energy.mean() - log_z), seconds


def main():
    args = arguments(__doc__.splitlines()[0])
    X, y = digits()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    sets = {"digits": (X, y, list(folds.split(X, y)))}
    for name in ("usps", "mnist"):
        data = load(args.data, name)
        if data is not None:
            X, y = data["X_train"][:10_000], data["y_train"][:10_000]
            X = X.reshape(len(X), -1).astype(np.float32)
            X = (X - X.min()) / (X.max() - X.min())
            split = StratifiedShuffleSplit(1, test_size=0.2, random_state=0)
            sets[name] = (X, y, list(split.split(X, y)))
    dna = load(args.data, "debd_dna")
    rows = saved("bench_defaults")
    for title, parameters in CANDIDATES.items():
        if title in [row["candidate"] for row in rows]:
            continue
        row = {"candidate": title}
        for name, (X, y, splits) in sets.items():
            row[name], row[f"{name}, seconds"] = features(X, y, splits, parameters)
            figures = " ".join(
                f"{key.replace('SVC, ', '')} {value:.4f};"
                for key, value in row[name].items()
                if key.startswith(("log", "SVC, best", "SVC, layer 3"))
            )
            print(f"{title:<36}{name:<8}{figures} {row[f'{name}, seconds']:.0f} s", flush=True)
        if title == "defaults":
            row["digits, other seeds"] = [
                features(*sets["digits"], parameters, seed)[0] for seed in range(1, SEEDS)
            ]
            best = [other["SVC, best subset"] for other in row["digits, other seeds"]]
            print(f"{title:<36}digits, other seeds: best subset", *(f"{b:.4f}" for b in best))
        if dna is not None:
            nats, seconds = log_likelihood(dna["train"], dna["valid"], parameters)
            row["dna"], row["dna, seconds"] = nats, seconds
            print(f"{title:<36}dna     {nats:.2f} nats; {seconds:.0f} s", flush=True)
        rows.append(row)
        save("bench_defaults", rows)


if __name__ == "__main__":
    main()
