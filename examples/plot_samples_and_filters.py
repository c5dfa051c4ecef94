"""
What has the generator learnt?
==============================

A deep belief network is a generator: it draws digits, and gives the probability of a digit.
Here it learns from binary digits, without labels. The figure shows its samples and the data,
the filters of its two layers and its training history. Then the log-likelihood of held-out
digits is compared with that of a model with independent pixels.

Run it as ``python examples/plot_samples_and_filters.py``; it writes the figure to
``plot_samples_and_filters.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn; a pixel is on where it is
# darker than half of the scale.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import FiltersDisplay, HistoryDisplay, SamplesDisplay

X, y = load_digits(return_X_y=True)
X = (X > 8).astype(np.float32)
X_train, X_test = train_test_split(X, test_size=400, stratify=y, random_state=0)

# %%
# Two layers; each holds out a tenth of the rows, to detect overfitting.
rbm = RBMTransformer(validation_fraction=0.1)
dbn = DBNTransformer((100, 100), rbm=rbm, random_state=0).fit(X_train)

# %%
# Log-likelihood in nats, of the test digits and of as many samples. Every pixel is counted once
# more on and once more off; otherwise one that was never on in training would be impossible.
p = (X_train.sum(axis=0) + 1) / (len(X_train) + 2)
samples = dbn.sample(len(X_test), n_gibbs_steps=1000, random_state=0)
shown = {"test digits": X_test, "samples": samples}
generator = {name: dbn.score_samples(rows) for name, rows in shown.items()}
pixels = {name: rows @ np.log(p) + (1 - rows) @ np.log(1 - p) for name, rows in shown.items()}

# %%
# One figure: 64 digits, samples and units of each layer, then training and likelihood.
figure = plt.figure(figsize=(10, 5.6), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=(3.3, 2.7))
axes = upper.subplots(1, 4)
for ax, (name, rows) in zip(axes, shown.items(), strict=False):
    SamplesDisplay(rows[:64]).plot(ax)
    ax.set_title(name, fontsize="medium")
for layer, ax in enumerate(axes[2:]):
    FiltersDisplay.from_estimator(dbn, layer=layer, units=slice(64), ax=ax)
    ax.set_title(f"filters of layer {layer}", fontsize="medium")
*panels, likelihood = lower.subplots(1, 4)
HistoryDisplay.from_estimator(
    dbn, quantities=["reconstruction_error", "mean_activity", "free_energy_gap"], ax=panels
)
for name in shown:
    likelihood.plot(pixels[name], generator[name], "o", ms=3, alpha=0.5, mec="none", label=name)
likelihood.axline((-20, -20), slope=1, color="0.3", lw=1, label="equal")
likelihood.set(xlabel="independent pixels", ylabel="DBN")
likelihood.set_title("log-likelihood in nats", fontsize="medium")
likelihood.legend(loc="lower right", fontsize="small", borderpad=0.2, labelspacing=0.2)
figure.savefig("plot_samples_and_filters.png", dpi=120)

# %%
# The result.
gain = generator["test digits"] - pixels["test digits"]
print(
    f"Of {len(gain)} held-out digits, {(gain > 0).mean():.0%} are more probable under the DBN "
    f"than under independent pixels: {generator['test digits'].mean():.1f} nats on average "
    f"instead of {pixels['test digits'].mean():.1f}, a gain of {gain.mean():.1f} +- "
    f"{gain.std() / len(gain) ** 0.5:.1f} nats a digit, with log Z known to "
    f"{dbn.log_partition().standard_error:.2f}. Its own samples score "
    f"{generator['samples'].mean():.1f}; its first layer alone gives the test digits "
    f"{dbn.rbms_[0].score(X_test):.1f}."
)
