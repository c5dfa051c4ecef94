"""Parameters of estimators as plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(x: Any) -> Any:
    """A number of NumPy as one of Python, which leaves the precision of arrays as it is.

    True is the integer 1, which it is validated as.
    """
    x = x.item() if isinstance(x, np.generic) else x
    return int(x) if isinstance(x, bool) else x


class PlainParameters:
    """The attributes of an estimator, with numbers of Python in the place of NumPy's."""

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def __getattr__(self, name: str) -> Any:
        return plain(getattr(self._estimator, name))
