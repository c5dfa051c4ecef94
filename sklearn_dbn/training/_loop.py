"""The loop over minibatches."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._array_api import Array, device, namespace
from .._blas import blas_threads
from ..data import JOINT_SWEEPS, Gaps, Rows
from ..machine import mean_field_sweeps
from ..optim import LazyDecay, moving_average
from ._convergence import Straightness
from ._divergence import machine_diverged
from ._driver import Diverged, Passes
from ._held_out import begin_early_stopping, rows_to_record
from ._record import RecordedRows, deviation, free_energies, record_of
from ._run import Run
from ._settings import TrainingSettings

# The moving averages of the hidden means follow the data at this rate (Melchior et al. 2016).
_ACTIVITY_RATE = 0.01
# With saturated units the record stays finite, but weights of this norm have diverged.
_LARGEST_NORM = 1e6


@dataclass(frozen=True)
class MachineLoop:
    """The loop over minibatches of a machine.

    Parameters
    ----------
    rows : Rows
    settings : TrainingSettings
    recorded : RecordedRows
        Rows that the record of each pass is computed from.
    """

    rows: Rows
    settings: TrainingSettings
    recorded: RecordedRows

    @classmethod
    def of(
        cls,
        run: Run,
        rows: Rows,
        settings: TrainingSettings,
        n_passes: int,
        held_out: np.ndarray | None = None,
    ) -> MachineLoop:
        """The loop that trains ``run`` in ``n_passes`` passes.

        ``held_out`` are the indices of rows that are not trained on.
        """
        recorded = rows_to_record(run, rows, held_out)
        if held_out is not None and settings.n_iter_no_change is not None:
            begin_early_stopping(run, rows, held_out, settings.n_iter_no_change)
        run.straightness = Straightness(n_passes, run.machine.copy().matrices)
        return cls(rows, settings, recorded)

    def train(self, run: Run, passes: Passes) -> None:
        """Pass over the rows in minibatches, as often as ``passes`` allows.

        Raises
        ------
        Diverged
            When the record of a pass is not finite, or the weights are too large.
        """
        rows, settings, recorded = self.rows, self.settings, self.recorded
        if not rows.lower:
            rows.bottom = run.machine
        if rows.joined is not None:
            rows.joined.machine = run.machine
        n_batches = -(-len(rows) // settings.batch_size)
        learning_rate = run.rate(settings)
        if run.gaps is None:
            run.gaps = rows.gaps(new=run.n_passes == 0)
        n_sweeps, persistent = settings.n_mean_field_steps, settings.sampler.persistent
        n_rows = settings.batch_size + run.chains.states[0].shape[0]
        decay = LazyDecay(lambda step: settings.update.shrink(run.machine, step))
        if persistent:
            before = free_energies(run.machine, recorded, n_sweeps)
        while passes.begin():
            # An overflow is reported below, in one sentence instead of many warnings.
            with (
                np.errstate(over="ignore", invalid="ignore"),
                blas_threads(n_rows, run.machine.matrices),
            ):
                reported: dict[str, float] = {}
                n_draws = JOINT_SWEEPS if rows.draws_pathways else 0
                sampler = _keeping_up(settings.sampler, run.gaps, n_draws)
                batches = rows.batches(settings.batch_size, run.rng, run.gaps)
                for i, batch in enumerate(batches):
                    rate = learning_rate * settings.schedule(passes.share(i / n_batches))
                    step, info = _step(run, batch, rows, settings, sampler, rate)
                    decay.add(step)
                    for name, value in info.items():
                        reported[name] = reported.get(name, 0.0) + value
                decay.apply()
                if run.gaps is not None:
                    run.gaps.end_pass()
                # The average is over a fixed share of the passes so far.
                share = 1.0 / (1.0 + settings.averaging_fraction * run.n_passes)
                old = run.average
                run.average = moving_average(old, run.machine, share)
                record = record_of(run.average, recorded, n_sweeps)
                if run.stopping is not None:
                    record["validation_log_likelihood"] = run.stopping.end_pass(old, run)
                if persistent:
                    after = free_energies(run.machine, recorded, n_sweeps)
                    record["free_energy_swing"] = deviation(after - before)
                    before = after
                record |= {name: total / n_batches for name, total in reported.items()}
            if not (
                record["weight_norm"] < _LARGEST_NORM
                and all(map(math.isfinite, record.values()))
            ):
                raise Diverged(machine_diverged(run, settings, rows))
            if run.straightness is not None:
                run.straightness.end_pass(passes.before and passes.before.machine, run.machine)
            passes.end(record)


def _keeping_up(sampler: Any, gaps: Gaps | None, n_sweeps: int) -> Any:
    """The sampler, with at least ``n_sweeps``, and as many as the draws for ``gaps`` have."""
    if gaps is not None and not gaps.fixed:
        n_sweeps = max(n_sweeps, gaps.n_sweeps)
    if n_sweeps <= sampler.n_sweeps:
        return sampler
    sampler = copy.copy(sampler)
    sampler.n_sweeps = n_sweeps
    return sampler


def _step(
    run: Run,
    batch: tuple[Array, Array, float],
    rows: Rows,
    settings: TrainingSettings,
    sampler: Any,
    rate: float,
) -> tuple[float, dict[str, float]]:
    """Make the update of one minibatch, which also moves the chains.

    Returns the factor of the gradient, and the figures that the sampler reports.

    ``batch`` is of `Rows.batches`. Its weights are those of the rows of v, then those of the
    rows of the minibatch that are on other machines.
    """
    machine, (v, weight, weight_sum) = run.machine, batch
    xp = namespace(v)
    n_data = v.shape[0]
    # Requested before the chains move, so that both run at the same time.
    elsewhere = rows.sums(machine, settings.n_mean_field_steps)
    data, even_fields = mean_field_sweeps(machine, v, settings.n_mean_field_steps)
    states, fields, run.chains, info = sampler.phases(machine, data, run.chains, run.rng)
    fields[::2] = even_fields[::2]
    n_negative = run.chains.states[0].shape[0]
    if settings.partial_mean_field:
        model = [x[n_data : n_data + n_negative, :] for x in states]
        means, above = machine.conditionals(machine.even[1:], model)
        for layer in machine.even[1:]:
            model[layer][...] = means[layer]
            fields[layer] = xp.concat([fields[layer], above[layer]])

    # Shares, as the reciprocal of a small sum may be too large for a float.
    here = weight[:n_data] / weight_sum
    sums = None if elsewhere is None else elsewhere()
    penalty = [0.0] * len(states)
    for layer in range(1, len(states)):
        means, activity = states[layer][:n_data, :], run.activity[layer]
        mean = here @ means
        if sums is not None:
            mean += sums.par[layer][0, :] / weight_sum
        activity += _ACTIVITY_RATE * (mean - activity)
        if settings.sparsity is not None:
            penalty[layer] = settings.sparsity.penalty_step(activity)
            means += penalty[layer]
    offsets = run.activity if settings.centered else [x * 0 for x in run.activity]
    # A minibatch of less weight makes a smaller step, so that each row counts the same.
    step = rate * weight_sum / settings.batch_size
    shares = xp.full(
        (n_data + n_negative,), -step / n_negative, dtype=v.dtype, device=device(v)
    )
    shares[:n_data] = here * step
    ascent = machine.gradient(states, shares, offsets, fields, run.coordinates)
    if sums is not None:
        sums = machine.centred(sums, weight_sum, penalty, offsets, run.coordinates)
        for x, y in zip(ascent.arrays(), sums.arrays(), strict=True):
            x += y * (step / weight_sum)
    machine.precondition(ascent, offsets)
    settings.update.update(machine, ascent, run.velocity)
    return step, info
