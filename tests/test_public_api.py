"""The public names are complete, documented, and described in the HTML repr."""

import html
import inspect
import re
import subprocess
import sys
import tomllib
from email.message import Message
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from packaging.requirements import Requirement

import sklearn_dbn
from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn.estimators import _base

DATA = ["TRUSTED_TYPES", "__version__", "inspection"]
PUBLIC = [name for name in sklearn_dbn.__all__ if name not in DATA]
ROOT = Path(__file__).parents[1]
USERS_EXTRAS = ["plot", "progress", "dask", "torch", "skops"]
GENERATORS = [RBMTransformer, DBNTransformer, DBMTransformer]
ESTIMATORS = [*GENERATORS, DBNClassifier, DBNRegressor]


def documented(section):
    return [name for entry in section for name in entry.name.split(", ")]


def test_all_names_what_is_there():
    there = {
        name
        for name, value in vars(sklearn_dbn).items()
        if inspect.isclass(value) or inspect.isfunction(value)
        # `__getattr__` and `__dir__` are for Python, and the rest is from elsewhere.
        if not name.startswith("__") and value.__module__.startswith("sklearn_dbn")
    }
    assert set(PUBLIC) == there


def test_inspection_is_an_attribute_and_private_packages_are_not_listed():
    code = (
        "import sys, sklearn_dbn\n"
        "assert 'sklearn_dbn.inspection' not in sys.modules\n"
        "print(dir(sklearn_dbn) == sorted(sklearn_dbn.__all__))\n"
        "print(sklearn_dbn.inspection.HistoryDisplay.__name__, 'matplotlib' in sys.modules)\n"
        "print(hasattr(sklearn_dbn, 'unknown'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "HistoryDisplay", "False", "False"], done.stderr


def test_versions_are_those_of_the_dependencies_and_name_no_path(capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *chain.from_iterable(map(extras.get, USERS_EXTRAS))]
    sklearn_dbn.show_versions()
    printed = capsys.readouterr().out
    for name in (Requirement(one).name for one in asked):
        assert f"\n{name}: " in printed
    assert f"\nnumpy: {np.__version__}\n" in printed
    assert "blas threads: " in printed
    assert str(Path.home()) not in printed


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


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_html_repr_names_no_local_path(estimator):
    shown = estimator()._repr_html_()
    assert "file:" not in shown
    assert str(ROOT) not in shown


@pytest.mark.parametrize(
    ("urls", "link"),
    [
        (
            ["Source, https://a.b/c", "Documentation, https://d.e/f/"],
            "https://d.e/f/api/generated/sklearn_dbn.RBMTransformer.html",
        ),
        (["Source, https://a.b/c"], "#"),
        (None, "#"),
    ],
)
def test_the_html_repr_links_to_the_documentation_of_a_published_package(
    urls, link, monkeypatch
):
    def metadata(name):
        if urls is None:
            raise _base.PackageNotFoundError
        found = Message()
        for url in urls:
            found["Project-URL"] = url
        return found

    monkeypatch.setattr(_base, "metadata", metadata)
    monkeypatch.setattr(_base, "_documentation", _base._documentation.__wrapped__)
    assert f'href="{link}"' in RBMTransformer()._repr_html_()
