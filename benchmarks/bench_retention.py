"""The likelihood that fine-tuning costs the generator, and the error that retention costs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_retention.py

Binarised MNIST, the published split, one layer of 500 units that is trained without labels once
and then fine-tuned: 20 passes over minibatches of 100, with a growing weight of the generative
gradient, and with untied weights. Once by `solver="sgd"`, at a rate of 0.1 that was selected
on the validation rows, and once by Adam at 0.001, whose steps are equally long for noisy and
for exact gradients. Errors in percent on the test rows; their log-likelihood in nats by
annealed importance sampling in both directions, and forward and reverse alone. An interrupted
run resumes.
"""

import time

import numpy as np
from _data import PLAIN_NETWORK, RESULTS, arguments, digits, load, save, saved
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import generative_retention

NAME = "bench_retention"
SGD = {"solver": "sgd", "learning_rate": 0.1}
ADAM = {"solver": "adam", "learning_rate": 1e-3}
CASES = [{**SGD, "generative_weight": weight} for weight in (0.0, 1e-3, 0.003, 0.01, 0.03, 0.1)]
CASES += [{**SGD, "tie_weights": False}]
CASES += [{**ADAM, "generative_weight": weight} for weight in (0.0, 1e-3)]
RBM = {"learning_rate": 0.1, "batch_size": 100, "n_iter": 60, "sparsity_target": None}
TUNING = {"batch_size": 100, "n_iter": 20, "learning_rate": 3e-3, **PLAIN_NETWORK}


def main():
    args = arguments(__doc__.splitlines()[0])
    data = load(args.data, "binarized_mnist")
    rows, n_units = saved(NAME) if data is not None else [], 500
    if data is None:
        X, y = digits()
        X, n_units = (X > 0.5).astype(np.float32), 32
        data = {"train": X[:1200], "y_train": y[:1200], "test": X[1200:], "y_test": y[1200:]}
    rbm = DBNTransformer(
        (n_units,), rbm=RBMTransformer(**RBM), random_state=0, memory=str(RESULTS / "cache")
    )
    rbm = FrozenEstimator(rbm.fit(data["train"]))
    for case in CASES:
        if any(row["case"] == case for row in rows):
            continue
        start = time.perf_counter()
        network = DBNClassifier(rbm, random_state=0, **TUNING, **case)
        network.fit(data["train"], data["y_train"])
        row = {"case": case, "seconds": time.perf_counter() - start}
        row["error"] = 100 * (1 - network.score(data["test"], data["y_test"]))
        kept = generative_retention(network, data["test"], n_samples=1)
        for name, part in kept.items():
            del part["samples"]
            row[name] = {key: np.asarray(value).tolist() for key, value in part.items()}
        rows.append(row)
        print(row, flush=True)
        save(NAME, rows)


if __name__ == "__main__":
    main()
