"""The metadata agree with each other, and a release states where it is from."""

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sklearn_dbn import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = ["README.md", "pyproject.toml", "CITATION.cff"]
REPOSITORY, SITE = "https://host.example/owner/name", "https://owner.example/name"


@pytest.fixture
def release(tmp_path):
    """The files that a release changes, with the address of a repository."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    script = ROOT / ".ci/set_address"
    call = [sys.executable, str(script), f"{REPOSITORY}/", SITE, "v1.0.0", str(tmp_path)]
    subprocess.run(call, check=True)
    assert subprocess.run(call, check=False, capture_output=True).returncode
    return tmp_path


def test_a_release_has_absolute_links_to_files_that_exist(release):
    before = (ROOT / "README.md").read_text()
    after = (release / "README.md").read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", after)
    assert len(links) == len(re.findall(r"\]\(([^)\s]+)\)", before))
    assert links
    for link in links:
        assert link.startswith("https://")
        if link.startswith(REPOSITORY):
            view, revision, path = link.removeprefix(f"{REPOSITORY}/").split("/", 2)
            assert view == ("raw" if path.endswith(".png") else "blob")
            assert revision == "v1.0.0"
            assert (ROOT / path.partition("#")[0]).exists(), path


def test_a_release_has_the_urls_of_its_project(release):
    changed = tomllib.loads((release / "pyproject.toml").read_text())
    urls = changed["project"].pop("urls")
    assert changed == PROJECT
    assert urls["Source"] == REPOSITORY
    assert urls["Documentation"] == SITE
    assert (ROOT / urls["Changelog"].partition("v1.0.0/")[2]).exists()
    citation = (release / "CITATION.cff").read_text()
    assert f'repository-code: "{REPOSITORY}"\n' in citation


def test_an_absolute_link_and_a_place_on_the_page_stay():
    absolute = runpy.run_path(str(ROOT / ".ci/set_address"))["absolute"]
    for text in ("[a](https://b.example)", "[a](#b)", "a (b)", "[a] (b)"):
        assert absolute(text, REPOSITORY, "v1") == text
    assert absolute("![a\nb](c.png)", REPOSITORY, "v1") == f"![a\nb]({REPOSITORY}/raw/v1/c.png)"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_the_citation_names_the_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in citation
    assert re.search(r'^date-released: "\d{4}-\d\d-\d\d"$', citation, re.MULTILINE)


def test_the_oldest_versions_are_those_that_the_package_asks_for():
    asked = {}
    for one in map(Requirement, PROJECT["project"]["dependencies"]):
        (bound,) = one.specifier
        assert bound.operator == ">="
        asked[one.name] = bound.version
    for one in map(Requirement, PROJECT["dependency-groups"]["oldest"]):
        (pin,) = one.specifier
        assert pin.operator == "=="
        # Others are what the tests need.
        least = asked.pop(one.name, pin.version)
        assert pin.version == least or pin.version == f"{least}.0", one.name
    assert not asked


def test_every_action_is_pinned_by_its_hash():
    for path in ROOT.glob(".github/workflows/*.yml"):
        uses = re.findall(r"uses: (.+)", path.read_text())
        assert uses, path.name
        for action in uses:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v[\d.]+", action), action
