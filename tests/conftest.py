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

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes of two BLAS threads each are far slower on two cores than one alone.
    threadpool_limits(1, user_api="blas")


@pytest.fixture
def count(tmp_path, monkeypatch):
    """How many layers were trained since the last call, in all processes."""
    folder = tmp_path / "counted"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    # Worker processes have to find the module of CountedRBM.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    # Workers that are still there from an earlier test have its environment.
    get_reusable_executor().shutdown(wait=True)
    seen = 0

    def trained():
        nonlocal seen
        total = len(list(folder.iterdir()))
        new, seen = total - seen, total
        return new

    return trained
