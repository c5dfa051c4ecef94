"""The state of a training: how it starts, and how new rows change it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._array_api import Array, array_like, copied, device, moved, namespace, to_numpy
from .._parameters import PlainParameters, plain
from .._random import Stream, seed_of
from ..data import Columns, Gaps, Moments, Rows, encodes
from ..likelihood import base_rates
from ..machine import Machine, PathwayWeights, blocks
from ..samplers import Chains
from ..units import UNITS, UnitMoments, part_of
from ._common_factor import (
    chains_on_factor,
    common_factor,
    leading_direction,
    start_with_factor,
)
from ._convergence import Straightness
from ._early_stopping import EarlyStopping
from ._rate import (
    LEAST_SPREAD,
    RateLimit,
    coordinates,
    deviations,
    is_real,
    rates,
    spread,
    update_spreads,
)
from ._settings import TrainingSettings

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
        weights are balanced; ``None`` if all columns of each pathway are of one kind.
    coordinates : array of shape (n_columns,) or None
        Of the steps, as `Machine.gradient` takes them: ``deviation``, and less of it for
        pathways whose learning rate is higher than that of another.
    limits : list of RateLimit
        Of the learning rate of each pathway.
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
    coordinates: Array | None = None
    limits: list[RateLimit] = field(default_factory=list)
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
            limits=[replace(limit) for limit in self.limits],
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

    def moved(self, like: Array) -> Run:
        """The run with its arrays in the library and on the device of ``like``."""

        def move(x: Array | None) -> Array | None:
            return None if x is None else copied(moved(to_numpy(x), like))

        columns = self.columns
        if columns.scale is not None:
            columns = columns.standardise(move(columns.shift), move(columns.scale))
        rng = copy.deepcopy(self.rng)
        return replace(
            self,
            machine=self.machine.map(move),
            average=self.average.map(move),
            velocity=self.velocity and self.velocity.map(move),
            chains=self.chains.map(move),
            activity=list(map(move, self.activity)),
            columns=columns,
            deviation=move(self.deviation),
            coordinates=move(self.coordinates),
            rng=rng,
        )

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
        return min(rates(self.machine, self.limits, settings))

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
        return replace(machine.map(lambda x: 0 * x), par=par)

    def log_scale(self) -> np.ndarray:
        """Logs of the scales of the columns, by which log densities per unit are lower."""
        if self.columns.scale is None:
            return np.zeros(len(self.moments.mean))
        return np.log(np.asarray(to_numpy(self.columns.scale), dtype=np.float64))


def start(
    units: tuple,
    widths: Sequence[Sequence[int]],
    rows: Rows,
    settings: TrainingSettings,
    n_chains: int,
    rng: Stream,
    kind: type[Machine] = Machine,
) -> Run:
    """A run before its first update: random weights, biases that give the mean row.

    ``widths`` are the units of each pathway of each layer, and of a joint layer one number.
    """
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
    for unit, n in zip(units[1:], map(sum, widths[1:]), strict=True):
        par.append(unit.initial(xp.zeros((n,), dtype=like.dtype, device=device(like))))
        means.append(unit.mean(par[-1][:1, :], par[-1])[0, :])
    machine = kind(units, par, _empty_weights(widths, like))
    deviation = deviations(machine, visible)
    _set_weights(machine, deviation, rng)
    limits, loadings = [], None
    for rbm, i, j in machine.pathways():
        of_columns = None if deviation is None else deviation[i]
        of_means = [mean[i], means[1][j]]
        limit, factor = _start_pathway(rbm, rows, i, of_columns, of_means, xp.sum(var[i]))
        limits.append(limit)
        if factor is not None:
            loadings = 0 * mean if loadings is None else loadings
            loadings[i] = factor.loadings
    update_spreads(machine, [units[0].independent(visible), *par[1:]], limits, deviation)
    rest = [mean[None, :] for mean in means]
    for layer, x in enumerate(par):
        # At the means, no field has an input through the weights.
        x[0, :] -= machine.input(layer, rest)[0, :]
    machine.project()
    chains = settings.sampler.init(machine, n_chains, rng)
    if loadings is not None:
        chains_on_factor(machine, chains.states, mean, loadings, rng)
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
        coordinates=coordinates(machine, limits, settings, deviation),
        limits=limits,
    )


def _empty_weights(widths: Sequence[Sequence[int]], like: Array) -> list:
    """Weights of these widths, of the dtype and device of ``like``; no values are set."""

    def empty(below: int, above: int) -> Array:
        return namespace(like).empty((below, above), dtype=like.dtype, device=device(like))

    found = []
    for below, above in itertools.pairwise(widths):
        if len(below) == len(above) > 1:
            found.append(PathwayWeights(list(map(empty, below, above))))
        else:
            found.append(empty(sum(below), sum(above)))
    return found


def _set_weights(machine: Machine, deviation: Array | None, rng: Stream) -> None:
    """Draw the weights: random features that differ between rows."""
    for layer, W in enumerate(machine.W):
        unit, par = machine.units[layer], machine.par[layer]
        field = _INITIAL_FIELD if layer == 0 else _INITIAL_UPPER_FIELD
        for part, i, _ in blocks(W):
            of_columns = None if layer or deviation is None else deviation[i]
            width = spread(part_of(unit, i), par[:, i], of_columns)
            part[...] = field / max(width, 1.0) ** 0.5 * rng.normal(part)
            if of_columns is not None:
                part /= of_columns[:, None]
            if layer == 0:
                part_of(unit, i).project_weights(part)


def _start_pathway(
    rbm: Machine,
    rows: Rows,
    columns: slice,
    deviation: Array | None,
    means: Sequence[Array],
    var: Array,
) -> tuple[RateLimit, Any]:
    """The limit of the learning rate of a pathway, and the common factor of its columns.

    Some of its hidden units model that factor, if there is one; ``means`` are those of its
    units, and ``var`` is the sum of the variances of its columns.
    """
    limit, (visible, hidden), n_hidden = RateLimit(), rbm.units, rbm.par[1].shape[1]
    presented = spread(visible, rbm.par[0], deviation)
    limited = is_real(visible, rbm.par[0]) or encodes(visible)
    direction = factor = None
    if hidden.on_or_off and (presented > LEAST_SPREAD or limited):
        direction = leading_direction(rows, columns, deviation)
    # Few columns have the rate of LEAST_SPREAD, which is low enough for any factor of theirs.
    if direction is not None and presented > LEAST_SPREAD and not encodes(visible):
        factor = common_factor(direction, n_hidden, float(var) / presented)
    if factor is not None:
        limit.rest = factor.rest
        start_with_factor(rbm, means, factor)
    elif direction is not None and limited:
        limit.for_direction(n_hidden, direction.share)
    return limit, factor


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
        _observe_spreads(run, given)
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
    _observe_spreads(run, UnitMoments(mean, var))


def _observe_spreads(run: Run, visible: UnitMoments) -> None:
    units, par = run.machine.units, [run.machine.units[0].independent(visible)]
    for unit, x in zip(units[1:], run.machine.par[1:], strict=True):
        par.append(unit.initial(x[0, :]))
    update_spreads(run.machine, par, run.limits, run.deviation)


def _copied(x: Array | None) -> Array | None:
    return None if x is None else copied(x)


def unit_moments(moments: Moments, like: Array) -> UnitMoments:
    columns = (moments.mean, moments.var, moments.scale())
    return UnitMoments(*(array_like(x, like) for x in columns))


def new_run(
    rbm: Any,
    rows: Rows,
    settings: TrainingSettings,
    hidden_widths: Sequence[Any],
    random_state: Any,
    kind: type[Machine] = Machine,
) -> Run:
    """A run of the units that ``rbm`` gives, before its first update.

    ``hidden_widths`` are the units of each pathway of each hidden layer.
    """
    rbm = PlainParameters(rbm)
    units = (rows.presented.unit, *[UNITS[rbm.hidden]] * len(hidden_widths))
    widths = [rows.presented.widths or (rows.n_columns,)]
    widths += [tuple(map(plain, layer)) for layer in hidden_widths]
    n_chains = rbm.n_chains or min(settings.batch_size, max(1, len(rows)))
    return start(units, widths, rows, settings, n_chains, Stream(seed_of(random_state)), kind)


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
