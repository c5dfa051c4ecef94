"""A grid over layer subsets, with and without memory=, compared with its trainings and heads.

    python benchmarks/bench_layer_search.py

Digits, three layers of 256 units, 7 layer subsets, 5 folds, a scaled SVC as the head.
"""

import time
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from _data import arguments, digits, save
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_dbn import DBNTransformer, RBMTransformer, layer_subsets

FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
HEAD = make_pipeline(StandardScaler(), SVC(C=10))


def search(X, y, rbm, memory, n_jobs=None):
    """Seconds of the whole grid search, and its scores."""
    dbn = DBNTransformer((256, 256, 256), rbm=rbm, memory=memory, random_state=0)
    grid = {"dbntransformer__layers": layer_subsets(3)}
    start = time.perf_counter()
    found = GridSearchCV(make_pipeline(dbn, HEAD), grid, cv=FOLDS, n_jobs=n_jobs, refit=False)
    found.fit(X, y)
    return time.perf_counter() - start, found.cv_results_["mean_test_score"]


def parts(X, y, rbm):
    """Seconds of the five trainings, and of the heads on given features."""
    training = heads = 0.0
    for train, test in FOLDS.split(X, y):
        start = time.perf_counter()
        dbn = DBNTransformer((256, 256, 256), rbm=rbm, layers="all", random_state=0)
        dbn.fit(X[train])
        training += time.perf_counter() - start
        blocks = [np.split(dbn.transform(X[part]), 3, axis=1) for part in (train, test)]
        for layers in layer_subsets(3):
            H_train, H_test = (np.hstack([block[i] for i in layers]) for block in blocks)
            start = time.perf_counter()
            HEAD.fit(H_train, y[train]).score(H_test, y[test])
            heads += time.perf_counter() - start
    return training, heads


def main():
    args = arguments(__doc__.splitlines()[0], n_iter=50, repeats=3)
    X, y = digits()
    rbm = RBMTransformer(n_iter=args.n_iter)
    rows = []
    for _ in range(args.repeats):
        training, heads = parts(X, y, rbm)
        with TemporaryDirectory() as cache:
            kept, scores = search(X, y, rbm, cache)
        with TemporaryDirectory() as cache:
            parallel, scores_parallel = search(X, y, rbm, cache, n_jobs=2)
        again, scores_again = search(X, y, rbm, None)
        rows.append(
            {
                "trainings": training,
                "heads": heads,
                "search with memory": kept,
                "search with memory, n_jobs=2": parallel,
                "search without memory": again,
                "with memory / (trainings + heads)": kept / (training + heads),
                "n_jobs=2 / (trainings + heads)": parallel / (training + heads),
                "without / with memory": again / kept,
                "largest difference of scores": float(
                    max(abs(scores - scores_again).max(), abs(scores - scores_parallel).max())
                ),
            }
        )
    medians = {name: median(row[name] for row in rows) for name in rows[0]}
    for name, value in medians.items():
        print(f"{name:<36}{value:10.3f}")
    save("bench_layer_search", rows, medians=medians, n_iter=args.n_iter)


if __name__ == "__main__":
    main()
