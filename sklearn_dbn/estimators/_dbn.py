"""A deep belief network as a scikit-learn transformer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator

from .._array_api import some_rows
from .._cache import MEMORY, cached, key_of, memory_of
from .._compat import Interval, _fit_context
from .._messages import shown
from .._random import layer_seed, seed_of
from ..data import (
    Columns,
    Partitions,
    Rows,
    Table,
    clipped,
    has_outside,
    rows_of,
    visible_columns,
    with_mean_1,
)
from ..machine import Machine
from ..selection import UnitStatistics
from ..training import Run, training_parameters
from ._base import FitInterrupted, unchanged_on_failure
from ._layers import (
    check_sizes,
    continued_layer,
    frozen_generator,
    layer_templates,
    statistics_of_layer,
)
from ._machine_generator import title_of, warn_of_columns
from ._options import Fill, Layers, Output, RandomState, UnitScore
from ._rbm import RBMTransformer
from ._selecting import SelectingGenerator
from ._templates import TemplateParameters


class DBNTransformer(TemplateParameters, SelectingGenerator):
    """Deep belief network, trained without labels, with features from any of its layers.

    The layers are restricted Boltzmann machines, trained one after the other, each on samples
    of the layer below [1]_. The layers and units that become features are selected after
    training; with `memory` another selection does not train again.

    Parameters
    ----------
    hidden_layer_sizes : int, or sequence of int or mapping, default=(256, 256)
        Number of units of each hidden layer, the first one first. A layer that is a mapping
        from pathways to numbers has separate units for each pathway; all such layers are below
        those that are joint.

    pathways : mapping or None, default=None
        The columns of each pathway, as `ColumnTransformer` takes columns: names, positions, a
        mask, a slice or a function of `X`. Every column is in one. The unit types of each are
        chosen on their own.

    modality_dropout : float, default=0.0
        Share of the presentations in which one pathway, chosen at random, is hidden from the
        joint layer, and drawn given the others. It trains for rows that lack a modality.

    rbm : RBMTransformer, sequence of RBMTransformer or None, default=None
        Template of every layer, or one for each layer. Its `n_components` and `random_state`
        are replaced, and the visible units of every layer but the first are the hidden units of
        the layer below. `None` is `RBMTransformer()`. `set_params` accepts `rbm__n_iter`, also
        if this is `None`, and `rbm__0__n_iter` for one template of a sequence.

    layers : int, slice, sequence of int or "all", default="all"
        Layers that give features; 0 is the first hidden layer, -1 the last. Their order is
        that of the columns.

    units : None, int, float, mapping or feature selector, default=None
        Units of those layers. `None`: all. An int or a float: the best k, or the best fraction,
        of the selected layers together, by `unit_score`. A mapping from layers to an index
        array, a mask, a slice, an int or a float; layers without a key give all their units. A
        feature selector, such as `SelectKBest`: cloned and fitted on the columns of the
        selected layers with `y`.

    unit_score : {"information", "variance"} or callable, default="information"
        Score of a unit: the mutual information between the unit and the input [2]_, the
        variance of its mean, or a score function `f(H, y)` of
        `sklearn.feature_selection`. The first two need no labels.

    passthrough : bool, default=False
        Whether to append the input columns.

    output : {"probability", "logit", "binary"}, default="probability"
        Posterior means of the units, their fields, or their modes.

    fill : {"mean_field", "draws"}, default="mean_field"
        What features of a row with missing entries are computed from: their mean field, or
        draws of them given the observed ones, over which the features are averaged. Draws take
        longer, and show each of several modes; the mean field shows one, or a blend.

    pretrained : FrozenEstimator or None, default=None
        `FrozenEstimator(fitted_dbn)`: use the layers of that estimator; `fit` then only selects
        layers and units, and ignores the parameters of the training.

    memory : str, path, object with the joblib.Memory interface or None, default=None
        Cache of trained layers. The key of a layer is made of its data, training parameters and
        seed, and those of the layers below: other selections and deeper stacks do not train it
        again. Two processes that need the same layer train it once. A training that was killed
        continues from its last checkpoint, with the same result. Nothing is cached with
        `random_state=None`, with `warm_start`, or if a callback stopped the training.

    warm_start : bool, default=False
        Whether `fit` continues from the layers of the last one; layers added to
        `hidden_layer_sizes` start from random weights.

    random_state : int, RandomState instance or None, default=None
        Fixes all layers. The cache needs an int.

    verbose : int, default=0
        Print a line after each pass of each layer, with the number of the layer. `verbose` of a
        template does so for the layers that it describes.

    Attributes
    ----------
    rbms_ : list of RBMTransformer
        The fitted layers.

    selected_layers_ : ndarray of int
        The layers that give features.

    selected_units_ : list of int arrays
        The units of each of these layers.

    unit_selector_ : feature selector or None
        The fitted clone of `units`, if that is a feature selector.

    history_ : list of dicts
        The `history_` of each layer.

    n_features_in_ : int
        Number of columns in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all are strings.

    See Also
    --------
    RBMTransformer : One layer, and all parameters of its training.
    layer_subsets : Every subset of layers, for a parameter grid.

    References
    ----------
    .. [1] Hinton, Osindero, Teh (2006). A fast learning algorithm for deep belief nets.
       doi:10.1162/neco.2006.18.7.1527
    .. [2] Berglund, Raiko, Cho (2015). Measuring the usefulness of hidden units in Boltzmann
       machines with mutual information. doi:10.1016/j.neunet.2014.09.004

    Examples
    --------
    Search for the best layers for a support vector machine. The two layers are trained once for
    each fold, and not for each candidate:

    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from sklearn_dbn import DBNTransformer, RBMTransformer, layer_subsets
    >>> X, y = load_digits(return_X_y=True)
    >>> rbm = RBMTransformer(n_iter=20)
    >>> with TemporaryDirectory() as cache:
    ...     dbn = DBNTransformer((64, 64), rbm=rbm, memory=cache, random_state=0)
    ...     pipe = make_pipeline(dbn, SVC())
    ...     grid = {"dbntransformer__layers": layer_subsets(2)}
    ...     search = GridSearchCV(pipe, grid, cv=3).fit(X / 16, y)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    rbms_: list[RBMTransformer]
    history_: list[dict[str, list[float]]]

    _parameter_constraints: dict = {
        "hidden_layer_sizes": "no_validation",
        "pathways": "no_validation",
        "modality_dropout": [Interval(Real, 0, 1, closed="left")],
        "rbm": "no_validation",
        **SelectingGenerator._selection_constraints,
        "pretrained": "no_validation",
        "memory": MEMORY,
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _template_names = ("rbm",)

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int | Mapping[str, int]] = (256, 256),
        *,
        pathways: Mapping[str, Any] | None = None,
        modality_dropout: float = 0.0,
        rbm: RBMTransformer | Sequence[RBMTransformer] | None = None,
        layers: int | slice | Sequence[int] | Layers = "all",
        units: Any = None,
        unit_score: UnitScore | Callable[..., Any] = "information",
        passthrough: bool = False,
        output: Output = "probability",
        fill: Fill = "mean_field",
        pretrained: FrozenEstimator | None = None,
        memory: Any = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.pathways = pathways
        self.modality_dropout = modality_dropout
        self.rbm = rbm
        self.layers = layers
        self.units = units
        self.unit_score = unit_score
        self.passthrough = passthrough
        self.output = output
        self.fill = fill
        self.pretrained = pretrained
        self.memory = memory
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the layers that are not cached, then select layers and units.

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
        self : DBNTransformer

        Raises
        ------
        ValueError, TypeError
            When `X` or a parameter is not as documented, or when training diverges. The
            estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            When persistent chains do not mix, or a layer has not converged, as in
            `RBMTransformer`.
        """
        if self.pretrained is not None:
            X, weight = self._use_pretrained(X, sample_weight)
            self._resolve_selection(X, y, weight)
        else:
            templates = self._templates()
            continues = self.warm_start and hasattr(self, "rbms_")
            if continues:
                check_sizes(self, more=True)
            dtype = self.rbms_[0].components_.dtype if continues else None
            X = self._check_rows(
                X, reset=not continues, dtype=dtype, partitioned=True, **self._kinds
            )
            weight = self._check_weight(sample_weight, X)
            self._fit_layers(templates, X, y, weight)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Pass over `X` once with every layer, then select layers and units.

        Each layer is trained on samples of the layer below after the pass of that layer. The
        scores of units are over about the last 10,000 rows; a feature selector or a score
        function gets only the rows of this call.

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
        self : DBNTransformer

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        if self.pretrained is not None:
            raise ValueError(
                "partial_fit would train the frozen generator given as pretrained: call fit, "
                "or set pretrained=None."
            )
        if hasattr(self, "rbms_"):
            dtype = self.rbms_[0].components_.dtype
            X = self._check_rows(X, reset=False, dtype=dtype, partitioned=True)
            templates = self._templates()
            check_sizes(self)
            pairs = zip(self.rbms_, templates, strict=True)
            rbms = [continued_layer(rbm, template) for rbm, template in pairs]
            statistics = copy.deepcopy(self._statistics)
        else:
            rbms = self._templates()
            X = self._check_rows(X, reset=True, partitioned=True, **self._kinds)
            statistics = [UnitStatistics(rbm.n_components) for rbm in rbms]
        weight = self._check_weight(sample_weight, X)
        self._partial_fit_layers(rbms, statistics, X, y, weight)
        return self

    @with_callbacks
    def _fit_layers(
        self, rbms: list[RBMTransformer], X: Any, y: Any, weight: np.ndarray
    ) -> None:
        """Greedy training, with a callback task for each layer."""
        fitted = list(getattr(self, "rbms_", [])) if self.warm_start else []
        memory, seed = memory_of(self), seed_of(self.random_state)
        key = key_of(memory, X, weight)
        context = self._init_callback_context(max_subtasks=len(rbms))
        context.call_on_fit_task_begin(estimator=self._original, X=X)
        self.rbms_, self._statistics = [], []
        fitted_type = fitted[0]._machine.units[0] if fitted else None
        columns = visible_columns(self, rbms[0].visible, X, weight, fitted_type)
        weight, interruption = with_mean_1(weight), None
        for layer, rbm in enumerate(rbms):
            if layer < len(fitted):
                rbm = continued_layer(fitted[layer], rbm)
            rbm.set_params(random_state=layer_seed(seed, layer))
            rows = self._rows_of_layer(rbm, X, weight, columns)
            if not layer:
                warn_of_columns(self, rows)
            title = title_of(self, self.verbose, rbm.verbose, layer=layer)
            task = context.subcontext(task_name=f"layer {layer}")
            parameters = training_parameters(rbm), rbm._widths, rows.key
            key = key_of(memory, key, parameters, rbm.random_state)
            try:
                with cached(memory, key) as entry:
                    trained, outcome = entry.value, None
                    # Only a layer that is trained ends the tasks of callbacks passed to it.
                    inside = task.propagate_callback_context(rbm)
                    with inside if trained is None else nullcontext():
                        task.call_on_fit_task_begin(estimator=self._original, X=X)
                        if trained is None:
                            subject = f"The training of layer {layer}"
                            arguments = rows, entry.checkpoint, title, subject
                            attributes, outcome = rbm._fit_rows(*arguments)
                            trained = attributes, statistics_of_layer(attributes["_run"], rows)
                        stopped = task.call_on_fit_task_end(estimator=self._original, X=X)
                    if outcome is not None and outcome.complete:
                        entry.keep(trained)
            except KeyboardInterrupt:
                if not layer:
                    raise
                kept = f"{layer} whole layers"
                interruption = FitInterrupted(self, kept, memory is not None)
                break
            rbm._assign(trained[0])
            self.rbms_.append(rbm)
            self._statistics.append(trained[1])
            if outcome is not None and outcome.interrupted:
                kept = f"{layer} whole layers and the {rbm.n_iter_} passes of the next"
                interruption = FitInterrupted(self, kept, memory is not None)
            if stopped or interruption is not None:
                break
        self.history_ = [rbm.history_ for rbm in self.rbms_]
        # Before the last task ends, since its callbacks may transform.
        try:
            self._resolve_selection(X, y, weight)
        except ValueError:
            if interruption is None:
                raise
            raise KeyboardInterrupt(
                f"{type(self).__name__} was interrupted before it had all of layers="
                f"{shown(self.layers)}, and is unchanged."
            ) from None
        context.call_on_fit_task_end(
            estimator=self._original, X=X, reconstruction_attributes=self._new_attributes
        )
        if interruption is not None:
            raise interruption

    def _rows_of_layer(
        self, rbm: RBMTransformer, X: Any, weight: np.ndarray, columns: Columns
    ) -> Rows:
        """The training rows of the next layer; sets the type of its visible units."""
        if not self.rbms_:
            rbm._table = self._table
            rows = rows_of(X, weight, columns, (), rbm)
        else:
            rbm._table = Table(None, None)
            rbm.set_params(visible=self.rbms_[-1].hidden_type_)
            rows = rows_of(X, weight, self._bottom_run.columns, self._stack, rbm)
        if len(rbm._widths) == 1:
            rows.join_pathways(self.modality_dropout)
        return rows

    @with_callbacks
    def _partial_fit_layers(
        self,
        rbms: list[RBMTransformer],
        statistics: list[UnitStatistics],
        X: Any,
        y: Any,
        weight: np.ndarray,
    ) -> None:
        """One pass of each layer over the same rows."""
        started = hasattr(rbms[0], "_run")
        seed = None if started else seed_of(self.random_state)
        context = self._init_callback_context(max_subtasks=len(rbms))
        context.call_on_fit_task_begin(estimator=self._original, X=X)
        fitted_type = rbms[0]._machine.units[0] if started else None
        columns = visible_columns(self, rbms[0].visible, X, weight, fitted_type)
        self.rbms_ = []
        for layer, (rbm, of_layer) in enumerate(zip(rbms, statistics, strict=True)):
            if not started:
                rbm.set_params(random_state=layer_seed(seed, layer))
            rows = self._rows_of_layer(rbm, X, weight, columns)
            if not layer and not started:
                warn_of_columns(self, rows)
            title = title_of(self, self.verbose, rbm.verbose, layer=layer)
            task = context.subcontext(task_name=f"layer {layer}")
            with task.propagate_callback_context(rbm):
                task.call_on_fit_task_begin(estimator=self._original, X=X)
                attributes, outcome = rbm._fit_rows(rows, title=title, chunk=True)
                task.call_on_fit_task_end(estimator=self._original, X=X)
            if outcome.interrupted:
                # The layers above are not trained on these rows.
                raise KeyboardInterrupt
            rbm._assign(attributes)
            of_layer.discount(len(rows))
            statistics_of_layer(rbm._run, rows, of_layer)
            self.rbms_.append(rbm)
        self._statistics = statistics
        self.history_ = [rbm.history_ for rbm in rbms]
        # Before the last task ends, since its callbacks may transform.
        self._resolve_selection(X, y, weight)
        context.call_on_fit_task_end(
            estimator=self._original, X=X, reconstruction_attributes=self._new_attributes
        )

    @property
    def _kinds(self) -> dict[str, Any]:
        if self.pretrained is not None:
            return {"table": frozen_generator(self.pretrained, DBNTransformer)._table}
        return {"rbm": self._templates()[0], "pathways": self.pathways}

    @property
    def _bottom_template(self) -> Any:
        if self.pretrained is not None:
            source = getattr(self.pretrained, "estimator", None)
            return getattr(source, "_bottom_template", None)
        several = isinstance(self.rbm, list | tuple) and len(self.rbm)
        return self.rbm[0] if several else self.rbm

    def _default_template(self, name: str) -> RBMTransformer:
        return RBMTransformer()

    def _templates(self) -> list[RBMTransformer]:
        """An unfitted RBM for each layer."""
        rbm = self._default_template("rbm") if self.rbm is None else self.rbm
        return layer_templates(rbm, self.hidden_layer_sizes, self.pathways)

    def _use_pretrained(self, X: Any, sample_weight: Any) -> tuple[Any, np.ndarray]:
        """The validated rows and weights; sets the layers of ``pretrained``.

        The statistics of the units are over these rows.
        """
        source = frozen_generator(self.pretrained, DBNTransformer)
        source._check_like_fit(X)
        X = self._check_rows(X, reset=True, partitioned=True, table=source._table)
        weight = self._check_weight(sample_weight, X)
        unit = source.rbms_[0]._machine.units[0]
        visible_columns(self, None, X, weight, unit)
        # Rows on a cluster are clipped where they are.
        if not isinstance(X, Partitions) and has_outside(X, unit.support):
            X = clipped(X, unit.support)
        source = source._independent_copy()
        self.rbms_, self.history_ = source.rbms_, source.history_
        stack, columns, self._statistics = self._stack, self._bottom_run.columns, []
        for layer, run in enumerate(self._runs):
            rows = rows_of(X, weight, columns, stack[:layer], None)
            self._statistics.append(statistics_of_layer(run, rows))
        return X, weight

    def _fields(self, X: Any, top: int) -> Iterator[tuple[slice, list[tuple]]]:
        stack = self._stack
        for rows in self._blocks(X):
            below = self._bottom_run.columns.complete_stack(stack, some_rows(X, rows))
            v, fields = below[0], []
            for layer, machine in enumerate(stack[: top + 1], start=1):
                unit, par = machine.units[1], machine.par[1]
                fields.append((unit, par, machine.field(1, [v, None])))
                v = below[layer] if layer < len(below) else unit.mean(fields[-1][-1], par)
            yield rows, fields

    def _below(self, layer: int, states: np.ndarray) -> np.ndarray:
        below = self._stack[layer].means([0], [None, states])[0]
        return below if layer else self._bottom_run.columns.values(below)

    def _unit(self, layer: int) -> tuple[Any, Any]:
        machine = self.rbms_[layer]._machine
        return machine.units[1], machine.par[1]

    def _independent_copy(self) -> DBNTransformer:
        view = copy.copy(self)
        view.rbms_ = [copy.copy(rbm) for rbm in self.rbms_]
        return view

    @property
    def _stack(self) -> list[Machine]:
        lowest, *above = self.rbms_
        return [lowest._run.average, *(rbm._machine for rbm in above)]

    @property
    def _runs(self) -> list[Run]:
        return [rbm._run for rbm in self.rbms_]

    def _with_runs(self, runs: list[Run]) -> DBNTransformer:
        view = copy.copy(self)
        pairs = zip(self.rbms_, runs, strict=True)
        view.rbms_ = [rbm._with_runs([run]) for rbm, run in pairs]
        return view

    @property
    def _estimates(self) -> dict:
        return self.rbms_[-1]._estimates
