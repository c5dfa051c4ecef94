"""A deep Boltzmann machine of 500 and 1000 units on MNIST: nats, units alive, features.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_deep_likelihood.py

Scored on the published split of binarised MNIST, with the time of the training, twice:

- "fixed": trained on the bits of the published 50,000 rows, the same at every pass.
- "redrawn": trained on the grey levels of the same 50,000 digits, whose bits are drawn anew at
  each presentation, as for the published machine. Validation and test rows are the same fixed
  bits.

The bound on the test log-likelihood is `score_bound`, the estimate `score`; log Z is the mean
of `forward` and `reverse` annealing at 20,000 temperatures. Published: bound -84.62 after two
days, on 60,000 digits (Salakhutdinov, Hinton 2009, PMLR 5:448-455). Settings were selected on
the first 2,000 validation rows, for "fixed"; "redrawn" uses the same. Dead and saturated units
are counted as in `history_`, over the test rows.

Then the features of each layer of "fixed", from grey-level MNIST, with
LogisticRegression(C=0.5). A case that is in the file of results is not run again; a training
that was interrupted resumes.
"""

import time
import warnings
from functools import partial

import numpy as np
from _data import RESULTS, Record, arguments, digits, load, mnist
from sklearn.linear_model import LogisticRegression

from sklearn_dbn import DBMTransformer, RBMTransformer

NAME = "bench_deep_likelihood"
DENSE = {"weight_decay": 2e-4, "batch_size": 100, "sparsity_target": None}
FIRST = {"learning_rate": 0.3, "n_iter": 150, **DENSE}
JOINT = {"learning_rate": 0.08, "n_iter": 330, **DENSE}
SWEEPS = 3
TEMPERATURES = 20_000


def nats(dbm, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dbm.log_partition("ais", temperatures=TEMPERATURES)
    # The scores use this log Z, instead of another estimate.
    dbm._estimates["log_z"] = found.value
    row = {
        "forward": found.forward.value,
        "reverse": found.reverse.value,
        "standard_error": found.standard_error,
    }
    for part in ("valid", "test"):
        row[f"{part} bound"] = float(dbm.score_bound(data[part]).mean())
    row["test estimate"] = dbm.score(data["test"])
    return row


def idle(dbm, rows):
    """Shares of the units of each layer that are dead, and saturated."""
    shares, machine = {}, dbm._machine
    for layer, field in enumerate(dbm._posterior(rows).fields[1:], start=1):
        found = machine.units[layer].idle(field, machine.par[layer])
        names = ("dead", "saturated")
        shares[f"layer {layer - 1}"] = {
            n: float(x.mean()) for n, x in zip(names, found, strict=True)
        }
    return shares


def errors(dbm, train, y_train, test, y_test):
    """Test error of a linear classifier on pixels and on each layer."""
    features = {"pixels": (train, test)}
    for layer in range(len(dbm.weights_)):
        view = dbm.select(layers=layer)
        features[f"layer {layer}"] = view.transform(train), view.transform(test)
    row = {}
    for name, (X, X_test) in features.items():
        head = LogisticRegression(C=0.5, max_iter=300).fit(X, y_train)
        row[name] = 1 - head.score(X_test, y_test)
        print(f"{name}: {100 * row[name]:.2f} % error", flush=True)
    return row


def evaluated(sizes, first, joint, rows, data, images=None):
    """Train on ``rows``; results of the machine, and features of ``images``."""
    dbm = DBMTransformer(
        sizes,
        rbm=RBMTransformer(**joint),
        n_mean_field_steps=SWEEPS,
        pretrain="first_layer",
        pretrain_rbm=RBMTransformer(**first),
        memory=str(RESULTS / "cache"),
        random_state=0,
    )
    start = time.perf_counter()
    dbm.fit(rows)
    # A machine in the cache takes no time.
    row = {"training": time.perf_counter() - start}
    print(f"trained: {row['training']:.0f} s", flush=True)
    row |= nats(dbm, data)
    row["train bound"] = float(dbm.score_bound(data["train"][:10_000]).mean())
    row["idle"] = idle(dbm, data["test"])
    if images is not None:
        row["error"] = errors(dbm, *images)
    return row


def main():
    args = arguments(__doc__.splitlines()[0])
    data, images = load(args.data, "binarized_mnist"), mnist(args.data)
    sizes, first, joint = (500, 1000), FIRST, JOINT
    small = data is None or images is None
    if small:
        X, y = digits()
        bits = (X > 0.5).astype(np.float32)
        data = {"train": bits[:1200], "valid": bits[1200:1500], "test": bits[1500:]}
        sizes, first, joint = (64, 64), FIRST | {"n_iter": 20}, JOINT | {"n_iter": 20}
        images = X[:1200], y[:1200], X[1200:], y[1200:]
        data["mnist_index_train"] = slice(1200)
    record = Record(NAME, resume=not small)
    levels = images[0][data["mnist_index_train"]]
    for bits, rows, heads in (("fixed", data["train"], images), ("redrawn", levels, None)):
        case = {"bits": bits, "settings": [first, joint]}
        record(case, partial(evaluated, sizes, first, joint, rows, data, heads))


if __name__ == "__main__":
    main()
