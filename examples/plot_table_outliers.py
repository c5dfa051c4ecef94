"""
Rows that contradict themselves
===============================

A trainee of 60 years, a manager with night shifts: each value is common, and together they are
not. A restricted Boltzmann machine is a distribution over the rows of a table with all kinds of
columns, so ``-score_samples`` is a score of outliers: rows of low probability. It is compared
with scikit-learn's ``IsolationForest``, and with the probability of each value by itself, for
rows that contradict themselves, for rows with one extreme value, and for a table of real
columns. Which finds more of the unusual rows? And which column of a row is the unusual one?

Needs pandas. Run it as ``python examples/plot_table_outliers.py``; it writes the figure to
``plot_table_outliers.png`` in the current folder.
"""

# %%
# Data: the staff of a made company. The job determines most of the other columns.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from sklearn_dbn import RBMTransformer

jobs = ["driver", "nurse", "clerk", "manager", "trainee"]
schools = ["none", "school", "college", "university"]


def staff(rng, n):
    """A frame of ``n`` rows."""
    job = rng.choice(5, n, p=[0.25, 0.25, 0.25, 0.1, 0.15])

    def of(*by_job):
        return np.array(by_job)[job]

    age = np.clip(rng.normal(of(45, 40, 42, 52, 21), of(10, 10, 10, 6, 2)), 17, 67)
    service = np.clip((age - 18) * rng.beta(1.5, 2, n), 0, None)
    school = np.clip(np.rint(of(0.4, 1.3, 1.2, 2.3, 0.8) + 0.5 * rng.normal(size=n)), 0, 3)
    part_time = rng.random(n) < of(0.1, 0.5, 0.3, 0.05, 0.1)
    temporary = rng.random(n) < of(0, 0, 0, 0, 0.9)
    pay = of(2.4, 2.9, 2.7, 5.0, 1.2) + 0.02 * service + 0.25 * school
    pay = np.where(part_time, 0.6, 1) * (pay + 0.15 * rng.normal(size=n))
    return pd.DataFrame(
        {
            "age": age.round(),
            "service": service.round(1),
            "pay": pay.round(2),
            "job": pd.Categorical.from_codes(job, jobs),
            "contract": np.select([temporary, part_time], ["temporary", "part time"], "full"),
            "school": pd.Categorical.from_codes(school.astype(int), schools, ordered=True),
            "nights": rng.poisson(of(4, 8, 0.1, 0.3, 0.5)),
            "car": rng.random(n) < of(0.95, 0.1, 0.1, 0.8, 0.05),
        }
    )


