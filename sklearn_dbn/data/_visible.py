"""The columns of the visible layer, and values that its units cannot have."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array_api import on_host, to_numpy
from .._messages import shown
from ..units import UNITS, UnitType
from ._columns import Columns
from ._values import (
    ROUNDING,
    Support,
    has_outside,
    on_each_part,
    range_of_all,
    weights_with_zeros,
)


def visible_columns(
    estimator: Any, visible: Any, X: Any, weight: np.ndarray, fitted: UnitType | None = None
) -> Columns:
    """The columns of the training rows ``X``, not standardised.

    Parameters
    ----------
    estimator : estimator
        Has the table of the columns, and their names.
    visible : str, dict or None
        The parameter `visible`; ``None`` if the machine is not trained.
    X : array, CSR array or Partitions
        Rows. Those of ``weight`` 0 do not count.
    fitted : UnitType or None
        The visible unit type of the fitted machine, if there is one.

    Raises
    ------
    ValueError
        When a column has values outside the support of the units, beyond rounding.
    """
    table, all_weights = estimator._table, to_numpy(weight)
    weight = weights_with_zeros(weight)
    if fitted is not None:
        unit = fitted
    elif table.columns is not None:
        unit = table.unit(on_host(X), all_weights)
    elif visible == "auto":
        grey = _grey_columns(X, weight)
        unit = table.by_pathway(
            lambda columns: UNITS["bernoulli" if grey[columns].all() else "gaussian"]
        )
    else:
        unit = table.by_pathway(lambda _: UNITS[visible])
    widths = None
    if table.pathways is not None:
        n_states = unit.widths(X.shape[1])
        widths = tuple(int(n_states[at].sum()) for at in table.pathways.values())
    found = None
    if visible != "auto" or fitted is not None or table.columns is not None:
        found = first_outside(X, unit.support, weight)
    if found is None:
        return Columns(unit, widths=widths)
    index, value = found
    kind, _ = unit.of_column(index)
    where, (low, high) = column_name(estimator, index), kind.support
    if isinstance(visible, dict):
        raise ValueError(
            f"X has values outside [{low:g}, {high:g}] in {where}, which {kind.name} units "
            "cannot take: scale that column, for instance with MinMaxScaler, or name it for "
            "'gaussian' in visible."
        )
    if visible not in ("auto", None):
        raise ValueError(
            f"X has values outside [{low:g}, {high:g}] in {where}, which visible={visible!r} "
            "units cannot take: scale X, for instance with MinMaxScaler, or set "
            "visible='gaussian'."
        )
    how = (
        f"visible='auto' gave {kind.name} units at the first call, where all values were in "
        f"[{low:g}, {high:g}]"
        if visible == "auto"
        else f"the {kind.name} units of the fitted generator take values in [{low:g}, {high:g}]"
    )
    raise ValueError(
        f"X has {value:.8g} in {where}, and {how}: scale X as before, or train a new machine "
        "with visible='gaussian'."
    )


def _grey_columns(X: Any, weight: np.ndarray | None) -> np.ndarray:
    """Which columns lie in [0, 1], up to rounding.

    Rounding errors are relative to the range of the column: real values that are all small are
    no rounding errors.
    """
    support = UNITS["bernoulli"].support
    if not any(on_each_part(has_outside, X, support, weight=weight)):
        return np.ones(X.shape[1], dtype=bool)
    low, high = range_of_all(X, weight)
    rounding = ROUNDING * np.clip(np.where(high > low, high - low, 1.0), None, 1.0)
    return ~((low < support[0] - rounding) | (high > support[1] + rounding))


def first_outside(
    X: Any, support: Support, weight: np.ndarray | None = None
) -> tuple[int, float] | None:
    """The first column with a value outside ``support``, and its value furthest outside.

    Values outside by rounding and rows of ``weight`` 0 do not count.
    """
    if np.all(np.isinf(support)):
        return None
    low, high = range_of_all(X, weight)
    below, above = support[0] - low, high - support[1]
    (columns,) = np.nonzero(np.fmax(below, above) > ROUNDING)
    if not len(columns):
        return None
    index = int(columns[0])
    values = low if np.fmax(below, -np.inf)[index] >= np.fmax(above, -np.inf)[index] else high
    return index, float(values[index])


def column_name(estimator: Any, index: int) -> str:
    """The name of a column in error messages, by its index if it has none.

    Rows that are refused may have more columns than those of `fit`.
    """
    names = getattr(estimator, "feature_names_in_", ())
    return f"column {shown(names[index]) if index < len(names) else index}"
