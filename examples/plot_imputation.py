"""
The missing half
================

A generator models the dependence between pixels, so it can impute missing ones: by their mean
given the others, or by draws, each of which is one possible completion. Here a restricted
Boltzmann machine learns binary digits without labels; then half of each held-out digit is
removed. It is compared with scikit-learn's nearest neighbours and the mean of each pixel. How
many pixels are wrong, and do imputed digits vary as digits do?

Run it as ``python examples/plot_imputation.py``; it writes the figure to
``plot_imputation.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn; a pixel is on where it is
# darker than half of the scale.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import StratifiedKFold

from sklearn_dbn import RBMTransformer
from sklearn_dbn.inspection import SamplesDisplay

X, y = load_digits(return_X_y=True)
X = (X > 8).astype(np.float32)
folds = StratifiedKFold(3, shuffle=True, random_state=0)

# %%
# The missing pixels: an array for each kind, with NaN where a pixel is missing.
rng = np.random.default_rng(0)
column, row = np.meshgrid(np.arange(8), np.arange(8))
missing = {
    "lower half": np.tile((row >= 4).ravel(), (len(X), 1)),
    "right half": np.tile((column >= 4).ravel(), (len(X), 1)),
    "half at random": rng.random(X.shape) < 0.5,
}
given = {name: np.where(mask, np.float32(np.nan), X) for name, mask in missing.items()}

# %%
# Three folds. Every method imputes the test rows of each kind. Two measures: the share of
# missing pixels that are wrong; and how much the ink differs between digits, by the standard
# deviation of the number of missing pixels that are on, as a share of its true value. There are
# a thousand sweeps instead of the hundred of the default, as a chain here needs that many to
# become independent of its start.
methods = [
    "Boltzmann machine, mean",
    "one draw of it",
    "15 nearest neighbours",
    "mean of the pixel",
]
wrong, variety = {}, {}
for train, test in folds.split(X, y):
    rbm = RBMTransformer(100, random_state=0).fit(X[train])
    neighbours = KNNImputer(n_neighbors=15).fit(X[train])
    mean = SimpleImputer().fit(X[train])
    for kind, mask in missing.items():
        rows, truth, mask = given[kind][test], X[test], mask[test]
        filled = [
            rbm.impute(rows, n_gibbs_steps=1000),
            rbm.impute(rows, draw=True, n_gibbs_steps=1000),
            neighbours.transform(rows),
            mean.transform(rows),
        ]
        for name, values in zip(methods, filled, strict=True):
            different = (values > 0.5) != truth
            wrong.setdefault((name, kind), []).append(100 * different[mask].mean())
            of, of_truth = ((x * mask).sum(axis=1) for x in (values, truth))
            variety.setdefault((name, kind), []).append(of.std() / of_truth.std())

# %%
# Both, with the standard deviation over the folds.
for kind in missing:
    for name in methods:
        a, b = wrong[name, kind], variety[name, kind]
        print(
            f"{kind:<16}{name:<26}{np.mean(a):6.1f} +- {np.std(a):.1f} % of pixels wrong, "
            f"{np.mean(b):.2f} +- {np.std(b):.2f} of the variety"
        )

# %%
# One figure: the imputed lower halves of the first digits of the last fold, and the two
# measures.
first = np.concatenate([test[y[test] == digit][:1] for digit in range(10)])
below = given["lower half"][first]
draws = [
    rbm.impute(below, draw=True, n_gibbs_steps=1000, random_state=seed) for seed in range(3)
]
sheet = {
    "digit": X[first],
    "given": below,
    "mean": rbm.impute(below, n_gibbs_steps=1000),
    "draw 1": draws[0],
    "draw 2": draws[1],
    "draw 3": draws[2],
    "neighbours": neighbours.transform(below),
}
figure = plt.figure(figsize=(8, 8.2), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=(5, 3.2))
ax = upper.subplots()
SamplesDisplay(np.concatenate(list(sheet.values()))).plot(ax, n_columns=len(first))
ax.set_yticks(3.5 + 9 * np.arange(len(sheet)), list(sheet))
ax.set_title("lower half of held-out digits, imputed")
left, right = lower.subplots(1, 2)
colours = dict(zip(methods, ("tab:blue", "tab:orange", "tab:green", "0.3"), strict=True))
for shift, marker, (name, colour) in zip(
    (-0.18, -0.06, 0.06, 0.18), "osx^", colours.items(), strict=True
):
    kw = {"color": colour, "fmt": marker, "capsize": 3, "label": name}
    for panel, of in ((left, wrong), (right, variety)):
        values = [of[name, kind] for kind in missing]
        at = np.arange(len(missing)) + shift
        panel.errorbar(at, np.mean(values, axis=1), np.std(values, axis=1), **kw)
right.axhline(1, color="0.3", lw=1, ls="--", label="the digits themselves")
left.set(ylabel="missing pixels wrong, %")
right.set(ylim=(-0.05, 1.1), ylabel="variety of ink (truth = 1)")
for panel in (left, right):
    panel.set_xticks(range(len(missing)), [kind.replace(" ", "\n", 1) for kind in missing])
    panel.margins(x=0.15)
lower.legend(
    *right.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9
)
figure.savefig("plot_imputation.png", dpi=120)


# %%
# The result.
def extremes(found, name, digits):
    means = [np.mean(found[name, kind]) for kind in missing]
    return f"{min(means):.{digits}f} to {max(means):.{digits}f}"


machine, draw, nearest, pixel = methods
print(
    "With half of a digit missing, the mean of the machine gets "
    f"{extremes(wrong, machine, 1)} % of the missing pixels wrong, {nearest} "
    f"{extremes(wrong, nearest, 1)} %, and the mean of the pixel "
    f"{extremes(wrong, pixel, 1)} %. Means vary less than digits do, "
    f"{extremes(variety, machine, 2)} of the truth for the machine and "
    f"{extremes(variety, nearest, 2)} for neighbours; draws vary by "
    f"{extremes(variety, draw, 2)} of it, with {extremes(wrong, draw, 1)} % wrong."
)
