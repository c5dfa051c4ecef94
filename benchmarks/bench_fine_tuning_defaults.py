"""Defaults of fine-tuning, compared on folds of training rows; no test set is used.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_fine_tuning_defaults.py

Percent of errors over three folds of digits and of 3,000 training rows each of USPS and MNIST,
after 50 passes, with a deep belief network of two layers of 256 units: for a learning rate of
Adam and a minibatch size, and with dropout, each with and without centred inputs. The
generators are trained once for each fold.
"""

from itertools import product

import numpy as np
from _data import PLAIN_NETWORK, RESULTS, arguments, digits, load, save
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer

RATES = [
    {"learning_rate": rate, "batch_size": batch_size}
    for rate, batch_size in product((1e-3, 3e-3, 1e-2, 3e-2), (20, 100))
]
DROPOUT = {"learning_rate": 3e-3, "batch_size": 20, "dropout": 0.2, "hidden_dropout": 0.2}
CANDIDATES = [
    {**settings, "centered": centered}
    for settings, centered in product([*RATES, DROPOUT], (False, True))
]
N_ROWS = 3000
# The values at the time of the table.
FORMER = {"n_iter": 50, **PLAIN_NETWORK}


def problems(folder):
    """Rows in [0, 1] and labels, by name."""
    X, y = digits()
    yield "digits", X, y
    for name in ("usps", "mnist"):
        data = load(folder, name)
        if data is not None:
            X, y = data["X_train"], data["y_train"]
            rows = np.random.default_rng(0).permutation(len(X))[:N_ROWS]
            X = X[rows].reshape(len(rows), -1).astype(np.float32)
            yield name, (X - X.min()) / (X.max() - X.min()), y[rows]


def main():
    args = arguments(__doc__.splitlines()[0])
    rbm = RBMTransformer(batch_size=10, n_iter=50, sparsity_target=None)
    dbn = DBNTransformer((256, 256), rbm=rbm, memory=str(RESULTS / "cache"), random_state=0)
    rows = []
    for name, X, y in problems(args.data):
        folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))
        generators = [FrozenEstimator(clone(dbn).fit(X[a])) for a, _ in folds]
        for settings in CANDIDATES:
            found = []
            for generator, (a, b) in zip(generators, folds, strict=True):
                network = DBNClassifier(generator, random_state=0, **{**FORMER, **settings})
                found.append(100 * (1 - network.fit(X[a], y[a]).score(X[b], y[b])))
            rows.append({"data": name, **settings, "error": float(np.mean(found))})
            print(rows[-1], flush=True)
            save("bench_fine_tuning_defaults", rows)


if __name__ == "__main__":
    main()
