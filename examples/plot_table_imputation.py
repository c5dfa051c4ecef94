"""
The gaps of a mixed table
=========================

A table has real columns, categories, ordered levels, counts and yes or no, and a fifth of its
cells is missing. A restricted Boltzmann machine takes the data frame as it is: each column gets
units of its own kind. It fills a gap by the mean or the most probable level given the other
columns, or by a draw. scikit-learn's ``KNNImputer`` and ``IterativeImputer`` take numbers, so
they get one-hot categories, standardised. Which is better for which kind of column, and how
much do the filled cells vary?

Needs pandas. Run it as ``python examples/plot_table_imputation.py``; it writes the figure to
``plot_table_imputation.png`` in the current folder.
"""

# %%
# Data: households, drawn at random. Four groups and the wealth of a household, neither of which
# is in the table, determine the columns; the region is independent of all else.
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sklearn_dbn import RBMTransformer


def households(rng, n=800):
    """A frame of ``n`` rows."""
    wealth, group = rng.normal(size=n), rng.integers(4, size=n)
    student, family, pensioner = group == 0, group == 1, group == 3
    age = rng.normal(np.choose(group, [24, 41, 46, 72]), np.choose(group, [2.5, 6, 10, 7]))
    likely = 1.5 * wealth + pensioner + 0.5 * family - 2.5 * student - 0.7
    owned = likely + rng.logistic(size=n) > 0
    tenure = np.select([owned, student & (rng.random(n) < 0.6)], ["owned", "shared"], "rented")
    heating = rng.choice(["wood", "pump", "gas"], n, p=[0.3, 0.5, 0.2])
    of_tenants = rng.choice(["district", "pump", "gas"], n, p=[0.5, 0.1, 0.4])
    transport = np.select(
        [rng.random(n) < 0.15, student, family | (wealth > 0)],
        ["foot", "bicycle", "car"],
        "bus",
    )
    satisfied = np.clip(np.rint(2.3 + 0.9 * wealth + 0.6 * rng.normal(size=n)), 0, 4)
    health = np.clip(np.rint(3.8 - (age - 20) / 18 + 0.5 * rng.normal(size=n)), 0, 3)
    space = 60 + 20 * wealth + 40 * family - 25 * student + 20 * owned
    spending = 1.5 + 0.6 * wealth + 0.6 * family - 0.7 * student
    return pd.DataFrame(
        {
            "age": age.round(1),
            "space": (space + 12 * rng.normal(size=n)).round(1),
            "spending": (spending + 0.3 * rng.normal(size=n)).round(2),
            "tenure": pd.Categorical(tenure),
            "heating": pd.Categorical(np.where(owned, heating, of_tenants)),
            "region": pd.Categorical(rng.choice(["north", "east", "south", "west"], n)),
            "transport": pd.Categorical(transport),
            "garden": pd.array(rng.random(n) < np.where(owned, 0.85, 0.1)),
            "pet": pd.array(rng.random(n) < np.where(pensioner | family, 0.6, 0.1)),
            "satisfied": pd.Categorical(satisfied, range(5), ordered=True),
            "health": pd.Categorical(health, range(4), ordered=True),
            "children": pd.array(rng.poisson(np.where(family, 2.0, 0.05))),
            "devices": pd.array(
                rng.poisson(np.exp(1.2 + 0.3 * wealth + 0.5 * family - 0.8 * pensioner))
            ),
        }
    )


of_households = np.repeat(["real", "category", "ordered", "count"], [3, 6, 2, 2])

# %%
# A second table: 30 real columns of breast cancer, part of scikit-learn. Most of them are
# nearly linear functions of the others, as ``IterativeImputer`` assumes.
cancer, _ = load_breast_cancer(return_X_y=True, as_frame=True)


# %%
# What the imputers of scikit-learn get: a block of numbers for each column, one-hot for
# categories and the position of ordered levels; and the way back to one number for each column.
def numbers(frame):
    blocks = []
    for name in frame:
        x = frame[name]
        if x.dtype != "category":
            blocks.append(x.to_numpy(float, na_value=np.nan)[:, None])
            continue
        codes = np.where(x.isna(), np.nan, x.cat.codes)[:, None]
        one_hot = np.where(np.isnan(codes), np.nan, codes == np.arange(len(x.cat.categories)))
        blocks.append(codes if x.cat.ordered else one_hot)
    return blocks


def values(blocks, kinds):
    found = [x.argmax(axis=1) if x.shape[1] > 1 else x[:, 0] for x in blocks]
    pairs = zip(found, kinds, strict=True)
    return np.column_stack([x if kind.startswith("real") else np.rint(x) for x, kind in pairs])


