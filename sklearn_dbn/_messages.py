"""Values of the user in error messages, shortened."""

from __future__ import annotations

import reprlib
from typing import Any

# Characters of one value, and of one message.
_VALUE, _MESSAGE = 70, 300
_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 12
_SHORT.maxstring = _SHORT.maxlong = _VALUE
# A longer repr, as runs of spaces are removed from it later.
_SHORT.maxother = 4 * _VALUE


def shown(value: Any) -> str:
    """The repr of ``value`` on one line, with its middle left out where it is long."""
    return _cut(" ".join(_SHORT.repr(value).split()), _VALUE)


def short_message(error: BaseException) -> str:
    """The message of an error that another package raised, of at most 300 characters."""
    return _cut(str(error), _MESSAGE)


def failed(name: str, value: Any, error: Exception) -> Exception:
    """The error that ``value``, the parameter ``name``, raised on features and labels."""
    kind = ValueError if isinstance(error, ValueError) else TypeError
    text = f"{name}={shown(value)} failed on the features and y: {error}"
    return kind(_cut(text, _MESSAGE))


def _cut(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    end = size // 3
    return f"{text[: size - end - 3]}...{text[-end:]}"
