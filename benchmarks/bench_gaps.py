"""Training on rows with missing entries, compared with complete rows and independent columns.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_gaps.py

Real columns with a common factor, and bits drawn from an RBM of 8 x 4 units whose states are
enumerated, missing completely at random. For each share of missing entries: the standard
deviation of samples divided by that of the data, the log-likelihood of complete held-out rows
in nats, and its difference from the fit on complete rows and from independent columns. Then
the processor time of a training with half of the entries missing divided by that on complete
rows, a median over turns in which both are run.
"""

import time
from statistics import median

import numpy as np
from _data import arguments, save
from scipy.special import expit, softmax

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer

SHARES = (0, 0.3, 0.5, 0.9)
N_TRAIN, N_TEST = 2000, 2000


def common_factor(n_columns, rng, n_rows=N_TRAIN + N_TEST):
    normal = rng.normal(size=(n_rows, 1)) + rng.normal(size=(n_rows, n_columns))
    return 0.7 * normal


def bits_of_an_rbm(rng):
    """Independent draws, by enumeration of the hidden states."""
    W = 1.5 * rng.normal(size=(8, 4))
    h = (np.arange(16)[:, None] >> np.arange(4)) & 1
    # Biases with which the middle of both layers is the most probable state.
    a, b = -W.sum(axis=1) / 2, -W.sum(axis=0) / 2
    field = h @ W.T + a
    p = softmax(h @ b + np.logaddexp(0, field).sum(axis=1))
    field = field[rng.choice(16, size=N_TRAIN + N_TEST, p=p)]
    return (rng.random(field.shape) < expit(field)).astype(float)


def independent(train, test):
    """Mean log-likelihood of independent columns with the moments of ``train``."""
    mean, var = train.mean(axis=0), train.var(axis=0)
    if set(np.unique(train)) == {0.0, 1.0}:
        nats = test * np.log(mean) + (1 - test) * np.log(1 - mean)
    else:
        nats = -0.5 * ((test - mean) ** 2 / var + np.log(2 * np.pi * var))
    return float(nats.sum(axis=1).mean())


def missing(X, share, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def models(n_iter):
    def rbm():
        return RBMTransformer(8, n_iter=n_iter)

    def dbm():
        return RBMTransformer(n_iter=n_iter, n_gibbs_steps=5)

    return {
        "RBM": RBMTransformer(8, n_iter=n_iter, random_state=0),
        "DBN": DBNTransformer((8, 6), rbm=rbm(), random_state=0),
        "DBM": DBMTransformer((8, 6), rbm=dbm(), random_state=0),
    }


def learnt(title, X, name, model):
    train, test = X[:N_TRAIN], X[N_TRAIN:]
    alone, whole, rows = independent(train, test), None, []
    for share in SHARES if name == "RBM" else (0, 0.5):
        model.fit(missing(train, share))
        score = float(model.score(test))
        whole = score if whole is None else whole
        spread = model.sample(2000, random_state=0).std(axis=0) / train.std(axis=0)
        rows.append(
            {
                "data": title,
                "model": name,
                "missing": share,
                "std": float(spread.mean()),
                "nats": score,
                "beyond complete": score - whole,
                "beyond independent": score - alone,
            }
        )
        print(
            "{data:<18}{model:<5}{missing:>8.0%}{std:>8.3f}{nats:>9.2f}"
            "{beyond complete:>10.2f}{beyond independent:>13.2f}".format(**rows[-1]),
            flush=True,
        )
    return rows


def seconds(model, X):
    start = time.process_time()
    model.fit(X)
    return time.process_time() - start


def slowed(title, X, model, turns):
    gappy = missing(X, 0.5)
    times = [(seconds(model, X), seconds(model, gappy)) for _ in range(turns)]
    ratio = median(gaps / whole for whole, gaps in times)
    print(f"{title:<40}{ratio:>6.2f}", flush=True)
    return {"case": title, "ratio": ratio}


def main():
    args = arguments(__doc__.splitlines()[0], turns=3, passes=30)
    rng = np.random.default_rng(0)
    sets = {f"{n} real columns": common_factor(n, rng) for n in (8, 10)}
    sets["8 bits"] = bits_of_an_rbm(rng)
    rows, times = [], []
    print(f"{'':<23}{'missing':>8}{'std':>8}{'nats':>9}{'complete':>10}{'independent':>13}")
    for title, X in sets.items():
        for name, model in models(args.passes).items():
            rows += learnt(title, X, name, model)
    print("\ntime with half missing / complete")
    real = common_factor(50, rng, 2000)
    wide = (rng.random((1000, 784)) < 0.2).astype(np.float32)
    for title, X in {
        "2000 x 50 real": real,
        "2000 x 50 bits": (real > 0).astype(np.float32),
        "1000 x 784 bits": wide,
    }.items():
        rbm = RBMTransformer(n_iter=10, random_state=0)
        times.append(slowed(f"RBM 256, {title}", X, rbm, args.turns))
        dbn = DBNTransformer((256, 64), rbm=RBMTransformer(n_iter=10), random_state=0)
        times.append(slowed(f"DBN 256-64, {title}", X, dbn, args.turns))
    dbm = DBMTransformer((256, 64), rbm=RBMTransformer(n_iter=5), random_state=0)
    times.append(slowed("DBM 256-64, 1000 x 784 bits", wide, dbm, args.turns))
    save("bench_gaps", rows, times=times)


if __name__ == "__main__":
    main()
