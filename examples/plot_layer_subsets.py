"""
Which layers, which units?
==========================

It is usual to train a deep belief network, take its last hidden layer and fine-tune it for the
task. Here the deep belief network is trained once for each fold, without labels, and its
weights are frozen. One grid search then selects the layers that are best for a plain
classifier: every subset of three layers, and the best half, quarter and eighth of all their
units, for a support vector machine and for logistic regression. Raw pixels are among the
candidates. Pixels and units are tried both unscaled and scaled by a ``StandardScaler``, and the
better result is shown.

Run it as ``python examples/plot_layer_subsets.py``; it writes the figure to
``plot_layer_subsets.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn.
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_dbn import DBNTransformer, layer_subsets

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
heads = {"SVC": SVC(C=10), "LogisticRegression": LogisticRegression(max_iter=1000)}

# %%
# The search. With ``memory`` all candidates of a fold share one trained generator.
subsets, shares = layer_subsets(3), [0.5, 0.25, 0.125]
model = Pipeline(
    [
        ("features", DBNTransformer((256, 256, 256), random_state=0)),
        ("scaler", StandardScaler()),
        ("head", SVC()),
    ]
)
heads_and_scalers = {
    "scaler": ["passthrough", StandardScaler()],
    "head": list(heads.values()),
}
grid = [
    {"features": ["passthrough"], **heads_and_scalers},
    {"features__layers": subsets, **heads_and_scalers},
    {"features__units": shares, **heads_and_scalers},
]
with TemporaryDirectory() as cache:
    model.set_params(features__memory=cache)
    search = GridSearchCV(model, grid, cv=folds, n_jobs=2, refit=False)
    search.set_callbacks(ProgressBar(max_propagation_depth=0))
    search.fit(X, y)

# %%
# Mean accuracy and its standard deviation over the folds, by head and by its features.
found = {}
result = search.cv_results_
for params, mean, spread in zip(
    result["params"], result["mean_test_score"], result["std_test_score"], strict=True
):
    seen = params.get("features__layers", params.get("features__units", "pixels"))
    key = type(params["head"]).__name__, seen
    found[key] = max(found.get(key, (0, 0)), (mean, spread))


def label(layers):
    return f"layer{'s' if len(layers) > 1 else ''} {' + '.join(map(str, layers))}"


rows = {
    "raw pixels": "pixels",
    **{label(layers): layers for layers in subsets},
    **{f"all layers, {share:.1%} of the units": share for share in shares},
}
print(f"{'features':<36}" + "".join(f"{name:>20}" for name in heads))
for title, seen in rows.items():
    values = [found[name, seen] for name in heads]
    print(f"{title:<36}" + "".join(f"{m:>10.4f} +- {s:.4f}" for m, s in values))

# %%
# One figure: every subset and the raw pixels, and the accuracy with fewer units.
figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), sharey=True, width_ratios=(3, 2), layout="constrained"
)
panels = {
    left: ["pixels", *subsets],
    right: [subsets[-1], *shares],
}
colours = {"SVC": "tab:blue", "LogisticRegression": "tab:orange"}
for shift, (name, colour) in zip((-0.1, 0.1), colours.items(), strict=True):
    for ax, candidates in panels.items():
        mean, spread = np.array([found[name, seen] for seen in candidates]).T
        at = np.arange(len(candidates)) + shift
        ax.errorbar(at, mean, spread, fmt="o", color=colour, capsize=3, label=name)
        ax.axhline(
            found[name, "pixels"][0], color=colour, ls="--", lw=1, label=f"{name}, raw pixels"
        )
left.set_xticks(
    range(len(subsets) + 1), ["pixels", *(" + ".join(map(str, s)) for s in subsets)]
)
left.set(
    xlabel="layers (0 is the first)",
    ylabel="cross-validated accuracy",
    title="Units of which layers?",
)
right.set_xticks(range(len(shares) + 1), [round(768 * share) for share in (1, *shares)])
right.set(xlabel="units of all three layers, by information", title="How many of them?")
figure.legend(
    *left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
)
figure.savefig("plot_layer_subsets.png", dpi=120)


# %%
# The result. The best of seven subsets is selected on the folds that score it: a difference
# smaller than the standard deviation may be chance.
def errors(name, seen):
    return f"{1 - found[name, seen][0]:.1%}"


for name in heads:
    *_, best = sorted(subsets, key=lambda layers, name=name: found[name, layers])
    place = sum(found[name, layers] >= found[name, (2,)] for layers in subsets)
    print(
        f"{name}: {errors(name, 'pixels')} errors on pixels (standard deviation over folds "
        f"{found[name, 'pixels'][1]:.1%}); {errors(name, best)} on {label(best)}, the best of "
        f"seven subsets, and {errors(name, (2,))} on the last layer alone, which is number "
        f"{place} of the seven; {errors(name, subsets[-1])} on all units of all "
        f"layers and {errors(name, 0.25)} on a quarter of them."
    )
