"""Arrays of other libraries than NumPy in files of estimators.

A file holds each of them as an array of NumPy, with the names of its library and device. It is
restored there if these are installed, and as an array of NumPy if not: what was fitted on a GPU
can be used where there is none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import array_api_compat
import numpy as np

from ._array_api import device, is_foreign, namespace, to_numpy


@dataclass
class StoredArray:
    """An array of another library, on the host.

    Parameters
    ----------
    values : array of NumPy
    library : str
        The module of its functions.
    device : str
    """

    values: np.ndarray
    library: str
    device: str

    @classmethod
    def of(cls, x: Any) -> StoredArray:
        return cls(np.array(to_numpy(x)), namespace(x).__name__, str(device(x)))

    def restored(self) -> Any:
        """The array in its library and on its device, or of NumPy if these are not there."""
        try:
            xp = import_module(self.library)
            like = xp.asarray(0.0)
            if array_api_compat.is_array_api_strict_namespace(xp):
                # Its devices have names, and no text stands for one.
                name = self.device.partition("'")[2].partition("'")[0]
                return xp.asarray(self.values, device=xp.Device(name))
            return namespace(like).asarray(self.values, device=self.device)
        except (ImportError, RuntimeError, ValueError, AssertionError):
            return self.values


def stored(x: Any) -> Any:
    """A copy of ``x`` with a `StoredArray` for each array of another library, at any depth."""
    return _mapped(x, is_foreign, StoredArray.of, {})


def with_arrays(x: Any, function: Callable[[Any], Any]) -> Any:
    """A copy of ``x`` with ``function`` of each array, at any depth."""
    return _mapped(x, array_api_compat.is_array_api_obj, function, {})


def restored(x: Any) -> Any:
    """The inverse of `stored`."""
    return _mapped(x, lambda y: isinstance(y, StoredArray), StoredArray.restored, {})


def _mapped(
    x: Any, test: Callable[[Any], bool], convert: Callable[[Any], Any], made: dict
) -> Any:
    """``x`` with ``convert`` of all for which ``test`` is true; ``x`` itself without any.

    An object that occurs twice becomes one object again.
    """
    if id(x) in made:
        return made[id(x)][1]
    if test(x):
        found = convert(x)
    elif isinstance(x, dict):
        found = {key: _mapped(value, test, convert, made) for key, value in x.items()}
        found = x if all(found[key] is x[key] for key in x) else found
    elif isinstance(x, list | tuple):
        parts = [_mapped(value, test, convert, made) for value in x]
        same = all(a is b for a, b in zip(parts, x, strict=True))
        found = x if same else _like(x, parts)
    elif _is_ours(x):
        state = _mapped(vars(x), test, convert, made)
        found = x
        if state is not vars(x):
            found = copy.copy(x)
            vars(found).update(state)
    else:
        return x
    # With the original, whose number would be given to another object without it.
    made[id(x)] = x, found
    return found


def _like(x: list | tuple, parts: list) -> Any:
    """A sequence of the type of ``x``."""
    if isinstance(x, list):
        return parts
    return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)


def _is_ours(x: Any) -> bool:
    """Whether ``x`` is an object of this package that holds its state itself."""
    kind = type(x)
    ours = kind.__module__.partition(".")[0] == __package__ and not isinstance(x, type)
    # Estimators, and the draws of PyTorch, store their own state.
    return ours and hasattr(x, "__dict__") and not hasattr(kind, "__sklearn_tags__")
