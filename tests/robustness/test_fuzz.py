"""Any call of an estimator gives a finite result, or an error that names what is wrong."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn.samplers import SAMPLERS

GOOD = np.random.default_rng(0).random((8, 3))
RBM = RBMTransformer(3, n_iter=1, random_state=0)
FITTED = {
    "rbm": clone(RBM).fit(GOOD),
    "dbn": DBNTransformer((3, 2), rbm=RBM, random_state=0).fit(GOOD),
    "dbm": DBMTransformer((3, 2), rbm=RBM, random_state=0).fit(GOOD),
}

# Values that no documentation mentions, for any parameter.
JUNK = [
    None, True, -1, 0, 0.5, 1.5, np.nan, np.inf, -np.inf, "no", "", b"auto", [], (), {},
    [0, "a"], {"a": 1}, np.array([1.0, 2.0]), np.float32(0.5), np.int64(2), 1j, object(),
    RBMTransformer, StandardScaler(), len, slice(None), FrozenEstimator(clone(RBM)),
]  # fmt: skip

TRAINING = {
    "visible": ["auto", "bernoulli", "gaussian"],
    "hidden": ["bernoulli", "gaussian"],
    "sampler": list(SAMPLERS),
    "n_gibbs_steps": [1, 2],
    "n_chains": [None, 1, 3],
    "n_temperatures": [2, 3],
    "learning_rate": ["auto", 1e-9, 0.1, 1, 1e3, 1e30, 1e300],
    "learning_rate_schedule": ["linear", "cosine", "constant"],
    "momentum": [0, 0.5, 0.99],
    "averaging_fraction": [1e-9, 0.1, 1],
    "batch_size": [1, 2, 10, 10**4],
    "n_iter": [0, 1, 2],
    "centered": [True, False],
    "sample_inputs": [True, False],
    "weight_decay": [0, 1e-3, 1e6],
    "sparsity_target": [None, 1e-9, 0.1],
    "sparsity_cost": [0, 0.1, 1e9],
    "validation_fraction": [0, 0.01, 0.3, 0.99],
    "warm_start": [True, False],
    "random_state": [0, None, np.random.RandomState(0), 2**32 - 1],
    "verbose": [0],
}
SELECTION = {
    "layers": [-1, 0, 1, "all", slice(None), slice(1, None), [0], (1, 0), [-2], np.array([1])],
    "units": [
        None, 1, 2, 0.5, 1.0, {0: [0]}, {-1: 1}, {0: slice(0, 2)}, {1: [True, False]},
        SelectKBest(f_classif, k=1), SelectKBest(f_classif, k=50), VarianceThreshold(), {0: -3},
        {1: np.array([-1])}, {0: 0.5, 1: 1},
    ],
    "unit_score": ["information", "variance", f_classif, lambda H, y: H[0], lambda H, y: 3],
    "passthrough": [True, False],
    "output": ["probability", "logit", "binary"],
    "warm_start": [True, False],
    "random_state": [0, None, np.random.RandomState(0)],
}  # fmt: skip
TEMPLATES = [
    RBM,
    RBMTransformer(n_iter=1, hidden="gaussian", visible="gaussian"),
    RBMTransformer(n_iter=1, sampler="tempering", n_temperatures=2, validation_fraction=0.3),
    RBMTransformer(n_iter=2, momentum=0.5, sparsity_target=0.2, sample_inputs=False),
    RBMTransformer(n_iter=1, learning_rate=1e30),
    RBMTransformer(n_iter=1, batch_size=0),
    RBMTransformer(n_iter=1, visible="bernoulli"),
]
SIZES = [(3, 2), (2, 2), [2, 3], 3, (3,), np.array([2, 2]), (1, 1), (3, 2, 2), (3, 0), (2, 1.5)]
TUNING = {
    "transformer": [
        RBM,
        DBNTransformer((3, 2), rbm=RBM),
        DBNTransformer((3, 2), rbm=RBM, units=SelectKBest(f_classif, k=1)),
        DBMTransformer((3, 2), rbm=RBM),
        DBMTransformer((3, 2), rbm=RBMTransformer(n_iter=1, hidden="gaussian")),
        *map(FrozenEstimator, FITTED.values()),
    ],
    "fine_tune": ["all", "head", 0, 1, 2, (0.5, 1), [0], (0.0, 2.0), 7, (-1, 1)],
    "solver": ["adam", "sgd", "lbfgs", "cg"],
    "learning_rate": [1e-9, 0.01, 1, 1e6, 1e30],
    "learning_rate_schedule": ["linear", "cosine", "constant"],
    "momentum": [0, 0.9],
    "batch_size": [1, 3, 10**6],
    "n_iter": [0, 1, 2],
    "dropout": [0, 0.5, 0.99],
    "hidden_dropout": [0, 0.5, 0.99],
    "adversarial_eps": [0, 1, 1e30],
    "virtual_adversarial_eps": [0, 1, 1e30],
    "centered": [True, False],
    "max_norm": [None, 1e-9, 1],
    "weight_decay": [0, 0.1, 1e9],
    "early_stopping": [True, False],
    "validation_fraction": [0.01, 0.3, 0.99],
    "n_iter_no_change": [1, 5],
    "generative_weight": [0, 0.1, 1e6],
    "tie_weights": [True, False],
    "top_down_input": [True, False],
    "warm_start": [True, False],
    "random_state": [0, None],
    "verbose": [0],
}
FORMS = {
    RBMTransformer: {"n_components": [1, 3], **TRAINING},
    DBNTransformer: {
        "hidden_layer_sizes": SIZES,
        "rbm": [*TEMPLATES, [RBM, TEMPLATES[1]], (RBM,), [RBM, None]],
        "pretrained": [None, FrozenEstimator(FITTED["dbn"]), FrozenEstimator(FITTED["rbm"])],
        **SELECTION,
    },
    DBMTransformer: {
        "hidden_layer_sizes": SIZES,
        "rbm": [*TEMPLATES, [RBM, RBM]],
        "n_mean_field_steps": [0, 1, 3],
        "negative_phase": ["sampled", "partial_mean_field"],
        "inference": ["mean_field", "single_pass"],
        "tol": [1e-4, 1e-300, 10],
        "max_mean_field_steps": [1, 30],
        "damping": [0, 0.5, 0.99],
        "pretrain": ["auto", "doubled", "first_layer", None],
        "pretrain_rbm": [None, *TEMPLATES],
        **SELECTION,
    },
    DBNClassifier: {
        **TUNING,
        "label_smoothing": [0, 0.1, 0.99],
        "class_weight": [
            None,
            "balanced",
            {0: 2.0, 1: 0.0},
            {"a": 1.0},
            {0: -1.0},
            {0: np.nan},
        ],
        "unlabeled": [None, -1, 0, "a", 1.0],
    },
    DBNRegressor: TUNING,
}
# Small, where a parameter is left out.
SMALL = {
    RBMTransformer: RBM,
    DBNTransformer: DBNTransformer((3, 2), rbm=RBM, random_state=0),
    DBMTransformer: DBMTransformer((3, 2), rbm=RBM, random_state=0),
    DBNClassifier: DBNClassifier(DBNTransformer((3, 2), rbm=RBM), n_iter=1, random_state=0),
    DBNRegressor: DBNRegressor(DBMTransformer((3, 2), rbm=RBM), n_iter=1, random_state=0),
}

DATE = np.array(datetime.date(2020, 1, 1), dtype=object)


def is_last_column(x):
    return np.arange(x.shape[-1]) == x.shape[-1] - 1


VALUES = {
    "grey": lambda x: x,
    "bits": lambda x: np.round(x),
    "constant": lambda x: 0 * x + 0.3,
    "zero": lambda x: 0 * x,
    "one constant column": lambda x: np.where(np.arange(x.shape[-1]) == 0, 1.0, x),
    "duplicated rows": lambda x: 0 * x + x[:1],
    "signed": lambda x: x - 0.5,
    "wide": lambda x: 1e4 * (x - 0.5),
    "huge": lambda x: 1e30 * x,
    "huger": lambda x: 1e300 * x,
    "shifted": lambda x: 1e8 + x,
    "tiny": lambda x: 1e-30 * x,
    "subnormal": lambda x: 1e-310 * x,
    "scales": lambda x: x * 10.0 ** (20 * np.arange(x.shape[-1])),
    "outlier": lambda x: np.where(x == x.max(initial=0), 1e6, x),
    "some NaN": lambda x: np.where(x < 0.3, np.nan, x),
    "NaN column": lambda x: np.where(np.arange(x.shape[-1]) == 0, np.nan, x),
    "NaN row": lambda x: np.where(np.arange(len(x))[:, None] == 0, np.nan, x),
    "all NaN": lambda x: np.nan * x,
    "infinite": lambda x: np.where(x < 0.1, np.inf, x),
    "infinity in a column": lambda x: np.where(is_last_column(x), np.inf, x),
    "a huge column": lambda x: np.where(is_last_column(x), 1e200, x),
    "gaps and scales": lambda x: np.where(x < 0.3, np.nan, 1e3 * x),
}
CONTAINERS = {
    "array": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "ints": lambda x: np.nan_to_num(10 * x).astype(np.int64),
    "bytes": lambda x: np.nan_to_num(200 * x).astype(np.uint8),
    "bool": lambda x: x > 0.5,
    "objects": lambda x: x.astype(object),
    "strings": lambda x: x.astype(str),
    "words": lambda x: np.where(x > 0.5, "yes", "no"),
    "mixed": lambda x: np.where(x > 0.9, "yes", x.astype(object)),
    "text in a column": lambda x: np.where(is_last_column(x), "text", x.astype(object)),
    "dates in a column": lambda x: np.where(is_last_column(x), DATE, x.astype(object)),
    "complex": lambda x: x + 1j,
    "dates": lambda x: np.nan_to_num(x).astype("datetime64[D]", casting="unsafe"),
    "list": lambda x: x.tolist(),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[:, ::2],
    "read-only": lambda x: np.broadcast_to(x, x.shape),
    "frame": lambda x: pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])]),
    "frame of ints": lambda x: pd.DataFrame(np.nan_to_num(9 * x)).astype("Int64"),
    "frame32": lambda x: pd.DataFrame(x.astype(np.float32)),
    "frame of words": lambda x: pd.DataFrame(x).astype(str).astype("category"),
    "twice the name": lambda x: pd.DataFrame(x, columns=["c"] * x.shape[1]),
    "csr": sp.csr_array,
    "csr matrix": sp.csr_matrix,
    "csc32": lambda x: sp.csc_array(x.astype(np.float32)),
    "coordinates": sp.coo_array,
    "one row": lambda x: x[0],
    "series": lambda x: pd.Series(x[:, 0]),
    "cube": lambda x: x[None],
    "none": lambda x: None,
    "a word": lambda x: "rows",
}  # fmt: skip
LABELS = {
    "classes": lambda x: np.arange(len(x)) % 2,
    "three": lambda x: np.arange(len(x)) % 3,
    "words": lambda x: np.array(["a", "b"])[np.arange(len(x)) % 2],
    "objects": lambda x: np.array(["a", "b"], dtype=object)[np.arange(len(x)) % 2],
    "one class": lambda x: np.zeros(len(x), dtype=int),
    "floats": lambda x: np.linspace(-1, 1, len(x)),
    "float classes": lambda x: np.arange(len(x)) % 2.0,
    "huge": lambda x: 1e300 * np.arange(len(x)),
    "constant": lambda x: np.full(len(x), 1e-300),
    "bool": lambda x: np.arange(len(x)) % 2 == 0,
    "indicator": lambda x: np.arange(2 * len(x)).reshape(-1, 2) % 2,
    "column": lambda x: (np.arange(len(x)) % 2)[:, None],
    "two targets": lambda x: np.linspace(0, 1, 2 * len(x)).reshape(-1, 2),
    "unlabeled": lambda x: np.where(np.arange(len(x)) % 3, np.arange(len(x)) % 2, -1),
    "NaN": lambda x: np.where(np.arange(len(x)) == 0, np.nan, 1.0),
    "infinite": lambda x: np.where(np.arange(len(x)) == 0, np.inf, 1.0),
    "short": lambda x: np.arange(max(0, len(x) - 1)) % 2,
    "none": lambda x: None,
    "series": lambda x: pd.Series(np.arange(len(x)) % 2, name="y"),
    "sparse": lambda x: sp.csr_array(np.arange(2 * len(x)).reshape(-1, 2) % 2),
    "a word": lambda x: "labels",
    "cube": lambda x: np.zeros((len(x), 1, 2)),
}
WEIGHTS = {
    "none": lambda x: None,
    "ones": lambda x: np.ones(len(x)),
    "ints": lambda x: np.arange(1, len(x) + 1),
    "some zero": lambda x: np.arange(len(x)) % 2,
    "one row": lambda x: np.eye(max(1, len(x)))[0][: len(x)],
    "zero": lambda x: np.zeros(len(x)),
    "negative": lambda x: -np.ones(len(x)),
    "NaN": lambda x: np.full(len(x), np.nan),
    "infinite": lambda x: np.full(len(x), np.inf),
    "huge": lambda x: np.full(len(x), 1e300),
    "tiny": lambda x: np.full(len(x), 1e-300),
    "scales": lambda x: 10.0 ** (-30 * np.arange(len(x))),
    "short": lambda x: np.ones(max(0, len(x) - 1)),
    "number": lambda x: 2.0,
    "words": lambda x: np.full(len(x), "a"),
    "table": lambda x: np.ones((len(x), 2)),
}


# Parts of a call, each with its plain value, and with what they are called in messages.
PLAIN = {"shape": (8, 3), "value": "grey", "container": "array", "label": "classes",
         "weight": "none"}  # fmt: skip
NAMES = {"shape": "X", "value": "X", "container": "X", "label": "y", "weight": "sample_weight"}
# Changes of a single column, the last one, which a message has to name.
OF_A_COLUMN = {"infinity in a column", "a huge column", "text in a column", "dates in a column"}


def often(first, others):
    """``first`` half of the time."""
    return st.one_of(st.just(first), st.sampled_from(list(others)))


@st.composite
def calls(draw, kind):
    """Parameters that are not as in `SMALL`, and the calls of a method with its arguments."""
    names = draw(st.lists(st.sampled_from(sorted(FORMS[kind])), max_size=4, unique=True))
    parameters = {}
    for name in names:
        junk = draw(st.sampled_from([False] * 7 + [True]))
        parameters[name] = draw(st.sampled_from(JUNK if junk else FORMS[kind][name]))
    shapes = [(1, 3), (2, 3), (5, 1), (30, 3), (0, 3), (8, 0), (3, 7)]
    steps = []
    for method in draw(st.lists(often("fit", ["partial_fit"]), min_size=1, max_size=2)):
        step = {"method": method, "shape": draw(often(PLAIN["shape"], shapes))}
        step["seed"] = draw(st.integers(0, 9))
        makers = {"value": VALUES, "container": CONTAINERS, "label": LABELS, "weight": WEIGHTS}
        for part, choices in makers.items():
            step[part] = draw(often(PLAIN[part], choices))
        steps.append(step)
    return parameters, steps


def made(maker, x):
    """What ``maker`` makes of ``x``; some containers do not take all values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maker(x)
    except (ValueError, TypeError, OverflowError, IndexError):
        return x


