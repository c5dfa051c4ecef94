"""Defaults compared with common estimators, on a panel of data sets of different size and kind.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_panel.py --data FOLDER

Everything has its default parameters. Percent of errors (classes) or 100 (1 - R2) (numbers),
means over folds and seeds, and seconds of CPU of a fit:

- columns and features of a `DBNTransformer` into LogisticRegression or Ridge, and into an SVC
  or SVR, each head the better of scaled and unscaled for both;
- `DBNClassifier` or `DBNRegressor`, a multi-layer perceptron, of its default layers and of the
  same layers, also the better of scaled and unscaled, and HistGradientBoosting;
- the same with 100 labels, where the other rows train the generator alone;
- the mean log-likelihood of held-out rows under an `RBMTransformer`, in nats, and the best of a
  grid of weight decays and passes;
- scikit-learn's example of its RBM, and the time that 100,000 rows of 50 columns take.

Sets of more than 4,000 rows are split once, the others into five folds. Each case is a row of
JSON; an interrupted run resumes. `--sets`, `--methods` and `--seeds` restrict it.
"""

import os

import numpy as np
from _data import Record, arguments, cpu_since, load, saved
from _panel import problems
from scipy.ndimage import shift
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, minmax_scale
from sklearn.svm import SVC, SVR

from sklearn_dbn import DBNClassifier, DBNRegressor, DBNTransformer, RBMTransformer

NAME = "bench_panel"
LABELS = 100
LAYERS = (256, 256)
GRID = [
    {"weight_decay": decay, "n_iter": n_iter, "sparsity_target": None}
    for decay in (1e-4, 1e-3, 1e-2)
    for n_iter in (25, 50, 100, 200)
]


def heads(regression):
    """Linear and kernel heads, for columns and for features."""
    if regression:
        return {"linear": Ridge(), "SVC": SVR()}
    return {"linear": LogisticRegression(max_iter=2000), "SVC": SVC()}


def peers(regression, seed):
    """Common estimators, and whether each is tried scaled and unscaled."""
    mlp = MLPRegressor if regression else MLPClassifier
    trees = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return {
        "MLP": (mlp(random_state=seed), True),
        "MLP, same layers": (mlp(hidden_layer_sizes=LAYERS, random_state=seed), True),
        "HistGradientBoosting": (trees(random_state=seed), False),
    }


def error(model, X, y, regression):
    return 100 * (1 - model.score(X, y))


def better(head, train, test, regression, y, split):
    """The error of the better of the head and the head on scaled columns, for one split."""
    found = []
    for scaled in (False, True):
        model = make_pipeline(StandardScaler(), clone(head)) if scaled else clone(head)
        model.fit(train, y[split[0]])
        found.append(error(model, test, y[split[1]], regression))
    return found


