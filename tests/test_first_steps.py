"""Errors of the first steps of a new user name what to do next."""

import re
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from packaging.specifiers import SpecifierSet
from sklearn.datasets import load_digits

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import (
    ChainsDisplay,
    FiltersDisplay,
    HistoryDisplay,
    RetentionDisplay,
    SamplesDisplay,
)

RBM = RBMTransformer(2, n_iter=1)
EVERY_ESTIMATOR = [
    RBM,
    DBNTransformer(2, rbm=RBM),
    DBMTransformer(2, rbm=RBM),
    DBNClassifier(RBM, n_iter=1),
]
ONE_SENTENCE = r"[^.]+(\.\S[^.]*)*\."
ROOT = Path(__file__).parents[1]


def one_sentence(error):
    """The message, which is one sentence: no full stop but at its end and within names."""
    text = str(error.value)
    assert re.fullmatch(ONE_SENTENCE, text), text
    return text


@pytest.mark.parametrize("too_old", ["3.9.7", "3.10.14"])
def test_the_metadata_names_the_oldest_python(too_old):
    asked = SpecifierSet(metadata("sklearn-dbn")["Requires-Python"])
    assert too_old not in asked
    assert "3.11.0" in asked


def name(estimator):
    return type(estimator).__name__


@pytest.mark.parametrize("estimator", EVERY_ESTIMATOR, ids=name)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_text_in_a_frame_is_a_category(estimator, frame):
    X = frame({"age": [0.3, 0.5, 0.2], "colour": ["red", "blue", "red"]})
    assert estimator.fit(X, [0, 1, 0]).n_features_in_ == 2


def test_text_in_an_array_is_named():
    with pytest.raises(ValueError, match=r"'b' in column 1,.*categorical") as error:
        RBM.fit([["1", "2"], ["3", "b"]])
    one_sentence(error)


def test_text_is_named_by_transform_as_well():
    rbm = RBMTransformer(2, n_iter=1).fit(pd.DataFrame({"a": [0.1, 0.9], "b": [0.2, 0.3]}))
    with pytest.raises(ValueError, match="'no' in column 'b'"):
        rbm.transform(pd.DataFrame({"a": [0.1], "b": ["no"]}))


def test_numbers_written_as_text_are_numbers():
    assert RBM.fit([["0.5", "1"], ["0", "0.25"]]).n_features_in_ == 2


@pytest.mark.parametrize("estimator", EVERY_ESTIMATOR, ids=name)
def test_unscaled_data_for_units_in_the_unit_interval(estimator):
    X, y = load_digits(return_X_y=True)
    path = {
        RBMTransformer: "visible",
        DBNClassifier: "transformer__visible",
    }.get(type(estimator), "rbm__visible")
    estimator.set_params(**{path: "bernoulli"})
    with pytest.raises(ValueError, match=r"column 1.*MinMaxScaler.*gaussian") as error:
        estimator.fit(X, y)
    one_sentence(error)
    estimator.set_params(**{path: "auto"})


DISPLAYS = [ChainsDisplay, FiltersDisplay, HistoryDisplay, RetentionDisplay, SamplesDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_a_display_names_the_extra(display, monkeypatch):
    rbm = RBMTransformer(4, n_iter=1, random_state=0)
    X = np.array([[0.0, 1.0, 0.5, 0.2]] * 4)
    if display is RetentionDisplay:
        given = DBNClassifier(rbm, n_iter=1).fit(X, [0, 1, 0, 1]), X
    else:
        given = (rbm.fit(X),)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"sklearn-dbn\[plot\]") as error:
        display.from_estimator(*given)
    assert f"{display.__name__}.from_estimator" in one_sentence(error)


def test_without_distributed_a_dask_array_names_the_extra(monkeypatch):
    da = pytest.importorskip("dask.array")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(TypeError, match=r"partial_fit.*sklearn-dbn\[dask\]") as error:
        RBM.fit(da.zeros((4, 2)))
    one_sentence(error)


def test_the_extras_that_messages_name_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra
        for file in (ROOT / "sklearn_dbn").rglob("*.py")
        for extra in re.findall(r"sklearn-dbn\[(\w+)\]", file.read_text())
    }
    assert named >= {"plot", "dask"}
    assert named <= set(extras["optional-dependencies"])
