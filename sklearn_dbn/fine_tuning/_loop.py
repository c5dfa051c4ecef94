"""The loop over minibatches of a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._blas import blas_threads
from ..optim import Descent, LazyDecay
from ..training import Diverged, Passes
from ._adversarial import presented
from ._divergence import tuning_diverged
from ._network import Network
from ._settings import FineTuningSettings
from ._training_rows import TrainingRows
from ._tuning import LARGEST_LOSS, Tuning


@dataclass(frozen=True)
class NetworkLoop:
    """The loop over minibatches of a network.

    Parameters
    ----------
    settings : FineTuningSettings
    training_rows : TrainingRows
    validation : TrainingRows or None
        Rows that early stopping looks at.
    """

    settings: FineTuningSettings
    training_rows: TrainingRows
    validation: TrainingRows | None = None

    def train(self, tuning: Tuning, passes: Passes) -> None:
        """Pass over the training_rows in minibatches, as often as ``passes`` allows.

        Raises
        ------
        Diverged
            When the loss is not finite, or beyond all use.
        """
        settings, training_rows = self.settings, self.training_rows
        rule, n_rows = settings.rule, len(training_rows.target)
        parameters = tuning.parameters(settings.layers)
        if tuning.solver != settings.solver or tuning.rule_state.names != list(parameters):
            tuning.rule_state, tuning.solver = rule.start(parameters), settings.solver
        factors = settings.factors_of(parameters)
        descent = Descent(rule, parameters, factors, tuning.rule_state)
        n_batches = -(-n_rows // settings.batch_size)
        weights = [*tuning.network.W, tuning.network.head]
        decay = LazyDecay(partial(_shrink, tuning.network, settings))
        while passes.begin():
            order, total = tuning.rng.permutation(n_rows), 0.0
            # An overflow is reported below, in one sentence instead of many warnings.
            with (
                np.errstate(over="ignore", invalid="ignore", divide="ignore"),
                blas_threads(settings.batch_size, weights),
            ):
                for i in range(n_batches):
                    index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
                    rate = settings.learning_rate
                    rate *= settings.schedule(passes.share(i / n_batches))
                    total += _step(tuning, settings, descent, training_rows, index, rate)
                    decay.add(rate)
                decay.apply()
            passes.end(end_pass(tuning, self, total / float(training_rows.weight.sum())))


def end_pass(tuning: Tuning, loop: Any, loss: float) -> dict[str, float]:
    """The record of a pass of ``loop``, whose mean ``loss`` is checked."""
    if not loss < LARGEST_LOSS:
        raise Diverged(
            tuning_diverged(tuning.n_passes, loop.settings, loop.training_rows.weight)
        )
    return tuning.record(loop.settings, loss, loop.validation)


def _step(
    tuning: Tuning,
    settings: FineTuningSettings,
    descent: Descent,
    training_rows: TrainingRows,
    index: np.ndarray,
    rate: float,
) -> float:
    """One minibatch: move the parameters; returns the loss summed over its rows."""
    network, rng, layers = tuning.network, tuning.rng, settings.layers
    draws_to_generator = tuning.generative_term is not None and settings.generative_weight > 0
    v, above = training_rows.inputs.take(index)
    labelled = v, above, training_rows.target[index], training_rows.weight[index]
    if settings.centered and not network.input_means:
        network.update_input_means(network.forward(v, above), training_rows.weight[index])
    # What needs no target, of the rows as they are.
    free = v, above, training_rows.weight[index]
    if training_rows.every is not None and (
        draws_to_generator or settings.virtual_adversarial_eps
    ):
        inputs, every = training_rows.every
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
        raise Diverged(tuning_diverged(tuning.n_passes, settings, training_rows.weight))
    scale = descent.scale(rate)
    delta *= (weight * (scale / n_rows))[:, None]
    gradient = descent.gradient
    network.backward(tape, delta, layers, gradient)
    v, _, share = free
    if draws_to_generator and share.any():
        weight_of_term = scale * settings.generative_weight
        tuning.generative_term.add_to(
            gradient, v, share, weight_of_term, rng, settings.centered
        )
    elif tuning.generative_term is not None:
        tuning.generative_term.clear(gradient)
    before = network.fields_at_means(layers)
    descent.step(rate)
    if settings.max_norm is not None:
        network.limit(layers, settings.max_norm)
    network.correct_biases(layers, before)
    if settings.centered:
        network.update_input_means(tape, weight)
    if tuning.generative_term is not None:
        for machine in tuning.generative_term.machines:
            machine.project()
    return float(losses[:n_rows] @ weight[:n_rows])


def _shrink(network: Network, settings: FineTuningSettings, step: float) -> None:
    """Weight decay of several steps; apart from the gradient, which Adam would rescale."""
    if not settings.weight_decay:
        return
    before, parameters = (
        network.fields_at_means(settings.layers),
        network.parameters(settings.layers),
    )
    factors = settings.factors_of(parameters)
    for name, x in parameters.items():
        if x.ndim == 2:
            x *= 1.0 - step * factors[name] * settings.weight_decay
    network.correct_biases(settings.layers, before)
