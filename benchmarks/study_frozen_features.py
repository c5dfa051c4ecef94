"""Which layers, which units? Frozen units of deep generators on MNIST, and fine-tuning.

    OPENBLAS_NUM_THREADS=1 python benchmarks/study_frozen_features.py

A deep belief network 500-500-2000, another with sparse upper layers, and a deep Boltzmann
machine 500-1000 are trained once, without labels, on the 60,000 training images (from the
folder of the benchmarks, else by ``fetch_openml``). Then, with frozen weights:

- LogisticRegression and SVC on pixels, on principal components, on each layer, on every subset
  of layers, and, except for the sparse DBN, on the best 10, 25 and 50 % of all units by
  `information`, by `mutual_info_classif` and at random. Heads are trained on 10,000 training
  rows, three draws. C and gamma are selected for each set on the last 10,000 training rows,
  which no draw contains; the test rows are used once. Then, on all 60,000 rows,
  LogisticRegression on every subset of layers, and SVC on pixels, on the principal components,
  on the three sets of units that were best on the validation rows, and on the best set of each
  generator. Its gamma is that of the draws or its double, whichever makes fewer errors on the
  validation rows when SVC is trained on all others.
- Fine-tuned networks of the same shape, and `MLPClassifier`.
- Other tasks of the same images, also from the features of a network fine-tuned for the digits.
- Log-likelihood of test rows, grey levels drawn once, before and after fine-tuning.

An interrupted run resumes. At the end it draws the figures of docs/study.md.
"""

import warnings
from functools import partial
from itertools import combinations, product

import numpy as np
from _data import PLAIN_NETWORK, RESULTS, Record, arguments, digits, mnist
from _generators import DBM, DBN, SPARSE, generator
from _study_figures import draw
from scipy.ndimage import distance_transform_edt
from sklearn.datasets import fetch_openml
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from sklearn_dbn import DBNClassifier, layer_subsets

NAME = "study_frozen_features"
GENERATORS = (DBN, DBM, SPARSE)
SCORES, SHARES = ("information", "mutual_info_classif", "random"), (0.1, 0.25, 0.5)
PENALTIES = (0.01, 0.1, 1.0)
# Factors on the gamma of "scale". C matters little once nearly all rows are separated.
GAMMAS, C = (1.0, 2.0, 4.0), 10.0
DRAWS = 3
TEMPERATURES = 2000
TUNING = {"solver": "sgd", "learning_rate": 0.1, "batch_size": 100}


