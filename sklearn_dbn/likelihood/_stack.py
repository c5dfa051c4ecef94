"""Probability of rows under a deep belief network, a stack of machines.

The last machine has the joint distribution of its layers; each machine below it has the
distribution of its visible layer given its hidden one::

    p(v, h_1, .., h_m) = p(v | h_1) p(h_1 | h_2) .. p_top(h_m, ..)

The layers above ``v`` are drawn from factorial posteriors q, from the lowest up, and their
importance weight is p / q. The mean of the log weights is a lower bound of log p(v) (Hinton,
Osindero, Teh 2006, doi:10.1162/neco.2006.18.7.1527); the log of their mean is on average lower
than log p(v), and converges to it with more draws (Burda, Grosse, Salakhutdinov 2016,
arXiv:1509.00519).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .._array_api import Array, namespace, to_numpy
from .._random import CommonStream, Stream
from ..machine import Machine, States, mean_field_sweeps

# A function of a machine, a layer and its `Machine.input` that returns states of the layer.
Choice = Callable[[Machine, int, Array], Array]

_BLOCK_BYTES = 2**24
# For each even layer above the visible one of the top machine.
MEAN_FIELD_SWEEPS = 10


def log_weights(
    machines: Sequence[Machine],
    v: Array,
    n_samples: int,
    seed: int,
    *,
    block_bytes: int = _BLOCK_BYTES,
) -> np.ndarray:
    """log p(v, h) Z - log q(h | v) for draws h of the layers above each row of ``v``.

    Equal seeds give equal draws, which do not depend on the other rows.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
        All but the last have two layers.
    v : array of shape (n_rows, n_0)
        No bits are drawn of grey levels.
    n_samples : int
    seed : int
    block_bytes : int
        Approximate memory for the states of a layer.

    Returns
    -------
    array of shape (n_rows, n_samples), float64
    """
    n_rows = v.shape[0]
    weights = np.empty((n_rows, n_samples))
    width = max(par.shape[1] for machine in machines for par in machine.par)
    size = max(1, block_bytes // (8 * width))
    for begin in range(0, n_rows, size):
        rows = slice(begin, min(begin + size, n_rows))
        draw = draw_with(CommonStream(seed))
        # The first product is the same for all draws.
        layer_input = machines[0].input(1, [v[rows, :], None]) if machines[1:] else None
        posterior = None if machines[1:] else _posterior(machines[0], v[rows, :])
        for sample in range(n_samples):
            _, weight = upward_pass(machines, v[rows, :], layer_input, draw, posterior)
            weights[rows, sample] = to_numpy(weight)
    return weights


def propose(
    machines: Sequence[Machine],
    v: Array,
    rng: Stream,
    hidden: Sequence[Array] = (),
    kept: Sequence[Array] = (),
) -> tuple[States, Array]:
    """Draw the layers h above each row of ``v`` from q(h | v).

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
    v : array of shape (n_rows, n_0)
    rng : Stream
    hidden : sequence of arrays of shape (n_rows, n_l)
        The last result.
    kept : sequence of bool arrays of shape (n_rows, n_l)
        Units of the lowest layers that stay as in ``hidden``.

    Returns
    -------
    hidden : list of arrays of shape (n_rows, n_l)
        The hidden layer of each machine but the last, from the lowest up, then the even layers
        of the last above its visible one.
    log_weight : array of shape (n_rows,), float64
        log p(v, h) Z - log q(h | v).
    """
    draw, layers = draw_with(rng), iter(zip(hidden, kept, strict=False))

    def choose(machine: Machine, layer: int, layer_input: Array) -> Array:
        drawn = draw(machine, layer, layer_input)
        before, stays = next(layers, (None, None))
        return drawn if stays is None else namespace(v).where(stays, before, drawn)

    return upward_pass(machines, v, None, choose)


def log_weight(machines: Sequence[Machine], v: Array, hidden: States) -> Array:
    """log p(v, h) Z - log q(h | v) of each row for the layers ``hidden`` of `propose`.

    Returns
    -------
    array of shape (n_rows,), float64
    """
    given = iter(hidden)
    return upward_pass(machines, v, None, lambda machine, layer, layer_input: next(given))[1]


def draw_with(rng: Stream) -> Choice:
    def draw(machine: Machine, layer: int, layer_input: Array) -> Array:
        par = machine.par[layer]
        return machine.units[layer].sample(layer_input + par[0, :], par, rng)

    return draw


def upward_pass(
    machines: Sequence[Machine],
    v: Array,
    layer_input: Array | None,
    choose: Choice,
    posterior: list | None = None,
) -> tuple[States, Array]:
    """Return the layers above ``v``, in turn from ``choose``, and their log weights.

    ``layer_input`` (that of the first hidden layer) and ``posterior`` (the `_posterior` of the
    last machine) save time if the caller has them.
    """
    total: Array = 0.0
    hidden: States = []
    x = v
    for machine in machines[:-1]:
        layer_input = machine.input(1, [x, None]) if layer_input is None else layer_input
        h = choose(machine, 1, layer_input)
        total = total + _log_density(machine, 0, x, machine.input(0, [None, h]))
        total = total - _log_density(machine, 1, h, layer_input)
        hidden.append(h)
        x, layer_input = h, None
    top = machines[-1]
    states: States = [x, *[None] * (len(top.par) - 1)]
    for layer, layer_input in _posterior(top, x) if posterior is None else posterior:
        states[layer] = choose(top, layer, layer_input)
        total = total - _log_density(top, layer, states[layer], layer_input)
        hidden.append(states[layer])
    energy = top.free_energy(states)
    return hidden, total - namespace(energy).astype(energy, namespace(energy).float64)


def _posterior(machine: Machine, x: Array) -> list:
    """Each even layer above the visible one, with its `Machine.input` in the mean field."""
    above = machine.even[1:]
    states, _ = mean_field_sweeps(machine, x, MEAN_FIELD_SWEEPS * len(above))
    states = machine.means(machine.odd, states)
    return [(layer, machine.input(layer, states)) for layer in above]


def _log_density(machine: Machine, layer: int, x: Array, layer_input: Array) -> Array:
    """log p(x | ``layer_input``) of each row, in float64."""
    xp, unit = namespace(x), machine.units[layer]
    # The terms are much larger than their sum if units are nearly certain.
    x, layer_input, par = (
        xp.astype(y, xp.float64) for y in (x, layer_input, machine.par[layer])
    )
    log_z = unit.log_partition(layer_input + par[0, :], par)
    return xp.sum(layer_input * x, axis=-1) - log_z - unit.energy(x, par)
