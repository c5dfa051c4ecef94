"""
Ratings with most entries missing
=================================

People rate some of many items with 1 to 5 stars. All other ratings are missing, and the matrix
is sparse: with ``missing="unstored"`` the values that it does not store are missing, not 0. A
restricted Boltzmann machine learns which items are liked together, and predicts the missing
ratings. It is compared with the mean of the item, the mean of the user, the sum of both, and a
factorisation that is given the true number of factors. How far off are the predictions? And
what does a machine with levels give that one of real numbers does not?

Run it as ``python examples/plot_ratings.py``; it writes the figure to ``plot_ratings.png`` in
the current folder.
"""

# %%
# Data: 600 users and 60 items with three latent factors, drawn at random. Which ratings are
# observed is random too; popular items have more of them.
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from sklearn_dbn import RBMTransformer

rng = np.random.default_rng(0)
n_users, n_items, n_factors = 600, 60, 3
tastes = rng.normal(size=(n_users, n_factors))
traits = rng.normal(size=(n_items, n_factors))
liking = tastes @ traits.T / np.sqrt(n_factors) + 0.5 * rng.normal(size=(n_users, n_items))
liking += 0.5 * rng.normal(size=(n_users, 1)) + 0.5 * rng.normal(size=n_items)
stars = np.clip(np.rint(3.3 + liking), 1, 5)
popularity = rng.uniform(0.4, 1.6, size=n_items)
order = rng.random(stars.shape) / popularity
held_out = rng.random(stars.shape) < 0.2


# %%
# The baselines, from the ratings where the mask ``observed`` is true. Means of few ratings are
# moved towards the mean of all.
def mean_of(axis, rest, observed):
    n = observed.sum(axis=axis, keepdims=True)
    return np.sum(rest * observed, axis=axis, keepdims=True) / (n + 3)


def both_means(rest, observed):
    item, user = 0.0, 0.0
    for _ in range(20):
        item = mean_of(0, rest - user, observed)
        user = mean_of(1, rest - item, observed)
    return item + user


def factorisation(rest, observed):
    """Both means plus a product of factors, by alternating least squares."""
    start = both_means(rest, observed)
    rest = (rest - start) * observed
    u, v = np.zeros((n_users, n_factors)), rng.normal(size=(n_items, n_factors))
    for _ in range(15):
        for ours, theirs, x, seen in ((u, v, rest, observed), (v, u, rest.T, observed.T)):
            for i, at in enumerate(seen):
                square = theirs[at].T @ theirs[at] + 3 * np.eye(n_factors)
                ours[i] = np.linalg.solve(square, theirs[at].T @ x[i, at])
    return start + u @ v.T


def baselines(observed):
    centre = stars[observed].mean()
    rest = (stars - centre) * observed
    found = {
        "mean of the item": mean_of(0, rest, observed),
        "mean of the user": mean_of(1, rest, observed),
        "both means": both_means(rest, observed),
        "factorisation": factorisation(rest, observed),
    }
    return {name: np.broadcast_to(centre + x, stars.shape) for name, x in found.items()}


# %%
# The machines: one with ordered levels, and one that takes stars as real numbers. They are not
# sparse, as a sparse unit learns little from rows with few entries, and make more passes than
# the default. ``impute`` fills in a whole number of stars in the first, and the mean in the
# second. All predictions are rounded to stars for the comparison.
kinds = {"machine, ordinal": "ordinal", "machine, gaussian": "gaussian"}


def machine(kind):
    return RBMTransformer(
        100,
        visible=kind,
        missing="unstored",
        sparsity_target=None,
        n_iter=100,
        random_state=0,
    )


shares = [0.1, 0.2, 0.4]
wrong, per_user = {}, []
for share in shares:
    rated = order < np.quantile(order, share)
    observed, test = rated & ~held_out, rated & held_out
    per_user.append(observed.sum(axis=1).mean())
    ratings = sp.csr_array(np.where(observed, stars, 0))
    predicted = baselines(observed)
    fitted = {}
    for name, kind in kinds.items():
        fitted[name] = machine(kind).fit(ratings)
        predicted[name] = fitted[name].impute(ratings)
    for name, values in predicted.items():
        off = np.abs(np.clip(np.rint(values), 1, 5) - stars)[test]
        wrong.setdefault(name, []).append(off.mean())

