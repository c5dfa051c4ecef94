"""Two modalities of handwritten digits: joint features, and draws of a missing one.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_modalities.py --data FOLDER

`mfeat`, 1,000 pairs for training and 1,000 for the test, five splits; pixels (240) with Fourier
coefficients (76), and these with Zernike moments (47). Machines have default parameters but for
those named, and are trained without labels.

- ``columns``: percent right of an SVC (C = 10, scaled) on the columns side by side, on each
  modality alone, and with one missing in the test rows and filled by a ridge regression.
- ``features``: the same from all layers, with 1,000 and 100 labels; with one missing in
  the test rows, where the head was trained on both, by the mean field and by draws. For the
  training of the joint layer with and without modality dropout, and together or greedily.
- ``draws``: for one split, 50 draws of the pixels given the Fourier coefficients of each 6 and
  9 of the test rows, which those hardly tell apart. An SVC on pixels gives their classes: the
  share of the 6 among both, by row, and the log-loss of the histogram of classes, with one draw
  more for each class; beside that of the mean field.
- ``likelihood``: nats of a test pair, of the joint machine and of separate ones, with default
  parameters, for one split.
- ``steps``: the time of a step on two pathways, divided by the sum of those on its parts.

Each case is a row of JSON; an interrupted run resumes. `--only` restricts it.
"""

import time

import numpy as np
from _data import Record, arguments, load
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.optim import SCHEDULES, Ascent
from sklearn_dbn.samplers import SAMPLERS
from sklearn_dbn.training._loop import _step
from sklearn_dbn.training._run import start
from sklearn_dbn.training._settings import TrainingSettings
from sklearn_dbn.units import UNITS, Blocks

NAME = "bench_modalities"
PAIRS = (("pix", "fou"), ("fou", "zer"))
UNITS_OF = {"pix": 200, "fou": 100, "zer": 100}
JOINT, SPLITS, N_LABELS = 200, 5, 10
N_DRAWS, DRAWN_SPLITS = 50, 1
MODELS = {
    "DBN": (DBNTransformer, {}),
    "DBN, modality dropout 1/3": (DBNTransformer, {"modality_dropout": 1 / 3}),
    "DBM": (DBMTransformer, {}),
    "DBM, modality dropout 1/3": (DBMTransformer, {"modality_dropout": 1 / 3}),
    "DBM, tempering": (DBMTransformer, {"rbm": RBMTransformer(sampler="tempering")}),
    "DBN, more units and passes": (
        DBNTransformer,
        {
            "hidden_layer_sizes": (300, 300),
            "rbm": [
                RBMTransformer(n_iter=1000, sparsity_target=None),
                RBMTransformer(n_iter=200),
            ],
        },
    ),
}


class Pair:
    """Two modalities: pixels from 0 to 1, others standardised by the training rows."""

    def __init__(self, data, names, seed):
        self.names, self.y = names, data["y"].astype(int)
        rows = np.arange(len(self.y))
        self.train, self.test = train_test_split(
            rows, train_size=1000, stratify=self.y, random_state=seed
        )
        parts = []
        for name in names:
            x = data[name].astype(np.float64)
            of_train = x[self.train]
            parts.append(x / 6 if name == "pix" else (x - of_train.mean(0)) / of_train.std(0))
        self.X = np.hstack(parts)
        ends = np.cumsum([0, *(x.shape[1] for x in parts)])
        places = (slice(*map(int, ends[i : i + 2])) for i in range(len(names)))
        self.columns = dict(zip(names, places, strict=True))
        rng = np.random.default_rng(seed)
        self.few = np.concatenate(
            [
                rng.permutation(self.train[self.y[self.train] == label])[:N_LABELS]
                for label in range(10)
            ]
        )

    def lacking(self, rows, name):
        X = self.X[rows].copy()
        X[:, self.columns[name]] = np.nan
        return X


def head():
    return make_pipeline(StandardScaler(), SVC(C=10))


