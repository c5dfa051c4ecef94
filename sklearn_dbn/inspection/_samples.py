"""Rows drawn from a generator, as images."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._array_api import on_host
from .._messages import shown
from ._drawing import (
    check_matplotlib_support,
    draw_images,
    pathway_columns,
    resolve_image_shape,
)


class SamplesDisplay:
    """Rows drawn from a generator, as a grid of images.

    Made with `from_estimator`, or with rows of data, to compare them with samples.

    Parameters
    ----------
    samples : array-like of shape (n_samples, n_features)
        Rows to plot, in reading order.

    image_shape : tuple of two ints or None, default=None
        Height and width of an image; `None` is a square.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The grid of images.

    ax_ : matplotlib Axes
        The axes of the grid.

    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    ChainsDisplay : How well chains of the generator mix.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import RBMTransformer
    >>> from sklearn_dbn.inspection import SamplesDisplay
    >>> X = load_digits().data / 16
    >>> rbm = RBMTransformer(64, n_iter=20, random_state=0).fit(X)
    >>> display = SamplesDisplay.from_estimator(rbm, n_samples=25, random_state=0)
    >>> display.samples.shape
    (25, 64)
    """

    def __init__(self, samples: Any, *, image_shape: Any = None):
        self.samples = samples
        self.image_shape = image_shape

    def plot(
        self, ax: Any = None, *, n_columns: int | None = None, im_kw: dict | None = None
    ) -> SamplesDisplay:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; `None` makes a figure.
        n_columns : int, default=None
            Number of columns of the grid; `None` makes it about as high as wide.
        im_kw : dict, default=None
            Arguments of `imshow`. All images share one colour scale.

        Returns
        -------
        self : SamplesDisplay
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        kw = {"cmap": "gray", **(im_kw or {})}
        self.ax_, self.image_ = draw_images(self.samples, self.image_shape, n_columns, ax, **kw)
        self.figure_ = self.ax_.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_samples: int = 100,
        pathway: str | None = None,
        image_shape: Any = None,
        n_gibbs_steps: int = 200,
        random_state: Any = None,
        ax: Any = None,
        n_columns: int | None = None,
        im_kw: dict | None = None,
    ) -> SamplesDisplay:
        """Draw rows from a fitted generator by `sample`, and plot them.

        Parameters
        ----------
        estimator : RBMTransformer or DBNTransformer
            Fitted.
        n_samples : int, default=100
            Number of rows to draw.
        pathway : str or None, default=None
            Show the columns of this pathway only, which are the pixels of an image.
        image_shape : tuple of two ints or None, default=None
            Height and width of an image; `None` is a square.
        n_gibbs_steps : int, default=200
            As in `sample`.
        random_state : int, RandomState instance or None, default=None
            Fixes the draws.
        ax : matplotlib Axes, default=None
            As in `plot`.
        n_columns : int, default=None
            As in `plot`.
        im_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : SamplesDisplay

        Raises
        ------
        ValueError
            When there is no such pathway, or the rows are not images of `image_shape`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={shown(n_samples)} must be a positive int.")
        columns = pathway_columns(estimator, pathway)
        image_shape = resolve_image_shape(image_shape, len(columns))
        samples = estimator.sample(
            n_samples, n_gibbs_steps=n_gibbs_steps, random_state=random_state
        )
        samples = on_host(samples)
        if pathway is not None:
            samples = np.asarray(samples)[:, columns]
        display = cls(samples, image_shape=image_shape)
        return display.plot(ax, n_columns=n_columns, im_kw=im_kw)
