"""How well the chains of a generator mix."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._array_api import to_numpy
from .._messages import shown
from .._random import Stream, seed_of
from ._drawing import check_matplotlib_support, draw_images, make_panels, resolve_image_shape

# Sweeps of the annealing that draws the first states of the chains.
_N_TEMPERATURES = 200


class ChainsDisplay:
    """Images of chains after more and more sweeps, and their autocorrelation.

    The left panel has a row for each chain and a column for each number of sweeps. In chains
    that mix, the last columns do not resemble the first one. The right panel has the
    autocorrelation of the images, by the number of sweeps between them: states of a chain are
    nearly independent where it is near 0.

    Parameters
    ----------
    images : array-like of shape (n_chains, n_snapshots, n_features)
        Means of the input, given the state of the hidden layer that the chain moves in.

    sweeps : sequence of int
        Number of sweeps before each image.

    autocorrelation : array-like of shape (n_lags,)
        Correlation of images of a chain, by the number of sweeps between them, from 0.

    image_shape : tuple of two ints or None, default=None
        Height and width of an image; `None` is a square.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The grid of images.

    line_ : matplotlib Line2D
        The autocorrelation.

    axes_ : ndarray of two matplotlib Axes
        The panels.

    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import RBMTransformer
    >>> from sklearn_dbn.inspection import ChainsDisplay
    >>> X = load_digits().data / 16
    >>> rbm = RBMTransformer(64, n_iter=20, random_state=0).fit(X)
    >>> display = ChainsDisplay.from_estimator(rbm, sweeps=(0, 10, 100), random_state=0)
    >>> display.images.shape
    (10, 3, 64)
    """

    def __init__(
        self,
        images: Any,
        *,
        sweeps: Sequence[int],
        autocorrelation: Any,
        image_shape: Any = None,
    ):
        self.images = images
        self.sweeps = sweeps
        self.autocorrelation = autocorrelation
        self.image_shape = image_shape

    def plot(self, ax: Any = None, *, im_kw: dict | None = None) -> ChainsDisplay:
        """Draw the images and the autocorrelation.

        Parameters
        ----------
        ax : matplotlib Axes or array of two, default=None
            Axes to divide into the two panels, or both panels; `None` makes a figure.
        im_kw : dict, default=None
            Arguments of `imshow`. All images share one colour scale.

        Returns
        -------
        self : ChainsDisplay
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.ticker import LogLocator

        images = np.asarray(self.images)
        _, n_columns, n_features = images.shape
        _, width = resolve_image_shape(self.image_shape, n_features)
        self.axes_ = left, right = make_panels(ax, 2, 2, (8.5, 4.5))
        self.figure_ = left.figure
        kw = {"cmap": "gray", **(im_kw or {})}
        rows = images.reshape(-1, n_features)
        _, self.image_ = draw_images(rows, self.image_shape, n_columns, left, **kw)
        centres = (width + 1) * np.arange(n_columns) + (width - 1) / 2
        left.set_xticks(centres, [str(n) for n in self.sweeps], fontsize="small")
        left.tick_params(length=0)
        left.set(xlabel="sweeps", ylabel="chains")
        lags = np.arange(1, len(self.autocorrelation))
        (self.line_,) = right.plot(lags, self.autocorrelation[1:], marker=".", markersize=2)
        right.axhline(0, color="0.6", lw=0.8, zorder=0)
        right.set(
            xscale="log", xlabel="sweeps apart", ylabel="correlation of images", ylim=(None, 1)
        )
        right.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        right.xaxis.set_major_formatter("{x:g}")
        right.xaxis.set_minor_formatter("")
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_chains: int = 10,
        sweeps: Sequence[int] = (0, 1, 3, 10, 30, 100, 300, 1000),
        image_shape: Any = None,
        random_state: Any = None,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> ChainsDisplay:
        """Run chains of a fitted generator from independent draws, and plot them.

        Parameters
        ----------
        estimator : RBMTransformer or DBNTransformer
            Fitted.
        n_chains : int, default=10
            Number of chains.
        sweeps : sequence of int, default=(0, 1, 3, 10, 30, 100, 300, 1000)
            Number of sweeps before each image; the last is the length of the chains. The
            autocorrelation is over all sweeps of all chains, at lags up to half that length.
        image_shape : tuple of two ints or None, default=None
            Height and width of an image; `None` is a square.
        random_state : int, RandomState instance or None, default=None
            Fixes the chains.
        ax : matplotlib Axes or array of two, default=None
            As in `plot`.
        im_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : ChainsDisplay

        Raises
        ------
        ValueError
            When `sweeps` do not increase, or the rows are not images of `image_shape`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        image_shape = resolve_image_shape(image_shape, estimator.n_features_in_)
        sweeps = list(sweeps)
        if not (
            all(isinstance(n, Integral) and n >= 0 for n in sweeps)
            and all(a < b for a, b in itertools.pairwise(sweeps))
            and sweeps[-1:] >= [2]
        ):
            raise ValueError(
                f"sweeps={shown(sweeps)} must be increasing ints from 0 or more to 2 or more."
            )
        if not isinstance(n_chains, Integral) or n_chains < 1:
            raise ValueError(f"n_chains={shown(n_chains)} must be a positive int.")
        images = _chain_images(
            estimator, n_chains, sweeps[-1] + 1, Stream(seed_of(random_state))
        )
        display = cls(
            images[sweeps].swapaxes(0, 1),
            sweeps=sweeps,
            autocorrelation=_autocorrelation(images),
            image_shape=image_shape,
        )
        return display.plot(ax, im_kw=im_kw)


def _chain_images(estimator: Any, n_chains: int, n_images: int, rng: Stream) -> np.ndarray:
    """Means of the input at each sweep, of shape (n_images, n_chains, n_features)."""
    *lower, top = estimator._stack
    states = estimator._draws(n_chains, _N_TEMPERATURES, rng)
    images = []
    for _ in range(n_images):
        # Means and not states: the noise of single pixels would hide correlations.
        means = top.means([0], states)[0]
        for machine in reversed(lower):
            means = machine.means([0], [None, means])[0]
        images.append(to_numpy(estimator._runs[0].columns.values(means)))
        states = top.sample(top.odd, top.sample(top.even, states, rng), rng)
    return np.stack(images)


def _autocorrelation(images: np.ndarray) -> np.ndarray:
    """Autocorrelation of (n_images, n_chains, n_features), by the number of sweeps between.

    The mean is over all chains: less its own mean, a chain that stays at one image would seem
    to mix.
    """
    n = len(images)
    mean, power = images.mean(axis=(0, 1)), np.zeros(n + 1)
    for chain in range(images.shape[1]):
        spectrum = np.fft.rfft(images[:, chain] - mean, n=2 * n, axis=0)
        power += (np.abs(spectrum) ** 2).sum(axis=1)
    lags = np.arange(n // 2 + 1)
    covariance = np.fft.irfft(power)[lags] / (n - lags)
    return covariance / max(covariance[0], np.finfo(covariance.dtype).tiny)
