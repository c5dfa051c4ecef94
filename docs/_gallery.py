"""What an example finds when it runs for the documentation as it does from a shell."""

from __future__ import annotations

import builtins
from typing import Any


def set_file(gallery_conf: Any, name: str) -> None:
    """`__file__`, beside which an example puts its figure; Sphinx-Gallery leaves it out."""
    builtins.__file__ = name
