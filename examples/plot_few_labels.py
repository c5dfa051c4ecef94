"""
A few labels
============

Digits are cheap, their labels are not. Here a generator is trained on all digits without
labels, and fine-tuned on the few that have one. How many labels does that save? The same
network is also trained from random weights. Without fine-tuning, logistic regression is trained
on the frozen layers, or on the pixels, unscaled or scaled, whichever is better.

Run it as ``python examples/plot_few_labels.py``; it writes the figure to
``plot_few_labels.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn. In each of five folds the
# training uses all training rows and a few of their labels; the other rows are the test rows.
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
counts = [10, 20, 50, 100, 1437]

# %%
# Rows labelled -1 have no label: they train the generator, which ``memory`` caches, so it is
# trained once for each fold. In fine-tuning they train the network to give the same output near
# a row (``virtual_adversarial_eps``). With no passes, the weights are random.
cache = TemporaryDirectory()
kept = {"memory": cache.name, "random_state": 0}
pretrained = DBNTransformer((128, 128), **kept)
random = DBNTransformer((128, 128), rbm=RBMTransformer(n_iter=0), **kept)
generators = {"fine-tuned": pretrained, "from random weights": random}

# %%
# With few labels the result depends on which rows have one: up to 50 labels are drawn three
# times in each fold.
heads = [
    make_pipeline(scaler, LogisticRegression(max_iter=2000))
    for scaler in (None, StandardScaler())
]
found = {}
for train, test in folds.split(X, y):
    features = {"frozen layers": pretrained.fit(X[train]).transform(X), "pixels": X}
    for n in counts:
        n_draws = 3 if n <= 50 else 1
        for seed in range(n_draws):
            rows = train
            if n < counts[-1]:
                rows, _ = train_test_split(
                    train, train_size=n, stratify=y[train], random_state=seed
                )
            partly = np.full(len(y), -1)
            partly[rows] = y[rows]
            scores = {}
            for name, dbn in generators.items():
                model = DBNClassifier(dbn, unlabeled=-1, random_state=seed)
                model.fit(X[train], partly[train])
                scores[name] = model.score(X[test], y[test])
            for name, values in features.items():
                scores[name] = max(
                    head.fit(values[rows], y[rows]).score(values[test], y[test])
                    for head in heads
                )
            for name, score in scores.items():
                found.setdefault((name, n), []).append(score / n_draws)
cache.cleanup()
# Draws of a fold are averaged: the remaining variation is between folds.
found = {key: np.reshape(v, (5, -1)).sum(axis=1) for key, v in found.items()}

# %%
# Accuracy and its standard deviation over the folds.
names = [*generators, *features]
print(f"{'labels':<8}" + "".join(f"{name:>22}" for name in names))
for n in counts:
    shown = [f"{found[name, n].mean():.3f} +- {found[name, n].std():.3f}" for name in names]
    print(f"{n:<8}" + "".join(f"{text:>22}" for text in shown))

# %%
# One figure: accuracy, and what the generator adds to it in each fold. Bars are standard
# deviations over folds.
looks = dict(
    zip(
        names,
        zip(("tab:blue", "tab:orange", "tab:green", "0.3"), "os^x", strict=True),
        strict=True,
    )
)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for shift, (name, (colour, marker)) in zip(
    (0.94, 0.98, 1.02, 1.06), looks.items(), strict=True
):
    mean, spread = np.array([[found[name, n].mean(), found[name, n].std()] for n in counts]).T
    kw = {"color": colour, "marker": marker, "ms": 5, "lw": 1.2, "capsize": 2}
    left.errorbar(shift * np.array(counts), mean, spread, label=name, **kw)
pairs = {
    "frozen layers over pixels": ("frozen layers", "pixels"),
    "fine-tuned over random weights": ("fine-tuned", "from random weights"),
}
gains = {}
for shift, (label, (name, other)) in zip((0.97, 1.03), pairs.items(), strict=True):
    gain = 100 * np.array([found[name, n] - found[other, n] for n in counts])
    gains[label] = gain
    colour, marker = looks[name]
    kw = {"color": colour, "marker": marker, "ms": 5, "lw": 1.2, "capsize": 2}
    right.errorbar(
        shift * np.array(counts), gain.mean(axis=1), gain.std(axis=1), label=label, **kw
    )
right.axhline(0, color="0.3", lw=1, ls="--")
left.set(ylabel="accuracy on the held-out fold", title="Accuracy")
right.set(ylabel="points of accuracy", title="What the generator adds")
for ax in (left, right):
    ax.set(xscale="log", xlabel="labelled rows")
    ax.set_xticks(counts, ["10", "20", "50", "100", "all"])
    ax.minorticks_off()
left.legend(loc="lower right", fontsize=9)
low, high = right.get_ylim()
right.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
right.legend(loc="upper right", fontsize=9)
figure.savefig("plot_few_labels.png", dpi=120)

# %%
# The result.
frozen, tuned = gains.values()
said = "; ".join(
    f"with {n} labels {f.mean():+.1f} +- {f.std():.1f} and {t.mean():+.1f} +- {t.std():.1f}"
    for n, f, t in zip(counts, frozen, tuned, strict=True)
    if n in (10, 100, 1437)
)
print(
    "Points of accuracy that the generator adds, to logistic regression on frozen layers "
    f"instead of pixels, and to a network that starts from them: {said}."
)
best = {n: max(names, key=lambda name: found[name, n].mean()) for n in counts}
print(
    "Best on average, often by less than the standard deviation: "
    + "; ".join(
        f"{name} with {', '.join(str(n) for n in counts if best[n] == name)} labels"
        for name in dict.fromkeys(best.values())
    )
    + "."
)
