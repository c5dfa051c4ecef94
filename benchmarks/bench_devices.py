"""NumPy beside PyTorch on the CPU and, where there is one, on a GPU.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 \\
        python benchmarks/bench_devices.py --data FOLDER

Needs PyTorch. Data are binarised MNIST, or bits of the same size without it. Float32, medians
of runs in turn:

- ``step``: microseconds of a step of PCD-1 at batch and layer sizes, of this package on each
  device; the same step written by hand in PyTorch; and its products alone.
- ``deep step``: the same for a deep Boltzmann machine 784-500-1000, by mean field and PCD-5.
- ``transform``, ``annealing``, ``fine-tuning``: seconds of these on each device.
- ``likelihood``: seconds of training until an RBM passes a number of nats on test rows.

Each case is a row of JSON; `--only` restricts it.
"""

import time
import warnings
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from _data import Record, arguments, load
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

from sklearn_dbn import DBMTransformer, DBNClassifier, RBMTransformer

NAME = "bench_devices"
SHAPES = [(100, 784, 500), (1000, 784, 500)]


def devices():
    """Names of places, and a function that moves rows there."""
    found = {"numpy": lambda x: x, "torch cpu": torch.asarray}
    if torch.cuda.is_available():
        found["torch cuda"] = lambda x: torch.asarray(x, device="cuda")
    return found


def device_name(place):
    return torch.cuda.get_device_name() if place.endswith("cuda") else "cpu"


def wait(place):
    if place.endswith("cuda"):
        torch.cuda.synchronize()


def seconds(place, function):
    wait(place)
    begin = time.perf_counter()
    function()
    wait(place)
    return time.perf_counter() - begin


def per_call(place, step, n_calls):
    """Seconds of one of several calls, after one that is not counted."""

    def several():
        for _ in range(n_calls):
            step()

    step()
    return seconds(place, several) / n_calls


def by_hand(v, n_hidden):
    """A step of PCD-1 with centring, as one would write it in PyTorch."""
    where = {"dtype": v.dtype, "device": v.device}
    W = 0.01 * torch.randn(v.shape[1], n_hidden, **where)
    a, b = torch.zeros(v.shape[1], **where), torch.zeros(n_hidden, **where)
    mu, lam = v.mean(0), torch.full((n_hidden,), 0.5, **where)
    chains = torch.bernoulli(torch.full_like(v, 0.2))
    rate, n = 0.05, len(v)

    def step():
        nonlocal chains
        h = torch.sigmoid(v @ W + b)
        h_chains = torch.sigmoid(chains @ W + b)
        dW = ((v - mu).T @ (h - lam) - (chains - mu).T @ (h_chains - lam)) / n
        da = v.mean(0) - chains.mean(0) - dW @ lam
        db = h.mean(0) - h_chains.mean(0) - mu @ dW
        W.add_(dW, alpha=rate)
        a.add_(da, alpha=rate)
        b.add_(db, alpha=rate)
        lam.lerp_(h.mean(0), 0.01)
        hidden = torch.bernoulli(torch.sigmoid(chains @ W + b))
        chains = torch.bernoulli(torch.sigmoid(hidden @ W.T + a))

    return step


def products(v, n_hidden):
    """The products of such a step: fields of data and chains up, chains down, the gradient."""
    rows = torch.cat([v, v])
    W = torch.randn(v.shape[1], n_hidden, dtype=v.dtype, device=v.device)
    h = torch.rand(len(rows), n_hidden, dtype=v.dtype, device=v.device)

    def step():
        rows @ W
        h[: len(v)] @ W.T
        rows.T @ h

    return step


