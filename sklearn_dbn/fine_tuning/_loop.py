"""The loop over minibatches of a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._array_api import Array
from .._blas import blas_threads
from ..machine import matrices
from ..optim import Descent, LazyDecay
from ..training import Diverged, Passes
from ._adversarial import presented
from ._cluster import gradient_on_cluster
from ._divergence import tuning_diverged
from ._network import Network, Tape
from ._settings import FineTuningSettings
from ._training_rows import TrainingRows
from ._tuning import LARGEST_LOSS, Tuning


@dataclass(frozen=True)
class TuningLoop:
    """What the passes of every solver have in common.

    Parameters
    ----------
    settings : FineTuningSettings
    training_rows : TrainingRows
    validation : TrainingRows or None
        The rows held out for early stopping.
    """

    settings: FineTuningSettings
    training_rows: TrainingRows
    validation: TrainingRows | None = None

    def end_pass(self, tuning: Tuning, loss: float) -> dict[str, float]:
        """The record of a pass; raises `Diverged` if its mean ``loss`` is too large."""
        if not loss < LARGEST_LOSS:
            raise self.diverged(tuning)
        return tuning.record(self.settings, loss, self.validation)

    def diverged(self, tuning: Tuning) -> Diverged:
        """The error of a pass whose loss is too large or not finite."""
        weight = self.training_rows.weight
        return Diverged(tuning_diverged(tuning.n_passes, self.settings, weight))


class NetworkLoop(TuningLoop):
    """The loop over minibatches of a network."""

    def train(self, tuning: Tuning, passes: Passes) -> None:
        """Make passes over the training rows in minibatches, while ``passes`` has more.

        Raises
        ------
        Diverged
            When the loss is not finite, or larger than `LARGEST_LOSS`.
        """
        settings, training_rows = self.settings, self.training_rows
        rule, n_rows = settings.rule, len(training_rows.target)
        parameters = tuning.parameters(settings.layers)
        if tuning.solver != settings.solver or tuning.rule_state.names != list(parameters):
            tuning.rule_state, tuning.solver = rule.start(parameters), settings.solver
        factors = settings.factors_of(parameters)
        descent = Descent(rule, parameters, factors, tuning.rule_state)
        n_batches = -(-n_rows // settings.batch_size)
        weights = [*matrices(tuning.network.W), tuning.network.head]
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
            passes.end(self.end_pass(tuning, total / float(training_rows.weight.sum())))


def _step(
    tuning: Tuning,
    settings: FineTuningSettings,
    descent: Descent,
    training_rows: TrainingRows,
    index: np.ndarray,
    rate: float,
) -> float:
    """Update the parameters with one minibatch; returns the loss summed over its rows."""
    network, term, layers = tuning.network, tuning.generative_term, settings.layers
    compute = gradient_on_cluster if training_rows.inputs.remote else _gradient
    loss, seen, (v, share) = compute(tuning, settings, descent, training_rows, index, rate)
    if term is not None and settings.generative_weight > 0 and share.any():
        factor = descent.scale(rate) * settings.generative_weight
        term.add_to(descent.gradient, v, share, factor, tuning.rng, settings.centered)
    elif term is not None:
        term.clear(descent.gradient)
    before = network.fields_at_means(layers)
    descent.step(rate)
    if settings.max_norm is not None:
        network.limit(layers, settings.max_norm)
    network.correct_biases(layers, before)
    if settings.centered:
        network.update_input_means(*seen)
    if term is not None:
        for machine in term.machines:
            machine.project()
    return loss


def _gradient(
    tuning: Tuning,
    settings: FineTuningSettings,
    descent: Descent,
    training_rows: TrainingRows,
    index: np.ndarray,
    rate: float,
) -> tuple[float, tuple[Tape, Array], tuple[Array, Array]]:
    """Write the gradient of one minibatch to that of ``descent``.

    Returns the loss summed over its rows; a tape and the weights of its rows, for the means of
    the inputs; and rows and their weights for the generative term.
    """
    network, rng, layers = tuning.network, tuning.rng, settings.layers
    n_rows = len(index)
    v, top_down = training_rows.inputs.take(index)
    share = training_rows.weight[index]
    labelled = v, top_down, training_rows.target[index], share
    if settings.centered and not network.input_means:
        network.update_input_means(network.forward(v, top_down), share)
    unsupervised = v, top_down, share
    drawn = training_rows.drawn(settings, tuning.generative_term, n_rows, rng)
    if drawn is not None:
        inputs, others, weights = drawn
        unsupervised = *inputs.take(others), weights
    rows, top_down, target, weight = presented(network, settings, labelled, unsupervised, rng)
    tape = network.forward(rows, top_down, settings.dropout, settings.hidden_dropout, rng)
    losses, delta = settings.loss(tape.outputs, target)
    # The other rows are checked at the end of the pass.
    if len(losses) > n_rows and not losses[n_rows:].sum() < len(losses) * LARGEST_LOSS:
        raise Diverged(tuning_diverged(tuning.n_passes, settings, training_rows.weight))
    # A factor on the derivative by the outputs is a factor on the gradient.
    delta *= (weight * (descent.scale(rate) / n_rows))[:, None]
    network.backward(tape, delta, layers, descent.gradient)
    loss = float(losses[:n_rows] @ weight[:n_rows])
    return loss, (tape, weight), (unsupervised[0], unsupervised[2])


def _shrink(network: Network, settings: FineTuningSettings, step: float) -> None:
    """Weight decay of several updates; not in the gradient, as Adam would rescale it."""
    if not settings.weight_decay:
        return
    before = network.fields_at_means(settings.layers)
    parameters = network.parameters(settings.layers)
    factors = settings.factors_of(parameters)
    for name, x in parameters.items():
        if x.ndim == 2:
            x *= 1.0 - step * factors[name] * settings.weight_decay
    network.correct_biases(settings.layers, before)
