"""Parameters of estimators as plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(x: Any) -> Any:
    """A NumPy number as a Python number, which does not change the dtype of arrays.

    True becomes 1, as it passes validation as an integer.
    """
    x = x.item() if isinstance(x, np.generic) else x
    return int(x) if isinstance(x, bool) else x


class PlainParameters:
    """The attributes of an estimator, with Python numbers for NumPy numbers."""

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def __getattr__(self, name: str) -> Any:
        return plain(getattr(self._estimator, name))
