"""Generators that are one machine, and warnings about their training."""

from __future__ import annotations

import copy
import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._array_api import concat, namespace, some_rows
from .._messages import shown
from ..data import Rows, rows_of, visible_columns, with_mean_1
from ..machine import Machine, MeanField, mean_field, means_below
from ..samplers import TemperedChains
from ..training import MachineLoop, Outcome, Run, free_energies, swing_of_last_half
from ._base import warn_unconverged
from ._generator import Generator


def title_of(estimator: Any, *verbose: int, layer: int | None = None) -> str | None:
    """The start of the line printed after each pass; ``None`` if no ``verbose`` is positive."""
    if not any(verbose):
        return None
    start = f"[{type(estimator).__name__}] "
    return start if layer is None else f"{start}layer {layer}, "


def warn_of_columns(estimator: Any, rows: Rows) -> None:
    """Warn of columns of X without an observed value, and of those that depend on others."""
    names = getattr(estimator, "feature_names_in_", range(rows.X.shape[1]))
    empty, pairs = rows.unobserved(), rows.dependent()
    if len(empty):
        others = f" and in {len(empty) - 1} others" if len(empty) > 1 else ""
        warnings.warn(
            f"X has no observed value in column {shown(names[empty[0]])}{others}, from which "
            "nothing can be learnt: leave it out.",
            UserWarning,
            stacklevel=4,
        )
    if pairs:
        first, second = (shown(names[i]) for i in pairs[0])
        others = f", as in {len(pairs) - 1} other pairs" if len(pairs) > 1 else ""
        warnings.warn(
            f"X has the columns {first} and {second}, of which one determines the other"
            f"{others}: leave one out, since the noise of the other cannot be learnt.",
            UserWarning,
            stacklevel=4,
        )


class MachineGenerator(Generator):
    """A generator that is one machine: an RBM, or a deep Boltzmann machine."""

    visible_variance_: np.ndarray | None
    visible_type_: str
    hidden_type_: str
    history_: dict[str, list[float]]
    learning_rate_: float
    batch_size_: int
    sparsity_target_: float | None
    n_iter_: int

    _run: Run
    _machine: Machine

    @abstractmethod
    def _fitted_attributes(self, run: Run) -> dict[str, Any]:
        """The fitted attributes, public and private."""

    def _attributes_of(self, run: Run) -> dict[str, Any]:
        """The fitted attributes that an RBM and a DBM share."""
        machine = run.result()
        visible, a = machine.units[0], machine.par[0]
        return {
            "_run": run.without_rows(),
            "_machine": machine,
            "_estimates": {},
            "n_features_in_": self._table.n_columns or a.shape[1],
            "visible_variance_": _variance(visible, a),
            "visible_type_": visible.name,
            "hidden_type_": machine.units[1].name,
            "history_": run.history,
            "n_iter_": run.n_passes,
        }

    def _training_rows(
        self,
        rbm: Any,
        X: Any,
        sample_weight: Any,
        continues: bool,
        chunk: bool = False,
    ) -> Rows:
        """Validated rows for `fit`, or for `partial_fit` of a ``chunk``.

        The template ``rbm`` describes the training. ``continues``: that of the fitted machine.
        """
        dtype = self._machine.par[0].dtype if continues else None
        kinds = self._kinds | {"rbm": rbm}
        X = self._check_rows(X, reset=not continues, dtype=dtype, partitioned=True, **kinds)
        weight = self._check_weight(sample_weight, X)
        fitted = self._machine.units[0] if continues else None
        columns = visible_columns(self, rbm.visible, X, weight, fitted)
        if not chunk:
            weight = with_mean_1(weight)
        rows = rows_of(X, weight, columns, (), rbm)
        if not (chunk and continues):
            warn_of_columns(self, rows)
        return rows

    @property
    def _runs(self) -> list[Run]:
        return [self._run]

    def _with_runs(self, runs: list[Run]) -> MachineGenerator:
        view = copy.copy(self)
        view._assign(self._fitted_attributes(*runs))
        return view

    def _posterior(self, X: Any) -> MeanField:
        """The mean field of all validated rows."""
        parts = [part for _, part in self._posteriors(X)]
        fields = zip(*(part.fields[1:] for part in parts), strict=True)
        return MeanField(
            [None, *map(concat, fields)],
            np.concatenate([part.n_sweeps for part in parts]),
            np.concatenate([part.residual for part in parts]),
        )

    def _posteriors(self, X: Any) -> Iterator[tuple[slice, MeanField]]:
        """The mean field of validated rows, one slice of them after the other."""
        n_above, inference = 0, self._inference
        tolerance = inference.get("tolerance", np.inf)
        for rows in self._blocks(X):
            states = self._standard(some_rows(X, rows))
            found = mean_field(self._stack[0], states, **inference)
            n_above += int(np.sum(found.residual > tolerance))
            yield rows, found
        if n_above:
            warnings.warn(
                f"max_mean_field_steps={inference['max_sweeps']} sweeps were too few for "
                f"{n_above} rows to reach tol={tolerance:g}: raise either.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _fields(self, X: Any, top: int) -> Iterator[tuple[slice, list[tuple]]]:
        for rows, found in self._posteriors(X):
            fields = found.fields[1 : top + 2]
            yield rows, [(*self._unit(i), field) for i, field in enumerate(fields)]

    def _below(self, layer: int, states: np.ndarray) -> np.ndarray:
        below = means_below(self._stack[0], layer + 1, states)[layer]
        return below if layer else self._run.columns.values(below)

    def _unit(self, layer: int) -> tuple[Any, Any]:
        machine = self._stack[0]
        return machine.units[layer + 1], machine.par[layer + 1]


def _variance(unit: Any, par: np.ndarray) -> np.ndarray | None:
    """Conditional variances of real-valued columns, NaN for others; ``None`` without any."""
    curvature = unit.curvature(par)
    if curvature is None:
        return None
    xp, variance = namespace(par), unit.variance(par[:1, :], par)[0, :]
    return xp.where(curvature > 0, variance, xp.full_like(variance, math.nan))


def warn_unless_converged(outcome: Outcome, loop: MachineLoop, subject: str | None) -> None:
    """Warn of chains that do not mix, or of weights that still move in one direction.

    ``subject`` names the training in the second warning; ``None``: no second warning.
    """
    if not (outcome.complete and outcome.n_made):
        return
    run, settings, n_made = outcome.state, loop.settings, outcome.n_made
    swing = None
    if settings.sampler.persistent and not loop.rows.lower:
        energies = free_energies(run.machine, loop.recorded, settings.n_mean_field_steps)
        swing = swing_of_last_half(run.history["free_energy_swing"][-n_made:], energies)
    if swing is not None:
        tempered = isinstance(run.chains, TemperedChains)
        cure = "a lower learning_rate" if tempered else "sampler='tempering'"
        warnings.warn(
            f"The free energies of rows change by {swing:.0f} nats in a pass, more than they "
            "differ between rows, so the persistent chains do not mix and score may be far too "
            f"low: set {cure}.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return
    n_steps = run.n_passes * -(-len(loop.rows) // settings.batch_size)
    if (
        subject is not None
        and not run.stalled
        and run.straightness.moves_straight(run.machine, n_steps)
    ):
        why = "its weights still move in one direction"
        warn_unconverged(subject, f"{n_made} passes", why, "n_iter or learning_rate")
