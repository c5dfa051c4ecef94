"""The history of a training, pass by pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._messages import shown
from ._drawing import check_matplotlib_support, make_panels

_N_COLUMNS = 3


class HistoryDisplay:
    """Curves of the history of a training, a panel for each quantity.

    Parameters
    ----------
    history : list of dicts of lists of float
        The `history_` of each layer. A curve is interrupted at NaN.

    quantities : sequence of str or None, default=None
        Keys of those dicts, a panel for each; `None`: all.

    Attributes
    ----------
    lines_ : list of lists of matplotlib Line2D
        For each panel the curves of the layers whose history has its quantity.

    axes_ : ndarray of matplotlib Axes
        The panels.

    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import RBMTransformer
    >>> from sklearn_dbn.inspection import HistoryDisplay
    >>> X = load_digits().data / 16
    >>> rbm = RBMTransformer(64, n_iter=20, random_state=0).fit(X)
    >>> display = HistoryDisplay.from_estimator(rbm, quantities=["reconstruction_error"])
    >>> len(display.axes_)
    1
    """

    def __init__(
        self, history: Sequence[Mapping], *, quantities: str | Sequence[str] | None = None
    ):
        self.history = history
        self.quantities = quantities

    def plot(self, ax: Any = None, *, line_kw: dict | None = None) -> HistoryDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Axes to divide into panels, or one for each panel; `None` makes a figure.
        line_kw : dict, default=None
            Arguments of the `plot` of every curve.

        Returns
        -------
        self : HistoryDisplay

        Raises
        ------
        ValueError
            When a quantity was not recorded, or `ax` holds too few or too many axes.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.ticker import MaxNLocator

        quantities = self._resolve_quantities()
        n_columns = min(_N_COLUMNS, len(quantities))
        n_rows = -(-len(quantities) // n_columns)
        size = (3.2 * n_columns, 2.4 * n_rows)
        self.axes_ = make_panels(ax, len(quantities), n_columns, size)
        self.figure_ = self.axes_[0].figure
        self.lines_ = []
        for panel, quantity in zip(self.axes_, quantities, strict=True):
            lines = []
            for layer, record in enumerate(self.history):
                values = record.get(quantity, [])
                # Markers show a pass between two NaN, which no line does.
                kw = {"marker": ".", "markersize": 3, "color": f"C{layer}", "lw": 1.2}
                kw |= {"label": f"layer {layer}", **(line_kw or {})}
                if len(values):
                    lines += panel.plot(range(1, len(values) + 1), values, **kw)
            self.lines_.append(lines)
            panel.set(xlabel="pass", title=quantity.replace("_", " "))
            panel.title.set_fontsize("medium")
            panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            if quantity.endswith("_units"):
                # Counts: without limits, the axis of a constant 0 would show fractions.
                top = max(1.0, panel.get_ylim()[1])
                panel.set_ylim(-0.05 * top, top)
                panel.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        if len(self.history) > 1:
            self.axes_[0].legend(fontsize="small")
        return self

    def _resolve_quantities(self) -> list[str]:
        recorded = list(dict.fromkeys(name for record in self.history for name in record))
        if not recorded:
            raise ValueError("history holds no quantity: train for one pass or more.")
        quantities = recorded if self.quantities is None else self.quantities
        quantities = [quantities] if isinstance(quantities, str) else list(quantities)
        if not quantities or not set(quantities) <= set(recorded):
            raise ValueError(
                f"quantities={shown(self.quantities)} must be some of those in history, "
                f"{', '.join(recorded)}."
            )
        return quantities

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        quantities: str | Sequence[str] | None = None,
        ax: Any = None,
        line_kw: dict | None = None,
    ) -> HistoryDisplay:
        """Plot the `history_` of a fitted generator.

        Parameters
        ----------
        estimator : RBMTransformer or DBNTransformer
            Fitted.
        quantities : sequence of str or None, default=None
            Keys of `history_`, a panel for each; `None`: all.
        ax : matplotlib Axes or array of them, default=None
            As in `plot`.
        line_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : HistoryDisplay

        Raises
        ------
        ValueError
            As in `plot`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        history = estimator.history_
        history = [history] if isinstance(history, Mapping) else history
        return cls(history, quantities=quantities).plot(ax, line_kw=line_kw)
