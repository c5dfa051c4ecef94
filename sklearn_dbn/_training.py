"""The one minibatch loop."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._array_api import Array, device, namespace, sum_of, take, to_numpy
from ._blas import blas_threads
from ._common_factor import common_factor, divide, leading_direction, scatter
from ._convergence import Course
from ._early_stopping import EarlyStopping
from ._gaps import Gaps
from ._machine import Machine
from ._mean_field import settle
from ._random import Stream
from ._record import Watched, deviation, free_energies, record_of
from ._rows import Moments, Rows, add_moments, standardised
from .likelihood import base_rates
from .optim import Ascent, Sparsity, blend
from .samplers import Chains

# The moving averages of the hidden means follow the data at this rate (Melchior et al. 2016).
_ACTIVITY_RATE = 0.01
# Saturated units keep all else finite; no machine of use has weights of this norm.
_LARGEST_NORM = 1e6
# The automatic learning rate is a factor over the spread of the visible units, or over this.
_LEAST_SPREAD = 10.0
# That factor is 1 for so many rows a batch and grows with it, up to the second number: passes
# over larger batches then go as far, while noise and curvature allow. By whether the visible
# units are real-valued, which need shorter steps, above all where entries are missing.
_RATE_ROWS, _RATE_FACTOR = {False: 5, True: 10}, {False: 10.0, True: 2.0}
# For n hidden units on real-valued columns of which one direction has the share s of the
# variance, the rate is at most 1 over this times n s^2: all units follow it, and steps add up.
_PER_HIDDEN_UNIT = 2.5
# A column whose running scale changes by this factor had too few rows to tell it.
_SCALE_GUESS = 2.0
# Steps for which the weights pay their decay at once: it is a pass over all of them.
SHRINK_EVERY = 10
# Standard deviation of the fields under the initial weights; docs/decisions/spread.md.
_INITIAL_FIELD = 1.0
# The same for fields that come from hidden units. From 1 on, two layers of equal width would
# hold one another in states that have nothing to do with the data, and units would die there.
_INITIAL_UPPER_FIELD = 0.5
# The record of each epoch is computed from at most so many rows, enough for two digits, and
# from so many values.
_MONITOR_ROWS, _MONITOR_VALUES = 256, 1 << 20
# Rows that a training is stopped by have at most so many values.
_HELD_OUT_VALUES = 1 << 20


class Diverged(ArithmeticError):
    """The parameters ran away."""


@dataclass(frozen=True)
class Settings:
    """How a machine is trained; the estimators fill it in from their parameters."""

    sampler: Any
    update: Ascent
    schedule: Callable[[float], float]
    learning_rate: float | None
    batch_size: int
    averaging: float
    centered: bool
    sparsity: Sparsity | None
    n_iter: int = 1
    n_mean_field_steps: int = 0
    partial_mean_field: bool = False
    n_iter_no_change: int | None = None


@dataclass
class Run:
    """Everything that a training needs to go on where it stopped.

    Attributes
    ----------
    machine : Machine
        The moving parameters, for standardised columns.
    average : Machine
        Their average, for standardised columns.
    chains : Chains
    activity : list of arrays of shape (n_l,)
        Mean of the visible columns; moving averages of the hidden means.
    memory : Machine or None
        What the update rule remembers.
    moments : Moments
        Of the visible columns.
    shift, scale : arrays of shape (n_columns,) or None
        How the visible columns are standardised.
    rng : Stream
    rest : float
        Share of the variance of the visible units that a common factor of them leaves; 1
        without one.
    least_divisor : float
        A lower bound on what the automatic learning rate is divided by: positive for
        real-valued columns, whose leading direction all hidden units follow.
    spread : float
        Variance of the visible units as they are presented, summed over them and divided by
        ``rest``; with several hidden layers, the largest of those that have another above them.
    n_epochs : int
        Passes over data so far.
    gaps : Gaps or None
        What is drawn for the missing entries of the rows, while the training goes on.
    stopping : EarlyStopping or None
        What the training is stopped by, while it goes on.
    course : Course or None
        How the weights have moved, while the training goes on.
    """

    machine: Machine
    average: Machine
    chains: Chains
    activity: list[Array]
    memory: Machine | None
    moments: Moments
    rng: Stream
    shift: Array | None = None
    scale: Array | None = None
    rest: float = 1.0
    least_divisor: float = 0.0
    spread: float = 0.0
    n_epochs: int = 0
    history: dict[str, list] = field(default_factory=dict)
    gaps: Gaps | None = None
    stopping: EarlyStopping | None = None
    course: Course | None = None

    def copy(self) -> Run:
        """The same run, to go on with while this one stays where it is."""
        copied = copy.copy(self)
        vars(copied).update(self.place())
        copied.moments, copied.rng = copy.copy(self.moments), copy.deepcopy(self.rng)
        copied.history = {name: list(values) for name, values in self.history.items()}
        copied.gaps = None if self.gaps is None else self.gaps.copy()
        copied.stopping = None if self.stopping is None else self.stopping.copy()
        copied.course = None if self.course is None else self.course.copy()
        return copied

    def place(self) -> dict[str, Any]:
        """Copies of the parameters, and of what follows them from step to step."""
        return {
            "machine": self.machine.copy(),
            "average": self.average.copy(),
            "memory": None if self.memory is None else self.memory.copy(),
            "chains": self.chains.copy(),
            "activity": [_copied(x) for x in self.activity],
        }

    def without_rows(self) -> Run:
        """The run without what is of the size of its rows, and of no use with others."""
        return replace(self, gaps=None, stopping=None, course=None)

    @property
    def stalled(self) -> bool:
        """Whether the rows that it is stopped by say that it is over."""
        return self.stopping is not None and self.stopping.stalled

    def take_best(self) -> None:
        """Go back to the parameters and chains of the best pass, where one was looked for."""
        if self.stopping is not None:
            vars(self).update(self.stopping.kept, stopping=None)

    def rate(self, settings: Settings) -> float:
        """The learning rate to start with."""
        if settings.learning_rate is not None:
            return settings.learning_rate
        real = self.machine.units[0].continuous
        factor = min(settings.batch_size / _RATE_ROWS[real], _RATE_FACTOR[real])
        rate = factor / max(self.spread, _LEAST_SPREAD)
        return min(rate, 1.0 / self.least_divisor) if self.least_divisor else rate

    def result(self) -> Machine:
        """The averaged machine over the columns as the user measures them."""
        if self.scale is None:
            return self.average
        return self.average.rescale(self.shift, self.scale)

    @property
    def columns(self) -> tuple[Array, Array] | None:
        """Shift and scale of the visible columns, where these are standardised."""
        return None if self.scale is None else (self.shift, self.scale)

    def standard(self, x: Array) -> Array:
        """Rows as ``average`` takes them, from rows as the user measures them."""
        return x if self.scale is None else standardised(x, self.shift, self.scale)

    def measured(self, v: Array) -> Array:
        """The way back from `standard`."""
        return v if self.scale is None else v * self.scale + self.shift

    def standard_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the columns as ``average`` takes them, in float64."""
        mean, var = self.moments.mean, self.moments.var
        if self.scale is None:
            return mean, var
        scale = np.asarray(to_numpy(self.scale), dtype=np.float64)
        return (mean - to_numpy(self.shift)) / scale, var / scale**2

    def base(self) -> Machine:
        """Units without neighbours that have the moments of all layers."""
        machine, hidden = self.average, self.activity[1:]
        mean, var = (_array(x, machine.par[0]) for x in self.standard_moments())
        par = base_rates(machine, [mean, *hidden], [var, *[None] * len(hidden)])
        return Machine(machine.units, par, [0 * W for W in machine.W])

    def log_scale(self) -> np.ndarray:
        """What a log density loses by each column, in nats, on the way to `measured`."""
        if self.scale is None:
            return np.zeros(len(self.moments.mean))
        return np.log(np.asarray(to_numpy(self.scale), dtype=np.float64))