def deep_by_hand(v, sizes=(500, 1000), n_sweeps=5):
    """A step of a deep Boltzmann machine with mean field and PCD, in the same way."""
    where = {"dtype": v.dtype, "device": v.device}
    widths, n = (v.shape[1], *sizes), len(v)
    W = [0.01 * torch.randn(i, j, **where) for i, j in pairwise(widths)]
    b = [torch.zeros(width, **where) for width in widths]
    offsets = [v.mean(0), *(torch.full((size,), 0.5, **where) for size in sizes)]
    chains = [torch.bernoulli(torch.full((n, width), 0.2, **where)) for width in widths]
    rate = 0.01

    def step():
        up = v @ W[0] + b[1]
        m2 = torch.sigmoid(torch.sigmoid(up) @ W[1] + b[2])
        for _ in range(n_sweeps):
            m1 = torch.sigmoid(up + m2 @ W[1].T)
            m2 = torch.sigmoid(m1 @ W[1] + b[2])
        for _ in range(n_sweeps):
            field = chains[0] @ W[0] + chains[2] @ W[1].T + b[1]
            chains[1] = torch.bernoulli(torch.sigmoid(field))
            chains[0] = torch.bernoulli(torch.sigmoid(chains[1] @ W[0].T + b[0]))
            chains[2] = torch.bernoulli(torch.sigmoid(chains[1] @ W[1] + b[2]))
        data = [v, m1, m2]
        centred = [[x - o for x, o in zip(xs, offsets, strict=True)] for xs in (data, chains)]
        for layer, (x, c, offset) in enumerate(zip(data, chains, offsets, strict=True)):
            b[layer].add_(x.mean(0) - c.mean(0), alpha=rate)
            if layer:
                offset.lerp_(x.mean(0), 0.01)
        for layer in range(2):
            dW, down = (x[layer].T @ x[layer + 1] for x in centred)
            W[layer].add_(dW - down, alpha=rate / n)

    return step


def deep_products(v, sizes=(500, 1000), n_sweeps=5):
    """The products of such a step."""
    where = {"dtype": v.dtype, "device": v.device}
    W0, W1 = (torch.randn(i, j, **where) for i, j in pairwise((v.shape[1], *sizes)))
    h1, h2 = (torch.rand(len(v), size, **where) for size in sizes)

    def step():
        v @ W0
        h1 @ W1
        for _ in range(n_sweeps):
            h2 @ W1.T
            h1 @ W1
        for _ in range(n_sweeps):
            v @ W0
            h2 @ W1.T
            h1 @ W0.T
            h1 @ W1
        for x, y in ((v, h1), (v, h1), (h1, h2), (h1, h2)):
            x.T @ y

    return step


def per_step(place, model, X, passes):
    """Seconds of a step, without the work done once for each fit."""
    n_steps = X.shape[0] // model.batch_size
    once = seconds(place, lambda: model.set_params(n_iter=1).fit(X))
    more = seconds(place, lambda: model.set_params(n_iter=1 + passes).fit(X))
    return (more - once) / (passes * n_steps)