def labelled(y, rows, seed):
    """Positions among ``rows`` of 100 that keep their label, some of each class."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    order = order[np.argsort(y[rows][order], kind="stable")]
    return order[((np.arange(LABELS) + 0.5) * len(order) / LABELS).astype(int)]


def columns(problem, seed):
    """Heads on the columns, once for all seeds."""
    found = {}
    for name, head in heads(problem.regression).items():
        errors = [
            better(head, problem.X[a], problem.X[b], problem.regression, problem.y, (a, b))
            for a, b in problem.splits()
        ]
        found[name] = np.min(np.mean(errors, axis=0))
    return found


def features(problem, seed):
    errors, seconds = {}, []
    for a, b in problem.splits():
        dbn = DBNTransformer(LAYERS, random_state=seed)
        start = os.times()
        H, G = dbn.fit_transform(problem.X[a]), dbn.transform(problem.X[b])
        seconds.append(cpu_since(start))
        for name, head in heads(problem.regression).items():
            found = better(head, H, G, problem.regression, problem.y, (a, b))
            errors.setdefault(name, []).append(found)
    best = {name: np.min(np.mean(found, axis=0)) for name, found in errors.items()}
    return best | {"cpu seconds": np.median(seconds)}


def network(problem, seed):
    kind = DBNRegressor if problem.regression else DBNClassifier
    errors, seconds = [], []
    for a, b in problem.splits():
        start = os.times()
        model = kind(random_state=seed).fit(problem.X[a], problem.y[a])
        seconds.append(cpu_since(start))
        errors.append(error(model, problem.X[b], problem.y[b], problem.regression))
    return _summary(errors, seconds)


def peer(name):
    def run(problem, seed):
        model, both = peers(problem.regression, seed)[name]
        errors, seconds = [], []
        for a, b in problem.splits():
            start = os.times()
            if both:
                split = a, b
                found = better(
                    model, problem.X[a], problem.X[b], problem.regression, problem.y, split
                )
            else:
                fitted = clone(model).fit(problem.X[a], problem.y[a])
                found = [error(fitted, problem.X[b], problem.y[b], problem.regression)]
            seconds.append(cpu_since(start) / len(found))
            errors.append(found)
        means = np.mean(errors, axis=0)
        return _summary([e[int(np.argmin(means))] for e in errors], seconds)

    return run


def few_labels(problem, seed):
    """`DBNClassifier` on all rows and 100 labels, and the others on the labelled rows."""
    errors = {"DBNClassifier": [], "MLP": [], "SVC": []}
    seconds = []
    for a, b in problem.splits():
        keep = labelled(problem.y, a, seed)
        rows, y = a[keep], np.full(len(a), -1)
        y[keep] = problem.y[rows]
        start = os.times()
        model = DBNClassifier(unlabeled=-1, random_state=seed).fit(problem.X[a], y)
        seconds.append(cpu_since(start))
        errors["DBNClassifier"].append([error(model, problem.X[b], problem.y[b], False)])
        others = {"MLP": MLPClassifier(LAYERS, random_state=seed), "SVC": SVC()}
        for name, head in others.items():
            found = better(head, problem.X[rows], problem.X[b], False, problem.y, (rows, b))
            errors[name].append(found)
    best = {name: np.min(np.mean(found, axis=0)) for name, found in errors.items()}
    return best | {"cpu seconds": np.median(seconds)}


def _summary(errors, seconds):
    spread = np.std(errors, ddof=1) / len(errors) ** 0.5 if len(errors) > 1 else 0.0
    return {
        "error": np.mean(errors),
        "standard error": spread,
        "cpu seconds": np.median(seconds),
    }


def likelihood(record, folder):
    """Held-out nats of the default RBM, and of a grid, on bits."""
    sets = {
        "binarized_mnist": 4000,
        "debd_dna": 1600,
        "debd_mushrooms": 2000,
        "debd_adult": 4000,
    }
    for name, n_rows in sets.items():
        data = load(folder, name)
        if data is None:
            continue
        X, V = data["train"][:n_rows], data["valid"][:1000]
        for more in ({}, *GRID):
            case = {"set": name, "method": "likelihood", "parameters": more or "defaults"}

            def nats(X=X, V=V, more=more):
                rbm = RBMTransformer(**more, random_state=0).fit(X)
                partition = rbm.log_partition(random_state=0)
                return {
                    "train": rbm.score(X[:1000]),
                    "test": rbm.score(V),
                    "log partition error": float(partition.standard_error),
                    "passes": rbm.n_iter_,
                }

            record(case, lambda nats=nats: _rounded(nats()))


def _rounded(found):
    return {name: round(float(value), 3) for name, value in found.items()}


def nudged_digits(record, folder):
    """scikit-learn's example of its RBM: percent right of LogisticRegression(C=100).

    Digits and their copies moved by a pixel in four directions; a fifth are test rows.
    """
    X, y = load_digits(return_X_y=True)
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    images = [shift(X.reshape(-1, 8, 8), (0, *move), order=0) for move in moves]
    X = minmax_scale(np.concatenate(images).reshape(-1, 64)).astype(np.float32)
    X, V, y, t = train_test_split(X, np.tile(y, len(moves)), test_size=0.2, random_state=0)
    models = {
        "columns": lambda seed: None,
        "BernoulliRBM, 100 units, 10 passes": lambda seed: BernoulliRBM(
            100, learning_rate=0.06, n_iter=10, random_state=seed
        ),
        "RBMTransformer, 100 units, 10 passes": lambda seed: RBMTransformer(
            100, n_iter=10, random_state=seed
        ),
        "RBMTransformer": lambda seed: RBMTransformer(random_state=seed),
        "DBNTransformer": lambda seed: DBNTransformer(random_state=seed),
    }
    for name, make in models.items():
        for seed in range(1 if name == "columns" else 3):

            def right(make=make, seed=seed):
                head = LogisticRegression(C=100, max_iter=1000)
                model = make_pipeline(make(seed) or "passthrough", head)
                return {"percent right": 100 * model.fit(X, y).score(V, t)}

            case = {"set": "digits, nudged", "method": name, "seed": seed}
            record(case, lambda right=right: _rounded(right()))


def many_rows(record, folder):
    """Seconds of `DBNClassifier().fit` on 100,000 rows of 50 real-valued columns."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(100_000, 10))
    X = np.tanh(Z @ rng.normal(size=(10, 50))) + 0.3 * rng.normal(size=(100_000, 50))
    y = (Z @ rng.normal(size=(10, 5))).argmax(axis=1)

    def fit():
        start = os.times()
        DBNClassifier(random_state=0).fit(X.astype(np.float32), y)
        return {"cpu seconds": cpu_since(start)}

    record({"set": "100,000 x 50", "method": "fit", "seed": 0}, lambda: _rounded(fit()))


