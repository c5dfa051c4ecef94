"""A deep belief network as a scikit-learn transformer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator

from .._cache import MEMORY, cached, key_of, memory_of
from .._compat import _fit_context
from .._messages import shown
from .._random import layer_seed, seed_of
from ..data import Partitions, Rows, clipped, has_outside, rows_of, visible_unit
from ..machine import Machine
from ..selection import UnitStatistics
from ..training import Run, training_parameters
from ._base import FitInterrupted, unchanged_on_failure
from ._layers import continued_layer, fitted_source, layer_templates, statistics_of_layer
from ._machine_generator import title_of, warn_unobserved
from ._rbm import RBMTransformer
from ._selecting import SelectingGenerator
from ._templates import TemplateParameters


class DBNTransformer(TemplateParameters, SelectingGenerator):
    """Deep belief network, trained without labels, with features from any of its layers.

    The layers are restricted Boltzmann machines, trained one after the other: each learns
    from samples of the layer below [1]_. Which layers and which units become features is
    decided after training, by parameters that never train again where `memory` is set.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Number of units of each hidden layer, the first one first.

    rbm : RBMTransformer, sequence of RBMTransformer or None, default=None
        How a layer is trained: a template for every layer, or one for each. Its
        `n_components` and `random_state` are set from here, and the visible units of every
        layer but the first are the hidden units of the layer below. `None` takes
        `RBMTransformer()`. `set_params` takes `rbm__n_iter`, also where this is `None`, and
        `rbm__0__n_iter` for one template of a sequence.

    layers : int, slice, sequence of int or "all", default="all"
        Layers to take features from; 0 is the first hidden layer, -1 the last. The order
        given is the order of the columns.

    units : None, int, float, mapping or feature selector, default=None
        Units to take from those layers. `None`: all. An int or a float: the best k, or the best
        fraction, of the chosen layers together, by `unit_score`. A mapping from layers to an
        index array, a mask, a slice, an int or a float; layers without a key give all their
        units. A feature selector, such as `SelectKBest`: cloned and fitted on the columns of
        the chosen layers with `y`.

    unit_score : {"information", "variance"} or callable, default="information"
        What makes a unit good: the mutual information between the unit and the input [2]_,
        the variance of its mean, or a score function `f(H, y)` of
        `sklearn.feature_selection`. The first two need no labels.

    passthrough : bool, default=False
        Whether to append the input columns.

    output : {"probability", "logit", "binary"}, default="probability"
        Give the posterior means of the units, the inputs to them, or their likeliest states.

    pretrained : FrozenEstimator or None, default=None
        `FrozenEstimator(fitted_dbn)`: use the layers of that network; `fit` then only selects
        layers and units, and the parameters of the training are not looked at.

    memory : str, path, object with the joblib.Memory interface or None, default=None
        Where to keep trained layers. A layer is found again by its data, its training
        parameters and its seed, those of the layers below included, and by nothing else; so
        other choices of layers and units, and deeper stacks, do not train it again. Two
        processes that want the same layer train it once. A training that was killed goes on
        from where it last was, and ends as if nothing had happened. With `random_state=None`,
        with `warm_start` and where a callback stopped the training, nothing is kept.

    warm_start : bool, default=False
        Whether `fit` goes on from the layers of the last one; layers added to
        `hidden_layer_sizes` are trained anew.

    random_state : int, RandomState instance or None, default=None
        Fixes all layers. Only an int lets `memory` find a layer again.

    verbose : int, default=0
        Print a line after each pass of each layer, with the number of the layer. Templates may
        ask for that too, for the layers that they describe.

    Attributes
    ----------
    rbms_ : list of RBMTransformer
        The fitted layers.

    selected_layers_ : ndarray of int
        The layers that give features.

    selected_units_ : list of int arrays
        The units of each of them.

    unit_selector_ : feature selector or None
        The fitted clone of `units`, where that is a feature selector.

    history_ : list of dicts
        The `history_` of each layer.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where all are strings.

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
    Ask which layers a support vector machine should see. The three layers are trained once
    for each fold, however many candidates there are:

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

    _parameter_constraints: dict = {
        "hidden_layer_sizes": "no_validation",
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
        hidden_layer_sizes: int | Sequence[int] = (256, 256),
        *,
        rbm: RBMTransformer | Sequence[RBMTransformer] | None = None,
        layers: int | slice | Sequence[int] | str = "all",
        units: Any = None,
        unit_score: Any = "information",
        passthrough: bool = False,
        output: str = "probability",
        pretrained: FrozenEstimator | None = None,
        memory: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.rbm = rbm
        self.layers = layers
        self.units = units
        self.unit_score = unit_score
        self.passthrough = passthrough
        self.output = output
        self.pretrained = pretrained
        self.memory = memory
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> DBNTransformer:
        """Train the layers that are not there yet, then select layers and units.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in any of the forms that `RBMTransformer.fit` takes.
        y : array-like of shape (n_samples,), default=None
            For a feature selector or a score function alone; training sees no labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in training and in the label-free scores; only their
            proportions count. A feature selector or a score function sees the rows of positive
            weight.

        Returns
        -------
        self : DBNTransformer

        Raises
        ------
        ValueError, TypeError
            When `X` or a parameter is not as documented, or when training diverges. The
            estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            When persistent chains do not mix, or a layer has not converged, as in
            `RBMTransformer`.
        """
        if self.pretrained is not None:
            X, weight = self._adopt(X, sample_weight)
            self._choose(X, y, weight)
        else:
            templates = self._templates()
            go_on = self.warm_start and hasattr(self, "rbms_")
            if go_on:
                self._check_sizes()
            dtype = self.rbms_[0].components_.dtype if go_on else None
            X = self._check_rows(X, reset=not go_on, dtype=dtype, partitioned=True)
            weight = self._check_weight(sample_weight, X)
            self._fit_layers(templates, X, y, weight)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> DBNTransformer:
        """Pass over `X` once with every layer, then select layers and units.

        Each layer learns from the layer below as that stands after its own pass. The scores of
        the units are those of the last 10,000 rows or so; a feature selector or a score
        function sees the rows of this call alone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some of the training data, any number of rows, in any of those forms.
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
                "partial_fit would train the frozen network given as pretrained: call fit, "
                "or set pretrained=None."
            )
        if hasattr(self, "rbms_"):
            dtype = self.rbms_[0].components_.dtype
            X = self._check_rows(X, reset=False, dtype=dtype, partitioned=True)
            templates = self._templates()
            if len(templates) != len(self.rbms_):
                raise ValueError(
                    f"hidden_layer_sizes={shown(self.hidden_layer_sizes)} has another number "
                    f"of layers than the {len(self.rbms_)} to go on with: fit anew, or set it "
                    "back."
                )
            self._check_sizes()
            pairs = zip(self.rbms_, templates, strict=True)
            rbms = [continued_layer(rbm, template) for rbm, template in pairs]
            statistics = copy.deepcopy(self._statistics)
        else:
            rbms = self._templates()
            X = self._check_rows(X, reset=True, partitioned=True)
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
        known = fitted[0].visible_type_ if fitted else None
        unit = visible_unit(self, rbms[0].visible, X, weight, known)
        weight, interruption = weight / weight[weight > 0].mean(), None
        for layer, rbm in enumerate(rbms):
            if layer < len(fitted):
                rbm = continued_layer(fitted[layer], rbm)
            rbm.set_params(random_state=layer_seed(seed, layer))
            rows = self._rows_of_layer(rbm, X, weight, unit)
            if not layer:
                warn_unobserved(self, rows)
            title = title_of(self, self.verbose, rbm.verbose, layer=layer)
            task = context.subcontext(task_name=f"layer {layer}")
            key = key_of(memory, key, training_parameters(rbm), rbm.random_state)
            try:
                with cached(memory, key) as entry:
                    made, outcome = entry.value, None
                    # Callbacks that go to the layer end its task there, if it is trained.
                    inside = task.propagate_callback_context(rbm)
                    with inside if made is None else nullcontext():
                        task.call_on_fit_task_begin(estimator=self._original, X=X)
                        if made is None:
                            how = entry.checkpoint, title, f"The training of layer {layer}"
                            attributes, outcome = rbm._fit_rows(rows, *how)
                            made = attributes, statistics_of_layer(attributes["_run"], rows)
                        stopped = task.call_on_fit_task_end(estimator=self._original, X=X)
                    if outcome is not None and outcome.complete:
                        entry.keep(made)
            except KeyboardInterrupt:
                if not layer:
                    raise
                kept = f"{layer} whole layers"
                interruption = FitInterrupted(self, kept, memory is not None)
                break
            rbm._assign(made[0])
            self.rbms_.append(rbm)
            self._statistics.append(made[1])
            if outcome is not None and outcome.interrupted:
                kept = f"{layer} whole layers and the {rbm.n_iter_} passes of the next"
                interruption = FitInterrupted(self, kept, memory is not None)
            if stopped or interruption is not None:
                break
        self.history_ = [rbm.history_ for rbm in self.rbms_]
        # Before the last task ends, so that what its callbacks see can transform.
        try:
            self._choose(_here(X), y, weight)
        except ValueError:
            if interruption is None:
                raise
            raise KeyboardInterrupt(
                f"{type(self).__name__} was interrupted before it had all of layers="
                f"{shown(self.layers)}, and is as it was before fit."
            ) from None
        context.call_on_fit_task_end(
            estimator=self._original, X=X, reconstruction_attributes=self._new_attributes
        )
        if interruption is not None:
            raise interruption

    def _rows_of_layer(
        self, rbm: RBMTransformer, X: Any, weight: np.ndarray, unit: Any
    ) -> Rows:
        """The training rows of the next layer, whose visible type is set."""
        if not self.rbms_:
            return rows_of(X, weight, unit, (), rbm)
        rbm.set_params(visible=self.rbms_[-1].hidden_type_)
        return rows_of(X, weight, unit, self._stack, rbm, self._bottom_run.columns)

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
        known = rbms[0].visible_type_ if started else None
        unit = visible_unit(self, rbms[0].visible, X, weight, known)
        self.rbms_ = []
        for layer, (rbm, seen) in enumerate(zip(rbms, statistics, strict=True)):
            if not started:
                rbm.set_params(random_state=layer_seed(seed, layer))
            rows = self._rows_of_layer(rbm, X, weight, unit)
            if not layer and not started:
                warn_unobserved(self, rows)
            title = title_of(self, self.verbose, rbm.verbose, layer=layer)
            task = context.subcontext(task_name=f"layer {layer}")
            with task.propagate_callback_context(rbm):
                task.call_on_fit_task_begin(estimator=self._original, X=X)
                made, outcome = rbm._fit_rows(rows, title=title, chunk=True)
                task.call_on_fit_task_end(estimator=self._original, X=X)
            if outcome.interrupted:
                # The layers above have not seen these rows.
                raise KeyboardInterrupt
            rbm._assign(made)
            seen.make_room(len(rows))
            statistics_of_layer(rbm._run, rows, seen)
            self.rbms_.append(rbm)
        self._statistics = statistics
        self.history_ = [rbm.history_ for rbm in rbms]
        # Before the last task ends, so that what its callbacks see can transform.
        self._choose(_here(X), y, weight)
        context.call_on_fit_task_end(
            estimator=self._original, X=X, reconstruction_attributes=self._new_attributes
        )

    def _check_sizes(self) -> None:
        """The fitted layers to go on with have the units that are asked for."""
        for rbm, fitted in zip(self._templates(), self._sizes, strict=False):
            if rbm.n_components != fitted:
                raise ValueError(
                    f"hidden_layer_sizes={shown(self.hidden_layer_sizes)}, but the fitted "
                    f"layers to go on with have {shown(self._sizes)} units: fit a clone, or "
                    "set it back."
                )

    def _default_template(self, name: str) -> RBMTransformer:
        return RBMTransformer()

    def _templates(self) -> list[RBMTransformer]:
        """An unfitted RBM for each layer."""
        rbm = self._default_template("rbm") if self.rbm is None else self.rbm
        return layer_templates(rbm, self.hidden_layer_sizes)

    def _adopt(self, X: Any, sample_weight: Any) -> tuple[Any, np.ndarray]:
        """Take the layers of ``pretrained``, and score their units on ``X``.

        Returns the rows and their weights, now validated.
        """
        source = fitted_source(self.pretrained, DBNTransformer)
        source._check_rows(X, reset=False)
        X = self._check_rows(X, reset=True)
        weight = self._check_weight(sample_weight, X)
        known = source.rbms_[0].visible_type_
        unit = visible_unit(self, None, X, weight, known)
        X = clipped(X, unit.support) if has_outside(X, unit.support) else X
        source = source._apart()
        self.rbms_, self.history_ = source.rbms_, source.history_
        stack, columns, self._statistics = self._stack, self._bottom_run.columns, []
        for layer, run in enumerate(self._runs):
            rows = Rows(X, weight, unit, stack[:layer], columns=columns if layer else None)
            self._statistics.append(statistics_of_layer(run, rows))
        return X, weight

    def _fields(self, X: Any, top: int) -> Iterator[tuple[slice, list[tuple]]]:
        for rows in self._blocks(X):
            v, fields = self._standard(X[rows]), []
            for machine in self._stack[: top + 1]:
                unit, par = machine.units[1], machine.par[1]
                fields.append((unit, par, machine.field(1, [v, None])))
                v = unit.mean(fields[-1][-1], par)
            yield rows, fields

    def _below(self, layer: int, states: np.ndarray) -> np.ndarray:
        below = self._stack[layer].means([0], [None, states])[0]
        return below if layer else self._runs[0].measured(below)

    def _unit(self, layer: int) -> tuple[Any, Any]:
        machine = self.rbms_[layer]._machine
        return machine.units[1], machine.par[1]

    def _apart(self) -> DBNTransformer:
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
    def _known(self) -> dict:
        return self.rbms_[-1]._known


def _here(X: Any) -> Any:
    """Rows that features can be made of."""
    return None if isinstance(X, Partitions) else X