def steps(X, batch_size, n_hidden, turns):
    model = RBMTransformer(n_hidden, batch_size=batch_size, sparsity_target=None)
    model.set_params(random_state=0)
    times = {}
    passes = max(1, 200 // (len(X) // batch_size))
    for _ in range(turns):
        for place, move in devices().items():
            rows = move(X)
            times.setdefault(place, []).append(per_step(place, model, rows, passes))
            if place == "numpy":
                continue
            v = rows[:batch_size]
            for name, make in (("by hand", by_hand), ("products", products)):
                found = per_call(place, make(v, n_hidden), 100)
                times.setdefault(f"{place}, {name}", []).append(found)
    found = {name: round(1e6 * median(values), 1) for name, values in times.items()}
    for place in devices():
        if place != "numpy":
            pairs = zip(times[place], times[f"{place}, by hand"], strict=True)
            found[f"{place} over by hand"] = round(median(x / y for x, y in pairs), 3)
    return found


def deep_steps(X, batch_size):
    found = {}
    rbm = RBMTransformer(n_gibbs_steps=5, batch_size=batch_size)
    for place, move in devices().items():
        rows = move(X)
        times = []
        for n_iter in (1, 2):
            model = DBMTransformer(
                (500, 1000), rbm=rbm.set_params(n_iter=n_iter), pretrain=None, random_state=0
            )
            times.append(seconds(place, lambda model=model, rows=rows: model.fit(rows)))
        found[place] = round(1e6 * (times[1] - times[0]) / (len(X) // batch_size), 1)
        if place == "numpy":
            continue
        for name, make in (("by hand", deep_by_hand), ("products", deep_products)):
            per_step_s = per_call(place, make(rows[:batch_size]), 20)
            found[f"{place}, {name}"] = round(1e6 * per_step_s, 1)
    return found


def uses(X, y):
    """Seconds of a transform, of an estimate of log Z and of a fine-tuning."""
    found = {}
    host = RBMTransformer(500, n_iter=2, batch_size=100, random_state=0).fit(X)
    for place, move in devices().items():
        rows = move(X)
        model = host.move_to(rows)
        found[f"{place}, transform"] = median(
            seconds(place, lambda model=model, rows=rows: model.transform(rows))
            for _ in range(5)
        )
        found[f"{place}, annealing"] = seconds(
            place, lambda model=model: model.log_partition(temperatures=1000, n_gibbs_steps=50)
        )
        network = DBNClassifier(model, n_iter=1, random_state=0)
        labels = y if place == "numpy" else torch.asarray(y, device=rows.device)
        found[f"{place}, fine-tuning"] = seconds(
            place, lambda network=network, r=rows, y=labels: network.fit(r, y)
        )
    return {name: round(value, 3) for name, value in found.items()}


def likelihood(X, test, nats, most):
    """Seconds until the mean log-likelihood of test rows passes ``nats``, on each device."""
    found = {}
    for place, move in devices().items():
        rows, held_out = move(X), move(test)
        model = RBMTransformer(500, batch_size=100, n_gibbs_steps=25, learning_rate=0.02)
        model.set_params(random_state=0, n_iter=1, sparsity_target=None, warm_start=True)
        spent, score = 0.0, -np.inf
        while score < nats and spent < most:
            spent += seconds(place, lambda model=model, rows=rows: model.fit(rows))
            score = model.score(held_out)
        found |= {place: round(spent, 1), f"{place}, nats": round(score, 2)}
    return found


def main():
    args = arguments(__doc__.splitlines()[0], only="", turns=5, nats=-88.0, most=600.0)
    record = Record(NAME)
    parts = args.only.split(",") if args.only else None
    data = load(args.data, "binarized_mnist")
    rng = np.random.default_rng(0)
    if data is None:
        X = test = (rng.random((10_000, 784)) < 0.2).astype(np.float32)
    else:
        X, test = data["train"], data["test"]
    y = rng.integers(10, size=len(X))
    where = {"device": device_name(list(devices())[-1]), "threads": torch.get_num_threads()}

    def wanted(part):
        return parts is None or part in parts

    # These trainings are short.
    warnings.simplefilter("ignore", ConvergenceWarning)
    with config_context(array_api_dispatch=True):
        for batch_size, _, n_hidden in SHAPES:
            if wanted("step"):
                case = {"part": "step", "batch": batch_size, "hidden": n_hidden} | where
                some = X[: max(2000, 4 * batch_size)]
                record(
                    case, lambda b=batch_size, h=n_hidden, x=some: steps(x, b, h, args.turns)
                )
        if wanted("deep step"):
            record(
                {"part": "deep step", "batch": 100} | where, lambda: deep_steps(X[:2000], 100)
            )
        if wanted("uses"):
            record({"part": "uses"} | where, lambda: uses(X[:10_000], y[:10_000]))
        if wanted("likelihood") and data is not None:
            case = {"part": "likelihood", "nats": args.nats} | where
            record(case, lambda: likelihood(X, test, args.nats, args.most))


if __name__ == "__main__":
    main()