def arguments(step):
    """The rows, the labels and the weights of one call, and how many rows there are."""
    x = np.random.default_rng(step["seed"]).random(step["shape"])
    with np.errstate(all="ignore"):
        x = VALUES[step["value"]](x)
    X, y = made(CONTAINERS[step["container"]], x), made(LABELS[step["label"]], x)
    return X, y, made(WEIGHTS[step["weight"]], x), len(x)


def answers(estimator, X, n_rows):
    """Results of a fitted estimator on rows that it has seen; each is finite, of its shape."""
    H = estimator.transform(X)
    H = H.toarray() if sp.issparse(H) else H
    n_names = len(estimator.get_feature_names_out())
    assert H.shape == (n_rows, n_names)
    assert H.dtype in (np.float32, np.float64)
    found = {"transform": H}
    if isinstance(estimator, DBNClassifier):
        found["predict_proba"] = p = estimator.predict_proba(X)
        assert p.shape == (n_rows, len(estimator.classes_))
        assert len(estimator.predict(X)) == n_rows
    elif isinstance(estimator, DBNRegressor):
        found["predict"] = estimator.predict(X)
        assert len(found["predict"]) == n_rows
    else:
        n_columns = estimator.n_features_in_
        found["inverse_transform"] = estimator.inverse_transform(H)
        found["reconstruct"] = estimator.reconstruct(X)
        assert found["reconstruct"].shape == found["inverse_transform"].shape
        found["sample"] = estimator.sample(2, n_gibbs_steps=2, random_state=0)
        assert found["sample"].shape == (2, n_columns)
    for name, x in found.items():
        # Frames give frames, whose columns may be of any type.
        found[name] = np.asarray(x)
        assert found[name].dtype == object or np.isfinite(found[name]).all(), name
    return found


