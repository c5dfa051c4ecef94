"""Selection of layers and units from the hidden layers of a generator."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._array_api import (
    array_like,
    concat,
    copied,
    empty_as,
    float64,
    namespace,
    on_host,
    put,
    put_columns,
    rows_at,
    rows_where,
    some_columns,
    some_rows,
    take,
    to_numpy,
)
from .._compat import StrOptions, _check_feature_names_in, _safe_indexing
from .._messages import failed, shown
from ..data import Partitions, clipped, dense, frame_of, has_gaps, has_outside
from ..machine import pathway_widths
from ..selection import SCORES, resolve_layers, resolve_units
from ._base import check_columns, of_one_fit
from ._generator import Generator

OUTPUTS = {
    "probability": lambda unit, par, field: unit.mean(field, par),
    "logit": lambda unit, par, field: field,
    "binary": lambda unit, par, field: unit.mode(field, par),
}


class _Unchanged:
    """Default of `select`: leave the parameter as it is."""

    def __repr__(self) -> str:
        return "<unchanged>"


_UNCHANGED = _Unchanged()


class SelectingGenerator(Generator):
    """A generator whose features are units of selected layers.

    A subclass sets `_statistics`, a `UnitStatistics` for each hidden layer, and defines the
    fields of its hidden layers (`_fields`), the means of the layer below one (`_below`), and
    the unit type and parameters of one (`_unit`).
    """

    selected_units_: list[np.ndarray]
    unit_selector_: Any

    _selection_constraints: dict = {
        "layers": "no_validation",
        "units": "no_validation",
        "unit_score": [StrOptions(set(SCORES)), callable],
        "passthrough": ["boolean"],
        "output": [StrOptions(set(OUTPUTS))],
        "fill": [StrOptions({"mean_field", "draws"})],
    }

    @abstractmethod
    def _fields(self, X: Any, top: int) -> Iterator[tuple[slice, list[tuple]]]:
        """Unit type, parameters and field, (n_rows, n_units), of hidden layers 0 to ``top``.

        For one slice of the rows of ``X`` after the other.
        """

    @abstractmethod
    def _below(self, layer: int, states: np.ndarray) -> np.ndarray:
        """Means of the layer below hidden layer ``layer``, given its states."""

    @abstractmethod
    def _unit(self, layer: int) -> tuple[Any, Any]:
        """Unit type and parameters, (n_par, n_units), of a hidden layer."""

    @property
    def _sizes(self) -> list[int]:
        return [self._unit(layer)[1].shape[1] for layer in range(len(self._statistics))]

    def _unit_names(self, layer: int) -> list[str]:
        """Names of the units of a hidden layer, with their pathway if they have one."""
        weights = [W for machine in self._stack for W in machine.W]
        widths = pathway_widths(weights[layer])
        if len(widths) == 1:
            return [f"unit{j}" for j in range(*widths)]
        pairs = zip(self._table.pathways, widths, strict=True)
        return [f"{name}_unit{j}" for name, n in pairs for j in range(n)]

    @property
    def selected_layers_(self) -> np.ndarray:
        """The layers that give features."""
        return np.array(self._selected_layers)

    @property
    def _n_features_out(self) -> int:
        n_units = sum(len(units) for units in self.selected_units_)
        return n_units + (self._n_encoded if self.passthrough else 0)

    @property
    def _n_encoded(self) -> int:
        """The number of columns that `passthrough` appends."""
        return sum(map(len, self._table.encoded_names(range(self.n_features_in_))))

    @property
    def _selection_needs_rows(self) -> bool:
        """Whether the selection may need rows, and not only statistics of them."""
        return hasattr(self.units, "fit") or callable(self.unit_score)

    def _resolve_selection(self, X: Any, y: Any, weight: np.ndarray | None = None) -> None:
        """Set the selected layers and units, from the selection parameters.

        Only feature selectors and score functions need ``X``, without rows of ``weight`` 0.
        They get none of rows on a cluster.
        """
        on_cluster = isinstance(X, Partitions)
        X = None if on_cluster else X
        # Selectors and scores are those of scikit-learn, on the host.
        weight = None if weight is None else to_numpy(weight)
        y = on_host(y)
        some_without_weight = weight is not None and not np.all(weight)
        if some_without_weight and X is not None and self._selection_needs_rows:
            rows = np.flatnonzero(weight)
            if y is not None:
                check_consistent_length(X, y)
                y = _safe_indexing(y, rows)
            X = rows_at(X, rows)
        layers = resolve_layers(self.layers, len(self._statistics))
        sizes = self._sizes
        widths = [sizes[layer] for layer in layers]

        def columns() -> np.ndarray:
            if X is None:
                cure = "needs data: pass X, and y where it needs labels, to select."
                if on_cluster:
                    cure = (
                        "needs the rows of X in this process, and those of a dask collection "
                        "stay on its workers: set units to a number of units, and unit_score="
                        "'information', or pass X.compute()."
                    )
                given = f"units={shown(self.units)} with unit_score={shown(self.unit_score)}"
                raise ValueError(f"{given} {cure}")
            support = self._bottom_run.machine.units[0].support
            rows = clipped(X, support) if has_outside(X, support) else X
            H = self._columns(rows, layers, [np.arange(width) for width in widths])
            return to_numpy(H)

        def scores() -> list[np.ndarray]:
            if callable(self.unit_score):
                H = columns()
                try:
                    score = self.unit_score(H, y)
                except (ValueError, TypeError) as error:
                    raise failed("unit_score", self.unit_score, error) from error
                score = np.asarray(score[0] if isinstance(score, tuple) else score, dtype=float)
                if score.shape != (sum(widths),):
                    raise ValueError(
                        f"unit_score={shown(self.unit_score)} gave scores of shape "
                        f"{score.shape} for {sum(widths)} units: it must give one for each "
                        "column of H."
                    )
                # As in SelectKBest, NaN is the lowest score.
                score = np.where(np.isnan(score), -np.inf, score)
                return np.split(score, np.cumsum(widths)[:-1])
            rule = SCORES[self.unit_score]
            return [rule(self._statistics[layer], *self._unit(layer)) for layer in layers]

        units, selector = resolve_units(self.units, layers, sizes, scores, columns, y)
        self._selected_layers = layers
        self.selected_units_ = units
        self.unit_selector_ = selector

    def _columns(
        self, X: Any, layers: Any, units: list[np.ndarray], fields: Any = None
    ) -> np.ndarray:
        """Features of the given units of the given layers, (n_rows, n_units).

        ``fields`` replaces `_fields`.
        """
        found = None
        ends, top = np.cumsum([0, *map(len, units)]), max(layers)
        for rows, of_layers in self._outputs(X, top, fields or self._fields):
            for begin, layer, selected in zip(ends, layers, units, strict=False):
                values = of_layers[layer]
                if found is None:
                    found = empty_as(values, (X.shape[0], int(ends[-1])))
                part = found[rows, int(begin) : int(begin) + len(selected)]
                # Indexing by an array of all units would copy the layer once more.
                whole = np.array_equal(selected, np.arange(values.shape[1]))
                part[...] = values if whole else some_columns(values, selected)
        return found

    def _outputs(self, X: Any, top: int, fields: Any) -> Iterator[tuple[slice, list]]:
        """The output, (n_rows, n_units), of hidden layers 0 to ``top``, for some rows."""
        output = OUTPUTS[self.output]
        for rows, of_layers in fields(X, top):
            found = [output(*of_layer) for of_layer in of_layers]
            part = some_rows(X, rows) if self.fill == "draws" else None
            if part is not None and has_gaps(part):
                self._average_over_draws(part, found, fields)
            yield rows, found

    def _average_over_draws(self, X: Any, outputs: list[np.ndarray], fields: Any) -> None:
        """Replace, in place, the ``outputs`` of rows with gaps by averages over their draws."""
        X = dense(X)
        gaps = rows_where(namespace(X).isnan(X))
        # The majority of the states is that of the average field.
        output = OUTPUTS["logit" if self.output == "binary" else self.output]
        totals, n_draws, top = [0.0] * len(outputs), 0, len(outputs) - 1
        for drawn in self._complete_draws(take(X, gaps)):
            parts = [of_layers for _, of_layers in fields(drawn, top)]
            for layer, of_blocks in enumerate(zip(*parts, strict=True)):
                found = concat([output(*of_layer) for of_layer in of_blocks])
                totals[layer] = totals[layer] + float64(found)
            n_draws += 1
        for layer, (total, found) in enumerate(zip(totals, outputs, strict=True)):
            average = namespace(found).astype(total / n_draws, found.dtype)
            if self.output == "binary":
                unit, par = self._unit(layer)
                average = unit.mode(average, par)
            put(found, gaps, average)

    @of_one_fit
    def transform(self, X: Any) -> np.ndarray:
        """Features of `X`: the selected units of the selected layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, without draws from grey levels. Missing entries (NaN) are filled in as `fill`
            says, and in `passthrough` columns by their mean field. With or without a cluster,
            the result for a dask array or frame is lazy.

        Returns
        -------
        H : ndarray or CSR matrix of shape (n_samples, n_features_out)
            Layers in the order of `layers`, then the input columns with `passthrough`. Sparse
            only with `passthrough` and a sparse `X`. A dask array for a dask collection, with
            the same partitions.

        Warns
        -----
        UserWarning
            When `X` has values outside [0, 1] for Bernoulli visible units.
        """
        check_is_fitted(self)
        return self._features(self._check_rows(X, reset=False, outside="warn"))

    def _features(self, X: Any, fields: Any = None) -> Any:
        """`transform` of validated rows; ``fields`` replaces `_fields`."""
        layers = self._selected_layers
        H = self._columns(X, layers, self.selected_units_, fields)
        if not self.passthrough:
            return H
        X = self._table.encoded(self._complete(X))
        if sp.issparse(X):
            return sp.hstack([H, X], format="csr")
        return concat([H, X], axis=1)

    @of_one_fit
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows reconstructed from the features `X`.

        From the highest selected layer down, each layer is the mean given the one above, except
        for the selected units, whose means are replaced by their features. Units of the highest
        layer that were not selected have their mean over the training data. With `passthrough`
        the input columns are returned unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Features from `transform`, with the same selection.

        Returns
        -------
        X_original : ndarray of shape (n_samples, `n_features_in_`)
            In the units of the training data.

        Raises
        ------
        ValueError
            When `X` does not have as many columns as `transform` returns.
        """
        check_is_fitted(self)
        form = X if frame_of(X) is not None else None
        if sp.issparse(X):
            X = X.toarray()
        H = check_columns(X, self._n_features_out, self._unit(0)[1].dtype)
        if self.passthrough:
            return self._table.rows(self._table.decoded(H[:, -self._n_encoded :]), form)
        ends = np.cumsum([len(units) for units in self.selected_units_])
        blocks = [H[:, begin:end] for begin, end in pairwise([0, *map(int, ends)])]
        layers = self._selected_layers
        selection = zip(self.selected_units_, blocks, strict=True)
        given = dict(zip(layers, selection, strict=True))
        top = max(given)
        mean = array_like(self._statistics[top].mean, H)
        xp = namespace(H)
        states = copied(xp.broadcast_to(mean[None, :], (H.shape[0], mean.shape[0])))
        for layer in range(top, -1, -1):
            if layer in given:
                units, block = given[layer]
                if self.output == "logit":
                    unit, par = self._unit(layer)
                    block = unit.mean(block, some_columns(par, units))
                put_columns(states, units, block)
            states = self._below(layer, states)
        return self._table.rows(states, form)

    @of_one_fit
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features: `layer{l}_unit{j}`, then those of the input.

        Unit j of a pathway is `layer{l}_{pathway}_unit{j}`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns, if `fit` got none.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self)
        input_features = _check_feature_names_in(self, input_features)
        names = []
        for layer, units in zip(self._selected_layers, self.selected_units_, strict=True):
            of_layer = self._unit_names(layer)
            names += [f"layer{layer}_{of_layer[j]}" for j in units]
        passed = self._table.encoded_names(input_features) if self.passthrough else []
        return np.array([*names, *chain.from_iterable(passed)], dtype=object)

    @of_one_fit
    def select(
        self,
        X: Any = None,
        y: Any = None,
        *,
        layers: Any = _UNCHANGED,
        units: Any = _UNCHANGED,
        unit_score: Any = _UNCHANGED,
        passthrough: Any = _UNCHANGED,
        output: Any = _UNCHANGED,
        fill: Any = _UNCHANGED,
    ) -> Self:
        """Another selection from the same fitted layers, without a fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            Needed if `units` is a feature selector or `unit_score` a function.
        y : array-like of shape (n_samples,), default=None
            Labels, if these need them.
        layers, units, unit_score, passthrough, output, fill :
            As the parameters of the same names; those left out are unchanged.

        Returns
        -------
        view : estimator of the same class
            A fitted copy that shares the layers; this estimator is unchanged.

        Raises
        ------
        ValueError, TypeError
            When the selection is not valid for the layers.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_dbn import DBNTransformer, RBMTransformer
        >>> X = load_digits().data / 16
        >>> rbm = RBMTransformer(n_iter=20)
        >>> dbn = DBNTransformer((32, 16), rbm=rbm, random_state=0).fit(X)
        >>> dbn.transform(X).shape, dbn.select(layers=0, units=10).transform(X).shape
        ((1797, 48), (1797, 10))
        """
        check_is_fitted(self)
        view = copy.copy(self)
        new = {
            "layers": layers,
            "units": units,
            "unit_score": unit_score,
            "passthrough": passthrough,
            "output": output,
            "fill": fill,
        }
        view.set_params(**{k: v for k, v in new.items() if v is not _UNCHANGED})
        view._validate_params()
        rows = None if X is None else self._check_rows(X, reset=False, outside="warn")
        view._resolve_selection(rows, y)
        return view
