"""The loop over minibatches of a network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._blas import blas_threads
from ..optim import Descent
from ..training import SHRINK_EVERY, Diverged
from ._adversarial import presented
from ._examples import Examples
from ._network import Network
from ._settings import Settings
from ._tuning import LARGEST_LOSS, Tuning


def passes(
    tuning: Tuning,
    settings: Settings,
    examples: Examples,
    n_epochs: int,
    validation: Examples | None = None,
    n_done: int = 0,
) -> Iterator[None]:
    """Pass over ``examples`` in minibatches each time the iterator is advanced.

    ``n_done`` of the ``n_epochs`` passes ``tuning`` has behind it.

    Raises
    ------
    Diverged
        When the loss is not finite, or beyond all use.
    """
    rule, n_rows = settings.rule, len(examples.target)
    parameters = tuning.parameters(settings.layers)
    if tuning.solver != settings.solver or tuning.memory.names != list(parameters):
        tuning.memory, tuning.solver = rule.start(parameters), settings.solver
    descent = Descent(rule, parameters, settings.factors_of(parameters), tuning.memory)
    n_batches = -(-n_rows // settings.batch_size)
    weights = [*tuning.network.W, tuning.network.head]
    for epoch in range(n_done, n_epochs):
        order, total, owed = tuning.rng.permutation(n_rows), 0.0, 0.0
        # What overflows here is reported below, in one sentence instead of many warnings.
        with (
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
            blas_threads(settings.batch_size, weights),
        ):
            for i in range(n_batches):
                index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
                progress = (epoch + i / n_batches) / n_epochs
                rate = settings.learning_rate * settings.schedule(progress)
                total += _step(tuning, settings, descent, examples, index, rate)
                owed += rate
                if (i + 1) % SHRINK_EVERY == 0 or i + 1 == n_batches:
                    _shrink(tuning.network, settings, owed)
                    owed = 0.0
        tuning.record(settings, total / float(examples.weight.sum()), validation)
        yield


def _step(
    tuning: Tuning,
    settings: Settings,
    descent: Descent,
    examples: Examples,
    index: np.ndarray,
    rate: float,
) -> float:
    """One minibatch: move the parameters; returns the loss summed over its rows."""
    network, rng, layers = tuning.network, tuning.rng, settings.layers
    pulled = tuning.pull is not None and settings.generative_weight > 0
    v, above = examples.inputs.take(index)
    labelled = v, above, examples.target[index], examples.weight[index]
    if settings.centered and not network.rest:
        network.follow(network.forward(v, above), examples.weight[index])
    # What needs no target, of the rows as they are.
    free = v, above, examples.weight[index]
    if examples.every is not None and (pulled or settings.virtual_adversarial_eps):
        inputs, every = examples.every
        # A whole minibatch, however few rows have a target; together they weigh as much.
        n_drawn = min(settings.batch_size, len(every))
        drawn = (rng.uniform(n_drawn) * len(every)).astype(np.intp)
        free = *inputs.take(drawn), every[drawn] * (len(index) / n_drawn)
    rows, above, target, weight = presented(network, settings, labelled, free, rng)
    tape = network.forward(rows, above, settings.dropout, settings.hidden_dropout, rng)
    losses, delta = settings.loss(tape.outputs, target)
    n_rows = len(index)
    # The record of the pass is of the other rows alone.
    if len(losses) > n_rows and not losses[n_rows:].sum() < len(losses) * LARGEST_LOSS:
        raise Diverged
    scale = descent.scale(rate)
    delta *= (weight * (scale / n_rows))[:, None]
    gradient = descent.gradient
    network.backward(tape, delta, layers, gradient)
    v, _, share = free
    if pulled and share.any():
        pull = scale * settings.generative_weight
        tuning.pull.add_to(gradient, v, share, pull, rng, settings.centered)
    elif tuning.pull is not None:
        tuning.pull.clear(gradient)
    before = network.at_rest(layers)
    descent.step(rate)
    if settings.max_norm is not None:
        network.limit(layers, settings.max_norm)
    network.balance(layers, before)
    if settings.centered:
        network.follow(tape, weight)
    if tuning.pull is not None:
        for machine in tuning.pull.machines:
            machine.project()
    return float(losses[:n_rows] @ weight[:n_rows])


def _shrink(network: Network, settings: Settings, step: float) -> None:
    """Weight decay of several steps; apart from the gradient, which Adam would rescale."""
    if not settings.weight_decay:
        return
    before, parameters = network.at_rest(settings.layers), network.parameters(settings.layers)
    factors = settings.factors_of(parameters)
    for name, x in parameters.items():
        if x.ndim == 2:
            x *= 1.0 - step * factors[name] * settings.weight_decay
    network.balance(settings.layers, before)
