"""Seconds of training to reach a test log-likelihood on binarised MNIST, 500 hidden units.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_time_to_likelihood.py

BernoulliRBM is trained for 40 passes at each of several learning rates, and is measured during
the training; its best is that of the highest log-likelihood of the validation rows. Then
RBMTransformer, in runs of more and more passes, with settings selected on the validation rows
too. log Z is the mean of forward and reverse annealed importance sampling (100 chains each; the
reverse ones start from training rows after 1,000 sweeps), and `gap` their difference: one
direction alone gives too high a score. Measuring is not part of the time. An interrupted run
resumes.
"""

import time
import warnings

import numpy as np
from _data import arguments, digits, load, save, saved
from sklearn.neural_network import BernoulliRBM

from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import base_rates, log_partition, place_temperatures
from sklearn_dbn.machine import Machine
from sklearn_dbn.units import UNITS

NAME = "bench_time_to_likelihood"
RATES = (0.1, 0.03, 0.01)
AT_PASS = (10, 40)
# The passes of each run; the learning rate falls to zero in all of them.
OURS = (1, 2, 5, 60, 75)
SETTINGS = {"learning_rate": 0.3, "weight_decay": 2e-4, "sparsity_target": None}


def measure(machine, data):
    """Mean log-likelihood of validation and test rows, and the precision of log Z."""
    X = data["train"]
    base = base_rates(machine, [X.mean(axis=0)], [X.var(axis=0)])
    rng = Stream(1)
    betas = place_temperatures(machine, base, rng, most=6000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = [X[:100].copy(), None]
        found = log_partition(
            machine, base, "ais", rng=rng, states=states, n_sweeps=1000, betas=betas
        )
    row = {"gap": found.reverse.value - found.forward.value}
    for part in ("valid", "test"):
        free = machine.free_energy([data[part], None]).astype(np.float64)
        row[part] = float(-free.mean() - found.value)
    return row


def theirs(rate, data, rows):
    """One learning rate of BernoulliRBM, measured during the training."""
    X = data["train"]
    rbm = BernoulliRBM(500, learning_rate=rate, batch_size=100, random_state=0)
    order, spent = np.random.default_rng(0), 0.0
    for n_pass in range(1, max(AT_PASS) + 1):
        start = time.perf_counter()
        shuffled = X[order.permutation(len(X))]
        for i in range(0, len(X), 100):
            rbm.partial_fit(shuffled[i : i + 100])
        spent += time.perf_counter() - start
        if n_pass in AT_PASS:
            par = [rbm.intercept_visible_[None, :], rbm.intercept_hidden_[None, :]]
            units = (UNITS["bernoulli"],) * 2
            machine = Machine(units, par, [np.ascontiguousarray(rbm.components_.T)])
            machine = machine.map(lambda x: x.astype(np.float32))
            row = {"of": "BernoulliRBM", "rate": rate, "passes": n_pass, "seconds": spent}
            add(rows, row | measure(machine, data))


def ours(n_iter, data, rows):
    rbm = RBMTransformer(500, batch_size=100, n_iter=n_iter, **SETTINGS, random_state=0)
    start = time.perf_counter()
    rbm.fit(data["train"])
    row = {"of": "RBMTransformer", "rate": rbm.learning_rate_, "passes": n_iter}
    row["seconds"] = time.perf_counter() - start
    add(rows, row | measure(rbm._machine, data))


def add(rows, row):
    rows.append(row)
    print(
        f"{row['of']:<16}{row['rate']:>7g}{row['passes']:>8}{row['seconds']:>9.1f}"
        f"{row['valid']:>9.2f}{row['test']:>9.2f}{row['gap']:>7.2f}",
        flush=True,
    )


def main():
    args = arguments(__doc__.splitlines()[0])
    data = load(args.data, "binarized_mnist")
    if data is None:
        X = (digits()[0] > 0.5).astype(np.float32)
        data = {"train": X[:1200], "valid": X[1200:1500], "test": X[1500:]}
    rows = saved(NAME) if args.data else []
    print(f"{'':<16}{'rate':>7}{'passes':>8}{'seconds':>9}{'valid':>9}{'test':>9}{'gap':>7}")
    done = rows[:]
    rows.clear()
    for row in done:
        add(rows, row)
    for rate in RATES:
        if sum(row["of"] == "BernoulliRBM" and row["rate"] == rate for row in done) < len(
            AT_PASS
        ):
            rows[:] = [r for r in rows if r["of"] != "BernoulliRBM" or r["rate"] != rate]
            theirs(rate, data, rows)
            save(NAME, rows)
    for n_iter in OURS:
        if not any(r["of"] == "RBMTransformer" and r["passes"] == n_iter for r in done):
            ours(n_iter, data, rows)
            save(NAME, rows)
    best = max((r for r in rows if r["of"] == "BernoulliRBM"), key=lambda r: r["valid"])
    for row in rows:
        if row["of"] == "RBMTransformer" and row["test"] >= best["test"]:
            share = row["seconds"] / best["seconds"]
            print(f"reached BernoulliRBM's {best['test']:.2f} in {share:.3f} of its time")
            break


if __name__ == "__main__":
    main()
