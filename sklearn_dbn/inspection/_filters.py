"""Filters of the hidden units."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._array_api import to_numpy
from .._messages import shown
from ..machine import Machine, dense_weights, pathway_widths, slices
from ._drawing import (
    check_matplotlib_support,
    draw_images,
    pathway_columns,
    resolve_image_shape,
)


class FiltersDisplay:
    """Filters of the units of one hidden layer, as a grid of images.

    The filter of a unit of the first hidden layer is its weights. That of a higher unit is the
    linear projection of its weights to the input [1]_: the sum of the filters of the layer
    below, weighted by the weights of the unit. The non-linearity of the units between is
    ignored.

    Parameters
    ----------
    filters : array-like of shape (n_units, n_features)
        Filters to plot, in reading order.

    image_shape : tuple of two ints or None, default=None
        Height and width of an image; `None` is a square.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The grid of images. Each filter is divided by its largest absolute value, so that all
        share the colour scale from -1 to 1.

    ax_ : matplotlib Axes
        The axes of the grid.

    figure_ : matplotlib Figure
        The figure of these axes.

    References
    ----------
    .. [1] Lee, Ekanadham, Ng (2008). Sparse deep belief net model for visual area V2. NIPS 20.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import DBNTransformer, RBMTransformer
    >>> from sklearn_dbn.inspection import FiltersDisplay
    >>> X = load_digits().data / 16
    >>> rbm = RBMTransformer(n_iter=20)
    >>> dbn = DBNTransformer((64, 32), rbm=rbm, random_state=0).fit(X)
    >>> FiltersDisplay.from_estimator(dbn, layer=1).filters.shape
    (32, 64)
    """

    def __init__(self, filters: Any, *, image_shape: Any = None):
        self.filters = filters
        self.image_shape = image_shape

    def plot(
        self, ax: Any = None, *, n_columns: int | None = None, im_kw: dict | None = None
    ) -> FiltersDisplay:
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; `None` makes a figure.
        n_columns : int, default=None
            Number of columns of the grid; `None` makes it about as high as wide.
        im_kw : dict, default=None
            Arguments of `imshow`.

        Returns
        -------
        self : FiltersDisplay
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        filters = np.asarray(self.filters, dtype=float)
        largest = np.abs(filters).max(axis=1, keepdims=True)
        # The filter of a unit without weights is 0, the middle of the scale.
        filters = filters / np.where(largest > 0, largest, 1)
        kw = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, **(im_kw or {})}
        self.ax_, self.image_ = draw_images(filters, self.image_shape, n_columns, ax, **kw)
        self.figure_ = self.ax_.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        units: Any = None,
        pathway: str | None = None,
        image_shape: Any = None,
        ax: Any = None,
        n_columns: int | None = None,
        im_kw: dict | None = None,
    ) -> FiltersDisplay:
        """Plot the filters of a fitted generator.

        Parameters
        ----------
        estimator : RBMTransformer or DBNTransformer
            Fitted.
        layer : int, default=0
            Hidden layer; 0 is the first, -1 the last.
        units : None, slice, index array or mask, default=None
            Units of that layer, in this order; `None`: all, or all of the pathway if the layer
            is divided.
        pathway : str or None, default=None
            Show the columns of this pathway only, which are the pixels of an image.
        image_shape : tuple of two ints or None, default=None
            Height and width of an image; `None` is a square.
        ax : matplotlib Axes, default=None
            As in `plot`.
        n_columns : int, default=None
            As in `plot`.
        im_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : FiltersDisplay

        Raises
        ------
        ValueError
            When a layer, unit or pathway does not exist, or the rows are not images of
            `image_shape`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        machines = [run.result() for run in estimator._runs]
        filters, layer = projected_weights(machines, layer)
        if pathway is not None:
            filters, units = _of_pathway(estimator, pathway, filters, layer, units)
        image_shape = resolve_image_shape(image_shape, len(filters))
        filters = filters[:, resolve_unit_index(units, layer, filters.shape[1])]
        display = cls(filters.T, image_shape=image_shape)
        return display.plot(ax, n_columns=n_columns, im_kw=im_kw)


def _of_pathway(
    estimator: Any, pathway: str, filters: np.ndarray, layer: int, units: Any
) -> tuple[np.ndarray, Any]:
    """The filters over the states of a pathway, and its units where ``units`` is None."""
    pathway_columns(estimator, pathway)
    place = list(estimator._table.pathways).index(pathway)
    filters = filters[slices(estimator._bottom_run.columns.widths)[place]]
    widths = pathway_widths([W for run in estimator._runs for W in run.average.W][layer])
    if units is None and len(widths) > 1:
        units = slices(widths)[place]
    return filters, units


def projected_weights(machines: Sequence[Machine], layer: Any) -> tuple[np.ndarray, int]:
    """Weights of a hidden layer as combinations of the visible columns, (n_columns, n_units).

    With the number of the layer from below.
    """
    weights = [to_numpy(dense_weights(W)) for machine in machines for W in machine.W]
    n = len(weights)
    if not isinstance(layer, Integral) or isinstance(layer, bool) or not -n <= layer < n:
        raise ValueError(
            f"layer={shown(layer)} names no hidden layer: the generator has {n}, 0 to "
            f"{n - 1} or -{n} to -1."
        )
    layer = int(layer) % n
    projected = weights[layer]
    for W in reversed(weights[:layer]):
        projected = W @ projected
    return projected, layer


def resolve_unit_index(units: Any, layer: int, n_units: int) -> np.ndarray:
    """The numbers of the ``units`` that the user selects from ``n_units`` of a layer."""
    if units is None:
        units = slice(None)
    try:
        index = np.arange(n_units)
        index = index[units if isinstance(units, slice) else np.atleast_1d(units)]
    except IndexError:
        index = np.array([])
    if index.ndim != 1 or not len(index):
        raise ValueError(
            f"units={shown(units)} selects none of the {n_units} units of layer {layer}: "
            f"give indices from 0 to {n_units - 1}, a mask or a slice."
        )
    return index
