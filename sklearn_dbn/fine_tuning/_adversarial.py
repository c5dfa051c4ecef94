"""Adversarial and virtual adversarial rows."""

from __future__ import annotations

from .._array_api import Array, concat, namespace, row_maxima, sums_of_squares
from .._random import Stream
from ._network import Network
from ._settings import FineTuningSettings


def presented(
    network: Network,
    settings: FineTuningSettings,
    labelled: tuple,
    unsupervised: tuple,
    rng: Stream,
) -> tuple[Array, list, Array, Array]:
    """Rows, top-down inputs, targets and weights of an update.

    First the ``labelled`` rows, moved if they are to be adversarial; then, if the settings have
    them, the ``unsupervised`` rows as virtual adversarial rows.
    """
    v, top_down, target, weight = labelled
    if settings.adversarial_eps:
        tape = network.forward(v, top_down, settings.dropout, settings.hidden_dropout, rng)
        _, delta = settings.loss(tape.outputs, target)
        v = v + _of_length(settings.adversarial_eps, network.input_gradient(tape, delta))
    if settings.virtual_adversarial_eps:
        u, more, share = unsupervised
        u, outputs = virtual_adversarial_rows(network, settings, u, more, rng)
        return joined((v, top_down, target, weight), (u, more, outputs, share))
    return v, top_down, target, weight


def joined(first: tuple, second: tuple) -> tuple[Array, list, Array, Array]:
    """The rows, top-down inputs, targets and weights of ``first``, and then of ``second``."""
    v, target, weight = (concat([first[i], second[i]]) for i in (0, 2, 3))
    pairs = zip(first[1], second[1], strict=True)
    return v, [q if q is None else concat([q, p]) for q, p in pairs], target, weight


def virtual_adversarial_rows(
    network: Network, settings: FineTuningSettings, v: Array, top_down: list, rng: Stream
) -> tuple[Array, Array]:
    """Virtual adversarial rows, and their targets: the predictions for the unmoved rows.

    The output changes fastest where the loss does, which is a divergence from these targets
    (Miyato et al. 2018, doi:10.1109/TPAMI.2018.2858821). Its gradient is zero at the row. It is
    computed at a random point at the distance of the step; close to the row, where the authors
    compute it, rounding would hide it once the predictions are nearly certain.
    """
    loss, length = settings.loss, settings.virtual_adversarial_eps
    outputs = network.outputs(v, top_down)
    # The derivative of a loss is the prediction less the target.
    _, outputs = loss(outputs, namespace(outputs).zeros_like(outputs))
    tape = network.forward(v + _of_length(length, rng.normal(v)), top_down)
    _, delta = loss(tape.outputs, outputs)
    return v + _of_length(length, network.input_gradient(tape, delta)), outputs


def _of_length(length: float, x: Array) -> Array:
    """Scale each row to ``length``, in place; a row of zeros stays zero."""
    xp = namespace(x)
    tiny = float(xp.finfo(x.dtype).smallest_normal)
    # First by the largest value, as the squares of small values would underflow.
    x /= xp.maximum(row_maxima(xp.abs(x)), tiny)
    norm = xp.sqrt(sums_of_squares(x, axis=1))[:, None]
    x *= length / xp.maximum(norm, tiny)
    return x
