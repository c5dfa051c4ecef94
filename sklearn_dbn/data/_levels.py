"""The kind and the levels of one column, and the positions of its values among the levels."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

import numpy as np

from .._messages import shown
from ..units import UNITS
from ._frames import Given
from ._values import ROUNDING

# A column with more levels is a key or a free text, of which nothing can be learnt.
_MOST_LEVELS = 1000
# Larger counts share one level.
LARGEST_COUNT = 50

NUMBERS = Real | Decimal | np.bool_


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    kind : str
        Name of its unit type.
    levels : list or None
        Its values in order, if they are given by their positions; ``None``: numbers.
    """

    kind: str
    levels: list | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are counts."""
        return UNITS[self.kind].takes == "counts"


def column_of(given: Given, kind: str | None, where: str) -> Column:
    """The column of training rows, of the ``kind`` that the user gave, or an automatic one."""
    _check_values(given, where)
    kind = kind or _automatic(given)
    takes, n_present = UNITS[kind].takes, len(given.present)
    if takes == "counts":
        return Column(kind, _counts(given, kind, where))
    if takes == "numbers" and (given.is_numeric or not n_present):
        return Column(kind)
    levels = _levels_in(given, where) if given.levels is None else given.levels
    if kind == "bernoulli" and len(levels) > 2:
        raise ValueError(
            f"X has {len(levels)} levels in {where}, and bernoulli units have two states: name "
            "that column for 'categorical' or 'ordinal' in visible."
        )
    if takes == "numbers" and kind != "bernoulli":
        raise ValueError(
            f"X has {shown(given.present[0])} in {where}, and {kind} units take numbers: name "
            "that column for 'categorical' or 'ordinal' in visible."
        )
    if len(levels) > _MOST_LEVELS:
        raise ValueError(
            f"X has {len(levels)} levels in {where}, and a column may have {_MOST_LEVELS}: "
            "leave it out, or put rare levels together, for instance with "
            "OrdinalEncoder(max_categories=50)."
        )
    if kind == "bernoulli" and len(levels) != 2:
        kind = "categorical"
    # A column without an observed value has one level, which no row has.
    return Column(kind, levels or [None])


def _automatic(given: Given) -> str:
    """The kind of a column for which the user named none."""
    if not given.is_numeric:
        return "ordinal" if given.ordered else "categorical"
    x = given.present
    low, high = x.min(initial=1.0), x.max(initial=0.0)
    rounding = ROUNDING * (high - low if high > low else 1.0)
    return "bernoulli" if low >= -rounding and high <= 1 + rounding else "gaussian"


def _check_values(given: Given, where: str) -> None:
    """Refuse infinity, and objects that are neither numbers nor text."""
    if given.levels is not None:
        return
    if given.is_numeric:
        if np.isinf(given.values).any():
            raise ValueError(
                f"Input X contains infinity or a value too large for float64 in {where}: scale "
                "that column, or give NaN where the value is missing."
            )
        return
    others = {
        kind
        for kind in set(map(type, given.values))
        if not issubclass(kind, NUMBERS | str | bytes | type(None))
    }
    value = next((x for x in given.values if type(x) in others), None)
    if isinstance(value, complex | np.complexfloating):
        raise ValueError(
            f"Complex data not supported: give the real and the imaginary part of {where} as "
            "two columns."
        )
    if others:
        # The middle is that of NumPy, for which scikit-learn's checks of estimators look.
        raise TypeError(
            f"X has {shown(value)} in {where}, and each value of the argument must be a string "
            "or a number: make it text, for instance with astype(str), or leave it out."
        )


def _levels_in(given: Given, where: str) -> list:
    """The different values of a column, in order."""
    try:
        levels = sorted(set(given.present.tolist()))
    except TypeError:
        kinds = sorted({type(x).__name__ for x in given.present})
        raise ValueError(
            f"X has values of the types {' and '.join(kinds)} in {where}, which have no common "
            "order: make them all text, for instance with astype(str)."
        ) from None
    return _plain(levels) if given.is_numeric else levels


def _plain(levels: list[float]) -> list:
    """Integers if all are whole, as the names of columns have them."""
    return [int(x) for x in levels] if all(x.is_integer() for x in levels) else levels


def _counts(given: Given, kind: str, where: str) -> list:
    """0, 1, .. to the largest count, or to the mean of those that share the last level."""
    values = given.present
    if len(values) and not given.is_numeric:
        raise ValueError(
            f"X has {shown(values[0])} in {where}, and {kind} units take whole numbers from 0: "
            "convert that column to numbers, or name it for 'categorical' in visible."
        )
    _check_counts(values, kind, where)
    largest = int(max(values, default=0))
    if kind == "binomial" or largest <= LARGEST_COUNT:
        if largest > _MOST_LEVELS:
            raise ValueError(
                f"X has the count {largest} in {where}, and binomial units may have at most "
                f"{_MOST_LEVELS} trials: name that column for 'gaussian' or 'count'."
            )
        return list(range(largest + 1))
    last = float(np.mean(values[values >= LARGEST_COUNT]))
    return [*range(LARGEST_COUNT), round(last)]


def _check_counts(values: np.ndarray, kind: str, where: str, most: float = np.inf) -> None:
    different = np.unique(values)
    wrong = different[(different < 0) | (different != np.floor(different))]
    if len(wrong):
        value = _shown_number(wrong[0])
        # The beginning is that of scikit-learn, whose checks of estimators look for it.
        start = "Negative values in data passed to X, with" if wrong[0] < 0 else "X has"
        raise ValueError(
            f"{start} {value} in {where}, and {kind} units take whole numbers from 0: name "
            "that column for 'gaussian' or 'categorical' in visible."
        )
    if len(different) and different[-1] > most:
        raise ValueError(
            f"X has {_shown_number(different[-1])} in {where}, and the binomial units have "
            f"{most} trials, the largest value in fit: fit on rows with that value, or use "
            "'count'."
        )


def _shown_number(x: float) -> str:
    return f"{x:.0f}" if abs(x) < 1e15 and x == int(x) else f"{x:.8g}"


def codes_of(column: Column, given: Given, where: str) -> tuple[np.ndarray, list]:
    """The positions of the values of a column, NaN where missing, and levels that are new."""
    _check_values(given, where)
    levels = column.levels
    if levels is None or column.is_whole:
        values = _numbers(given, where)
        if levels is None:
            return values, []
        most = len(levels) - 1
        limit = most if column.kind == "binomial" else np.inf
        _check_counts(values[~np.isnan(values)], column.kind, where, limit)
        return np.minimum(values, most), []
    place = {level: float(i) for i, level in enumerate(levels) if level is not None}
    if given.values.dtype != object:
        different, inverse = np.unique(given.values, return_inverse=True)
        found = np.array([place.get(x, np.nan) for x in different.tolist()])
        unseen = _plain([x for x in different.tolist() if x not in place and x == x])
        return found[inverse] if len(found) else np.empty(0), unseen
    values = given.values.tolist()
    unseen = sorted({x for x in values if x is not None and x not in place}, key=str)
    return np.array([place.get(x, np.nan) for x in values], dtype=np.float64), unseen


def has_zero_first(column: Column) -> bool:
    """Whether the value 0 has the number 0."""
    return column.levels is None or column.is_whole or column.levels[0] == 0


def _numbers(given: Given, where: str) -> np.ndarray:
    """The values of a column that had numbers in fit; booleans are 0 and 1."""
    if given.is_numeric:
        return given.values
    wrong = next((x for x in given.present if not isinstance(x, bool | np.bool_)), None)
    if wrong is not None:
        raise ValueError(
            f"X has {shown(wrong)} in {where}, which had numbers in fit: give numbers."
        )
    return np.array([np.nan if x is None else x for x in given.values], dtype=np.float64)
