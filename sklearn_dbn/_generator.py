"""What every generator does with its distribution: score rows, draw them, fill them in."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from ._base import BaseGenerator
from ._inference import conditional_draws, fill_in, pass_down
from ._machine import Machine
from ._mean_field import mean_field, means_below
from ._random import Stream, seed_of
from ._rows import has_gaps
from ._training import Run
from .likelihood import CommonStream, LogPartition, equilibrate, log_partition, log_probability

# Draws of the hidden layers for each row that a stack is scored on.
_N_DRAWS = 100
# Rows that are looked at together; no result depends on it.
_BLOCK_ROWS = 1000
# Bits cannot have more than 0 nats, but their partition function is known to a few tenths.
_SURE_NATS = 1.0
# The first share of the sweeps, in which a chain forgets where it started.
_BURN_IN = 0.2


class Generator(BaseGenerator, ABC):
    """Likelihood in nats, samples and missing values, for a stack of machines.

    A subclass says what its machines are (`_stack`) and how they were trained (`_runs`), what
    units without neighbours are like the top one in training (`_base`), and where its chains
    stand (`_fantasies`). `_known` is emptied by every training.
    """

    _known: dict

    @property
    @abstractmethod
    def _stack(self) -> list[Machine]:
        """The machines, the lowest first; each is the visible layer of the next."""

    @property
    @abstractmethod
    def _runs(self) -> list[Run]:
        """The training of each machine."""

    @abstractmethod
    def _with_runs(self, runs: list[Run]) -> Any:
        """A copy of the fitted generator with other trainings in the place of its own."""

    @abstractmethod
    def _base(self) -> list[Any]:
        """Parameters of units without neighbours that have the moments of the top machine."""

    @abstractmethod
    def _fantasies(self, n_rows: int, rng: Stream) -> list[Any]:
        """States of the even layers of the top machine where its chains stand."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def log_partition(
        self,
        method: str = "auto",
        *,
        temperatures: Any = "auto",
        n_chains: int = 100,
        n_gibbs_steps: int = 500,
        random_state: Any = 0,
    ) -> LogPartition:
        """Log of the partition function of the model, in nats, and how far it is known.

        Parameters
        ----------
        method : {"auto", "exact", "ais"}, default="auto"
            "exact" sums over all states of the smaller layer, of up to 25 units; "ais" is
            annealed importance sampling [1]_, once up from units without weights and once down
            from the model [2]_: the first gives too little on average, the second too much.
            "auto" is exact up to 20 units.
        temperatures : "auto", int or array of shape (n_temperatures,), default="auto"
            Of annealing, from 0 to 1; "auto" places as many as a standard error of about 0.05
            asks for.
        n_chains : int, default=100
            Chains of annealing, each way.
        n_gibbs_steps : int, default=500
            Sweeps from the chains of the training to where the way down starts.
        random_state : int, RandomState instance or None, default=0
            Fixes the chains.

        Returns
        -------
        log_partition : LogPartition
            With `value`, `standard_error`, `interval`, `method`, `forward` and `reverse`.

        Warns
        -----
        RuntimeWarning
            When the two ways disagree by more than their standard errors explain.

        References
        ----------
        .. [1] Salakhutdinov, Murray (2008). On the quantitative analysis of deep belief
           networks. doi:10.1145/1390156.1390266
        .. [2] Burda, Grosse, Salakhutdinov (2015). Accurate and conservative estimates of MRF
           log-likelihood using reverse annealing. arXiv:1412.8566
        """
        check_is_fitted(self)
        rng = Stream(seed_of(random_state))
        return log_partition(
            self._stack[-1],
            self._base(),
            method,
            rng=rng,
            states=self._fantasies(n_chains, rng),
            n_sweeps=n_gibbs_steps,
            betas=temperatures,
            n_chains=n_chains,
        )

    @property
    def _log_z(self) -> float:
        """The partition function that rows are scored with, found once for a training."""
        if "log_z" not in self._known:
            self._known["log_z"] = self.log_partition().value
        return self._known["log_z"]

    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of each row, in nats.

        With one hidden layer it is exact but for the partition function, which is found at the
        first call (see `log_partition`). With several it is estimated from 100 draws of the
        hidden layers, the same for every row and every call; the estimate is a little too low
        on average, and never depends on the other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Grey levels are taken as they are: the log-likelihood of binary images is that
            of their bits.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            For Gaussian visible units the log density, per unit of the columns.

        Warns
        -----
        RuntimeWarning
            When a binary row is more than certain, since log Z was far from found.
        """
        check_is_fitted(self)
        return self._log_likelihood(X).value

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the rows, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for the API.

        Returns
        -------
        log_likelihood : float
        """
        return float(np.mean(self.score_samples(X)))

    def score_bound(self, X: Any) -> np.ndarray:
        """Variational lower bound on the log-likelihood of each row, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            Equal to `score_samples` with one hidden layer.
        """
        check_is_fitted(self)
        return self._log_likelihood(X).bound

    def free_energy(self, X: Any) -> np.ndarray:
        """Free energy of each row, in nats: minus the log-likelihood, less the log of Z.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        free_energy : ndarray of shape (n_samples,), float64
            Estimated with several hidden layers, as `score_samples` is.
        """
        check_is_fitted(self)
        return -self._log_likelihood(X, log_z=0.0).value

    def _log_likelihood(self, X: Any, log_z: float | None = None) -> Any:
        scored = log_z is None
        log_z = self._log_z if scored else log_z
        found = log_probability(self._stack, self._dense(X), log_z, _N_DRAWS, seed=0)
        most = found.bound.max(initial=0)
        if scored and most > _SURE_NATS and not self._stack[0].units[0].continuous:
            warnings.warn(
                f"A row has {most:.3g} nats, and binary rows cannot have more than 0: "
                "annealing missed most of the partition function, so do not believe the "
                "scores. The chains of the model do not mix, as after a fine-tuning with too "
                "large a learning rate.",
                RuntimeWarning,
                stacklevel=3,
            )
        return found

    def sample(
        self,
        n_samples: int | None = None,
        *,
        given: Any = None,
        n_gibbs_steps: int = 200,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw rows from the model, or the missing entries of given rows.

        Parameters
        ----------
        n_samples : int, default=None
            How many rows to draw, each from a chain of its own; `None` stands for 1.
        given : array-like of shape (n_rows, n_features), default=None
            Rows with NaN where an entry is to be drawn given the others of its row; instead of
            `n_samples`.
        n_gibbs_steps : int, default=200
            Sweeps of the chains: from where training left them, or from the mean field of the
            missing entries. In a deep belief network the chains move in the top machine, and
            one pass down gives the rows.
        random_state : int, RandomState instance or None, default=None
            Fixes the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_rows, n_features)
            In the units of the training data.

        Raises
        ------
        ValueError
            When both `n_samples` and `given` are there.
        """
        check_is_fitted(self)
        if n_samples is not None and given is not None:
            raise ValueError(
                f"n_samples={n_samples} with given= asks for two things: one row is drawn for "
                "each row of given, so leave n_samples out."
            )
        rng = Stream(seed_of(random_state))
        if given is not None:
            X, missing = self._with_gaps(given)
            for drawn, _ in conditional_draws(self._stack, X, missing, n_gibbs_steps, rng):
                X = drawn
            return X
        states = self._fantasies(1 if n_samples is None else n_samples, rng)
        states = equilibrate(self._stack[-1], states, n_gibbs_steps, rng)
        return pass_down(self._stack, states[0], rng)

    def impute(
        self, X: Any, *, draw: bool = False, n_gibbs_steps: int = 100, random_state: Any = 0
    ) -> np.ndarray:
        """Rows with their missing entries filled in from the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with NaN where an entry is missing.
        draw : bool, default=False
            Draw the missing entries, independently for each row, instead of giving their mean.
        n_gibbs_steps : int, default=100
            Sweeps of the chain of a row. The conditional mean is the average over the last
            four fifths of them of the mean given the hidden units.
        random_state : int, RandomState instance or None, default=0
            Fixes the chains. For the mean they are the same for every row, so that no row
            depends on those beside it.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Known entries as they were.
        """
        check_is_fitted(self)
        if draw:
            return self.sample(given=X, n_gibbs_steps=n_gibbs_steps, random_state=random_state)
        X, missing = self._with_gaps(X)
        seed, n_burn = seed_of(random_state), int(_BURN_IN * n_gibbs_steps)
        for rows in _blocks(len(X)):
            draws = conditional_draws(
                self._stack, X[rows], missing[rows], n_gibbs_steps, CommonStream(seed)
            )
            total = np.zeros(X[rows].shape)
            for sweep, (_, mean) in enumerate(draws):
                if sweep >= n_burn:
                    total += mean
            mean = (total / (n_gibbs_steps - n_burn)).astype(X.dtype)
            X[rows] = np.where(missing[rows], mean, X[rows])
        return X

    def reconstruct(self, X: Any) -> np.ndarray:
        """What the highest hidden layer retains of each row: its mean-field reconstruction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN entries are filled in.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Means of the visible units, in the units of the training data.
        """
        check_is_fitted(self)
        states = self._complete(self._check_rows(X, reset=False))
        for machine in self._stack:
            states = mean_field(machine, states).means(machine)[-1]
        for machine in reversed(self._stack):
            states = means_below(machine, len(machine.W), states)[0]
        return states

    def _dense(self, X: Any) -> np.ndarray:
        X = self._check_rows(X, reset=False, missing=False)
        return X.toarray() if sp.issparse(X) else X

    def _with_gaps(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows with their gaps filled by the mean field, and where the gaps are."""
        X = self._check_rows(X, reset=False)
        X = X.toarray() if sp.issparse(X) else X
        missing = np.isnan(X)
        return np.array(self._complete(X)), missing

    def _complete(self, X: Any) -> Any:
        """Rows with their gaps filled by the mean field; those without any as they are."""
        if not has_gaps(X):
            return X
        X = X.toarray() if sp.issparse(X) else X
        return fill_in(self._stack[0], X)


def _blocks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _BLOCK_ROWS):
        yield slice(start, start + _BLOCK_ROWS)