class Study:
    """The images, their features by the frozen generators, and the record of results."""

    def __init__(self, data, small):
        self.X, self.y, self.X_test, self.y_test = data
        self.small = small
        n_valid = len(self.X) // 6
        self.n_known = len(self.X) - n_valid
        self.n_rows = min(10_000, self.n_known // 2)
        self.record = Record(NAME, resume=not small)
        self.trained, self.seen, self.labels = {}, {}, {}
        for name in GENERATORS:
            sizes = generator(name, small=small).hidden_layer_sizes
            self.labels[name] = np.repeat(np.arange(len(sizes)), sizes)

    def generator(self, name):
        """Trained at the first call, as a resumed run may need only one of them."""
        if name not in self.trained:
            self.trained[name] = generator(name, small=self.small).fit(self.X)
        return self.trained[name]

    def units(self, name):
        """All units, of the training and of the test rows."""
        if name not in self.seen:
            view = self.generator(name).select(layers="all")
            self.seen[name] = [view.transform(x) for x in (self.X, self.X_test)]
        return self.seen[name]

    def draw(self, seed):
        """Rows of one draw, without the validation rows."""
        return np.random.default_rng(seed).permutation(self.n_known)[: self.n_rows]

    def sets(self):
        """Name, kind and a function that returns the training and the test features."""
        yield "pixels", "pixels", lambda: (self.X, self.X_test)
        for n in (50, 500) if not self.small else (10,):
            yield f"{n} principal components", "PCA", partial(self.components, n)
        for name, of in self.labels.items():
            for layers in layer_subsets(of[-1] + 1):
                # The first layer of the sparse DBN is that of the other.
                if name == SPARSE and layers == (0,):
                    continue
                chosen = np.flatnonzero(np.isin(of, layers))
                title = f"{name}, layers {'+'.join(map(str, layers))}"
                yield title, "layers", partial(self.columns, name, chosen)
            if name == SPARSE:
                continue
            for score, share in product(SCORES, SHARES):
                title = f"{name}, {share:.0%} by {score}"
                yield title, score, partial(self.best, name, score, share)

    def components(self, n):
        pca = PCA(n, random_state=0).fit(self.X)
        return pca.transform(self.X), pca.transform(self.X_test)

    def columns(self, name, chosen):
        return tuple(H[:, chosen] for H in self.units(name))

    def best(self, name, score, share):
        n = round(share * len(self.labels[name]))
        if score == "information":
            view = self.generator(name).select(layers="all", units=share)
            starts = np.searchsorted(self.labels[name], view.selected_layers_)
            pairs = zip(starts, view.selected_units_, strict=True)
            return self.columns(name, np.concatenate([start + u for start, u in pairs]))
        if score == "random":
            order = np.random.default_rng(0).permutation(len(self.labels[name]))
        else:
            order = np.argsort(-self.mutual_information(name))
        return self.columns(name, np.sort(order[:n]))

    def mutual_information(self, name):
        """Mutual information of each unit and the labels, on the rows of the first draw."""
        rows = self.draw(0)
        case = {"part": "mutual information", "network": name}

        def compute():
            H = self.units(name)[0][rows]
            found = mutual_info_classif(H, self.y[rows], random_state=0)
            return {"values": [round(float(x), 5) for x in found]}

        return np.array(self.record(case, compute)["values"])


def percent(wrong):
    return round(100 * float(np.mean(wrong)), 3)


def squares(A, B):
    """Squared distances between rows, by one product."""
    found = A @ B.T
    found *= -2
    found += np.einsum("ij,ij->i", A, A)[:, None]
    found += np.einsum("ij,ij->i", B, B)
    return np.maximum(found, 0, out=found)


def kernel(distances, gamma):
    return np.exp(-gamma * distances).astype(np.float64)


def svc_on_draws(study, features):
    """SVC on draws of training rows; gamma selected on the validation rows."""
    H, H_test = features()
    late, errors, best = slice(study.n_known, None), [], None
    for seed in range(DRAWS):
        rows = study.draw(seed)
        known, y = H[rows], study.y[rows]
        scale = 1 / (H.shape[1] * known.var())
        within = squares(known, known)
        if best is None:
            apart = squares(H[late], known)
            found = {}
            for factor in GAMMAS:
                svc = SVC(C=C, kernel="precomputed").fit(kernel(within, factor * scale), y)
                said = svc.predict(kernel(apart, factor * scale))
                found[factor] = percent(said != study.y[late])
            best = min(found, key=found.get)
        svc = SVC(C=C, kernel="precomputed").fit(kernel(within, best * scale), y)
        apart = squares(H_test, known)
        errors.append(percent(svc.predict(kernel(apart, best * scale)) != study.y_test))
    return {
        "n_features": H.shape[1],
        "gamma": best,
        "validation": found[best],
        "errors": errors,
    }


def logistic_on_draws(study, features):
    """LogisticRegression on the same draws; C selected on the validation rows."""
    H, H_test = features()
    late, errors, best = slice(study.n_known, None), [], None
    for seed in range(DRAWS):
        rows = study.draw(seed)
        if best is None:
            found = {}
            for c in PENALTIES:
                head = logistic(c, H[rows], study.y[rows])
                found[c] = percent(head.predict(H[late]) != study.y[late])
            best = min(found, key=found.get)
        head = logistic(best, H[rows], study.y[rows])
        errors.append(percent(head.predict(H_test) != study.y_test))
    return {
        "n_features": H.shape[1],
        "C": best,
        "validation": found[best],
        "errors": errors,
    }


def logistic(c, H, y, max_iter=100):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=max_iter).fit(H, y)


def logistic_on_all(study, features, c):
    H, H_test = features()
    error = percent(logistic(c, H, study.y, 300).predict(H_test) != study.y_test)
    return {"n_features": H.shape[1], "C": c, "errors": [error]}


def svc_says(H, y, H_new, gammas):
    """Predictions of SVC for new rows, for each gamma: an SVC for each two classes, and a vote.

    Distances are computed once by matrix products, for all gammas and all pairs of classes:
    a tenth of the time of SVC. 60,000 rows need 12 GB of memory.
    """
    classes = np.unique(y)
    groups = [H[y == k] for k in classes]
    pairs = list(combinations(range(len(classes)), 2))
    same = [squares(group, group) for group in groups]
    other = {(i, j): squares(groups[i], groups[j]) for i, j in pairs}
    votes = {gamma: np.zeros((len(H_new), len(classes))) for gamma in gammas}
    for i, j in pairs:
        apart = other.pop((i, j))
        distances = np.block([[same[i], apart], [apart.T, same[j]]])
        known = np.concatenate([groups[i], groups[j]])
        is_first = np.arange(len(known)) < len(groups[i])
        for gamma, count in votes.items():
            svc = SVC(C=C, kernel="precomputed").fit(kernel(distances, gamma), is_first)
            new = kernel(squares(H_new, known[svc.support_]), gamma)
            first = new @ svc.dual_coef_[0] + svc.intercept_[0] > 0
            count[:, i] += first
            count[:, j] += ~first
    return {gamma: classes[count.argmax(axis=1)] for gamma, count in votes.items()}


