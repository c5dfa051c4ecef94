"""Fine-tuned networks on MNIST: test error, beside the same networks from random weights.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_fine_tuning.py

Pixels in any order, no other data. Of the candidates for a case the one with the fewest errors
on the last 10,000 training rows, trained on the others, is trained on all rows and meets the
test set once. From random weights a network takes the settings chosen for the pre-trained one.
Published: 1.15 % for the deep belief network (Hinton 2007), 0.92 % with dropout (Srivastava et
al. 2014, JMLR 15:1929-1958), 0.95 % for the deep Boltzmann machine (Salakhutdinov, Hinton 2009,
PMLR 5:448-455).

With 100 and 1,000 labels the generator is trained on all rows and the network on as many of
each class; errors are means over draws of the labels.

A case that the file of results holds is not run again, and generators are kept beside it.
"""

import time
from functools import partial
from itertools import product

import numpy as np
from _data import RESULTS, arguments, digits, load, save, saved
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer

NAME = "bench_fine_tuning"
DBN, DBM = "DBN 500-500-2000", "DBM 500-1000"
DROPOUT = {"dropout": 0.2, "hidden_dropout": 0.5}
PLAIN = [{"n_iter": 50, "learning_rate": rate} for rate in (3e-3, 1e-3, 3e-4)]
DROPPED = [{"n_iter": 200, "learning_rate": rate, **DROPOUT} for rate in (1e-3, 3e-4)]
FEW = [
    {"n_iter": 100, "batch_size": 20, "learning_rate": rate, **more}
    for rate, more in product((1e-2, 3e-3, 1e-3), ({}, DROPOUT))
]
# Network, name of its candidates, seeds.
CASES = [
    (DBN, "plain", range(1)),
    (DBN, "100 labels", range(1)),
    (DBN, "1000 labels", range(1)),
    (DBM, "plain", range(1)),
    (DBN, "dropout", range(3)),
    (DBM, "dropout", range(1)),
]
CANDIDATES = {"plain": PLAIN, "dropout": DROPPED, "100 labels": FEW, "1000 labels": FEW}
DRAWS = 10


def generator(name, random, seed, small):
    """A network's generator; at its random start if ``random``."""
    n_iter = 0 if random else 2 if small else 30
    rbm = {"batch_size": 100, "random_state": seed}
    kept = {"memory": str(RESULTS / "cache"), "random_state": seed}
    if name == DBN:
        sizes = (32, 32, 64) if small else (500, 500, 2000)
        return DBNTransformer(sizes, rbm=RBMTransformer(n_iter=n_iter, **rbm), **kept)
    first = RBMTransformer(n_iter=n_iter, learning_rate=0.3, weight_decay=2e-4, **rbm)
    joint = RBMTransformer(n_iter=2 * n_iter, learning_rate=0.08, weight_decay=2e-4, **rbm)
    return DBMTransformer(
        (32, 64) if small else (500, 1000),
        rbm=joint,
        n_mean_field_steps=3,
        pretrain=None if random else "first_layer",
        pretrain_rbm=None if random else first,
        **kept,
    )


def error(transformer, settings, seed, train, test):
    """Percent of errors on ``test``."""
    network = DBNClassifier(transformer, random_state=seed, verbose=0)
    network.set_params(**{"batch_size": 100, **settings}).fit(*train)
    return 100 * (1 - network.score(*test))


def draws(y, n_labels):
    """Rows of as many labels of each class, again and again."""
    rng = np.random.default_rng(0)
    classes = np.unique(y)
    for _ in range(DRAWS):
        of_each = n_labels // len(classes)
        yield np.concatenate(
            [rng.permutation(np.flatnonzero(y == k))[:of_each] for k in classes]
        )


def run(fitted, kind, settings, seed, train, test):
    """Percent of errors, the mean over draws where there are few labels."""
    if not kind.endswith("labels"):
        return error(fitted, settings, seed, train, test)
    few = draws(train[1], int(kind.split()[0]))
    found = [error(fitted, settings, seed, (train[0][i], train[1][i]), test) for i in few]
    return float(np.mean(found))


class Record:
    """The rows of the file of results; what it holds is not computed again."""

    def __init__(self, resume):
        self.rows = saved(NAME) if resume else []

    def __call__(self, case, compute):
        for row in self.rows:
            if all(row.get(key) == value for key, value in case.items()):
                return row["error"]
        start = time.perf_counter()
        row = {**case, "error": compute()}
        row["seconds"] = time.perf_counter() - start
        self.rows.append(row)
        print(row, flush=True)
        save(NAME, self.rows)
        return row["error"]


def main():
    args = arguments(__doc__.splitlines()[0])
    images = load(args.data, "mnist")
    small = images is None
    if small:
        X, y = digits()
        X, y, X_test, y_test = X[:1200], y[:1200], X[1200:], y[1200:]
    else:
        X, X_test = (
            (images[part].reshape(-1, 784) / 255).astype(np.float32)
            for part in ("X_train", "X_test")
        )
        y, y_test = images["y_train"], images["y_test"]
    record, n_kept = Record(resume=not small), len(X) - len(X) // 6
    known, held_out = (X[:n_kept], y[:n_kept]), (X[n_kept:], y[n_kept:])

    for name, kind, seeds in CASES:
        found = []
        for settings in CANDIDATES[kind]:
            fitted = FrozenEstimator(generator(name, False, 0, small).fit(known[0]))
            case = {"network": name, "kind": kind, "on": "validation", "settings": settings}
            found.append(record(case, partial(run, fitted, kind, settings, 0, known, held_out)))
        best = CANDIDATES[kind][int(np.argmin(found))]
        for start, seed in [("generator", s) for s in seeds] + [("random", 0)]:
            case = {"network": name, "kind": kind, "on": "test", "start": start, "seed": seed}
            case["settings"] = best
            fitted = FrozenEstimator(generator(name, start == "random", seed, small).fit(X))
            record(case, partial(run, fitted, kind, best, seed, (X, y), (X_test, y_test)))


if __name__ == "__main__":
    main()
