"""A restricted Boltzmann machine as a scikit-learn transformer."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.callback import with_callbacks
from sklearn.utils.validation import check_is_fitted

from .._array_api import empty_as
from .._cache import MEMORY, Checkpoint, cached, key_of, memory_of
from .._compat import Interval, StrOptions, _fit_context
from ..data import Rows, frame_of
from ..machine import dense_weights
from ..optim import SCHEDULES
from ..samplers import SAMPLERS
from ..training import (
    MachineLoop,
    Outcome,
    Run,
    continued,
    drive,
    held_out_rows,
    new_run,
    settings_attributes,
    settings_of,
    training_parameters,
)
from ..units import HIDDEN, UNITS
from ._base import check_columns, of_one_fit, raise_if_interrupted, unchanged_on_failure
from ._callbacks import PassTasks, given_to_callbacks
from ._machine_generator import MachineGenerator, title_of, warn_unless_converged
from ._options import Auto, Hidden, Missing, RandomState, Sampler, Schedule, Visible


class RBMTransformer(ClassNamePrefixFeaturesOutMixin, MachineGenerator):
    """Restricted Boltzmann machine, trained without labels.

    Parameters
    ----------
    n_components : int, default=256
        Number of hidden units.

    visible : str or dict, default="auto"
        Kind of the columns: one for all, or a mapping from kinds to columns, which are given
        as in `ColumnTransformer`; "auto" decides for those that it leaves out.

        - "bernoulli": two states; numbers in [0, 1], also grey levels, or two levels.
        - "gaussian": real numbers. The columns are standardised for training, and the
          variance of their noise is learnt.
        - "categorical": levels without an order.
        - "ordinal": ordered levels.
        - "count": whole numbers from 0, of any distribution; above 50 they share one level.
        - "binomial": whole numbers from 0 to n, the largest one in `fit`.
        - "spin": the states -1 and 1.
        - "auto": an array, or a frame of numbers, is "bernoulli" if all values lie in [0, 1],
          else "gaussian". In any other frame each column decides: booleans and two levels are
          "bernoulli", texts and categories "categorical", ordered categories "ordinal", and
          numbers "bernoulli" or "gaussian".

        Values that rounding left out of [0, 1], by up to 1e-6, are clipped in all methods. The
        levels are those of the first `fit` or `partial_fit`; a new one is missing.

    hidden : {"bernoulli", "gaussian", "spin"}, default="bernoulli"
        Type of the hidden units.

    missing : {"nan", "unstored"}, default="nan"
        What is missing: NaN, None, NA; or the values that a sparse `X` does not store, as in a
        matrix of ratings.

    sampler : {"pcd", "cd", "tempering"}, default="pcd"
        Sampler of the negative phase: persistent chains [2]_; chains that start at each
        minibatch [1]_; or persistent chains that swap states with chains at other
        temperatures [4]_, which mix better.

    n_gibbs_steps : int, default=1
        Gibbs sweeps of the chains for each update.

    n_chains : int or None, default=None
        Number of persistent chains. `None` is `batch_size`, but at most the number of rows.
        Contrastive divergence has one chain for each row of the minibatch.

    n_temperatures : int, default=10
        Number of temperatures with `sampler="tempering"`, 2 or more. The time of the sampler
        grows in proportion.

    learning_rate : float or "auto", default="auto"
        Learning rate at the start of `fit`, and in all of `partial_fit`. "auto" is
        `min(batch_size / 5, 10) / max(S, 10)`, S being the variance of the visible units,
        summed over them; for real-valued columns `min(batch_size / 10, 2) / max(S, 10)`. It is
        smaller where one factor or direction explains most of that variance.

    learning_rate_schedule : {"linear", "cosine", "constant"}, default="linear"
        How the learning rate falls to zero over the passes of `fit`; "constant": it does not.

    momentum : float, default=0.0
        Share of the last update that is added to the next one, in [0, 1). With 0.9 the
        parameters change ten times as much as with 0.

    averaging_fraction : float, default=0.1
        The fitted parameters are averages over about the last `averaging_fraction * passes`
        passes: with 1 over all, near 0 over the last one.

    batch_size : int or "auto", default="auto"
        Rows for each update. "auto" makes 40 updates in a pass, with 10 to 50 rows each; 100
        updates with 50 to 400 rows each if `X` is a dask collection. The sizes of minibatches
        differ by at most one row; the update is proportional to the size.

    n_iter : int or "auto", default="auto"
        Passes over the training data in `fit`. "auto" presents about 200,000 rows in all, in at
        least 10 and at most 50 passes.

    centered : bool, default=True
        Centre the gradient [3]_. Training then does not depend on which state is called 1.

    sample_inputs : bool, default=True
        Draw new bits from grey levels each time a row is presented to Bernoulli visible units.
        `False`: present the grey levels themselves.

    weight_decay : float, default=0.001
        Penalty on the squares of the weights, not of the biases.

    sparsity_target : float, "auto" or None, default="auto"
        Target of the mean activity of Bernoulli hidden units, in (0, 1); `None`: no target.
        "auto" is 0.1 for Bernoulli hidden units and `None` for others. A target improves
        linear classifiers, and lowers the log-likelihood by two or three nats.

    sparsity_cost : float, default=0.1
        Factor on the sparsity penalty, relative to the log-likelihood in nats.

    validation_fraction : float, default=0.0
        Share of the rows that is held out, for `free_energy_gap` in `history_`: the machine
        overfits where the gap grows from pass to pass. With `early_stopping`, 0 means 0.1.

    early_stopping : bool, default=False
        Stop when the log-likelihood of the held-out rows has not risen for `n_iter_no_change`
        passes, and keep the machine of the best pass. `partial_fit` ignores it. In the template
        of a `DBMTransformer` it stops the joint training only.

    n_iter_no_change : int, default=10
        Passes without a better log-likelihood before `early_stopping` stops.

    warm_start : bool, default=False
        Whether `fit` continues from the parameters, chains and averages of the last one. The
        learning-rate schedule starts again.

    memory : str, path, object with the joblib.Memory interface or None, default=None
        Cache of trained machines, as in `DBNTransformer`. Ignored in a template.

    random_state : int, RandomState instance or None, default=None
        Fixes the initial weights, the order of the rows and all draws. The cache needs an int.

    verbose : int, default=0
        Print a line after each pass. In a template it holds for the layers described there.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights, in the dtype of the training data. Here and below a category counts as a
        feature for each level, blocks of one kind are adjacent, and ordered levels and counts
        are standardised.

    intercept_hidden_ : ndarray of shape (n_components,)
        Biases of the hidden units.

    intercept_visible_ : ndarray of shape (n_features,)
        Biases of the visible units; for Gaussian units the mean divided by the variance.

    visible_variance_, hidden_variance_ : ndarray or None
        Conditional variances of Gaussian units, shape (n_features,) and (n_components,); NaN
        for others beside them.

    visible_type_, hidden_type_ : str
        The unit types; those of columns of several kinds are joined by a plus sign.

    history_ : dict of lists of float
        After each pass, computed with the averaged parameters from at most 256 rows:
        `reconstruction_error`, the mean squared difference between a row and its mean-field
        reconstruction (of standardised columns for Gaussian units); `mean_activity` of the
        hidden units; `weight_norm`; counts of `dead_units`, `saturated_units` and
        `redundant_units`, whose means correlate beyond 0.99 with those of an earlier unit of
        their layer; with `validation_fraction`, `free_energy_gap`, the mean free energy of
        held-out rows less that of training rows, in nats; with `early_stopping`,
        `validation_log_likelihood`, an estimate of the mean log-likelihood of the observed
        entries of held-out rows, in nats [5]_, which may be off by a nat or two with hundreds
        of hidden units; with persistent chains `free_energy_swing`, the standard deviation over
        rows of the change of their free energies in the pass, in nats; with
        `sampler="tempering"`, `swap_rate`, the share of proposed swaps that were accepted.

    learning_rate_, batch_size_, sparsity_target_ : float, int, float or None
        The values of these parameters in the last training.

    n_iter_ : int
        Passes made, in all calls that continued one another, including those after the best
        pass of `early_stopping`.

    n_features_in_ : int
        Number of columns in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all are strings.

    See Also
    --------
    DBNTransformer : A stack of these, with features from any layers.

    References
    ----------
    .. [1] Hinton (2002). Training products of experts by minimizing contrastive divergence.
       doi:10.1162/089976602760128018
    .. [2] Tieleman (2008). Training restricted Boltzmann machines using approximations to the
       likelihood gradient. doi:10.1145/1390156.1390290
    .. [3] Melchior, Fischer, Wiskott (2016). How to center deep Boltzmann machines. JMLR 17:99.
    .. [4] Desjardins, Courville, Bengio, Vincent, Delalleau (2010). Tempered Markov chain Monte
       Carlo for training of restricted Boltzmann machines. AISTATS, PMLR 9:145-152.
    .. [5] Desjardins, Courville, Bengio (2011). On tracking the partition function. NIPS 24.

    Examples
    --------
    Features for a linear classifier:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_dbn import RBMTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> head = LogisticRegression(max_iter=1000)
    >>> model = make_pipeline(RBMTransformer(64, n_iter=20, random_state=0), head)
    >>> bool(model.fit(X_train, y_train).score(X_test, y_test) > 0.9)
    True
    """

    components_: np.ndarray
    intercept_hidden_: np.ndarray
    intercept_visible_: np.ndarray
    hidden_variance_: np.ndarray | None

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "visible": [StrOptions({"auto", *UNITS}), dict],
        "hidden": [StrOptions(set(HIDDEN))],
        "missing": [StrOptions({"nan", "unstored"})],
        "sampler": [StrOptions(set(SAMPLERS))],
        "n_gibbs_steps": [Interval(Integral, 1, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left"), None],
        "n_temperatures": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "averaging_fraction": [Interval(Real, 0, 1, closed="right")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_iter": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "centered": ["boolean"],
        "sample_inputs": ["boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "sparsity_target": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"}), None],
        "sparsity_cost": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "memory": MEMORY,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 256,
        *,
        visible: Visible | dict[str, Any] = "auto",
        hidden: Hidden = "bernoulli",
        missing: Missing = "nan",
        sampler: Sampler = "pcd",
        n_gibbs_steps: int = 1,
        n_chains: int | None = None,
        n_temperatures: int = 10,
        learning_rate: float | Auto = "auto",
        learning_rate_schedule: Schedule = "linear",
        momentum: float = 0.0,
        averaging_fraction: float = 0.1,
        batch_size: int | Auto = "auto",
        n_iter: int | Auto = "auto",
        centered: bool = True,
        sample_inputs: bool = True,
        weight_decay: float = 1e-3,
        sparsity_target: float | Auto | None = "auto",
        sparsity_cost: float = 0.1,
        validation_fraction: float = 0.0,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        memory: Any = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.visible = visible
        self.hidden = hidden
        self.missing = missing
        self.sampler = sampler
        self.n_gibbs_steps = n_gibbs_steps
        self.n_chains = n_chains
        self.n_temperatures = n_temperatures
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.momentum = momentum
        self.averaging_fraction = averaging_fraction
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.centered = centered
        self.sample_inputs = sample_inputs
        self.weight_decay = weight_decay
        self.sparsity_target = sparsity_target
        self.sparsity_cost = sparsity_cost
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_failure
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the machine on `X`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse data is made dense one minibatch at a time; a memory-mapped
            file is not copied. The rows of a dask array or frame stay on the workers of a
            `distributed` cluster, which take part in the training.
        y : Ignored
            Not used.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their proportions count.

        Returns
        -------
        self : RBMTransformer

        Raises
        ------
        ValueError
            When `X` contains infinity, or a value outside [0, 1] with Bernoulli visible
            units, or when training diverges. The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            When persistent chains do not mix: in the last half of the passes,
            `free_energy_swing` is above 5 nats and above the standard deviation of the free
            energies; or when the weights still move in one direction.
        """
        continues = self.warm_start and hasattr(self, "_run")
        rows = self._training_rows(self, X, sample_weight, continues)
        memory = memory_of(self)
        parameters = training_parameters(self), rows.key
        key = key_of(memory, rows.X, rows.weight, parameters, self.random_state)
        with cached(memory, key) as entry:
            attributes, outcome = entry.value, None
            if attributes is None:
                attributes, outcome = self._fit_rows(rows, entry.checkpoint)
                if outcome.complete:
                    entry.keep(attributes)
        self._assign(attributes)
        raise_if_interrupted(self, outcome)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Pass over `X` once, at the full learning rate.

        The chains, the averages and the moments of the columns continue from the last call of
        `fit` or `partial_fit`. Any number of rows is allowed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data, in any of the forms that `fit` takes.
        y : Ignored
            Not used.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. A row of weight 2 counts as two rows.

        Returns
        -------
        self : RBMTransformer

        Raises
        ------
        ValueError
            As in `fit`.
        """
        continues = hasattr(self, "_run")
        rows = self._training_rows(self, X, sample_weight, continues, chunk=True)
        attributes, outcome = self._fit_rows(rows, chunk=True)
        self._assign(attributes)
        raise_if_interrupted(self, outcome)
        return self

    @with_callbacks
    def _fit_rows(
        self,
        rows: Rows,
        checkpoint: Checkpoint | None = None,
        title: str | None = None,
        subject: str = "The training",
        chunk: bool = False,
    ) -> tuple[dict[str, Any], Outcome]:
        """The fitted attributes after training on validated rows, and the outcome.

        ``chunk``: in `partial_fit`. ``title`` starts the printed lines, and ``subject`` names
        the training in warnings; a stack gives its own.
        """
        settings = settings_of(self, rows, "constant" if chunk else None)
        if hasattr(self, "_run") and (chunk or self.warm_start):
            self._check_n_components()
            run = continued(self._run, self, rows, settings)
        else:
            run = new_run(self, rows, settings, [self._widths], self.random_state)
        held_out = None if chunk else held_out_rows(self, rows, run)
        n_passes, given = 1 if chunk else settings.n_iter, given_to_callbacks(rows)
        context = self._init_callback_context(max_subtasks=n_passes)
        context.call_on_fit_task_begin(estimator=self._original, **given)
        loop = MachineLoop.of(run, rows, settings, n_passes, held_out)
        outcome = drive(
            run,
            loop.train,
            n_passes,
            tasks=PassTasks(context, self, given, self._fitted_attributes),
            checkpoint=checkpoint,
            title=title or title_of(self, self.verbose),
        )
        warn_unless_converged(outcome, loop, None if chunk else subject)
        run = outcome.state.best()
        attributes = self._fitted_attributes(run) | settings_attributes(run, settings)
        context.call_on_fit_task_end(
            estimator=self._original,
            **given,
            reconstruction_attributes=lambda: self._new_attributes() | attributes,
        )
        return attributes, outcome

    @property
    def _widths(self) -> tuple[int, ...]:
        """The hidden units of each pathway."""
        return vars(self).get("_pathway_widths", (self.n_components,))

    @property
    def _kinds(self) -> dict[str, Any]:
        return {"rbm": self}

    @property
    def _bottom_template(self) -> Any:
        return self

    def _check_n_components(self) -> None:
        n_fitted = self._run.machine.W[0].shape[1]
        if self.n_components != n_fitted:
            raise ValueError(
                f"n_components={self.n_components}, but the fitted machine to continue "
                f"has {n_fitted} hidden units: fit a clone, or set n_components={n_fitted}."
            )

    def _fitted_attributes(self, run: Run) -> dict[str, Any]:
        """The fitted attributes, public and private."""
        shared = self._attributes_of(run)
        machine = shared["_machine"]
        hidden, (a, b) = machine.units[1], machine.par
        return shared | {
            "_n_features_out": b.shape[1],
            "components_": dense_weights(machine.W[0]).T,
            "intercept_visible_": a[0, :],
            "intercept_hidden_": b[0, :],
            "hidden_variance_": None
            if hidden.curvature(b) is None
            else hidden.variance(b[:1, :], b)[0, :],
        }

    @of_one_fit
    def transform(self, X: Any) -> np.ndarray:
        """Posterior means of the hidden units, E(h | v = X).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, without draws from grey levels. Missing entries (NaN) are filled in by their
            mean field. With or without a cluster, the result for a dask array or frame is lazy.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            For Bernoulli hidden units the probabilities of state 1. A dask array for a dask
            collection, with the same partitions.

        Warns
        -----
        UserWarning
            When `X` has values outside [0, 1] for Bernoulli visible units.
        """
        check_is_fitted(self)
        return self._features(self._check_rows(X, reset=False, outside="warn"))

    def _features(self, X: Any, fields: Any = None) -> np.ndarray:
        """`transform` of validated rows; ``fields`` replaces `_fields`."""
        H = None
        for rows, ((unit, par, field),) in (fields or self._fields)(X, 0):
            means = unit.mean(field, par)
            H = empty_as(means, (X.shape[0], par.shape[1])) if H is None else H
            H[rows, :] = means
        return H

    @of_one_fit
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Means of the visible units, E(v | h = X).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            States or posterior means of the hidden units.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            In the units of the training data.

        Raises
        ------
        ValueError
            When `X` does not have a column for each hidden unit.
        """
        check_is_fitted(self)
        H = check_columns(X, self._n_features_out, self.components_.dtype)
        v = self._stack[0].means([0], [None, H])[0]
        like = X if frame_of(X) is not None else None
        return self._table.rows(self._run.columns.values(v), like)