def refused(call, *arguments, **keywords):
    """The error of a call that is refused, a ValueError or TypeError; ``None`` if it is not."""
    try:
        call(*arguments, **keywords)
    except (ValueError, TypeError) as error:
        return error
    return None


def changes(parameters, steps):
    """Places of a case that are not plain: names of parameters, and parts of steps."""
    places = list(parameters)
    for n, step in enumerate(steps):
        places += [(n, part) for part in PLAIN if step[part] != PLAIN[part]]
    return places


def without(place, parameters, steps):
    """The case with a plain value in one place."""
    if isinstance(place, str):
        return {name: x for name, x in parameters.items() if name != place}, steps
    n, part = place
    return parameters, [*steps[:n], steps[n] | {part: PLAIN[part]}, *steps[n + 1 :]]


def last_error(kind, parameters, steps):
    """The error of the last of the ``steps``, which are called on a new estimator."""
    estimator, error = clone(SMALL[kind]), None
    if refused(estimator.set_params, **parameters):
        return None
    for step in steps:
        if not hasattr(estimator, step["method"]):
            return None
        error = refused(call, estimator, step)
    return error


def call(estimator, step):
    X, y, weight, _ = arguments(step)
    keywords = {"sample_weight": weight}
    if step["method"] == "partial_fit" and isinstance(estimator, DBNClassifier):
        if not hasattr(estimator, "classes_"):
            keywords["classes"] = [0, 1]
    getattr(estimator, step["method"])(X, y, **keywords)


