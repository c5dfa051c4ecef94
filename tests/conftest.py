"""Settings that every test shares."""

import os

import matplotlib
from hypothesis import settings
from threadpoolctl import threadpool_limits

matplotlib.use("Agg")

settings.register_profile("project", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("project")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes of two BLAS threads each are far slower on two cores than one alone.
    threadpool_limits(1, user_api="blas")
