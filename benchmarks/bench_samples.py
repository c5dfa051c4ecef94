"""Samples of a population compared with those of the chains that training leaves.

    python benchmarks/bench_samples.py [--data FOLDER]

Shares: how far the shares of eight separate patterns among 2,000 rows are from those of the
model, by the statistic of the chi-squared test with 7 degrees of freedom (for independent rows
7 on average, and less than 24.3 in 999 of 1,000 cases), the mean and the largest over ten
seeds. Cost: processor time of a call, population over chains, median of five calls in turn.
Temperatures: how many annealing places by itself, from hidden units with their own biases and
with the means of the training.
"""

from statistics import median
from time import process_time

import numpy as np
from _data import arguments, digits, load, save
from scipy.linalg import hadamard

from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import (
    base_rates,
    equilibrate,
    exact_log_partition,
    place_temperatures,
)

PATTERNS = (hadamard(32)[:8] > 0).astype(np.float32)


def near_patterns(n_rows):
    rng = np.random.default_rng(0)
    flipped = rng.random((n_rows, 32)) < 0.02
    return np.abs(PATTERNS[rng.integers(0, 8, n_rows)] - flipped).astype(np.float32)


def shares(rows):
    nearest = np.abs(rows[:, None] - PATTERNS).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=8) / len(rows)


def masses(machine):
    """Shares among 200,000 rows that are drawn without a Markov chain."""
    h = ((np.arange(2**12)[:, None] >> np.arange(12)) & 1).astype(np.float64)
    p = np.exp(-machine.free_energy([None, h], machine.even) - exact_log_partition(machine))
    rng = np.random.default_rng(0)
    means = machine.means([0], [None, h[rng.choice(len(p), 200_000, p=p / p.sum())]])[0]
    return shares((rng.random(means.shape) < means).astype(np.float32))


def from_training(rbm, n_rows, seed):
    """Rows of chains that start at the chains of the training."""
    rng = Stream(seed)
    chains = rbm._run.chains.states[0]
    start = chains[rng.permutation(max(n_rows, len(chains)))[:n_rows] % len(chains)]
    return equilibrate(rbm._run.average, [start, None], 200, rng)[0]


def compare_shares():
    rows = []
    for sampler in ("pcd", "tempering"):
        rbm = RBMTransformer(12, n_iter=20, sampler=sampler, random_state=0)
        rbm.fit(near_patterns(1000))
        right = masses(rbm._run.average)
        ways = {
            "chains": lambda seed, rbm=rbm: from_training(rbm, 2000, seed),
            "population": lambda seed, rbm=rbm: rbm.sample(2000, random_state=seed),
        }
        for name, draw in ways.items():
            found = [shares(draw(seed)) for seed in range(10)]
            statistic = [float(2000 * ((x - right) ** 2 / right).sum()) for x in found]
            row = {"trained by": sampler, "way": name, "mean": float(np.mean(statistic))}
            rows.append({**row, "largest": max(statistic)})
            print(
                f"{sampler:<12}{name:<12}{np.mean(statistic):>10.1f}{max(statistic):>10.1f}",
                flush=True,
            )
    return rows


def compare_cost():
    rng, rows = np.random.default_rng(0), []
    sizes = {
        "64 x 256": (digits()[0] > 0.5, 256),
        "784 x 500": (rng.random((500, 784)) < 0.5, 500),
    }
    for name, (X, n_hidden) in sizes.items():
        rbm = RBMTransformer(n_hidden, n_iter=1, random_state=0).fit(X.astype(np.float32))
        for n_rows in (1, 10, 100, 1000):
            ratios = []
            for seed in range(5):
                start = process_time()
                from_training(rbm, n_rows, seed)
                middle = process_time()
                rbm.sample(n_rows, random_state=seed)
                ratios.append((process_time() - middle) / (middle - start))
            rows.append({"units": name, "rows": n_rows, "ratio": median(ratios)})
            print(f"{name:<12}{n_rows:>6} rows{median(ratios):>8.2f}", flush=True)
    return rows


def compare_temperatures(folder):
    images, rows = load(folder, "binarized_mnist"), []
    cases = {"digits": ((digits()[0] > 0.5).astype(np.float32), 128, {"n_iter": 50})}
    if images is not None:
        cases["MNIST"] = images["train"][:6000], 300, {"n_iter": 15, "batch_size": 20}
    for name, (X, n_hidden, options) in cases.items():
        rbm = RBMTransformer(n_hidden, random_state=0, **options).fit(X)
        machine = rbm._run.average
        moments = rbm._run.moments.mean, rbm._run.moments.var
        mean, var = (x.astype(np.float32) for x in moments)
        for base_of, base in {
            "own biases": base_rates(machine, [mean], [var]),
            "means of the training": rbm._base(),
        }.items():
            n = len(place_temperatures(machine, base, Stream(0)))
            rows.append({"data": name, "hidden": base_of, "temperatures": n})
            print(f"{name:<12}{base_of:<24}{n:>8}", flush=True)
    return rows


def main():
    args = arguments(__doc__.splitlines()[0])
    rows = compare_shares()
    save(
        "bench_samples", rows, cost=compare_cost(), temperatures=compare_temperatures(args.data)
    )


if __name__ == "__main__":
    main()