def columns_of(pair):
    """Percent right from the columns."""
    found = {}
    y_test = pair.y[pair.test]
    for n, rows in ((1000, pair.train), (100, pair.few)):
        both = head().fit(pair.X[rows], pair.y[rows])
        found[f"both, {n}"] = both.score(pair.X[pair.test], y_test)
        for name, at in pair.columns.items():
            alone = head().fit(pair.X[rows, at], pair.y[rows])
            found[f"{name} alone, {n}"] = alone.score(pair.X[pair.test, at], y_test)
            (other,) = (x for x in pair.columns.values() if x is not at)
            ridge = RidgeCV(np.logspace(-1, 4, 11)).fit(
                pair.X[pair.train, other], pair.X[pair.train, at]
            )
            filled = pair.X[pair.test].copy()
            filled[:, at] = ridge.predict(filled[:, other])
            found[f"without {name}, {n}"] = both.score(filled, y_test)
    return {name: 100 * value for name, value in found.items()}


def made(kind, parameters, pair, seed, joint=True):
    """A machine that is not fitted, with a joint layer or without one."""
    parameters = dict(parameters)
    n_each, n_joint = parameters.pop("hidden_layer_sizes", (None, JOINT))
    sizes = ({name: n_each or UNITS_OF[name] for name in pair.names}, n_joint)
    model = kind(sizes, pathways=pair.columns, random_state=seed, **parameters)
    if joint:
        return model
    rbm = parameters.get("rbm")
    rbm = rbm[0] if isinstance(rbm, list) else rbm
    return model.set_params(hidden_layer_sizes=sizes[:1], rbm=rbm)


def features(model, pair):
    """Percent right from the features of a fitted machine."""
    found, y_test = {}, pair.y[pair.test]
    whole, test = model.transform(pair.X), pair.test
    lacking = {
        (name, fill): model.select(fill=fill).transform(pair.lacking(test, name))
        for name in pair.names
        for fill in ("mean_field", "draws")
    }
    for n, rows in ((1000, pair.train), (100, pair.few)):
        classifier = head().fit(whole[rows], pair.y[rows])
        found[f"both, {n}"] = classifier.score(whole[test], y_test)
        for (name, fill), H in lacking.items():
            found[f"without {name}, {fill}, {n}"] = classifier.score(H, y_test)
    return {name: 100 * value for name, value in found.items()}


def draws(model, pair):
    """How pixels that are drawn given the other modality are divided between 6 and 9."""
    at = pair.columns["pix"]
    classifier = head().fit(pair.X[pair.train, at], pair.y[pair.train])
    rows = pair.test[np.isin(pair.y[pair.test], (6, 9))]
    given = pair.lacking(rows, "pix")
    drawn = model.sample(given=np.repeat(given, N_DRAWS, axis=0), random_state=0)
    labels = classifier.predict(drawn[:, at]).reshape(len(rows), N_DRAWS)
    whole = model.select(passthrough=True).transform(given)[:, -given.shape[1] :]
    filled = classifier.predict(whole[:, at])
    six, nine = (labels == 6).sum(axis=1), (labels == 9).sum(axis=1)
    known = six + nine > 0
    share = six[known] / (six + nine)[known]

    def loss(counts):
        p = (counts + 1) / (counts.sum(axis=1, keepdims=True) + 10)
        return float(-np.log(p[np.arange(len(rows)), pair.y[rows]]).mean())

    of_draws = np.stack([(labels == k).sum(axis=1) for k in range(10)], axis=1)
    of_mean = N_DRAWS * (filled[:, None] == np.arange(10))
    return {
        "rows": len(rows),
        "share of 6": float(share.mean()),
        "rows within .25 and .75": float(np.mean((share > 0.25) & (share < 0.75))),
        "draws of 6 or 9": float(np.mean((labels == 6) | (labels == 9))),
        "log-loss of draws": loss(of_draws),
        "log-loss of the mean field": loss(of_mean),
    }


