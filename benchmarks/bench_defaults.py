"""Candidates for the defaults, on the folds of the panel that are used to select them.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_defaults.py --data FOLDER

One parameter at a time is changed. Percent of errors, means over the first two folds (five of
small sets): of LogisticRegression and of an SVC on the last layer and on all layers of a
`DBNTransformer`, each head the better of scaled and unscaled; and of a `DBNClassifier`, by
parameters of its fine-tuning. CPU seconds of a fit. An interrupted run resumes; `--sets`
restricts the sets. bench_panel.py tests the selected defaults on other folds and other sets.
"""

import os

import numpy as np
from _data import Record, arguments, cpu_since, saved
from _panel import problems
from bench_panel import LAYERS, better, error, heads
from sklearn.frozen import FrozenEstimator

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer

NAME = "bench_defaults"
SETS = (
    "digits",
    "iris",
    "wine",
    "breast cancer",
    "usps",
    "mfeat fou",
    "mfeat zer",
    "mnist 1000",
)
GENERATORS = (
    {},
    {"sparsity_target": None},
    {"sparsity_target": 0.2},
    {"batch_size": 10},
    {"n_iter": 25},
    {"n_iter": 100},
    {"weight_decay": 1e-4},
    {"weight_decay": 1e-2},
)
NETWORKS = (
    {},
    {"centered": False},
    {"adversarial_eps": 0},
    {"label_smoothing": 0.0},
    {"learning_rate": 0.003},
    {"n_iter": 15},
    {"n_iter": 100},
    {"hidden_dropout": 0.2},
)


def splits(problem):
    found = problem.splits(seed=0)
    return found if len(problem.X) < 600 else found[:2]


def generator(problem, parameters):
    errors, seconds = {}, []
    for a, b in splits(problem):
        rbm = RBMTransformer(**parameters)
        start = os.times()
        dbn = DBNTransformer(LAYERS, rbm=rbm, random_state=0).fit(problem.X[a])
        seconds.append(cpu_since(start))
        for layers in (-1, "all"):
            chosen = dbn.select(layers=layers)
            H, G = chosen.transform(problem.X[a]), chosen.transform(problem.X[b])
            for name, head in heads(False).items():
                found = better(head, H, G, False, problem.y, (a, b))
                errors.setdefault(f"{name}, layers={layers!r}", []).append(found)
    best = {name: np.min(np.mean(found, axis=0)) for name, found in errors.items()}
    return best | {"cpu seconds": np.median(seconds)}


def networks(problem):
    """Fine-tunings of the same generators."""
    errors, seconds = [[] for _ in NETWORKS], [[] for _ in NETWORKS]
    for a, b in splits(problem):
        frozen = FrozenEstimator(DBNTransformer(LAYERS, random_state=0).fit(problem.X[a]))
        for i, parameters in enumerate(NETWORKS):
            start = os.times()
            model = DBNClassifier(frozen, random_state=0, **parameters)
            model.fit(problem.X[a], problem.y[a])
            seconds[i].append(cpu_since(start))
            errors[i].append(error(model, problem.X[b], problem.y[b], False))
    return {
        title(parameters): [round(float(np.mean(e)), 3), round(float(np.median(s)), 2)]
        for parameters, e, s in zip(NETWORKS, errors, seconds, strict=True)
    }


def title(parameters):
    return ", ".join(f"{k}={v!r}" for k, v in parameters.items()) or "defaults"


def main():
    args = arguments(__doc__.splitlines()[0], sets="")
    names = [name.strip() for name in args.sets.split(";") if name.strip()] or SETS
    record = Record(NAME)
    for problem in problems(args.data, names):
        record({"set": problem.name, "what": "networks"}, lambda p=problem: networks(p))
        for parameters in GENERATORS:
            case = {"set": problem.name, "what": "features", "candidate": title(parameters)}

            def found(p=problem, parameters=parameters):
                return {k: round(float(x), 3) for k, x in generator(p, parameters).items()}

            record(case, found)
    print_table([row for row in saved(NAME) if row["what"] == "networks"])


def print_table(rows):
    print("\n| fine-tuning | " + " | ".join(row["set"] for row in rows) + " |")
    print("|---" * (len(rows) + 1) + "|")
    for name in map(title, NETWORKS):
        print("| " + " | ".join([name, *(f"{row[name][0]:.2f}" for row in rows)]) + " |")


if __name__ == "__main__":
    main()
