"""A fitted estimator as a stack of machines over the columns of `X`."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from .._array_api import (
    array_like,
    empty_as,
    is_foreign,
    namespace,
    put,
    rows_where,
    some_rows,
    take,
)
from .._random import CommonStream, Stream
from ..data import Unstored, dense, has_gaps
from ..likelihood import (
    LogProbability,
    base_rates,
    conditional_draws,
    log_probability,
    population,
)
from ..machine import Machine, fill_stack
from ..training import Run
from ._base import BaseDeepEstimator, of_one_fit, set_kinds

# Draws of the hidden layers for each row that a stack is scored on.
_N_DRAWS = 100
# Sweeps of the chain of a row whose features are averages over draws: the first are left out,
# and of the others one in a few is used, as successive ones are alike.
_N_SWEEPS, _N_BURN_IN, _THINNING = 200, 40, 4
# Largest number of states of a layer that are computed together; no result depends on it.
_BLOCK_VALUES = 1 << 19


class MachineStack(BaseDeepEstimator, ABC):
    """An estimator that is a stack of machines: an RBM, a DBM, or the layers of a DBN.

    A subclass defines `_runs`, the trainings of its machines.

    Fine-tuning uses `_runs`, `_with_runs`, `_stack`, `_bottom_run` and `_independent_copy`; for
    rows `_check_rows`, `_blocks`, `_complete`, `_posterior` and `_features`; for the mean field
    `_n_mean_field_steps` and `_inference`; and for a selection `_resolve_selection` and
    `_selection_needs_rows`.
    """

    @property
    @abstractmethod
    def _runs(self) -> list[Run]:
        """The state of the training of each machine, the lowest first."""

    @property
    def _bottom_run(self) -> Run:
        return self._runs[0]

    @property
    @abstractmethod
    def _kinds(self) -> dict[str, Any]:
        """Arguments of `_check_rows` that give the kinds of the columns, before a fit."""

    @property
    def _bottom_template(self) -> Any:
        """The template of the bottom machine as it was given, without validation."""
        return getattr(self, "rbm", None)

    @abstractmethod
    def _with_runs(self, runs: list[Run]) -> Any:
        """A copy of the fitted generator with the machines of ``runs``."""

    @property
    def _stack(self) -> list[Machine]:
        """The machines, the lowest first; the hidden layer of each is visible to the next.

        The visible states of the lowest machine are standardised columns.
        """
        return [run.average for run in self._runs]

    @property
    def _n_mean_field_steps(self) -> int:
        """Mean-field sweeps over a minibatch in training."""
        return 0

    @property
    def _inference(self) -> dict[str, Any]:
        """Arguments of `mean_field` for the posterior, if it needs sweeps."""
        return {}

    def _base(self) -> list[Any]:
        """Parameters of the base: units with the moments of those of the top machine."""
        run, machine = self._runs[-1], self._stack[-1]
        moments = run.moments.mean, run.moments.var
        if len(self._runs) == 1:
            moments = run.standard_moments()
        mean, var = (array_like(x, machine.par[0]) for x in moments)
        hidden = run.activity[1:]
        return base_rates(machine, [mean, *hidden], [var])

    def _draws(self, n_rows: int, n_gibbs_steps: int, rng: Stream) -> list[Any]:
        """Independent states of all layers of the top machine."""
        return population(self._stack[-1], self._base(), n_rows, n_gibbs_steps, rng)

    def _log_probability(self, v: Any, log_z: float) -> LogProbability:
        """Log density of the observed states of each row, in standardised columns."""
        return log_probability(self._stack, v, log_z, _N_DRAWS, seed=0)

    def _log_weight(self, v: Any) -> np.ndarray:
        """`_log_probability` plus log Z."""
        return self._log_probability(v, 0.0).value

    def _independent_copy(self) -> Any:
        """A copy that no later training of this estimator changes; it shares the arrays."""
        return copy.copy(self)

    @of_one_fit
    def move_to(self, like: Any) -> Self:
        """The fitted estimator on another device, or with arrays of another library.

        Parameters
        ----------
        like : array
            An array of that library on that device, such as the rows to transform.

        Returns
        -------
        moved : estimator of the same class
            A copy; this estimator is unchanged. Its log partition function is estimated again.

        Raises
        ------
        TypeError
            When `like` is no array.
        """
        check_is_fitted(self)
        if not (is_foreign(like) or isinstance(like, np.ndarray)):
            raise TypeError(
                f"like must be an array of the library to move to, got {type(like).__name__}: "
                "give rows there, or an empty array."
            )
        return self._with_runs([run.moved(like) for run in self._runs])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.allow_nan = True
        set_kinds(tags, self._bottom_template)
        return tags

    def _blocks(self, X: Any) -> Iterator[slice]:
        """Rows of ``X`` that are computed together."""
        bottom = self._stack[0]
        width = max(par.shape[1] for machine in self._stack for par in machine.par)
        width = max(width, bottom.units[0].summary_width(bottom.par[0].shape[1]))
        size = max(1, _BLOCK_VALUES // width)
        for start in range(0, X.shape[0], size):
            yield slice(start, min(start + size, X.shape[0]))

    def _standard(self, X: Any) -> Any:
        """Visible states of validated rows, with their gaps filled by the mean field.

        Sparse rows of bits stay sparse.
        """
        return self._bottom_run.columns.complete_stack(self._stack, X)[0]

    def _filled(
        self, X: Any, fill: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Validated rows with their gaps filled by the values ``fill(v, missing)``.

        ``v`` are the visible states of the rows with gaps, which the mean field has filled, and
        ``missing`` is true for those that it has filled.
        """
        columns, found = self._bottom_run.columns, empty_as(X, X.shape)
        xp = namespace(found)
        for rows in self._blocks(X):
            part = dense(some_rows(X, rows))
            found[rows, :] = part
            missing = xp.isnan(part)
            with_gaps = rows_where(missing)
            if not len(with_gaps):
                continue
            part, missing = take(part, with_gaps), take(missing, with_gaps)
            v = columns.states(part)
            values = fill(fill_stack(self._stack, v)[0], xp.isnan(v))
            put(found[rows, :], with_gaps, xp.where(missing, values, part))
        return found

    def _complete_draws(self, X: Any) -> Iterator[np.ndarray]:
        """Validated rows, all with gaps, with draws of their missing entries.

        All rows have the same random numbers, so that none depends on the others.
        """
        columns = self._bottom_run.columns
        v = columns.states(dense(X))
        start, missing = fill_stack(self._stack, v)[0], namespace(v).isnan(v)
        draws = conditional_draws(self._stack, start, missing, _N_SWEEPS, CommonStream(0))
        for sweep, (row, _) in enumerate(draws):
            if sweep >= _N_BURN_IN and sweep % _THINNING == 0:
                yield columns.values(row)

    def _complete(self, X: Any) -> Any:
        """Validated rows with their gaps filled by the mean field; sparse rows stay sparse."""
        if not has_gaps(X):
            return X

        def means(v: np.ndarray, missing: np.ndarray) -> np.ndarray:
            return self._bottom_run.columns.values(v)

        if not sp.issparse(X) or isinstance(X, Unstored):
            return self._filled(X, means)
        X = X.copy()
        for rows in self._blocks(X):
            stored = slice(X.indptr[rows.start], X.indptr[rows.stop])
            values, columns = X.data[stored], X.indices[stored]
            gaps = np.isnan(values)
            if gaps.any():
                filled = self._filled(X[rows], means)
                row = np.repeat(np.arange(len(filled)), np.diff(X[rows].indptr))
                values[gaps] = filled[row[gaps], columns[gaps]]
        return X
