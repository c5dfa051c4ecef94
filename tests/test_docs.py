"""Every block of Python in the documentation runs, and prints what is shown below it.

The blocks of a page run in order and in one namespace. A block of ``text`` right below is what
they print: words as they stand there, numbers to a tenth, as they move from machine to machine.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from sklearn import datasets
from sklearn.datasets import load_digits

from sklearn_dbn import RBMTransformer

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "recipes.md"]
PAGES = [page for page in PAGES if "```python" in page.read_text()]
FENCED = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def blocks(page):
    """Kind, text and first line of each block."""
    source = page.read_text()
    for match in FENCED.finditer(source):
        yield match[1], match[2], source.count("\n", 0, match.start(2))


def run(code, line, page, scope):
    # As many empty lines as there are above, so that a traceback names the line of the page.
    exec(compile("\n" * line + code, page, "exec"), scope)


def matches(printed, shown):
    """The same words, and numbers within a tenth or two in the last digit that is shown."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", shown).split():
        return False
    for ours, theirs in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        if "." not in theirs and ours != theirs:
            return False
        digits = len(theirs.partition(".")[2])
        if abs(float(ours) - float(theirs)) > 0.1 * abs(float(theirs)) + 2 * 10**-digits:
            return False
    return True


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_print_what_is_shown(page, folder, capsys):
    scope = {"__name__": "__main__"}
    printed = ""
    for kind, text, line in blocks(page):
        if kind == "python":
            assert not printed, f"{page.name}:{line}: nothing shows what was printed: {printed}"
            run(text, line, str(page), scope)
            # A progress bar is no result.
            lines = capsys.readouterr().out.splitlines()
            printed = "\n".join(line for line in lines if "━" not in line)
        else:
            assert matches(printed, text), f"{page.name}:{line}: this was printed:\n{printed}"
            printed = ""
    assert not printed, f"{page.name}: nothing shows what was printed: {printed}"


@pytest.mark.slow
def test_the_example_of_the_readme_runs(folder, capsys, monkeypatch):
    (code,) = [text for kind, text, _ in blocks(ROOT / "README.md") if kind == "python"]
    # A few rows and passes; the figures beside it are from all rows and fifty passes.
    some = load_digits(return_X_y=True)
    monkeypatch.setattr(datasets, "load_digits", lambda **_: [x[:200] for x in some])
    monkeypatch.setitem(RBMTransformer.__init__.__kwdefaults__, "n_iter", 1)
    run(code, 0, "README.md", {"__name__": "__main__"})
    pixels, layers = capsys.readouterr().out.splitlines()
    assert "dbntransformer" in pixels
    assert "dbntransformer__layers" in layers


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("acc 0.95", "acc 0.97", True),
        ("acc 0.75", "acc 0.97", False),
        ("-21.3 nats", "-22.0 nats", True),
        ("-21.3 nats", "-25.0 nats", False),
        ("layers 2", "layers 1", False),
        ("0.02", "0.01", True),
        ("good", "bad", False),
        ("a", "a b", False),
    ],
)
def test_words_and_whole_numbers_are_compared_exactly(printed, shown, same):
    assert matches(printed, shown) is same
