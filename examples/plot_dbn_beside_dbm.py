"""
A deep belief network and a deep Boltzmann machine
==================================================

Both have two hidden layers and are trained without labels. In the deep belief network each
layer is trained on the one below, and the field of a unit depends on the layer below alone. In
the deep Boltzmann machine all layers are trained jointly, and the field of a unit depends on
both neighbours. What does that change? Here both learn the same binary digits. Then a linear
classifier is trained on each of their layers, both draw digits, and both score held-out digits.

Run it as ``python examples/plot_dbn_beside_dbm.py``; it writes the figure to
``plot_dbn_beside_dbm.png`` in the current folder.
"""

# %%
# Data: 1797 handwritten digits of 8 x 8 pixels, part of scikit-learn; a pixel is on where it is
# darker than half of the scale.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import SamplesDisplay

X, y = load_digits(return_X_y=True)
X = (X > 8).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=500, stratify=y, random_state=0
)

# %%
# Both have the same units and the same number of passes for each layer; then the deep Boltzmann
# machine trains all of its layers jointly.
generators = {
    "belief network": DBNTransformer((100, 100), random_state=0),
    "Boltzmann machine": DBMTransformer(
        (100, 100), rbm=RBMTransformer(n_gibbs_steps=5), random_state=0
    ),
}
for generator in generators.values():
    generator.fit(X_train)


# %%
# Accuracy of a linear classifier on each layer, on both and on the pixels, unscaled or scaled,
# whichever is better; the weights of the generators are frozen.
def linear(train, test):
    head = LogisticRegression(max_iter=1000)
    heads = [head, make_pipeline(StandardScaler(), head)]
    return max(head.fit(train, y_train).score(test, y_test) for head in heads)


views = {"layer 0": 0, "layer 1": 1, "both": "all"}
accuracy = {}
for name, generator in generators.items():
    for view, layers in views.items():
        chosen = generator.select(layers=layers)
        accuracy[name, view] = linear(chosen.transform(X_train), chosen.transform(X_test))
pixels = linear(X_train, X_test)

# %%
# Log-likelihood of the test digits, in nats, and the bound that its hidden layers give.
nats = {name: generator.score(X_test) for name, generator in generators.items()}
bounds = {name: generator.score_bound(X_test).mean() for name, generator in generators.items()}

# %%
# One figure: samples, features, likelihood.
figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
axes = axes.ravel()
colors = dict(zip(generators, ("tab:blue", "tab:orange"), strict=True))
for ax, (name, generator) in zip(axes, generators.items(), strict=False):
    samples = generator.sample(64, n_gibbs_steps=1000, random_state=0)
    SamplesDisplay(samples).plot(ax)
    ax.set_title(f"samples: {name}", fontsize="medium", color=colors[name])
for name in generators:
    values = [accuracy[name, view] for view in views]
    axes[2].plot(list(views), values, "o", ms=9, color=colors[name], alpha=0.8, label=name)
axes[2].axhline(pixels, color="0.3", lw=1, ls="--", label="raw pixels")
axes[2].set(ylabel="test accuracy")
axes[2].margins(x=0.2, y=0.3)
axes[2].set_title("linear classifier on frozen units", fontsize="medium")
axes[2].legend(fontsize="small", loc="upper center")
for name in generators:
    axes[3].plot([name], [nats[name]], "o", ms=9, color=colors[name])
    axes[3].plot([name], [bounds[name]], "_", ms=18, mew=2, color=colors[name])
axes[3].set(ylabel="nats per test digit")
axes[3].margins(x=0.5, y=0.2)
axes[3].set_title("log-likelihood (dot) and bound (bar)", fontsize="medium")
figure.savefig("plot_dbn_beside_dbm.png", dpi=120)

# %%
# The result.
for name in generators:
    found = ", ".join(f"{view} {accuracy[name, view]:.3f}" for view in views)
    print(
        f"{name}: accuracy on {found} (pixels {pixels:.3f}); {nats[name]:.2f} nats a digit, "
        f"at least {bounds[name]:.2f}"
    )
gain = nats["Boltzmann machine"] - nats["belief network"]
print(
    f"Joint training changes the log-likelihood by {gain:+.2f} nats a digit, and the accuracy "
    f"on the last layer alone from {accuracy['belief network', 'layer 1']:.3f} to "
    f"{accuracy['Boltzmann machine', 'layer 1']:.3f}."
)
