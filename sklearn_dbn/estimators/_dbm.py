"""A deep Boltzmann machine as a scikit-learn transformer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._cache import MEMORY, cached, key_of, memory_of
from .._compat import Interval, StrOptions, _fit_context
from .._random import seed_of
from ..data import Rows
from ..machine import dense_weights
from ..selection import UnitStatistics, collect
from ..training import (
    SCHEMES,
    MachineLoop,
    Pretraining,
    Run,
    continued,
    drive,
    held_out_rows,
    new_run,
    pretraining_scheme,
    settings_attributes,
    settings_of,
    training_parameters,
)
from ._base import of_one_fit, raise_if_interrupted, unchanged_on_failure
from ._callbacks import PassTasks, given_to_callbacks
from ._layers import check_sizes, checked_template, layer_widths
from ._machine_generator import MachineGenerator, title_of, warn_unless_converged
from ._options import (
    Fill,
    Inference,
    Layers,
    NegativePhase,
    Output,
    Pretrain,
    RandomState,
    UnitScore,
)
from ._pretraining import pretrain
from ._rbm import RBMTransformer
from ._selecting import SelectingGenerator
from ._templates import TemplateParameters


class DBMTransformer(TemplateParameters, MachineGenerator, SelectingGenerator):
    """Deep Boltzmann machine, trained without labels, with features from any of its layers.

    All layers are trained together, and the posterior of a layer depends on both its neighbours
    [1]_. The features are means of the mean field. With one hidden layer the machine is that of
    an `RBMTransformer`.

    Parameters
    ----------
    hidden_layer_sizes : int, or sequence of int or mapping, default=(256, 256)
        Number of units of each hidden layer, the first one first. A layer that is a mapping
        from pathways to numbers has separate units for each pathway; all such layers are below
        those that are joint [3]_.

    pathways : mapping or None, default=None
        The columns of each pathway, as `ColumnTransformer` takes columns: names, positions, a
        mask, a slice or a function of `X`. Every column is in one. The unit types of each are
        chosen on their own.

    modality_dropout : float, default=0.0
        Share of the presentations in which one pathway, chosen at random, is hidden from the
        machine and drawn given the others. It trains for rows that lack a modality.

    rbm : RBMTransformer or None, default=None
        Template with the parameters of the training; its `n_components`, `random_state` and
        `warm_start` are ignored. Training from random weights needs the default `centered=True`
        [2]_. `None` is `RBMTransformer(n_gibbs_steps=5)`: chains of several layers mix slowly.

    n_mean_field_steps : int, default=5
        Mean-field sweeps over each minibatch, after a first upward pass.

    negative_phase : {"sampled", "partial_mean_field"}, default="sampled"
        Statistics of the chains for the even layers above the visible one: their states, or
        their means given the means of the odd layers, which vary less and are slightly biased.

    inference : {"mean_field", "single_pass"}, default="mean_field"
        Source of the features: the mean field, or its first upward pass alone, in which each
        layer but the last counts the input from below twice, in place of the input from above.
        This pass takes about as long as a deep belief network of the same size.

    tol : float, default=0.0001
        The mean field of a row has converged when its residual is at most this; for real-valued
        units in standard deviations. Each row is decided on its own.

    max_mean_field_steps : int, default=500
        Largest number of mean-field sweeps over a row.

    damping : float, default=0.0
        Share of its old value that a mean keeps in a sweep, in [0, 1). 0 converges as well.

    pretrain : {"auto", "doubled", "first_layer"} or None, default="auto"
        Pre-training before the joint training. "doubled": each layer as an RBM with doubled
        weights [1]_, which gives the upper layers most influence; "first_layer": the first
        layer as an RBM, to which the others are then added, which gave the highest likelihood
        on binarised MNIST; `None`: none. "auto" is "doubled", and "first_layer" for real-valued
        hidden units. See docs/decisions/deep-boltzmann.md.

    pretrain_rbm : RBMTransformer or None, default=None
        Template for the pre-training, as `rbm`; `None` is `rbm`.

    layers : int, slice, sequence of int or "all", default="all"
        As in `DBNTransformer`.

    units : None, int, float, mapping or feature selector, default=None
        As in `DBNTransformer`.

    unit_score : {"information", "variance"} or callable, default="information"
        As in `DBNTransformer`.

    passthrough : bool, default=False
        Whether to append the input columns.

    output : {"probability", "logit", "binary"}, default="probability"
        Posterior means of the units, their fields, or their modes.

    fill : {"mean_field", "draws"}, default="mean_field"
        What features of a row with missing entries are computed from: their mean field, or
        draws of them given the observed ones, over which the features are averaged. Draws take
        longer, and show each of several modes; the mean field shows one, or a blend.

    memory : str, path, object with the joblib.Memory interface or None, default=None
        Cache of trained machines, as in `DBNTransformer`.

    warm_start : bool, default=False
        Whether `fit` continues from the parameters, chains and averages of the last one.

    random_state : int, RandomState instance or None, default=None
        Fixes the training. The cache needs an int.

    verbose : int, default=0
        Print a line after each pass of the pre-training, with the number of the layer, and of
        the joint training. `verbose` of a template prints its lines too.

    Attributes
    ----------
    weights_ : list of ndarray of shape (n_l, n_{l+1})
        Weights between each layer and the next, the visible one first.

    intercepts_ : list of ndarray of shape (n_l,)
        Biases of each layer, the visible one first; for Gaussian units the mean divided by the
        variance.

    visible_variance_ : ndarray of shape (n_features,) or None
        Conditional variance of Gaussian visible units.

    visible_type_, hidden_type_ : str
        The unit types.

    selected_layers_ : ndarray of int
        The layers that give features.

    selected_units_ : list of int arrays
        The units of each of these layers.

    unit_selector_ : feature selector or None
        The fitted clone of `units`, if that is a feature selector.

    history_ : dict of lists of float
        As in `RBMTransformer`, over all hidden layers together; with several of them
        `free_energy_gap` is that of the variational bound. `validation_log_likelihood` still
        estimates the log-likelihood.

    learning_rate_, batch_size_, sparsity_target_ : float, int, float or None
        The values of these parameters in the last training. With several hidden layers,
        `sparsity_target="auto"` is `None` except after `pretrain="doubled"`: joint training of
        sparse layers from random weights ends with dead units.

    n_iter_ : int
        Passes made, in all calls that continued one another, without those of `pretrain`.

    n_features_in_ : int
        Number of columns in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all are strings.

    See Also
    --------
    DBNTransformer : Layers that are trained one after the other.
    RBMTransformer : One layer, and all parameters of its training.

    References
    ----------
    .. [1] Salakhutdinov, Hinton (2009). Deep Boltzmann machines. AISTATS, PMLR 5:448-455.
    .. [2] Melchior, Fischer, Wiskott (2016). How to center deep Boltzmann machines. JMLR 17:99.
    .. [3] Srivastava, Salakhutdinov (2014). Multimodal learning with deep Boltzmann machines.
       JMLR 15:2949.

    Examples
    --------
    Features of both layers for a linear classifier:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_dbn import DBMTransformer, RBMTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> dbm = DBMTransformer(
    ...     (64, 32), rbm=RBMTransformer(n_iter=20), layers="all", random_state=0
    ... )
    >>> model = make_pipeline(dbm, LogisticRegression(max_iter=1000))
    >>> bool(model.fit(X_train, y_train).score(X_test, y_test) > 0.9)
    True
    """

    weights_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    _parameter_constraints: dict = {
        "hidden_layer_sizes": "no_validation",
        "pathways": "no_validation",
        "modality_dropout": [Interval(Real, 0, 1, closed="left")],
        "rbm": "no_validation",
        "n_mean_field_steps": [Interval(Integral, 0, None, closed="left")],
        "negative_phase": [StrOptions({"sampled", "partial_mean_field"})],
        "inference": [StrOptions({"mean_field", "single_pass"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_mean_field_steps": [Interval(Integral, 1, None, closed="left")],
        "damping": [Interval(Real, 0, 1, closed="left")],
        "pretrain": [StrOptions(set(SCHEMES)), None],
        "pretrain_rbm": "no_validation",
        **SelectingGenerator._selection_constraints,
        "memory": MEMORY,
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _template_names = ("rbm", "pretrain_rbm")

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int | Mapping[str, int]] = (256, 256),
        *,
        pathways: Mapping[str, Any] | None = None,
        modality_dropout: float = 0.0,
        rbm: RBMTransformer | None = None,
        n_mean_field_steps: int = 5,
        negative_phase: NegativePhase = "sampled",
        inference: Inference = "mean_field",
        tol: float = 1e-4,
        max_mean_field_steps: int = 500,
        damping: float = 0.0,
        pretrain: Pretrain | None = "auto",
        pretrain_rbm: RBMTransformer | None = None,
        layers: int | slice | Sequence[int] | Layers = "all",
        units: Any = None,
        unit_score: UnitScore | Callable[..., Any] = "information",
        passthrough: bool = False,
        output: Output = "probability",
        fill: Fill = "mean_field",
        memory: Any = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.pathways = pathways
        self.modality_dropout = modality_dropout
        self.rbm = rbm
        self.n_mean_field_steps = n_mean_field_steps
        self.negative_phase = negative_phase
        self.inference = inference
        self.tol = tol
        self.max_mean_field_steps = max_mean_field_steps
        self.damping = damping
        self.pretrain = pretrain
        self.pretrain_rbm = pretrain_rbm
        self.layers = layers
        self.units = units
        self.unit_score = unit_score
        self.passthrough = passthrough
        self.output = output
        self.fill = fill
        self.memory = memory
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the machine, then select layers and units.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any of the forms that `RBMTransformer.fit` takes.
        y : array-like of shape (n_samples,), default=None
            For a feature selector or a score function only; training uses no labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in training and in the scores that need no labels; only their
            proportions count. A feature selector or a score function gets the rows of positive
            weight.

        Returns
        -------
        self : DBMTransformer

        Raises
        ------
        ValueError, TypeError
            When `X` or a parameter is not as documented, or when training diverges. The
            estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            When persistent chains do not mix, or the joint training has not converged, as in
            `RBMTransformer`.
        """
        continues = self.warm_start and hasattr(self, "_run")
        self._fit_rows(*self._validated(X, sample_weight, continues), y, continues)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Pass over `X` once, at the full learning rate, then select layers and units.

        The first call starts from random weights, whatever `pretrain` is. The scores of units
        are over about the last 10,000 rows; a feature selector or a score function gets only
        the rows of this call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data, any number of rows, in any of the forms that `fit` takes.
        y : array-like of shape (n_samples,), default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `RBMTransformer.partial_fit`.

        Returns
        -------
        self : DBMTransformer

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        continues = hasattr(self, "_run")
        validated = self._validated(X, sample_weight, continues, chunk=True)
        self._fit_rows(*validated, y, continues, chunk=True)
        return self

    def _validated(
        self, X: Any, sample_weight: Any, continues: bool, chunk: bool = False
    ) -> tuple[RBMTransformer, list[tuple[int, ...]], Rows]:
        """The template, the widths of the hidden layers and the training rows."""
        widths = layer_widths(self.hidden_layer_sizes, self.pathways)
        rbm = checked_template(self, "rbm")
        if continues:
            check_sizes(self)
        rows = self._training_rows(rbm, X, sample_weight, continues, chunk)
        if len(widths[-1]) == 1:
            rows.join_pathways(self.modality_dropout)
        return rbm, widths, rows

    @property
    def _kinds(self) -> dict[str, Any]:
        return {"rbm": checked_template(self, "rbm"), "pathways": self.pathways}

    def _default_template(self, name: str) -> RBMTransformer:
        if name == "pretrain_rbm" and self.rbm is not None:
            return clone(self.rbm)
        return RBMTransformer(n_gibbs_steps=5)

    def _deep_settings(
        self, pretraining: Pretraining | None, continues: bool
    ) -> dict[str, Any]:
        """Values in the settings that do not come from the template."""
        if continues:
            sparse = self.sparsity_target_ is not None
        else:
            # Joint training of sparse layers from random weights ends with dead units.
            sparse = len(layer_widths(self.hidden_layer_sizes, self.pathways)) == 1
            sparse |= pretraining is not None and pretraining.scheme == "doubled"
        return {
            "sparse": sparse,
            "n_mean_field_steps": self.n_mean_field_steps,
            "partial_mean_field": self.negative_phase == "partial_mean_field",
        }

    @with_callbacks
    def _fit_rows(
        self,
        rbm: RBMTransformer,
        widths: list[tuple[int, ...]],
        rows: Rows,
        y: Any,
        continues: bool,
        chunk: bool = False,
    ) -> None:
        """Train on validated rows and select units; ``chunk``: in `partial_fit`."""
        pretraining = None if chunk else self._pretraining(rbm, len(widths), continues)
        memory = None if chunk else memory_of(self)
        seed = None if continues else seed_of(self.random_state)
        deep = self._deep_settings(pretraining, continues)
        settings = settings_of(rbm, rows, "constant" if chunk else None, **deep)
        n_passes, given = 1 if chunk else settings.n_iter, given_to_callbacks(rows)
        n_subtasks = n_passes + (0 if pretraining is None else len(pretraining.kinds))
        context = self._init_callback_context(max_subtasks=n_subtasks)
        context.call_on_fit_task_begin(estimator=self._original, **given)
        training = training_parameters(rbm) | {"n_components": widths} | deep
        pretraining_key = None if pretraining is None else pretraining.key
        parameters = training, rows.key, pretraining_key
        key = key_of(memory, rows.X, rows.weight, parameters, seed)
        with cached(memory, key) as entry:
            attributes, outcome = entry.value, None
            if attributes is None:
                if continues:
                    run = continued(self._run, rbm, rows, settings)
                else:
                    run = new_run(rbm, rows, settings, widths, seed)
                held_out = None if chunk else held_out_rows(rbm, rows, run)
                whole = pretraining is None or pretrain(
                    self, context, pretraining, run, rows, seed, entry.checkpoint
                )
                loop = MachineLoop.of(run, rows, settings, n_passes, held_out)
                fitted = partial(self._attributes_for_callbacks, rows=rows, y=y)
                outcome = drive(
                    run,
                    loop.train,
                    n_passes,
                    tasks=PassTasks(context, self, given, fitted),
                    checkpoint=entry.checkpoint,
                    title=title_of(self, self.verbose, rbm.verbose),
                )
                warn_unless_converged(outcome, loop, None if chunk else "The training")
                run = outcome.state if chunk else outcome.state.best()
                attributes = self._fitted_attributes(run) | settings_attributes(run, settings)
                if outcome.complete and whole:
                    entry.keep(attributes)
                else:
                    memory = None
        statistics = copy.deepcopy(self._statistics) if chunk and continues else None
        self._assign(attributes)
        # The statistics depend on `tol`, `damping` and the like, which training does not.
        with cached(memory, key_of(memory, key, self._inference)) as entry:
            self._statistics = entry.value
            if self._statistics is None:
                self._statistics = self._statistics_of(rows, statistics)
                entry.keep(self._statistics)
        # Before the last task ends, since its callbacks may transform.
        self._resolve_selection(rows.X, y, rows.weight)
        context.call_on_fit_task_end(
            estimator=self._original, **given, reconstruction_attributes=self._new_attributes
        )
        raise_if_interrupted(self, outcome)

    def _pretraining(
        self, rbm: RBMTransformer, n_layers: int, continues: bool
    ) -> Pretraining | None:
        scheme = pretraining_scheme(self.pretrain, rbm.hidden)
        if scheme is None or n_layers == 1 or continues:
            return None
        # The layers become part of the machine that `rbm` describes.
        template = checked_template(self, "pretrain_rbm")
        template.set_params(visible=rbm.visible, hidden=rbm.hidden, missing=rbm.missing)
        return Pretraining(scheme, template, n_layers, self.modality_dropout)

    def _fitted_attributes(self, run: Run) -> dict[str, Any]:
        """The fitted attributes, public and private."""
        shared = self._attributes_of(run)
        machine = shared["_machine"]
        weights = [dense_weights(W) for W in machine.W]
        return shared | {"weights_": weights, "intercepts_": [par[0, :] for par in machine.par]}

    def _attributes_for_callbacks(self, run: Run, rows: Rows, y: Any) -> dict[str, Any]:
        """The attributes with which `transform` works after a pass."""
        view, attributes = copy.copy(self), self._fitted_attributes(run)
        view._assign(attributes)
        view._statistics = view._statistics_of(rows)
        view._resolve_selection(rows.X, y, rows.weight)
        selection = ("_statistics", "_selected_layers", "selected_units_", "unit_selector_")
        return attributes | {name: vars(view)[name] for name in selection}

    def _statistics_of(
        self, rows: Rows, statistics: list[UnitStatistics] | None = None
    ) -> list[UnitStatistics]:
        """Statistics of the units of each layer, to which all rows are added."""
        if statistics is None:
            statistics = [UnitStatistics(n) for n in self._sizes]
        for of_layer in statistics:
            of_layer.discount(len(rows))
        collect(statistics, self._run.average, rows, self._run.columns, **self._inference)
        return statistics

    @property
    def _n_mean_field_steps(self) -> int:
        return self.n_mean_field_steps

    @property
    def _inference(self) -> dict[str, Any]:
        max_sweeps = self.max_mean_field_steps if self.inference == "mean_field" else 0
        return {"tolerance": self.tol, "max_sweeps": max_sweeps, "damping": self.damping}

    @of_one_fit
    def mean_field(self, X: Any) -> Bunch:
        """Posterior means of all hidden layers, and whether they have converged.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as in `transform`.

        Returns
        -------
        posterior : Bunch
            With `means`, a list of arrays of shape (n_samples, n_units), the first hidden layer
            first; `n_sweeps`, the sweeps over each row after the first pass; and `residual`,
            the largest change of a mean of the row in its last sweep. With one hidden layer no
            sweep is needed and the residual is 0.
        """
        check_is_fitted(self)
        X = self._check_rows(X, reset=False, outside="warn")
        found = self._posterior(X)
        means = found.means(self._stack[0])[1:]
        return Bunch(means=means, n_sweeps=found.n_sweeps, residual=found.residual)

    @property
    def _sizes(self) -> list[int]:
        return [W.shape[1] for W in self._machine.W]