# %%
# Outliers of two kinds. In the first half of the columns are those of another row, so that each
# value is as common as in other rows. In the second one value is beyond all others of its
# column. A third table has 30 real columns of benign tumours, part of scikit-learn, among them
# 20 malignant ones.
def contradicting(rng, rows):
    others = rows.sample(frac=1, random_state=int(rng.integers(1 << 30)))
    spoilt = rows.copy()
    for i in range(len(rows)):
        for column in rng.permutation(rows.columns)[: rows.shape[1] // 2]:
            spoilt.loc[rows.index[i], column] = others[column].iloc[i]
    return spoilt


def extreme(rng, rows):
    ranges = {"age": (75, 90), "service": (45, 60), "pay": (7, 9), "nights": (20, 28)}
    spoilt = rows.copy()
    for i in rows.index:
        column = rng.choice(list(ranges))
        spoilt.loc[i, column] = rng.integers(*ranges[column])
    return spoilt


def with_outliers(rng, spoil, n=800, n_outliers=40):
    rows = staff(rng, n + n_outliers)
    rows = pd.concat([rows[:n], spoil(rng, rows[n:])], ignore_index=True)
    return rows, np.arange(len(rows)) >= n


def tumours(rng):
    X, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    malignant = rng.choice(np.flatnonzero(benign == 0), 20, replace=False)
    rows = np.concatenate([np.flatnonzero(benign == 1), malignant])
    return X.iloc[rows].reset_index(drop=True), benign.to_numpy()[rows] == 0


# %%
# The methods. All are trained on the table with its outliers, without labels.
encode = make_column_transformer(
    (OneHotEncoder(), ["job", "contract"]),
    (OrdinalEncoder(categories=[schools]), ["school"]),
    remainder="passthrough",
)


def log_shares(rows):
    """The log-probability of each value by itself; real columns in ten bins."""
    total = np.zeros(len(rows))
    for name in rows:
        x = rows[name]
        if x.dtype == float:
            low, high = x.quantile([0.005, 0.995])
            x = ((x - low) / (high - low) * 10).round()
        total += np.log(x.map(x.value_counts(normalize=True)).astype(float))
    return total


def scores(rows, is_staff):
    visible = {"count": ["nights"]} if is_staff else "gaussian"
    rbm = RBMTransformer(32, visible=visible, n_iter=100, random_state=0).fit(rows)
    forest = IsolationForest(n_estimators=300, random_state=0)
    encoded = encode.fit_transform(rows) if is_staff else rows
    found = {
        "each value by itself": -log_shares(rows),
        "IsolationForest": -forest.fit(encoded).score_samples(encoded),
        "machine": -rbm.score_samples(rows),
    }
    return found, rbm


tables = {
    "contradicting": lambda rng: with_outliers(rng, contradicting),
    "extreme": lambda rng: with_outliers(rng, extreme),
    "malignant": tumours,
}
precision, auc = {}, {}
for seed in range(3):
    for name, make in tables.items():
        rows, is_outlier = make(np.random.default_rng(seed))
        found, rbm = scores(rows, name != "malignant")
        for method, score in found.items():
            at = method, name
            precision.setdefault(at, []).append(average_precision_score(is_outlier, score))
            auc.setdefault(at, []).append(roc_auc_score(is_outlier, score))
        if name == "contradicting":
            staff_rows, staff_scores, staff_rbm = rows, found["machine"], rbm

# %%
# The table, with standard deviations over three draws.
for method, name in precision:
    at = method, name
    print(
        f"{name:<15}{method:<22}average precision {np.mean(precision[at]):.2f} +- "
        f"{np.std(precision[at]):.2f}, AUC {np.mean(auc[at]):.2f}"
    )

# %%
# Which column is unusual? ``score_by_column`` gives the log-probability of each column given
# the others; here for the five rows with the highest score, less the mean over the first 100
# rows of the table, which have no outliers.
usual = staff_rbm.score_by_column(staff_rows[:100])
top = staff_rows.iloc[np.argsort(-staff_scores)[:5]]
nats = np.stack([staff_rbm.score_by_column(top.iloc[[i]]) for i in range(len(top))]) - usual

# %%
# One figure: the average precision, and the five rows.
figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
methods = list(dict.fromkeys(method for method, _ in precision))
colours = ("0.6", "tab:orange", "tab:blue")
for i, (method, colour) in enumerate(zip(methods, colours, strict=True)):
    values = [precision[method, name] for name in tables]
    at = np.arange(len(tables)) + 0.25 * (i - 1)
    means, deviations = np.mean(values, axis=1), np.std(values, axis=1)
    upper.bar(at, means, 0.23, yerr=deviations, color=colour, label=method, capsize=3)
labels = ["columns of two rows", "one extreme value", "malignant tumours,\nreal columns"]
upper.set_xticks(range(len(tables)), labels)
upper.set(ylim=(0, 1), ylabel="average precision")
upper.legend(fontsize=9)
lower.imshow(nats, cmap="Reds_r", vmin=-8, vmax=0, aspect="auto")
for row, column in np.ndindex(nats.shape):
    colour = "white" if nats[row, column] < -5 else "black"
    value = f"{top.iloc[row, column]}\n{nats[row, column]:+.1f}"
    lower.text(column, row, value, ha="center", va="center", fontsize=8, color=colour)
lower.set_xticks(range(nats.shape[1]), top.columns)
lower.set_yticks([])
lower.set_title("the five least probable rows, and the nats of each column less the usual")
figure.savefig("plot_table_outliers.png", dpi=120)


# %%
# The result.
def by_method(name):
    means = (f"{np.mean(precision[method, name]):.2f}" for method in reversed(methods))
    return "{} (IsolationForest {}, each value by itself {})".format(*means)


print(
    "Average precision of the machine: for rows that contradict themselves "
    f"{by_method('contradicting')}, for one extreme value {by_method('extreme')}. Among real "
    f"columns, where unusual rows are extreme in many columns, it is not better: "
    f"{by_method('malignant')}."
)
