"""The pre-training of a deep Boltzmann machine, from which its joint training starts.

"first_layer": the first layer is that of an RBM, and the weights above it are small. The
machine is then nearly the RBM, whose mean field is exact.

"doubled": one RBM after the other, with doubled weights. A layer between two others has inputs
from both, but in an RBM of its own only from one. So each RBM doubles the input to its hidden
layer, in place of that from the layer above, and the input to its visible layer, in place of
that from the layer below. Only the first visible layer and the last hidden one have one
neighbour, and an input that is not doubled (Salakhutdinov, Hinton 2009, AISTATS, PMLR
5:448-455). The field of a layer in the composed machine is then the mean of its fields in its
two RBMs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._array_api import Array, namespace
from .._random import layer_seed
from ..data import Rows, rows_of
from ..machine import (
    Machine,
    States,
    matrices,
    mean_field_sweeps,
    pathway_widths,
    times,
    times_transposed,
)
from ..samplers import Chains
from ..units import UNITS
from ._run import Run, new_run
from ._settings import TrainingSettings, settings_of, training_parameters

SCHEMES = ("auto", "doubled", "first_layer")
# Factor of the random weights above the first layer.
_UPPER_SCALE = 0.2
# Sweeps of the mean field at which the chains start.
_SWEEPS = 5


def pretraining_scheme(scheme: str | None, hidden: str) -> str | None:
    """The scheme, resolved if it is "auto".

    Real-valued units with twice the weights may have no distribution.
    """
    if scheme == "auto":
        return "first_layer" if UNITS[hidden].quadratic else "doubled"
    if scheme == "doubled" and UNITS[hidden].quadratic:
        raise ValueError(
            f"pretrain='doubled', but with hidden={hidden!r} in the template there may be no "
            "distribution with twice the weights: set pretrain='first_layer'."
        )
    return scheme


@dataclass
class Pretraining:
    """The training of the RBMs that precedes the joint training.

    Parameters
    ----------
    scheme : {"doubled", "first_layer"}
    rbm : RBMTransformer
        Has the parameters of each training.
    n_layers : int
        Hidden layers of the machine that starts from them.
    modality_dropout : float
        Of the RBM that joins pathways, if there are any.
    """

    scheme: str
    rbm: Any
    n_layers: int
    modality_dropout: float = 0.0

    @property
    def key(self) -> tuple:
        """What the trained RBMs depend on, for the key of the cache."""
        return self.scheme, training_parameters(self.rbm)

    @property
    def kinds(self) -> list[Callable[..., Machine]]:
        """The machine type of each RBM, the lowest first."""
        if self.scheme == "first_layer":
            return [Machine]
        last = self.n_layers - 1
        return [
            partial(DoubledMachine, up=1.0 if i == last else 2.0, down=1.0 if i == 0 else 2.0)
            for i in range(self.n_layers)
        ]

    def settings(self, rows: Rows) -> TrainingSettings:
        """The settings of each training."""
        return settings_of(self.rbm, rows, sparse=self.scheme == "doubled")

    def layer(
        self, run: Run, rows: Rows, settings: TrainingSettings, seed: int, below: Sequence[Run]
    ) -> tuple[Run, Rows]:
        """The RBM of the next layer and its rows, given the trained ones ``below`` it."""
        layer = len(below)
        lower = [rbm.result() if i else rbm.average for i, rbm in enumerate(below)]
        columns = below[0].columns if below else rows.columns
        inputs = rows_of(rows.X, rows.weight, columns, lower, self.rbm)
        inputs.index = rows.index
        widths = [pathway_widths(run.machine.W[layer])]
        if len(widths[0]) == 1:
            inputs.join_pathways(self.modality_dropout)
        kind, seed = self.kinds[layer], layer_seed(seed, layer)
        return new_run(self.rbm, inputs, settings, widths, seed, kind), inputs


@dataclass
class DoubledMachine(Machine):
    """An RBM whose layers multiply their inputs by constants.

    Parameters
    ----------
    up, down : float
        Factors of the inputs to the hidden and to the visible layer.
    """

    up: float = 2.0
    down: float = 2.0

    def input(self, layer: int, states: States) -> Array:
        received = super().input(layer, states)
        received *= self.up if layer else self.down
        return received

    def gradient(
        self,
        states: States,
        weight: Array,
        offsets: Sequence[Array],
        fields: States | None = None,
        deviation: Array | None = None,
    ) -> Machine:
        """As in `Machine`; the biases compensate for the additional inputs."""
        gradient = super().gradient(states, weight, offsets, fields, deviation)
        return self._compensated(gradient, offsets)

    def centred(
        self,
        sums: Machine,
        total: float,
        penalty: Sequence[Any],
        offsets: Sequence[Array],
        deviation: Array | None = None,
    ) -> Machine:
        """As in `Machine`; the biases compensate for the additional inputs."""
        sums = super().centred(sums, total, penalty, offsets, deviation)
        return self._compensated(sums, offsets)

    def _compensated(self, gradient: Machine, offsets: Sequence[Array]) -> Machine:
        dW = gradient.W[0]
        gradient.par[0][0, :] -= (self.down - 1) * times_transposed(offsets[1], dW)
        gradient.par[1][0, :] -= (self.up - 1) * times(offsets[0], dW)
        return gradient


def start_from_rbms(run: Run, runs: Sequence[Run]) -> None:
    """Set the parameters and chains of a new run from those of its RBMs, the lowest first."""
    machine = run.machine
    if len(runs) == len(machine.W):
        _compose(machine, runs)
    else:
        _scale_upper_weights(machine, run.activity, runs[0])
    for layer, rbm in enumerate(runs, start=1):
        run.activity[layer][:] = rbm.activity[1]
    machine.project()
    run.average = machine.copy()
    v, n_chains = runs[0].chains.states[0], run.chains.states[0].shape[0]
    v = namespace(v).concat([v] * -(-n_chains // v.shape[0]))[:n_chains, :]
    above = machine.even[1:]
    run.chains = Chains(machine.draw(above, *mean_field_sweeps(machine, v, _SWEEPS), run.rng))


def _compose(machine: Machine, runs: Sequence[Run]) -> None:
    """Copy the weights of the RBMs, and average the biases of layers that two RBMs have."""
    layers = [run.average for run in runs]
    machine.par[0][...] = layers[0].par[0]
    for i, (below, above) in enumerate(itertools.pairwise(layers), start=1):
        machine.par[i][...] = (below.par[1] + above.par[0]) / 2
    machine.par[-1][...] = layers[-1].par[1]
    for W, layer in zip(machine.matrices, matrices([x.W[0] for x in layers]), strict=True):
        W[...] = layer


def _scale_upper_weights(machine: Machine, activity: Sequence[Array], first: Run) -> None:
    """Copy the first layer of an RBM, and scale the weights above it.

    The biases change so that the fields at the means, ``activity``, do not.
    """
    means: States = [x[None, :] for x in activity]
    fields = [machine.field(layer, means) for layer in range(1, len(means))]
    means[1] = first.activity[1][None, :]
    for layer in (0, 1):
        machine.par[layer][...] = first.average.par[layer]
    for W, of_first in zip(matrices(machine.W[:1]), first.average.matrices, strict=True):
        W[...] = of_first
    fields[0] = machine.par[1][:1, :] + times(means[0], machine.W[0])
    for W in matrices(machine.W[1:]):
        W *= _UPPER_SCALE
    for layer, field in enumerate(fields, start=1):
        machine.par[layer][0, :] += (field - machine.field(layer, means))[0, :]
