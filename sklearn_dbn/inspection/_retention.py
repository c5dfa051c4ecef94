"""The retention of a generator after fine-tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._array_api import on_host
from ._drawing import (
    check_matplotlib_support,
    draw_images,
    make_panels,
    pathway_columns,
    resolve_image_shape,
)


def generative_retention(
    estimator: Any,
    X: Any,
    *,
    n_samples: int = 100,
    n_gibbs_steps: int = 200,
    random_state: Any = 0,
) -> Bunch:
    """Compare a generator before and after it was fine-tuned.

    Parameters
    ----------
    estimator : DBNClassifier or DBNRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_rows, n_features)
        Rows to score, without missing entries, preferably held-out ones.
    n_samples : int, default=100
        Number of rows to draw from each generator.
    n_gibbs_steps : int, default=200
        As in `sample`.
    random_state : int, RandomState instance or None, default=0
        Fixes the draws.

    Returns
    -------
    retention : Bunch
        With `before` and `after`, each a Bunch of `log_likelihood`, the mean over rows in nats,
        as in `score`; `forward` and `reverse`, the same by only one direction of annealed
        importance sampling, of which the first is too high if chains do not mix; `interval`,
        its lowest and highest value within three standard errors of either direction;
        `reconstruction_error`, the mean squared difference between observed entries and their
        reconstruction, for a category of the states of its levels; and `samples`, `n_samples`
        rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import DBNClassifier, RBMTransformer
    >>> from sklearn_dbn.inspection import generative_retention
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X > 8).astype(float)
    >>> rbm = RBMTransformer(16, n_iter=20, random_state=0)
    >>> model = DBNClassifier(rbm, n_iter=20, random_state=0).fit(X, y)
    >>> retention = generative_retention(model, X)
    >>> bool(retention.after.log_likelihood < retention.before.log_likelihood)
    True
    """
    check_is_fitted(estimator)
    generators = {"before": estimator.transformer_, "after": estimator.fine_tuned_transformer_}
    found = {}
    for name, generator in generators.items():
        partition = generator.log_partition()
        # `score` then does not estimate log Z again.
        generator._keep_log_z(partition)
        score = generator.score(X)
        directions = [partition.forward, partition.reverse]
        values = [partition.value if x is None else x.value for x in directions]
        low, high = partition.interval
        samples = generator.sample(
            n_samples, n_gibbs_steps=n_gibbs_steps, random_state=random_state
        )
        found[name] = Bunch(
            log_likelihood=score,
            forward=score + partition.value - values[0],
            reverse=score + partition.value - values[1],
            interval=(score + partition.value - high, score + partition.value - low),
            reconstruction_error=generator._reconstruction_error(X),
            samples=on_host(samples),
        )
    return Bunch(**found)


class RetentionDisplay:
    """Likelihood and samples of a generator before and after it was fine-tuned.

    Parameters
    ----------
    retention : Bunch
        The result of `generative_retention`.

    image_shape : tuple of two ints or None, default=None
        Height and width of an image; `None` is a square.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The mean log-likelihood before and after, with `interval` as error bars.

    images_ : list of two matplotlib AxesImage
        Samples before and after.

    axes_ : ndarray of three matplotlib Axes
        The panels.

    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    generative_retention : The numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dbn import DBNClassifier, RBMTransformer
    >>> from sklearn_dbn.inspection import RetentionDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X > 8).astype(float)
    >>> rbm = RBMTransformer(16, n_iter=20, random_state=0)
    >>> model = DBNClassifier(rbm, n_iter=20, random_state=0).fit(X, y)
    >>> display = RetentionDisplay.from_estimator(model, X, n_samples=25)
    >>> len(display.axes_)
    3
    """

    def __init__(self, retention: Bunch, *, image_shape: Any = None):
        self.retention = retention
        self.image_shape = image_shape

    def plot(
        self, ax: Any = None, *, bar_kw: dict | None = None, im_kw: dict | None = None
    ) -> RetentionDisplay:
        """Draw the bars and the images.

        Parameters
        ----------
        ax : matplotlib Axes or array of three, default=None
            Axes to divide into panels, or one for each panel; `None` makes a figure.
        bar_kw : dict, default=None
            Arguments of `bar`.
        im_kw : dict, default=None
            Arguments of `imshow`.

        Returns
        -------
        self : RetentionDisplay

        Raises
        ------
        ValueError
            When the samples are not images of `image_shape`.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        parts = {name: self.retention[name] for name in ("before", "after")}
        shape = resolve_image_shape(self.image_shape, parts["before"].samples.shape[1])
        self.axes_ = make_panels(ax, 3, 3, (10, 3.4))
        self.figure_ = self.axes_[0].figure
        score = np.array([part.log_likelihood for part in parts.values()])
        low, high = np.transpose([part.interval for part in parts.values()])
        errors = np.abs(np.stack([score - low, high - score]))
        kw = {"color": ["C0", "C1"], "yerr": errors, "capsize": 4, **(bar_kw or {})}
        self.bars_ = self.axes_[0].bar(list(parts), score, **kw)
        self.axes_[0].set(ylabel="mean log-likelihood, nats")
        self.images_ = []
        for panel, (name, part) in zip(self.axes_[1:], parts.items(), strict=True):
            kw = {"cmap": "gray", **(im_kw or {})}
            _, image = draw_images(part.samples, shape, None, panel, **kw)
            panel.set_title(f"samples {name}", fontsize="medium")
            self.images_.append(image)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_samples: int = 100,
        pathway: str | None = None,
        image_shape: Any = None,
        n_gibbs_steps: int = 200,
        random_state: Any = 0,
        ax: Any = None,
        bar_kw: dict | None = None,
        im_kw: dict | None = None,
    ) -> RetentionDisplay:
        """Compare the generators of a fine-tuned estimator, and plot the result.

        Parameters
        ----------
        estimator : DBNClassifier or DBNRegressor
            Fitted.
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            As in `generative_retention`.
        n_samples : int, default=100
            As in `generative_retention`.
        pathway : str or None, default=None
            Show the columns of this pathway only, which are the pixels of an image.
        image_shape : tuple of two ints or None, default=None
            Height and width of an image; `None` is a square.
        n_gibbs_steps : int, default=200
            As in `generative_retention`.
        random_state : int, RandomState instance or None, default=0
            As in `generative_retention`.
        ax : matplotlib Axes or array of three, default=None
            As in `plot`.
        bar_kw : dict, default=None
            As in `plot`.
        im_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : RetentionDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        columns = pathway_columns(estimator.transformer_, pathway)
        resolve_image_shape(image_shape, len(columns))
        retention = generative_retention(
            estimator,
            X,
            n_samples=n_samples,
            n_gibbs_steps=n_gibbs_steps,
            random_state=random_state,
        )
        if pathway is not None:
            for part in retention.values():
                part.samples = np.asarray(part.samples)[:, columns]
        return cls(retention, image_shape=image_shape).plot(ax, bar_kw=bar_kw, im_kw=im_kw)