def svc_on_all(study, features, factor):
    """SVC on all rows, with the gamma of the draws or its double, by the validation rows."""
    H, H_test = features()
    known, late = slice(study.n_known), slice(study.n_known, None)
    factors = {f / (H.shape[1] * H[known].var()): f for f in (factor, 2 * factor)}
    said = svc_says(H[known], study.y[known], H[late], list(factors))
    found = {factors[gamma]: percent(x != study.y[late]) for gamma, x in said.items()}
    best = min(found, key=found.get)
    (said,) = svc_says(H, study.y, H_test, [best / (H.shape[1] * H.var())]).values()
    return {
        "n_features": H.shape[1],
        "gamma": best,
        "validation": list(found.values()),
        "errors": [percent(said != study.y_test)],
    }


def frozen(study):
    """Part 1: plain heads on frozen units."""
    sets = list(study.sets())
    features = {title: f for title, _, f in sets}

    def draws(head, run):
        found = {}
        for title, kind, f in sets:
            case = {"part": "draws", "head": head, "set": title, "kind": kind}
            found[title] = study.record(case, partial(run, study, f))
        return found

    found = draws("SVC", svc_on_draws)
    ours = [title for title in features if title.startswith(GENERATORS)]
    best = sorted(ours, key=lambda title: found[title]["validation"])
    of_each = [next(t for t in best if t.startswith(name)) for name in GENERATORS]
    plain = [title for title, kind, _ in sets if kind in ("pixels", "PCA")][:2]
    # The three best may be of one generator.
    for title in dict.fromkeys([*best[:3], *of_each, *plain]):
        case = {"part": "all rows", "head": "SVC", "set": title}
        factor = found[title]["gamma"]
        study.record(case, partial(svc_on_all, study, features[title], factor))
    draws("LogisticRegression", logistic_on_draws)
    return best[0]


def linear(study):
    """Part 5: LogisticRegression on all rows, 300 iterations of it."""
    chosen = {
        row["set"]: row["C"]
        for row in study.record.rows
        if row["part"] == "draws" and row["head"] == "LogisticRegression"
    }
    for title, kind, features in study.sets():
        if kind in ("pixels", "layers"):
            case = {"part": "all rows", "head": "LogisticRegression", "set": title}
            study.record(case, partial(logistic_on_all, study, features, chosen[title]))


def tuned(study, name, **settings):
    """The generator fine-tuned for the digits."""
    settings = {"n_iter": 2 if study.small else 20, **PLAIN_NETWORK, **TUNING, **settings}
    network = DBNClassifier(FrozenEstimator(study.generator(name)), random_state=0, **settings)
    return network.fit(study.X, study.y)


