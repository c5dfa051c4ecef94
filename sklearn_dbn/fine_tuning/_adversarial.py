"""Adversarial and virtual adversarial rows."""

from __future__ import annotations

import numpy as np

from .._array_api import Array
from .._random import Stream
from ._network import Network
from ._settings import FineTuningSettings


def presented(
    network: Network, settings: FineTuningSettings, labelled: tuple, free: tuple, rng: Stream
) -> tuple[Array, list, Array, Array]:
    """Rows, what is top_down from above, targets and weights, as the network learns them.

    The ``labelled`` ones, moved or not; and after them the ``free`` ones, moved, whose target
    is what the network says of them where they were.
    """
    v, above, target, weight = labelled
    if settings.adversarial_eps:
        tape = network.forward(v, above, settings.dropout, settings.hidden_dropout, rng)
        _, delta = settings.loss(tape.outputs, target)
        v = v + _of_length(settings.adversarial_eps, network.input_gradient(tape, delta))
    if settings.virtual_adversarial_eps:
        u, top_down, share = free
        u, outputs = virtual_adversarial_rows(network, settings, u, top_down, rng)
        v, target, weight = map(np.concatenate, ((v, u), (target, outputs), (weight, share)))
        pairs = zip(above, top_down, strict=True)
        above = [q if q is None else np.concatenate((q, p)) for q, p in pairs]
    return v, above, target, weight


def virtual_adversarial_rows(
    network: Network, settings: FineTuningSettings, v: Array, above: list, rng: Stream
) -> tuple[Array, Array]:
    """Rows moved to where the network says most else, and what it says of them unmoved.

    Most by the loss, that is by the divergence (Miyato et al. 2018,
    doi:10.1109/TPAMI.2018.2858821). It has no slope at the row itself. Its gradient is taken at
    a random place as far away as the step is long; next to the row, where they take it, it
    would be lost in rounding once the network is sure.
    """
    loss, length = settings.loss, settings.virtual_adversarial_eps
    outputs = network.outputs(v, above)
    # The derivative is what is outputs, less the target.
    _, outputs = loss(outputs, np.zeros_like(outputs))
    tape = network.forward(v + _of_length(length, rng.normal(v)), above)
    _, delta = loss(tape.outputs, outputs)
    return v + _of_length(length, network.input_gradient(tape, delta)), outputs


def _of_length(length: float, x: Array) -> Array:
    """Scale each row, in place; one that is zero stays so."""
    tiny = np.finfo(x.dtype).smallest_normal
    # First by the largest value, as the squares of small ones would be lost.
    x /= np.maximum(np.abs(x).max(axis=1, keepdims=True), tiny)
    norm = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    x *= length / np.maximum(norm, tiny)
    return x
