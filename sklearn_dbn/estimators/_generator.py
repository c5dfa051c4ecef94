"""Methods of every generator: to score, draw, impute and reconstruct rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._array_api import (
    empty_as,
    float64,
    is_foreign,
    moved,
    on_host,
    some_rows,
    to_numpy,
)
from .._compat import Interval, StrOptions
from .._messages import shown
from .._random import CommonStream, Stream, seed_of
from ..data import dense, encoded, has_gaps
from ..likelihood import (
    METHODS,
    LogPartition,
    LogProbability,
    conditional_draws,
    equilibrate,
    log_partition,
    pass_down,
)
from ..machine import mean_field, means_below
from ._base import check_parameters, of_one_fit
from ._column_methods import ColumnMethods
from ._options import LogPartitionMethod, RandomState

# A binary row has 0 nats at most, and an estimate of log Z an error of a few tenths.
_MAX_BINARY_NATS = 1.0
# Constraints on parameters of methods.
_N_STEPS = [Interval(Integral, 1, None, closed="left")]
_TWO_OR_MORE = Interval(Integral, 2, None, closed="left")
# Share of the sweeps that is left out, since the states still depend on the first one.
_BURN_IN = 0.2


class Generator(ColumnMethods):
    """Likelihood in nats, samples and missing entries, for a stack of machines.

    All computations are in standardised columns, as in training, and results are converted at
    the end: so they do not depend on the columns' units, and float32 is precise enough.
    """

    # Log Z, once it is estimated. A training replaces the dict, and copies share it.
    _estimates: dict

    @of_one_fit
    def log_partition(
        self,
        method: LogPartitionMethod = "auto",
        *,
        temperatures: Any = "auto",
        n_chains: int = 100,
        n_gibbs_steps: int = 500,
        random_state: RandomState = 0,
    ) -> LogPartition:
        """Log of the partition function, log Z, in nats, and its standard error.

        Parameters
        ----------
        method : {"auto", "exact", "ais"}, default="auto"
            "exact" sums over all states of the smaller layer, of up to 25 units; "ais" is
            annealed importance sampling [1]_, forward from units without weights and in reverse
            from the machine [2]_: the first is too low on average, the second too high. "auto"
            is exact up to 20 units.
        temperatures : "auto", int or array of shape (n_temperatures,), default="auto"
            Temperatures of the annealing, from 0 to 1; "auto" takes as many as a standard error
            of about 0.05 needs.
        n_chains : int, default=100
            Chains of the annealing in each direction; 2 or more.
        n_gibbs_steps : int, default=500
            Sweeps of the annealing that draws the first states of the reverse chains; as many
            sweeps follow before these start.
        random_state : int, RandomState instance or None, default=0
            Fixes the chains.

        Returns
        -------
        log_partition : LogPartition
            With `value`, `standard_error`, `interval`, `method`, `forward` and `reverse`.

        Raises
        ------
        ValueError
            When a parameter is not as documented, or "exact" has too many states.

        Warns
        -----
        RuntimeWarning
            When the two directions differ by more than their standard errors explain.

        References
        ----------
        .. [1] Salakhutdinov, Murray (2008). On the quantitative analysis of deep belief
           networks. doi:10.1145/1390156.1390266
        .. [2] Burda, Grosse, Salakhutdinov (2015). Accurate and conservative estimates of MRF
           log-likelihood using reverse annealing. arXiv:1412.8566
        """
        check_is_fitted(self)
        check_parameters(
            "log_partition",
            method=([StrOptions(set(METHODS))], method),
            temperatures=([StrOptions({"auto"}), _TWO_OR_MORE, "array-like"], temperatures),
            n_chains=([_TWO_OR_MORE], n_chains),
            n_gibbs_steps=([Interval(Integral, 0, None, closed="left")], n_gibbs_steps),
            random_state=(["random_state"], random_state),
        )
        rng = Stream(seed_of(random_state))
        found = log_partition(
            self._stack[-1],
            self._base(),
            method,
            rng=rng,
            states=lambda: self._draws(n_chains, n_gibbs_steps, rng),
            n_sweeps=n_gibbs_steps,
            betas=temperatures,
            n_chains=n_chains,
        )
        return found.plus(self._log_z_by_units)

    @property
    def _log_z(self) -> float:
        """Log Z over standardised columns, estimated once for a training."""
        if "log_z" not in self._estimates:
            self._keep_log_z(self.log_partition())
        return self._estimates["log_z"]

    def _keep_log_z(self, found: LogPartition) -> None:
        """Keep what `log_partition` returned for scores, unless they have a log Z already."""
        self._estimates.setdefault("log_z", found.value - self._log_z_by_units)

    @property
    def _log_z_by_units(self) -> float:
        """Log Z of the fitted parameters, less log Z over standardised columns.

        That is the log scale of the columns, plus the energy in standardised columns of the row
        of zeros with hidden units of 0, less that with the fitted parameters.
        """
        run, machine = self._bottom_run, self._stack[0]
        columns = run.columns
        if len(self._runs) > 1 or columns.scale is None:
            return 0.0
        given = machine.par[0], columns.shift, columns.scale
        par, shift, scale = map(float64, given)
        zero, unit = 0 * shift[None, :], machine.units[0]
        energy = unit.energy(zero - shift / scale, par)
        energy -= unit.energy(zero, unit.rescale(par, shift, scale))
        return float(run.log_scale().sum()) + float(energy[0])

    @of_one_fit
    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of each row, in nats.

        With one hidden layer it is exact except for log Z, which is computed at the first call
        (see `log_partition`). With several, and for rows with missing entries, it is estimated
        from 100 draws of the hidden layers, with the same random numbers for every row and
        call: the estimate is slightly too low on average, and does not depend on other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, without draws from grey levels: make images binary to score bits. Of a row
            with NaN the result is the log-likelihood of its observed entries. For a dask array
            or frame the result is a lazy dask array.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            For Gaussian visible units the log density, per unit of the columns.

        Raises
        ------
        ValueError
            When `X` has values outside [0, 1] by more than 1e-6 for Bernoulli visible units:
            such rows have no likelihood.

        Warns
        -----
        RuntimeWarning
            When a binary row has a probability above 1, since log Z is far too low.
        """
        check_is_fitted(self)
        return self._as_rows(self._scored(X).value)

    @of_one_fit
    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the rows, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; those of a dask array or frame are read one partition after the other.
        y : Ignored
            Not used.

        Returns
        -------
        log_likelihood : float

        Raises
        ------
        ValueError
            As in `score_samples`.
        """
        values = self.score_samples(X)
        return float(np.mean(on_host(values)))

    @of_one_fit
    def score_bound(self, X: Any) -> np.ndarray:
        """Variational lower bound on the log-likelihood of each row, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            Equal to `score_samples` with one hidden layer.

        Raises
        ------
        ValueError
            As in `score_samples`.
        """
        check_is_fitted(self)
        return self._as_rows(self._scored(X).bound)

    @of_one_fit
    def free_energy(self, X: Any) -> np.ndarray:
        """Free energy F of each row, in nats: the log-likelihood is -F - log Z.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; for a dask array or frame the result is a lazy dask array.

        Returns
        -------
        free_energy : ndarray of shape (n_samples,), float64
            With several hidden layers an estimate, as in `score_samples`.

        Raises
        ------
        ValueError
            As in `score_samples`.
        """
        check_is_fitted(self)
        X = self._check_rows(X, reset=False, outside="refuse")
        found = self._log_likelihood(X, log_z=0.0).value
        return self._as_rows(self._log_scale(X) - found - self._log_z_by_units)

    def _as_rows(self, values: np.ndarray) -> Any:
        """A number for each row, in the library and on the device of the machine."""
        return moved(values, self._stack[0].par[0])

    def _log_likelihood(self, X: Any, log_z: float) -> LogProbability:
        """Log density of the observed entries of each row, in standardised columns."""
        found = LogProbability(*(np.empty(X.shape[0]) for _ in range(3)))
        for rows in self._blocks(X):
            v = self._bottom_run.columns.states(dense(some_rows(X, rows)))
            part = self._log_probability(v, log_z)
            for whole, x in zip(vars(found).values(), vars(part).values(), strict=True):
                whole[rows] = x
        return found

    def _scored(self, X: Any) -> LogProbability:
        """Log density of the observed entries of each row, per unit of the columns."""
        X = self._check_rows(X, reset=False, outside="refuse")
        found = self._log_likelihood(X, self._log_z)
        largest = found.bound.max(initial=0)
        if largest > _MAX_BINARY_NATS and self._stack[0].curvatures()[0] is None:
            warnings.warn(
                f"A row has {largest:.3g} nats, and binary rows cannot have more than 0: the "
                "estimate of log Z is far too low and the scores too high, as the chains do "
                "not mix: after fine-tuning, use a lower learning rate.",
                RuntimeWarning,
                stacklevel=4,
            )
        scale = self._log_scale(X)
        return LogProbability(found.value - scale, found.bound - scale, found.standard_error)

    def _log_scale(self, X: Any) -> Any:
        """Log scales of the columns, summed over the observed entries of each row."""
        run = self._bottom_run
        log_scale = run.log_scale()
        if not (log_scale.any() and has_gaps(X)):
            return log_scale.sum()
        parts = (dense(some_rows(X, rows)) for rows in self._blocks(X))
        states = (encoded(run.columns.unit, part) for part in parts)
        return np.concatenate([~np.isnan(to_numpy(v)) @ log_scale for v in states])

    @of_one_fit
    def sample(
        self,
        n_samples: int | None = None,
        *,
        given: Any = None,
        n_gibbs_steps: int = 200,
        random_state: RandomState = None,
    ) -> np.ndarray:
        """Draw rows, or the missing entries of given rows.

        Parameters
        ----------
        n_samples : int, default=None
            Number of rows, each from a chain of its own; `None` is 1. The chains are annealed
            from units without neighbours and resampled [1]_, so that each mode gets its share
            of them.
        given : array-like of shape (n_rows, n_features), default=None
            Rows with NaN for each entry that is to be drawn given the others of its row;
            instead of `n_samples`.
        n_gibbs_steps : int, default=200
            Sweeps of the annealing, followed by half as many at temperature 1; or sweeps from
            the mean field of the missing entries. In a deep belief network they are sweeps of
            the top machine, from whose states the rows are drawn, layer by layer.
        random_state : int, RandomState instance or None, default=None
            Fixes the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_rows, n_features)
            In the units of the training data.

        Raises
        ------
        ValueError
            When both `n_samples` and `given` are set, or a parameter is not as documented.

        References
        ----------
        .. [1] Hukushima, Iba (2003). Population annealing and its application to a spin glass.
           doi:10.1063/1.1632130
        """
        check_is_fitted(self)
        check_parameters(
            "sample",
            n_samples=([Interval(Integral, 1, None, closed="left"), None], n_samples),
            n_gibbs_steps=(_N_STEPS, n_gibbs_steps),
            random_state=(["random_state"], random_state),
        )
        if n_samples is not None and given is not None:
            raise ValueError(
                f"n_samples={shown(n_samples)} and given= cannot both be set: one row is "
                "drawn for each row of given, so leave n_samples out."
            )
        rng = Stream(seed_of(random_state))
        if given is not None:

            def drawn(v: Any, missing: Any) -> Any:
                for rows, _ in conditional_draws(self._stack, v, missing, n_gibbs_steps, rng):
                    v = rows
                return self._bottom_run.columns.values(v)

            rows = self._check_rows(given, reset=False, outside="warn")
            return self._table.rows(self._filled(rows, drawn), given, rows)
        states = self._draws(1 if n_samples is None else n_samples, n_gibbs_steps, rng)
        states = equilibrate(self._stack[-1], states, n_gibbs_steps // 2, rng)
        v = pass_down(self._stack, states[0], rng)
        return self._table.rows(self._bottom_run.columns.values(v))

    @of_one_fit
    def impute(
        self,
        X: Any,
        *,
        draw: bool = False,
        n_gibbs_steps: int = 200,
        random_state: RandomState = 0,
    ) -> np.ndarray:
        """Rows with their missing entries filled in, given the observed ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with NaN where an entry is missing. For a dask array or frame, with
            `draw=False`, the result is a lazy one.
        draw : bool, default=False
            Draw the missing entries, independently for each row, instead of estimating them.
        n_gibbs_steps : int, default=200
            Sweeps of the chain of a row. The filled value is an estimate from the distribution
            given the hidden units, averaged over the last four fifths of the sweeps: the mean
            of a real column, the likeliest level of a category, the mean position of an ordered
            level, and the mean of a count, rounded to a level or to a whole number.
        random_state : int, RandomState instance or None, default=0
            Fixes the chains. With `draw=False` all rows have the same random numbers, so that
            no row depends on the others.

        Returns
        -------
        X : frame or ndarray of shape (n_samples, n_features)
            A frame like that of `fit` if `X` is one. Observed entries are unchanged, except for
            values that rounding left outside [0, 1] in columns of Bernoulli units.

        Raises
        ------
        ValueError
            When `X` or a parameter is not as documented.

        Warns
        -----
        UserWarning
            When `X` has values outside [0, 1] for Bernoulli visible units.
        """
        check_is_fitted(self)
        check_parameters(
            "impute",
            draw=(["boolean"], draw),
            n_gibbs_steps=(_N_STEPS, n_gibbs_steps),
            random_state=(["random_state"], random_state),
        )
        if draw:
            return self.sample(given=X, n_gibbs_steps=n_gibbs_steps, random_state=random_state)
        seed, n_burn = seed_of(random_state), int(_BURN_IN * n_gibbs_steps)

        def averaged(v: Any, missing: Any) -> Any:
            total: Any = 0.0
            draws = conditional_draws(
                self._stack, v, missing, n_gibbs_steps, CommonStream(seed)
            )
            for sweep, (_, summary) in enumerate(draws):
                if sweep >= n_burn:
                    total = total + float64(summary)
            return self._bottom_run.columns.estimates(total / (n_gibbs_steps - n_burn))

        rows = self._check_rows(X, reset=False, outside="warn")
        return self._table.rows(self._filled(rows, averaged), X, rows)

    @of_one_fit
    def reconstruct(self, X: Any) -> np.ndarray:
        """Mean-field reconstruction of each row from the highest hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN entries are filled in. For a dask array or frame the result is lazy.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Means of the visible units, in the units of the training data.

        Warns
        -----
        UserWarning
            When `X` has values outside [0, 1] for Bernoulli visible units.
        """
        check_is_fitted(self)
        given, X = X, self._check_rows(X, reset=False, outside="warn")
        par = self._stack[0].par[0]
        wider = X if not is_foreign(X) and np.result_type(X, par) == X.dtype else par
        found = empty_as(wider, X.shape)
        for rows, states in self._reconstructed(X):
            found[rows, :] = self._bottom_run.columns.values(states)
        return self._table.rows(found, given)

    def _reconstructed(self, X: Any) -> Iterator[tuple[slice, np.ndarray]]:
        """Visible states that the highest hidden layer gives for some validated rows."""
        stack = self._stack
        for rows in self._blocks(X):
            states = self._standard(some_rows(X, rows))
            for machine in stack:
                states = mean_field(machine, states).means(machine)[-1]
            for machine in reversed(stack):
                states = means_below(machine, len(machine.W), states)[0]
            yield rows, states

    def _reconstruction_error(self, X: Any) -> float:
        """Mean squared difference between observed states and their reconstruction.

        Real columns are in the units of the training data.
        """
        X, columns = self._check_rows(X, reset=False, outside="warn"), self._bottom_run.columns
        total, n_observed = 0.0, 0
        for rows, states in self._reconstructed(X):
            part = dense(some_rows(X, rows))
            difference = to_numpy(columns.unit.encode(part) - columns.measured(states))
            total += float(np.nansum(difference**2, dtype=np.float64))
            n_observed += int(np.count_nonzero(~np.isnan(difference)))
        return total / n_observed
