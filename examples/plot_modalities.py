"""
Two modalities, one of them missing
===================================

Each digit has two modalities: its pixels, and the magnitudes of its Fourier transform. A deep
belief network has a pathway of layers for each and a joint layer above both. It is trained
without labels.

A head on its features is used for rows with both modalities, and for rows that lack one: their
features are those given the other. Then pixels are drawn given the magnitudes.
"""

# %%
# The two modalities
# ------------------
# The magnitudes are standardised; pixels are grey levels between 0 and 1.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import DBNTransformer, RBMTransformer

digits, y = load_digits(return_X_y=True)
pixels = digits / 16
# The transform of real numbers has each magnitude twice, but for those on two of the columns.
once = np.ones((8, 5), dtype=bool)
once[5:, [0, 4]] = False
magnitudes = np.abs(np.fft.rfft2(pixels.reshape(-1, 8, 8)))[:, once]
X = np.hstack([pixels, StandardScaler().fit_transform(magnitudes)])
pathways = {"pixels": slice(0, 64), "magnitudes": slice(64, X.shape[1])}
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Features with one modality missing
# ----------------------------------
# ``hidden_layer_sizes`` has a mapping for each layer of pathways, and a number for each joint
# layer. A missing modality is NaN in its columns. The head is trained on rows with both. What
# one modality says about the other is learnt late: more passes than the default are worth it.
model = DBNTransformer(
    ({"pixels": 100, "magnitudes": 60}, 100),
    pathways=pathways,
    rbm=RBMTransformer(n_iter=200),
    random_state=0,
).fit(X_train)
print(model.get_feature_names_out()[[0, 100, 160]])
head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
head.fit(model.transform(X_train), y_train)
print(f"both: {head.score(model.transform(X_test), y_test):.3f}")


def without(rows, modality):
    """The rows with one modality missing."""
    rows = rows.copy()
    rows[:, pathways[modality]] = np.nan
    return rows


for modality in pathways:
    rows = without(X_test, modality)
    for fill in ("mean_field", "draws"):
        score = head.score(model.select(fill=fill).transform(rows), y_test)
        print(f"without {modality}, {fill}: {score:.3f}")

# %%
# Pixels given the magnitudes
# ---------------------------
# Four test digits: the true pixels, the mean field of the missing ones, and six draws. These
# are bits, and differ where the magnitudes leave more than one digit open.
rows = np.concatenate([np.flatnonzero(y_test == label)[:2] for label in (6, 9)])
given = without(X_test[rows], "pixels")
n_draws = 6
drawn = model.sample(given=np.repeat(given, n_draws, axis=0), random_state=0)
drawn = drawn[:, :64].reshape(len(rows), n_draws, 64)
filled = model.select(passthrough=True).transform(given)[:, -X.shape[1] :][:, :64]

figure, axes = plt.subplots(len(rows), n_draws + 2, figsize=(8, 4.2))
for row, (index, of_row) in enumerate(zip(rows, axes, strict=True)):
    images = [X_test[index, :64], filled[row], *drawn[row]]
    titles = ["true", "mean field", *(f"draw {k + 1}" for k in range(n_draws))]
    for axis, image, title in zip(of_row, images, titles, strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        if row == 0:
            axis.set_title(title, fontsize=9)
    of_row[0].set_ylabel(f"a {y_test[index]}", fontsize=9)
figure.suptitle("Pixels given the magnitudes of the Fourier transform")
figure.tight_layout()
plt.show()
