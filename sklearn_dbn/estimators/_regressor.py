"""A generator fine-tuned to predict numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array

from .._array_api import moved
from .._compat import _fit_context, available_if
from .._messages import shown
from ..data import dates_in
from ..fine_tuning import Squared, Targets, TargetScale, joint_weight, rows_with_target
from ._base import of_one_fit, unchanged_on_failure
from ._fine_tuned import FineTuned, has_minibatches
from ._options import Auto, FineTune, RandomState, Schedule, Solver

# Predictions for larger targets might overflow.
_LARGEST = 1e300


class DBNRegressor(RegressorMixin, FineTuned):
    """A generator, fine-tuned as a network that predicts one number or several.

    The hidden layers of a deep belief network [1]_, a deep Boltzmann machine [2]_ or a
    restricted Boltzmann machine become those of a feed-forward network with a linear head,
    which is trained on the squared error. The targets are standardised for training, by the
    weighted mean and standard deviation of all rows so far.

    Parameters
    ----------
    transformer : generator, FrozenEstimator or None, default=None
        The generator to start from: an `RBMTransformer`, a `DBNTransformer` or a
        `DBMTransformer`. One that is not frozen is cloned and fitted on all rows;
        `FrozenEstimator(generator)` is used as it was fitted. `None` is `DBNTransformer()`.
        Its `memory` caches the fine-tuned network too, if `random_state` is an int and
        `warm_start` is not set; a fine-tuning that was killed resumes from there.

    fine_tune : {"all", "head"}, int or sequence of float, default="all"
        Which hidden layers are trained besides the head: all, none ("head"), or this number
        of the last ones; or a factor on the learning rate for each layer, the first one first.
        A layer of factor 0 does not change.

    solver : {"adam", "sgd", "lbfgs", "cg"}, default="adam"
        Minibatches with Adam [3]_ or with momentum; or L-BFGS or conjugate gradients of scipy
        on all rows at once, for small data.

    learning_rate : float or "auto", default="auto"
        Learning rate at the start of `fit`, and throughout `partial_fit`. Minibatches only.
        "auto" is 0.001 with Adam and 0.003 with momentum.

    learning_rate_schedule : {"linear", "cosine", "constant"}, default="linear"
        How the learning rate falls to zero over the passes of `fit`; "constant": it does not.

    momentum : float, default=0.9
        Share of the last step that is added to the next one, with `solver="sgd"`.

    batch_size : int or "auto", default="auto"
        Rows for each update. "auto" makes 40 updates of a pass over the rows with a target,
        if that gives 10 to 50 rows for each, and 10 or 50 rows otherwise. If `X` is a dask
        collection, it makes 100 updates, with 50 to 400 rows each. The sizes of the minibatches
        differ by at most one.

    n_iter : int or "auto", default="auto"
        Passes in `fit`; for L-BFGS and conjugate gradients, the largest number of iterations.
        "auto" presents 30,000 rows with a target, in 10 to 30 passes, or takes 200 iterations.

    dropout : float, default=0.0
        Probability with which each input is dropped at each presentation [4]_.

    hidden_dropout : float, default=0.0
        The same for the units of hidden layers.

    adversarial_eps : float or "auto", default=0.0
        Distance by which each row is moved in the direction in which its loss increases
        fastest [5]_; in the units of the columns, or in standard deviations for Gaussian
        visible units. This takes another forward and backward computation. The top-down input
        stays that of the row that is not moved. Minibatches only.
        "auto" is a fifth of the distance of a row to the nearest other one, the median over 500
        rows.

    virtual_adversarial_eps : float or "auto", default=0.0
        Distance by which rows are moved in the direction in which the output changes fastest;
        their target is the output for the row that is not moved [6]_. This takes two more
        forward and one more backward computation, and minibatches twice as large. Minibatches
        only. "auto" is 0.

    centered : bool or "auto", default="auto"
        Whether to train with centred inputs: weights multiply the inputs less their running
        mean [7]_, so that the training does not depend on which of two bits is coded as 1.
        Dropout sets inputs to their mean. Minibatches only, and "auto" is True with them.

    max_norm : float or None, default=None
        Largest norm of the incoming weights of a unit, among those that are trained.

    weight_decay : float, default=0.0
        Penalty on the squares of the weights that are trained, and not of biases. With Adam
        it is applied apart from the gradient, so that it is not rescaled.

    early_stopping : bool, default=False
        Whether to hold out rows, stop when their score does not improve, and restore the
        parameters of the best pass.

    validation_fraction : float, default=0.1
        Share of the rows with a target that early stopping holds out.

    n_iter_no_change : int, default=10
        Passes without a better score after which early stopping stops.

    generative_weight : float, default=0.0
        Factor on the gradient of the log-likelihood of a row, in nats, that is added to that
        of its loss, so that the network stays a good generator. For each machine of the stack
        it is estimated with persistent chains.

    tie_weights : bool, default=True
        Whether the network and `fine_tuned_transformer_` share their weights. `False`: only
        those of the network are trained, and `fine_tuned_transformer_` generates and scores as
        `transformer_` does.

    top_down_input : bool, default=True
        For a `DBMTransformer`: whether each layer has a top-down input, the posterior means of
        the layer above under the pre-trained machine [2]_, so that the network starts at an
        update of the mean field. False: the input from below is doubled instead; with
        adversarial rows, whose top-down input is that of the row that is not moved, this made
        fewer errors on MNIST. No effect with other generators.

    warm_start : bool, default=False
        Whether `fit` continues the training of the last network, without training the
        generator again. The schedule of the learning rate starts again.

    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows and all draws, and the training of the generator if
        that has no `random_state`.

    verbose : int, default=0
        Print a line after each pass, also while the generator is trained.

    Attributes
    ----------
    transformer_ : fitted generator
        The pre-trained generator.

    fine_tuned_transformer_ : fitted generator
        The generator with the weights and the hidden biases of the network. It samples and
        scores, and has the same selection.

    history_ : dict of lists of float
        After each pass: `loss`, the mean over the rows as presented of half the squared error
        of standardised targets; with `early_stopping` `validation_loss` and
        `validation_score`, minus that loss.

    n_iter_ : int
        Passes made, in all calls that continued the same training.

    learning_rate_ : float
        Initial learning rate of the last training.

    batch_size_ : int
        Rows for each update in the last training.

    adversarial_eps_, virtual_adversarial_eps_ : float
        The distances of the last training.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all are strings.

    See Also
    --------
    DBNClassifier : The same for classes.

    References
    ----------
    .. [1] Hinton, Osindero, Teh (2006). A fast learning algorithm for deep belief nets.
       doi:10.1162/neco.2006.18.7.1527
    .. [2] Salakhutdinov, Hinton (2009). Deep Boltzmann machines. AISTATS, PMLR 5:448-455.
    .. [3] Kingma, Ba (2015). Adam: a method for stochastic optimization. arXiv:1412.6980
    .. [4] Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014). Dropout: a simple
       way to prevent neural networks from overfitting. JMLR 15:1929-1958.
    .. [5] Goodfellow, Shlens, Szegedy (2015). Explaining and harnessing adversarial examples.
       arXiv:1412.6572. Here each row is moved by a Euclidean distance.
    .. [6] Miyato, Maeda, Koyama, Ishii (2018). Virtual adversarial training: a regularization
       method for supervised and semi-supervised learning. doi:10.1109/TPAMI.2018.2858821
    .. [7] Schraudolph (1998). Centering neural network gradient factors. LNCS 1524.
       doi:10.1007/3-540-49430-8_11. Here only the inputs are centred.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import minmax_scale
    >>> from sklearn_dbn import DBNRegressor, DBNTransformer, RBMTransformer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> dbn = DBNTransformer((32, 32), rbm=RBMTransformer(n_iter=20))
    >>> model = DBNRegressor(dbn, random_state=0).fit(minmax_scale(X), y)
    >>> bool(model.score(minmax_scale(X), y) > 0.4)
    True
    """

    _parameter_constraints: dict = {**FineTuned._parameter_constraints}

    _automatic_rates = {"adam": 0.001, "sgd": 0.003}
    _presentations, _passes = 30_000, (10, 30)

    def __init__(
        self,
        transformer: Any = None,
        *,
        fine_tune: FineTune | int | Sequence[float] = "all",
        solver: Solver = "adam",
        learning_rate: float | Auto = "auto",
        learning_rate_schedule: Schedule = "linear",
        momentum: float = 0.9,
        batch_size: int | Auto = "auto",
        n_iter: int | Auto = "auto",
        dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        adversarial_eps: float | Auto = 0.0,
        virtual_adversarial_eps: float | Auto = 0.0,
        centered: bool | Auto = "auto",
        max_norm: float | None = None,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        generative_weight: float = 0.0,
        tie_weights: bool = True,
        top_down_input: bool = True,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ):
        self.transformer = transformer
        self.fine_tune = fine_tune
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.momentum = momentum
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.dropout = dropout
        self.hidden_dropout = hidden_dropout
        self.adversarial_eps = adversarial_eps
        self.virtual_adversarial_eps = virtual_adversarial_eps
        self.centered = centered
        self.max_norm = max_norm
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.generative_weight = generative_weight
        self.tie_weights = tie_weights
        self.top_down_input = top_down_input
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the generator, unless it is frozen, and then the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, valid for the generator. The rows of a dask array or frame stay on
            the workers of a `distributed` cluster, which take part in both trainings; `y` and
            `sample_weight` may then be dask collections too, and are loaded.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, also for the generator; only their ratios matter. A row of
            weight 0 has no effect.

        Returns
        -------
        self : DBNRegressor

        Raises
        ------
        ValueError, TypeError
            When the data or a parameter is not as documented, or when training diverges. The
            estimator is then unchanged.
        """
        self._fit(X, y, sample_weight)
        return self

    @available_if(has_minibatches)
    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Pass over the rows once, at the full learning rate.

        The first call trains the generator on its rows, with all its passes, unless it is
        frozen or fitted. The mean and the scale by which targets are standardised are those of
        the rows of all calls: when they change, the head is converted, so that this does not
        change predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data, in any of the forms that `fit` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : DBNRegressor

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        self._fit(X, y, sample_weight, chunk=True)
        return self

    def _loss(self) -> Any:
        return Squared()

    def _targets(
        self, y: Any, X: Any, weight: np.ndarray, continued: bool, chunk: bool, classes: Any
    ) -> Targets:
        if dates_in(y) is not None:
            raise ValueError(
                "y has dates or durations, not numbers: convert them, for instance to days "
                "since the first date."
            )
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        except (ValueError, TypeError) as error:
            if "y" in str(error).split() or "Complex" in str(error):
                raise
            raise ValueError(f"y must hold a number for each row, got {shown(y)}.") from error
        if len(y) != X.shape[0]:
            raise ValueError(
                f"y has targets for {len(y)} rows, and X has {X.shape[0]}: give one for each."
            )
        rows, dtype = rows_with_target(np.ones(len(y), bool), weight), weight.dtype
        weight = joint_weight(weight[rows], np.ones(len(rows)), not chunk, dtype)
        rows, weight = rows[weight > 0], weight[weight > 0]
        given = y[rows]
        values = given.reshape(len(given), -1)
        n_targets = values.shape[1]
        if continued and n_targets != len(self._target_scale.mean):
            raise ValueError(
                f"y has {n_targets} targets, and the fitted network was trained on "
                f"{len(self._target_scale.mean)}: fit a clone."
            )
        largest = np.abs(values).max()
        if not largest < _LARGEST:
            raise ValueError(
                f"y has a value of size {largest:.3g}, with which predictions may overflow "
                f"float64: divide y by {largest:.3g}."
            )
        scale, conversion = TargetScale.of(values, weight.astype(np.float64)), None
        if continued:
            scale = self._target_scale.merged(scale)
            conversion = self._target_scale.change(scale)
        else:
            self._one_target = y.ndim == 1
        self._target_scale = scale
        values = scale.standard(values).astype(dtype)
        order = values[:, 0] if n_targets == 1 else None
        return Targets(rows, values, np.zeros(n_targets), weight, order, given, conversion)

    @of_one_fit
    def predict(self, X: Any) -> np.ndarray:
        """Predicted targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        y = self._outputs(X)
        scale, mean = (moved(x, y) for x in (self._target_scale.scale, self._target_scale.mean))
        y = y * scale + mean
        return y[:, 0] if self._one_target else y
