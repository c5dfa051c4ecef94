"""The loop over minibatches."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .._array_api import Array, device, namespace, sum_of
from .._blas import blas_threads
from ..data import Gaps, Rows
from ..machine import settle
from ..optim import blend
from ._record import Watched, deviation, free_energies, record_of
from ._run import Run
from ._settings import Settings

# The moving averages of the hidden means follow the data at this rate (Melchior et al. 2016).
_ACTIVITY_RATE = 0.01


# Saturated units keep all else finite; no machine of use has weights of this norm.
_LARGEST_NORM = 1e6


# Steps for which the weights pay their decay at once: it is a pass over all of them.
SHRINK_EVERY = 10


class Diverged(ArithmeticError):
    """The parameters ran away."""


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
            owed, reported = 0.0, {}
            settings = replace(settings, sampler=_keeping_up(sampler, run.gaps))
            batches = rows.batches(settings.batch_size, run.rng, run.gaps)
            for i, (v, weight) in enumerate(batches, 1):
                progress = (epoch + (i - 1) / n_batches) / n_epochs
                rate = learning_rate * settings.schedule(progress)
                length, info = _step(run, v, weight, rows, settings, rate)
                owed += length
                for name, value in info.items():
                    reported[name] = reported.get(name, 0.0) + value
                if i % SHRINK_EVERY == 0 or i == n_batches:
                    settings.update.shrink(run.machine, owed)
                    owed = 0.0
            run.n_epochs += 1
            if run.gaps is not None:
                run.gaps.end_pass()
            # The average reaches over a fixed share of the run so far, however long it gets.
            share = 1.0 / (1.0 + settings.averaging_fraction * (run.n_epochs - 1))
            old, run.average = run.average, blend(run.average, run.machine, share)
            record = record_of(run.average, watched, n_sweeps)
            if run.stopping is not None:
                record["validation_log_likelihood"] = run.stopping.end_pass(old, run)
            if persistent:
                after = free_energies(run.machine, watched, n_sweeps)
                record["free_energy_swing"] = deviation(after - before)
                before = after
            record |= {name: value / n_batches for name, value in reported.items()}
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
) -> tuple[float, dict[str, float]]:
    """One minibatch: move the chains, follow the gradient.

    Returns the length of the step, and what the sampler reports of its own.

    ``weight`` is that of the rows of the minibatch: those of ``v`` first, then those that
    ``rows`` has elsewhere.
    """
    machine = run.machine
    xp = namespace(v)
    n_data = v.shape[0]
    # Asked for before the chains move, so that both go on at the same time.
    elsewhere = rows.sums(machine, settings.n_mean_field_steps)
    data, settled = settle(machine, v, settings.n_mean_field_steps)
    states, fields, run.chains, info = settings.sampler.phases(
        machine, data, run.chains, run.rng
    )
    fields[::2] = settled[::2]
    n_negative = run.chains.states[0].shape[0]
    if settings.partial_mean_field:
        model = [x[n_data : n_data + n_negative, :] for x in states]
        means, above = machine.conditionals(machine.even[1:], model)
        for layer in machine.even[1:]:
            model[layer][...] = means[layer]
            fields[layer] = xp.concat([fields[layer], above[layer]])

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
    ascent = machine.gradient(states, shares, offsets, fields)
    if sums is not None:
        sums = machine.centred(sums, weight_sum, push, offsets)
        for x, y in zip(ascent.arrays(), sums.arrays(), strict=True):
            x += y * (step / weight_sum)
    machine.precondition(ascent, offsets)
    settings.update.update(machine, ascent, run.memory)
    return step, info
