"""Settings that every test shares."""

import os
import sys
from pathlib import Path

import matplotlib
import pytest
from helpers.counting import FOLDER
from hypothesis import settings
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

matplotlib.use("Agg")

settings.register_profile("project", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("project")

TESTS = Path(__file__).parent
# Folders whose tests have the marker of that name.
MARKED_FOLDERS = ("common", "robustness")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes of two BLAS threads each are far slower on two cores than one alone.
    threadpool_limits(1, user_api="blas")


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if TESTS in item.path.parents else None
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)


@pytest.fixture
def count(tmp_path, monkeypatch):
    """How many layers were trained since the last call, in all processes."""
    folder = tmp_path / "counted"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    # Worker processes have to find the module of CountedRBM.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *sys.path]))
    # Workers that are still there from an earlier test have its environment.
    get_reusable_executor().shutdown(wait=True)
    seen = 0

    def trained():
        nonlocal seen
        total = len(list(folder.iterdir()))
        new, seen = total - seen, total
        return new

    return trained
