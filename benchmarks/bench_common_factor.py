"""Features of columns with a common factor, compared with the columns themselves.

    python benchmarks/bench_common_factor.py

Spectra of 2,000 columns with one baseline (R2 of ridge regression on standardised features),
and 784 pixels of three patterns with one brightness for each image, as real values and as grey
levels (accuracy of logistic regression on standardised features); three folds, 64 hidden units,
all other parameters at their defaults. The number of redundant units after the last pass is
printed too.
"""

import numpy as np
from _data import arguments, save
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import RBMTransformer


def spectra():
    rng = np.random.default_rng(0)
    x, shares = np.linspace(0, 1, 2000), rng.uniform(size=(60, 3))
    peaks = np.stack([np.exp(-((x - c) ** 2) / 0.0018) for c in (0.2, 0.5, 0.8)])
    noise = 0.3 * rng.normal(size=(60, 1)) + 0.02 * rng.normal(size=(60, 2000))
    return shares @ peaks + noise, shares[:, 0]


def images():
    rng = np.random.default_rng(0)
    patterns, y = rng.normal(size=(3, 784)), rng.integers(3, size=400)
    noise = 0.3 * rng.normal(size=(400, 784))
    return 0.3 * patterns[y] + 3 * rng.normal(size=(400, 1)) + noise, y


def grey_images():
    rng = np.random.default_rng(0)
    patterns, y = rng.random((3, 784)), rng.integers(3, size=300)
    return np.clip(0.2 * patterns[y] + 0.8 * rng.random((300, 1)), 0, 1), y


def main():
    args = arguments(__doc__.splitlines()[0], passes=50)
    rbm = RBMTransformer(64, n_iter=args.passes, random_state=0)
    linear, logistic = RidgeCV(np.logspace(-3, 3, 7)), LogisticRegression(max_iter=1000)
    cases = {
        "spectra": (*spectra(), linear),
        "images, real values": (*images(), logistic),
        "images, grey levels": (*grey_images(), logistic),
    }
    rows, folds = [], KFold(3, shuffle=True, random_state=0)
    print(f"{'data':<22}{'columns':>9}{'features':>9}{'redundant':>10}")
    for name, (X, y, head) in cases.items():
        found = {}
        for what, steps in {"columns": [], "features": [rbm]}.items():
            pipe = make_pipeline(*steps, StandardScaler(), head)
            found[what] = float(cross_val_score(pipe, X, y, cv=folds).mean())
        n_redundant = rbm.fit(X).history_["redundant_units"][-1]
        rows.append({"data": name, **found, "redundant": n_redundant})
        print(
            f"{name:<22}{found['columns']:>9.2f}{found['features']:>9.2f}{n_redundant:>10.0f}",
            flush=True,
        )
    save("bench_common_factor", rows, passes=args.passes)


if __name__ == "__main__":
    main()