def start(
    units: tuple,
    sizes: list[int],
    rows: Rows,
    settings: Settings,
    n_chains: int,
    rng: Stream,
    kind: type[Machine] = Machine,
) -> Run:
    """A run before its first step: random weights, biases that fit the mean row."""
    like = rows.weight
    xp = namespace(like)
    moments = Moments(sizes[0])
    rows.accumulate([moments], add_moments)
    mean, var = _array(moments.mean, like), _array(moments.var, like)
    shift = scale = None
    if units[0].continuous:
        shift, scale = mean, _array(moments.scale(), like)
        rows.standardize(shift, scale)
        mean, var = mean - shift, var / (scale * scale)
    means, variances = [mean], [var]
    for unit, n in zip(units[1:], sizes[1:], strict=True):
        means.append(xp.full((n,), unit.neutral, dtype=like.dtype, device=device(like)))
        variances.append(xp.ones_like(means[-1]))
    par = [u.independent(m, s) for u, m, s in zip(units, means, variances, strict=True)]
    W = []
    for layer, (below, above) in enumerate(itertools.pairwise(sizes)):
        # Random features that already tell the rows apart: the fields have this spread.
        field = _INITIAL_FIELD if layer == 0 else _INITIAL_UPPER_FIELD
        std = field / max(_spread(units[layer], par[layer]), 1.0) ** 0.5
        shape = xp.empty((below, above), dtype=like.dtype, device=device(like))
        W.append(std * rng.normal(shape))
    machine, factor = kind(units, par, W), None
    presented = _spread(units[0], par[0])
    direction = None
    if units[1].support == (0, 1) and (presented > _LEAST_SPREAD or units[0].continuous):
        direction = leading_direction(rows)
    # Few columns have steps that suit many: no factor of theirs is too much for these.
    if direction is not None and presented > _LEAST_SPREAD:
        factor = common_factor(direction, sizes[1], float(xp.sum(var)) / presented)
    left = 1.0 if factor is None else factor.rest
    least_divisor = 0.0
    if direction is not None and factor is None and units[0].continuous:
        least_divisor = _PER_HIDDEN_UNIT * sizes[1] * direction.share**2
    spread = _widest(units, par, left)
    if factor is not None:
        divide(machine, means, factor)
    rest = [mean[None, :] for mean in means]
    for layer, x in enumerate(par):
        # At rest, that is at the means, no unit hears of the weights.
        x[0, :] -= machine.input(layer, rest)[0, :]
    machine.project()
    chains = settings.sampler.init(machine, n_chains, rng)
    if factor is not None:
        scatter(machine, chains.states, mean, factor, rng)
    return Run(
        machine=machine,
        average=machine.copy(),
        chains=chains,
        activity=means,
        memory=settings.update.start(machine),
        moments=moments,
        rng=rng,
        shift=shift,
        scale=scale,
        rest=left,
        least_divisor=least_divisor,
        spread=spread,
    )


