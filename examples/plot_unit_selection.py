"""
How many units, and which?
==========================

Two layers together have 512 units, and a classifier may not need them all. Here the best k of
both layers are selected by four rules: the mutual information between a unit and the input,
which needs no labels; that between a unit and the label; the F test between the classes; and
random selection, as the baseline. Two classifiers are trained on the selected units and on the
raw pixels, unscaled or scaled, whichever is better. A second question about the same rules:
would other rows give the same selection?

Run it as ``python examples/plot_unit_selection.py``; it writes the figure to
``plot_unit_selection.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn.
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.feature_selection import f_classif, mutual_info_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import resample

from sklearn_dbn import DBNTransformer

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))

# %%
# The rules give each unit a score, from its means on the rows. scikit-learn's scores use the
# means, or binary values, for which mutual information is fast to compute.
rng = np.random.default_rng(0)
rules = {
    "information on the input": None,  # the default of ``unit_score``
    "information on the label": lambda H, y: mutual_info_classif(
        H > 0.5, y, discrete_features=True
    ),
    "F test on the label": lambda H, y: f_classif(H, y)[0],
    "at random": lambda H, y: rng.random(H.shape[1]),
}
heads = {"SVC": SVC(C=10), "LogisticRegression": LogisticRegression(C=0.1, max_iter=1000)}
counts = [10, 20, 40, 80, 160, 320]


def ranking(rule, H, y):
    """A value for ``unit_score``, computed once for every number of units."""
    if rules[rule] is None:
        return "information"
    scores = rules[rule](H, y)
    return lambda H, y: scores


# %%
# One generator for each fold, trained once, without labels. ``select`` selects units by the
# training rows of the fold. A random selection is drawn three times for each fold.
generators, found, alike, pixels = [], {}, {}, {}


def evaluate(chosen, rule, k, train, test):
    H, H_test = chosen.transform(X[train]), chosen.transform(X[test])
    for name, head in heads.items():
        model = make_pipeline(StandardScaler(), head).fit(H, y[train])
        found.setdefault((name, rule, k), []).append(model.score(H_test, y[test]))
    pairs = np.corrcoef(H.T)[np.triu_indices(k, 1)]
    alike.setdefault((rule, k), []).append(np.abs(pairs).mean())


for train, test in folds:
    dbn = DBNTransformer((256, 256), random_state=0).fit(X[train])
    generators.append(dbn)
    evaluate(dbn, "all", 512, train, test)
    for name, head in heads.items():
        for scaler in (None, StandardScaler()):
            model = make_pipeline(scaler, head).fit(X[train], y[train])
            pixels.setdefault((name, scaler is None), []).append(model.score(X[test], y[test]))
    for rule in [*rules, "at random", "at random"]:
        score = ranking(rule, dbn.transform(X[train]), y[train])
        for k in counts:
            chosen = dbn.select(X[train], y[train], units=k, unit_score=score)
            evaluate(chosen, rule, k, train, test)

# %%
# Stability. Units of two generators cannot be compared, as the order of units differs between
# trainings. So one generator is frozen, and units are selected by eight bootstrap samples of
# its training rows; two selections are compared by the units in both over the units in either
# (Jaccard).
train = folds[0][0]
chooser = DBNTransformer(pretrained=FrozenEstimator(generators[0]))
sets = {}
for seed in range(8):
    rows = resample(train, stratify=y[train], random_state=seed)
    for rule in rules:
        score = ranking(rule, generators[0].transform(X[rows]), y[rows])
        for k in counts:
            chooser.set_params(units=k, unit_score=score).fit(X[rows], y[rows])
            sets.setdefault((rule, k), []).append(set(chooser.get_feature_names_out()))
overlap = {
    key: [len(a & b) / len(a | b) for a, b in combinations(chosen, 2)]
    for key, chosen in sets.items()
}

# %%
# Accuracy, the mean correlation of the selected units, and stability.
print(
    f"{'rule':<26}{'units':>6}"
    + "".join(f"{name:>20}" for name in heads)
    + "   alike   overlap"
)
pixels = {name: max(pixels[name, True], pixels[name, False], key=np.mean) for name in heads}
shown = "".join(f"{np.mean(s):>10.4f} +- {np.std(s):.4f}" for s in pixels.values())
print(f"{'raw pixels':<26}{64:>6}{shown}")
for rule, k in alike:
    scores = [found[name, rule, k] for name in heads]
    shown = "".join(f"{np.mean(s):>10.4f} +- {np.std(s):.4f}" for s in scores)
    stable = f"{np.mean(overlap[rule, k]):10.2f}" if rule in rules else ""
    print(f"{rule:<26}{k:>6}{shown}{np.mean(alike[rule, k]):>8.2f}{stable}")

# %%
# One figure: the accuracy of the rules, how much they depend on the rows, and how much the
# selected units correlate. Bars are standard deviations, over folds or pairs.
colours = dict(zip(rules, ("tab:blue", "tab:orange", "tab:green", "0.3"), strict=True))
figure, axes = plt.subplots(2, 2, figsize=(8, 6.6), sharex=True, layout="constrained")
for shift, marker, (rule, colour) in zip(
    (0.94, 0.98, 1.02, 1.06), "os^x", colours.items(), strict=True
):
    kw = {"color": colour, "marker": marker, "capsize": 2, "ms": 5, "lw": 1.2, "label": rule}
    at = shift * np.array(counts)
    panels = [{k: found[name, rule, k] for k in counts} for name in heads]
    panels += [{k: of[rule, k] for k in counts} for of in (overlap, alike)]
    for ax, values in zip(axes.flat, panels, strict=True):
        mean, spread = [[f(values[k]) for k in counts] for f in (np.mean, np.std)]
        ax.errorbar(at, mean, spread, **kw)
for ax, name in zip(axes[0], heads, strict=True):
    everything = np.mean(found[name, "all", 512])
    ax.axhline(everything, color="0.3", lw=1, ls="--", label="all 512 units")
    ax.axhline(np.mean(pixels[name]), color="0.3", lw=1, ls=":", label="64 raw pixels")
    ax.set(ylabel="cross-validated accuracy", title=name)
axes[1, 0].set(ylim=(0, 1.05), ylabel="units in common (Jaccard)", title="Stability")
axes[1, 1].set(ylim=(0, 1), ylabel="mean correlation", title="Repetition")
for ax in axes[1]:
    ax.set(xscale="log", xlabel="units kept")
    ax.set_xticks(counts, counts)
    ax.minorticks_off()
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9
)
figure.savefig("plot_unit_selection.png", dpi=120)


# %%
# The result. Random selections are averaged; with 20 units and more, every rule is compared
# with them.
def ahead(name, k):
    by_chance = np.mean(found[name, "at random", k])
    return [np.mean(found[name, rule, k]) - by_chance for rule in list(rules)[:3]]


for name in heads:
    gains = [gain for k in counts[1:] for gain in ahead(name, k)]
    print(
        f"{name}: with {counts[1]} to {counts[-1]} units the rules are between "
        f"{min(gains):+.1%} and {max(gains):+.1%} from chance, where folds differ by "
        f"{np.std(found[name, 'all', 512]):.1%}; with {counts[0]} between "
        f"{min(ahead(name, counts[0])):+.1%} and {max(ahead(name, counts[0])):+.1%}."
    )
best = max(gain for name in heads for k in counts for gain in ahead(name, k))
worst = min(gain for name in heads for k in counts for gain in ahead(name, k))
k = 80
print(
    f"So the most that a rule gains over chance is {best:+.1%}, and the least {worst:+.1%}. "
    f"Selections by rules are stable: of {k} units, bootstrap samples have "
    + ", ".join(f"{np.mean(overlap[rule, k]):.2f} ({rule})" for rule in rules)
    + f" in common. But units with high scores may be similar: of {counts[0]} of them the "
    "mean correlation is "
    + ", ".join(f"{np.mean(alike[rule, counts[0]]):.2f}" for rule in rules)
    + "."
)
