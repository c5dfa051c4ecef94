"""Annealed importance sampling compared with the matrix products it needs.

    python benchmarks/bench_ais.py

Seconds per temperature of 100 chains on an RBM of 784 x 500 units in float32, with either layer
summed out, and of two products alone: of the visible states and of the hidden ones with the
weights, once as an update computes them (a transposed view of the weights for the second) and
once with the transpose laid out in memory. All are run in turn; figures are medians over the
turns. The number of temperatures between 0 and 1 does not depend on the time; the standard
deviation of the log weights is printed too.
"""

from statistics import median
from time import perf_counter

import numpy as np
from _data import arguments, save

from sklearn_dbn._random import Stream
from sklearn_dbn.likelihood import anneal, base_rates
from sklearn_dbn.machine import Machine
from sklearn_dbn.samplers import independent
from sklearn_dbn.units import UNITS

N_VISIBLE, N_HIDDEN, N_CHAINS = 784, 500, 100


def make_machine():
    rng = np.random.default_rng(0)
    W = 0.05 * rng.standard_normal((N_VISIBLE, N_HIDDEN))
    a, b = rng.normal(-2, 1, N_VISIBLE), rng.normal(-1, 0.5, N_HIDDEN)
    par = [x[None, :].astype(np.float32) for x in (a, b)]
    return Machine((UNITS["bernoulli"],) * 2, par, [W.astype(np.float32)])


def bare(W, back, n_steps):
    v = np.ones((N_CHAINS, N_VISIBLE), dtype=np.float32)
    h = np.ones((N_CHAINS, N_HIDDEN), dtype=np.float32)
    for _ in range(n_steps):
        v @ W
        h @ back


def main():
    args = arguments(__doc__.splitlines()[0], turns=7, temperatures=1000)
    machine, rng = make_machine(), Stream(0)
    W, steps = machine.W[0], args.temperatures - 1
    base = base_rates(machine)
    betas = np.linspace(0, 1, args.temperatures)
    spread = {}

    def ais(name, summed, kept):
        states = independent(machine, base, kept, N_CHAINS, rng)
        spread[name] = float(np.std(anneal(machine, base, betas, states, rng, summed)))

    back = np.ascontiguousarray(W.T)
    cases = {
        "products": lambda: bare(W, W.T, steps),
        "products, laid out": lambda: bare(W, back, steps),
        "hidden summed out": lambda: ais("hidden summed out", machine.odd, machine.even),
        "visible summed out": lambda: ais("visible summed out", machine.even, machine.odd),
    }
    seconds = {name: [] for name in cases}
    for _ in range(args.turns):
        for name, run in cases.items():
            start = perf_counter()
            run()
            seconds[name].append((perf_counter() - start) / steps)
    rows = []
    print(f"{'case':<22}{'us':>8}{'/ products':>12}{'/ laid out':>12}{'std log w':>12}")
    for name, values in seconds.items():
        ratios = [
            median(x / y for x, y in zip(values, seconds[other], strict=True))
            for other in ("products", "products, laid out")
        ]
        row = {"case": name, "seconds": median(values), "excess": ratios[0]}
        rows.append({**row, "excess_laid_out": ratios[1], "spread": spread.get(name)})
        figures = f"{1e6 * median(values):>8.0f}{ratios[0]:>12.2f}{ratios[1]:>12.2f}"
        std = f"{spread[name]:>12.3f}" if name in spread else ""
        print(f"{name:<22}{figures}{std}")
    save("bench_ais", rows)


if __name__ == "__main__":
    main()
