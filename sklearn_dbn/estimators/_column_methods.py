"""What a generator says of single columns, given the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from .._array_api import is_foreign, moved, to_numpy
from .._messages import shown
from ..data import dense
from ..units import Variable
from ._base import of_one_fit
from ._stack import MachineStack


class ColumnMethods(MachineStack):
    """Probabilities of a column given the other columns of each row."""

    @of_one_fit
    def conditional_proba(self, X: Any, column: Any) -> Any:
        """Probabilities of the values of a column, given all else that is known of each row.

        Exact with one hidden layer for rows without other missing entries, else estimated as in
        `score_samples`. The entries of the column itself are not used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where an entry is missing.
        column : str or int
            The name or the position of a column whose units have finitely many states.

        Returns
        -------
        proba : frame or ndarray of shape (n_samples, n_levels)
            A frame if `X` is one, with a column for each level and the row labels of `X`.

        Raises
        ------
        ValueError
            When there is no such column, or its units are real-valued.
        """
        check_is_fitted(self)
        if is_foreign(self._stack[0].par[0]):
            return self._on_host("conditional_proba", X, column)
        rows = self._check_rows(X, reset=False, outside="refuse")
        index = self._index_of(column)
        variable = self._variable_of(index)
        if variable is None:
            raise ValueError(
                f"column={shown(column)} has real-valued units, which have no levels: call "
                "impute(X) for its mean, or sample(given=X) for draws."
            )
        proba = np.exp(self._log_proba(rows, variable)).astype(rows.dtype)
        states = np.zeros((len(variable.values), self._stack[0].par[0].shape[1]))
        states[:, variable.columns] = variable.values
        codes = self._bottom_run.columns.values(states)[:, index]
        return self._table.by_level(proba, index, codes, X)

    @of_one_fit
    def score_by_column(self, X: Any) -> np.ndarray:
        """Mean log-probability of each column given the others, in nats.

        Over the rows in which the column is observed. For real columns it is the log density,
        per unit of the column, estimated as in `score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN where an entry is missing.

        Returns
        -------
        score : ndarray of shape (`n_features_in_`,)
            NaN for a column without an observed entry.

        Raises
        ------
        ValueError
            As in `score_samples`.
        """
        check_is_fitted(self)
        if is_foreign(self._stack[0].par[0]):
            return self._on_host("score_by_column", X)
        X = self._check_rows(X, reset=False, outside="refuse")
        found = np.full(X.shape[1], np.nan)
        for index in range(X.shape[1]):
            observed = np.flatnonzero(~np.isnan(dense(X[:, [index]])[:, 0]))
            if len(observed):
                found[index] = np.mean(self._log_p_of_column(X[observed], index))
        return found

    def _on_host(self, method: str, X: Any, *args: Any) -> Any:
        """The result of a method of a copy with arrays of NumPy, in the library of ``X``."""
        rows = to_numpy(self._check_rows(X, reset=False, outside="refuse"))
        found = getattr(self.move_to(rows), method)(rows, *args)
        return moved(found, self._stack[0].par[0])

    def _log_p_of_column(self, X: Any, index: int) -> np.ndarray:
        """Log-probability of the entry of each row in one column, given the other entries."""
        variable = self._variable_of(index)
        if variable is not None:
            log_p = self._log_proba(X, variable)
            share = self._by_block(X, lambda v: _shares(v[:, variable.columns], variable))
            return np.sum(share * log_p, axis=1)
        columns = self._state_columns(index)

        def log_p_of_states(v: np.ndarray) -> np.ndarray:
            others = v.copy()
            others[:, columns] = np.nan
            return self._log_weight(v) - self._log_weight(others)

        log_scale = self._bottom_run.log_scale()[columns].sum()
        return self._by_block(X, log_p_of_states) - log_scale

    def _log_proba(self, X: Any, variable: Variable) -> np.ndarray:
        """Log-probabilities of the states of a variable given all others of each row."""

        def log_proba(v: np.ndarray) -> np.ndarray:
            found = []
            for state in variable.values:
                v[:, variable.columns] = state
                found.append(self._log_weight(v))
            log = np.stack(found, axis=1)
            return log - logsumexp(log, axis=1, keepdims=True)

        return self._by_block(X, log_proba)

    def _by_block(self, X: Any, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """``function`` of the visible states of the rows, some of them at a time."""
        states = self._bottom_run.columns.states
        blocks = [function(np.array(states(dense(X[rows])))) for rows in self._blocks(X)]
        return np.concatenate(blocks)

    def _state_columns(self, index: int) -> np.ndarray:
        """Which columns of states a column of data has."""
        row = np.zeros((1, self.n_features_in_))
        row[0, index] = np.nan
        return np.flatnonzero(np.isnan(self._bottom_run.columns.unit.encode(row)[0]))

    def _variable_of(self, index: int) -> Variable | None:
        """The variable of a column of data; ``None`` if it is real-valued."""
        machine, first = self._stack[0], self._state_columns(index)[0]
        variables = machine.units[0].states(machine.par[0].shape[1])
        return next((x for x in variables if x.columns[0] == first), None)

    def _index_of(self, column: Any) -> int:
        """The position of a column that is given by its name or its position."""
        names = list(getattr(self, "feature_names_in_", []))
        if isinstance(column, str) and column in names:
            return names.index(column)
        is_position = isinstance(column, int | np.integer) and not isinstance(column, bool)
        if is_position and 0 <= column < self.n_features_in_:
            return int(column)
        known = (
            f"are {shown(names)}" if names else f"have positions below {self.n_features_in_}"
        )
        raise ValueError(f"column={shown(column)} is no column of X: the columns {known}.")


def _shares(states: np.ndarray, variable: Variable) -> np.ndarray:
    """How much of each state of a variable there is, (n_rows, n_states).

    1 and 0 for states; grey levels between two of them are shares of both.
    """
    if len(variable.values) == 2 and variable.values.shape[1] == 1:
        low, high = variable.values[:, 0]
        share = (states - low) / (high - low)
        return np.concatenate([1 - share, share], axis=1)
    distance = np.abs(states[:, None, :] - variable.values).sum(axis=2)
    return np.eye(len(variable.values))[distance.argmin(axis=1)]
