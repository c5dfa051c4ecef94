"""How well the chains of a generator mix."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._messages import shown
from .._random import Stream, seed_of
from ._drawing import check_matplotlib_support, draw_images, make_panels, resolve_image_shape

# Of the annealing that the chains start from.
_N_TEMPERATURES = 200


class ChainsDisplay:
    """Where chains stand after more and more sweeps, and how slowly they forget.

    The left panel has a row for each chain and a column for each number of sweeps. Chains
    that mix have nothing left of their first image in the last columns. The right panel has
    the autocorrelation of these images; where it is near 0, so many sweeps apart, two states
    of a chain are as good as two samples.

    Parameters
    ----------
    images : array-like of shape (n_chains, n_snapshots, n_features)
        Means of the input, given the state of the hidden layer that the chain moves in.

    sweeps : sequence of int
        Numbers of sweeps after which they were taken.

    autocorrelation : array-like of shape (n_lags,)
        Correlation of images of a chain, by the number of sweeps between them, from 0.

    image_shape : tuple of two ints or None, default=None
        Height and width of an image; `None` stands for a square.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The grid.

    line_ : matplotlib Line2D
        The autocorrelation.

    axes_ : ndarray of two matplotlib Axes
        The panels.

    figure_ : matplotlib Figure
        What these axes are in.

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
            One to be divided into the two panels, or both; `None` makes a figure.
        im_kw : dict, default=None
            For `imshow`. All images share one scale of colours.

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
        """Run chains of a fitted generator from independent draws, and show them.

        Parameters
        ----------
        estimator : RBMTransformer or DBNTransformer
            Fitted.
        n_chains : int, default=10
            How many chains to run.
        sweeps : sequence of int, default=(0, 1, 3, 10, 30, 100, 300, 1000)
            When to take an image; the chains run for the last of them. The autocorrelation
            is over all sweeps of all chains, up to half of that length apart.
        image_shape : tuple of two ints or None, default=None
            Height and width of an image; `None` stands for a square.
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
            When `sweeps` do not rise, or the rows are not images of `image_shape`.
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
                f"sweeps={shown(sweeps)} must be ints that rise from 0 or more to 2 or more."
            )
        if not isinstance(n_chains, Integral) or n_chains < 1:
            raise ValueError(f"n_chains={shown(n_chains)} must be a positive int.")
        images = _run(estimator, n_chains, sweeps[-1] + 1, Stream(seed_of(random_state)))
        display = cls(
            images[sweeps].swapaxes(0, 1),
            sweeps=sweeps,
            autocorrelation=_autocorrelation(images),
            image_shape=image_shape,
        )
        return display.plot(ax, im_kw=im_kw)


def _run(estimator: Any, n_chains: int, n_images: int, rng: Stream) -> np.ndarray:
    """Means of the input at each sweep, of shape (n_images, n_chains, n_features)."""
    *lower, top = estimator._stack
    states = estimator._draws(n_chains, _N_TEMPERATURES, rng)
    images = []
    for _ in range(n_images):
        # Means instead of states: the noise of single pixels would hide what persists.
        means = top.means([0], states)[0]
        for machine in reversed(lower):
            means = machine.means([0], [None, means])[0]
        images.append(estimator._runs[0].measured(means))
        states = top.sample(top.odd, top.sample(top.even, states, rng), rng)
    return np.stack(images)


def _autocorrelation(images: np.ndarray) -> np.ndarray:
    """Of rows of a chain, about the mean of all chains, by the number of sweeps apart.

    About the mean of each chain, chains that never leave their first image would seem to mix.
    """
    n = len(images)
    mean, power = images.mean(axis=(0, 1)), np.zeros(n + 1)
    for chain in range(images.shape[1]):
        spectrum = np.fft.rfft(images[:, chain] - mean, n=2 * n, axis=0)
        power += (np.abs(spectrum) ** 2).sum(axis=1)
    lags = np.arange(n // 2 + 1)
    covariance = np.fft.irfft(power)[lags] / (n - lags)
    return covariance / max(covariance[0], np.finfo(covariance.dtype).tiny)
