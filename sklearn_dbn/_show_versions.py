"""What a report of a bug should state of the installation."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from ._version import __version__

# The dependencies in pyproject.toml, then those of its extras for users.
_REQUIRED = (
    "scikit-learn",
    "numpy",
    "scipy",
    "joblib",
    "threadpoolctl",
    "array-api-compat",
    "narwhals",
)
_OPTIONAL = ("matplotlib", "rich", "dask", "distributed", "torch", "skops")


def show_versions() -> None:
    """Print the versions of Python, of the dependencies and of BLAS, for a report of a bug.

    It prints no path and no name of a user or machine.

    Examples
    --------
    >>> from sklearn_dbn import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    sklearn-dbn: ...
    python: ...
    """
    lines = {
        "sklearn-dbn": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: _version_of(name) for name in (*_REQUIRED, *_OPTIONAL)},
    }
    for name, found in lines.items():
        print(f"{name}: {found}")
    for pool in threadpool_info():
        kind = f"{pool['user_api']} threads"
        print(f"{kind}: {pool['num_threads']} ({pool['internal_api']} {pool['version']})")


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