METHODS = {
    "columns": columns,
    "features": features,
    "network": network,
    "MLP": peer("MLP"),
    "MLP, same layers": peer("MLP, same layers"),
    "HistGradientBoosting": peer("HistGradientBoosting"),
    "100 labels": few_labels,
}
# Methods with data of their own.
ALONE = {"example": nudged_digits, "many rows": many_rows, "likelihood": likelihood}
# Without a random state, or with little variation between seeds.
ONCE = ("columns", "HistGradientBoosting")


def main():
    args = arguments(__doc__.splitlines()[0], sets="", seeds=3, methods="")
    record = Record(NAME)
    names = [name.strip() for name in args.sets.split(";") if name.strip()]
    asked = [name.strip() for name in args.methods.split(";") if name.strip()]
    methods = [name for name in METHODS if not asked or name in asked]
    # All sets with the first seed before any with the next.
    for seed in range(args.seeds):
        for problem in problems(args.data, names):
            for method in methods:
                few = method == "100 labels" and (problem.regression or len(problem.X) < 1000)
                if few or (seed and method in ONCE):
                    continue
                case = {"set": problem.name, "method": method, "seed": seed}
                record(case, lambda p=problem, m=method, s=seed: _rounded(METHODS[m](p, s)))
    for name, part in ALONE.items():
        if name in asked or not (asked or names):
            part(record, args.data)
    print_table(saved(NAME))


def print_table(rows):
    """The means over seeds, one line for each set."""
    found = {}
    for row in rows:
        if row["method"] not in METHODS:
            continue
        for key, value in row.items():
            if key not in ("set", "method", "seed", "seconds"):
                found.setdefault((row["set"], row["method"], key), []).append(value)
    mean = {key: float(np.mean(values)) for key, values in found.items()}
    shown = [
        ("columns", "linear"),
        ("features", "linear"),
        ("columns", "SVC"),
        ("features", "SVC"),
        ("network", "error"),
        ("network", "standard error"),
        ("MLP, same layers", "error"),
        ("MLP", "error"),
        ("HistGradientBoosting", "error"),
        ("100 labels", "DBNClassifier"),
        ("100 labels", "MLP"),
        ("100 labels", "SVC"),
        ("network", "cpu seconds"),
        ("MLP, same layers", "cpu seconds"),
    ]
    print("\n| set | " + " | ".join(f"{method}, {key}" for method, key in shown) + " |")
    print("|---" * (len(shown) + 1) + "|")
    for name in dict.fromkeys(row["set"] for row in rows if row["method"] in METHODS):
        cells = [mean.get((name, *column)) for column in shown]
        print(
            f"| {name} | " + " | ".join("" if c is None else f"{c:.2f}" for c in cells) + " |"
        )


if __name__ == "__main__":
    main()