# %%
# What the levels give: the probability of each number of stars. For the eight items with the
# most ratings, among those that have each number of stars: the log-probability of the ratings
# held out, in nats, beside that by the shares of the stars of the item. The machine is given
# the ratings of the same user for other items.
levels = np.arange(1, 6)
ordinal = fitted["machine, ordinal"]
counts = ((stars[:, :, None] == levels) & observed[:, :, None]).sum(axis=0)
rated_most = np.argsort(np.where(counts.all(axis=1), -counts.sum(axis=1), 0))[:8]
proba, of_item, truth = [], [], []
for item in rated_most:
    raters = np.flatnonzero(test[:, item])
    proba.append(ordinal.conditional_proba(ratings[raters], int(item)))
    of_item.append(np.tile(counts[item] / counts[item].sum(), (len(raters), 1)))
    truth.append(stars[raters, item].astype(int) - 1)
proba, of_item, truth = (np.concatenate(x) for x in (proba, of_item, truth))
nats = {
    name: np.log(p[np.arange(len(p)), truth]).mean()
    for name, p in {"shares of the item": of_item, "machine, ordinal": proba}.items()
}

# %%
# The table.
print(f"{'ratings per user':<22}" + "".join(f"{n:>8.0f}" for n in per_user))
for name, values in wrong.items():
    print(f"{name:<22}" + "".join(f"{x:>8.3f}" for x in values))
for name, value in nats.items():
    print(f"{name}: {value:.2f} nats a rating")

# %%
# One figure: the error by the number of ratings, and the mean probability that the machine gave
# to each number of stars, by the true number.
figure, (left, right) = plt.subplots(
    1, 2, figsize=(8, 4.2), width_ratios=(1.3, 1), layout="constrained"
)
colours = ("0.6", "0.6", "0.3", "tab:green", "tab:blue", "tab:orange")
for (name, values), colour, marker in zip(wrong.items(), colours, "v^so*D", strict=True):
    left.plot(per_user, values, f"{marker}-", color=colour, label=name)
left.set_xscale("log", base=2)
left.set_xticks(per_user, [f"{n:.0f}" for n in per_user])
left.minorticks_off()
left.set(xlabel="training ratings per user", ylabel="mean error, stars", ylim=(0.4, 1.15))
left.legend(ncols=2, fontsize=8, loc="upper center")
table = np.stack([proba[truth == level].mean(axis=0) for level in range(5)])
right.imshow(table, cmap="Blues", vmin=0, vmax=1, origin="lower")
for row, column in np.ndindex(table.shape):
    shade = "white" if table[row, column] > 0.5 else "black"
    label = f"{table[row, column]:.2f}"
    right.text(column, row, label, ha="center", va="center", color=shade, fontsize=9)
right.set_xticks(range(5), levels)
right.set_yticks(range(5), levels)
right.set(xlabel="stars", ylabel="true stars", title="mean probability by the machine")
figure.savefig("plot_ratings.png", dpi=120)

# %%
# The result.
few, many = (f"{n:.0f}" for n in (per_user[0], per_user[-1]))
ordinal, gaussian, both, factors = (
    [f"{x:.2f}" for x in wrong[name]] for name in (*kinds, "both means", "factorisation")
)
print(
    f"With {many} ratings per user the machines are {ordinal[-1]} (ordinal) and {gaussian[-1]} "
    f"(gaussian) stars off, both means {both[-1]}, and a factorisation with the true number of "
    f"factors {factors[-1]}. With {few} ratings the machines are no better than both means: "
    f"{ordinal[0]} and {gaussian[0]}, against {both[0]}; the factorisation has {factors[0]}. "
    f"Levels give probabilities: {nats['machine, ordinal']:.2f} nats for a rating held out, "
    f"where the shares of the item give {nats['shares of the item']:.2f}."
)