def observe(run: Run, rows: Rows) -> None:
    """Take new rows into the mean and the scale of the columns; the model stays the same.

    Except in columns whose scale turns out to have been a guess from too few rows: there the
    standardised model stays, as the weights were made for columns of standard deviation 1.
    """
    like = rows.weight
    guessed = run.moments.flat()
    rows.accumulate([run.moments], add_moments)
    mean = _array(run.moments.mean, like)
    var = _array(run.moments.var, like)
    visible = run.machine.units[0]
    if run.scale is None:
        run.activity[0] = mean
        run.spread = _spread_with(run, visible.independent(mean, var))
        return
    scale = _array(run.moments.scale(), like)
    # An old standardised column is (new - back) / ratio of the new one.
    back, ratio = (run.shift - mean) / scale, run.scale / scale
    xp = namespace(like)
    guessed = xp.asarray(guessed, device=device(like))
    guessed = guessed | (ratio > _SCALE_GUESS) | (ratio < 1 / _SCALE_GUESS)
    back, ratio = xp.where(guessed, 0 * back, back), xp.where(guessed, 0 * ratio + 1, ratio)
    run.machine = run.machine.rescale(back, ratio)
    run.average = run.average.rescale(back, ratio)
    run.shift, run.scale = mean, scale
    standard = visible.independent(mean - mean, var / (scale * scale))
    run.spread = _spread_with(run, standard)
    rows.standardize(mean, scale)


