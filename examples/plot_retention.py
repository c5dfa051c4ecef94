"""
What does fine-tuning do to the generator?
==========================================

A generator of digits is fine-tuned to classify them. Its weights are still those of a
generator: what is the log-likelihood of digits now, and what are its samples?
``generative_weight`` adds the gradient of the likelihood to that of the task, for the same
weights; ``tie_weights=False`` tunes a copy of them. The figure shows the curve of error against
log-likelihood on held-out digits.

Run it as ``python examples/plot_retention.py``; it writes the figure to
``plot_retention.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn; a pixel is on where it is
# darker than half of the scale.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from sklearn_dbn import DBNClassifier, RBMTransformer
from sklearn_dbn.inspection import RetentionDisplay, SamplesDisplay, generative_retention

X, y = load_digits(return_X_y=True)
X = (X > 8).astype(np.float32)
folds = StratifiedKFold(5, shuffle=True, random_state=0)

# %%
# One generator for each fold, frozen, and fine-tuned once for each case. With 20 hidden units
# its partition function is a sum over 2 ** 20 states, so every log-likelihood is exact; for
# larger machines ``generative_retention`` gives a forward and a reverse estimate.
weights = [0.0, 0.001, 0.01, 0.1, 1.0]
cases = {f"{weight:g}": {"generative_weight": weight} for weight in weights}
cases["untied"] = {"tie_weights": False}
error, nats, before, shown = {}, {}, [], {}
for train, test in folds.split(X, y):
    rbm = RBMTransformer(20, random_state=0).fit(X[train])
    before.append(rbm.score(X[test]))
    for name, settings in cases.items():
        network = DBNClassifier(FrozenEstimator(rbm), random_state=0, **settings)
        network.fit(X[train], y[train])
        kept = generative_retention(network, X[test], n_samples=25, n_gibbs_steps=1000)
        error.setdefault(name, []).append(100 - 100 * network.score(X[test], y[test]))
        nats.setdefault(name, []).append(kept.after.log_likelihood)
        shown.setdefault(name, kept)

# %%
# The table.
print(f"{'generative_weight':<20}{'error, %':>18}{'nats a digit':>20}")
print(f"{'before fine-tuning':<20}{'':>18}{np.mean(before):>12.2f} +- {np.std(before):.2f}")
for name in cases:
    print(
        f"{name:<20}{np.mean(error[name]):>10.2f} +- {np.std(error[name]):.2f}"
        f"{np.mean(nats[name]):>13.2f} +- {np.std(nats[name]):.2f}"
    )

# %%
# One figure: the curve, every fold a small dot; then the ``RetentionDisplay`` of plain
# fine-tuning in the first fold, and samples with a ``generative_weight``.
figure = plt.figure(figsize=(8, 7), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=(4, 3))
ax = upper.subplots()
low, high = np.mean(before) + np.array([-1, 1]) * np.std(before)
ax.axhspan(low, high, color="0.8", label="before fine-tuning (standard deviation over folds)")
tied = [name for name in cases if name != "untied"]
for names, colour, marker in ((tied, "tab:blue", "o"), (["untied"], "tab:orange", "s")):
    for name in names:
        ax.plot(error[name], nats[name], marker, color=colour, ms=4, alpha=0.35, mec="none")
    x, y_ = (np.array([np.mean(of[name]) for name in names]) for of in (error, nats))
    label = "generative_weight" if names is tied else "tie_weights=False"
    ax.plot(x, y_, f"{marker}-", color=colour, ms=9, label=label)
for name in tied:
    at = np.mean(error[name]), np.mean(nats[name])
    ax.annotate(name, at, (9, -13), textcoords="offset points", color="tab:blue")
ax.set(xlabel="test error, %", ylabel="log-likelihood, nats per test digit")
ax.legend(loc="lower right")
panels = lower.subplots(1, 4, width_ratios=(1.2, 1, 1, 1))
RetentionDisplay(shown["0"]).plot(panels[:3], bar_kw={"color": ["0.6", "tab:blue"]})
panels[0].set_ylabel("nats per test digit")
panels[2].set_title("samples after,\nweight 0", fontsize="medium")
SamplesDisplay(shown["0.1"].after.samples).plot(panels[3])
panels[3].set_title("samples after,\nweight 0.1", fontsize="medium")
figure.savefig("plot_retention.png", dpi=120)

# %%
# The result.
lost = {name: np.array(before) - nats[name] for name in cases}
dearer = {name: np.array(error[name]) - error["0"] for name in cases}
print(
    f"Plain fine-tuning makes {np.mean(error['0']):.1f} % errors and costs the generator "
    f"{lost['0'].mean():.1f} +- {lost['0'].std():.1f} nats a digit. "
    + "; ".join(
        f"a weight of {name} costs it {lost[name].mean():.2f} +- {lost[name].std():.2f} nats, "
        f"for {dearer[name].mean():+.1f} +- {dearer[name].std():.1f} points of error"
        for name in ("0.01", "0.1")
    ).capitalize()
    + f", fold by fold. Untied it costs {lost['untied'].mean():.2f} nats at "
    f"{np.mean(error['untied']):.1f} % errors; but then the units of the network are not those "
    "of the generator."
)
