"""What the pages for contributors say is true."""

import ast
import importlib
import re
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sklearn_dbn import RBMTransformer
from sklearn_dbn._random import Stream
from sklearn_dbn.units import UNITS, UnitMoments

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/extend"
FIELD = np.array([[-2.0, 0.1, 1.5]])


def test_the_page_includes_the_source_and_the_contract():
    page = (DOCS / "unit-type.md").read_text()
    for file in ("../../sklearn_dbn/units/_spin.py", "../../sklearn_dbn/units/_base.py"):
        assert f"{{literalinclude}} {file}\n" in page
        assert (DOCS / file).exists()


def test_functions_of_the_example_follow_from_the_sum_over_two_states():
    spin = UNITS["spin"]
    eps = 1e-6
    up, down = np.exp(FIELD), np.exp(-FIELD)
    np.testing.assert_allclose(spin.log_partition(FIELD, None), np.log(up + down).sum(axis=1))
    np.testing.assert_allclose(spin.mean(FIELD, None), (up - down) / (up + down))
    slope = (spin.mean(FIELD + eps, None) - spin.mean(FIELD - eps, None)) / (2 * eps)
    np.testing.assert_allclose(spin.variance(FIELD, None), slope, rtol=1e-6)
    par = FIELD[:1]
    actual = spin.log_partition_change(FIELD, par, 0 * FIELD + 1, par)
    np.testing.assert_allclose(actual, np.log((up + down) / (np.e * up + down / np.e)).sum())
    par = spin.independent(UnitMoments(np.array([-0.5, 0.0, 0.9]), None))
    np.testing.assert_allclose(spin.mean(par, par)[0], [-0.5, 0.0, 0.9])
    draw = spin.sample(np.repeat(FIELD, 100_000, axis=0), None, Stream(0))
    assert set(np.unique(draw)) == {-1.0, 1.0}
    np.testing.assert_allclose(draw.mean(axis=0), spin.mean(FIELD, None)[0], atol=0.02)


def test_it_trains_as_hidden_units():
    X = load_digits().data[:100] / 16
    H = RBMTransformer(5, hidden="spin", n_iter=3, random_state=0).fit_transform(X)
    assert ((-1 <= H) & (H <= 1)).all()
    assert H.min() < 0 < H.max()


def test_the_map_of_the_architecture_page_names_the_modules_that_exist():
    text = (DOCS / "architecture.md").read_text()
    package = ROOT / "sklearn_dbn"
    named = set(re.findall(r"(?:[a-z_]+/)?_[a-z_]+\.py", text))
    existing = {path.name for path in package.rglob("_*.py")}
    assert {name.split("/")[-1] for name in named} <= existing
    # A display has a file of its own; modules of the root are named without their ending.
    modules = {p.stem for p in package.rglob("_[a-z]*.py") if p.parent.name != "inspection"}
    assert {stem for stem in modules if stem not in text} == set()


def test_benchmarks_and_examples_import_names_that_exist():
    missing = []
    for path in [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sklearn_dbn"):
                module = importlib.import_module(node.module)
                names = [alias.name for alias in node.names]
                missing += [(path.name, name) for name in names if not hasattr(module, name)]
    assert not missing