def watch(run: Run, rows: Rows, held_out: np.ndarray | None = None) -> Watched:
    """Choose some of the rows, and some of those of ``held_out``, to watch in a training."""
    if not rows.lower:
        rows.bottom = run.machine
    n_rows = min(_MONITOR_ROWS, max(1, _MONITOR_VALUES // rows.n_columns))
    trained = rows.means(rows.index[run.rng.permutation(len(rows))[:n_rows]])
    apart = held_out is not None and len(held_out)
    return Watched(trained, rows.means(held_out[:n_rows]) if apart else None)


def begin_stopping(run: Run, rows: Rows, held_out: np.ndarray, n_iter_no_change: int) -> None:
    """Let ``run`` keep its best pass, by the likelihood of the rows ``held_out``.

    To be called after `watch`, by which the rows know the machine.
    """
    # The training draws what it would draw without this.
    rng = Stream(int(copy.deepcopy(run.rng).uniform(1)[0] * 2**53))
    index = held_out[: max(1, _HELD_OUT_VALUES // rows.n_columns)]
    gaps, missing = rows.gaps(new=True), None
    if gaps is not None and not rows.lower:
        missing = rows.missing(index)
    v = rows.present(index, rng, None if gaps is None else gaps.of(index))
    weight = to_numpy(take(rows.weight, index)).astype(np.float64)
    run.stopping = EarlyStopping(
        n_iter_no_change, v, missing, weight / weight.sum(), run.log_scale(), rng
    )


def train(
    run: Run,
    rows: Rows,
    settings: Settings,
    n_epochs: int,
    watched: Watched,
    n_done: int = 0,
) -> Iterator[None]:
    """Pass over ``rows`` each time the iterator is advanced, ``n_epochs`` times.

    ``n_done`` of these passes ``run`` has behind it.

    Raises
    ------
    Diverged
        When what the pass recorded is not finite, or the weights are beyond all use.
    """
    if not rows.lower:
        rows.bottom = run.machine
    n_batches = -(-len(rows) // settings.batch_size)
    learning_rate = run.rate(settings)
    if run.gaps is None:
        run.gaps = rows.gaps(new=run.n_epochs == 0)
    sampler = settings.sampler
    n_sweeps, persistent = settings.n_mean_field_steps, settings.sampler.persistent
    n_rows = settings.batch_size + run.chains.states[0].shape[0]
    if persistent:
        before = free_energies(run.machine, watched, n_sweeps)
    for epoch in range(n_done, n_epochs):
        # What overflows here is reported below, in one sentence instead of many warnings.
        with np.errstate(over="ignore", invalid="ignore"), blas_threads(n_rows, run.machine.W):
            owed = swapped = 0.0
            settings = replace(settings, sampler=_keeping_up(sampler, run.gaps))
            batches = rows.batches(settings.batch_size, run.rng, run.gaps)
            for i, (v, weight) in enumerate(batches, 1):
                progress = (epoch + (i - 1) / n_batches) / n_epochs
                owed += _step(
                    run, v, weight, rows, settings, learning_rate * settings.schedule(progress)
                )
                swapped += run.chains.swap_rate or 0.0
                if i % SHRINK_EVERY == 0 or i == n_batches:
                    settings.update.shrink(run.machine, owed)
                    owed = 0.0
            run.n_epochs += 1
            if run.gaps is not None:
                run.gaps.end_pass()
            # The average reaches over a fixed share of the run so far, however long it gets.
            rate = 1.0 / (1.0 + settings.averaging * (run.n_epochs - 1))
            old, run.average = run.average, blend(run.average, run.machine, rate)
            record = record_of(run.average, watched, n_sweeps)
            if run.stopping is not None:
                record["validation_log_likelihood"] = run.stopping.end_pass(old, run)
            if persistent:
                after = free_energies(run.machine, watched, n_sweeps)
                record["free_energy_swing"] = deviation(after - before)
                before = after
            if run.chains.swap_rate is not None:
                record["swap_rate"] = swapped / n_batches
        if not (
            record["weight_norm"] < _LARGEST_NORM and all(map(math.isfinite, record.values()))
        ):
            raise Diverged
        # A pass without a validation part has no gap; the lists stay of one length.
        for name in {**run.history, **record}:
            values = run.history.setdefault(name, [math.nan] * (run.n_epochs - 1))
            values.append(record.get(name, math.nan))
        yield


def _keeping_up(sampler: Any, gaps: Gaps | None) -> Any:
    """The sampler, its chains no further behind the machine than draws for ``gaps`` are."""
    if gaps is None or gaps.fixed or gaps.n_sweeps <= sampler.n_sweeps:
        return sampler
    sampler = copy.copy(sampler)
    sampler.n_sweeps = gaps.n_sweeps
    return sampler


def _step(
    run: Run, v: Array, weight: Array, rows: Rows, settings: Settings, rate: float
) -> float:
    """One minibatch: move the chains, follow the gradient; returns the length of the step.

    ``weight`` is that of the rows of the minibatch: those of ``v`` first, then those that
    ``rows`` has elsewhere.
    """
    machine = run.machine
    xp = namespace(v)
    n_data = v.shape[0]
    # Asked for before the chains move, so that both go on at the same time.
    elsewhere = rows.sums(machine, settings.n_mean_field_steps)
    data = settle(machine, v, settings.n_mean_field_steps)
    states, run.chains = settings.sampler.phases(machine, data, run.chains, run.rng)
    n_negative = run.chains.states[0].shape[0]
    if settings.partial_mean_field:
        model = [x[n_data : n_data + n_negative, :] for x in states]
        means = machine.means(machine.even[1:], model)
        for layer in machine.even[1:]:
            model[layer][...] = means[layer]

    weight_sum = sum_of(weight)
    # Shares, as the reciprocal of a small sum may be too large for a float.
    here = weight[:n_data] / weight_sum
    sums = None if elsewhere is None else elsewhere()
    push = [0.0] * len(states)
    for layer in range(1, len(states)):
        means, activity = states[layer][:n_data, :], run.activity[layer]
        mean = here @ means
        if sums is not None:
            mean += sums.par[layer][0, :] / weight_sum
        activity += _ACTIVITY_RATE * (mean - activity)
        if settings.sparsity is not None:
            push[layer] = settings.sparsity.push(activity)
            means += push[layer]
    offsets = run.activity if settings.centered else [x * 0 for x in run.activity]
    # A batch of less weight makes a smaller step, so that each row counts the same.
    step = rate * weight_sum / settings.batch_size
    shares = xp.full(
        (n_data + n_negative,), -step / n_negative, dtype=v.dtype, device=device(v)
    )
    shares[:n_data] = here * step
    ascent = machine.gradient(states, shares, offsets)
    if sums is not None:
        sums = machine.centred(sums, weight_sum, push, offsets)
        for x, y in zip(ascent.arrays(), sums.arrays(), strict=True):
            x += y * (step / weight_sum)
    machine.precondition(ascent, offsets)
    settings.update.update(machine, ascent, run.memory)
    return step


def _spread(unit: Any, par: Array) -> float:
    """Variance of units that have no neighbours, summed over them."""
    return float(namespace(par).sum(unit.variance(unit.mean(par[:1, :], par), par)))


def _widest(units: tuple, par: list[Array], rest: float) -> float:
    """The largest spread of the layers that have another above them.

    The weights above a layer bear a step of 1 over its spread, and all take the same one.
    A common factor of the visible units leaves ``rest`` of their variance: steps that suit it
    are too long by 1 / ``rest`` where it is known.
    """
    visible, *others = map(_spread, units[:-1], par[:-1])
    return max([visible / rest, *others])


def _spread_with(run: Run, visible: Array) -> float:
    par, units = [visible], run.machine.units
    for unit, x in zip(units[1:], run.machine.par[1:], strict=True):
        rest = 0 * x[0, :]
        par.append(unit.independent(rest + unit.neutral, rest + 1))
    return _widest(units, par, run.rest)


def _copied(x: Array | None) -> Array | None:
    return None if x is None else namespace(x).asarray(x, copy=True)


def _array(x: np.ndarray, like: Array) -> Array:
    xp = namespace(like)
    return xp.asarray(x, dtype=like.dtype, device=device(like))
