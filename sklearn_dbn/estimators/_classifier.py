"""A generator fine-tuned as a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from .._array_api import is_foreign, moved, namespace, take, to_numpy
from .._compat import Interval, StrOptions, _fit_context, available_if
from ..fine_tuning import Logistic, Softmax, Targets
from ._base import of_one_fit, unchanged_on_failure
from ._class_targets import Classes, class_targets
from ._fine_tuned import FineTuned, has_minibatches
from ._options import Auto, ClassWeight, FineTune, RandomState, Schedule, Solver


class DBNClassifier(ClassifierMixin, FineTuned):
    """A generator, fine-tuned as a network that predicts classes.

    The hidden layers of a deep belief network [1]_, a deep Boltzmann machine [2]_ or a
    restricted Boltzmann machine become those of a feed-forward network with a softmax head,
    which is trained on the labels. The fitted estimator has the pre-trained generator and the
    fine-tuned one, so that their likelihoods can be compared.

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
        "auto" is 0.01 with Adam and 0.003 with momentum.

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
        "auto" presents 50,000 rows with a target, in 10 to 100 passes, or takes 200 iterations.

    dropout : float, default=0.0
        Probability with which each input is dropped at each presentation [4]_.

    hidden_dropout : float, default=0.0
        The same for the units of hidden layers.

    adversarial_eps : float or "auto", default="auto"
        Distance by which each row is moved in the direction in which its loss increases
        fastest [5]_; in the units of the columns, or in standard deviations for Gaussian
        visible units. This takes another forward and backward computation. The top-down input
        stays that of the row that is not moved. Minibatches only.
        "auto" is a fifth of the distance of a row to the nearest other one, the median over 500
        rows, if all rows have a label, and 0 otherwise.

    virtual_adversarial_eps : float or "auto", default="auto"
        Distance by which rows are moved in the direction in which the output changes fastest;
        their target is the output for the row that is not moved [6]_. No label is needed: each
        update uses `batch_size` of all rows, with and without a label. This takes two more
        forward and one more backward computation, and minibatches twice as large. Minibatches
        only. "auto" is half of the distance to the nearest row if some rows have no label, and
        0 otherwise.

    centered : bool or "auto", default="auto"
        Whether to train with centred inputs: weights multiply the inputs less their running
        mean [7]_, so that the training does not depend on which of two bits is coded as 1.
        Dropout sets inputs to their mean. Minibatches only, and "auto" is True with them.

    max_norm : float or None, default=None
        Largest norm of the incoming weights of a unit, among those that are trained.

    weight_decay : float, default=0.0
        Penalty on the squares of the weights that are trained, and not of biases. With Adam
        it is applied apart from the gradient, so that it is not rescaled.

    label_smoothing : float, default=0.1
        Share of the probability of a row that is spread equally over all classes in training.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in scikit-learn; the training of the generator ignores them.

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

    unlabeled : label, "auto" or None, default=None
        Which rows have no label: the generator is trained on them, but the network only with
        `generative_weight` or `virtual_adversarial_eps`. A label, for instance -1, or NaN for
        all missing labels: the rows that have it. "auto": rows whose label is missing (None,
        NaN, NA or NaT), and for integers and objects also -1. `None`: no rows, and a missing
        label is an error. The text "auto" cannot mark rows; replace it in `y` by None.

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
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted, also those of which all rows have weight 0; with several labels
        for each row, the numbers of the columns of `y`.

    transformer_ : fitted generator
        The pre-trained generator.

    fine_tuned_transformer_ : fitted generator
        The generator with the weights and the hidden biases of the network. It samples and
        scores, and has the same selection.

    history_ : dict of lists of float
        After each pass: `loss`, the mean over the rows as presented; with `early_stopping`
        `validation_loss` and `validation_score`, the accuracy on the held-out rows.

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
    DBNRegressor : The same for numbers.
    DBNTransformer : Features from any layers, for any classifier.

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
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_dbn import DBNClassifier, DBNTransformer, RBMTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> dbn = DBNTransformer((64, 64), rbm=RBMTransformer(n_iter=10))
    >>> model = DBNClassifier(dbn, n_iter=20, random_state=0).fit(X_train, y_train)
    >>> bool(model.score(X_test, y_test) > 0.95)
    True
    """

    classes_: np.ndarray

    _parameter_constraints: dict = {
        **FineTuned._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "unlabeled": "no_validation",
    }

    _automatic_rates = {"adam": 0.01, "sgd": 0.003}
    _presentations, _passes = 50_000, (10, 100)

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
        adversarial_eps: float | Auto = "auto",
        virtual_adversarial_eps: float | Auto = "auto",
        centered: bool | Auto = "auto",
        max_norm: float | None = None,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.1,
        class_weight: dict[Any, float] | ClassWeight | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        generative_weight: float = 0.0,
        tie_weights: bool = True,
        unlabeled: Any = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.generative_weight = generative_weight
        self.tie_weights = tie_weights
        self.unlabeled = unlabeled
        self.top_down_input = top_down_input
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            A label for each row, text or number, or an indicator matrix of several. It
            includes the rows that `unlabeled` marks.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, also for the generator; only their ratios matter. A row of
            weight 0 has no effect.

        Returns
        -------
        self : DBNClassifier

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
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Pass over the rows once, at the full learning rate.

        The first call trains the generator on its rows, with all its passes, unless it is
        frozen or fitted; later calls leave it as it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data, in any of the forms that `fit` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            The classes of all calls; required in the first one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : DBNClassifier

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        self._fit(X, y, sample_weight, chunk=True, classes=classes)
        return self

    def _loss(self) -> Any:
        return Logistic() if self._multilabel else Softmax()

    def _targets(
        self, y: Any, X: Any, weight: np.ndarray, continued: bool, chunk: bool, classes: Any
    ) -> Targets:
        fitted = Classes(self.classes_, self._multilabel) if continued else None
        options = self.unlabeled, self.class_weight
        targets, found = class_targets(y, X, weight, *options, fitted, chunk, classes)
        self.classes_, self._multilabel = found.labels, found.multilabel
        return targets

    @of_one_fit
    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs of the head for each class, before the softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds of the second; with several labels those of each.
        """
        outputs = self._outputs(X)
        if self._multilabel or outputs.shape[1] > 2:
            return outputs
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]

    @of_one_fit
    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            With several labels, an indicator matrix of those with a probability above 0.5.
        """
        outputs = self._outputs(X)
        if self._multilabel:
            return namespace(outputs).astype(outputs > 0, namespace(outputs).int64)
        index = namespace(outputs).argmax(outputs, axis=1)
        if not is_foreign(outputs) or self.classes_.dtype.kind not in "biuf":
            return self.classes_[to_numpy(index)]
        return take(moved(self.classes_, outputs), index)

    @of_one_fit
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. With several labels the rows do not sum to 1.
        """
        outputs = self._outputs(X)
        return self._loss().proba(outputs)

    @of_one_fit
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Log of the probability of each class, also if that is too small for a float.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            As in `predict_proba`.
        """
        outputs = self._outputs(X)
        return self._loss().log_proba(outputs)
