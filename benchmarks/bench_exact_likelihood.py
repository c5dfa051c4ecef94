"""RBMs of 23 hidden units, whose log-likelihood is known exactly, on three sets of binary data.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_exact_likelihood.py

The published table that does not depend on annealed importance sampling: with 23 hidden units
the partition function is a sum of 2^23 terms. Test log-likelihood in nats from Uria et al.
(2016, JMLR 17:205, after Larochelle, Bengio, Turian 2010, doi:10.1162/neco.2010.10-08-885).
Each candidate is trained on the training rows; the test log-likelihood is that of the candidate
with the highest validation log-likelihood. (The test rows of adult are those of the published
file that are in neither of the other parts.) An interrupted run resumes.
"""

import time

import numpy as np
from _data import arguments, digits, load, save, saved

from sklearn_dbn import RBMTransformer

NAME = "bench_exact_likelihood"
PUBLISHED = {"debd_adult": -16.26, "debd_dna": -96.74, "debd_mushrooms": -15.15}
# learning_rate, batch_size, n_iter, n_gibbs_steps, weight_decay
CANDIDATES = [
    (0.2, 50, 2000, 2, 0.0),
    (0.2, 50, 1000, 5, 1e-3),
    (0.1, 20, 300, 10, 1e-4),
    (0.1, 20, 300, 5, 5e-3),
    (0.1, 20, 300, 5, 8e-3),
    (0.05, 20, 300, 5, 6e-3),
]
NAMES = ("learning_rate", "batch_size", "n_iter", "n_gibbs_steps", "weight_decay")


def candidate(settings, data):
    rbm = RBMTransformer(23, sparsity_target=None, random_state=0, **settings)
    start = time.perf_counter()
    rbm.fit(data["train"])
    row = {"seconds": time.perf_counter() - start}
    log_z = rbm.log_partition("exact").value
    for part in ("train", "valid", "test"):
        row[part] = float(-rbm.free_energy(data[part]).mean() - log_z)
    return row


def main():
    args = arguments(__doc__.splitlines()[0])
    sets = {name: load(args.data, name) for name in PUBLISHED}
    sets = {name: data for name, data in sets.items() if data is not None}
    if not sets:
        X = (digits()[0] > 0.5).astype(np.float32)
        sets["digits"] = {"train": X[:1200], "valid": X[1200:1500], "test": X[1500:]}
    rows = saved(NAME) if args.data else []
    for name, data in sets.items():
        for values in CANDIDATES:
            settings = dict(zip(NAMES, values, strict=True))
            key = {"data": name} | settings
            if not any(key.items() <= row.items() for row in rows):
                rows.append(key | candidate(settings, data))
                save(NAME, rows)
        best = max((r for r in rows if r["data"] == name), key=lambda r: r["valid"])
        chosen = ", ".join(f"{key}={best[key]:g}" for key in NAMES)
        published = PUBLISHED.get(name, float("nan"))
        print(
            f"{name}: test {best['test']:.2f}, valid {best['valid']:.2f}, published "
            f"{published:.2f}, {best['seconds']:.0f} s; {chosen}",
            flush=True,
        )


if __name__ == "__main__":
    main()
