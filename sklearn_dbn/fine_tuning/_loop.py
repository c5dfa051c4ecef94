"""The loop over minibatches of a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from .._array_api import Array, moved, namespace, sum_of, take, to_numpy, total
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

    def moved(self, network: Network) -> Self:
        """The same loop over rows in the library and on the device of the network."""
        like, validation = network.head, self.validation
        return replace(
            self,
            training_rows=self.training_rows.moved(like),
            validation=validation and validation.moved(like),
        )

    def end_pass(self, tuning: Tuning, loss: float) -> dict[str, float]:
        """The record of a pass; raises `Diverged` if its mean ``loss`` is too large."""
        if not loss < LARGEST_LOSS:
            raise self.diverged(tuning)
        return tuning.record(self.settings, loss, self.validation)

    def diverged(self, tuning: Tuning) -> Diverged:
        """The error of a pass whose loss is too large or not finite."""
        weight = to_numpy(self.training_rows.weight)
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
        loop, network = self.moved(tuning.network), tuning.network
        settings, weight = loop.settings, loop.training_rows.weight
        rule, n_rows = settings.rule, weight.shape[0]
        parameters = tuning.parameters(settings.layers)
        if tuning.solver != settings.solver or tuning.rule_state.names != list(parameters):
            tuning.rule_state, tuning.solver = rule.start(parameters), settings.solver
        factors = settings.factors_of(parameters)
        descent = Descent(rule, parameters, factors, tuning.rule_state)
        n_batches = -(-n_rows // settings.batch_size)
        weights = [*matrices(network.W), network.head]
        decay = LazyDecay(partial(_shrink, network, settings))
        while passes.begin():
            order, losses, others = moved(tuning.rng.permutation(n_rows), weight), [], []
            # An overflow is reported below, in one sentence instead of many warnings.
            with (
                np.errstate(over="ignore", invalid="ignore", divide="ignore"),
                blas_threads(settings.batch_size, weights),
            ):
                for i in range(n_batches):
                    index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
                    rate = settings.learning_rate
                    rate *= settings.schedule(passes.share(i / n_batches))
                    loss, other = _step(tuning, loop, descent, index, rate)
                    losses.append(loss)
                    others.append(other)
                    decay.add(rate)
                decay.apply()
                # To read each loss after its step would be to wait for the device.
                losses, others = map(_read, (losses, others))
                # Added in their order: NumPy's sum of them is rounded in another way.
                whole = float(np.cumsum(losses)[-1])
            if not others.max() < LARGEST_LOSS:
                raise loop.diverged(tuning)
            passes.end(loop.end_pass(tuning, whole / sum_of(weight)))


def _step(
    tuning: Tuning, loop: NetworkLoop, descent: Descent, index: Array, rate: float
) -> tuple[Array, Array | float]:
    """Update the parameters with one minibatch.

    Returns the loss summed over its rows, and that of its virtual adversarial rows as a share
    of all rows that it presents.
    """
    settings, training_rows = loop.settings, loop.training_rows
    network, term, layers = tuning.network, tuning.generative_term, settings.layers
    if training_rows.inputs.remote:
        found = gradient_on_cluster(tuning, settings, descent, training_rows, index, rate)
    else:
        found = _gradient(tuning, loop, descent, index, rate)
    *losses, seen, (v, share) = found
    if term is not None and settings.generative_weight > 0:
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
    return tuple(losses)


def _gradient(
    tuning: Tuning, loop: NetworkLoop, descent: Descent, index: Array, rate: float
) -> tuple[Array, Array | float, tuple[Tape, Array], tuple[Array, Array]]:
    """Write the gradient of one minibatch to that of ``descent``.

    Returns the losses as `_step`; a tape and the weights of its rows, for the means of the
    inputs; and rows and their weights for the generative term.
    """
    settings, training_rows = loop.settings, loop.training_rows
    network, rng, layers = tuning.network, tuning.rng, settings.layers
    n_rows = index.shape[0]
    v, top_down = training_rows.inputs.take(index)
    share = take(training_rows.weight, index)
    labelled = v, top_down, take(training_rows.target, index), share
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
    n_all = losses.shape[0]
    other = total(losses[n_rows:]) / n_all if n_all > n_rows else 0.0
    # A factor on the derivative by the outputs is a factor on the gradient.
    delta *= (weight * (descent.scale(rate) / n_rows))[:, None]
    network.backward(tape, delta, layers, descent.gradient)
    loss = losses[:n_rows] @ weight[:n_rows]
    return loss, other, (tape, weight), (unsupervised[0], unsupervised[2])


def _read(losses: list[Array | float]) -> np.ndarray:
    """The losses of a pass, (n_batches,), read from their device at once."""
    if not isinstance(losses[0], float | np.generic):
        losses = to_numpy(namespace(losses[0]).stack(losses))
    return np.asarray(losses, dtype=np.float64)


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
