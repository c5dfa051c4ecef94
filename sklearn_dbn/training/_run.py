"""The state of a training: how it starts, and how new rows change it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._array_api import Array, device, namespace, to_numpy
from .._parameters import PlainParameters, plain
from .._random import Stream, seed_of
from ..data import Columns, Gaps, Moments, Rows, encodes
from ..likelihood import base_rates
from ..machine import Machine
from ..samplers import Chains
from ..units import UNITS, Blocks, UnitMoments
from ._common_factor import (
    chains_on_factor,
    common_factor,
    leading_direction,
    start_with_factor,
)
from ._convergence import Straightness
from ._early_stopping import EarlyStopping
from ._settings import TrainingSettings

# The automatic learning rate is a factor over the spread of the visible units, at least this.
_LEAST_SPREAD = 10.0
# That factor is 1 for minibatches of so many rows and grows with their size, up to the second
# number: passes with fewer updates then change the parameters as much, within the limits of
# noise and curvature. The keys are whether the visible units are real-valued: these need
# shorter steps, above all with missing entries.
_RATE_ROWS, _RATE_FACTOR = {False: 5, True: 10}, {False: 10.0, True: 2.0}
# The largest factor for columns of levels beside real ones, or below hidden units that are not
# on or off, times the sweeps of the chains for each update: docs/decisions/tables.md.
_ENCODED_RATE_FACTOR = 1.0
# For n hidden units on real-valued columns, of which one direction has the share s of the
# variance, the rate is at most 1 over this times n s^2: all units learn it, and steps add up.
_PER_HIDDEN_UNIT = 2.5
# Least standard deviation of a column, in the balance between columns of several kinds: the
# gradient of a column that is nearly constant has more noise than signal.
_LEAST_DEVIATION = 0.1
# If the running scale of a column changes by this factor, it came from too few rows.
_SCALE_GUESS = 2.0
# Standard deviation of the fields under the initial weights; docs/decisions/spread.md.
_INITIAL_FIELD = 1.0
# The same for inputs from hidden units. From 1 on, two layers of equal width would stay in
# states that do not depend on the data, and units would become dead.
_INITIAL_UPPER_FIELD = 0.5


@dataclass
class Run:
    """The state of a training, from which it resumes.

    Attributes
    ----------
    machine : Machine
        The current parameters, for standardised columns.
    average : Machine
        Their average, for standardised columns.
    chains : Chains
    activity : list of arrays of shape (n_l,)
        Mean of the visible columns; moving averages of the hidden means.
    velocity : Machine or None
        State of an update rule with momentum.
    moments : Moments
        Of the visible columns.
    rng : Stream
    columns : Columns
        How the visible columns are encoded and standardised.
    deviation : array of shape (n_columns,) or None
        Standard deviations of the visible states, at least a tenth, by which the steps of their
        weights are balanced; ``None`` if all columns are of one kind.
    rest : float
        Share of the variance of the visible units that is not due to a common factor.
    least_divisor : float
        A lower bound on the divisor of the automatic learning rate: positive for real-valued
        columns, whose leading direction all hidden units learn.
    spread : float
        Variance of the visible units as they are presented, summed over them and divided by
        ``rest``; with several hidden layers, the largest of those that have another above them.
    n_passes : int
        Passes over data so far.
    gaps : Gaps or None
        The draws of the missing entries of the rows, during the training.
    stopping : EarlyStopping or None
        Its state, during the training.
    straightness : Straightness or None
        The changes of the weights, during the training.
    """

    machine: Machine
    average: Machine
    chains: Chains
    activity: list[Array]
    velocity: Machine | None
    moments: Moments
    rng: Stream
    columns: Columns
    deviation: Array | None = None
    rest: float = 1.0
    least_divisor: float = 0.0
    spread: float = 0.0
    n_passes: int = 0
    history: dict[str, list] = field(default_factory=dict)
    gaps: Gaps | None = None
    stopping: EarlyStopping | None = None
    straightness: Straightness | None = None

    def copy(self) -> Run:
        """A copy that later passes do not change."""
        return replace(
            self,
            **self.place(),
            moments=copy.copy(self.moments),
            rng=copy.deepcopy(self.rng),
            history={name: list(values) for name, values in self.history.items()},
            gaps=self.gaps and self.gaps.copy(),
            stopping=self.stopping and self.stopping.copy(),
            straightness=self.straightness and self.straightness.copy(),
        )

    def place(self) -> dict[str, Any]:
        """Copies of the parameters, and of all else that each update changes."""
        return {
            "machine": self.machine.copy(),
            "average": self.average.copy(),
            "velocity": self.velocity and self.velocity.copy(),
            "chains": self.chains.copy(),
            "activity": [_copied(x) for x in self.activity],
        }

    def without_rows(self) -> Run:
        """The run without attributes that belong to its rows and have their size."""
        return replace(self, gaps=None, stopping=None, straightness=None)

    @property
    def stalled(self) -> bool:
        """Whether early stopping ends the training here."""
        return self.stopping is not None and self.stopping.stalled

    def best(self) -> Run:
        """The run with the parameters and chains of its best pass, with early stopping."""
        if self.stopping is None:
            return self
        return replace(self, **self.stopping.kept, stopping=None)

    def rate(self, settings: TrainingSettings) -> float:
        """The learning rate to start with."""
        if settings.learning_rate is not None:
            return settings.learning_rate
        visible, hidden = self.machine.units[:2]
        real = _is_real(visible, self.machine.par[0])
        most = _RATE_FACTOR[real]
        if encodes(visible) and (real or not hidden.on_or_off):
            most = _ENCODED_RATE_FACTOR / settings.sampler.n_sweeps
        factor = min(settings.batch_size / _RATE_ROWS[real], most)
        rate = factor / max(self.spread, _LEAST_SPREAD)
        return min(rate, 1.0 / self.least_divisor) if self.least_divisor else rate

    def result(self) -> Machine:
        """The averaged machine, for columns on the user's scale."""
        if self.columns.scale is None:
            return self.average
        return self.average.rescale(self.columns.shift, self.columns.scale)

    def standard_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the columns of ``average``, in float64."""
        mean, var = self.moments.mean, self.moments.var
        if self.columns.scale is None:
            return mean, var
        scale = np.asarray(to_numpy(self.columns.scale), dtype=np.float64)
        return (mean - to_numpy(self.columns.shift)) / scale, var / scale**2

    def base(self) -> Machine:
        """Units without neighbours that have the moments of all layers."""
        machine, hidden = self.average, self.activity[1:]
        mean, var = (array_like(x, machine.par[0]) for x in self.standard_moments())
        par = base_rates(machine, [mean, *hidden], [var])
        return Machine(machine.units, par, [0 * W for W in machine.W])

    def log_scale(self) -> np.ndarray:
        """Logs of the scales of the columns, by which log densities per unit are lower."""
        if self.columns.scale is None:
            return np.zeros(len(self.moments.mean))
        return np.log(np.asarray(to_numpy(self.columns.scale), dtype=np.float64))


def start(
    units: tuple,
    sizes: list[int],
    rows: Rows,
    settings: TrainingSettings,
    n_chains: int,
    rng: Stream,
    kind: type[Machine] = Machine,
) -> Run:
    """A run before its first update: random weights, biases that give the mean row."""
    like = rows.weight
    xp = namespace(like)
    moments = rows.moments()
    given = unit_moments(moments, like)
    mean, var = given.mean, given.var
    standard = units[0].standard(given)
    if standard is not None:
        shift, scale = standard
        rows.presented = rows.presented.standardise(shift, scale)
        mean, var = mean - shift, var / (scale * scale)
    visible = UnitMoments(mean, var)
    means, par = [mean], [units[0].independent(visible)]
    deviation = _deviation(units[0], visible)
    for unit, n in zip(units[1:], sizes[1:], strict=True):
        par.append(unit.initial(xp.zeros((n,), dtype=like.dtype, device=device(like))))
        means.append(unit.mean(par[-1][:1, :], par[-1])[0, :])
    W = []
    for layer, (below, above) in enumerate(itertools.pairwise(sizes)):
        # Fields of this standard deviation make random features that differ between rows.
        field = _INITIAL_FIELD if layer == 0 else _INITIAL_UPPER_FIELD
        spread = _spread(units[layer], par[layer], None if layer else deviation)
        std = field / max(spread, 1.0) ** 0.5
        shape = xp.empty((below, above), dtype=like.dtype, device=device(like))
        W.append(std * rng.normal(shape))
    if deviation is not None:
        W[0] /= deviation[:, None]
    units[0].project_weights(W[0])
    machine, factor = kind(units, par, W), None
    presented = _spread(units[0], par[0], deviation)
    limited = _is_real(units[0], par[0]) or encodes(units[0])
    direction = None
    if units[1].on_or_off and (presented > _LEAST_SPREAD or limited):
        direction = leading_direction(rows, deviation)
    # Few columns have the rate of _LEAST_SPREAD, which is low enough for any factor of theirs.
    many = presented > _LEAST_SPREAD and not encodes(units[0])
    if direction is not None and many:
        factor = common_factor(direction, sizes[1], float(xp.sum(var)) / presented)
    left = 1.0 if factor is None else factor.rest
    least_divisor = 0.0
    if direction is not None and factor is None and limited:
        least_divisor = _PER_HIDDEN_UNIT * sizes[1] * direction.share**2
    spread = _widest(units, par, left, deviation)
    if factor is not None:
        start_with_factor(machine, means, factor)
    rest = [mean[None, :] for mean in means]
    for layer, x in enumerate(par):
        # At the means, no field has an input through the weights.
        x[0, :] -= machine.input(layer, rest)[0, :]
    machine.project()
    chains = settings.sampler.init(machine, n_chains, rng)
    if factor is not None:
        chains_on_factor(machine, chains.states, mean, factor, rng)
    return Run(
        machine=machine,
        average=machine.copy(),
        chains=chains,
        activity=means,
        velocity=settings.update.start(machine),
        moments=moments,
        rng=rng,
        columns=rows.presented,
        deviation=deviation,
        rest=left,
        least_divisor=least_divisor,
        spread=spread,
    )


def observe(run: Run, rows: Rows) -> None:
    """Add new rows to the mean and scale of the columns; the distribution stays the same.

    Except in columns whose scale came from too few rows: there the standardised machine stays
    the same, as the weights were made for columns of standard deviation 1.
    """
    like = rows.weight
    guessed = run.moments.flat()
    rows.add_to(run.moments)
    given = unit_moments(run.moments, like)
    visible, columns = run.machine.units[0], run.columns
    if columns.scale is None:
        run.activity[0] = given.mean
        run.spread = _spread_with(run, visible.independent(given))
        return
    shift, scale = visible.standard(given)
    # An old standardised column is (new - back) / ratio of the new one.
    back, ratio = (columns.shift - shift) / scale, columns.scale / scale
    xp = namespace(like)
    guessed = xp.asarray(guessed, device=device(like))
    guessed = guessed | (ratio > _SCALE_GUESS) | (ratio < 1 / _SCALE_GUESS)
    back, ratio = xp.where(guessed, 0 * back, back), xp.where(guessed, 0 * ratio + 1, ratio)
    run.machine = run.machine.rescale(back, ratio)
    run.average = run.average.rescale(back, ratio)
    run.columns = rows.presented = columns.standardise(shift, scale)
    mean, var = given.mean - shift, given.var / (scale * scale)
    run.spread = _spread_with(run, visible.independent(UnitMoments(mean, var)))


def _spread(unit: Any, par: Array, deviation: Array | None = None) -> float:
    """Variance of units that have no neighbours, summed over them.

    In units of ``deviation`` squared, if that is given.
    """
    variance = unit.variance(par[:1, :], par)
    if deviation is not None:
        variance = variance / deviation**2
    return float(namespace(par).sum(variance))


def _deviation(unit: Any, moments: UnitMoments) -> Array | None:
    """Standard deviations of columns of several kinds."""
    if not isinstance(unit, Blocks):
        return None
    return namespace(moments.mean).clip(unit.deviation(moments), _LEAST_DEVIATION, None)


def _is_real(unit: Any, par: Array) -> bool:
    """Whether a layer has real-valued columns."""
    return unit.curvature(par) is not None


def _widest(units: tuple, par: list[Array], rest: float, deviation: Array | None) -> float:
    """The largest spread of the layers that have another above them.

    The weights above a layer stay stable with steps of 1 over its spread, and all have the
    same rate. That of the visible layer is divided by ``rest``, the share of its variance
    without a common factor.
    """
    visible = _spread(units[0], par[0], deviation)
    return max([visible / rest, *map(_spread, units[1:-1], par[1:-1])])


def _spread_with(run: Run, visible: Array) -> float:
    par, units = [visible], run.machine.units
    for unit, x in zip(units[1:], run.machine.par[1:], strict=True):
        par.append(unit.initial(x[0, :]))
    return _widest(units, par, run.rest, run.deviation)


def _copied(x: Array | None) -> Array | None:
    return None if x is None else namespace(x).asarray(x, copy=True)


def unit_moments(moments: Moments, like: Array) -> UnitMoments:
    columns = (moments.mean, moments.var, moments.scale())
    return UnitMoments(*(array_like(x, like) for x in columns))


def array_like(x: np.ndarray, like: Array) -> Array:
    xp = namespace(like)
    return xp.asarray(x, dtype=like.dtype, device=device(like))


def new_run(
    rbm: Any,
    rows: Rows,
    settings: TrainingSettings,
    hidden_sizes: Sequence[int],
    random_state: Any,
    kind: type[Machine] = Machine,
) -> Run:
    """A run of the units that ``rbm`` gives, before its first update."""
    rbm = PlainParameters(rbm)
    units = (rows.presented.unit, *[UNITS[rbm.hidden]] * len(hidden_sizes))
    sizes = [rows.n_columns, *map(plain, hidden_sizes)]
    n_chains = rbm.n_chains or min(settings.batch_size, max(1, len(rows)))
    return start(units, sizes, rows, settings, n_chains, Stream(seed_of(random_state)), kind)


def continued(run: Run, rbm: Any, rows: Rows, settings: TrainingSettings) -> Run:
    """A copy of a run that continues on other rows, with the present parameters of ``rbm``."""
    fitted = [unit.name for unit in run.machine.units[:2]]
    # The kinds of encoded columns are those of the first call, and categories of two levels are
    # Bernoulli units.
    several = encodes(run.columns.unit) or not isinstance(rbm.visible, str)
    two = (rbm.visible, fitted[0]) == ("categorical", "bernoulli")
    visible = "auto" if several or two else rbm.visible
    for name, asked, unit in zip(
        ("visible", "hidden"), (visible, rbm.hidden), fitted, strict=True
    ):
        if asked not in ("auto", unit):
            raise ValueError(
                f"{name}={asked!r}, but the fitted machine to go on with has {unit} "
                f"{name} units: fit a clone, or set {name}={unit!r}."
            )
    # A copy, so that a failure leaves the fitted run as it was.
    run = run.copy()
    velocity = settings.update.start(run.machine)
    if run.velocity is None or velocity is None:
        run.velocity = velocity
    observe(run, rows)
    return run


def settings_attributes(run: Run, settings: TrainingSettings) -> dict[str, Any]:
    """Fitted attributes: the values in a training of parameters that may be "auto"."""
    return {
        "learning_rate_": run.rate(settings),
        "batch_size_": settings.batch_size,
        "sparsity_target_": settings.sparsity and settings.sparsity.target,
    }
