"""The public names are complete, documented, and described in the HTML repr."""

import html
import inspect
import re

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import sklearn_dbn
from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)

DATA = ["TRUSTED_TYPES", "__version__"]
PUBLIC = [name for name in sklearn_dbn.__all__ if name not in DATA]
GENERATORS = [RBMTransformer, DBNTransformer, DBMTransformer]
ESTIMATORS = [*GENERATORS, DBNClassifier, DBNRegressor]


def documented(section):
    return [name for entry in section for name in entry.name.split(", ")]


def test_all_names_what_is_there():
    there = {
        name
        for name, value in vars(sklearn_dbn).items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert set(PUBLIC) == there


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_is_documented_and_no_other(name):
    public = getattr(sklearn_dbn, name)
    doc = ClassDoc(public) if inspect.isclass(public) else FunctionDoc(public)
    signature = [p for p in inspect.signature(public).parameters if p != "self"]
    assert documented(doc["Parameters"]) == signature
    assert doc["Examples"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_public_method_documents_its_parameters_and_its_result(estimator):
    for name, method in inspect.getmembers(estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("sklearn_dbn"):
            continue
        doc = FunctionDoc(method)
        signature = [
            f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name
            for name, parameter in inspect.signature(method).parameters.items()
            if name != "self"
        ]
        assert documented(doc["Parameters"]) == signature, name
        assert doc["Returns"], name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_fitted_attribute_is_documented(estimator):
    X = [[0.1, 0.9], [0.4, 0.2], [0.8, 0.7]]
    if estimator in GENERATORS:
        fitted = estimator(2)
        rbm = {"rbm": RBMTransformer(n_iter=1)}
        fitted.set_params(**({"n_iter": 1} if estimator is RBMTransformer else rbm))
    else:
        fitted = estimator(RBMTransformer(2, n_iter=1), n_iter=1)
    attributes = {
        name
        for name in vars(fitted.fit(X, [0, 1, 0]))
        if name.endswith("_") and not name.startswith("_")
    }
    assert attributes <= set(documented(ClassDoc(estimator)["Attributes"]))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_default_that_is_documented_is_the_default(estimator):
    for entry in ClassDoc(estimator)["Parameters"]:
        default = inspect.signature(estimator).parameters[entry.name].default
        written = re.search(r"default=(.+)$", entry.type).group(1)
        assert written in (str(default), f'"{default}"'), entry.name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_html_repr_explains_every_parameter(estimator):
    shown = html.unescape(re.sub("<[^>]+>", " ", estimator()._repr_html_()))
    words = " ".join(shown.split())
    for entry in ClassDoc(estimator)["Parameters"]:
        assert " ".join(" ".join(entry.desc).split()) in words, entry.name