def likelihood(kind, parameters, pair, seed):
    """Nats of a test pair, and of its modalities under separate machines of the same sizes."""
    rows = pair.test[:200]
    found = {}
    for name, joint in (("joint", True), ("separate", False)):
        model = made(kind, parameters, pair, seed, joint).fit(pair.X[pair.train])
        found[name] = model.score(pair.X[rows])
    return found


def steps(kinds, n_steps=200, turns=21):
    """Seconds of steps on two pathways of these kinds, and on each alone, in turn."""
    rng = np.random.default_rng(0)
    X = (rng.random((100, 480)) < 0.3).astype(np.float32)
    settings = TrainingSettings(
        SAMPLERS["pcd"](1), Ascent(), SCHEDULES["constant"], 0.01, 100, 0.1, True, None
    )

    first, second = (UNITS[kind] for kind in kinds)
    halves = [np.arange(240), np.arange(240, 480)]
    both = first if first is second else Blocks([first, second], halves)

    def run_of(X, columns, widths, hidden):
        rows, unit = Rows(X, np.ones(100, np.float32), columns), UNITS["bernoulli"]
        run = start((columns.unit, unit), [widths, hidden], rows, settings, 100, Stream(0))
        v, weight = next(rows.batches(100, Stream(1)))
        return lambda: _step(run, v.copy(), weight, rows, settings, settings.sampler, 0.01)

    cases = {
        "both": run_of(X, Columns(both, widths=(240, 240)), (240, 240), (200, 200)),
        "first": run_of(X[:, halves[0]], Columns(first), (240,), (200,)),
        "second": run_of(X[:, halves[1]], Columns(second), (240,), (200,)),
    }
    times = {name: [] for name in cases}
    for _ in range(turns):
        for name, step in cases.items():
            begin = time.perf_counter()
            for _ in range(n_steps):
                step()
            times[name].append((time.perf_counter() - begin) / n_steps)
    both, first, second = (np.array(times[name]) for name in cases)
    return {
        "milliseconds": 1e3 * float(np.median(both)),
        "ratio": float(np.median(both / (first + second))),
        "ratio_of_least": float(both.min() / (first.min() + second.min())),
    }


def main():
    args = arguments(__doc__.splitlines()[0], only="", splits=SPLITS)
    record = Record(NAME)
    parts = args.only.split(",") if args.only else None

    def wanted(part):
        return parts is None or part in parts

    if wanted("steps"):
        for kinds in (["bernoulli", "bernoulli"], ["bernoulli", "gaussian"]):
            record({"part": "steps", "kinds": kinds}, lambda kinds=kinds: steps(kinds))
    data = load(args.data, "mfeat")
    if data is None:
        return
    for seed in range(args.splits):
        for names in PAIRS:
            pair = Pair(data, names, seed)
            case = {"modalities": "+".join(names), "split": seed}
            if wanted("columns"):
                record({"part": "columns"} | case, lambda pair=pair: columns_of(pair))
            for name, (kind, parameters) in MODELS.items():
                case, kept = case | {"model": name}, []

                def model(kind=kind, parameters=parameters, pair=pair, seed=seed, kept=kept):
                    if not kept:
                        unfitted = made(kind, parameters, pair, seed)
                        kept.append(unfitted.fit(pair.X[pair.train]))
                    return kept[0]

                if wanted("features"):
                    record(
                        {"part": "features"} | case,
                        lambda model=model, pair=pair: features(model(), pair),
                    )
                if wanted("draws") and "pix" in names and seed < DRAWN_SPLITS:
                    record(
                        {"part": "draws"} | case,
                        lambda model=model, pair=pair: draws(model(), pair),
                    )
                if wanted("likelihood") and not seed and not parameters:
                    record(
                        {"part": "likelihood"} | case,
                        lambda k=kind, p=parameters, pair=pair, s=seed: likelihood(
                            k, p, pair, s
                        ),
                    )


if __name__ == "__main__":
    main()
