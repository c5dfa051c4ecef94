"""
Which layers, which units?
==========================

Custom says: train a deep belief network, take its last hidden layer, fine-tune it for the task.
Here the network is trained once for each fold, without labels, and its weights are left alone.
One grid search then asks which of its layers a plain classifier should see: every subset of
three layers, all units or the best half or quarter of them, for a support vector machine and
for logistic regression. Raw pixels are there for comparison.

Run it as ``python examples/plot_layer_subsets.py``; the figure goes to
``plot_layer_subsets.png`` beside it.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn.
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_dbn import DBNTransformer, layer_subsets

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
heads = {"SVC": SVC(C=10), "LogisticRegression": LogisticRegression(max_iter=1000)}

# %%
# The search. ``memory`` lets all candidates of a fold share one trained network.
model = make_pipeline(
    DBNTransformer((256, 256, 256), random_state=0), StandardScaler(), SVC(C=10)
)
grid = {
    "dbntransformer__layers": layer_subsets(3),
    "dbntransformer__units": [None, 0.5, 0.25],
    "svc": list(heads.values()),
}
with TemporaryDirectory() as cache:
    model.set_params(dbntransformer__memory=cache)
    search = GridSearchCV(model, grid, cv=folds, n_jobs=2, refit=False)
    search.set_callbacks(ProgressBar(max_propagation_depth=0))
    search.fit(X, y)

# %%
# Mean accuracy and its spread over the folds, by head, layers and share of units.
result = search.cv_results_
found = {}
for i, params in enumerate(result["params"]):
    head = type(params["svc"]).__name__
    key = head, params["dbntransformer__layers"], params["dbntransformer__units"] or 1.0
    found[key] = result["mean_test_score"][i], result["std_test_score"][i]
raw = {}
for name, head in heads.items():
    scores = cross_val_score(make_pipeline(StandardScaler(), head), X, y, cv=folds)
    raw[name] = scores.mean(), scores.std()


def label(layers):
    names = " + ".join(str(layer + 1) for layer in layers)
    return f"layer {names}" if len(layers) == 1 else f"layers {names}"


best = {
    name: max(layer_subsets(3), key=lambda layers, name=name: found[name, layers, 1.0][0])
    for name in heads
}
print(f"{'features':<44}" + "".join(f"{name:>20}" for name in heads))


def row(title, values):
    print(f"{title:<44}" + "".join(f"{m:>10.4f} +- {s:.4f}" for m, s in values))


row("raw pixels", raw.values())
row("last layer only", [found[name, (2,), 1.0] for name in heads])
for layers in layer_subsets(3):
    row(label(layers), [found[name, layers, 1.0] for name in heads])
for share in (0.5, 0.25):
    row(
        f"each head's best subset, {share:.0%} of units",
        [found[name, best[name], share] for name in heads],
    )

# %%
# One figure: every subset beside the raw pixels, and what fewer units cost.
figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), sharey=True, width_ratios=(3, 2), layout="constrained"
)
subsets = layer_subsets(3)
colours = {"SVC": "tab:blue", "LogisticRegression": "tab:orange"}
for shift, (name, colour) in zip((-0.12, 0.12), colours.items(), strict=True):
    mean, spread = np.array([found[name, layers, 1.0] for layers in subsets]).T
    at = np.arange(len(subsets)) + shift
    left.errorbar(at, mean, spread, fmt="o", color=colour, capsize=3, label=name)
    left.axhline(raw[name][0], color=colour, ls="--", lw=1, label=f"{name}, raw pixels")
    shares = np.array([1.0, 0.5, 0.25])
    n_units = 256 * len(best[name]) * shares
    mean, spread = np.array([found[name, best[name], share] for share in shares]).T
    right.errorbar(
        n_units,
        mean,
        spread,
        fmt="o-",
        color=colour,
        capsize=3,
        label=f"{name}, {label(best[name])}",
    )
left.set_xticks(range(len(subsets)), [label(layers).split(maxsplit=1)[1] for layers in subsets])
left.set(xlabel="layers", ylabel="cross-validated accuracy", title="Units of which layers?")
figure.legend(
    *left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
)
right.set(xlabel="units, by information", title="How many of them?")
right.legend(loc="lower right", fontsize=8)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=120)

# %%
# What the data said.
layers, share = max(
    (key[1:] for key in found if key[0] == "SVC"), key=lambda k: found["SVC", *k][0]
)
score, spread = found["SVC", layers, share]
subsets = [found["SVC", layers, 1.0][0] for layers in layer_subsets(3)]
print(
    f"On digits, with the weights frozen, an SVC does best on {label(layers)}, {share:.0%} of "
    f"the units: {score:.1%} right (spread over folds {spread:.1%}), "
    f"{score - raw['SVC'][0]:+.1%} on raw pixels, {score - found['SVC', (2,), 1.0][0]:+.1%} on "
    f"the last layer; the seven subsets lie within {max(subsets) - min(subsets):.1%}."
)
