"""Fine-tuned networks on MNIST: test error, and that of the same networks from random weights.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_fine_tuning.py

Pixels in any order, no other data. The generators are trained on the 60,000 training images
without their labels. For each case, the candidates are trained on the labels of the first
50,000 training rows. The one with the fewest errors on the last 10,000 is trained on all labels
and scored once on the test set. From random weights a network has the settings selected for the
pre-trained one. The generators of the candidates are not trained on those 10,000 rows, except
in the cases of SEEN and those with few labels. Published: 1.15 % for the deep belief network
(Hinton 2007), 0.92 % with dropout (Srivastava et al. 2014, JMLR 15:1929-1958), 0.95 % for the
deep Boltzmann machine (Salakhutdinov, Hinton 2009, PMLR 5:448-455).

With 100 and 1,000 labels the network is trained on as many rows of each class, and in the cases
called virtual also on the others, without their labels; errors are means over draws of the
labels. Three seeds for the deep belief networks with dropout and with adversarial rows, one for
the rest.

A case that is in the file of results is not run again; an interrupted training resumes.
"""

from functools import partial
from itertools import product

import numpy as np
from _data import PLAIN_NETWORK, Record, arguments, digits, mnist
from _generators import DBM, DBN, SPARSE, SPARSE_DBM, generator
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import DBNClassifier

NAME = "bench_fine_tuning"
DROPOUT = {"dropout": 0.2, "hidden_dropout": 0.2}
# Selected by runs of 20 passes on the validation rows (docs/decisions/fine-tuning.md), except
# for the label smoothing, which was set beforehand.
PLAIN = [{"n_iter": 30, "learning_rate": 1e-3, "label_smoothing": 0.1}]
DROPPED = [{"n_iter": 60, "learning_rate": 1e-3, **DROPOUT}]
ADVERSARIAL = [
    {"n_iter": 20, "learning_rate": 1e-3, "adversarial_eps": 1.0},
    {"n_iter": 20, "learning_rate": 1e-3, "adversarial_eps": 2.0},
    {"n_iter": 30, "learning_rate": 1e-3, "adversarial_eps": 1.0, **DROPOUT},
]
LONG = {"n_iter": 80, "learning_rate": 1e-3, "adversarial_eps": 2.0}
LONGER = [LONG, {**LONG, **DROPOUT}, {**LONG, "n_iter": 200, **DROPOUT}]
# Without the top-down input of the augmented network.
ALONE = [
    {**LONG, "n_iter": n_iter, "learning_rate": rate, **DROPOUT, "top_down_input": False}
    for rate, n_iter in product((1e-3, 3e-3), (80, 200))
]
BOTH = [
    {**LONG, "n_iter": n_iter, "learning_rate": rate, **DROPOUT}
    for rate, n_iter in product((1e-3, 3e-3), (40, 80))
]
CENTRED = [{**settings, "centered": True} for settings in BOTH]
CENTRED_ALONE = [{**settings, "top_down_input": False} for settings in CENTRED]
EITHER = [
    {
        **LONG,
        "n_iter": n_iter,
        "learning_rate": 3e-3,
        **DROPOUT,
        "top_down_input": top_down_input,
    }
    for top_down_input, n_iter in product((True, False), (40, 80))
]
# What the best trainings of the DBM's network outside this repository had in common, by errors
# on the validation rows (docs/decisions/fine-tuning.md).
MILDER = [
    {
        "n_iter": n_iter,
        "learning_rate": 2e-3,
        "fine_tune": [0.3, 1.0],
        "weight_decay": 0.01,
        "adversarial_eps": 1.25,
        "hidden_dropout": 0.3,
        "top_down_input": False,
    }
    for n_iter in (60, 120)
]
VIRTUAL = [
    {
        "n_iter": 60,
        "learning_rate": rate,
        "virtual_adversarial_eps": 2.0,
        "top_down_input": False,
    }
    for rate in (1e-3, 3e-3)
]
FEW = [
    {"n_iter": n_iter, "batch_size": 20, "learning_rate": 1e-3, **more}
    for n_iter, more in product((30, 100), ({}, DROPOUT))
]
# As many updates with ten times as many labels.
FEW_VIRTUAL = {
    n_labels: [
        {
            "n_iter": 100_000 // n_labels,
            "batch_size": 20,
            "learning_rate": rate,
            "virtual_adversarial_eps": 1.0,
        }
        for rate in (1e-3, 3e-3)
    ]
    for n_labels in (100, 1000)
}
# Network, name of its candidates, seeds.
CASES = [
    (DBN, "100 labels", (0,)),
    (DBM, "100 labels", (0,)),
    (DBM, "1000 labels", (0,)),
    (DBM, "dropout", (0,)),
    (DBN, "plain", (0,)),
    (DBM, "plain", (0,)),
    (DBN, "1000 labels", (0,)),
    (DBN, "dropout", (0, 1, 2)),
    (SPARSE, "100 labels", (0,)),
    (SPARSE, "1000 labels", (0,)),
    (SPARSE, "100 labels, virtual", (0,)),
    (SPARSE, "1000 labels, virtual", (0,)),
    (SPARSE, "plain", (0,)),
    (SPARSE, "dropout", (0, 1, 2)),
    (SPARSE, "adversarial", (0, 1, 2)),
    (SPARSE, "adversarial, longer", (0, 1, 2)),
    (SPARSE, "adversarial and dropout", (0, 1, 2)),
    (SPARSE, "centred", (0, 1, 2)),
    (SPARSE_DBM, "plain", (0,)),
    (SPARSE_DBM, "dropout", (0,)),
    (SPARSE_DBM, "adversarial", (0,)),
    (SPARSE_DBM, "pixels alone", (0,)),
    (SPARSE_DBM, "virtual", (0,)),
    (SPARSE_DBM, "pixels alone or not", (0,)),
    (SPARSE_DBM, "pixels alone, centred", (0,)),
    (SPARSE_DBM, "pixels alone, milder", (0,)),
]
DENSE = {SPARSE: DBN, SPARSE_DBM: DBM}
CANDIDATES = {
    "plain": PLAIN,
    "dropout": DROPPED,
    "adversarial": ADVERSARIAL,
    "adversarial, longer": LONGER,
    "adversarial and dropout": BOTH,
    "centred": CENTRED,
    "pixels alone": ALONE,
    "virtual": VIRTUAL,
    "pixels alone or not": EITHER,
    "pixels alone, centred": CENTRED_ALONE,
    "pixels alone, milder": MILDER,
    "100 labels": FEW,
    "1000 labels": FEW,
    "100 labels, virtual": FEW_VIRTUAL[100],
    "1000 labels, virtual": FEW_VIRTUAL[1000],
}
# Their candidates were compared on rows that the generators were trained on.
SEEN = ("adversarial, longer", "pixels alone")
DRAWS = 3


