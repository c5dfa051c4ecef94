"""A fitted estimator as a stack of machines over the columns of the user."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._random import Stream
from ..data import complete, dense, has_gaps
from ..likelihood import base_rates, population
from ..machine import Machine, fill_in
from ..training import Run
from ._base import BaseDeepEstimator

# Values of the widest layer that are computed together; no result depends on it.
_BLOCK_VALUES = 1 << 19


class MachineStack(BaseDeepEstimator, ABC):
    """An estimator whose model is a stack of machines: an RBM, a DBM, or the layers of a DBN.

    A subclass says how its machines were trained (`_runs`).

    Fine-tuning uses `_runs` and `_with_runs`, `_stack`, `_bottom_run`, `_apart`; of rows
    `_check_rows`, `_blocks`, `_complete`, `_posterior`, `_features`; what the posterior depends
    on, `_n_mean_field_steps` and `_inference`; and of a generator that selects, `_choose` and
    `_sees_rows`.
    """

    @property
    @abstractmethod
    def _runs(self) -> list[Run]:
        """The training of each machine, the lowest first."""

    @property
    def _bottom_run(self) -> Run:
        return self._runs[0]

    @abstractmethod
    def _with_runs(self, runs: list[Run]) -> Any:
        """A copy of the fitted generator with other trainings in the place of its own."""

    @property
    def _stack(self) -> list[Machine]:
        """The machines, the lowest first; the hidden layer of each is visible to the next.

        The lowest is over standardised columns, the others over the states of the layer below.
        """
        return [run.average for run in self._runs]

    @property
    def _n_mean_field_steps(self) -> int:
        """Sweeps of the mean field in training."""
        return 0

    @property
    def _inference(self) -> dict[str, Any]:
        """Parameters of the mean field of the posterior, where it needs sweeps."""
        return {}

    def _base(self) -> list[Any]:
        """Parameters of units without neighbours that have the moments of the top machine."""
        run, machine = self._runs[-1], self._stack[-1]
        moments = run.moments.mean, run.moments.var
        if len(self._runs) == 1:
            moments = run.standard_moments()
        mean, var = (np.asarray(x, dtype=machine.par[0].dtype) for x in moments)
        hidden = run.activity[1:]
        return base_rates(machine, [mean, *hidden], [var, *[None] * len(hidden)])

    def _draws(self, n_rows: int, n_gibbs_steps: int, rng: Stream) -> list[Any]:
        """Independent states of all layers of the top machine."""
        return population(self._stack[-1], self._base(), n_rows, n_gibbs_steps, rng)

    def _apart(self) -> Any:
        """A copy that no later training of this estimator changes; it shares the arrays."""
        return copy.copy(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _blocks(self, X: Any) -> Iterator[slice]:
        """Rows of ``X`` that are computed together."""
        width = max(par.shape[1] for machine in self._stack for par in machine.par)
        size = max(1, _BLOCK_VALUES // width)
        for start in range(0, X.shape[0], size):
            yield slice(start, min(start + size, X.shape[0]))

    def _standard(self, X: Any) -> Any:
        """Validated rows as the lowest machine takes them, gaps filled by its mean field.

        Sparse rows of bits stay sparse.
        """
        run = self._bottom_run
        return complete(self._stack[0], run.shift, run.scale, X)

    def _filled(
        self, X: Any, fill: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Validated rows, their gaps filled by ``fill(v, missing)``, the others as they are.

        ``v`` are standardised rows, their gaps filled by the mean field.
        """
        run, found = self._bottom_run, np.empty(X.shape, X.dtype)
        for rows in self._blocks(X):
            part = dense(X[rows])
            found[rows] = part
            missing = np.isnan(part)
            gappy = np.flatnonzero(missing.any(axis=1))
            if not len(gappy):
                continue
            part, missing = part[gappy], missing[gappy]
            v = fill(fill_in(self._stack[0], run.standard(part)), missing)
            found[rows][gappy] = np.where(missing, run.measured(v), part)
        return found

    def _complete(self, X: Any) -> Any:
        """Validated rows, their gaps filled by the mean field; sparse rows stay sparse."""
        if not has_gaps(X):
            return X
        if not sp.issparse(X):
            return self._filled(X, lambda v, missing: v)
        X = X.copy()
        for rows in self._blocks(X):
            stored = slice(X.indptr[rows.start], X.indptr[rows.stop])
            values, columns = X.data[stored], X.indices[stored]
            gaps = np.isnan(values)
            if gaps.any():
                filled = self._filled(X[rows], lambda v, missing: v)
                owner = np.repeat(np.arange(len(filled)), np.diff(X[rows].indptr))
                values[gaps] = filled[owner[gaps], columns[gaps]]
        return X
