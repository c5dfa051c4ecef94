"""From the trainings of a generator to a network, and back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from .._array_api import Array, contiguous, copied, device, namespace, to_numpy
from ..machine import Machine, transposed
from ..samplers import Chains
from ..training import Run
from ._generative import GenerativeTerm
from ._network import Network, hidden_layers


def machines_of(runs: Sequence[Run]) -> list[Machine]:
    """Copies of the machines, the lowest first.

    The lowest is for standardised columns, the others for states that are not standardised.
    """
    found = [runs[0].average, *(run.result() for run in runs[1:])]
    return [machine.map(contiguous) for machine in found]


def network_on(
    machines: Sequence[Machine], top_down_input: bool, n_outputs: int, base: Array
) -> Network:
    """A network whose hidden layers are those of a stack, and whose outputs are ``base``.

    It shares its arrays with the machines. The weights of the head are 0 at first, so that no
    random head changes the layers.
    """
    units, par, W = hidden_layers(machines)
    # Only within one machine does a layer depend on the one above it.
    last = [i + 1 == len(machine.W) for machine in machines for i in range(len(machine.W))]
    A = [
        None if is_last or not top_down_input else transposed(W[i + 1])
        for i, is_last in enumerate(last)
    ]
    gain = [1.0 if is_last or top_down_input else 2.0 for is_last in last]
    xp, place = namespace(par[-1]), {"dtype": par[-1].dtype, "device": device(par[-1])}
    head = xp.zeros((W[-1].shape[1], n_outputs), **place)
    return Network(units, par, W, gain, A, head, xp.asarray(base, copy=True, **place))


def generative_term_of(
    runs: Sequence[Run], machines: list[Machine], n_mean_field_steps: int
) -> GenerativeTerm:
    """The generative term of ``machines``; its chains continue those of ``runs``."""
    chains, offsets = [], []
    for i, run in enumerate(runs):
        states = [None if layer % 2 else copied(x) for layer, x in enumerate(run.chains.states)]
        activity = [copied(x) for x in run.activity]
        if i:
            states[0], activity[0] = map(run.columns.measured, (states[0], activity[0]))
        chains.append(Chains(states))
        offsets.append(activity)
    return GenerativeTerm(machines, chains, offsets, n_mean_field_steps)


def tuned_runs(
    runs: Sequence[Run], machines: Sequence[Machine], layers: Collection[int]
) -> list[Run]:
    """The trainings, with ``machines`` in place of theirs where one has any of ``layers``."""
    found, first = [], 0
    for i, (run, machine) in enumerate(zip(runs, machines, strict=True)):
        n_layers = len(machine.W)
        if set(layers).isdisjoint(range(first, first + n_layers)):
            found.append(run)
        else:
            if i and run.columns.scale is not None:
                visible, shift, scale = machine.par[0], run.columns.shift, run.columns.scale
                machine = machine.rescale(-shift / scale, 1 / scale)
                if np.array_equal(to_numpy(visible), to_numpy(run.result().par[0])):
                    # To rescale it twice would change it by rounding.
                    machine.par[0] = run.average.par[0]
            found.append(replace(run, machine=machine, average=machine, velocity=None))
        first += n_layers
    return found