def error(transformer, settings, seed, train, test):
    """Percent of errors on ``test``. Rows labelled -1 have no label."""
    network = DBNClassifier(FrozenEstimator(transformer), unlabeled=-1, random_state=seed)
    network.set_params(**{"batch_size": 100, **PLAIN_NETWORK, **settings}).fit(*train)
    return 100 * (1 - network.score(*test))


def draws(y, n_labels):
    """Draws of rows with an equal number of labels of each class."""
    rng = np.random.default_rng(0)
    classes = np.unique(y)
    for _ in range(DRAWS):
        of_each = n_labels // len(classes)
        yield np.concatenate(
            [rng.permutation(np.flatnonzero(y == k))[:of_each] for k in classes]
        )


def run(fitted, kind, settings, seed, train, test):
    """Percent of errors; the mean over draws if there are few labels."""
    if "labels" not in kind:
        return {"error": error(fitted, settings, seed, train, test)}
    X, y = train
    found = []
    for few in draws(y, int(kind.split()[0])):
        # First the rows that keep their label.
        order = np.concatenate([few, np.setdiff1d(np.arange(len(y)), few)])
        given = np.full(len(y), -1)
        given[: len(few)] = y[few]
        found.append(error(fitted, settings, seed, (X[order], given), test))
    return {"error": float(np.mean(found)), "spread": float(np.std(found))}


def main():
    args = arguments(__doc__.splitlines()[0], only="")
    data = mnist(args.data)
    small = data is None
    if small:
        X, y = digits()
        data = X[:1200], y[:1200], X[1200:], y[1200:]
    X, y, X_test, y_test = data
    record, n_kept = Record(NAME, resume=not small), len(X) - len(X) // 6
    known, held_out = (X[:n_kept], y[:n_kept]), (X[n_kept:], y[n_kept:])

    for network, kind, seeds in CASES:
        if args.only and args.only not in f"{network}, {kind}":
            continue
        found, base = [], {"network": network, "kind": kind}
        candidates = CANDIDATES[kind]
        for settings in candidates if len(candidates) > 1 else ():
            case = {**base, "on": "validation", "settings": settings}
            seen = X if kind in SEEN or "labels" in kind else known[0]
            fitted = generator(network, 0, small).fit(seen)
            row = record(case, partial(run, fitted, kind, settings, 0, known, held_out))
            found.append(row["error"])
        best = candidates[int(np.argmin(found)) if found else 0]
        # From random weights the sparse and the dense network are the same.
        dense = (DENSE.get(network), kind) in [case[:2] for case in CASES]
        random = [] if dense else [("random", 0)]
        for start, seed in [("generator", s) for s in seeds] + random:
            case = {**base, "on": "test", "start": start, "seed": seed, "settings": best}
            fitted = generator(network, seed, small, start == "random").fit(X)
            record(case, partial(run, fitted, kind, best, seed, (X, y), (X_test, y_test)))


if __name__ == "__main__":
    main()
