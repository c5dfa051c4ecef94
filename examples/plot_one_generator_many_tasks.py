"""
One generator, many tasks
=========================

The units of a generator that was trained without labels may carry information on which digit a
row is, whether it is odd, how thick its strokes are and how much they slant. A fine-tuned
network was trained for one of these tasks. Here both give features to linear models for four
tasks of the same digits, compared with raw pixels; columns are tried unscaled and scaled, and
the better result is shown. The network was fine-tuned to classify the digits. What does that
cost the other tasks, and in which layers?

Run it as ``python examples/plot_one_generator_many_tasks.py``; it writes the figure to
``plot_one_generator_many_tasks.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBNClassifier, DBNTransformer

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
folds = StratifiedKFold(5, shuffle=True, random_state=0)

# %%
# Two numbers to predict, neither of them linear in the pixels. Thickness, in pixels: twice the
# ink over the length of its outline, where the outline is the sum of the differences between
# neighbouring pixels. Slant, in columns for each row: how far the ink moves to the side on the
# way down, the covariance of its columns and rows over the variance of its rows.
images = np.pad(X.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
outline = sum(np.abs(np.diff(images, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
thickness = 2 * X.sum(axis=1) / outline
ink = X / X.sum(axis=1, keepdims=True)
row, column = np.divmod(np.arange(64), 8)
from_middle = row - ink @ row[:, None]
slant = (ink * from_middle * column).sum(axis=1) / (ink * from_middle**2).sum(axis=1)

# %%
# The heads. The ridge regression selects its penalty on the training rows.
classifier = LogisticRegression(max_iter=2000)
regressor = RidgeCV(alphas=np.logspace(-1, 4, 11))
tasks = {
    "which digit": (classifier, y),
    "odd or even": (classifier, y % 2),
    "thickness": (regressor, thickness),
    "slant": (regressor, slant),
}

# %%
# In each fold one generator is trained on the training rows; a copy of it is fine-tuned on
# their labels. Both have two layers, and the heads use one or both.
sizes = (256, 256)
views = {"layer 0": slice(0, 256), "layer 1": slice(256, 512), "both": slice(None)}
found = {}
for train, test in folds.split(X, y):
    dbn = DBNTransformer(sizes, random_state=0).fit(X[train])
    tuned = DBNClassifier(FrozenEstimator(dbn), random_state=0)
    tuned.fit(X[train], y[train])
    features = {("raw pixels", ""): X}
    for kind, network in {"frozen": dbn, "fine-tuned": tuned}.items():
        H = network.transform(X)
        features.update({(kind, view): H[:, units] for view, units in views.items()})
    for key, F in features.items():
        for task, (head, target) in tasks.items():
            models = [head, make_pipeline(StandardScaler(), head)]
            score = max(
                model.fit(F[train], target[train]).score(F[test], target[test])
                for model in models
            )
            found.setdefault((task, *key), []).append(score)

# %%
# Accuracy of the first two, explained share of the variance (R2) of the others.
print(f"{'':<24}" + "".join(f"{task:>18}" for task in tasks))
for key in features:
    scores = [found[task, *key] for task in tasks]
    print(
        f"{' '.join(key):<24}"
        + "".join(f"{np.mean(s):>9.3f} +- {np.std(s):.3f}" for s in scores)
    )

# %%
# One figure: a panel for each task; bars are standard deviations over folds.
figure, axes = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, layout="constrained")
looks = {"frozen": (-0.1, "tab:blue", "o"), "fine-tuned": (0.1, "tab:orange", "s")}
for ax, task in zip(axes.flat, tasks, strict=True):
    pixels = np.mean(found[task, "raw pixels", ""])
    ax.axhline(pixels, color="0.3", lw=1, ls="--", label="raw pixels")
    for kind, (shift, colour, marker) in looks.items():
        scores = np.array([found[task, kind, view] for view in views])
        kw = {"color": colour, "fmt": marker, "ms": 7, "capsize": 3, "label": kind}
        at = np.arange(len(views)) + shift
        ax.errorbar(at, scores.mean(axis=1), scores.std(axis=1), **kw)
    is_class = tasks[task][0] is classifier
    ax.set(title=task, ylabel="accuracy" if is_class else "explained variance, R2")
    ax.set_xticks(range(len(views)), list(views))
    ax.margins(x=0.2)
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9
)
figure.savefig("plot_one_generator_many_tasks.png", dpi=120)


# %%
# The result, fold by fold.
def gain(task, one, other):
    difference = 100 * (np.array(found[task, *one]) - found[task, *other])
    return f"{difference.mean():+.1f} +- {difference.std():.1f}"


print(
    "Both frozen layers against pixels, in points: "
    + ", ".join(
        f"{task} {gain(task, ('frozen', 'both'), ('raw pixels', ''))}" for task in tasks
    )
    + "."
)
for view in views:
    changes = [f"{task} {gain(task, ('fine-tuned', view), ('frozen', view))}" for task in tasks]
    print(f"Fine-tuned for the digit against frozen, {view}: " + ", ".join(changes) + ".")
lost = {
    view: " and ".join(
        f"{gain(task, ('fine-tuned', view), ('frozen', view))} ({task})"
        for task in ("thickness", "slant")
    )
    for view in views
}
print(
    "So fine-tuning changes tasks that do not follow from the digit, on the last layer alone, "
    f"by {lost['layer 1']}; on both layers by {lost['both']}."
)