def kind_of(error):
    """The message without its numbers and values."""
    return error and re.sub(r"(?<!The )'[^']*'|\d[\d.e+-]*|=\S+", "", str(error))


def causes(kind, parameters, steps, error):
    """Changes that are needed for the error of the last step: without one there is another."""
    needed = []
    for place in changes(parameters, steps):
        plainer = without(place, parameters, steps)
        if kind_of(last_error(kind, *plainer)) == kind_of(error):
            parameters, steps = plainer
        else:
            needed.append(place)
    return needed


def patterns(place, parameters, steps):
    """Regular expressions of what a change may be called in a message, any of which will do.

    That is a parameter with its value, or one of the template that it is, or the argument of a
    call, or the column of it that was changed.
    """
    if not isinstance(place, str):
        step = steps[place[0]]
        if step[place[1]] in OF_A_COLUMN:
            last = step["shape"][1] - 1
            return [f"column ({last}|'c{last}')(?!\\w)"]
        return [rf"\b{NAMES[place[1]]}\b"]
    value, names = parameters[place], {place}
    for template in value if isinstance(value, list | tuple) else [value]:
        if isinstance(template, BaseEstimator):
            names |= {name.rpartition("__")[2] for name in template.get_params()}
    return [rf"\b{name}(=|\[|' parameter| must| has| holds)" for name in names]


