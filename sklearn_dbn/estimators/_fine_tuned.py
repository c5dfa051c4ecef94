"""The base class of the fine-tuned estimators."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._array_api import concat, copied, moved, on_host, rows_at, some_rows, to_numpy
from .._cache import Checkpoint, cached, key_of, memory_of
from .._compat import Interval, StrOptions
from .._messages import shown
from .._parameters import plain
from .._random import Stream, layer_seed, seed_of
from .._stored import with_arrays
from ..data import Partitions, clipped, dense, in_memory, visible_columns
from ..fine_tuning import (
    FULL_BATCH,
    SOLVERS,
    FineTuningSettings,
    FullBatchLoop,
    NetworkLoop,
    Targets,
    TrainingRows,
    Tuning,
    check_compatible,
    generative_term_of,
    machines_of,
    n_iter_of,
    nearest_distance,
    network_on,
    settings_of,
    split_validation,
    training_rows_of,
    tuned_runs,
)
from ..optim import SCHEDULES
from ..training import Outcome, Run, drive, loss_still_falls
from ._base import (
    BaseDeepEstimator,
    of_one_fit,
    raise_if_interrupted,
    set_kinds,
    warn_unconverged,
)
from ._callbacks import PassTasks
from ._dbn import DBNTransformer
from ._generator import Generator
from ._network_inputs import network_inputs, training_inputs
from ._templates import TemplateParameters

if TYPE_CHECKING:
    from ._dbm import DBMTransformer
    from ._rbm import RBMTransformer

# Rows over which the distance to the nearest row is a median.
_DISTANCE_ROWS = 500


class FineTuned(TemplateParameters, BaseDeepEstimator, ABC):
    """An estimator with a generator, `transformer_`, and its network, trained on targets.

    `MachineStack` lists which members of the generator it uses.
    """

    transformer_: RBMTransformer | DBNTransformer | DBMTransformer
    fine_tuned_transformer_: RBMTransformer | DBNTransformer | DBMTransformer
    history_: dict[str, list[float]]
    learning_rate_: float
    batch_size_: int
    adversarial_eps_: float
    virtual_adversarial_eps_: float
    n_iter_: int

    _parameter_constraints: dict = {
        "transformer": "no_validation",
        "fine_tune": "no_validation",
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_iter": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "hidden_dropout": [Interval(Real, 0, 1, closed="left")],
        "adversarial_eps": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "virtual_adversarial_eps": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "centered": ["boolean", StrOptions({"auto"})],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "generative_weight": [Interval(Real, 0, None, closed="left")],
        "tie_weights": ["boolean"],
        "top_down_input": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _template_names = ("transformer",)

    # The value in an estimator that does not have this parameter.
    label_smoothing: float = 0.0

    # The values of "auto": learning rates of the solvers that have one; presentations of rows
    # with a target in `fit`, and the smallest and largest number of passes.
    _automatic_rates: dict[str, float]
    _presentations: int
    _passes: tuple[int, int]

    _tuning: Tuning

    @abstractmethod
    def _targets(
        self, y: Any, X: Any, weight: np.ndarray, continued: bool, chunk: bool, classes: Any
    ) -> Targets:
        """Validated targets of the rows of ``X`` that have one and a positive ``weight``.

        Sets attributes of the estimator. ``continued``: the training continues the fitted
        network. ``chunk``: other calls have other rows, of the same ``classes``.
        """

    @abstractmethod
    def _loss(self) -> Any:
        """The loss for the last validated targets."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        generator = getattr(self.transformer, "estimator", self.transformer)
        set_kinds(tags, getattr(generator, "_bottom_template", None))
        return tags

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, chunk: bool = False, classes: Any = None
    ) -> None:
        """`fit`, or `partial_fit` of a ``chunk``: validate all arguments, and train."""
        continued = hasattr(self, "_tuning") and (chunk or self.warm_start)
        check_compatible(self)
        transformer, fitted = self._source()
        if continued:
            transformer, fitted = self.transformer_, True
        given = X
        if fitted:
            transformer._check_like_fit(X)
            dtype = transformer._runs[0].average.par[0].dtype
            kinds = {"dtype": dtype, "table": transformer._table}
        else:
            kinds = transformer._kinds | {"quiet": True}
        X = self._check_rows(X, reset=not continued, partitioned=True, **kinds)
        if isinstance(X, Partitions):
            # The generator is then trained on rows that are on the workers already.
            given, y = X, in_memory(y)
        # Targets and weights are read on the host; a training moves them once.
        weight = to_numpy(self._check_weight(sample_weight, X))
        y = on_host(y)
        if fitted:
            visible_columns(self, None, X, weight, transformer._runs[0].machine.units[0])
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        targets = self._targets(y, X, weight, continued, chunk, classes)
        self._tune(transformer, fitted, continued, chunk, (given, X, y, weight), targets)

    def _default_template(self, name: str) -> Any:
        return DBNTransformer()

    def _source(self) -> tuple[Any, bool]:
        """The generator to start from, and whether it is fitted."""
        template = self.transformer
        if template is None:
            template = self._default_template("transformer")
        frozen = isinstance(template, FrozenEstimator)
        transformer = template.estimator if frozen else template
        if not isinstance(transformer, Generator):
            raise TypeError(
                "transformer must be an RBMTransformer, a DBNTransformer, a DBMTransformer or "
                f"FrozenEstimator(one of them, fitted), got {shown(template)}."
            )
        if frozen:
            try:
                check_is_fitted(transformer)
            except NotFittedError:
                raise NotFittedError(
                    f"The {type(transformer).__name__} frozen in transformer is not fitted: "
                    "fit it, then freeze it, or pass it without FrozenEstimator."
                ) from None
            # The user may train the frozen generator again.
            return transformer._independent_copy(), True
        transformer = clone(transformer)
        if transformer.random_state is None and self.random_state is not None:
            transformer.set_params(random_state=layer_seed(self._seed(), 0))
        return transformer, False

    def _seed(self) -> int:
        return seed_of(self.random_state)

    def _settings(
        self, X: Any, weight: np.ndarray, targets: Targets, chunk: bool
    ) -> FineTuningSettings:
        """The settings of the network of `transformer_`."""
        n_layers = sum(len(run.average.W) for run in self.transformer_._runs)
        return settings_of(
            self,
            self._loss(),
            self._automatic_rates.get(self.solver, 0.0),
            n_layers,
            len(targets.rows),
            len(targets.rows) < np.count_nonzero(weight),
            partial(self._distance_of_rows, X, weight),
            chunk,
            isinstance(X, Partitions),
        )

    def _distance_of_rows(self, X: Any, weight: np.ndarray) -> float:
        """The distance of a row to the nearest other one, as inputs of the network."""
        run, positive = self._bottom_run, np.flatnonzero(weight)
        some = np.linspace(0, len(positive) - 1, min(len(positive), _DISTANCE_ROWS))
        index = positive[some.astype(int)]
        rows = X.fetch(index) if isinstance(X, Partitions) else rows_at(X, index)
        rows = clipped(rows, run.machine.units[0].support)
        return nearest_distance(dense(self.transformer_._standard(rows)))

    @with_callbacks
    def _tune(
        self,
        transformer: Any,
        fitted: bool,
        continued: bool,
        chunk: bool,
        data: tuple[Any, Any, Any, np.ndarray],
        targets: Targets,
    ) -> None:
        """`_fit` for validated rows."""
        given, X, y, weight = data
        n_rows, auto = len(targets.rows), (self._presentations, self._passes)
        n_passes = 1 if chunk else n_iter_of(self, n_rows, *auto)
        arguments = {"X": X, "y": y, "metadata": {"sample_weight": weight}}
        context = self._init_callback_context(max_subtasks=n_passes + (not fitted))
        context.call_on_fit_task_begin(estimator=self._original, **arguments)
        if not fitted:
            task = context.subcontext(task_name="pretraining")
            with task.propagate_callback_context(transformer):
                task.call_on_fit_task_begin(estimator=self._original, **arguments)
                self._pretrain(transformer, given, X, weight, targets)
                task.call_on_fit_task_end(estimator=self._original, **arguments)
        self.transformer_ = transformer
        settings = self._settings(X, weight, targets, chunk)
        # The cache of the generator.
        memory = None if continued or chunk else memory_of(self, transformer)
        with cached(memory, self._key(memory, X, weight, targets)) as entry:
            tuning, outcome = entry.value, None
            if tuning is None:
                tuning = self._continued(targets) if continued else self._started(targets)
                self._prepare(tuning, settings)
                data = self._training_rows(tuning, X, weight, targets, chunk)
                full_batch = self.solver in FULL_BATCH
                loop = (FullBatchLoop if full_batch else NetworkLoop)(settings, *data)
                outcome = drive(
                    tuning,
                    loop.train,
                    n_passes,
                    tasks=PassTasks(context, self, arguments, partial(self._fitted, settings)),
                    # The state of a full-batch solver cannot be saved.
                    checkpoint=Checkpoint() if full_batch else entry.checkpoint,
                    title=f"[{type(self).__name__}] " if self.verbose else None,
                )
                tuning = outcome.state
                if not chunk:
                    self._warn_unless_converged(outcome, loop, targets)
                tuning.restore_best()
                if outcome.complete:
                    entry.keep(tuning)
        self._assign(self._fitted(settings, tuning))
        context.call_on_fit_task_end(
            estimator=self._original,
            **arguments,
            reconstruction_attributes=self._new_attributes,
        )
        raise_if_interrupted(self, outcome)

    def _prepare(self, tuning: Tuning, settings: FineTuningSettings) -> None:
        """Adapt the state of a training to the settings."""
        if settings.generative_weight and tuning.generative_term is None:
            runs, n_steps = self.transformer_._runs, self.transformer_._n_mean_field_steps
            tuning.generative_term = generative_term_of(runs, tuning.machines, n_steps)
        if not settings.centered:
            tuning.network.input_means = {}

    def _key(self, memory: Any, X: Any, weight: np.ndarray, targets: Targets) -> str:
        """The key in the cache of everything that a fine-tuning depends on."""
        parameters = {
            k: x
            for k, x in self.get_params(deep=False).items()
            if k not in ("transformer", "verbose")
        }
        generator = self.transformer_._n_mean_field_steps, self.transformer_._inference
        runs = [
            (run.average.arrays(), run.chains.states, run.activity, run.columns.key)
            for run in self.transformer_._runs
        ]
        name = type(self).__name__
        return key_of(memory, name, parameters, generator, runs, X, weight, vars(targets))

    def _pretrain(
        self, transformer: Any, given: Any, X: Any, weight: np.ndarray, targets: Targets
    ) -> None:
        """Train the generator on the rows as ``given`` by the user; ``X``: validated."""
        selects, parameters = hasattr(transformer, "select"), transformer.get_params(deep=False)
        if selects:
            # Units are selected below, by the rows that have a target and a positive weight.
            transformer.set_params(units=None)
        transformer.set_params(verbose=max(self.verbose, parameters["verbose"]))
        try:
            transformer.fit(given, sample_weight=weight)
        except KeyboardInterrupt:
            # The passes that the clone has made are lost, as the user has no access to it.
            raise KeyboardInterrupt(
                f"{type(self).__name__} was interrupted while its transformer was trained, "
                "and is as it was before."
            ) from None
        transformer.set_params(verbose=parameters["verbose"])
        if selects:
            transformer.set_params(units=parameters["units"])
            rows = targets.rows
            some = len(rows) < len(weight) and not isinstance(X, Partitions)
            if transformer._selection_needs_rows and some:
                X = rows_at(X, rows)
            transformer._resolve_selection(X, targets.given)

    def _started(self, targets: Targets) -> Tuning:
        machines = machines_of(self.transformer_._runs)
        network = network_on(machines, self.top_down_input, len(targets.base), targets.base)
        seed = layer_seed(self._seed(), 1)
        return Tuning(network, Stream(seed), machines)

    def _continued(self, targets: Targets) -> Tuning:
        # A copy, so that a failure does not change the fitted one.
        tuning = self._tuning.copy()
        if targets.conversion is not None:
            tuning.convert_outputs(*targets.conversion)
        return tuning

    def _training_rows(
        self, tuning: Tuning, X: Any, weight: np.ndarray, targets: Targets, chunk: bool
    ) -> tuple[TrainingRows, TrainingRows | None]:
        """Rows to train on, and rows held out for early stopping."""
        positive, remote = np.flatnonzero(weight), isinstance(X, Partitions)
        some = len(positive) < len(weight)
        if some:
            X = X if remote else rows_at(X, positive)
            weight, targets = weight[positive], targets.among(positive)
        if smoothing := plain(self.label_smoothing):
            values = self._loss().smooth(targets.values, smoothing)
            targets = replace(targets, values=values)
        inputs = training_inputs(self.transformer_, tuning.network, X)
        inputs = inputs.rows(positive) if remote and some else inputs
        training_rows = training_rows_of(inputs, targets, weight, not chunk)
        if chunk or not self.early_stopping:
            return training_rows, None
        return split_validation(training_rows, targets, self.validation_fraction, tuning.rng)

    @property
    def _bottom_run(self) -> Run:
        return self.transformer_._runs[0]

    def _warn_unless_converged(self, outcome: Outcome, loop: Any, targets: Targets) -> None:
        tuning, n_made = outcome.state, outcome.n_made
        if not outcome.complete or not n_made or tuning.stalled:
            return
        subject = "The fine-tuning"
        if isinstance(loop, FullBatchLoop):
            if tuning.reached_limit:
                why = "scipy made all n_iter iterations"
                warn_unconverged(subject, f"{n_made} passes", why, "n_iter")
            return
        settings, training_rows = loop.settings, loop.training_rows
        base = np.repeat(targets.base[None, :], len(training_rows.target), axis=0)
        losses, _ = settings.loss(base.astype(training_rows.target.dtype), training_rows.target)
        base_loss = float(np.average(losses, weights=training_rows.weight))
        if loss_still_falls(tuning.history["loss"][-n_made:], base_loss):
            cure = "n_iter or learning_rate"
            warn_unconverged(subject, f"{n_made} passes", "its loss still falls", cure)

    def _fitted(self, settings: FineTuningSettings, tuning: Tuning) -> dict[str, Any]:
        """The fitted attributes."""
        # Layers of earlier trainings too, which this one may freeze.
        tuning.trained_layers = sorted({*tuning.trained_layers, *settings.layers})
        runs = self.transformer_._runs
        if self.tie_weights:
            runs = tuned_runs(runs, tuning.machines, tuning.trained_layers)
        return {
            "_tuning": tuning,
            "fine_tuned_transformer_": self.transformer_._with_runs(runs),
            "history_": tuning.history,
            "n_iter_": tuning.n_passes,
            "learning_rate_": settings.learning_rate,
            "batch_size_": settings.batch_size,
            "adversarial_eps_": settings.adversarial_eps,
            "virtual_adversarial_eps_": settings.virtual_adversarial_eps,
        }

    def _outputs(self, X: Any) -> Any:
        """Outputs of the head for the rows, (n_samples, n_outputs)."""
        check_is_fitted(self)
        network = self._tuning.network
        X = self._check_rows(X, reset=False, dtype=network.head.dtype, outside="warn")
        blocks = (
            network_inputs(self.transformer_, network, some_rows(X, rows))
            for rows in self.transformer_._blocks(X)
        )
        return concat([block.outputs(network) for block in blocks])

    @of_one_fit
    def transform(self, X: Any) -> np.ndarray:
        """Fine-tuned features: the selected units of the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; missing entries, NaN, are filled in by the pre-trained generator. With or
            without a cluster, the result for a dask array or frame is lazy.

        Returns
        -------
        H : ndarray or CSR matrix of shape (n_samples, n_features_out)
            With the layers, the units, the output and the passthrough columns that the
            selection parameters of `transformer_` give. A dask array for a dask collection,
            with the same partitions.
        """
        check_is_fitted(self)
        dtype = self._tuning.network.head.dtype
        X = self._check_rows(X, reset=False, dtype=dtype, outside="warn")
        return self.transformer_._features(X, self._fields)

    def _fields(self, X: Any, top: int) -> Iterator[tuple[slice, list[tuple]]]:
        network = self._tuning.network
        for rows in self.transformer_._blocks(X):
            inputs = network_inputs(self.transformer_, network, some_rows(X, rows))
            fields = inputs.fields(network, top)
            yield rows, list(zip(network.units, network.par, fields, strict=False))

    @of_one_fit
    def move_to(self, like: Any) -> Self:
        """The fitted estimator on another device, or with arrays of another library.

        Parameters
        ----------
        like : array
            An array of that library on that device, such as the rows to predict.

        Returns
        -------
        moved : estimator of the same class
            A copy; this estimator is unchanged.

        Raises
        ------
        TypeError
            When `like` is no array.
        """
        check_is_fitted(self)
        view = copy.copy(self)
        view.transformer_ = self.transformer_.move_to(like)
        view.fine_tuned_transformer_ = self.fine_tuned_transformer_.move_to(like)
        view._tuning = with_arrays(self._tuning, lambda x: copied(moved(x, like)))
        return view

    @of_one_fit
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features, which are those of `transformer_`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns, if `fit` was given none.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self)
        return self.transformer_.get_feature_names_out(input_features)


def has_minibatches(estimator: FineTuned) -> bool:
    """Whether there is a `partial_fit`; raises AttributeError with a full-batch solver."""
    if estimator.solver in FULL_BATCH:
        raise AttributeError(
            f"There is no partial_fit with solver={estimator.solver!r}, which needs all rows: "
            "call fit, or set solver='adam'."
        )
    return True