def networks(study):
    """Part 2: all weights tuned."""
    for name in (DBN, DBM):
        case = {"part": "fine-tuned", "network": name}

        def compute(name=name):
            said = tuned(study, name).predict(study.X_test)
            return {"errors": [percent(said != study.y_test)]}

        study.record(case, compute)
    sizes = tuple(np.bincount(study.labels[DBN]))

    def from_nothing():
        mlp = MLPClassifier(
            sizes, activation="logistic", batch_size=100, max_iter=20, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp.fit(study.X, study.y)
        return {"errors": [percent(mlp.predict(study.X_test) != study.y_test)]}

    study.record({"part": "fine-tuned", "network": "MLPClassifier"}, from_nothing)


def thickness(X):
    """Mean width of the strokes of each image, in pixels.

    In a stripe of width w the points are w / 4 from its edge, on average.
    """
    side = round(X.shape[1] ** 0.5)
    ink = np.pad(X.reshape(-1, side, side) > 0.5, ((0, 0), (1, 1), (1, 1)))
    distance = [distance_transform_edt(image)[image] for image in ink]
    return np.array([4 * d.mean() - 2 if len(d) else 0.0 for d in distance])


def tasks(study, best):
    """Part 3: other tasks of the same images."""
    targets = {
        "odd or even": (study.y % 2, study.y_test % 2),
        "an eight or not": (study.y == 8, study.y_test == 8),
        "stroke thickness": (thickness(study.X), thickness(study.X_test)),
    }
    views = {"pixels": lambda: (study.X, study.X_test)}
    views |= {title: f for title, _, f in study.sets() if title == best}
    for name in (DBN, DBM):
        every = range(study.labels[name][-1] + 1)
        title = f"{name}, layers {'+'.join(map(str, every))}"
        views[title] = partial(study.columns, name, np.arange(len(study.labels[name])))
    kept = {}

    def features_of_tuned():
        if not kept:
            network = tuned(study, DBN)
            # The units of all layers, as for the frozen generator.
            network.transformer_ = network.transformer_.select(layers="all")
            kept["H"] = network.transform(study.X), network.transform(study.X_test)
        return kept["H"]

    views[f"{DBN}, fine-tuned for the digits"] = features_of_tuned
    for task, (y, y_test) in targets.items():
        for view, features in views.items():
            case = {"part": "tasks", "task": task, "set": view}
            study.record(case, partial(one_task, study, features, y, y_test))


def one_task(study, features, y, y_test):
    """Errors in percent, or the share of the variance that is unexplained, on three draws."""
    H, H_test = features()
    late, found = slice(study.n_known, None), []
    regression = y.dtype.kind == "f"
    best, choices = None, (1.0, 10.0, 100.0) if regression else PENALTIES

    def wrong(choice, rows, H_new, y_new):
        if regression:
            said = Ridge(choice).fit(H[rows], y[rows]).predict(H_new)
            return round(100 * float(np.mean((said - y_new) ** 2) / np.var(y_new)), 3)
        return percent(logistic(choice, H[rows], y[rows]).predict(H_new) != y_new)

    for seed in range(DRAWS):
        rows = study.draw(seed)
        if best is None:
            best = min(choices, key=lambda c: wrong(c, rows, H[late], y[late]))
        found.append(wrong(best, rows, H_test, y_test))
    return {"n_features": H.shape[1], "chosen": best, "errors": found}


def nats(generator, bits):
    """Mean log-likelihood of the rows, and by forward and reverse annealing alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = generator.log_partition(temperatures=TEMPERATURES)
    # The scores use this log Z, instead of another estimate.
    generator._estimates["log_z"] = found.value
    score = generator.score(bits)
    return {
        "log_likelihood": round(score, 2),
        "forward": round(score + found.value - found.forward.value, 2),
        "reverse": round(score + found.value - found.reverse.value, 2),
    }


def retention(study):
    """Part 4: nats before and after."""
    rows = np.random.default_rng(0).permutation(len(study.X_test))[:1000]
    grey = study.X_test[rows]
    bits = (np.random.default_rng(1).random(grey.shape) < grey).astype(np.float32)
    n_layers = int(study.labels[DBN][-1]) + 1
    study.record({"part": "before tuning"}, lambda: nats(study.generator(DBN), bits))
    cases = [{"fine_tune": n_layers}, {"fine_tune": n_layers, "generative_weight": 1e-2}]
    cases += [{"fine_tune": k} for k in range(1, n_layers)]
    cases += [{"fine_tune": n_layers, "generative_weight": 1e-3}]
    # At 0.1 the first pass moves the top layer so far that its chains do not recover.
    cases = [{"learning_rate": 0.01, **case} for case in cases]
    for settings in cases:

        def compute(settings=settings):
            network = tuned(study, DBN, n_iter=5, **settings)
            error = percent(network.predict(study.X_test) != study.y_test)
            return {"errors": [error], "after": nats(network.fine_tuned_transformer_, bits)}

        study.record({"part": "retention", "settings": settings}, compute)


def images(args):
    """MNIST, from the folder or the internet, else the digits of scikit-learn."""
    found = mnist(args.data)
    if found is not None:
        return found, False
    if args.openml:
        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        X, y = (X / 255).astype(np.float32), y.astype(int)
        return (X[:60_000], y[:60_000], X[60_000:], y[60_000:]), False
    X, y = digits()
    return (X[:1200], y[:1200], X[1200:], y[1200:]), True


def main():
    args = arguments(__doc__.splitlines()[0], openml=0)
    data, small = images(args)
    study = Study(data, small)
    best = frozen(study)
    networks(study)
    tasks(study, best)
    retention(study)
    linear(study)
    folder = RESULTS if small else RESULTS.parents[1] / "docs" / "images"
    draw(study.record.rows, folder)


if __name__ == "__main__":
    main()
