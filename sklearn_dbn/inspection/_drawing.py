"""Rows as images in a grid, and axes that are divided into panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from .._messages import shown

# Length in inches of the longer side of a grid of images in a new figure.
_SIDE = 5.0
# Colour between images, which differs from both ends of the colour maps.
_GAP = "0.55"


def check_matplotlib_support(caller: str) -> None:
    """Raise an error in the name of ``caller`` unless matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed: install the extra "
            'sklearn-dbn[plot], or, in a checkout, python -m pip install -e ".[plot]".'
        ) from None


def resolve_image_shape(image_shape: Any, n_features: int) -> tuple[int, int]:
    """Height and width of images of ``n_features`` pixels; None: squares."""
    if image_shape is None:
        side = math.isqrt(n_features)
        if side * side != n_features:
            raise ValueError(
                f"image_shape=None is a square, and the rows have {n_features} features, which "
                "make none: give image_shape=(height, width)."
            )
        return side, side
    is_shape = (
        isinstance(image_shape, Sequence | np.ndarray)
        and len(image_shape) == 2
        and all(isinstance(n, Integral) and n > 0 for n in image_shape)
    )
    if not is_shape or math.prod(image_shape) != n_features:
        raise ValueError(
            f"image_shape={shown(image_shape)} does not fit rows of {n_features} features: "
            "give two positive ints, (height, width), with that product."
        )
    height, width = image_shape
    return int(height), int(width)


def pathway_columns(estimator: Any, pathway: str | None) -> np.ndarray:
    """Positions of the columns of X that a pathway has, in its order; of all, without one."""
    if pathway is None:
        return np.arange(estimator.n_features_in_)
    pathways = estimator._table.pathways or {}
    if pathway not in pathways:
        names = f"the pathways {shown(list(pathways))}" if pathways else "no pathways"
        raise ValueError(
            f"pathway={shown(pathway)}, but the generator has {names}: name one of these, or "
            "set pathway=None."
        )
    return pathways[pathway]


def draw_images(
    rows: Any, image_shape: Any, n_columns: int | None, ax: Any, **im_kw: Any
) -> tuple[Any, Any]:
    """Draw ``rows`` as a grid of images, in reading order, on ``ax`` or on a new figure.

    One artist draws all images, which is fast for hundreds of them. Between the images is a
    pixel of NaN, where the background of the axes is visible.

    Returns
    -------
    ax, image : the axes, and the matplotlib AxesImage
    """
    import matplotlib.pyplot as plt

    rows = np.asarray(rows, dtype=float)
    height, width = resolve_image_shape(image_shape, rows.shape[1])
    if n_columns is None:
        n_columns = math.ceil(math.sqrt(len(rows)))
    elif not isinstance(n_columns, Integral) or n_columns < 1:
        raise ValueError(f"n_columns={shown(n_columns)} must be a positive int, or None.")
    n_rows = math.ceil(len(rows) / n_columns)
    sheet = np.full((n_rows * n_columns, height + 1, width + 1), np.nan)
    sheet[: len(rows), :-1, :-1] = rows.reshape(-1, height, width)
    sheet = sheet.reshape(n_rows, n_columns, height + 1, width + 1).swapaxes(1, 2)
    sheet = sheet.reshape(n_rows * (height + 1), n_columns * (width + 1))[:-1, :-1]
    if ax is None:
        size = np.array(sheet.shape[::-1])
        _, ax = plt.subplots(figsize=_SIDE * size / size.max(), layout="constrained")
    image = ax.imshow(sheet, **{"interpolation": "nearest", **im_kw})
    ax.set(xticks=[], yticks=[], facecolor=_GAP)
    ax.spines[:].set_visible(False)
    return ax, image


def make_panels(
    ax: Any, n_panels: int, n_columns: int, figsize: tuple[float, float]
) -> np.ndarray:
    """The axes of each panel: on a new figure, in place of the one ``ax``, or ``ax`` itself."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    n_rows = math.ceil(n_panels / n_columns)
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    elif isinstance(ax, Axes) and n_panels > 1:
        figure, place = ax.figure, ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax={shown(ax)} is in no grid of subplots and cannot be divided: make it "
                f"with plt.subplots, or give {n_panels} axes."
            )
        ax.set_axis_off()
        grid = place.subgridspec(n_rows, n_columns)
    else:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_panels:
            raise ValueError(
                f"ax holds {len(axes)} axes for {n_panels} panels: give {n_panels}, or a "
                "single one to divide."
            )
        return axes
    axes = [figure.add_subplot(grid[divmod(i, n_columns)]) for i in range(n_panels)]
    return np.array(axes, dtype=object)