def by_imputer(imputer, blocks):
    X = np.concatenate(blocks, axis=1)
    shift, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    with warnings.catch_warnings():
        # It stops after ten rounds; more change little here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        filled = imputer.fit_transform((X - shift) / scale) * scale + shift
    return np.split(filled, np.cumsum([x.shape[1] for x in blocks])[:-1], axis=1)


# %%
# The methods. ``visible`` of the machine names counts, which "auto" would take as real numbers,
# and the real columns of the second table, some of which lie between 0 and 1. The error of a
# column, in the cells that were deleted: for categories the share of wrong ones, else the root
# mean squared error in standard deviations of the column. The spread is the standard deviation
# of what a method fills in, as a share of the true one.
def compare(frame, kinds, visible, seed):
    deleted = np.random.default_rng(seed).random(frame.shape) < 0.2
    given, true = frame.mask(deleted), values(numbers(frame), kinds)
    rbm = RBMTransformer(64, visible=visible, random_state=0)
    methods = {
        "mean or mode": lambda: by_imputer(SimpleImputer(), numbers(given)),
        "KNNImputer": lambda: by_imputer(KNNImputer(n_neighbors=10), numbers(given)),
        "IterativeImputer": lambda: by_imputer(IterativeImputer(), numbers(given)),
        "machine": lambda: numbers(rbm.fit(given).impute(given)),
        "machine, draw": lambda: numbers(rbm.impute(given, draw=True)),
    }
    for method, fill in methods.items():
        start = time.process_time()
        filled = values(fill(), kinds)
        seconds = time.process_time() - start
        for j, kind in enumerate(kinds):
            x, y = filled[deleted[:, j], j], true[deleted[:, j], j]
            wrong, size = np.mean(x != y), np.sqrt(np.mean((x - y) ** 2)) / true[:, j].std()
            error, spread = wrong if kind == "category" else size, x.std() / y.std()
            yield {"method": method, "kind": kind, "error": error, "spread": spread}
        yield {"method": method, "kind": "seconds", "error": seconds}


records = []
for seed in range(3):
    made = households(np.random.default_rng(seed))
    records += compare(made, of_households, {"count": ["children", "devices"]}, seed)
    records += compare(cancer, ["real, linear"] * cancer.shape[1], "gaussian", seed)
table = pd.DataFrame(records).groupby(["method", "kind"], sort=False).mean().unstack()

# %%
# Means over columns and over three draws of the data or of the missing cells.
print(table.drop(columns=("spread", "seconds")).round(2).to_string())

# %%
# One figure: the errors, those of the mean or mode being 100 %, and the spread.
figure, panels = plt.subplots(
    1, 2, figsize=(9, 4.4), width_ratios=(1.4, 1), layout="constrained"
)
colours = ("0.6", "tab:green", "tab:orange", "tab:blue", "tab:cyan")
shown = {
    "error": ["real", "category", "ordered", "count", "real, linear"],
    "spread": ["real", "ordered", "count", "real, linear"],
}
for panel, (measure, names) in zip(panels, shown.items(), strict=True):
    bars = table[measure][names]
    bars = bars / bars.loc["mean or mode"] if measure == "error" else bars
    for i, (method, colour) in enumerate(zip(bars.index, colours, strict=True)):
        at = np.arange(len(names)) + 0.16 * (i - 2)
        panel.bar(at, bars.loc[method], 0.15, color=colour, label=method)
    panel.axhline(1, color="0.3", lw=0.8)
    panel.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
panels[0].set(ylabel="error (mean or mode = 1)", title="filled cells")
panels[1].set(ylabel="standard deviation (truth = 1)", title="spread of filled cells")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
figure.savefig("plot_table_imputation.png", dpi=120)

# %%
# The result.
of = {m: table.loc[m, "error"].map("{:.2f}".format) for m in table.index}
machine, iterative, nearest = of["machine"], of["IterativeImputer"], of["KNNImputer"]
print(
    f"The machine gets {100 * float(machine['category']):.0f} % of the categories wrong, "
    f"KNNImputer {100 * float(nearest['category']):.0f} % and IterativeImputer "
    f"{100 * float(iterative['category']):.0f} %; its error in counts is {machine['count']} "
    f"({nearest['count']}, {iterative['count']}). It is no better than IterativeImputer in the "
    f"real columns ({machine['real']} and {iterative['real']}) and the ordered ones "
    f"({machine['ordered']} and {iterative['ordered']}), and worse where columns are linear in "
    f"each other ({machine['real, linear']} and {iterative['real, linear']}). It takes "
    f"{machine['seconds']} s for each table, IterativeImputer {iterative['seconds']} s. Draws "
    "have a larger error than means, as they must, and the spread of the true values."
)
