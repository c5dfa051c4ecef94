"""Probability of data under a deep belief network, a stack of machines.

The top machine models its own visible layer, and each machine below it the layer beneath given
the layer above::

    p(v, h_1, .., h_m) = p(v | h_1) p(h_1 | h_2) .. p_top(h_m, ..)

The layers above ``v`` are drawn from factorial posteriors q, upwards, and weighted with p / q.
The mean of the log weights is a lower bound of log p(v) (Hinton, Osindero, Teh 2006,
doi:10.1162/neco.2006.18.7.1527); the log of their mean estimates it, from below on average, and
comes to it with more draws (Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .._array_api import Array, device, namespace, sigmoid, to_numpy
from .._random import Stream
from ..machine import Machine, States, settle

# From a machine, a layer of it and what the layer receives to its states.
Choice = Callable[[Machine, int, Array], Array]

_BLOCK_BYTES = 2**24
# For each even layer above the visible one of the top machine.
MEAN_FIELD_SWEEPS = 10


class CommonStream(Stream):
    """A stream that gives all rows of an array the same random numbers.

    What is drawn for a row then depends on that row and on none beside it.
    """

    def bernoulli(self, p: Array) -> Array:
        xp = namespace(p)
        # Without the levels of `Stream`: the weights divide by this probability.
        u = self._generator.random((1, p.shape[-1]))
        return xp.astype(xp.asarray(u.astype(_numpy_dtype(p)), device=device(p)) < p, p.dtype)

    def bernoulli_logit(self, field: Array) -> Array:
        return self.bernoulli(sigmoid(field))

    def uniform(self, n: int) -> np.ndarray:
        return np.full(n, self._generator.random())

    def normal(self, like: Array) -> Array:
        xp = namespace(like)
        draw = self._generator.standard_normal((1, like.shape[-1]))
        draw = xp.asarray(draw.astype(_numpy_dtype(like)), device=device(like))
        return xp.broadcast_to(draw, like.shape)


def log_weights(
    machines: Sequence[Machine],
    v: Array,
    n_samples: int,
    seed: int,
    *,
    block_bytes: int = _BLOCK_BYTES,
) -> np.ndarray:
    """log p(v, h) Z - log q(h | v) for draws h of the layers above each row of ``v``.

    Equal seeds give equal draws, and each row is drawn for as if it were alone.

    Parameters
    ----------
    machines : sequence of Machine, the lowest first
        All but the last have two layers.
    v : array of shape (n_rows, n_0)
        Taken as it is: grey levels stay grey levels.
    n_samples : int
    seed : int
    block_bytes : int
        About how much memory the states of a layer may take.

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
        draw = drawn_by(CommonStream(seed))
        # The draws differ from here on; the first product is the same for all of them.
        received = machines[0].input(1, [v[rows, :], None]) if machines[1:] else None
        posterior = None if machines[1:] else _posterior(machines[0], v[rows, :])
        for sample in range(n_samples):
            _, weight = walk(machines, v[rows, :], received, draw, posterior)
            weights[rows, sample] = to_numpy(weight)
    return weights


def propose(machines: Sequence[Machine], v: Array, rng: Stream) -> States:
    """Draw the layers above each row of ``v`` from q(h | v).

    Returns
    -------
    list of arrays of shape (n_rows, n_l)
        The hidden layer of each machine but the last, from the lowest up, then the even layers
        of the last above its visible one.
    """
    return walk(machines, v, None, drawn_by(rng))[0]


def log_weight(machines: Sequence[Machine], v: Array, hidden: States) -> Array:
    """log p(v, h) Z - log q(h | v) of each row for given layers ``hidden``, as in `propose`.

    Returns
    -------
    array of shape (n_rows,), float64
    """
    given = iter(hidden)
    return walk(machines, v, None, lambda machine, layer, received: next(given))[1]


def drawn_by(rng: Stream) -> Choice:
    def draw(machine: Machine, layer: int, received: Array) -> Array:
        par = machine.par[layer]
        return machine.units[layer].sample(received + par[0, :], par, rng)

    return draw


def walk(
    machines: Sequence[Machine],
    v: Array,
    received: Array | None,
    choose: Choice,
    posterior: list | None = None,
) -> tuple[States, Array]:
    """Go up layer by layer, each as ``choose`` has it; the layers and their log weights.

    ``received`` is what the first of them receives from ``v``, if that is known, and
    ``posterior`` what the even layers of the last machine do.
    """
    total: Array = 0.0
    hidden: States = []
    x = v
    for machine in machines[:-1]:
        received = machine.input(1, [x, None]) if received is None else received
        h = choose(machine, 1, received)
        total = total + _log_density(machine, 0, x, machine.input(0, [None, h]))
        total = total - _log_density(machine, 1, h, received)
        hidden.append(h)
        x, received = h, None
    top = machines[-1]
    states: States = [x, *[None] * (len(top.par) - 1)]
    for layer, received in _posterior(top, x) if posterior is None else posterior:
        states[layer] = choose(top, layer, received)
        total = total - _log_density(top, layer, states[layer], received)
        hidden.append(states[layer])
    energy = top.free_energy(states)
    return hidden, total - namespace(energy).astype(energy, namespace(energy).float64)


def _posterior(machine: Machine, x: Array) -> list:
    """The even layers above the visible one, and what they receive in the mean field."""
    above = machine.even[1:]
    states, _ = settle(machine, x, MEAN_FIELD_SWEEPS * len(above))
    states = machine.means(machine.odd, states)
    return [(layer, machine.input(layer, states)) for layer in above]


def _log_density(machine: Machine, layer: int, x: Array, received: Array) -> Array:
    """log p(x | what the layer receives) of each row, in float64."""
    xp, unit = namespace(x), machine.units[layer]
    # The terms are far larger than their sum where units are nearly certain.
    x, received, par = (xp.astype(y, xp.float64) for y in (x, received, machine.par[layer]))
    log_z = unit.log_partition(received + par[0, :], par)
    return xp.sum(received * x, axis=-1) - log_z - unit.energy(x, par)


def _numpy_dtype(x: Array) -> type:
    return np.float32 if x.dtype == namespace(x).float32 else np.float64
