"""Type checkers know the options, the fitted attributes and the results of methods."""

import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

from sklearn_dbn import (
    DBMTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMTransformer,
)
from sklearn_dbn._compat import StrOptions

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("user_script.py")
ESTIMATORS = [RBMTransformer, DBNTransformer, DBMTransformer, DBNClassifier, DBNRegressor]
# Parameters without constraints; the code that reads them knows these strings.
UNCONSTRAINED = {"layers": {"all"}, "fine_tune": {"all", "head"}}


def strings_of(hint):
    """The strings that an annotation allows."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*map(strings_of, get_args(hint)))
    return set()


def errors_of_mypy(scripts, folder, monkeypatch):
    """What mypy says of some scripts."""
    pytest.importorskip("mypy")
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={folder / 'mypy'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, scripts)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_options_of_the_signature_are_those_that_are_valid(estimator):
    hints = get_type_hints(estimator.__init__)
    for name in inspect.signature(estimator).parameters:
        allowed = estimator._parameter_constraints[name]
        valid = set(UNCONSTRAINED.get(name, ()))
        for one in allowed if isinstance(allowed, list) else ():
            valid |= one.options if isinstance(one, StrOptions) else set()
        assert strings_of(hints[name]) == valid, name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_annotation_sets_no_attribute(estimator):
    for kind in estimator.__mro__:
        for name in vars(kind).get("__annotations__", ()):
            if name.endswith("_") and not name.startswith("_"):
                assert not hasattr(estimator, name), name


@pytest.mark.slow
def test_mypy_knows_the_types_of_a_script_and_refuses_wrong_ones(tmp_path, monkeypatch):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from sklearn_dbn import DBNTransformer, RBMTransformer\n"
        "import sklearn_dbn; sklearn_dbn.inspection.HistoryDisplay, sklearn_dbn.Unknown\n"
        "RBMTransformer(hidden='bernuolli')\n"
        "number: int = DBNTransformer().rbms_\n"
    )
    # In one call, as most of its time is for what both import.
    said = errors_of_mypy([SCRIPT, wrong], tmp_path, monkeypatch)
    assert "checked 2 source files" in said, said
    assert SCRIPT.name not in said
    assert [f"wrong.py:{line}:" in said for line in (1, 2, 3, 4)] == [False, True, True, True]
    assert "HistoryDisplay" not in said


@pytest.mark.slow
def test_the_script_runs():
    scope = {"__name__": "user_script"}
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), scope)
    scope["main"]()