def check(kind, case):
    parameters, steps = case
    estimator = clone(SMALL[kind])
    if refused(estimator.set_params, **parameters):
        return
    fitted = None
    for n, step in enumerate(steps):
        if not hasattr(estimator, step["method"]):
            # As with a solver that needs all rows.
            return
        before = dict(vars(estimator))
        error = refused(call, estimator, step)
        if error is None:
            X, _, _, n_rows = arguments(step)
            fitted = X, n_rows, answers(estimator, X, n_rows)
            continue
        made_wrong = causes(kind, parameters, steps[: n + 1], error)
        names = [x for place in made_wrong for x in patterns(place, parameters, steps)]
        assert any(re.search(name, str(error)) for name in names), (made_wrong, repr(error))
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is before[name] for name in before)
        if fitted is not None:
            again = answers(estimator, *fitted[:2])
            assert all(np.array_equal(again[k], v) for k, v in fitted[2].items())


# Warnings of scikit-learn about input that it accepts.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.filterwarnings("ignore:X has no observed value in column")
@pytest.mark.filterwarnings("ignore:X holds whole numbers")
# Rows of weight zero may hold anything in `fit`.
@pytest.mark.filterwarnings("ignore:X has .* units were not trained on values outside")
@pytest.mark.filterwarnings("ignore:X has the level")
@pytest.mark.filterwarnings("ignore:X has the columns")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.filterwarnings("ignore:k=.* is greater than n_features")
@pytest.mark.filterwarnings("ignore:Features .* are constant")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn.feature_selection")
@pytest.mark.parametrize("kind", FORMS)
def test_a_call_works_or_its_error_names_what_is_wrong(kind, capsys):
    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(kind))
    def run(case):
        check(kind, case)

    run()
