"""The columns and levels that hidden units stand for."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._messages import shown
from ._drawing import check_matplotlib_support, make_panels
from ._filters import projected_weights, resolve_unit_index

# Units that are plotted by default, panels side by side, and the size of one in inches.
_N_UNITS, _N_PANELS, _PANEL, _BAR = 4, 2, 5.0, 0.24
# Characters of a label.
_LONGEST = 33
_RISE, _FALL = "#b2182b", "#2166ac"


class ColumnWeightsDisplay:
    """Effects of the columns of a table on the fields of hidden units, as bars.

    The effect of a real column, an ordered one or a count is the change of the field for one
    standard deviation; that of two states the change from one to the other; that of a level of
    a category the change from the mean over the training rows. The importance of a column is
    the standard deviation of its part of the field over the training rows, if it had no
    neighbours.

    Parameters
    ----------
    effects : array-like of shape (n_units, n_labels)
        Changes of the fields of the units.

    importance : array-like of shape (n_units, n_features)
        Of the columns.

    labels : sequence of sequence of str
        For each column the labels of its effects, one or one for each level.

    units : sequence of int
        Numbers of the units.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each unit.

    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_dbn import RBMTransformer
    >>> from sklearn_dbn.inspection import ColumnWeightsDisplay
    >>> X = pd.DataFrame({"age": [61, 24, 35, 70], "job": ["none", "cook", "cook", "none"]})
    >>> rbm = RBMTransformer(2, n_iter=20, batch_size=2, random_state=0).fit(X)
    >>> display = ColumnWeightsDisplay.from_estimator(rbm)
    >>> display.labels
    [['age'], ['job_none']]
    """

    def __init__(
        self,
        effects: Any,
        importance: Any,
        labels: Sequence[Sequence[str]],
        units: Sequence[int],
    ):
        self.effects = effects
        self.importance = importance
        self.labels = labels
        self.units = units

    def plot(
        self, ax: Any = None, *, n_columns: int = 6, bar_kw: dict | None = None
    ) -> ColumnWeightsDisplay:
        """Draw the effects of the most important columns of each unit.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each unit, or one that is divided; `None` makes a figure.
        n_columns : int, default=6
            Columns of the table for each unit, the most important first.
        bar_kw : dict, default=None
            Arguments of `barh`.

        Returns
        -------
        self : ColumnWeightsDisplay
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if not isinstance(n_columns, Integral) or n_columns < 1:
            raise ValueError(f"n_columns={shown(n_columns)} must be a positive int.")
        effects = np.asarray(self.effects, dtype=float)
        ends = np.cumsum([0, *map(len, self.labels)])
        shown_columns = [
            np.argsort(-np.asarray(row), kind="stable")[:n_columns] for row in self.importance
        ]
        n_bars = max(sum(len(self.labels[i]) for i in columns) for columns in shown_columns)
        n_side = min(_N_PANELS, len(effects))
        height = (_BAR * n_bars + 0.8) * -(-len(effects) // n_side)
        axes = make_panels(ax, len(effects), n_side, (_PANEL * n_side, height))
        panels = zip(axes, effects, shown_columns, self.units, strict=True)
        for panel, row, columns, unit in panels:
            at = np.concatenate([np.arange(ends[i], ends[i + 1]) for i in columns])
            names = [label for i in columns for label in self.labels[i]]
            colours = np.where(row[at] > 0, _RISE, _FALL)
            panel.barh(range(len(at)), row[at], **{"color": colours, **(bar_kw or {})})
            panel.set_yticks(range(len(at)), map(_short, names))
            panel.invert_yaxis()
            panel.axvline(0, color="0.3", linewidth=0.8)
            panel.set_title(f"unit {unit}")
            panel.set_xlabel("change of the field")
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        units: Any = None,
        ax: Any = None,
        n_columns: int = 6,
        bar_kw: dict | None = None,
    ) -> ColumnWeightsDisplay:
        """Plot what the units of a fitted generator stand for.

        Parameters
        ----------
        estimator : RBMTransformer, DBNTransformer or DBMTransformer
            Fitted.
        layer : int, default=0
            Hidden layer; 0 is the first, -1 the last. The weights of a higher one are projected
            to the columns, as in `FiltersDisplay`.
        units : None, slice, index array or mask, default=None
            Units of that layer; `None`: the four for which the columns are most important.
        ax : matplotlib Axes or array of them, default=None
            As in `plot`.
        n_columns : int, default=6
            As in `plot`.
        bar_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : ColumnWeightsDisplay

        Raises
        ------
        ValueError
            When a layer or unit does not exist.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        run = estimator._bottom_run
        machines = [run.average, *(above.result() for above in estimator._runs[1:])]
        W, layer = projected_weights(machines, layer)
        mean, var = run.standard_moments()
        names = getattr(estimator, "feature_names_in_", None)
        if names is None:
            names = [f"column {index}" for index in range(estimator.n_features_in_)]
        labels = estimator._table.encoded_names(names)
        effects, importance = [], []
        for index, of_column in enumerate(labels):
            at = estimator._state_columns(index)
            if len(at) > 1:
                share = mean[at] / mean[at].sum()
                effect = W[at] - share @ W[at]
                importance.append(np.sqrt(share @ effect**2))
            else:
                effect = W[at] * np.ptp(_ends(estimator, at[0]))
                importance.append(np.abs(W[at[0]]) * np.sqrt(var[at[0]]))
            effects.append(effect[: len(of_column)])
        effects, importance = np.concatenate(effects).T, np.array(importance).T
        if units is None:
            strongest = np.argsort(-np.sum(importance**2, axis=1), kind="stable")
            index = np.sort(strongest[:_N_UNITS])
        else:
            index = resolve_unit_index(units, layer, len(effects))
        display = cls(effects[index], importance[index], labels, index.tolist())
        return display.plot(ax, n_columns=n_columns, bar_kw=bar_kw)


def _short(label: str) -> str:
    """A label whose middle is left out if it is long."""
    if len(label) <= _LONGEST:
        return label
    half = (_LONGEST - 3) // 2
    return f"{label[:half]}...{label[-half:]}"


def _ends(estimator: Any, state: int) -> np.ndarray:
    """Two states that differ by what an effect is given for: both, or a standard deviation."""
    machine = estimator._bottom_run.average
    variables = machine.units[0].states(machine.par[0].shape[1])
    values = next((x.values for x in variables if x.columns[0] == state), None)
    return values[:, 0] if values is not None and len(values) == 2 else np.array([0.0, 1.0])
