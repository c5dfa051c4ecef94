"""A generator fine-tuned to tell classes apart."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target

from .._compat import Interval, StrOptions, _fit_context
from .._messages import shown
from ..data import labels_of
from ..fine_tuning import Logistic, Softmax, Targets, joint_weight, rows_with_target
from ._base import assigned_at_the_end, of_one_fit
from ._fine_tuned import FineTuned, has_minibatches


class DBNClassifier(ClassifierMixin, FineTuned):
    """A generator, fine-tuned as a network that tells classes apart.

    The hidden layers of a deep belief network [1]_, a deep Boltzmann machine [2]_ or a
    restricted Boltzmann machine become those of a feed-forward network with a softmax on top,
    which is trained on the labels. The generator itself is kept, and what training made of it
    is a generator as well, so that one can see what the labels cost.

    Parameters
    ----------
    transformer : generator, FrozenEstimator or None, default=None
        The generator to start from: an `RBMTransformer`, a `DBNTransformer` or a
        `DBMTransformer`. One that is not frozen is cloned and fitted on all rows;
        `FrozenEstimator(generator)` is taken as it was fitted. `None` is `DBNTransformer()`.
        Its `memory` keeps the fine-tuned network too, where `random_state` is an int and
        `warm_start` is not set; a fine-tuning that was killed goes on from there.

    fine_tune : {"all", "head"}, int or sequence of float, default="all"
        Which hidden layers are trained beside the head: all, none of them ("head"), or the
        last so many; or a factor on the learning rate for each layer, the first one first. A
        layer of factor 0 stays as it is to the bit.

    solver : {"adam", "sgd", "lbfgs", "cg"}, default="adam"
        Minibatches with Adam [3]_ or with momentum; or L-BFGS or conjugate gradients of scipy
        on all rows at once, for small data.

    learning_rate : float or "auto", default="auto"
        Step size at the start of `fit`, and throughout `partial_fit`. For minibatches alone.
        "auto" is 0.01 with Adam and 0.003 with momentum.

    learning_rate_schedule : {"linear", "cosine", "constant"}, default="linear"
        How the learning rate falls to zero over the passes of `fit`, or that it does not.

    momentum : float, default=0.9
        Share of the last step that goes into the next one, with `solver="sgd"`.

    batch_size : int or "auto", default="auto"
        Rows for each update. "auto" makes 40 updates of a pass over the rows with a target,
        where that leaves 10 to 50 rows for each. The rows are dealt into batches whose sizes
        differ by at most one.

    n_iter : int or "auto", default="auto"
        Passes over the rows in `fit`; for L-BFGS and conjugate gradients, iterations at most.
        "auto" presents 50,000 rows with a target, in 10 to 100 passes, or takes 200 iterations.

    dropout : float, default=0.0
        Share of the inputs that is left out of each presentation [4]_.

    hidden_dropout : float, default=0.0
        The same for the units of hidden layers.

    adversarial_eps : float or "auto", default="auto"
        Length of the step by which each row is moved, to where its loss grows fastest, before
        the network learns it [5]_; in the units of the columns, or in standard deviations for
        Gaussian visible units. That takes another way forward and back. The input of
        `top_down_input` stays that of the row as it is. For minibatches alone.
        "auto" is a fifth of the distance of a row to the nearest other one, the median over 500
        rows, where all rows have a label, and else 0; `adversarial_eps_` says what it took.

    virtual_adversarial_eps : float or "auto", default="auto"
        Length of another step, as long for each row, to where the network says most else than
        of the row as it is; there it learns to say the same [6]_. No label is asked for:
        each update looks at `batch_size` of all rows, those without one included. That takes
        two more ways forward, one back, and a minibatch twice as large. For minibatches alone.
        "auto" is half of that distance where some rows have no label, and else 0.

    centered : bool or "auto", default="auto"
        Whether weights move about the running mean of their inputs, and biases with them [7]_:
        a bit that is 0 then teaches as much as one that is 1. What dropout leaves out takes its
        mean. For minibatches alone, and "auto" is True with them.

    max_norm : float or None, default=None
        Largest norm of the incoming weights of a unit, among those that are trained.

    weight_decay : float, default=0.0
        L2 penalty on the weights that are trained; never on biases. With Adam it shrinks them
        beside the step, and its gradient is not rescaled.

    label_smoothing : float, default=0.1
        Share of the probability of a row that all classes alike are given in training.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in scikit-learn; the generator is trained without them.

    early_stopping : bool, default=False
        Whether to hold rows out, stop when they are predicted no better, and go back to the
        pass after which they were predicted best.

    validation_fraction : float, default=0.1
        Share of the rows with a target that is held out then.

    n_iter_no_change : int, default=10
        Passes without a better score after which it stops.

    generative_weight : float, default=0.0
        Strength of the gradient of the log-likelihood of a row, in nats, next to that of its
        loss: it keeps the network a good generator. That of each machine of the stack is
        estimated with persistent chains.

    tie_weights : bool, default=True
        Whether the network and `fine_tuned_transformer_` share their weights. `False`: the
        weights on the way up alone are tuned, and `fine_tuned_transformer_` generates and
        scores as `transformer_` does.

    unlabeled : label, "auto" or None, default=None
        Which rows have no label: they train the generator, but the network only with
        `generative_weight` or `virtual_adversarial_eps`. A label, for instance -1 or NaN (which
        stands for all that is missing): the rows that have it. "auto": rows whose label is
        missing (None, NaN, NA or NaT) and, among integers and objects, -1; among strings and
        floats only what is missing. `None`: no rows, and a label that is missing is an error.
        A label that is the text "auto" marks no rows; write None in its place.

    top_down_input : bool, default=True
        For a `DBMTransformer`: whether each layer hears from the one above as well, by the
        posterior that the pre-trained machine gives it [2]_, so that the network starts at an
        update of the mean field. False: from below alone, twice; with adversarial rows, whose
        posterior stays that of the row as it is, this made fewer errors on MNIST. A deep belief
        network has no use for it.

    warm_start : bool, default=False
        Whether `fit` goes on from the network of the last one, without training the generator
        again. The schedule of the learning rate starts again.

    random_state : int, RandomState instance or None, default=None
        Fixes the order of the rows and all draws, and the generator where it has no
        `random_state` of its own.

    verbose : int, default=0
        Print a line after each pass, those of the training of the generator included.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted, those that have rows of weight 0 alone included; for several
        labels of each row the columns of `y`.

    transformer_ : fitted generator
        As it was pre-trained.

    fine_tuned_transformer_ : fitted generator
        The same with the weights and the hidden biases of the network in the place of its own.
        It samples and scores; what it selected stays selected.

    history_ : dict of lists of float
        After each pass: `loss`, the mean over its rows, as they were presented; with
        `early_stopping` `validation_loss` and `validation_score`, the accuracy on the rows held
        out.

    n_iter_ : int
        Passes made over rows, in all calls that continued one another.

    learning_rate_ : float
        The learning rate that the last training started with.

    batch_size_ : int
        Rows for each update in the last training.

    adversarial_eps_, virtual_adversarial_eps_ : float
        The lengths of the steps in the last training.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where all are strings.

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
       arXiv:1412.6572. The step is of a Euclidean length here, for each row its own.
    .. [6] Miyato, Maeda, Koyama, Ishii (2018). Virtual adversarial training: a regularization
       method for supervised and semi-supervised learning. doi:10.1109/TPAMI.2018.2858821
    .. [7] Schraudolph (1998). Centering neural network gradient factors. LNCS 1524.
       doi:10.1007/3-540-49430-8_11. Of their factors, inputs alone are centred here.

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
        fine_tune: str | int | Sequence[float] = "all",
        solver: str = "adam",
        learning_rate: float | str = "auto",
        learning_rate_schedule: str = "linear",
        momentum: float = 0.9,
        batch_size: int | str = "auto",
        n_iter: int | str = "auto",
        dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        adversarial_eps: float | str = "auto",
        virtual_adversarial_eps: float | str = "auto",
        centered: bool | str = "auto",
        max_norm: float | None = None,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.1,
        class_weight: dict | str | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        generative_weight: float = 0.0,
        tie_weights: bool = True,
        unlabeled: Any = None,
        top_down_input: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
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
    @assigned_at_the_end
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DBNClassifier:
        """Train the generator, unless it is frozen, and then the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, as the generator takes it.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            A label for each row, or an indicator matrix of several; text or numbers, with the
            rows that `unlabeled` names among them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for the generator too; only their proportions count. A row of
            weight 0 decides nothing.

        Returns
        -------
        self : DBNClassifier

        Raises
        ------
        ValueError, TypeError
            When the data or a parameter is not as documented, or when training diverges. The
            estimator is then as it was before.
        """
        self._fit(X, y, sample_weight)
        return self

    @available_if(has_minibatches)
    @_fit_context(prefer_skip_nested_validation=False)
    @assigned_at_the_end
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> DBNClassifier:
        """Pass over the rows once, at the full learning rate.

        The first call trains the generator on its rows, with all its passes, unless it is
        frozen or fitted; later calls leave it as it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see; for the first call.
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
        self._partial_fit(X, y, sample_weight, classes)
        return self

    def _loss(self) -> Any:
        return Logistic() if self._multilabel else Softmax()

    def _targets(
        self, y: Any, X: Any, weight: np.ndarray, go_on: bool, chunk: bool, classes: Any
    ) -> Targets:
        labels, known = labels_of(y, self.unlabeled)
        if len(known) != X.shape[0]:
            raise ValueError(
                f"y has {len(known)} labels for the {X.shape[0]} rows of X: give one for each."
            )
        if chunk and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all labels at once: call fit, or give "
                "partial_fit a dict of weights."
            )
        rows = rows_with_target(known, weight)
        # It looks whether floats are whole numbers, and huge ones are no integers.
        with np.errstate(invalid="ignore"):
            kind = type_of_target(labels, input_name="y", raise_unknown=True)
        if kind.startswith("continuous") or kind == "multiclass-multioutput":
            raise ValueError(
                f"Unknown label type: y holds {kind} values, and DBNClassifier takes a class "
                "for each row or an indicator matrix of 0 and 1: use DBNRegressor for numbers."
            )
        several = kind == "multilabel-indicator"
        if go_on and several != self._multilabel:
            raise ValueError(
                f"y is {kind}, and the fitted network to go on with was trained on "
                f"{'several labels' if self._multilabel else 'one label'} for each row: fit a "
                "clone."
            )
        self._multilabel = several
        counts = weight[known] != 0
        if several:
            labels = labels[counts]
            values, of_class = self._labels(labels, weight[rows], go_on)
            order = None
        else:
            values, of_class = self._classes(
                labels, counts, weight[rows], go_on, chunk, classes
            )
            labels = labels[counts]
            order = values.argmax(axis=1)
        total = joint_weight(weight[rows], of_class, not chunk, X.dtype)
        # One row of each class beside those there are, as no class is impossible.
        share = total.astype(np.float64) @ values + 1
        if several:
            share /= total.sum(dtype=np.float64) + 2
            base = np.log(share / (1 - share))
        else:
            base = np.log(share / (total.sum(dtype=np.float64) + len(self.classes_)))
        keep = np.flatnonzero(total)
        return Targets(
            rows[keep],
            values[keep].astype(X.dtype),
            base,
            total[keep],
            None if order is None else order[keep],
            labels[keep],
        )

    def _labels(
        self, y: np.ndarray, weight: np.ndarray, go_on: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Targets of rows with several labels, and the weights of their classes."""
        if go_on and y.shape[1] != len(self.classes_):
            raise ValueError(
                f"y has {y.shape[1]} columns, and the fitted network to go on with was trained "
                f"on {len(self.classes_)}: fit a clone."
            )
        if isinstance(self.class_weight, dict):
            raise ValueError(
                f"class_weight={shown(self.class_weight)} names classes, and y has several "
                "labels for each row: set class_weight='balanced', or pass sample_weight."
            )
        self.classes_ = np.arange(y.shape[1])
        of_class = np.ones(len(y))
        if self.class_weight:
            of_class = np.prod([_balanced(column, weight) for column in y.T], axis=0)
        return y.astype(np.float64), of_class

    def _classes(
        self,
        y: np.ndarray,
        counts: np.ndarray,
        weight: np.ndarray,
        go_on: bool,
        chunk: bool,
        classes: Any,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Targets of rows with a class each, and the weights of their classes.

        ``counts`` says which of the rows have a positive weight, and ``weight`` which one.
        """
        if chunk and classes is not None:
            classes = np.unique(labels_of(classes, self.unlabeled, "classes")[0])
        if chunk and not go_on:
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: give all labels "
                    "that any call will see."
                )
            self.classes_ = classes
        elif not go_on:
            self.classes_ = np.unique(y)
        new = np.setdiff1d(y[counts], self.classes_)
        if len(new):
            raise ValueError(
                f"y holds the label {shown(new[0])}, which is not among the classes "
                f"{shown(list(self.classes_))} that training started with: pass all of them as "
                "classes in the first call to partial_fit, or fit a clone."
            )
        if chunk and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={shown(classes)} are not those that training started with, "
                f"{shown(list(self.classes_))}: leave them out after the first call to "
                "partial_fit."
            )
        if self.class_weight == "balanced":
            of_class = _balanced(y[counts], weight)
        else:
            of_class = compute_sample_weight(self.class_weight, y)[counts]
        if not np.all((of_class >= 0) & (of_class < np.inf)):
            raise ValueError(
                f"class_weight={shown(self.class_weight)} must give each class a finite weight "
                "that is not negative."
            )
        y = y[counts]
        values = np.zeros((len(y), len(self.classes_)))
        values[np.arange(len(y)), np.searchsorted(self.classes_, y)] = 1
        return values, of_class

    @of_one_fit
    def decision_function(self, X: Any) -> np.ndarray:
        """What the head says of each class, before the softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds of the second; for several labels those of each.
        """
        outputs = self._outputs(X)
        if self._multilabel or outputs.shape[1] > 2:
            return outputs
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]

    @of_one_fit
    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            For several labels an indicator matrix of those with a probability above one half.
        """
        outputs = self._outputs(X)
        if self._multilabel:
            return (outputs > 0).astype(int)
        return self.classes_[outputs.argmax(axis=1)]

    @of_one_fit
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. For several labels each on its own.
        """
        outputs = self._outputs(X)
        return expit(outputs) if self._multilabel else softmax(outputs, axis=1)

    @of_one_fit
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Log of the probability of each class, also where that is too small for a float.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            As in `predict_proba`.
        """
        outputs = self._outputs(X)
        return log_expit(outputs) if self._multilabel else log_softmax(outputs, axis=1)


def _balanced(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights by which all classes of ``y`` weigh the same, for each row."""
    classes, index = np.unique(y, return_inverse=True)
    # Relative, so that no weight is too small for its reciprocal.
    weight = weight.astype(np.float64) / weight.max()
    return compute_class_weight("balanced", classes=classes, y=y, sample_weight=weight)[index]
