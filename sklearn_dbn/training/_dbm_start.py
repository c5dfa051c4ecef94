"""Where the joint training of a deep Boltzmann machine may start from, other than chance.

"first_layer": the first layer is that of an RBM, and the layers above hardly speak yet. The
machine is then the RBM, its mean field is exact, and training goes on from there.

"doubled": one RBM after the other, with doubled weights. A unit between two others hears from
both sides, while in an RBM of its own it would hear from one. So each RBM counts what a hidden
layer receives twice, in place of what will come from above, and what its visible layer
receives twice, in place of what will come from below; only the first visible layer and the
last hidden one have one neighbour each, and hear it once (Salakhutdinov, Hinton 2009, AISTATS,
PMLR 5:448-455). The fields of the machine that is put together are then the means of those of
the two RBMs that share a layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._array_api import Array, namespace
from .._random import layer_seed
from ..data import Rows
from ..machine import Machine, States, settle
from ..samplers import Chains
from ._run import Run, new_run
from ._settings import TrainingSettings, settings_of, training_parameters

SCHEMES = ("auto", "doubled", "first_layer")
# What the layers above the first say at first, as a share of what random weights would.
_UPPER_SCALE = 0.2
# Sweeps of the mean field where the chains start.
_SWEEPS = 5


def chosen(scheme: str | None, hidden: str) -> str | None:
    """What "auto" stands for.

    Real-valued units with twice the weights may have no distribution.
    """
    if scheme == "auto":
        return "first_layer" if hidden == "gaussian" else "doubled"
    if scheme == "doubled" and hidden == "gaussian":
        raise ValueError(
            "pretrain='doubled', but with hidden='gaussian' in the template there may be no "
            "distribution with twice the weights: set pretrain='first_layer'."
        )
    return scheme


@dataclass
class Pretraining:
    """The RBMs to be trained before all layers are.

    Parameters
    ----------
    scheme : {"doubled", "first_layer"}
    rbm : RBMTransformer
        How each is trained.
    n_layers : int
        Hidden layers of the machine that starts from them.
    """

    scheme: str
    rbm: Any
    n_layers: int

    @property
    def key(self) -> tuple:
        """What a machine that starts from them depends on."""
        return self.scheme, training_parameters(self.rbm)

    @property
    def kinds(self) -> list[Callable[..., Machine]]:
        """The machine of each, the lowest first."""
        if self.scheme == "first_layer":
            return [Machine]
        last = self.n_layers - 1
        return [
            partial(Doubled, up=1.0 if i == last else 2.0, down=1.0 if i == 0 else 2.0)
            for i in range(self.n_layers)
        ]

    def settings(self, rows: Rows) -> TrainingSettings:
        """How each is trained."""
        return settings_of(self.rbm, rows, sparse=self.scheme == "doubled")

    def layer(
        self, run: Run, rows: Rows, settings: TrainingSettings, seed: int, below: Sequence[Run]
    ) -> tuple[Run, Rows]:
        """The RBM of the next layer and its rows, given the trained ones ``below`` it."""
        layer = len(below)
        lower = [alone.result() if i else alone.average for i, alone in enumerate(below)]
        columns = below[0].columns if below else None
        inputs = Rows(rows.X, rows.weight, rows.unit, lower, self.rbm.sample_inputs, columns)
        inputs.index = rows.index
        sizes = [run.machine.W[layer].shape[1]]
        kind, seed = self.kinds[layer], layer_seed(seed, layer)
        return new_run(self.rbm, inputs, settings, sizes, seed, kind), inputs


@dataclass
class Doubled(Machine):
    """Two layers that hear one another more than once.

    Parameters
    ----------
    up, down : float
        How many times the hidden layer hears the visible one, and the other way round.
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
    ) -> Machine:
        """As in `Machine`; the biases make up for what the layers hear beyond that."""
        gradient = super().gradient(states, weight, offsets, fields)
        dW = gradient.W[0]
        gradient.par[0][0, :] -= (self.down - 1) * (dW @ offsets[1])
        gradient.par[1][0, :] -= (self.up - 1) * (offsets[0] @ dW)
        return gradient


def adopt(run: Run, runs: Sequence[Run]) -> None:
    """Let a run that has yet to begin start from the runs of its RBMs, the lowest first."""
    machine = run.machine
    if len(runs) == len(machine.W):
        compose(machine, runs)
    else:
        _scale_upper_weights(machine, run.activity, runs[0])
    for layer, alone in enumerate(runs, start=1):
        run.activity[layer][:] = alone.activity[1]
    machine.project()
    run.average = machine.copy()
    v, n_chains = runs[0].chains.states[0], run.chains.states[0].shape[0]
    v = namespace(v).concat([v] * -(-n_chains // v.shape[0]))[:n_chains, :]
    above = machine.even[1:]
    run.chains = Chains(machine.draw(above, *settle(machine, v, _SWEEPS), run.rng))


def compose(machine: Machine, runs: Sequence[Run]) -> None:
    """Take weights from the RBMs, and means of the biases that two of them have for a layer."""
    layers = [run.average for run in runs]
    machine.par[0][...] = layers[0].par[0]
    for i, (below, above) in enumerate(itertools.pairwise(layers), start=1):
        machine.par[i][...] = (below.par[1] + above.par[0]) / 2
    machine.par[-1][...] = layers[-1].par[1]
    for W, layer in zip(machine.W, layers, strict=True):
        W[...] = layer.W[0]


def _scale_upper_weights(machine: Machine, activity: Sequence[Array], first: Run) -> None:
    """Take the first layer from an RBM, and let those above say little, and nothing at rest.

    ``activity`` is where the units of the machine rest.
    """
    rest: States = [x[None, :] for x in activity]
    fields = [machine.field(layer, rest) for layer in range(1, len(rest))]
    rest[1] = first.activity[1][None, :]
    for layer in (0, 1):
        machine.par[layer][...] = first.average.par[layer]
    machine.W[0][...] = first.average.W[0]
    fields[0] = machine.par[1][:1, :] + rest[0] @ machine.W[0]
    for W in machine.W[1:]:
        W *= _UPPER_SCALE
    for layer, field in enumerate(fields, start=1):
        machine.par[layer][0, :] += (field - machine.field(layer, rest))[0, :]
